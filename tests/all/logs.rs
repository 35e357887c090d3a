//! Logs for machines: where the log is JSON, all that the host says on standard error is.

use crate::support::{probe, weft};
use rustix::process::Signal;
use serde_json::{Value, json};
use weft_tests::{
    process::{HostProcess, run},
    setup::Setup,
};

const JSON: &str = "[telemetry]\nlog-format = \"json\"";

/// Each line as an object.
#[track_caller]
fn read(lines: &[String]) -> Vec<Value> {
    let read = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let lines: Vec<Value> = lines.iter().map(read).collect();
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{lines:#?}");
    lines
}

#[track_caller]
fn find<'a>(lines: &'a [Value], text: &str) -> &'a Value {
    let said = |line: &&Value| line["message"].as_str().is_some_and(|message| message.contains(text));
    lines.iter().find(said).unwrap_or_else(|| panic!("no {text:?} in {lines:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_is_json_and_lists_are_lists() {
    let folder = Setup::new().one_backend("127.0.0.1:1", "").more(JSON).plugin("probe.wasm", &probe()).write();
    let host = HostProcess::start(weft(), &folder).await;
    assert_eq!(host.web().get("/log?lines=1&text=hello").send().await.status, 204);
    host.until_line("hello").await;
    folder.change(|text| text.replace("name = \"test\"", "name = \"test\"\nrate = \"1000/s\""));
    host.signal(Signal::HUP);
    host.until_line("SIGHUP").await;
    host.signal(Signal::HUP);
    host.until_line("nothing has changed").await;
    folder.change(|text| text.replace("rate = ", "rat = "));
    host.signal(Signal::HUP);
    host.until_line("was not reloaded").await;
    host.terminate();
    let (code, lines) = host.end().await;
    assert_eq!(code, 0);
    let lines = read(&lines);
    assert_eq!(find(&lines, "hello")["fields"], json!({ "number": "0" }));
    let changes = find(&lines, "configuration reloaded")["changes"].as_array().unwrap();
    assert!(changes[0].as_str().unwrap().contains("rate"), "{changes:?}");
    find(&lines, "weft serves on http://");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_a_host_from_starting_is_json_as_well() {
    let folder = Setup::new().more(JSON).write();
    let path = folder.config();
    let serve = async || run(weft(), &["serve", "--config", path.to_str().unwrap()]).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.change(|text| text.replacen("127.0.0.1:0", &address, 1));
    let ended = serve().await;
    let lines = |text: &str| read(&text.lines().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert_eq!(find(&lines(&ended.err), "can't listen on")["level"], "ERROR");
    folder.change(|text| text + "[bakend.films]\nservices = 7\n");
    let ended = serve().await;
    assert_eq!(ended.code, 2, "{ended:?}");
    let lines = lines(&ended.err);
    let mistake = find(&lines, "unknown");
    assert!(mistake["line"].is_u64() && mistake["key"] == "bakend", "{mistake}");
    find(&lines, "nothing was started");
}
