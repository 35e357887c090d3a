//! A frontend's desk before there is a backend: `weft new --mock-only`, `weft mock`, what may be asked for, and what is refused.

mod edges;

use crate::support::weft;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use weft_tests::{
    author::Author,
    mock::MockProcess,
    process::{Ended, run_in},
    repository,
    wait::until,
    web::{Reply, Web},
};

/// A folder with a plugin that has no code.
struct Begun(tempfile::TempDir);

impl Begun {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = run_in(weft(), folder.path(), &["new", "greeter", "--client", "web", "--mock-only"]).await;
        assert_eq!(made.code, 0, "{made:?}");
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("greeter").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.file(name).parent().unwrap()).unwrap();
        fs::write(self.file(name), text).unwrap();
    }

    fn replace(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.file(name)).unwrap();
        assert!(text.contains(old), "{text}");
        self.write(name, &text.replace(old, new));
    }

    async fn mock(&self) -> MockProcess {
        MockProcess::start(weft(), self.0.path(), &["greeter"]).await
    }

    /// Which has mistakes, and ends.
    async fn refused(&self) -> Ended {
        run_in(weft(), self.0.path(), &["mock", "greeter", "--listen", "127.0.0.1:0"]).await
    }
}

/// Words as a shell splits them: by blanks that stand in no quotes.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let parts = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    parts.collect()
}

/// What curl would send by this line.
async fn curl(web: &Web, line: &str) -> Reply {
    let (mut words, mut headers, mut data, mut path) = (words(line).into_iter(), Vec::new(), None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "curl" | "-s" => {}
            "-H" => headers.push(words.next().unwrap()),
            "-d" => data = words.next(),
            address => path = address.split_once("localhost:8080").map(|(_, path)| path.to_owned()),
        }
    }
    let path = path.unwrap_or_else(|| panic!("no address in {line}"));
    let request = if data.is_some() { web.post(&path) } else { web.get(&path) };
    let request = headers.iter().fold(request, |request, header| {
        let (name, value) = header.split_once(": ").unwrap();
        request.header(name, value)
    });
    match data {
        Some(data) => request.body(data).send().await,
        None => request.send().await,
    }
}

/// What the page says to type is typed, and answers what stands there.
#[tokio::test]
async fn the_page_for_frontends_works_as_it_is_written() {
    let page = fs::read_to_string(repository().join("docs/frontends/mocks.md")).unwrap();
    let blocks: Vec<&str> = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix('\n')).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut mock: Option<MockProcess> = None;
    let mut asked = 0;
    for block in blocks {
        let mut lines = block.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(command) = line.strip_prefix("$ ") else {
                let told = mock.as_ref().unwrap().until_line("weft mock answers for").await;
                let port = format!("{}", mock.as_ref().unwrap().http.port());
                assert_eq!(told.replace(&port, "8080"), line);
                continue;
            };
            if let Some(arguments) = command.strip_prefix("weft mock ") {
                mock = Some(MockProcess::start(weft(), folder.path(), &[arguments]).await);
            } else if let Some(arguments) = command.strip_prefix("weft ") {
                let ended = run_in(weft(), folder.path(), &arguments.split(' ').collect::<Vec<_>>()).await;
                assert_eq!(ended.code, 0, "{ended:?}");
            } else {
                let told = curl(&mock.as_ref().unwrap().web(), command).await.text();
                let expected = lines.next().unwrap();
                match expected.split_once('…') {
                    Some((beginning, _)) => assert!(told.starts_with(beginning), "{command}\n{told}\n{expected}"),
                    None => assert_eq!(told, expected, "{command}"),
                }
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 8);
    // And the example of the page is one.
    let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(folder.path().join("greeter/mocks/get-greeting.json"), example).unwrap();
    let web = mock.as_ref().unwrap().web();
    let tired = until("the example", async || {
        let reply = web.get("/greetings/ann").header("x-mock-degraded", "mood").send().await;
        (reply.status == 200 && reply.json()["text"] == "Hello.").then_some(reply)
    });
    assert_eq!(tired.await.header("x-weft-degraded"), Some("mood.v1.Mood/GetMood;how=fallback"));
}

