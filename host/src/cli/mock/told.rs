//! What is said at the start: what is served, and how to ask for it.

use super::sources::Plugin;
use crate::{
    artifact::{Auth, EndpointPolicy, EndpointSchema},
    cli::print,
    mocks::{Example, generate},
};
use serde_json::Value;
use std::net::SocketAddr;

/// Endpoints of which a request is shown; the others are named.
const MOST_SHOWN: usize = 12;

pub(super) fn what_is_served(plugins: &[Plugin], clients: &[String], http: SocketAddr) {
    let base = format!("http://{http}");
    print(&format!("weft mock answers for {} on {base}. No code runs, and no backend is called.", clients.join(", ")));
    let prefix = if clients.len() > 1 { "/CLIENT" } else { "" };
    print(&format!("Its contract: {base}{prefix}/openapi.json"));
    print("Where a token is needed, any bearer token is taken, and what it says is believed.");
    warning(http).into_iter().for_each(print);
    for Plugin { place, manifest, mocks, schema, .. } in plugins {
        print(&format!("\n{} {} ({})", manifest.name, manifest.version, place.display()));
        let prefix = if clients.len() > 1 { format!("/{}", manifest.client) } else { String::new() };
        for (at, policy) in manifest.endpoints.iter().enumerate() {
            let name = policy.name.to_string();
            let examples = mocks.examples().find(|(of, _)| *of == name).map_or(&[][..], |(_, examples)| examples);
            let named: Vec<&str> = examples.iter().map(|example| example.name.as_str()).collect();
            let from = if named.is_empty() { "made from its schema".to_owned() } else { named.join(", ") };
            print(&format!("  {name}: {from}"));
            if let Some(schema) = schema.iter().find(|schema| schema.is(&policy.name)).filter(|_| at < MOST_SHOWN) {
                print(&format!("    {}", curl(&format!("{base}{prefix}"), policy, schema, examples)));
            }
        }
    }
    print(
        "\nAsk for what may happen by headers: x-mock-delay: 800ms, x-mock-status: 503, x-mock-problem: rate-limited, \
         x-mock-degraded: CALL, x-mock-stale: CALL, x-mock-example: NAME, x-mock-seed: 7. Ctrl-C stops it.",
    );
}

/// Where others can reach it.
fn warning(http: SocketAddr) -> Option<&'static str> {
    let text = "It listens beyond this machine: whoever reaches it is believed. Don't put data there that is nobody's business.";
    (!http.ip().is_loopback()).then_some(text)
}

/// A line for a shell.
fn curl(base: &str, policy: &EndpointPolicy, schema: &EndpointSchema, examples: &[Example]) -> String {
    let mut line = "curl -s".to_owned();
    if policy.name.method != "GET" {
        line += &format!(" -X {}", policy.name.method);
    }
    if policy.auth == Auth::Required {
        line += " -H 'authorization: Bearer ada'";
    }
    if policy.idempotency.is_some() {
        line += " -H 'idempotency-key: 1'";
    }
    if let Some(body) = schema.request.as_ref().and_then(|schema| generate::value(schema, 1).ok()) {
        line += &format!(" -H 'content-type: application/json' -d '{}'", body.to_string().replace('\'', "'\\''"));
    }
    let params = schema.more.get("params").and_then(Value::as_array);
    let value = |name: &str| {
        let good = examples.iter().filter(|example| example.problem.is_none());
        let of_example = good.flat_map(|example| &example.params).find(|(param, _)| param == name);
        let schema = || params.into_iter().flatten().find(|param| param["name"] == name)?.get("schema");
        let simple = || match schema().and_then(|schema| schema.get("type")).and_then(Value::as_str) {
            Some("integer" | "number") => "1".to_owned(),
            _ => schema()
                .and_then(|of| generate::value(of, 1).ok())
                .map_or_else(|| "1".to_owned(), |value| as_text(&value)),
        };
        of_example.map_or_else(simple, |(_, value)| value.clone())
    };
    let mut path = policy.name.template().to_owned();
    for name in policy.name.params() {
        let value = encoded(&value(name));
        path = path.replace(&format!("{{{name}}}"), &value).replace(&format!("{{*{name}}}"), &value);
    }
    format!("{line} '{base}{path}{}'", query(schema))
}

/// What has to be there.
fn query(schema: &EndpointSchema) -> String {
    let Some(schema) = &schema.query else { return String::new() };
    let required = schema.get("required").and_then(Value::as_array);
    let made = generate::value(schema, 1).unwrap_or_default();
    let pair = |name: &Value| {
        let name = name.as_str()?;
        Some(format!("{}={}", encoded(name), encoded(&as_text(made.get(name)?))))
    };
    let pairs: Vec<String> = required.into_iter().flatten().filter_map(pair).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn who_listens_beyond_this_machine_is_warned() {
        for (address, warned) in [
            ("127.0.0.1:8080", false),
            ("127.0.0.2:1", false),
            ("[::1]:8080", false),
            ("0.0.0.0:8080", true),
            ("[::]:8080", true),
            ("192.0.2.1:80", true),
        ] {
            assert_eq!(warning(address.parse().unwrap()).is_some(), warned, "{address}");
        }
    }
}
