//! A plugin's folder without code: its manifest, its contract and its examples, and what is made of them.

use serde_json::{Map, Value};
use std::{fs, path::Path};
use weft_core::{
    artifact::Artifact,
    mocks::{Asked, Mocks, Outcome, Source, contradiction, difference::differences, schema, stand_in},
    openapi::{self, Surface},
    settings::Mistakes,
};

/// What stands between the three files.
const BETWEEN: &str = "\n---\n";

/// Any bytes as three files: a source of which a host is answered for, a document is told and a stand-in is made, or mistakes that name a
/// file of the folder.
pub fn mocks(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split(BETWEEN);
    let Ok(folder) = tempfile::tempdir() else { panic!("a folder") };
    for name in ["contract", "mocks"] {
        assert!(fs::create_dir(folder.path().join(name)).is_ok());
    }
    for name in ["plugin.toml", "contract/a.json", "mocks/a.json"] {
        assert!(fs::write(folder.path().join(name), parts.next().unwrap_or_default()).is_ok());
    }
    match Source::read(folder.path(), None) {
        Ok(source) => is_served(&source),
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "refused without a reason");
            for mistake in &mistakes {
                assert!(Path::new(&*mistake.file).starts_with(folder.path()), "{mistake}");
                let told = mistake.to_string();
                assert!(!told.contains(|c: char| c.is_control()), "nothing that a terminal obeys: {told:?}");
            }
            text.contains("endpoint")
        }
    }
}

fn is_served(source: &Source) -> bool {
    assert!(differences(&source.schema, &source.schema).is_empty(), "a contract is the same as itself");
    let mistakes = Mistakes::new();
    let mocks = Mocks::read(&source.manifest, &source.schema, &source.files, "mocks", &mistakes);
    assert!(mistakes.is_empty(), "what was right is right again");
    for endpoint in &source.schema {
        assert_eq!(contradiction::of_endpoint(endpoint), [], "no value would fit");
        answers(&mocks, endpoint);
    }
    let Ok(bytes) = stand_in(&source.text, &source.schema, &source.files, 1) else { return true };
    // Headers that mocks are asked by may be the manifest's own.
    let Ok(artifact) = Artifact::parse(bytes.into()) else { return true };
    let document = |artifact: &Artifact| openapi::of_artifacts(&Surface::named("web"), &[artifact]);
    if let Ok(made) = document(&artifact) {
        assert_eq!(openapi::text(&made), openapi::text(&document(&artifact).unwrap_or_default()), "the same twice");
    }
    true
}

/// What is made of a schema fits it; what was written was held against it before.
fn answers(mocks: &Mocks, endpoint: &weft_core::artifact::EndpointSchema) {
    let name = format!("{} {}", endpoint.method, endpoint.path);
    let (params, query, headers) = (vec![], vec![], vec![]);
    let body = endpoint.request.as_ref().and_then(|of| weft_core::mocks::generate::value(of, 1).ok());
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let asked = Asked { endpoint: &name, params: &params, query: &query, headers: &headers, body: body.as_bytes() };
    let (once, again) = (mocks.answer(asked), mocks.answer(asked));
    assert_eq!(once, again, "the same request gets the same answer");
    let (Outcome::Response { status: 200..=299, body, .. }, Some(of)) = (&once.outcome, &endpoint.response) else {
        return;
    };
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Object(Map::new()));
    if !body.is_empty() {
        let faults = schema::check(of, &value);
        assert!(faults.is_empty(), "{faults:?}: {value} of {of}");
    }
}