#[tokio::test]
async fn a_contract_without_code_is_a_document_and_code_is_asked_for_its_own() {
    let begun = Begun::new().await;
    let document = async || run_in(weft(), begun.0.path(), &["openapi", "--artifact", "greeter"]).await;
    let made = document().await;
    assert_eq!(made.code, 0, "{made:?}");
    let told: Value = serde_json::from_str(&made.out).unwrap();
    let greeting = &told["paths"]["/greetings/{name}"]["get"]["responses"]["200"]["content"]["application/json"];
    assert!(greeting["examples"].is_object() && greeting["schema"].is_object(), "{greeting}");
    begun.replace("plugin.toml", "client = \"web\"", "client = 7");
    let wrong = document().await;
    assert!(wrong.code == 2 && wrong.err.contains("plugin.toml") && wrong.err.contains("client"), "{wrong:?}");
    begun.write("Cargo.toml", "");
    let code = document().await;
    assert!(code.code == 2 && code.err.contains("`weft build greeter`, and give the artifact"), "{code:?}");
}

#[tokio::test]
async fn what_is_saved_answers_and_what_is_saved_wrong_does_not() {
    let begun = Begun::new().await;
    let mock = begun.mock().await;
    let web = mock.web();
    let answers = async |path: &str, expected: Value| {
        until(&format!("{expected}"), async || {
            let reply = web.get(path).send().await;
            (reply.status == 200 && reply.json() == expected).then_some(())
        })
        .await;
    };
    answers("/greetings/ann", json!({"name": "ann", "text": "Hello, ann!"})).await;
    begun.replace("mocks/get-greeting.json", "Hello, ann!", "Hi, ann!");
    answers("/greetings/ann", json!({"name": "ann", "text": "Hi, ann!"})).await;

    begun.replace("mocks/get-greeting.json", "\"text\": \"Hi, ann!\"", "\"texts\": \"Hi, ann!\"");
    let told = mock.until_line("is required, but missing").await;
    assert_eq!(told, "error: greeter/mocks/get-greeting.json: examples.default.body.text: is required, but missing");
    mock.until_line("saved with mistakes: what was there before answers still").await;
    answers("/greetings/ann", json!({"name": "ann", "text": "Hi, ann!"})).await;

    // An endpoint more, in all three places; a header that pages may send from now on.
    begun.replace("mocks/get-greeting.json", "\"texts\"", "\"text\"");
    begun.write("contract/mood.json", &json!({"endpoint": "GET /mood", "response": {"enum": ["glad"]}}).to_string());
    let manifest = fs::read_to_string(begun.file("plugin.toml")).unwrap();
    begun.write(
        "plugin.toml",
        &format!("{manifest}\n[endpoint.\"GET /mood\"]\nauth = \"none\"\nheaders = [\"x-app-version\"]\n"),
    );
    answers("/mood", json!("glad")).await;
    until("the header to be allowed", async || {
        let asks = web.request("OPTIONS", "/mood").header("origin", "http://localhost:3000");
        let reply = asks.header("access-control-request-method", "GET").send().await;
        reply.header("access-control-allow-headers").filter(|allowed| allowed.contains("x-app-version")).map(drop)
    })
    .await;
    let (code, lines) = mock.interrupt().await;
    assert_eq!(code, 0, "{lines:#?}");
}

