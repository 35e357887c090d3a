//! The names of the Elastic Common Schema (<https://www.elastic.co/docs/reference/ecs>). What that has no name for stands under `weft.`,
//! where it can't meet a field of another kind that somebody else has.

use serde_json::Value;
use std::borrow::Cow;

pub(super) const VERSION: &str = "8.11.0";

/// Which of the three streams of lines this is.
pub(super) fn dataset(target: &str) -> &'static str {
    match target {
        "access" => "weft.access",
        "plugin" => "weft.plugin",
        _ => "weft.host",
    }
}

/// A field by its name there, and in its unit.
pub(super) fn field(name: &str, value: Value) -> (Cow<'static, str>, Value) {
    let known = match name {
        "message" => "message",
        "method" if is_http(&value) => "http.request.method",
        "path" => "url.path",
        "status" => "http.response.status_code",
        "request_id" => "http.request.id",
        "trace_id" => "trace.id",
        "span_id" => "span.id",
        "caller" => "user.id",
        "address" => "client.ip",
        "cause" | "error" => "error.message",
        "backtrace" => "error.stack_trace",
        "thread" => "process.thread.name",
        "took_ms" => return ("event.duration".into(), nanoseconds(&value)),
        _ => return (format!("weft.{name}").into(), value),
    };
    (known.into(), value)
}

/// Of a backend's method the log speaks as well: `catalog.v1.Films/GetFilm`.
fn is_http(method: &Value) -> bool {
    method.as_str().is_some_and(|method| !method.contains('/'))
}

fn nanoseconds(millis: &Value) -> Value {
    let nanoseconds = millis.as_f64().map(|millis| (millis * 1e6).round());
    // A float of so many nanoseconds is a whole number; more than a hundred years don't occur.
    nanoseconds.map_or(Value::Null, |nanoseconds| Value::from(nanoseconds.max(0.0) as u64))
}
