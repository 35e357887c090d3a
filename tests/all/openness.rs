//! What the edge offers to browsers, gateways and operators: TLS, the real addresses of clients, packed answers, tags, CORS, formats.

mod addresses;
mod formats;
mod secure;
