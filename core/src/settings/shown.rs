//! A configuration as it may be shown: without what nobody but the host should read.

use super::flat::values;
use toml::Value;

/// Words in a key whose value is a secret, unless it names the place of one.
const SECRET: [&str; 8] = ["secret", "password", "passwd", "token", "credential", "authorization", "api-key", "apikey"];
const HIDDEN: &str = "(hidden)";

/// Each key with its value, in TOML. Secrets belong in places of their own and are named by these; one that stands there all the same, and
/// whatever is in a URL before `@`, is hidden. Comments are not shown.
pub fn shown(text: &str) -> Vec<(String, String)> {
    values(text).into_iter().map(|(key, value)| (key.clone(), hidden(&key, value).to_string())).collect()
}

/// The value of a key, without what is secret in it.
pub(super) fn hidden(key: &str, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(of_text(key, &text)),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| hidden(key, item)).collect()),
        Value::Table(table) => {
            table.into_iter().map(|(name, value)| (name.clone(), hidden(&name, value))).collect::<toml::Table>().into()
        }
        value => value,
    }
}

fn of_text(key: &str, text: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key).to_ascii_lowercase();
    let is_place = text.starts_with("env:") || text.starts_with("file:");
    if SECRET.iter().any(|word| last.contains(word)) && !is_place {
        return HIDDEN.to_owned();
    }
    let mut out = String::new();
    // Each URL of a list with commas.
    for (at, part) in text.split(',').enumerate() {
        if at > 0 {
            out.push(',');
        }
        match part.split_once("://") {
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                let (before, host) = authority.rsplit_once('@').map_or(("", authority), |(_, host)| (HIDDEN, host));
                let at = if before.is_empty() { "" } else { "@" };
                let path = path
                    .split_once('?')
                    .map_or_else(|| path.to_owned(), |(path, query)| format!("{path}?{}", of_query(query)));
                out.push_str(&format!("{scheme}://{before}{at}{host}{path}"));
            }
            None => out.push_str(part),
        }
    }
    out
}

fn of_query(query: &str) -> String {
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) => format!("{name}={}", of_text(name, value)),
        None => pair.to_owned(),
    };
    query.split('&').map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown_and_places_of_secrets_are() {
        let text = r#"
            [admin]
            token = "file:/etc/token"   # the s3cret is 1234
            tokens = [{ name = "a", role = "viewer", token = "s3cret" }]
            [cache]
            shared = "redis://user:s3cret@10.0.0.1:6379/0?password=s3cret&x=1"
            [backend.a]
            endpoints = "etcd://u:s3cret@a:1,b:2/x"
            urls = ["nats://s3cret@h", "https://plain/p?q=@"]
            metadata = { api-token = "s3cret", zone = "a" }
        "#;
        let shown = shown(text);
        let all = format!("{shown:?}");
        assert!(!all.contains("s3cret") && !all.contains("1234"), "{all}");
        for part in [
            "file:/etc/token",
            "10.0.0.1:6379/0?password=(hidden)&x=1",
            "(hidden)@a:1,b:2/x",
            "https://plain/p",
            "viewer",
            "zone",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }
}
