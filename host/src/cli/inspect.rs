//! `weft inspect`.

use super::{Result, print};
use crate::artifact::{Artifact, EndpointPolicy};
use anyhow::Context;
use serde_json::{Value, json};
use std::{fmt::Write, path::PathBuf};

/// Show what an artifact holds: identity, endpoints and their policy, what it may call, limits, schemas, mocks
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The artifact: a `.wasm` file that `weft build` wrote
    file: PathBuf,
    /// Print everything as JSON, schemas included
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let at = arguments.file.display();
    let bytes = std::fs::read(&arguments.file).with_context(|| format!("{at} can't be read"))?;
    let artifact = Artifact::parse(bytes.into()).with_context(|| format!("{at} is no artifact"))?;
    if arguments.json {
        print(&serde_json::to_string_pretty(&as_json(&artifact))?);
    } else {
        print(as_text(&artifact).trim_end());
    }
    Ok(())
}

fn as_json(artifact: &Artifact) -> Value {
    let manifest = &artifact.manifest;
    let endpoint = |policy: &EndpointPolicy| {
        let schema = artifact.schema.iter().find(|schema| schema.is(&policy.name));
        json!({
            "endpoint": policy.name.to_string(),
            "auth": policy.auth.as_str(),
            "timeout_ms": policy.timeout.as_millis(),
            "headers": policy.headers.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(),
            "claims": policy.claims,
            "response_headers": policy.response_headers.iter().map(http::HeaderName::as_str).collect::<Vec<_>>(),
            "schema": schema,
        })
    };
    json!({
        "name": manifest.name,
        "version": manifest.version.to_string(),
        "client": manifest.client,
        "digest": artifact.digest.to_string(),
        "size": artifact.bytes.len(),
        "contract": artifact.contract,
        "endpoints": manifest.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "calls": manifest.calls,
        "methods": artifact.methods,
        "limits": {
            "memory": manifest.limits.memory.0,
            "cpu_ms": manifest.limits.cpu.as_millis(),
            "calls": manifest.limits.calls,
            "response": manifest.limits.response.0,
            "isolation": manifest.limits.isolation.as_str(),
        },
        "config": manifest.config,
        "files": artifact.descriptors.files().map(|file| file.name().to_owned()).collect::<Vec<_>>(),
        "mocks": artifact.mocks,
    })
}

fn as_text(artifact: &Artifact) -> String {
    let manifest = &artifact.manifest;
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = writeln!(out, "{} {} for client {}", manifest.name, manifest.version, manifest.client);
    let _ = writeln!(out, "  digest     {}", artifact.digest);
    let _ = writeln!(out, "  size       {} KiB, contract {}", artifact.bytes.len() / 1024, artifact.contract);
    let limits = &manifest.limits;
    let _ = writeln!(
        out,
        "  limits     {} MiB memory, {:?} CPU, {} calls, {} KiB response, isolation {}",
        limits.memory.0 >> 20,
        limits.cpu,
        limits.calls,
        limits.response.0 >> 10,
        limits.isolation.as_str()
    );
    let _ = writeln!(out, "\nendpoints");
    for policy in &manifest.endpoints {
        let schema = artifact.schema.iter().find(|schema| schema.is(&policy.name));
        let summary = schema.map_or("", |schema| schema.summary.lines().next().unwrap_or_default());
        let _ = writeln!(
            out,
            "  {:<32} auth {:<9} within {:<7} {summary}",
            policy.name.to_string(),
            policy.auth.as_str(),
            format!("{:?}", policy.timeout)
        );
        if !policy.headers.is_empty() || !policy.claims.is_empty() {
            let headers: Vec<_> = policy.headers.iter().map(http::HeaderName::as_str).collect();
            let _ = writeln!(
                out,
                "  {:<32} sees headers [{}] and claims [{}]",
                "",
                headers.join(", "),
                policy.claims.join(", ")
            );
        }
    }
    let _ = writeln!(out, "\nmay call");
    for (number, method) in artifact.methods.iter().enumerate() {
        let _ = writeln!(out, "  {number:>3}  {method}");
    }
    if !manifest.config.is_empty() {
        let _ = writeln!(out, "\nconfig");
        for (key, value) in &manifest.config {
            let _ = writeln!(out, "  {key} = {value:?}");
        }
    }
    let _ = writeln!(
        out,
        "\nprotos     {}",
        artifact.descriptors.files().map(|file| file.name().to_owned()).collect::<Vec<_>>().join(", ")
    );
    let _ = writeln!(
        out,
        "mocks      {}",
        if artifact.mocks.is_empty() {
            "none".to_owned()
        } else {
            artifact.mocks.keys().cloned().collect::<Vec<_>>().join(", ")
        }
    );
    let _ = writeln!(
        out,
        "schemas    {} (see --json)",
        artifact.schema.iter().filter(|schema| schema.response.is_some()).count()
    );
    out
}
