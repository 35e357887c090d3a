//! The protocol's own programs: the TypeScript client, of both kinds of revisions, and the inspector.

use super::{host, token};
use crate::support::weft;
use serde_json::Value;
use tokio::process::Command;
use weft_tests::{
    artifacts::built,
    demo::Demo,
    host::TestHost,
    node,
    process::{Ended, ended},
    repository,
};

/// The demo's films for the web, with its tools.
async fn films(demo: &Demo) -> TestHost {
    demo.shown().plugin("home-web.wasm", &built(weft(), "plugins/home-web")).start().await
}

/// A script with the client from the folder where npm has put it.
async fn by_client(script: &str, arguments: &[&str]) -> Option<Ended> {
    let (mut node, package) = (node::node()?, node::package("@modelcontextprotocol/client")?);
    node.arg(repository().join("tests/all/agents").join(script)).arg(package).args(arguments);
    Some(ended(&mut node).await)
}

async fn by_inspector(arguments: &[&str]) -> Option<Ended> {
    let (mut node, package) = (node::node()?, node::package("@modelcontextprotocol/inspector")?);
    let home = tempfile::tempdir().unwrap();
    node.arg(package.join("clients/launcher/build/index.js")).arg("--cli").args(arguments).env("HOME", home.path());
    Some(ended(&mut node).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_client_finds_and_calls_tools() {
    let host = host(", write = true", "").await;
    let (url, token) = (format!("http://{}/t/mcp", host.address()), token("ann").sign());
    let Some(told) = by_client("client.mjs", &[&url, &token]).await else { return };
    assert_eq!(told.code, 0, "{}\n{}", told.out, told.err);
    assert_eq!(told.out.matches("ok: ").count(), 12, "{}", told.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inspector_lists_and_calls_tools() {
    let host = host("", "").await;
    let (url, token) =
        (format!("http://{}/t/mcp", host.address()), format!("Authorization: Bearer {}", token("ann").sign()));
    let common = [url.as_str(), "--transport", "http", "--header", token.as_str()];
    let Some(listed) = by_inspector(&[&common[..], &["--method", "tools/list"]].concat()).await else { return };
    assert_eq!(listed.code, 0, "{}\n{}", listed.out, listed.err);
    let list: Value = serde_json::from_str(&listed.out).unwrap();
    assert!(list["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "get_films_by_id"), "{}", listed.out);
    let call = ["--method", "tools/call", "--tool-name", "get_films_by_id", "--tool-arg", "id=7"];
    let called = by_inspector(&[&common[..], &call].concat()).await.unwrap();
    assert_eq!(called.code, 0, "{}\n{}", called.out, called.err);
    let called: Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!(called["content"][0]["text"], "Film 7", "{called}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_finds_its_way_through_the_demo() {
    let demo = Demo::start().await;
    let host = films(&demo).await;
    let Some(told) = by_client("demo.mjs", &[&format!("http://{}/web/mcp", host.address())]).await else { return };
    assert_eq!(told.code, 0, "{}\n{}", told.out, told.err);
    assert_eq!(told.out.matches("→ tools/call").count(), 3, "{}", told.out);
}

/// The commands of docs/frontends/agents.md, as they stand there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_page_find_and_call_tools() {
    let demo = Demo::start().await;
    let host = films(&demo).await;
    let page = std::fs::read_to_string(repository().join("docs/frontends/agents.md")).unwrap();
    let commands = page.lines().filter(|line| line.starts_with("npx ") || line.starts_with("curl "));
    let mut count = 0;
    for command in commands {
        let mut run = command.replace("127.0.0.1:8080", &host.address().to_string());
        if let Some(rest) = run.strip_prefix("npx @modelcontextprotocol/inspector ") {
            let Some(package) = node::package("@modelcontextprotocol/inspector") else { continue };
            run = format!("node {} {rest}", package.join("clients/launcher/build/index.js").display());
        }
        let home = tempfile::tempdir().unwrap();
        let told = ended(Command::new("sh").arg("-c").arg(&run).env("HOME", home.path()).kill_on_drop(true)).await;
        assert_eq!(told.code, 0, "{command}: {}{}", told.out, told.err);
        let answer: Value = serde_json::from_str(&told.out).unwrap();
        let result = answer.get("result").unwrap_or(&answer);
        match command.contains("tools/list") {
            true => assert!(result["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "get_films_by_id")),
            false => assert_eq!(result["structuredContent"]["title"], "The Godfather", "{command}"),
        }
        count += 1;
    }
    assert!(count == 4 || node::package("@modelcontextprotocol/inspector").is_none(), "{count}");
}
