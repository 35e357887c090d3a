//! Logs for machines: where the log is JSON, all that the host says on standard error is.

use crate::support::{probe, weft};
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use weft_tests::{
    process::{HostProcess, run},
    setup::Setup,
    tokens::token,
    wait::until,
    web::Web,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_elastic_reads_has_its_names_and_nothing_that_is_secret() {
    let telemetry = "[telemetry]\nlog-format = \"ecs\"\nlog-path = \"route\"\nlog-level = \"debug\"";
    let setup = Setup::new().identity("token = true").one_backend("127.0.0.1:1", "").more(telemetry);
    let setup = setup.admin("token = \"env:WEFT_TEST_TOKEN\"").plugin("probe.wasm", &probe());
    let secret = "s3cr3t-of-the-operator";
    let host = HostProcess::start_with(weft(), &setup.write(), &[("WEFT_TEST_TOKEN", Path::new(secret))]).await;
    let (good, other) = (token("ann"), token("ann").replace('.', ".x"));
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (path, bearer) in [("/me?code=s3cr3t-of-ann", &good), ("/films/31415?x=s3cr3t-of-ann", &good), ("/me", &other)]
    {
        let request =
            host.web().get(path).bearer(bearer).header("traceparent", parent).header("cookie", "s3cr3t-of-ann");
        request.send().await;
    }
    host.web().post("/s3cr3t-of-ann/none").bearer(&good).body("s3cr3t-of-ann").send().await;
    Web::admin(host.admin).post("/v1/invalidate").bearer(secret).send().await;
    host.until_line("/films/{id}").await;
    host.terminate();
    let (code, lines) = host.end().await;
    assert_eq!(code, 0);
    let text = lines.join("\n");
    let signature = good.rsplit('.').next().unwrap();
    for secret in ["s3cr3t", signature, &other, "31415"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for name in ["@timestamp", "log.level", "log.logger", "event.dataset", "service.name", "ecs.version"] {
            assert!(line[name].is_string(), "no {name}: {line}");
        }
    }
    let film = lines.iter().find(|line| line["url.path"] == "/films/{id}").unwrap();
    let expected = json!({
        "http.request.method": "GET", "event.dataset": "weft.access", "log.level": "info", "weft.plugin": "probe",
        "trace.id": "0af7651916cd43dd8448eb211c80319c", "client.ip": "127.0.0.1", "weft.client": "test",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&film[name], value, "{name}: {film}");
    }
    assert!(film["event.duration"].is_u64() && film["http.response.status_code"].is_u64(), "{film}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_comes_again_and_again_is_counted_and_each_request_has_its_line() {
    let telemetry = "[telemetry]\nlog-format = \"json\"\nlog-repeats = 2";
    let setup = Setup::new().one_backend("127.0.0.1:1", "").more(telemetry).plugin("probe.wasm", &probe());
    let (folder, token) = (setup.admin("token = \"env:WEFT_TEST_TOKEN\"").write(), "of-the-operator");
    let host = HostProcess::start_with(weft(), &folder, &[("WEFT_TEST_TOKEN", Path::new(token))]).await;
    folder.change(|text| text + "[bakend.films]\nservices = 7\n");
    let admin = Web::admin(host.admin);
    for _ in 0..5 {
        assert_eq!(admin.post("/v1/config/reload").bearer(token).send().await.status, 409);
        host.web().get("/trap").send().await.problem(502);
    }
    let count = |text: &str| host.lines().iter().filter(|line| line.contains(text)).count();
    let trapped = "\"path\":\"/trap\"";
    until("all lines", async || (count(trapped) == 5).then_some(())).await;
    assert_eq!(count("was not reloaded"), 2);
    // The count is told with the first line after ten seconds.
    let told = async || {
        host.web().get("/version").send().await;
        // What the host says of the plugin is counted as well, and may be told first.
        host.lines().into_iter().find(|line| line.contains("passed over") && line.contains("was not reloaded"))
    };
    let told: Value = serde_json::from_str(&until("the count", told).await).unwrap();
    assert_eq!((&told["count"], &told["level"]), (&3.into(), &"WARN".into()), "{told}");
    assert_eq!((count(trapped), read(&host.lines()).is_empty()), (5, false));
}

/// Longer than a pipe takes in one piece.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_many_threads_are_whole_and_those_of_one_client_in_order() {
    const EACH: usize = 20;
    for telemetry in [JSON, "[telemetry]\nlog-format = \"human\""] {
        let setup = Setup::new().one_backend("127.0.0.1:1", "").more(telemetry).plugin("probe.wasm", &probe());
        let host = HostProcess::start(weft(), &setup.write()).await;
        let filler = "x".repeat(6_000);
        let client = async |client: usize| {
            for number in 0..EACH {
                let path = format!("/log?lines=1&text=({client}:{number}:{filler})");
                assert_eq!(host.web().get(&path).send().await.status, 204);
            }
        };
        join_all((0..16).map(client)).await;
        host.terminate();
        let (_, lines) = host.end().await;
        let mut next = [0; 16];
        for line in &lines {
            let begins = if telemetry == JSON {
                line.starts_with('{')
            } else {
                line.starts_with("20") || line.starts_with("weft ")
            };
            assert!(begins, "{line}");
            let Some((head, rest)) = line.split_once(&format!(":{filler})")) else {
                assert!(!line.contains("xxx"), "{line}");
                continue;
            };
            assert!(!rest.contains("xxx"), "{line}");
            let (client, number) = head.rsplit_once('(').unwrap().1.split_once(':').unwrap();
            let expected = &mut next[client.parse::<usize>().unwrap()];
            assert_eq!(number.parse::<usize>().unwrap(), *expected, "{line}");
            *expected += 1;
        }
        assert_eq!(next, [EACH; 16]);
    }
}
