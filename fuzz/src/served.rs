//! A whole host whose one plugin is a function of this process, with a client who sends what was never meant: `edge` is a connection's
//! bytes, `gateway` what a guest answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};
use weft_core::{
    app::{self, Running},
    artifact::{CONTRACT, Sections},
    config::Config,
    plugin::{Fields, Invocation, Natives, Problem, Response},
};

/// The shortest component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

const CONFIG: &str = r#"
[[client]]
name = "web"

[http]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"

[plugins]
folder = "plugins"
response-headers = ["set-cookie"]
"#;

const MANIFEST: &str = r#"
[plugin]
name = "say"
version = "1.0.0"
client = "web"

[endpoint."POST /say"]
auth = "none"
consumes = ["*/*"]
response-headers = ["set-cookie", "x-asked"]
"#;

/// What an answer may have: what every plugin may set, what this one was granted, and what is the host's own.
const ALLOWED: [&str; 20] = [
    "content-type",
    "content-language",
    "content-disposition",
    "cache-control",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "vary",
    "accept-ranges",
    "deprecation",
    "set-cookie",
    "x-request-id",
    "traceparent",
    "server-timing",
    "content-length",
    "connection",
    "date",
];

struct Host {
    address: SocketAddr,
    /// Go with the process.
    _running: Running,
    _runtime: Runtime,
    _folder: tempfile::TempDir,
}

fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("plugins")).unwrap();
        std::fs::write(folder.path().join("plugins/say.wasm"), artifact()).unwrap();
        let config = Config::parse(&folder.path().join("weft.toml"), CONFIG).unwrap();
        let natives = Natives::default().with("say", async |invocation: Invocation| said(&invocation.request.body));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let running = runtime.block_on(app::start(config, Arc::new(natives), app::Listening::default())).unwrap();
        Host { address: running.http, _running: running, _runtime: runtime, _folder: folder }
    })
}

fn artifact() -> Vec<u8> {
    let sections = Sections {
        manifest: MANIFEST.to_owned(),
        methods: Vec::new(),
        descriptors: Vec::new(),
        schema: br#"[{"method": "POST", "path": "/say"}]"#.to_vec(),
        mocks: b"{}".to_vec(),
        contract: CONTRACT.to_owned(),
    };
    sections.append_to(COMPONENT)
}

/// A guest's answer: `r`esponse or `p`roblem, a status, lines of `name: value`, an empty line, and the body.
fn said(bytes: &[u8]) -> Result<Response, Problem> {
    let (kind, rest) = bytes.split_first().unwrap_or((&b'r', &[]));
    let (status, rest) = rest.split_first_chunk().unwrap_or((&[0, 200], &[]));
    let status = u16::from_be_bytes(*status);
    let end = rest.windows(2).position(|two| two == b"\n\n").unwrap_or(rest.len());
    let (head, body) = (&rest[..end], rest.get(end + 2..).unwrap_or_default());
    let text = String::from_utf8_lossy(head);
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fields: Fields = text.split('\n').filter_map(pair).collect();
    if *kind != b'p' {
        return Ok(Response { status, headers: fields, body: body.to_vec(), extensions: Vec::new() });
    }
    let detail = String::from_utf8_lossy(body).into_owned();
    Err(Problem { status, kind: String::new(), title: String::new(), detail, extensions: fields, retry_after: None })
}

/// How long whoever has sent all waits for the first byte of an answer. To a client who has closed its side the host owes none.
const PATIENCE: Duration = Duration::from_millis(100);

/// Sends this and nothing else, and reads what comes back until the host closes.
fn conversation(sent: &[u8]) -> Vec<u8> {
    let mut connection = TcpStream::connect(host().address).unwrap();
    // Whoever is refused may not be listened to any more.
    let _ = connection.write_all(sent);
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = connection.peek(&mut [0]);
    let _ = connection.shutdown(Shutdown::Write);
    connection.set_read_timeout(None).unwrap();
    let mut back = Vec::new();
    let _ = connection.read_to_end(&mut back);
    back
}

/// The last answer of HTTP/1: nothing may follow it.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let (line, lines) = head.split_once("\r\n").unwrap();
        let status = line.strip_prefix("HTTP/1.1 ").unwrap().get(..3).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines.split("\r\n") {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        let body = Bytes::copy_from_slice(&bytes[end + 4..]);
        if let Some(length) = headers.get("content-length") {
            assert_eq!(length.to_str().unwrap(), body.len().to_string(), "nothing follows an answer");
        }
        Self { status, headers, body }
    }
}

fn ask(body: &[u8]) -> Answer {
    let head = format!(
        "POST /say HTTP/1.1\r\nhost: weft\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(host().address).unwrap();
    connection.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut back = Vec::new();
    connection.read_to_end(&mut back).unwrap();
    Answer::read(&back)
}

/// A connection's bytes, whatever they are: what comes back begins as HTTP does, nothing of the host has failed, and it goes on to serve.
pub fn edge(bytes: &[u8]) -> bool {
    let back = conversation(bytes);
    // Of HTTP/2, the first frame is SETTINGS on no stream.
    let is_http2 = back.get(3..9) == Some(&[4, 0, 0, 0, 0, 0]);
    assert!(back.is_empty() || back.starts_with(b"HTTP/1.1 ") || is_http2, "{:?}", String::from_utf8_lossy(&back));
    let text = String::from_utf8_lossy(&back);
    assert!(!text.contains("urn:weft:problem:host\"") && !text.contains("HTTP/1.1 500"), "{text}");
    let after = ask(b"r\x00\xc8content-type: text/plain\n\nstill here");
    assert_eq!((after.status, &after.body[..]), (200, &b"still here"[..]));
    is_http2 || text.contains("x-request-id: ")
}

/// A guest's answer, whatever it is: one answer comes out, with a status that one can have, no header that was not granted, and the body as
/// it was given.
pub fn gateway(bytes: &[u8]) -> bool {
    let answer = ask(bytes);
    assert!((200..600).contains(&answer.status), "{}", answer.status);
    for name in answer.headers.keys() {
        assert!(ALLOWED.contains(&name.as_str()), "{name} was not granted");
    }
    assert!(answer.headers.contains_key("x-request-id"), "it is the host's");
    let is_problem = answer.headers.get("content-type").is_some_and(|kind| kind == "application/problem+json");
    match said(bytes) {
        Ok(given) if given.status == answer.status && !is_problem => {
            let has_body = ![204, 205, 304].contains(&given.status);
            assert_eq!(&answer.body[..], if has_body { &given.body[..] } else { &[] });
        }
        Ok(given) => assert!(answer.status == 502 || given.status == answer.status, "{}", answer.status),
        Err(given) => {
            assert!(is_problem);
            let status = if (400..600).contains(&given.status) { given.status } else { 502 };
            let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((answer.status, &document["status"]), (status, &status.into()));
            assert_eq!(document["detail"], given.detail, "no member of a plugin takes the place of the standard's");
        }
    }
    bytes.len() > 3
}
