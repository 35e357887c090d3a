//! Artifacts: whole ones, damaged ones, and what never was one.

use crate::input::Input;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use weft_core::artifact::{Artifact, CONTRACT, EndpointSchema, Sections, read_manifest};

/// The shortest component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// The last section: a name of 11 bytes, a digest of 32, and what stands before each section.
const SEAL: usize = 14 + 32;

/// Any bytes, or sections of any bytes behind a component: read back as they were written, refused when anything is changed or cut off, and
/// what is read agrees with itself.
pub fn artifact(bytes: &[u8]) -> bool {
    let Some((b'a'..=b'z', rest)) = bytes.split_first() else {
        return check(bytes).is_some();
    };
    let mut input = Input::new(rest);
    let (at, change) = (input.byte(), input.byte());
    let sections = sections(&String::from_utf8_lossy(input.rest()));
    let whole = sections.append_to(COMPONENT);
    assert_eq!(Sections::read(&whole).ok().as_ref(), Some(&sections), "sections come back as they were written");
    let is_good = check(&whole).is_some();
    // Spread over the whole file.
    let at = usize::from(at) * whole.len() / 256;
    let mut changed = whole.clone();
    changed[at] ^= change;
    assert_eq!(check(&changed).is_some(), is_good && change == 0, "byte {at} of {} is not as it was", whole.len());
    assert!(check(&whole[..at]).is_none(), "cut off at {at} of {}", whole.len());
    is_good
        || read_manifest(Path::new("plugin.toml"), &sections.manifest, None, None).is_ok()
        || serde_json::from_slice::<Vec<EndpointSchema>>(&sections.schema).is_ok()
}

/// Parts between lines of `---`: manifest, methods, schema, mocks, and perhaps the contract; the rest is as it has to be.
fn sections(text: &str) -> Sections {
    let mut parts = text.split("---\n");
    let mut next = || parts.next().unwrap_or_default();
    let (manifest, methods, schema, mocks, contract) = (next(), next(), next(), next(), next());
    // Names without line ends, as method names are.
    let methods = methods.split('\n').map(|line| line.replace('\r', "")).filter(|line| !line.is_empty());
    Sections {
        manifest: manifest.to_owned(),
        methods: methods.collect(),
        descriptors: Vec::new(),
        schema: schema.as_bytes().to_vec(),
        mocks: mocks.as_bytes().to_vec(),
        contract: if contract.is_empty() { CONTRACT } else { contract }.to_owned(),
    }
}

/// What is read is whole, and manifest, code and method table say the same.
fn check(bytes: &[u8]) -> Option<Artifact> {
    let artifact = match Artifact::parse(Bytes::copy_from_slice(bytes)) {
        Ok(artifact) => artifact,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?} is for an operator's terminal");
            return None;
        }
    };
    let (content, seal) = bytes.split_at(bytes.len() - SEAL);
    assert!(seal.ends_with(&Sha256::digest(content)), "it is sealed");
    assert_eq!(artifact.digest.bytes()[..], Sha256::digest(bytes)[..], "its name is that of its content");
    assert!(artifact.methods.iter().all(|method| artifact.manifest.grants(method)));
    assert_eq!(artifact.contract, CONTRACT);
    for policy in &artifact.manifest.endpoints {
        assert!(artifact.schema.iter().any(|endpoint| endpoint.is(&policy.name)), "{}", policy.name);
    }
    for endpoint in &artifact.schema {
        assert!(artifact.manifest.endpoints.iter().any(|policy| endpoint.is(&policy.name)), "{}", endpoint.path);
    }
    Some(artifact)
}
