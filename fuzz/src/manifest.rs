//! `plugin.toml`.

use crate::configuration::check_mistakes;
use std::{collections::HashSet, path::Path, time::Duration};
use weft_core::artifact::{EndpointSchema, Manifest, read_manifest};

const FILE: &str = "plugin.toml";

/// Any text: a manifest within its bounds, or mistakes that stand in the text; and the code that it is for has to have its endpoints.
pub fn manifest(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let read = |schema: Option<&[EndpointSchema]>| read_manifest(Path::new(FILE), &text, schema, None);
    let manifest = match (read(None), read(None)) {
        (Ok(manifest), Ok(again)) => {
            assert_eq!(format!("{manifest:?}"), format!("{again:?}"), "the same text is read in the same way");
            manifest
        }
        (Err(mistakes), Err(again)) => {
            assert_eq!(mistakes, again, "the same text has the same mistakes");
            check_mistakes(FILE, &text, &mistakes);
            return text.contains("plugin");
        }
        _ => panic!("the same text is read in two ways"),
    };
    check_bounds(&manifest);
    let mut schema = schema(&manifest);
    // Members that are listed are those of some code.
    let chooses = manifest.endpoints.iter().any(|policy| policy.fields.is_some());
    assert!(chooses || read(Some(&schema)).is_ok(), "it agrees with code that has its endpoints");
    if schema.pop().is_some() {
        check_mistakes(FILE, &text, &read(Some(&schema)).unwrap_err());
    }
    true
}

/// What code says that has just these endpoints.
fn schema(manifest: &Manifest) -> Vec<EndpointSchema> {
    let endpoint = |name: &weft_core::artifact::EndpointName| EndpointSchema {
        method: name.method.to_string(),
        path: name.template().to_owned(),
        summary: String::new(),
        request: None,
        response: None,
        query: None,
        more: serde_json::Map::new(),
    };
    manifest.endpoints.iter().map(|policy| endpoint(&policy.name)).collect()
}

fn check_bounds(manifest: &Manifest) {
    let is_in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(!manifest.name.is_empty() && manifest.name.len() <= 64 && manifest.name.chars().all(is_in_name));
    let mut places = HashSet::new();
    for policy in &manifest.endpoints {
        assert!(places.insert(policy.name.place()), "{} stands there twice", policy.name);
        assert!((Duration::from_millis(1)..=Duration::from_mins(5)).contains(&policy.timeout));
        let hidden = |name: &http::HeaderName| name == "authorization" || name == "cookie";
        assert!(!policy.headers.iter().any(hidden), "credentials reach no plugin");
        assert!(policy.name.method == http::Method::GET || policy.cache.is_none());
        assert!(policy.name.method != http::Method::GET || policy.idempotency.is_none());
    }
    let limits = &manifest.limits;
    assert!((64 << 10..=4 << 30).contains(&limits.memory.0) && limits.response.0 <= 256 << 20);
    assert!(limits.calls <= 100_000 && (Duration::from_millis(1)..=Duration::from_mins(1)).contains(&limits.cpu));
    for (service, methods) in &manifest.calls {
        for method in methods {
            // A name with a `/` in it is no name, and is granted to nobody.
            let is_name = !service.contains('/');
            assert_eq!(manifest.grants(&format!("{service}/{method}")), is_name);
            assert!(!manifest.grants(&format!("{service}/{method}/")) || methods.contains(&format!("{method}/")));
        }
    }
}
