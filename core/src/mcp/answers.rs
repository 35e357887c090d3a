//! What an agent is answered.

use super::{
    message::{Asking, Refused},
    revision::Revision,
    text::{is_json, shown},
    tools::{Seen, Shape, Tool, Tools},
};
use bytes::Bytes;
use rmcp::model::{
    CacheScope, CallToolResult, ContentBlock, DiscoverResult, ErrorData, Implementation, InitializeResult,
    JsonRpcMessage, ListToolsResult, MetaObject, ServerCapabilities, ToolsCapability,
};
use serde::Serialize;
use serde_json::{Map, Value};

/// For how long agents may go by a list, in milliseconds: plugins are swapped without telling them.
const FRESH: u64 = 60_000;
const SERVER_KEY: &str = "io.modelcontextprotocol/serverInfo";
/// A tool error's problem, for programs; models read its text.
const PROBLEM_KEY: &str = "weft/problem";
/// The waterfall of a call, for who asked for it and may.
const EXPLAIN_KEY: &str = "weft/explain";
/// The parts of a good answer that are less than they should be.
const DEGRADED_KEY: &str = "weft/degraded";
const INSTRUCTIONS: &str = "Each tool is an endpoint of this service, and its result what the endpoint answers. An error is a problem \
                            document (RFC 9457): `detail` says what happened, and `field` where.";

/// Who answers, in a client's name.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    pub name: &'a str,
    pub version: &'a str,
}

impl Server<'_> {
    fn told(self) -> Implementation {
        Implementation::new(self.name, self.version)
    }
}

/// What came of a call.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub is_error: bool,
    /// Its `content-type`.
    pub kind: &'a str,
    pub body: &'a [u8],
}

/// What HTTP tells of an answer beside it, where there is something to tell.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    pub waterfall: Option<Value>,
    pub degraded: Option<Value>,
}

/// Why an endpoint's answer is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is no text")]
    NoText,
    #[error("it is not what its schema says")]
    NotAsPromised,
}

fn capabilities() -> ServerCapabilities {
    let mut capabilities = ServerCapabilities::default();
    capabilities.tools = Some(ToolsCapability::default());
    capabilities
}

impl Beside {
    fn add_to(self, meta: &mut MetaObject) {
        let parts = [(EXPLAIN_KEY, self.waterfall), (DEGRADED_KEY, self.degraded)];
        meta.0.extend(parts.into_iter().filter_map(|(key, part)| Some((key.to_owned(), part?))));
    }
}

impl Asking {
    fn written(&self, result: impl Serialize) -> Bytes {
        let message: JsonRpcMessage<(), _, ()> = JsonRpcMessage::response(result, self.id.clone());
        serde_json::to_vec(&message).unwrap_or_default().into()
    }

    /// Who made a result, where there was no handshake that said so.
    fn meta(&self, server: Server<'_>) -> MetaObject {
        let mut meta = MetaObject::new();
        if self.revision.is_whole() {
            meta.0.insert(SERVER_KEY.to_owned(), serde_json::to_value(server.told()).unwrap_or_default());
        }
        meta
    }

    /// The handshake of older revisions: what the client would like, if it is served.
    pub fn initialized(&self, wanted: &str, server: Server<'_>) -> Bytes {
        let agreed =
            Revision::named(wanted).filter(|revision| !revision.is_whole()).unwrap_or(Revision::WITH_HANDSHAKE);
        let result = InitializeResult::new(capabilities()).with_protocol_version(agreed.version());
        self.written(result.with_server_info(server.told()).with_instructions(INSTRUCTIONS))
    }

    pub fn discovered(&self, server: Server<'_>) -> Bytes {
        let versions = Revision::ALL.map(Revision::version).to_vec();
        let mut result =
            DiscoverResult::new(versions, capabilities()).with_server_info(server.told()).with_ttl_ms(FRESH);
        result.instructions = Some(INSTRUCTIONS.to_owned());
        self.written(result)
    }

    pub fn pong(&self) -> Bytes {
        self.written(Map::new())
    }

    /// Tools that `seen` lets be seen, from behind the cursor.
    pub fn listed(&self, (tools, seen): (&Tools, Seen), cursor: Option<&str>, server: Server<'_>) -> Bytes {
        let (page, next_cursor) = tools.page(cursor, seen);
        let mut result = ListToolsResult::with_all_items(page);
        result.next_cursor = next_cursor;
        if self.revision.is_whole() {
            // What one caller sees says nothing of what another one does.
            result = result.with_ttl_ms(FRESH).with_cache_scope(CacheScope::Private);
            result.meta = Some(self.meta(server));
        } else {
            result.result_type = None;
        }
        self.written(result)
    }

    pub fn no_such_tool(&self, name: &str) -> Refused {
        let text = format!("there is no tool `{}`: `tools/list` names those that there are for you", shown(name));
        Refused::of(self.id.clone(), self.revision, ErrorData::invalid_params(text, None))
    }

    /// An endpoint's answer as a result.
    pub fn called(
        &self,
        tool: &Tool,
        answer: Answer<'_>,
        beside: Beside,
        server: Server<'_>,
    ) -> Result<Bytes, Unusable> {
        let text = std::str::from_utf8(answer.body).map_err(|_| Unusable::NoText)?;
        let json = is_json(answer.kind).then(|| serde_json::from_str::<Value>(text).ok()).flatten();
        let structured = match (tool.shape, json) {
            // What an error is, no schema says.
            _ if answer.is_error => None,
            (Shape::Object | Shape::Open, Some(json @ Value::Object(_))) => Some(json),
            (Shape::Wrapped, Some(json)) => Some(Value::Object(Map::from_iter([("result".to_owned(), json)]))),
            (Shape::Object | Shape::Wrapped, _) => return Err(Unusable::NotAsPromised),
            (Shape::Open, _) => None,
        };
        let mut meta = self.meta(server);
        beside.add_to(&mut meta);
        Ok(self.result(text.to_owned(), structured, answer.is_error, meta))
    }

    /// A problem as a tool error: its text for models, and the same for programs.
    pub fn failed(&self, problem: Map<String, Value>, beside: Beside, server: Server<'_>) -> Bytes {
        let problem = Value::Object(problem);
        let (text, mut meta) = (problem.to_string(), self.meta(server));
        meta.0.insert(PROBLEM_KEY.to_owned(), problem);
        beside.add_to(&mut meta);
        self.result(text, None, true, meta)
    }

    fn result(&self, text: String, structured: Option<Value>, is_error: bool, meta: MetaObject) -> Bytes {
        let content = if text.is_empty() { Vec::new() } else { vec![ContentBlock::text(text)] };
        let mut result = if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
        result.structured_content = structured;
        result.meta = Some(meta).filter(|meta| !meta.0.is_empty());
        if !self.revision.is_whole() {
            result.result_type = None;
        }
        self.written(result)
    }
}
