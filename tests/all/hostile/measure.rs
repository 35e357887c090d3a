//! Temporary.
use crate::support::{knows_all, probe};
use weft_tests::setup::Setup;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore]
async fn warm() {
    let upstream = knows_all().await;
    for round in 0..6 {
        let warm = if round % 2 == 0 { 0 } else { 64 };
        let host = Setup::new()
            .limits(&format!("requests = 32\nidle = 8\nwarm = {warm}"))
            .one_backend(upstream.address(), "")
            .plugin("probe.wasm", &probe())
            .start()
            .await;
        for _ in 0..50 {
            host.get("/version").send().await.ok();
        }
        let mut times = Vec::new();
        for _ in 0..1000 {
            let t = std::time::Instant::now();
            host.get("/version").send().await.ok();
            times.push(t.elapsed());
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        times.sort();
        let t = std::time::Instant::now();
        let loops = (0..8).map(|_| {
            let web = host.web().clone();
            async move {
                for _ in 0..250 {
                    web.get("/version").send().await.ok();
                }
            }
        });
        futures_util::future::join_all(loops).await;
        println!(
            "warm={warm} p50={:?} p90={:?} p99={:?} 2000 by 8: {:?}",
            times[500],
            times[900],
            times[990],
            t.elapsed()
        );
    }
}
