//! The four gRPC microservices of the demo.
