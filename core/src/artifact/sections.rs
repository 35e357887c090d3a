//! The custom sections of an artifact, in and out. Names are part of the format: `weft:manifest`, `weft:methods`,
//! `weft:descriptors`, `weft:schema`, `weft:mocks`, `weft:contract`; and, always
//! the last, `weft:digest`: the SHA-256 of all that stands before it.

use super::ArtifactError;
use crate::model::Digest;
use crate::settings::visible;
use wasm_encoder::{CustomSection, Encode, Section};
use wasmparser::{Encoding, Parser, Payload};

/// The version of `wit/` that a plugin is built for, and the one of those that answer in parts. This host serves both.
pub const CONTRACT: &str = "0.1.0";
pub const STREAMING: &str = "0.2.0";

/// What stands in the sections, undecoded but for text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sections {
    /// `plugin.toml` as it was.
    pub manifest: String,
    /// One full method name a line.
    pub methods: Vec<String>,
    /// A serialized `google.protobuf.FileDescriptorSet`.
    pub descriptors: Vec<u8>,
    /// JSON: a list of endpoints.
    pub schema: Vec<u8>,
    /// JSON: an object, by file name.
    pub mocks: Vec<u8>,
    pub contract: String,
}

impl Sections {
    /// Finds the sections at the outermost level of a component. Reads every section's header to its end, so a file that was cut
    /// off is found here.
    pub fn read(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let not = |error: &dyn std::fmt::Display| ArtifactError::NotAComponent(visible(error.to_string()));
        if !bytes.starts_with(b"\0asm") {
            return Err(not(&"it does not begin as WebAssembly does"));
        }
        let mut found: [Option<&[u8]>; 6] = [None; 6];
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| not(&error))? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(not(&"it is a core module; build for wasm32-wasip2"));
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 => {
                    if let Some(place) =
                        NAMES.iter().position(|name| *name == section.name()).and_then(|at| found.get_mut(at))
                    {
                        *place = Some(section.data());
                    }
                }
                _ => {}
            }
        }
        let [manifest, methods, descriptors, schema, mocks, contract] = found;
        let sections = Self {
            manifest: text(manifest, MANIFEST)?,
            methods: text(methods, METHODS)?.lines().map(str::to_owned).collect(),
            descriptors: descriptors.ok_or(ArtifactError::Missing(DESCRIPTORS))?.to_vec(),
            schema: schema.ok_or(ArtifactError::Missing(SCHEMA))?.to_vec(),
            mocks: mocks.unwrap_or(b"{}").to_vec(),
            contract: text(contract, CONTRACT_NAME)?,
        };
        check_seal(bytes)?;
        Ok(sections)
    }

    /// The component with these sections behind it.
    pub fn append_to(&self, component: &[u8]) -> Vec<u8> {
        let mut out = component.to_vec();
        let methods = self.methods.join("\n");
        let parts: [&[u8]; 6] = [
            self.manifest.as_bytes(),
            methods.as_bytes(),
            &self.descriptors,
            &self.schema,
            &self.mocks,
            self.contract.as_bytes(),
        ];
        for (name, data) in NAMES.into_iter().zip(parts) {
            let section = CustomSection { name: name.into(), data: data.into() };
            out.push(section.id());
            section.encode(&mut out);
        }
        let digest = Digest::of(&out);
        out.extend_from_slice(SEAL);
        out.extend_from_slice(digest.bytes());
        out
    }
}

/// What `weft:digest` begins with: a custom section of 44 bytes, of which 11 are its name.
const SEAL: &[u8] = b"\0\x2c\x0bweft:digest";
const SEALED: usize = SEAL.len() + 32;

/// Whether the file is as it was written. One that is being overwritten by another version is not, although both look alike.
fn check_seal(bytes: &[u8]) -> Result<(), ArtifactError> {
    let (content, end) = bytes.split_last_chunk::<SEALED>().ok_or(ArtifactError::Missing(DIGEST))?;
    match end.strip_prefix(SEAL) {
        Some(digest) if digest == Digest::of(content).bytes() => Ok(()),
        Some(_) => {
            let reason = "the file is not whole: it was changed, or somebody still writes to it".to_owned();
            Err(ArtifactError::Bad { section: DIGEST, reason })
        }
        None => Err(ArtifactError::Missing(DIGEST)),
    }
}

const MANIFEST: &str = "weft:manifest";
const METHODS: &str = "weft:methods";
const DESCRIPTORS: &str = "weft:descriptors";
const SCHEMA: &str = "weft:schema";
const MOCKS: &str = "weft:mocks";
const DIGEST: &str = "weft:digest";
const CONTRACT_NAME: &str = "weft:contract";
const NAMES: [&str; 6] = [MANIFEST, METHODS, DESCRIPTORS, SCHEMA, MOCKS, CONTRACT_NAME];

fn text(data: Option<&[u8]>, section: &'static str) -> Result<String, ArtifactError> {
    let data = data.ok_or(ArtifactError::Missing(section))?;
    String::from_utf8(data.to_vec()).map_err(|error| ArtifactError::Bad { section, reason: error.to_string() })
}
