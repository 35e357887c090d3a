//! The messages of Nacos 2 and 3 that are used here: one of protobuf, with JSON in it.
//!
//! They are written down because the SDK brings a second HTTP client, and a second provider of cryptography with its TLS.

use crate::upstream::registry::said;
use bytes::Bytes;
use prost::Message;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A connection that its server does not know, or not yet.
pub(super) const UNREGISTERED: i64 = 301;

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
    #[prost(message, optional, tag = "3")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(btree_map = "string, string", tag = "7")]
    headers: BTreeMap<String, String>,
    #[prost(string, tag = "8")]
    client_ip: String,
}

/// What is read of a message. Its headers are not: nobody needs them, and there may be millions.
#[derive(Clone, PartialEq, Message)]
struct Received {
    #[prost(message, optional, tag = "2")]
    metadata: Option<ReceivedMetadata>,
    #[prost(message, optional, tag = "3")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Message)]
struct ReceivedMetadata {
    #[prost(string, tag = "3")]
    kind: String,
}

/// google.protobuf.Any, of which Nacos leaves the type empty.
#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// Why a server does not do as it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// Nacos' own; 0 where there is no answer of it.
    pub(super) code: i64,
    pub(super) text: String,
}

impl Refused {
    pub(super) fn other(text: impl Into<String>) -> Self {
        Self { code: 0, text: text.into() }
    }
}

/// What comes from a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) kind: String,
    pub(super) body: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    result_code: Option<i64>,
    error_code: Option<i64>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    request_id: Option<String>,
}

pub(super) fn written(kind: &str, token: Option<&str>, client_ip: &str, body: &Value) -> Bytes {
    let headers = token.map(|token| ("accessToken".to_owned(), token.to_owned())).into_iter().collect();
    let metadata = Metadata { kind: kind.to_owned(), headers, client_ip: client_ip.to_owned() };
    let body = Body { value: body.to_string().into() };
    Payload { metadata: Some(metadata), body: Some(body) }.encode_to_vec().into()
}

pub(super) fn read(bytes: Bytes) -> Result<Incoming, String> {
    let payload = Received::decode(bytes).map_err(|error| format!("its message can't be read: {error}"))?;
    Ok(Incoming {
        kind: payload.metadata.unwrap_or_default().kind,
        body: payload.body.map(|body| body.value).unwrap_or_default(),
    })
}

/// The body of an answer, unless it says that something went wrong.
pub(super) fn answer(bytes: Bytes) -> Result<Bytes, Refused> {
    let Incoming { body, .. } = read(bytes).map_err(Refused::other)?;
    let unreadable = |error| Refused::other(format!("its answer can't be read: {error}"));
    let answer: Answer = serde_json::from_slice(&body).map_err(unreadable)?;
    match answer.result_code {
        Some(200) => Ok(body),
        result => {
            let code = answer.error_code.filter(|code| *code != 0).or(result).unwrap_or_default();
            let message = said(answer.message.unwrap_or_default().as_bytes());
            Err(Refused { code, text: format!("it refuses: {code} {message}") })
        }
    }
}

/// What a question of a server is answered with, by its own number: there is nothing to say but that it came.
pub(super) fn acknowledged(question: &Incoming, client_ip: &str) -> Option<Bytes> {
    let kind = match question.kind.as_str() {
        "NotifySubscriberRequest" => "NotifySubscriberResponse",
        "ClientDetectionRequest" => "ClientDetectionResponse",
        "ConnectResetRequest" => "ConnectResetResponse",
        "SetupAckRequest" => "SetupAckResponse",
        _ => return None,
    };
    let id = serde_json::from_slice::<Question>(&question.body).ok()?.request_id;
    let body = serde_json::json!({ "resultCode": 200, "errorCode": 0, "requestId": id });
    Some(written(kind, None, client_ip, &body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(kind: &str, body: &str) -> Bytes {
        let metadata = Metadata { kind: kind.to_owned(), ..Metadata::default() };
        let body = Body { value: body.to_owned().into() };
        Payload { metadata: Some(metadata), body: Some(body) }.encode_to_vec().into()
    }

    #[test]
    fn a_message_has_the_fields_of_nacos_grpc_service_proto() {
        let bytes = written("HealthCheckRequest", Some("t"), "10.0.0.9", &json!({ "requestId": "1" }));
        let expected = b"\x12\x30\x1a\x12HealthCheckRequest\x3a\x10\x0a\x0baccessToken\x12\x01t\x42\x0810.0.0.9\
                         \x1a\x13\x12\x11{\"requestId\":\"1\"}";
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
        let read = read(bytes).unwrap();
        assert_eq!((read.kind.as_str(), &read.body[..]), ("HealthCheckRequest", &br#"{"requestId":"1"}"#[..]));
    }

    #[test]
    fn answers_say_what_went_wrong() {
        let body = r#"{"resultCode":200,"errorCode":0,"message":null,"requestId":"1","success":true}"#;
        assert_eq!(&answer(message("HealthCheckResponse", body)).unwrap()[..], body.as_bytes());
        let refused = r#"{"resultCode":500,"errorCode":301,"message":"Connection is unregistered.","success":false}"#;
        let refused = answer(message("ErrorResponse", refused)).unwrap_err();
        assert_eq!((refused.code, refused.text.as_str()), (301, "it refuses: 301 Connection is unregistered."));
        for nonsense in ["", "null", "[]", "<html>", "{}", r#"{"resultCode":"200"}"#] {
            assert!(answer(message("X", nonsense)).is_err(), "{nonsense}");
        }
        assert!(answer(Bytes::from_static(b"\xff\xff")).is_err());
    }

    #[test]
    fn questions_of_a_server_are_acknowledged_by_their_number() {
        for (kind, expected) in [
            ("ClientDetectionRequest", Some("ClientDetectionResponse")),
            ("NotifySubscriberRequest", Some("NotifySubscriberResponse")),
            ("SetupAckRequest", Some("SetupAckResponse")),
            ("SomethingNewRequest", None),
        ] {
            let question = read(message(kind, r#"{"requestId":"17","module":"internal"}"#)).unwrap();
            let answer = acknowledged(&question, "").map(|bytes| read(bytes).unwrap());
            assert_eq!(answer.as_ref().map(|answer| answer.kind.as_str()), expected);
            assert!(answer.is_none_or(|answer| answer.body.windows(16).any(|part| part == br#""requestId":"17""#)));
        }
    }
}
