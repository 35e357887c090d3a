//! Releases by command: what is asked for serves, what is taken back stays away whatever lies in the folder, and a host that is killed at
//! any moment comes back whole.

use crate::support::{raw, weft};
use bytes::Bytes;
use rustix::process::Signal;
use serde_json::Value;
use std::path::PathBuf;
use weft_tests::{
    artifacts::{renamed, with_endpoint, with_version},
    process::{Ended, HostProcess, run},
    setup::{Folder, Setup},
    wait::until,
    web::Web,
};

const VERSION: &str = "/raw/version";

fn release(minor: u32) -> Bytes {
    with_version(&raw(), &format!("1.{minor}.0"))
}

/// A host with one release in its folder, and what is needed to command it.
struct Site {
    host: HostProcess,
    folder: Folder,
}

impl Site {
    async fn start(setup: Setup) -> Self {
        let folder = setup.plugin("raw.wasm", &release(1)).write();
        let host = HostProcess::start(weft(), &folder).await;
        Self { host, folder }
    }

    async fn plain() -> Self {
        Self::start(Setup::new().one_backend("127.0.0.1:1", "")).await
    }

    /// The process is killed, and another one begins with what lies on the disk.
    async fn restarted(self) -> Self {
        let Self { host, folder } = self;
        host.signal(Signal::KILL);
        host.end().await;
        let host = HostProcess::start(weft(), &folder).await;
        Self { host, folder }
    }

    async fn command(&self, words: &[&str]) -> Ended {
        self.command_as(&self.folder.admin_token(), words).await
    }

    async fn command_as(&self, token: &std::path::Path, words: &[&str]) -> Ended {
        let (admin, token) = (self.host.admin.to_string(), token.display().to_string());
        run(weft(), &[&["release"], words, &["--admin", &admin, "--token-file", &token]].concat()).await
    }

    /// As [`Site::command`], for what goes well.
    async fn good(&self, words: &[&str]) -> String {
        let ended = self.command(words).await;
        assert_eq!(ended.code, 0, "{words:?}: {}", ended.err);
        ended.out
    }

    async fn refused(&self, words: &[&str]) -> String {
        let ended = self.command(words).await;
        assert_ne!(ended.code, 0, "{words:?}: {}", ended.out);
        ended.err
    }

    /// An artifact beside the plugin folder.
    fn file(&self, name: &str, artifact: &[u8]) -> String {
        let path: PathBuf = self.folder.config().with_file_name(name);
        std::fs::write(&path, artifact).unwrap();
        path.display().to_string()
    }

    async fn version(&self) -> String {
        Web::new(self.host.http).get(VERSION).send().await.ok().text()
    }

    /// Of one that is not known: "".
    async fn state(&self, release: &str) -> String {
        let ended = self.command(&["show", release, "--json"]).await;
        let shown: Value = serde_json::from_str(&ended.out).unwrap_or_default();
        shown["release"]["state"].as_str().unwrap_or_default().to_owned()
    }

