//! Where commands for frontends find a document: a file, an artifact, a URL.

use super::{
    admin::{Access, AdminClient, TOKEN as ADMIN_TOKEN},
    runtime,
};
use crate::{
    artifact::Artifact,
    compat::{Document, LARGEST},
    net::HttpClient,
    openapi::{self, Surface},
};
use anyhow::{Context, anyhow, bail};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{path::Path, time::Duration};

/// What an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The environment's token for documents behind one.
const TOKEN: &str = "WEFT_TOKEN";

/// Where the admin interface has the documents of clients.
const ON_ADMIN: &str = "/v1/openapi?client=";

/// What every command that reads documents says of them.
pub(super) const SOURCES: &str = "\
A document is OpenAPI 3.1, as JSON. It may be:
  a file            what `weft openapi` wrote, e.g. out of git
  an artifact       a .wasm file of `weft build`
  a URL             http(s)://…/openapi.json of a client, or …/v1/openapi?client=NAME of the admin interface

WEFT_TOKEN in the environment is sent to URLs as the bearer token, WEFT_ADMIN_TOKEN to those of the admin interface.";

/// A document, and the one plugin whose artifact it was made of.
#[derive(Debug)]
pub(super) struct Contract {
    pub(super) document: Document,
    pub(super) plugin: Option<String>,
}

/// The document at `source`.
pub(super) fn read(source: &str) -> anyhow::Result<Contract> {
    let bytes = match source.split_once("://") {
        Some(("http" | "https", _)) => runtime()?.block_on(fetched(source))?,
        Some((scheme, _)) => bail!("{source}: {scheme} is not spoken; give a file, or a URL with http or https"),
        None => from_file(Path::new(source))?,
    };
    if bytes.starts_with(b"\0asm") {
        return of_artifact(bytes).with_context(|| source.to_owned());
    }
    let document = Document::read(&bytes).with_context(|| source.to_owned())?;
    Ok(Contract { document, plugin: None })
}

/// An artifact knows nothing of the host that serves it: neither what its paths begin with, nor the client's other plugins.
fn of_artifact(bytes: Vec<u8>) -> anyhow::Result<Contract> {
    let artifact = Artifact::parse(bytes.into()).context("it is no artifact")?;
    let mut document = openapi::of_artifacts(&Surface::named(&artifact.manifest.client), &[&artifact])?;
    if let Some(members) = document.as_object_mut() {
        members.remove("servers");
    }
    Ok(Contract { document: Document::of(document)?, plugin: Some(artifact.manifest.name) })
}

/// What a host's admin interface has of a client, or of its only one.
pub(super) fn asked(access: &Access, client: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let path = client.map_or("/v1/openapi".to_owned(), |name| format!("{ON_ADMIN}{name}"));
    let answer = runtime()?.block_on(async { AdminClient::new(access)?.get(&path, PATIENCE).await })?;
    if answer.status.is_success() {
        return Ok(answer.body.to_vec());
    }
    let hint = match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; tokens are given by --token-file, or by WEFT_ADMIN_TOKEN in the environment"
        }
        _ => "",
    };
    bail!("{path} answered {}: {}{hint}", answer.status, String::from_utf8_lossy(&answer.body).trim_end())
}

/// The document of a client of a running host.
pub(super) fn of_host(access: &Access, client: &str) -> anyhow::Result<Contract> {
    Ok(Contract { document: Document::read(&asked(access, Some(client))?)?, plugin: None })
}

fn from_file(file: &Path) -> anyhow::Result<Vec<u8>> {
    let at = file.display();
    std::fs::read(file).with_context(|| format!("{at} can't be read"))
}

async fn fetched(url: &str) -> anyhow::Result<Vec<u8>> {
    let client = if url.starts_with("https:") { HttpClient::new(PATIENCE, None) } else { HttpClient::plain(PATIENCE) };
    let client = client.map_err(|error| anyhow!(error))?;
    let variable = if url.contains(ON_ADMIN) { ADMIN_TOKEN } else { TOKEN };
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    #[allow(
        clippy::disallowed_methods,
        reason = "a token on the command line would be seen by everybody on the machine"
    )]
    if let Ok(token) = std::env::var(variable) {
        let value =
            HeaderValue::from_str(&format!("Bearer {token}")).with_context(|| format!("{variable} is no token"))?;
        headers.insert(header::AUTHORIZATION, value);
    }
    let answer = client.send(Method::GET, url.to_owned(), headers, None, LARGEST);
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    let answer = answer.with_context(|| format!("{url} gave no answer within {PATIENCE:?}"))?;
    let answer = answer.with_context(|| url.to_owned())?;
    match answer.status {
        status if status.is_success() => Ok(answer.body.to_vec()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            bail!("{url} answered {}: put a token that may read it into {variable}", answer.status)
        }
        StatusCode::NOT_FOUND => {
            bail!("{url} answered 404: does its [[client]] say `openapi = true`?")
        }
        status => bail!("{url} answered {status}"),
    }
}
