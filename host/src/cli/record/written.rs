//! An exchange as a case: redacted, and written as TOML that only its owner can read.

use super::{proxy, recorder};
use crate::{
    artifact::{Artifact, EndpointPolicy},
    mocks::replies::{Given, Replies},
    model::{Code, Failure},
    protojson,
    redact::Redactor,
};
use anyhow::{Context, anyhow};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Map, Value};
use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Bytes of one message as JSON.
const MOST: usize = 8 << 20;
/// Claims that say how long a token counts and for whom, and nothing of who calls.
const OF_TOKENS: [&str; 8] = ["iss", "aud", "exp", "nbf", "iat", "jti", "azp", "typ"];

/// What is written, before it is.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub(super) name: &'a str,
    pub(super) artifact: &'a Artifact,
    pub(super) policy: &'a EndpointPolicy,
    /// Without the prefix of its client.
    pub(super) target: String,
}

impl Written<'_> {
    /// The case's text.
    pub(super) fn text(
        &self,
        redactor: &mut Redactor,
        asked: &proxy::Exchange,
        calls: &[recorder::Exchange],
    ) -> anyhow::Result<String> {
        let mut text = format!(
            "# Recorded by `weft record`. What it tells of people and tokens was replaced.\n\n[[case]]\nname = {}\n",
            string(self.name)
        );
        let target = redactor.target(&self.target);
        let _ = writeln!(text, "request = {}", string(&format!("{} {target}", asked.method)));
        let headers = self.headers(redactor, &asked.headers);
        if !headers.is_empty() {
            let _ = writeln!(text, "headers = {}", toml(&Value::Object(headers)));
        }
        if let Some(mut claims) = caller(&asked.headers) {
            let is_shown = |name: &String| !OF_TOKENS.contains(&name.as_str());
            claims.retain(|name, _| is_shown(name));
            redactor.claims(&mut claims);
            let _ = writeln!(text, "caller = {}", toml(&Value::Object(claims)));
        }
        if !asked.body.is_empty() {
            let _ = writeln!(text, "body = {}", toml(&body(redactor, "request", &asked.body)));
        }
        for call in calls {
            text += &self.call(redactor, call)?;
        }
        let _ = writeln!(text, "\n[case.expect]\nstatus = {}", asked.status);
        if let Some(kind) = asked.answer_headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
            let _ = writeln!(text, "headers = {{ content-type = {} }}", string(kind));
        }
        if !asked.answer.is_empty() {
            let mut body = body(redactor, "response", &asked.answer);
            if let Some(members) = body.as_object_mut().filter(|_| asked.status >= 400) {
                for own in
                    ["request_id", "trace_id"].into_iter().filter(|own| members.contains_key(*own)).collect::<Vec<_>>()
                {
                    members.insert(own.to_owned(), Value::String("*".to_owned()));
                }
            }
            let _ = writeln!(text, "body = {}", toml(&body));
        }
        Ok(text)
    }

    /// Those that the plugin sees.
    fn headers(&self, redactor: &mut Redactor, headers: &HeaderMap) -> Map<String, Value> {
        let mut kept = Map::new();
        let seen = self.policy.headers.iter().chain([&header::CONTENT_TYPE, &header::ACCEPT]);
        for name in seen {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            // What curl says by itself says nothing.
            let value = value.filter(|value| *value != "*/*");
            if let Some(value) = value.and_then(|value| redactor.header(name.as_str(), value)) {
                kept.insert(name.to_string(), Value::String(value));
            }
        }
        // Told of, although the case never has it.
        for name in [header::AUTHORIZATION, header::COOKIE] {
            if headers.contains_key(&name) {
                redactor.header(name.as_str(), "");
            }
        }
        kept
    }

    fn call(&self, redactor: &mut Redactor, call: &recorder::Exchange) -> anyhow::Result<String> {
        let replies = Replies::new(self.artifact.descriptors.clone(), 0);
        let method = replies.method(&call.method).ok_or_else(|| anyhow!("the protos have no `{}`", call.method))?;
        let mut text = format!("\n[[case.call]]\nmethod = {}\n", string(&call.method));
        let mut request = json(protojson::to_json(method.input(), &call.request, MOST))?;
        without_zeros(&mut request);
        let place = format!("request of {}", call.method);
        let mut kept = request.clone();
        redactor.json(&place, &mut kept);
        let nobody = || Given::failure(Failure::new(Code::Unknown, ""));
        if nobody().when(&method, &kept).is_err() {
            // A text stands where none can stand: it goes as a whole.
            kept = request;
            redactor.json_without(&place, &mut kept);
        }
        let request = kept;
        if request.as_object().is_some_and(|members| !members.is_empty()) {
            let _ = writeln!(text, "request = {}", toml(&request));
        }
        match &call.reply {
            Ok(reply) => {
                let read = |reply: &Bytes| {
                    if method.is_server_streaming() {
                        return json(protojson::list_to_json(method.output(), reply, MOST));
                    }
                    json(protojson::to_json(method.output(), reply, MOST))
                };
                let original = read(reply)?;
                let place = format!("reply of {}", call.method);
                let mut kept = original.clone();
                redactor.json(&place, &mut kept);
                if Given::reply(&method, &kept).is_err() {
                    kept = original;
                    redactor.json_without(&place, &mut kept);
                }
                Given::reply(&method, &kept)
                    .map_err(|reason| anyhow!("the reply of {} can't be kept: {reason}", call.method))?;
                let _ = writeln!(text, "reply = {}", toml(&kept));
            }
            Err(failure) => {
                let message = redactor.text(&format!("failure of {}", call.method), &failure.message);
                let _ = writeln!(text, "fails = {}\nmessage = {}", string(failure.code.as_str()), string(&message));
            }
        }
        Ok(text)
    }
}

/// Written as a whole, for its owner alone; never over another one.
pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let written = fs::create_dir_all(folder).and_then(|()| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        file.write_all(text.as_bytes())
    });
    written.with_context(|| format!("{} can't be written", file.display()))
}

/// The claims of the token that the request came with.
fn caller(headers: &HeaderMap) -> Option<Map<String, Value>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let token = value.split_once(' ').map_or(value, |(_, token)| token.trim());
    let payload = token.split('.').nth(1).and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = payload.and_then(|payload| serde_json::from_slice::<Map<String, Value>>(&payload).ok());
    Some(claims.unwrap_or_else(|| Map::from_iter([("sub".to_owned(), Value::String("caller".to_owned()))])))
}

fn body(redactor: &mut Redactor, place: &str, bytes: &[u8]) -> Value {
    match serde_json::from_slice(bytes) {
        Ok(mut json) => {
            redactor.json(place, &mut json);
            json
        }
        Err(_) => Value::String(redactor.text(place, &String::from_utf8_lossy(bytes))),
    }
}

fn json(bytes: Result<Bytes, Failure>) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&bytes.map_err(|failure| anyhow!(failure.message))?)?)
}

/// A request says what it says, and nothing else.
fn without_zeros(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty() && text != "0",
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            Value::Bool(true) => true,
        });
    }
}

/// JSON's escapes are TOML's.
fn string(text: &str) -> String {
    Value::String(text.to_owned()).to_string().replace('\u{7f}', "\\u007f")
}

/// A value as TOML has it, on one line. What JSON calls null is left out, or in a list said in JSON.
fn toml(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| format!("{} = {}", key(name), toml(value)))
                .collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
    }
}

fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if is_bare { name.to_owned() } else { string(name) }
}
