//! `--once`: every request, shown with its answer, and compared.

use crate::{
    say,
    web::{self, Answer},
};
use anyhow::{Context, bail};
use demo::{ANY, Case, SUBJECT, configuration::Addresses};
use serde_json::Value;
use std::fs;

/// Lines of a body that are shown.
const SHOWN: usize = 25;
/// Headers that are shown, of those that an answer has.
const INTERESTING: [&str; 6] =
    ["content-type", "location", "allow", "www-authenticate", "server-timing", "x-request-id"];

/// Makes all requests in their order. With `write`, bodies are written down instead of compared.
pub(crate) async fn run(addresses: &Addresses, write: bool) -> anyhow::Result<()> {
    let cases = demo::cases();
    let mut wrong = Vec::new();
    for case in &cases {
        show_request(case);
        let verdict = match web::ask(addresses.http, case.method, case.path, &case.headers, case.body).await {
            Ok(answer) => {
                show_answer(&answer);
                judge(case, &answer, write)?
            }
            Err(error) => Err(format!("{error:#}")),
        };
        match verdict {
            Ok(()) => say::line(&say::green(if write { "✓ written down" } else { "✓ as expected" })),
            Err(difference) => {
                say::line(&say::red(format!("✗ {}", difference.replace('\n', "\n  "))));
                wrong.push(format!("{}: {}", case.name, difference.replace('\n', "\n    ")));
            }
        }
    }
    say::line("");
    if wrong.is_empty() {
        say::line(&say::green(format!("All {} answers were as expected.", cases.len())));
        return Ok(());
    }
    bail!("{} of {} answers were not as expected:\n  {}", wrong.len(), cases.len(), wrong.join("\n  "))
}

fn judge(case: &Case, answer: &Answer, write: bool) -> anyhow::Result<Result<(), String>> {
    let headers = demo::check_headers(case, |name| answer.header(name));
    let body = if write && answer.status == case.status {
        write_down(case, answer)?;
        Ok(())
    } else {
        demo::check(case, answer.status, &answer.body)
    };
    Ok(match (body, headers) {
        (Err(body), Err(headers)) => Err(format!("{body}\n{headers}")),
        (body, headers) => body.and(headers),
    })
}

/// Keeps the body as the expected one.
fn write_down(case: &Case, answer: &Answer) -> anyhow::Result<()> {
    let file = case.file();
    if answer.body.is_empty() {
        // There may be one from before; that there is none is what is wanted.
        let _ = fs::remove_file(&file);
        return Ok(());
    }
    let mut body: Value = serde_json::from_slice(&answer.body).with_context(|| format!("{}: no JSON", case.name))?;
    for member in ["request_id", "trace_id"] {
        if let Some(id) = body.get_mut(member) {
            *id = Value::String(ANY.to_owned());
        }
    }
    let text = format!("{body:#}\n");
    fs::write(&file, text).with_context(|| format!("{} can't be written", file.display()))
}

fn show_request(case: &Case) {
    say::line(&format!("\n{} {}", say::bold(format!("{} {}", case.method, case.path)), say::dim(case.name)));
    for (name, value) in &case.headers {
        // A token tells a reader nothing but whose it is.
        let long = value.starts_with("Bearer ") && value.len() > 100;
        say::line(&if long { format!("  {name}: Bearer … ({SUBJECT}'s)") } else { format!("  {name}: {value}") });
    }
    if let Some(body) = case.body {
        say::line(&format!("  {body}"));
    }
}

fn show_answer(answer: &Answer) {
    say::line(&say::bold(&answer.line));
    for name in INTERESTING {
        if let Some(value) = answer.header(name) {
            say::line(&say::dim(format!("  {name}: {value}")));
        }
    }
    let text = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(body) => format!("{body:#}"),
        Err(_) => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    for line in text.lines().take(SHOWN) {
        say::line(&format!("  {line}"));
    }
    let more = text.lines().count().saturating_sub(SHOWN);
    if more > 0 {
        say::line(&say::dim(format!("  … {more} more line{}", if more == 1 { "" } else { "s" })));
    }
}
