//! `weft make-clients`: what a plugin's build script starts to have its typed clients made. Not for people.

use super::{Failure, Result, print, sdk, tell};
use anyhow::anyhow;
use clap::ValueEnum;
use std::path::PathBuf;
use weft_build::Builder;

/// Write the typed clients of a plugin; its build script starts it by itself
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// The version of the SDK that asks
    #[arg(long)]
    sdk: String,
    /// The plugin's manifest
    #[arg(long)]
    manifest: PathBuf,
    /// Where the files go
    #[arg(long)]
    out: PathBuf,
    /// Where protos lie
    #[arg(long)]
    folder: Vec<PathBuf>,
    /// What is `Bytes`
    #[arg(long)]
    bytes: Vec<String>,
    /// What is written although nothing granted needs it
    #[arg(long)]
    message: Vec<String>,
    /// PATH=ATTRIBUTE
    #[arg(long)]
    attribute: Vec<String>,
    /// Messages are data, with 64-bit numbers as this
    #[arg(long)]
    data: Option<Long>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Long {
    Text,
    Number,
}

/// Prints what is odd about the protos, a line each.
pub(super) fn run(arguments: Arguments) -> Result {
    let asks = &arguments.sdk;
    if !sdk::is_of_this_program(asks) {
        return Err(anyhow!(
            "the plugin's SDK is {asks}, and this `weft` makes clients for {}: run `weft sdk` in the plugin's folder",
            sdk::whole_version()
        )
        .into());
    }
    let mut builder = Builder::new().manifest(arguments.manifest).out_dir(arguments.out);
    builder = arguments.folder.iter().fold(builder, Builder::folder);
    builder = arguments.bytes.into_iter().fold(builder, Builder::bytes);
    builder = arguments.message.into_iter().fold(builder, Builder::message);
    for said in arguments.attribute {
        let Some((path, attribute)) = said.split_once('=') else {
            return Err(Failure::Usage(format!("`--attribute {said}`: expected PATH=ATTRIBUTE")));
        };
        builder = builder.type_attribute(path, attribute);
    }
    builder = match arguments.data {
        Some(Long::Text) => builder.data(),
        Some(Long::Number) => builder.data_with_numbers(),
        None => builder,
    };
    match builder.make() {
        Ok(odd) => odd.iter().for_each(|line| print(line)),
        Err(error) => {
            // As it is: the build script tells it as its own.
            tell(&error.to_string());
            return Err(Failure::Told(1));
        }
    }
    Ok(())
}
