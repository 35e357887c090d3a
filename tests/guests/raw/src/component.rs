//! The component: each endpoint works the contract by hand.

#![allow(unsafe_code, missing_debug_implementations, unused_qualifications, reason = "generated from wit/")]

use std::sync::atomic::{AtomicU32, Ordering};

use weft::bff::backend::{self, Call, CallHead, Completion, Encoding};
use weft::bff::config;

use crate::{FILM, PERSON};

wit_bindgen::generate!({ path: "../../../wit", world: "plugin" });

/// Requests that this instance has served.
static SERVED: AtomicU32 = AtomicU32::new(0);

struct Component;

impl Guest for Component {
    fn handle(request: Request) -> Result<Response, Problem> {
        let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.endpoint.strip_prefix("GET /raw/").unwrap_or(&request.endpoint);
        match path {
            "POST /films/{slug}" => text(200, &format!("{:?}", request.params)),
            "POST /raw/json/{service}/{method}" => json(request),
            "version" => text(200, &version()),
            "held-version" => held_version(),
            "tickets" => tickets(served),
            "batch" => batch(),
            "cancel" => cancel(),
            "forged-number" => forged_number(),
            "bad-offset" => bad_head(CallHead { offset: 1_000, ..head(FILM) }),
            "bad-flags" => bad_head(CallHead { flags: 1 << 31, ..head(FILM) }),
            "crossings" => crossings(),
            "status/{number}" => text(request.params[0].1.parse().unwrap_or_default(), "as asked"),
            "bad-header" => with_headers(vec![("bad name".to_owned(), "value".to_owned())]),
            "bad-problem" => Err(problem(200)),
            other => text(404, other),
        }
    }
}

fn text(status: u16, body: &str) -> Result<Response, Problem> {
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    Ok(Response { status, headers, body: body.as_bytes().to_vec(), extensions: Vec::new() })
}

fn with_headers(headers: Vec<(String, String)>) -> Result<Response, Problem> {
    Ok(Response { status: 200, headers, body: Vec::new(), extensions: Vec::new() })
}

fn problem(status: u16) -> Problem {
    let (title, detail) = ("Odd".to_owned(), "a problem that is none".to_owned());
    Problem { status, kind: String::new(), title, detail, extensions: Vec::new() }
}

fn version() -> String {
    config::get("version").unwrap_or_default()
}

/// One byte each for tag and value: `GetFilmRequest { id: 1 }`, and `GetPersonRequest { id: 1 }` just so.
const ONE: [u8; 2] = [0x08, 0x01];
const TWO: [u8; 2] = [0x08, 0x02];

fn head(method: u32) -> CallHead {
    CallHead { method, flags: 1, timeout_ms: 0, offset: 0, len: 2 }
}

fn listed(completions: &[Completion]) -> String {
    completions.iter().map(|done| format!("{}:{} ", done.ticket, done.code)).collect::<String>().trim_end().to_owned()
}

/// The version is read first and told last: in between a backend may keep us waiting.
fn held_version() -> Result<Response, Problem> {
    let version = version();
    let (done, _) = backend::exchange(&[head(PERSON)], &ONE, &[], None);
    match listed(&done).as_str() {
        "0:0" => text(200, &version),
        other => text(500, other),
    }
}

fn tickets(served: u32) -> Result<Response, Problem> {
    let (left, _) = backend::exchange(&[], &[], &[], Some(0));
    let (done, _) = backend::exchange(&[head(PERSON)], &ONE, &[], None);
    text(200, &format!("served {served}, left over [{}], done [{}]", listed(&left), listed(&done)))
}

/// Two calls go out, one is cancelled before it is waited for: its ticket never comes back.
fn cancel() -> Result<Response, Problem> {
    let heads = [head(PERSON), CallHead { offset: 2, ..head(FILM) }];
    let messages = [ONE, TWO].concat();
    let (none, _) = backend::exchange(&heads, &messages, &[], Some(0));
    let (done, _) = backend::exchange(&[], &[], &[1, 77], None);
    let (rest, _) = backend::exchange(&[], &[], &[], None);
    text(200, &format!("[{}] [{}] [{}]", listed(&none), listed(&done), listed(&rest)))
}

fn forged_number() -> Result<Response, Problem> {
    let (done, _) = backend::exchange(&[head(77), head(FILM)], &ONE, &[], None);
    let (rest, _) = backend::exchange(&[], &[], &[], None);
    text(200, &format!("[{}] [{}]", listed(&done), listed(&rest)))
}

fn bad_head(head: CallHead) -> Result<Response, Problem> {
    let (done, _) = backend::exchange(&[head], &ONE, &[], None);
    text(200, &listed(&done))
}

fn crossings() -> Result<Response, Problem> {
    for _ in 0..100_000 {
        backend::exchange(&[], &[], &[], None);
    }
    text(200, "crossed")
}

/// Any call in JSON: the reply, or the code and what was said. With a query, `each` such calls at once, and that so many `times`; what
/// came of the last one is told.
fn json(request: Request) -> Result<Response, Problem> {
    let [(_, service), (_, method)] = request.params.as_slice() else { return text(500, "two parameters") };
    let number = |name: &str| {
        let value = request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.parse().unwrap_or(1));
        value.unwrap_or(1_usize)
    };
    let call = Call {
        method: format!("{service}/{method}"),
        message: request.body.clone(),
        encoding: Encoding::Json,
        timeout_ms: None,
    };
    let calls = vec![call; number("each")];
    for _ in 1..number("times") {
        backend::call_batch(&calls);
    }
    match backend::call_batch(&calls).last() {
        Some(Ok(reply)) => text(200, &String::from_utf8_lossy(&reply.message)),
        Some(Err(failure)) => text(422, &format!("{} {}", failure.code, failure.message)),
        None => text(500, "no call, no answer"),
    }
}

/// One call in protobuf, the rest in JSON: good, without JSON, not granted.
fn batch() -> Result<Response, Problem> {
    let call = |method: &str, message: &[u8], encoding| Call {
        method: method.to_owned(),
        message: message.to_vec(),
        encoding,
        timeout_ms: None,
    };
    let calls = [
        call("catalog.v1.Films/GetFilm", &ONE, Encoding::Protobuf),
        call("people.v1.People/GetPerson", br#"{"id": 1}"#, Encoding::Json),
        call("people.v1.People/GetPerson", br#"{"id": "#, Encoding::Json),
        call("catalog.v1.Films/ListFilms", b"{}", Encoding::Json),
    ];
    let lines: Vec<String> = backend::call_batch(&calls)
        .into_iter()
        .zip(&calls)
        .map(|(answer, call)| match (answer, call.encoding) {
            (Ok(reply), Encoding::Json) => String::from_utf8_lossy(&reply.message).into_owned(),
            (Ok(reply), Encoding::Protobuf) => format!("{:02x?}", reply.message),
            (Err(failure), _) => format!("{} {}", failure.code, failure.message),
        })
        .collect();
    text(200, &lines.join("\n"))
}

export!(Component);
