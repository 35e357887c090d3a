//! What one request may ask of the engine, and what is told where that is too little.

use crate::{
    model::{Code, Failure},
    observe::RefusedBy,
};
use bytes::Bytes;
use prost::Message;
use prost_reflect::prost_types::Any;

/// What one request may ask of the engine.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls of the whole request, before batching.
    pub calls: MostCalls,
    /// Bytes of replies handed over in one exchange.
    pub arena: usize,
    /// Bytes of one request message.
    pub message: usize,
}

/// How many calls there may be, and who says so.
#[derive(Debug, Clone, Copy)]
pub struct MostCalls {
    most: u32,
    is_plugins: bool,
}

impl MostCalls {
    /// The lower one of the plugin's own bound and the host's.
    pub fn new(plugins: u32, hosts: u32) -> Self {
        Self { most: plugins.min(hosts), is_plugins: plugins <= hosts }
    }

    pub(super) fn allows(self, calls: usize) -> bool {
        calls <= self.most as usize
    }

    pub(super) fn most(self) -> u32 {
        self.most
    }

    pub(super) fn whose(self) -> RefusedBy {
        if self.is_plugins { RefusedBy::PluginCalls } else { RefusedBy::HostCalls }
    }

    pub(super) fn exceeded(self) -> Failure {
        let Self { most, is_plugins } = self;
        let (whose, place) =
            if is_plugins { ("plugin", "[limits] of plugin.toml") } else { ("host", "[limits] of weft.toml") };
        let bound = format!("calls = {most} in {place}");
        let message = format!(
            "the request has made all calls that its {whose} allows ({bound}): ask for many items in one call, or raise it"
        );
        // What the SDK knows it by.
        let reason = if is_plugins { "PLUGIN_LIMIT" } else { "HOST_LIMIT" }.to_owned();
        let info = ErrorInfo { reason, domain: "weft".to_owned(), metadata: [("bound".to_owned(), bound)].into() };
        let detail =
            Any { type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(), value: info.encode_to_vec() };
        let code = Code::ResourceExhausted;
        let status = Status { code: code as i32, message: message.clone(), details: vec![detail] };
        Failure { code, message, details: Bytes::from(status.encode_to_vec()) }
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: std::collections::BTreeMap<String, String>,
}
