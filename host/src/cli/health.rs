//! `weft health`.

use super::{
    Failure, Result,
    admin::{Access, AdminClient},
    print, runtime, tell,
};
use crate::admin::ReadyAnswer;
use anyhow::{Context, ensure};
use std::time::Duration;

/// What a host says of itself that is alive.
const ALIVE: &str = "alive";

/// Ask a running host whether it takes requests: exit code 0 if it does, 1 if not
///
/// For scripts, and for who sends requests. Says in one line what the host waits for. With `--live` for who ends what is not healthy, such
/// as HEALTHCHECK of an image: a host that loads its plugins, or finishes its requests before it stops, is alive and takes none.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    access: Access,
    /// Seconds that the answer may take
    #[arg(long, default_value_t = 2.0)]
    timeout: f64,
    /// Ask only whether it is alive
    #[arg(long)]
    live: bool,
    /// Print the answer as JSON; without one there is an `error` in it
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    if !(0.01..=300.0).contains(&arguments.timeout) {
        return Err(Failure::Usage("--timeout: expected seconds from 0.01 to 300".to_owned()));
    }
    let time = Duration::from_secs_f64(arguments.timeout);
    let said = runtime()?.block_on(async {
        let client = AdminClient::new(&arguments.access)?;
        if arguments.live { is_alive(&client, time).await } else { is_ready(&client, time).await }
    });
    match said {
        Ok(Said { good, line, json }) => {
            print(if arguments.json { &json } else { &line });
            if good { Ok(()) } else { Err(Failure::Told(1)) }
        }
        Err(error) => {
            let text = format!("{error:#}");
            if arguments.json {
                let asked = if arguments.live { "alive" } else { "ready" };
                print(&serde_json::json!({ asked: false, "error": text }).to_string());
            } else {
                tell(&format!("no answer: {text}"));
            }
            Err(Failure::Told(1))
        }
    }
}

/// What a host has answered, as it is printed.
struct Said {
    good: bool,
    line: String,
    json: String,
}

async fn is_ready(client: &AdminClient, time: Duration) -> anyhow::Result<Said> {
    let answer = client.get("/readyz", time).await?;
    let foreign = || format!("status {}: this is no answer of /readyz; is --admin the admin address?", answer.status);
    let answer: ReadyAnswer = serde_json::from_slice(&answer.body).with_context(foreign)?;
    Ok(Said { good: answer.ready, line: line(&answer), json: serde_json::to_string(&answer)? })
}

async fn is_alive(client: &AdminClient, time: Duration) -> anyhow::Result<Said> {
    let answer = client.get("/livez", time).await?;
    let is_alive = answer.status.is_success() && answer.body.trim_ascii() == ALIVE.as_bytes();
    ensure!(is_alive, "status {}: this is no answer of /livez; is --admin the admin address?", answer.status);
    Ok(Said { good: true, line: ALIVE.to_owned(), json: serde_json::json!({ "alive": true }).to_string() })
}

fn line(answer: &ReadyAnswer) -> String {
    let waits = answer.waits_for.iter().map(|wait| format!("{}: {}", wait.what.as_str(), wait.detail));
    let said: Vec<String> = waits.chain(answer.notes.iter().cloned()).collect();
    let state = if answer.ready { "ready" } else { "not ready" };
    let text = std::iter::once(state.to_owned()).chain((!said.is_empty()).then(|| said.join("; ")));
    // One line, whatever is told.
    text.collect::<Vec<_>>().join(": ").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{Wait, WaitsFor};

    #[test]
    fn it_says_what_the_host_waits_for_in_one_line() {
        let wait = WaitsFor { what: Wait::Plugins, detail: "no room\nfor code".to_owned() };
        let answer = |ready: bool, notes: &[&str]| ReadyAnswer {
            ready,
            waits_for: if ready { vec![] } else { vec![wait.clone()] },
            notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        };
        assert_eq!(line(&answer(true, &[])), "ready");
        assert_eq!(line(&answer(true, &["no keys"])), "ready: no keys");
        assert_eq!(line(&answer(false, &["no keys"])), "not ready: plugins: no room for code; no keys");
    }
}