    async fn until_state(&self, release: &str, state: &str) {
        until(&format!("{release} to be {state}"), async || (self.state(release).await == state).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rolled_back_stays_away_whatever_the_folder_says_until_it_is_asked_for() {
    let site = Site::plain().await;
    let second = site.file("second.wasm", &release(2));
    let out = site.good(&["apply", &second, "--wait", "--reason", "a new page"]).await;
    assert!(out.contains("raw 1.2.0") && out.contains("verified -> live, by testkit: a new page"), "{out}");
    assert_eq!(site.version().await, "1.2.0");
    site.until_state("raw@1.1.0", "retired").await;

    let out = site.good(&["rollback", "raw", "--wait", "--reason", "the page is empty"]).await;
    assert!(out.contains("live -> rolled-back, by testkit: the page is empty"), "{out}");
    assert_eq!(site.version().await, "1.1.0");
    let site = site.restarted().await;
    assert_eq!((site.version().await.as_str(), site.state("raw@1.2.0").await.as_str()), ("1.1.0", "rolled-back"));
    // By its file it does not come back, and who looks is told why.
    site.folder.install("second.wasm", &release(2));
    let reason = until("the file to be refused", async || {
        let answer = Web::admin(site.host.admin).get("/v1/plugins").send().await.ok().json();
        weft_tests::host::refusal(&answer, "second.wasm")
    });
    let reason = reason.await;
    assert!(
        reason.contains("was rolled back, by testkit (the page is empty)") && reason.contains("weft release apply"),
        "{reason}"
    );
    assert_eq!(site.version().await, "1.1.0");
    site.good(&["apply", "raw@1.2.0", "--wait"]).await;
    assert_eq!(site.version().await, "1.2.0");
    // A file that nobody has seen is an apply, where its version is higher.
    site.folder.install("third.wasm", &release(3));
    site.until_state("raw@1.3.0", "live").await;
    let site = site.restarted().await;
    assert_eq!(site.version().await, "1.3.0");
    let history = site.good(&["history", "raw"]).await;
    assert!(history.lines().count() > 12, "{history}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_retired_is_gone_and_there_is_a_way_back_to_what_served_also_without_its_file() {
    let site = Site::plain().await;
    site.folder.install("raw.wasm", &release(2));
    site.until_state("raw@1.2.0", "live").await;
    until("the bytes to be kept", async || {
        site.good(&["show", "raw@1.1.0"]).await.contains("bytes are kept").then_some(())
    })
    .await;
    site.good(&["rollback", "raw", "--wait"]).await;
    assert_eq!(site.version().await, "1.1.0");
    assert!(site.refused(&["rollback", "raw"]).await.contains("there is nothing to go back to"));

    site.good(&["retire", "raw", "--wait", "--reason", "no app asks for it"]).await;
    Web::new(site.host.http).get(VERSION).send().await.problem(404);
    let site = site.restarted().await;
    Web::new(site.host.http).get(VERSION).send().await.problem(404);
    assert!(site.refused(&["retire", "other"]).await.contains("no release of `other` is in service"));
    site.good(&["apply", "raw@1.1.0", "--wait"]).await;
    assert_eq!(site.version().await, "1.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_can_not_serve_changes_nothing_and_is_told_with_its_reason() {
    let site = Site::plain().await;
    let other = renamed(&with_version(&raw(), "2.0.0"), "other", "test");
    for (name, artifact, reason) in [
        ("garbage.wasm", Bytes::from_static(b"garbage"), "not a WebAssembly component"),
        ("clash.wasm", with_endpoint(&other, "GET /raw/version"), "belongs to plugin `raw` already"),
        ("client.wasm", renamed(&release(9), "raw", "watch"), "it is for client `watch`"),
    ] {
        let file = site.file(name, &artifact);
        let said = site.refused(&["apply", &file, "--wait"]).await;
        assert!(said.contains(reason), "{name}: {said}");
        assert_eq!(site.version().await, "1.1.0");
    }
    assert_eq!(site.state("other@2.0.0").await, "rejected");
    let large = vec![0; 40 << 20];
    assert!(site.refused(&["apply", &site.file("large.wasm", &large)]).await.contains("max-artifact"));
    let near = site.refused(&["apply", "ra@1.1.0"]).await;
    assert!(near.contains("no release `ra@1.1.0` is known there (there is a plugin `raw`)"), "{near}");
    assert_eq!(site.command(&["apply", "nowhere.wasm"]).await.code, 2);
    // Staged only: it stands by, and serves when it is asked for.
    let second = site.file("second.wasm", &release(2));
    site.good(&["apply", &second, "--stage", "--wait"]).await;
    assert_eq!((site.state("raw@1.2.0").await.as_str(), site.version().await.as_str()), ("verified", "1.1.0"));
    site.good(&["apply", "raw@1.2.0", "--wait"]).await;
    assert_eq!(site.version().await, "1.2.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_token_changes_what_it_is_for_and_nobody_changes_what_has_changed_meanwhile() {
    let tokens = tempfile::tempdir().unwrap();
    let token = |name: &str| {
        let path = tokens.path().join(name);
        std::fs::write(&path, format!("{name}-{}", "x".repeat(32))).unwrap();
        path
    };
    let (admin, viewer, ios) = (token("admin"), token("viewer"), token("ios"));
    let table = |name: &str, role: &str, more: &str| {
        format!("{{ name = {name:?}, role = {role:?}, token = \"file:{}\"{more} }}", tokens.path().join(name).display())
    };
    let all =
        [table("admin", "admin", ""), table("viewer", "viewer", ""), table("ios", "operator", ", clients = [\"ios\"]")];
    let clients = "[[client]]\nname = \"test\"\nprefix = \"/test\"\n[[client]]\nname = \"ios\"\nprefix = \"/ios\"\n";
    let setup =
        Setup::new().one_backend("127.0.0.1:1", "").clients(clients).admin(&format!("tokens = [{}]", all.join(", ")));
    let site = Site::start(setup).await;
    let second = site.file("second.wasm", &release(2));
    let own = site.file("own.wasm", &renamed(&release(1), "own", "ios"));
    // Its name is that of another client's plugin.
    let thief = site.file("thief.wasm", &renamed(&release(3), "raw", "ios"));
    for (token, words, said) in [
        (&viewer, vec!["apply", &second], "this needs the role `operator`"),
        (&ios, vec!["apply", &second], "this token is for client `ios`, and plugin `raw` is for `test`"),
        (&ios, vec!["apply", &thief], "this token is for client `ios`, and plugin `raw` is for `test`"),
        (&ios, vec!["rollback", "raw"], "this token is not for the client `test`"),
        (&ios, vec!["retire", "raw"], "this token is not for the client `test`"),
        (&ios, vec!["apply", "raw@1.1.0"], "this token is not for the client `test`"),
    ] {
        let ended = site.command_as(token, &words).await;
        assert!(ended.code == 1 && ended.err.contains(said), "{words:?}: {}", ended.err);
    }
    let ended = site.command_as(&ios, &["apply", &own, "--wait"]).await;
    assert_eq!(ended.code, 0, "{}", ended.err);

    let ask = |revision: &str| {
        let request = Web::new(site.host.admin).post("/v1/plugins/raw/retire").header("if-match", revision);
        request.bearer(std::fs::read_to_string(&admin).unwrap().as_str()).send()
    };
    assert_eq!(ask("\"0\"").await.status, 412);
    assert_eq!(ask("x").await.status, 400);
    assert_eq!(site.command_as(&viewer, &["list"]).await.code, 0);
}

/// What a host is killed at is not known: the moments are many, and after each it is one of the two whole states.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_killed_while_something_is_applied_comes_back_whole() {
    let mut site = Site::plain().await;
    let files: Vec<_> = (1..=2).map(|minor| site.file(&format!("{minor}.wasm"), &release(minor))).collect();
    for moment in 0..12_u64 {
        let wanted = &files[usize::from(moment % 2 == 0)];
        let words = ["apply", wanted, "--reason", "again"];
        tokio::select! {
            biased;
            () = tokio::time::sleep(std::time::Duration::from_millis(moment * 25)) => {}
            ended = site.command(&words) => assert_eq!(ended.code, 0, "{}", ended.err),
        }
        site = site.restarted().await;
        let version = until("one of the two to serve", async || {
            let reply = Web::new(site.host.http).get(VERSION).send().await;
            (reply.status == 200).then(|| reply.text())
        });
        let version = version.await;
        assert!(["1.1.0", "1.2.0"].contains(&version.as_str()), "{version}");
        site.until_state(&format!("raw@{version}"), "live").await;
        let events: Vec<Value> =
            site.good(&["history", "--json"]).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let numbers: Vec<_> = events.iter().map(|event| event["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "no holes");
    }
}
