//! A message of an agent, read: one JSON-RPC request or notification, and the revision that it is to be understood by.

use super::{
    heads,
    revision::{OLDEST, Revision},
    text::shown,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use rmcp::model::{ErrorCode, ErrorData, JsonRpcError, RequestId};
use serde_json::{Map, Value, json};

type Id = RequestId;

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
/// Bytes of a cursor, which is a tool's name.
const LONGEST_CURSOR: usize = super::names::LONGEST;

/// What was sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Nothing comes of it.
    Notification,
    Request(Asked),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub by: Asking,
    pub what: What,
}

/// The request that is answered, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Asking {
    pub(super) id: RequestId,
    pub(super) revision: Revision,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The handshake of older revisions, and the one that the client would like.
    Initialize {
        wanted: String,
    },
    Discover,
    Ping,
    /// Tools, from behind the one that the cursor names.
    List {
        cursor: Option<String>,
    },
    Call {
        tool: String,
        arguments: Map<String, Value>,
    },
}

impl What {
    /// As the metrics call it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Initialize { .. } => "initialize",
            Self::Discover => "server/discover",
            Self::Ping => "ping",
            Self::List { .. } => "tools/list",
            Self::Call { .. } => "tools/call",
        }
    }
}

/// Why a message is not followed: the answer to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Refused {
    /// Of a message that could not be understood so far that it has a revision.
    fn unread(id: Option<Id>, error: ErrorData) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: written(id, error) }
    }

    /// Of a request: what is an error of the protocol and not of HTTP has the status that the revision gives it.
    pub(super) fn of(id: Id, revision: Revision, error: ErrorData) -> Self {
        let status = match error.code {
            ErrorCode::METHOD_NOT_FOUND if revision.is_whole() => StatusCode::NOT_FOUND,
            ErrorCode::HEADER_MISMATCH | ErrorCode::UNSUPPORTED_PROTOCOL_VERSION => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        };
        Self { status, body: written(Some(id), error) }
    }
}

fn written(id: Option<Id>, error: ErrorData) -> Bytes {
    serde_json::to_vec(&JsonRpcError::new(id, error)).unwrap_or_default().into()
}

/// Reads the body of a POST, and the headers that repeat parts of it.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Message, Refused> {
    let invalid = |id: Option<Id>, text: &str| Refused::unread(id, ErrorData::invalid_request(text.to_owned(), None));
    let mut message = match serde_json::from_slice(body) {
        Ok(Value::Object(message)) => message,
        Ok(Value::Array(_)) => {
            let text = "messages have not come in batches since 2025-06-18: send each by itself";
            return Err(invalid(None, text));
        }
        Ok(_) => return Err(invalid(None, "a message is an object")),
        // What serde says of it names a place in the text, and nothing of the host.
        Err(error) => {
            return Err(Refused::unread(None, ErrorData::parse_error(format!("this is no JSON: {error}"), None)));
        }
    };
    let id = match message.remove("id") {
        None => None,
        Some(id) => match serde_json::from_value::<Id>(id) {
            Ok(id) => Some(id),
            Err(_) => return Err(invalid(None, "`id` is a string or a whole number")),
        },
    };
    if message.get("jsonrpc").is_none_or(|version| version != "2.0") {
        return Err(invalid(id, "`jsonrpc` is \"2.0\""));
    }
    let Some(Value::String(method)) = message.remove("method") else {
        let text = match message.contains_key("result") || message.contains_key("error") {
            true => "this server asks nothing of its clients, so there is nothing to answer",
            false => "`method` is missing: what is asked for",
        };
        return Err(invalid(id, text));
    };
    let params = match message.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err(invalid(id, "`params` is an object")),
    };
    let said = heads::version(headers).map_err(|text| mismatch(id.clone(), text))?;
    match id {
        Some(id) => request(headers, id, said, &method, params).map(Message::Request),
        None => match said.is_none_or(|said| Revision::named(said).is_some()) {
            true => Ok(Message::Notification),
            false => Err(unsupported(None, said.unwrap_or_default())),
        },
    }
}

fn mismatch(id: Option<Id>, text: String) -> Refused {
    Refused::unread(id, ErrorData::header_mismatch(text, None))
}

