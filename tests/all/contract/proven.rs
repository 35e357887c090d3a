//! The running demo against its own documents, by schemathesis: whatever it is sent, right or wrong, it answers as they say.

use super::documents::{CLIENTS, printed};
use crate::support::weft;
use tempfile::TempDir;
use tokio::process::Command;
use weft_tests::{artifacts, demo::Demo, process, program::find, tokens::token};

/// All checks that there are; but what is made up at random may write a whole number as `1.0`, which JSON Schema takes for one and JSON
/// for Rust does not.
const PHASES: [&[&str]; 2] =
    [&["--phases", "examples,coverage"], &["--phases", "fuzzing", "--exclude-checks", "positive_data_acceptance"]];

/// What is answered to requests that fit, besides what is usual: a key of a write that was used for another one is a 422.
const CONFIGURATION: &str = "[checks.positive_data_acceptance]\n\
    expected-statuses = [\"2xx\", \"3xx\", \"401\", \"403\", \"404\", \"409\", \"422\", \"429\", \"5xx\"]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_keeps_what_its_documents_promise() {
    let Some(schemathesis) = find("st") else { return };
    let demo = Demo::start().await;
    let mut setup = demo.shown();
    for client in CLIENTS {
        setup = setup.plugin(&format!("{client}.wasm"), &artifacts::built(weft(), &format!("plugins/home-{client}")));
    }
    let host = setup.start().await;
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), CONFIGURATION).unwrap();
    for client in CLIENTS {
        let file = folder.path().join(format!("{client}.json"));
        std::fs::write(&file, printed(client).await).unwrap();
        for phase in PHASES {
            let mut command = Command::new(&schemathesis);
            command.arg("run").arg(&file).arg("--url").arg(format!("http://{}/{client}", host.address()));
            command.args(["-H", &format!("Authorization: Bearer {}", token("ann"))]);
            command.args(phase).args(["-n", "15", "--generation-deterministic", "--no-color"]);
            let judged = process::ended(command.current_dir(folder.path()).kill_on_drop(true)).await;
            assert_eq!(judged.code, 0, "{client} {phase:?}:\n{}\n{}", judged.out, judged.err);
        }
    }
}
