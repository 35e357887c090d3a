//! `weft types`.

use super::{Failure, Result, admin::Access, document, print, tell};
use crate::typescript;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Write the types of a client and functions that call it, as one file without dependencies
///
/// Each endpoint becomes one function, whose result is told apart by `status`, and its problems by `type`. The file is made anew from the
/// contract whenever that changes: the same contract makes the same file, so it can stand in git and be compared.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub(super) struct Arguments {
    /// The contract: a file, an artifact or a URL
    #[arg(required_unless_present = "client", conflicts_with = "client")]
    contract: Option<String>,
    /// Instead: the contract of this client, as a running host tells it on its admin interface
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    #[command(flatten)]
    access: Access,
    /// The language to write
    #[arg(long, value_parser = ["ts"], default_value = "ts")]
    lang: String,
    /// Where to write it; standard output unless said
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write nothing: fail if FILE is not what would be written
    #[arg(long, requires = "out")]
    check: bool,
}

fn help() -> String {
    format!(
        "Examples:\n  \
           weft types --client web --out src/bff.ts            of the host on this machine\n  \
           weft types openapi.json --out src/bff.ts\n  \
           weft types http://127.0.0.1:8080/web/openapi.json --out src/bff.ts\n  \
           weft types openapi.json --out src/bff.ts --check    in a pipeline\n\n{}\n\n\
         Swift, Kotlin and others are made of the same document by their own generators: docs/frontends/typed-client.md.",
        document::SOURCES
    )
}

pub(super) fn run(arguments: &Arguments) -> Result {
    if let Some(client) =
        arguments.client.as_deref().filter(|name| name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
    {
        return Err(Failure::Usage(format!("`{client}` is no client: expected the name of a [[client]]")));
    }
    let (source, contract) = match (&arguments.contract, &arguments.client) {
        (Some(contract), _) => (contract.clone(), document::read(contract)),
        (None, client) => {
            let client = client.as_deref().unwrap_or_default();
            (format!("--client {client}"), document::of_host(&arguments.access, client))
        }
    };
    let text = contract.and_then(|contract| {
        typescript::file(&contract.document).with_context(|| format!("{source}: no client can be made of it"))
    });
    let text = text.map_err(|error| Failure::Usage(format!("{error:#}")))?;
    let Some(out) = &arguments.out else {
        print(text.trim_end());
        return Ok(());
    };
    let at = out.display();
    if is_written(out, &text) {
        tell(&format!("{at} is as it should be"));
    } else if arguments.check {
        return Err(anyhow::anyhow!("{at} is not what {source} makes: run `weft types {source} --out {at}`").into());
    } else {
        std::fs::write(out, &text).with_context(|| format!("{at} can't be written"))?;
        tell(&format!("{at} written, {} KiB", text.len().div_ceil(1024)));
    }
    Ok(())
}

/// Files that have not changed are not touched, so that nothing watches them in vain.
fn is_written(out: &Path, text: &str) -> bool {
    std::fs::read(out).is_ok_and(|written| written == text.as_bytes())
}