/// The host is the real one: what pages meet in front of a mock is what they meet later.
#[tokio::test]
async fn in_front_of_a_mock_all_is_as_it_will_be() {
    let begun = Begun::new().await;
    begun.write(
        "plugin.toml",
        &(fs::read_to_string(begun.file("plugin.toml")).unwrap()
            + "idempotency = { ttl = \"1h\" }\n[endpoint.\"GET /slow\"]\nauth = \"none\"\ntimeout = \"50ms\"\nrate = \"3/m\"\n"),
    );
    begun.write("contract/slow.json", &json!({"endpoint": "GET /slow", "response": {"type": "string"}}).to_string());
    let mock = begun.mock().await;
    let web = mock.web();

    let first = web.get("/greetings/ann").header("origin", "http://localhost:3000").send().await.ok();
    assert_eq!(first.header("access-control-allow-origin"), Some("*"));
    let again = web.get("/greetings/ann").header("if-none-match", first.header("etag").unwrap()).send().await;
    assert_eq!(again.status, 304, "{again:?}");
    assert_eq!(web.get("/nowhere").send().await.problem(404)["type"], "urn:weft:problem:not-found");

    let made = web.get("/greetings").send().await.ok().json();
    assert_eq!(made, web.get("/greetings").send().await.ok().json());
    assert_ne!(made, web.get("/greetings").header("x-mock-seed", "7").send().await.ok().json());
    assert!(made["greetings"][0]["text"].is_string(), "{made}");

    // A delay beyond the endpoint's time is the host's own answer.
    let late = web.get("/slow").header("x-mock-delay", "10s").send().await.problem(504);
    assert_eq!(late["type"], "urn:weft:problem:deadline");
    for _ in 0..2 {
        web.get("/slow").send().await.ok();
    }
    let limited = web.get("/slow").send().await;
    assert_eq!(limited.problem(429)["type"], "urn:weft:problem:rate-limited");
    let injected = web.get("/greetings/ann").header("x-mock-problem", "rate-limited").send().await;
    assert_eq!(injected.problem(429)["type"], limited.json()["type"]);
    assert!(limited.header("retry-after").is_some() && injected.header("retry-after") == Some("1"));
    let stale = web.get("/greetings/ann").header("x-mock-stale", "a.v1.A/B").send().await.ok();
    assert_eq!(stale.header("x-weft-degraded"), Some("a.v1.A/B;how=stale"));

    let post = |token: Option<&str>, text: &str| {
        let request = web.post("/greetings").header("idempotency-key", "1").json(&json!({"name": "b", "text": text}));
        token.into_iter().fold(request, |request, token| request.bearer(token)).send()
    };
    assert_eq!(post(None, "a").await.problem(401)["type"], "urn:weft:problem:unauthorized");
    let created = post(Some("ada"), "a").await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(post(Some("ada"), "a").await.header("idempotent-replayed"), Some("true"));
    assert_eq!(post(Some("bob"), "").await.problem(400)["field"], "body.text");
    // {"sub":"carol"}, signed by nobody.
    post(Some("eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYXJvbCJ9.x"), "c").await;
    mock.until_line("carol").await;
}

#[tokio::test]
async fn every_mistake_is_told_and_nothing_is_started() {
    let begun = Begun::new().await;
    begun.replace("plugin.toml", "[endpoint.\"POST /greetings\"]", "[endpoint.\"POST /greeting\"]");
    begun.replace("contract/get-greetings.json", "\"maximum\"", "\"maximal\"");
    begun.write("mocks/x.json", "{");
    let told = begun.refused().await;
    assert_eq!(told.code, 2, "{told:?}");
    for line in [
        "error: greeter/contract/get-greetings.json: query.properties.limit: the keyword `maximal` is not understood",
        "error: greeter/mocks/x.json:1: is no JSON",
    ] {
        assert!(told.err.contains(line), "no {line:?} in\n{}", told.err);
    }
    begun.replace("contract/get-greetings.json", "\"maximal\"", "\"maximum\"");
    let told = begun.refused().await;
    for line in ["the code has no such endpoint", "POST /greeting"] {
        assert!(told.err.contains(line), "no {line:?} in\n{}", told.err);
    }
    let empty = tempfile::tempdir().unwrap();
    let told = run_in(weft(), empty.path(), &["mock"]).await;
    assert!(told.code == 2 && told.err.contains("weft new NAME --client CLIENT --mock-only"), "{told:?}");
}

