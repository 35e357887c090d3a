//! Waiting until something is so. The bound ends tests of broken code; no test says anything about time by it.

use std::time::Duration;

/// Far longer than anything takes, even on a busy machine.
pub const LONGEST: Duration = Duration::from_secs(180);

/// The future's output.
///
/// # Panics
/// If it does not come.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(LONGEST, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain for: {what}"),
    }
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// If there is none.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    soon(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
