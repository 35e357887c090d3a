//! A frontend developer's way: what docs/frontends/start.md says to type is typed, against the demo as it is delivered.

use crate::support::weft;
use weft_tests::{artifacts::built, demo::Demo, host::TestHost, process, program::find, repository, tokens::token};

/// The demo's host with all three clients.
async fn demo() -> (Demo, TestHost) {
    let demo = Demo::start().await;
    let mut setup = demo.shown();
    for client in ["web", "ios", "tv"] {
        setup = setup.plugin(&format!("{client}.wasm"), &built(weft(), &format!("plugins/home-{client}")));
    }
    let host = setup.start().await;
    (demo, host)
}

/// Words as a shell splits them: by blanks that stand in no quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_to_start_from_works_as_it_is_written() {
    let Some(curl) = find("curl") else { return };
    let (_demo, host) = demo().await;
    let etag = host.get("/web/films/1").send().await.ok().header("etag").unwrap().to_owned();
    let page = std::fs::read_to_string(repository().join("docs/frontends/start.md")).unwrap();
    let mut lines = page.lines();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ curl ") else { continue };
        let command = command.replace("127.0.0.1:8080", &host.address().to_string());
        let command = command.replace("ETAG", &etag).replace("TOKEN", &token("ann"));
        let ended = process::ended(tokio::process::Command::new(&curl).args(words(&command))).await;
        assert_eq!(ended.code, 0, "{command}: {}", ended.err);
        let told = ended.out.replace("\r\n", "\n");
        let mut expected = lines.next().unwrap().to_owned();
        if expected == "{" {
            expected = format!("{{\n{}", lines.next().unwrap());
        }
        let beginning = expected.trim_end_matches('…');
        let is_there = if command.starts_with("-si ") { told.contains(beginning) } else { told.starts_with(beginning) };
        assert!(is_there, "{command}\n{told}\nexpected: {expected}");
        count += 1;
    }
    assert_eq!(count, 9);
    // What else it names is there.
    assert!(host.get("/web/problems/rate-limited").send().await.ok().text().contains("urn:weft:problem:rate-limited"));
    let asks = host.get("/web/films/1").header("origin", "http://localhost:3000").send().await.ok();
    assert_eq!(asks.header("access-control-allow-origin"), Some("*"));
}

/// The examples that mocks answer by are what the real endpoints answer: the same status, and members of the same kinds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_answers_what_its_mocks_promise() {
    let (_demo, host) = demo().await;
    let mut checked = 0;
    for client in ["web", "ios", "tv"] {
        let folder = repository().join(format!("plugins/home-{client}/mocks"));
        let artifact = weft::artifact::Artifact::parse(built(weft(), &format!("plugins/home-{client}"))).unwrap();
        let mistakes = weft::settings::Mistakes::new();
        let mocks = weft::mocks::Mocks::read(&artifact.manifest, &artifact.schema, &artifact.mocks, "mocks", &mistakes);
        assert!(mistakes.is_empty() && folder.exists());
        for (endpoint, examples) in mocks.examples() {
            assert!(!examples.is_empty(), "{client} has no example for {endpoint}");
            let schema = artifact.schema.iter().find(|it| format!("{} {}", it.method, it.path) == endpoint).unwrap();
            for example in examples.iter().filter(|it| it.degraded.is_empty()) {
                let id = example.params.first().map_or("1", |(_, id)| if id == "404" { "999999" } else { id });
                let path = schema.path.replace("{id}", id);
                let path =
                    if path == "/search" && example.status != Some(400) { format!("{path}?q=god") } else { path };
                let request = match schema.method.as_str() {
                    "GET" => host.get(&format!("/{client}{path}")),
                    _ => host.post(&format!("/{client}{path}")).json(&serde_json::json!({ "stars": 5 })),
                };
                let reply = request.bearer(&token("ann")).send().await;
                let usual = schema.more["status"].as_u64().unwrap();
                let expected = example.status.map_or(usual, u64::from);
                assert_eq!(u64::from(reply.status), expected, "{client} {endpoint} {}: {reply:?}", example.name);
                if let (200..300, Some(of)) = (reply.status, &schema.response) {
                    assert_eq!(weft::mocks::schema::check(of, &reply.json()), [], "{client} {endpoint}");
                }
                if let Some(problem) = &example.problem {
                    let kind = problem.get("type").and_then(|kind| kind.as_str()).unwrap_or("about:blank");
                    assert_eq!(reply.json()["type"], kind, "{client} {endpoint} {}", example.name);
                }
                checked += 1;
            }
        }
    }
    assert!(checked >= 25, "{checked}");
}