fn unsupported(id: Option<Id>, wanted: &str) -> Refused {
    let wanted = shown(wanted);
    let text = format!("the revision `{wanted}` is not served; {} are", Revision::list());
    let data = json!({ "supported": Revision::ALL.map(Revision::as_str), "requested": wanted });
    Refused::unread(id, ErrorData::new(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, text, Some(data)))
}

fn request(
    headers: &HeaderMap,
    id: Id,
    said: Option<&str>,
    method: &str,
    params: Map<String, Value>,
) -> Result<Asked, Refused> {
    let revision = revision(&id, said, method, &params)?;
    let name = match method {
        "tools/call" | "prompts/get" => params.get("name").and_then(Value::as_str),
        "resources/read" => params.get("uri").and_then(Value::as_str),
        _ => None,
    };
    heads::check(headers, revision, (method, name)).map_err(|text| mismatch(Some(id.clone()), text))?;
    match what(method, revision, params) {
        Ok(what) => Ok(Asked { by: Asking { id, revision }, what }),
        Err(error) => Err(Refused::of(id, revision, error)),
    }
}

/// What the request is to be understood by: as its header says and, since there is no handshake, its body too.
fn revision(id: &Id, said: Option<&str>, method: &str, params: &Map<String, Value>) -> Result<Revision, Refused> {
    // Here it is still being agreed upon.
    if method == "initialize" {
        return Ok(Revision::WITH_HANDSHAKE);
    }
    let meta = params.get("_meta").and_then(Value::as_object);
    let in_body = meta.and_then(|meta| meta.get(VERSION_KEY)).and_then(Value::as_str);
    let (wanted, said) = match (in_body, said) {
        (Some(in_body), Some(said)) if in_body == said => (in_body, said),
        (Some(in_body), Some(said)) => {
            let text =
                format!("the header mcp-protocol-version says `{}`, and the body `{}`", shown(said), shown(in_body));
            return Err(mismatch(Some(id.clone()), text));
        }
        (Some(in_body), None) => {
            let text = format!("the header mcp-protocol-version is missing, and the body says `{}`", shown(in_body));
            return Err(mismatch(Some(id.clone()), text));
        }
        (None, Some(said)) => (said, said),
        (None, None) => {
            let text = format!("the header mcp-protocol-version is missing: it names the revision, {OLDEST} or newer");
            return Err(mismatch(Some(id.clone()), text));
        }
    };
    let revision = Revision::named(wanted).ok_or_else(|| unsupported(Some(id.clone()), said))?;
    let has_capabilities = meta.and_then(|meta| meta.get(CAPABILITIES_KEY)).is_some_and(Value::is_object);
    if revision.is_whole() && (in_body.is_none() || !has_capabilities) {
        let text = format!("`params._meta` has to have `{VERSION_KEY}` and `{CAPABILITIES_KEY}`");
        return Err(Refused::unread(Some(id.clone()), ErrorData::invalid_params(text, None)));
    }
    Ok(revision)
}

fn what(method: &str, revision: Revision, mut params: Map<String, Value>) -> Result<What, ErrorData> {
    let invalid = |text: &str| ErrorData::invalid_params(text.to_owned(), None);
    match (method, revision.is_whole()) {
        ("initialize", _) => match params.remove("protocolVersion") {
            Some(Value::String(wanted)) => Ok(What::Initialize { wanted }),
            _ => Err(invalid("`protocolVersion` is missing")),
        },
        ("server/discover", true) => Ok(What::Discover),
        ("ping", false) => Ok(What::Ping),
        ("tools/list", _) => match params.remove("cursor") {
            None | Some(Value::Null) => Ok(What::List { cursor: None }),
            Some(Value::String(cursor)) if cursor.len() <= LONGEST_CURSOR => Ok(What::List { cursor: Some(cursor) }),
            Some(_) => Err(invalid("`cursor` is none that was given here")),
        },
        ("tools/call", _) => {
            let Some(Value::String(tool)) = params.remove("name") else { return Err(invalid("`name` is missing")) };
            match params.remove("arguments") {
                None | Some(Value::Null) => Ok(What::Call { tool, arguments: Map::new() }),
                Some(Value::Object(arguments)) => Ok(What::Call { tool, arguments }),
                Some(_) => Err(invalid("`arguments` is an object")),
            }
        }
        _ => {
            let text = format!("there is no method `{}` here", shown(method));
            Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, text, None))
        }
    }
}
