//! `examples/gateway/apisix.yaml` and `kong.yaml`, which no test can run: each key is one of those listed here.

use serde_json::Value;
use std::fs;
use weft_tests::repository;

/// What an object may hold, written down by hand: partly from decK's published schema (`kong_json_schema.json`).
const KONG: &[(&str, &[&str])] = &[
    ("", &["_format_version", "services", "upstreams"]),
    (
        "services",
        &[
            "connect_timeout",
            "enabled",
            "host",
            "name",
            "path",
            "plugins",
            "port",
            "protocol",
            "read_timeout",
            "retries",
            "routes",
            "tags",
            "tls_verify",
            "url",
            "write_timeout",
        ],
    ),
    (
        "services.routes",
        &[
            "headers",
            "hosts",
            "methods",
            "name",
            "path_handling",
            "paths",
            "plugins",
            "preserve_host",
            "protocols",
            "regex_priority",
            "request_buffering",
            "response_buffering",
            "snis",
            "strip_path",
            "tags",
        ],
    ),
    ("services.plugins", &["config", "enabled", "name", "protocols", "tags"]),
    (
        "services.plugins.config",
        &["echo_downstream", "generator", "header_name", "limit_by", "minute", "policy", "remove", "second"],
    ),
    ("services.plugins.config.remove", &["body", "headers", "querystring"]),
    ("upstreams", &["algorithm", "hash_on", "healthchecks", "name", "slots", "tags", "targets"]),
    ("upstreams.targets", &["tags", "target", "weight"]),
    ("upstreams.healthchecks", &["active", "passive", "threshold"]),
    ("upstreams.healthchecks.passive", &["healthy", "type", "unhealthy"]),
    ("upstreams.healthchecks.passive.healthy", &["http_statuses", "interval", "successes"]),
    (
        "upstreams.healthchecks.passive.unhealthy",
        &["http_failures", "http_statuses", "interval", "tcp_failures", "timeouts"],
    ),
];

/// The same of APISIX's `schema_def.lua` and its plugins.
const APISIX: &[(&str, &[&str])] = &[
    ("", &["routes", "upstreams"]),
    ("routes", &["id", "methods", "name", "plugins", "uri", "upstream_id"]),
    ("routes.plugins", &["client-control", "limit-count", "proxy-rewrite", "request-id"]),
    ("routes.plugins.request-id", &["algorithm", "header_name", "include_in_response", "range_id"]),
    (
        "routes.plugins.limit-count",
        &["count", "key", "key_type", "policy", "rejected_code", "rejected_msg", "time_window"],
    ),
    ("routes.plugins.proxy-rewrite", &["headers", "host", "method", "regex_uri", "uri"]),
    ("routes.plugins.proxy-rewrite.headers", &["add", "remove", "set"]),
    ("routes.plugins.client-control", &["max_body_size"]),
    (
        "upstreams",
        &[
            "checks",
            "hash_on",
            "id",
            "keepalive_pool",
            "name",
            "nodes",
            "pass_host",
            "retries",
            "retry_timeout",
            "scheme",
            "timeout",
            "type",
        ],
    ),
    ("upstreams.nodes", &["10.0.0.11:8080", "10.0.0.12:8080"]),
    ("upstreams.timeout", &["connect", "read", "send"]),
    ("upstreams.keepalive_pool", &["idle_timeout", "requests", "size"]),
    ("upstreams.checks", &["active", "passive"]),
    (
        "upstreams.checks.active",
        &["concurrency", "healthy", "host", "http_path", "port", "req_headers", "timeout", "type", "unhealthy"],
    ),
    ("upstreams.checks.active.healthy", &["http_statuses", "interval", "successes"]),
    ("upstreams.checks.active.unhealthy", &["http_failures", "http_statuses", "interval", "tcp_failures", "timeouts"]),
];

/// Keys that no schema has.
fn unknown(value: &Value, place: &str, schema: &[(&str, &[&str])], found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| unknown(item, place, schema, found)),
        Value::Object(fields) => {
            let known = schema.iter().find(|(known, _)| *known == place).map_or(&[][..], |(_, keys)| keys);
            for (name, value) in fields {
                let inner = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                if !known.contains(&name.as_str()) {
                    found.push(inner.clone());
                }
                unknown(value, &inner, schema, found);
            }
        }
        _ => {}
    }
}

#[test]
fn each_key_is_one_of_the_published_schemas() {
    for (name, schema) in [("kong.yaml", KONG), ("apisix.yaml", APISIX)] {
        let text = fs::read_to_string(repository().join("examples/gateway").join(name)).unwrap();
        assert!(text.contains("Not run here"), "{name}");
        let looked = |text: &str| {
            let (value, mut found) = (serde_saphyr::from_str::<Value>(text).unwrap(), Vec::new());
            unknown(&value, "", schema, &mut found);
            found
        };
        assert_eq!(looked(&text), Vec::<String>::new(), "{name}");
        for (right, wrong) in [("  retries:", "  retrys:"), ("tcp_failures:", "tcp_failure:")] {
            assert_eq!(looked(&text.replace(right, wrong)).len(), 1, "{name}: {wrong}");
        }
    }
    // APISIX reads its file only with this at the end.
    let apisix = fs::read_to_string(repository().join("examples/gateway/apisix.yaml")).unwrap();
    assert!(apisix.ends_with("\n#END\n"));
}
