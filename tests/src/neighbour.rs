//! A well-behaved client beside an attack: it has to get complete answers all the time.

use crate::{wait::soon, web::Web};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// Fewer say nothing.
const LEAST: usize = 20;

/// Runs `attack` while clients of HTTP/1.1 and HTTP/2 ask for `path` again and again, and goes on until each has its answer some times.
/// Told that the host is busy and when to come again, they come again.
///
/// # Panics
/// If one of their answers is not whole, or not `expected`.
pub async fn beside<T>(address: SocketAddr, path: &str, expected: &str, attack: impl Future<Output = T>) -> T {
    let over = AtomicBool::new(false);
    let client = async |web: Web| {
        let mut answers = 0;
        while answers < LEAST || !over.load(Relaxed) {
            let reply = web.get(path).send().await;
            if reply.status == 503 && reply.header("retry-after").is_some() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            assert_eq!(reply.ok().text(), expected);
            answers += 1;
        }
    };
    let attack = async {
        let result = attack.await;
        over.store(true, Relaxed);
        result
    };
    let clients = async { tokio::join!(client(Web::new(address)), client(Web::h2c(address))) };
    let (result, _) = tokio::join!(Box::pin(attack), soon("good clients to be served", clients));
    result
}
