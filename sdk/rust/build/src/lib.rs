//! Build helper of the Rust SDK: typed clients from .proto files.
