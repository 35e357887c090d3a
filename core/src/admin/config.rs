//! `[admin]` of `weft.toml`.

use crate::settings::{Secret, Table};
use std::net::SocketAddr;

/// Where the operator is listened to, and whom it believes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Loopback by default.
    pub listen: SocketAddr,
    /// The bearer token for everything that changes state. Without one, nothing can be changed.
    pub token: Option<Secret>,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        let token = table.optional("token").map(|token| table.at_hand("token", token));
        Self { listen: table.or("listen", SocketAddr::from(([127, 0, 0, 1], 9090))), token }
    }
}
