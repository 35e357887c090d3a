//! Waiting: for a condition, while all processes live, and with a line that says for what.

use crate::{crew::Crew, say};
use anyhow::anyhow;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take.
const LONGEST: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);
/// How often is told for what: on a terminal, and where each is a line of its own.
const TOLD: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];

/// Asks until there is an answer. That a process ends meanwhile is an error, and so is that it takes too long.
pub(crate) async fn until<T>(
    crew: &mut Crew,
    what: impl Fn() -> String,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let [terminal, elsewhere] = TOLD;
    let often = if say::on_terminal() { terminal } else { elsewhere };
    let asked = timeout(LONGEST, async {
        let (began, mut told) = (Instant::now(), Instant::now());
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            if told.elapsed() >= often {
                told = Instant::now();
                say::progress(&format!("{}, {} so far", what(), say::took(began.elapsed())));
            }
            sleep(LOOK).await;
        }
    });
    let outcome = tokio::select! {
        answer = asked => answer.map_err(|_| anyhow!("waited {} in vain: {}", say::took(LONGEST), what())),
        death = crew.first_death() => Err(death),
    };
    say::progress_ends();
    outcome
}
