//! The Model Context Protocol: an agent's messages, and a client's endpoints as tools.
//!
//! Knows documents of OpenAPI and what is said over the wire, and nothing else of the host: what becomes of a call, the gateway decides.
//! The words of the protocol are those of its official crate, rmcp, which is named here only; its transport is not used.
//!
//! Two kinds of revisions are served. Since `2026-07-28` each request says by itself what it speaks, and there is no handshake; before, a
//! client begins with `initialize`, of which nothing is kept: whatever comes next is understood without it.

mod answers;
mod arguments;
mod heads;
mod message;
mod names;
mod revision;
mod schema;
mod text;
mod tools;

pub use answers::{Answer, Beside, Server, Unusable};
pub use arguments::{BadArguments, Target};
pub use message::{Asked, Asking, Message, Refused, What, read};
pub use names::tool_name;
pub use revision::{OLDEST, Revision, SERVED};
pub use tools::{Seen, Tool, Tools};

#[cfg(test)]
mod tests;
