//! Keys of requests that outlive the configuration with which they came.

use super::*;
use weft_tests::raw::Connection;

/// A request that came before a reload claims its key after it, and after the connection of that time is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_outlives_a_reload_goes_on_with_the_line_of_those_after_it() {
    let Some(mut two) = Two::start(false).await else { return };
    two.gate.open();
    let [one, other] = &two.hosts;
    let mut slow = Connection::open(one.http).await;
    let head = format!("POST /film/1/rating HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n", token("ann"));
    let head = head + "idempotency-key: k1\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    slow.send(head.as_bytes()).await;
    until("the request to be there", async || {
        (metrics(one).await.sum("weft_requests_active", &[]) >= 1.0).then_some(())
    })
    .await;
    two.folders[0].change(|text| text.replace("shared-timeout = \"5s\"", "shared-timeout = \"4s\""));
    one.signal(Signal::HUP);
    one.until_line("configuration reloaded").await;
    two.redis.kill().await;
    until_up(one, false).await;
    two.redis.run().await;
    until_up(one, true).await;
    until_up(other, true).await;
    slow.send(b"}").await;
    let first = slow.next().await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None), "{}", first.text);
    let again = rate(other, 1, "ann", "k1").json(&json!({})).send().await.ok();
    assert_eq!((again.json(), replayed(&again), two.done()), (json!(1), true, 1));
}
