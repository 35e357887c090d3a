//! Compiles the demo's protos without `protoc`: messages, clients, servers, the descriptors for reflection, and the list of methods; and what
//! is said to etcd and to a receiver of traces.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;

const PROTOS: [&str; 5] = [
    "catalog/v1/films.proto",
    "people/v1/people.proto",
    "reviews/v1/reviews.proto",
    "recommend/v1/recommend.proto",
    "demo/v1/control.proto",
];

/// Nothing of these is served or reflected.
const OF_NEIGHBOURS: [&str; 2] = ["etcd.proto", "otlp.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../protos");
    println!("cargo::rerun-if-changed={}", root.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);

    let descriptors = protox::compile(PROTOS, [root])?;
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    let methods: Vec<String> = descriptors
        .file
        .iter()
        .flat_map(|file| {
            file.service.iter().flat_map(move |service| {
                service
                    .method
                    .iter()
                    .map(move |method| format!("{}.{}/{}", file.package(), service.name(), method.name()))
            })
        })
        .collect();
    fs::write(out.join("methods.rs"), format!("&{methods:?}"))?;

    tonic_prost_build::configure().compile_fds(descriptors)?;
    println!("cargo::rerun-if-changed=protos");
    tonic_prost_build::configure().compile_fds(protox::compile(OF_NEIGHBOURS, ["protos"])?)?;
    Ok(())
}