/// From a contract to code: what differs is named, and what is the same asks to go.
#[tokio::test]
async fn code_takes_the_place_of_its_contract() {
    let author = Author::new(weft());
    author.begin("greeter", &["--client", "ios"]).await;
    let contract = |text: Value| {
        let schema = json!({"type": "object", "properties": {"text": text}, "required": ["text"]});
        json!({"endpoint": "GET /greetings/{name}", "params": {"name": {"type": "string"}}, "response": schema})
            .to_string()
    };
    let folder = author.folder.join("greeter");
    for name in ["contract", "mocks"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    author.write("greeter/contract/greeting.json", &contract(json!({"type": "integer"})));
    let told = author.weft("greeter", &["build"]).await;
    let line =
        "GET /greetings/{name}: response.properties.text.type: the contract has \"integer\", the code has \"string\"";
    assert!(told.code == 1 && told.err.contains(line), "{told:?}");
    author.write("greeter/contract/greeting.json", &contract(json!({"type": "string"})));
    let told = author.weft("greeter", &["build"]).await;
    assert!(told.code == 1 && told.err.contains("./contract says: delete that folder"), "{told:?}");
    fs::remove_dir_all(folder.join("contract")).unwrap();

    author.write(
        "greeter/mocks/greeting.json",
        &json!({"endpoint": "GET /greetings/{name}", "body": {"text": 1}}).to_string(),
    );
    let told = author.weft("greeter", &["build"]).await;
    let line = "error: ./mocks/greeting.json: body.text: expected string, found 1";
    assert!(told.code == 2 && told.err.contains(line), "{told:?}");
    author.write(
        "greeter/mocks/greeting.json",
        &json!({"endpoint": "GET /greetings/{name}", "body": {"text": "Hi"}}).to_string(),
    );
    let told = author.weft("greeter", &["build"]).await;
    assert_eq!(told.code, 0, "{told:?}");

    // The code's folder and the artifact answer the same.
    let artifact = author.target().join("weft/greeter-0.1.0.wasm");
    let of_code: &Path = &folder;
    for path in [of_code, &artifact] {
        // What the author has compiled need not be compiled again.
        let (path, target) = (path.to_str().unwrap(), author.target());
        let environment: [(&str, &Path); 2] =
            [("CARGO_TARGET_DIR", &target), ("CARGO_PROFILE_DEV_DEBUG", "none".as_ref())];
        let mock = MockProcess::start_with(weft(), &author.folder, &[path], &environment).await;
        assert_eq!(mock.web().get("/greetings/ann").send().await.ok().json(), json!({"text": "Hi"}));
    }
}

/// The demo's plugins have examples, and all clients are served from their artifacts.
#[tokio::test]
async fn the_demos_clients_are_served_each_under_its_prefix() {
    let built = ["home-ios", "home-tv", "home-web"]
        .map(|name| weft_tests::artifacts::built(weft(), &format!("plugins/{name}")));
    let folder = tempfile::tempdir().unwrap();
    let names = ["a.wasm", "b.wasm", "c.wasm"];
    for (name, bytes) in names.iter().zip(&built) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let mock = MockProcess::start(weft(), folder.path(), &names).await;
    let web = mock.web();
    assert_eq!(web.get("/ios/films/1").send().await.ok().json()["title"], "The Godfather");
    assert_eq!(web.get("/ios/films/404").send().await.problem(404)["detail"], "there is no film `404`");
    let degraded = web.get("/ios/home").header("x-mock-degraded", "recommend").send().await;
    // A word of a name, of a package or of a service.
    assert_eq!(degraded.header("x-weft-degraded"), Some("recommend.v1.Recommend/ForUser;how=fallback"), "{degraded:?}");
    assert_eq!(degraded.json()["suggestions"], json!([]));
    assert_eq!(web.get("/tv/home").send().await.ok().json()["rows"][0]["title"], "For you");
    let film = web.get("/web/films/7?fields=title,cast.actor.name").send().await.ok().json();
    assert_eq!(film, json!({ "title": "The Godfather", "cast": [{ "actor": { "name": "Marlon Brando" } }] }));
    let gone = web.get("/tv/films/404").send().await.problem(404);
    assert_eq!(gone["type"], "https://films.example.com/problems/no-such-film");
    let told = run_in(weft(), folder.path(), &["mock", "a.wasm", "--client", "tv", "--listen", "127.0.0.1:0"]).await;
    assert!(told.code == 2 && told.err.contains("no plugin here is for client `tv`"), "{told:?}");
}

/// As the code would, and it is typed, documented and listened to before there is any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_mocked_before_there_is_code() {
    let begun = Begun::new().await;
    let manifest = fs::read_to_string(begun.file("plugin.toml")).unwrap();
    begun.write("plugin.toml", &format!("{manifest}\n[endpoint.\"GET /live\"]\nauth = \"none\"\n"));
    let response = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    let contract = json!({ "endpoint": "GET /live", "response": response, "stream": true });
    begun.write("contract/live.json", &contract.to_string());
    begun.write("mocks/live.json", r#"{ "endpoint": "GET /live", "body": [{ "n": 1 }, { "n": 2 }] }"#);
    let mock = begun.mock().await;
    let stream = mock.web().get("/live").listen().await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.rest().await, ["data: {\"n\":1}", "data: {\"n\":2}"]);
    mock.web().get("/live").header("x-mock-status", "503").send().await.problem(503);
}
