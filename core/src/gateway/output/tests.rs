//! What a plugin may answer, and what is left of it.

use super::*;
use crate::artifact::{Auth, EndpointName};

fn answered(
    (status, headers, body): (u16, &[(&str, &str)], &str),
    asked: &[&'static str],
    granted: &[&'static str],
) -> Result<Reply, Fault> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let response = plugin::Response { status, headers, body: body.into(), extensions: vec![] };
    reply(response, &policy(asked), &names(granted))
}

fn names(list: &[&'static str]) -> Vec<HeaderName> {
    list.iter().map(|name| HeaderName::from_static(name)).collect()
}

/// Of an endpoint that asks for these response headers.
fn policy(asked: &[&'static str]) -> EndpointPolicy {
    let mistakes = crate::settings::Mistakes::new();
    let document = crate::settings::Document::parse(std::path::Path::new("p"), "", &mistakes);
    EndpointPolicy {
        name: EndpointName::new("GET", "/").unwrap(),
        auth: Auth::None,
        timeout: std::time::Duration::from_secs(1),
        headers: vec![],
        claims: vec![],
        response_headers: names(asked),
        priority: crate::artifact::Priority::Normal,
        rate: None,
        principal_rate: None,
        idempotency: None,
        deprecated: None,
        deprecated_fields: Vec::new(),
        cache: None,
        streams: false,
        consumes: vec![],
        produces: vec![],
        fields: None,
        place: document.table(&mistakes).place(""),
    }
}

fn kept(name: &str, asked: &[&'static str], granted: &[&'static str]) -> bool {
    !answered((200, &[(name, "v")], ""), asked, granted).unwrap().headers.is_empty()
}

fn told(status: u16, kind: &str, title: &str) -> (u16, String, String) {
    let [kind, title, detail] = [kind, title, "d"].map(str::to_owned);
    let reply = problem(plugin::Problem { status, kind, title, detail, ..plugin::Problem::default() });
    let Body::Problem { kind, title, .. } = reply.body else { panic!("a problem") };
    (reply.status.as_u16(), kind, title)
}

#[test]
fn a_problem_without_a_type_is_called_what_its_status_is_called() {
    let blank = |status, title: &str| (status, "about:blank".to_owned(), title.to_owned());
    for kind in ["", "about:blank"] {
        for title in ["", "Not Found", "No such film"] {
            assert_eq!(told(404, kind, title), blank(404, "Not Found"));
        }
        assert_eq!(told(422, kind, "Unprocessable Content"), blank(422, "Unprocessable Content"));
        assert_eq!(told(413, kind, ""), blank(413, "Content Too Large"));
        // A status that is no error: neither it nor its phrase is kept.
        assert_eq!(told(200, kind, "OK"), blank(502, "Bad Gateway"));
        assert_eq!(told(499, kind, "Closed"), blank(499, "Error"));
    }
    let typed = |title: &str| (409, "/problems/taken".to_owned(), title.to_owned());
    assert_eq!(told(409, "/problems/taken", "Seat taken"), typed("Seat taken"));
    assert_eq!(told(409, "/problems/taken", ""), typed("Conflict"));
}

#[test]
fn what_a_gateway_could_take_for_a_command_needs_a_grant() {
    for name in [
        "x-accel-redirect",
        "x-accel-buffering",
        "x-sendfile",
        "x-lighttpd-send-file",
        "x-reproxy-url",
        "x-envoy-upstream-service-time",
        "x-forwarded-host",
        "x-page",
        "surrogate-control",
        "alt-svc",
        "clear-site-data",
        "strict-transport-security",
        "access-control-allow-origin",
    ] {
        assert!(!kept(name, &[], &[]), "{name}");
        assert!(!kept(name, &[name], &[]), "{name}: asking is not being granted");
        assert!(kept(name, &[name], &[name]), "{name}");
    }
}

#[test]
fn an_answer_that_was_made_elsewhere_says_no_more_than_one_that_was_made_here() {
    let said = [("cache-control", "public, max-age=600"), ("x-envoy-a", "1"), ("x-page", "7")];
    let mut headers: HeaderMap = said
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    retain_allowed(&mut headers, &policy(&["x-page"]), &names(&["x-page"]));
    let made_here = answered((200, &said, ""), &["x-page"], &["x-page"]).unwrap().headers;
    assert_eq!(headers, made_here);
    assert_eq!(headers.get(header::CACHE_CONTROL).unwrap(), "private, max-age=600");
    assert_eq!(headers.len(), 2);
}

#[test]
fn a_status_is_one_that_a_response_can_have() {
    for status in [0, 99, 100, 101, 199, 600, 999, 1000] {
        assert_eq!(
            answered((status, &[], ""), &[], &[]).unwrap_err().problem.kind,
            ProblemType::PluginResponse,
            "{status}"
        );
    }
    for status in [200, 299, 404, 599] {
        assert_eq!(answered((status, &[], ""), &[], &[]).unwrap().status, status);
    }
}

#[test]
fn what_can_be_said_once_is_said_once() {
    let said = [
        ("content-type", "text/html"),
        ("vary", "accept-language"),
        ("content-type", "text/plain"),
        ("location", "/a"),
        ("vary", "x-app"),
        ("location", "/b"),
    ];
    let headers = answered((200, &said, "body"), &[], &[]).unwrap().headers;
    let all = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((all("content-type"), all("location")), (vec!["text/plain".to_owned()], vec!["/b".to_owned()]));
    assert_eq!(all("vary"), ["accept-language", "x-app"]);
}

#[test]
fn what_has_no_body_gets_none() {
    for (status, left) in [(204, 1), (304, 1), (205, 0)] {
        let headers = [("content-type", "text/plain"), ("etag", "\"a\"")];
        let reply = answered((status, &headers, "body"), &[], &[]).unwrap();
        assert!(matches!(&reply.body, Body::Bytes(bytes) if bytes.is_empty()), "{status}");
        assert_eq!(reply.headers.len(), left, "{status}: {:?}", reply.headers);
    }
}

#[test]
fn tags_have_their_quotes() {
    let of = |tag| {
        let reply = answered((200, &[("etag", tag)], ""), &[], &[]).unwrap();
        reply.headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned())
    };
    for (given, sent) in [
        ("v1", Some("\"v1\"")),
        ("\"v1\"", Some("\"v1\"")),
        ("W/\"v1\"", Some("W/\"v1\"")),
        ("\"a\"b\"", None),
        ("a b", None),
        ("\"", None),
        ("", None),
    ] {
        assert_eq!(of(given).as_deref(), sent, "{given}");
    }
}

#[test]
fn what_is_not_asked_for_and_granted_is_not_set() {
    assert!(kept("Content-Type", &[], &[]));
    assert!(!kept("Set-Cookie", &[], &["set-cookie"]));
    assert!(!kept("Set-Cookie", &["set-cookie"], &[]));
    assert!(kept("Set-Cookie", &["set-cookie"], &["set-cookie"]));
    for never in ["content-length", "connection", "x-weft-degraded", "x-request-id", "transfer-encoding"] {
        let name = Box::leak(never.to_owned().into_boxed_str());
        assert!(!kept(never, &[name], &[name]), "{never}");
    }
    assert!(!kept("access-control-allow-origin", &[], &[]));
}
