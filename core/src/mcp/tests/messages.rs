//! What is understood of messages, and how the rest is refused.

use crate::mcp::*;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// A request of the revision that is served, with all that belongs to it.
fn whole(method: &str, params: Value) -> (HeaderMap, Value) {
    let mut params = params;
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": SERVED, "io.modelcontextprotocol/clientCapabilities": {},
    });
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    let mut pairs = vec![("mcp-protocol-version", SERVED), ("mcp-method", method)];
    pairs.extend((method == "tools/call").then_some(("mcp-name", name.as_str())));
    (headers(&pairs), json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }))
}

/// What a refusal says: status, code and text.
fn refused(headers: &HeaderMap, body: &[u8]) -> (u16, i64, String) {
    let refused = read(headers, body).unwrap_err();
    let said: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(said["jsonrpc"], "2.0");
    let (code, text) = (said["error"]["code"].as_i64().unwrap(), said["error"]["message"].as_str().unwrap());
    (refused.status.as_u16(), code, text.to_owned())
}

fn asked(message: (HeaderMap, Value)) -> What {
    match read(&message.0, message.1.to_string().as_bytes()).unwrap() {
        Message::Request(asked) => asked.what,
        Message::Notification => panic!("a request"),
    }
}

#[test]
fn what_is_asked_is_understood_by_both_kinds_of_revisions() {
    let older = headers(&[("mcp-protocol-version", OLDEST)]);
    let call = json!({ "name": "get_films", "arguments": { "a": 1 } });
    let of_older = |method: &str, params: Value| {
        (older.clone(), json!({ "jsonrpc": "2.0", "id": "x", "method": method, "params": params }))
    };
    for what in [asked(whole("tools/call", call.clone())), asked(of_older("tools/call", call))] {
        let arguments = Map::from_iter([("a".to_owned(), json!(1))]);
        assert_eq!(what, What::Call { tool: "get_films".to_owned(), arguments });
    }
    assert_eq!(asked(whole("server/discover", json!({}))), What::Discover);
    assert_eq!(asked(of_older("ping", json!({}))), What::Ping);
    assert_eq!(asked(of_older("tools/list", json!({ "cursor": "a" }))), What::List { cursor: Some("a".to_owned()) });
    let hello =
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": "2024-11-05" } });
    assert_eq!(asked((HeaderMap::new(), hello)), What::Initialize { wanted: "2024-11-05".to_owned() });
    for notification in [json!({}), json!({ "params": {} })] {
        let mut message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        message.as_object_mut().unwrap().extend(notification.as_object().unwrap().clone());
        assert_eq!(read(&older, message.to_string().as_bytes()).unwrap(), Message::Notification);
    }
    // A name that no header can have travels in base64.
    let (mut odd, body) = whole("tools/call", json!({ "name": "é" }));
    odd.insert("mcp-name", HeaderValue::from_static("=?base64?w6k=?="));
    assert!(matches!(asked((odd, body)), What::Call { tool, .. } if tool == "é"));
}

#[test]
fn what_is_no_message_is_refused_with_what_was_expected() {
    let none = HeaderMap::new();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_inside = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{{\"a\":{deep}}}}}");
    for (body, code, said) in [
        ("", -32700, "this is no JSON"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,", -32700, "this is no JSON"),
        ("\u{feff}{}", -32700, "this is no JSON"),
        (deep.as_str(), -32700, "recursion limit"),
        (deep_inside.as_str(), -32700, "recursion limit"),
        ("[]", -32600, "batches"),
        ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600, "batches"),
        ("1", -32600, "an object"),
        ("{\"id\":1,\"method\":\"ping\"}", -32600, "`jsonrpc` is \"2.0\""),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600, "`jsonrpc` is \"2.0\""),
        ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600, "`id` is a string or a whole number"),
        ("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600, "`id` is a string or a whole number"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1}", -32600, "`method` is missing"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", -32600, "`method` is missing"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", -32600, "asks nothing of its clients"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}", -32600, "`params` is an object"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", -32020, "mcp-protocol-version is missing"),
    ] {
        let (status, found, text) = refused(&none, body.as_bytes());
        assert_eq!((status, found), (400, code), "{}: {text}", &body[..body.len().min(80)]);
        assert!(text.contains(said), "{text}");
    }
    let (status, code, _) = refused(&none, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}");
    assert_eq!((status, code), (400, -32700));
}

#[test]
fn revisions_are_agreed_upon_or_refused_by_name() {
    let listing = |version: &str| {
        refused(
            &headers(&[("mcp-protocol-version", version)]),
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
        )
    };
    for old in ["2025-03-26", "2024-11-05", "2099-01-01", "latest", ""] {
        let (status, code, text) = listing(old);
        assert_eq!((status, code), (400, -32022), "{old}");
        assert!(text.contains("2026-07-28, 2025-11-25 and 2025-06-18"), "{text}");
    }
    let told =
        read(&headers(&[("mcp-protocol-version", "1900-01-01")]), b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}");
    let told: Value = serde_json::from_slice(&told.unwrap_err().body).unwrap();
    let data = json!({ "supported": ["2026-07-28", "2025-11-25", "2025-06-18"], "requested": "1900-01-01" });
    assert_eq!((&told["error"]["data"], &told["id"]), (&data, &json!(1)));

    // Of the revision without a handshake, header and body say the same, and all of it.
    let with = |change: &dyn Fn(&mut HeaderMap, &mut Value)| {
        let (mut headers, mut body) = whole("tools/call", json!({ "name": "get" }));
        change(&mut headers, &mut body);
        refused(&headers, body.to_string().as_bytes())
    };
    let set = |name: &'static str, value: &'static str| {
        move |headers: &mut HeaderMap, _: &mut Value| drop(headers.insert(name, HeaderValue::from_static(value)))
    };
    for (status, code, text) in [
        with(&set("mcp-protocol-version", "2025-11-25")),
        with(&|headers, _| drop(headers.remove("mcp-protocol-version"))),
        with(&set("mcp-method", "tools/list")),
        with(&|headers, _| drop(headers.remove("mcp-method"))),
        with(&set("mcp-name", "get_other")),
        with(&set("mcp-name", "=?base64?!?=")),
        with(&|headers, _| drop(headers.remove("mcp-name"))),
        with(&|headers, _| assert!(headers.append("mcp-method", HeaderValue::from_static("tools/call")))),
    ] {
        assert_eq!((status, code), (400, -32020), "{text}");
    }
    let meta = |key: &'static str| {
        move |_: &mut HeaderMap, body: &mut Value| drop(body["params"]["_meta"].as_object_mut().unwrap().remove(key))
    };
    for key in ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"] {
        let (status, code, text) = with(&meta(key));
        assert_eq!((status, code), (400, -32602), "{text}");
        assert!(text.contains(key), "{text}");
    }
    let (headers, body) = whole("resources/list", json!({}));
    let (status, code, text) = refused(&headers, body.to_string().as_bytes());
    assert_eq!((status, code, text.as_str()), (404, -32601, "there is no method `resources/list` here"));
    let (headers, body) = whole("ping", json!({}));
    assert_eq!(refused(&headers, body.to_string().as_bytes()).0, 404, "it went with the handshake");
}

proptest! {
    /// Whatever is sent, it is understood or refused.
    #[test]
    fn nothing_that_is_sent_does_more(body in prop::collection::vec(any::<u8>(), 0..200), version in "[ -~]{0,12}") {
        let _ = read(&headers(&[("mcp-protocol-version", &version)]), &body);
    }
}
