//! `weft dev` as authors use it, on a desk of their own: saved is served, what fails leaves what served, backends by choice, keys.

mod changing;
mod keys;
mod page;

use crate::support::{BATCH_GET_FILMS, GET_FILM, weft};
use demo_services::proto::catalog::v1::{BatchGetFilmsRequest, BatchGetFilmsResponse, Film};
use rustix::process::Signal;
use serde_json::Value;
use std::{fs, net::SocketAddr, path::Path};
use weft_tests::{
    author::Author,
    process::run_in,
    repository,
    speaker::Speaker,
    upstream::{Answer, FakeUpstream},
    web::Web,
};

/// Says two films, which it asks for one by one.
const CODE: &str = r#"//! Greets whoever calls, and has two films for them.

use weft_sdk::prelude::*;

weft_sdk::clients!();

use catalog::v1::{Films, GetFilmRequest};

#[data]
pub struct Greeting {
    pub text: String,
    pub films: Vec<String>,
}

/// Greets the one who is named in the path.
#[get("/greetings/{name}")]
async fn greet(Path(name): Path<String>) -> Result<Json<Greeting>> {
    let films = try_join_all((1..=2).map(|id| Films::get_film(GetFilmRequest { id }))).await?;
    let films = films.into_iter().map(|film| film.title.clone()).collect();
    log::info!("greeting {name}");
    Ok(Json(Greeting { text: format!("Hello, {name}!"), films }))
}

weft_sdk::plugin!(greet);
"#;

/// A desk with a plugin that calls a backend.
struct Begun {
    author: Author,
    /// Where temporary things go.
    temporary: tempfile::TempDir,
}

impl Begun {
    async fn new() -> Self {
        let author = Author::new(weft());
        let protos = repository().join("examples/protos");
        author.begin("greeter", &["--client", "web", "--protos", protos.to_str().unwrap()]).await;
        let manifest = author.read("greeter/plugin.toml");
        let granted = manifest.replace("# \"catalog.v1.Films\"", "\"catalog.v1.Films\"");
        assert_ne!(granted, manifest);
        author.write("greeter/plugin.toml", &granted);
        author.write("greeter/src/lib.rs", CODE);
        // What all plugins depend on may not be compiled yet, and no wait is bounded by that.
        let built = author.weft("greeter", &["build"]).await;
        assert_eq!(built.code, 0, "{built:?}");
        Self { author, temporary: tempfile::tempdir().unwrap() }
    }

    /// `weft dev` in the plugin's folder, not yet serving.
    fn dev(&self, arguments: &[&str]) -> Speaker {
        let arguments = [&["dev"], arguments, &["--listen", "127.0.0.1:0"]].concat();
        self.begin(weft(), &arguments)
    }

    fn begin(&self, program: &Path, arguments: &[&str]) -> Speaker {
        let (target, cache) = (self.author.target(), self.author.cache());
        let environment = [
            ("CARGO_TARGET_DIR", target.as_path()),
            ("XDG_CACHE_HOME", cache.as_path()),
            ("TMPDIR", self.temporary.path()),
        ];
        Speaker::begin(program, &self.author.folder.join("greeter"), arguments, &environment)
    }

    fn replace(&self, old: &str, new: &str) {
        let text = self.author.read("greeter/src/lib.rs");
        assert!(text.contains(old), "{text}");
        self.author.write("greeter/src/lib.rs", &text.replace(old, new));
    }

    /// What is left behind in the folder for temporary things.
    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.temporary.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Where it serves, once this build does.
async fn served(dev: &Speaker, build: u32) -> Web {
    let line = dev.until_line(&format!("build {build} serves")).await;
    let address = line.split("http://").nth(1).and_then(|rest| rest.split(": ").next()).unwrap();
    Web::new(address.parse::<SocketAddr>().unwrap())
}

async fn text(web: &Web) -> String {
    let greeting = web.get("/greetings/ann").send().await.ok().json();
    greeting["text"].as_str().unwrap().to_owned()
}

async fn ended(dev: Speaker, signal: Signal) -> Vec<String> {
    dev.signal(signal);
    let (code, lines) = dev.end().await;
    assert_eq!(code, 0, "{lines:#?}");
    assert_eq!(lines.last().unwrap(), "Stopped.");
    assert!(!lines.iter().any(|line| line.contains('\x1b')), "no colours where nobody sees them: {lines:#?}");
    lines
}

#[tokio::test]
async fn what_is_saved_is_served_and_what_fails_leaves_what_served() {
    let begun = Begun::new().await;
    let dev = begun.dev(&[]);
    let web = served(&dev, 1).await;
    assert_eq!(text(&web).await, "Hello, ann!");
    let line = dev.until_line("200 GET /greetings/ann").await;
    assert!(line.contains("2 calls → 1 upstream, 1 round  guest "), "{line}");
    dev.until_line("greeting ann").await;

    begun.replace("Hello, {name}!", "Good day, {name}!");
    dev.until_line("src/lib.rs saved: building").await;
    served(&dev, 2).await;
    assert_eq!(text(&web).await, "Good day, ann!");

    begun.replace("film.title.clone()", "film.titel.clone()");
    dev.until_line("BUILD 3 FAILED; build 2 goes on serving").await;
    let said = dev.lines().join("\n");
    assert!(said.contains("error[E0609]: no field `titel`") && said.contains("--> src/lib.rs:"), "{said}");
    assert_eq!(text(&web).await, "Good day, ann!");
    begun.replace("film.titel.clone()", "film.title.to_uppercase()");
    served(&dev, 4).await;

    // What the code says of itself has changed: a page that the manifest says nothing of.
    begun.replace("\"/greetings/{name}\"", "\"/greeting/{name}\"");
    dev.until_line("BUILD 5 FAILED; build 4 goes on serving").await;
    let manifest = begun.author.read("greeter/plugin.toml");
    begun.author.write("greeter/plugin.toml", &manifest.replace("/greetings/", "/greeting/"));
    served(&dev, 6).await;
    assert_eq!(web.get("/greetings/ann").send().await.status, 404);
    web.get("/greeting/ann").send().await.ok();
    dev.until_line("404 GET /greetings/ann").await;

    assert_eq!(begun.left().len(), 1, "its own folder: {:?}", begun.left());
    let lines = ended(dev, Signal::TERM).await;
    let mocked = "backend catalog (catalog.v1.Films): mocked, replies made from its protos; a real one: --backend catalog=http://HOST:PORT";
    assert!(lines.iter().any(|line| line == mocked), "{lines:#?}");
    let guessed = "batched by rules that are guessed from the protos (AIP-231): catalog.v1.Films/GetFilm by BatchGetFilms; those of a host: --config weft.toml";
    assert_eq!(lines.iter().filter(|line| *line == guessed).count(), 1, "said once: {lines:#?}");
    assert_eq!(begun.left(), Vec::<String>::new());
}

#[tokio::test]
async fn a_backend_is_real_where_that_is_said_and_a_host_s_rules_are_taken() {
    let begun = Begun::new().await;
    let upstream = FakeUpstream::start().await;
    let film = |id: u32| Film { id, title: format!("Film {id}"), ..Film::default() };
    upstream.on(BATCH_GET_FILMS, move |call| {
        let ids = call.decoded::<BatchGetFilmsRequest>().ids;
        Answer::message(&BatchGetFilmsResponse { films: ids.into_iter().map(film).collect() })
    });
    let films = async |dev: &Speaker| {
        let web = served(dev, 1).await;
        web.get("/greetings/ann").send().await.ok().json()["films"].clone()
    };
    let dev = begun.dev(&["--backend", &format!("catalog=http://{}", upstream.address())]);
    assert_eq!(films(&dev).await, serde_json::json!(["Film 1", "Film 2"]));
    let lines = ended(dev, Signal::INT).await;
    let told = format!("backend catalog (catalog.v1.Films): at static://{}", upstream.address());
    assert!(lines.contains(&told), "{lines:#?}");
    assert_eq!(upstream.calls(BATCH_GET_FILMS).len(), 1);

    // A host's configuration: its name for the backend, its caches; and no rule, so that each film is a call.
    upstream.on(GET_FILM, |_| Answer::message(&Film { title: "Alone".to_owned(), ..Film::default() }));
    let config = format!(
        "[plugins]\nfolder = \"plugins\"\n[[client]]\nname = \"web\"\n[backend.films]\nservices = [\"catalog.v1.Films\"]\nendpoints = \"static://{}\"\n\
         [backend.films.method.\"catalog.v1.Films/GetFilm\"]\ncache = {{ ttl = \"60s\", scope = \"public\" }}\n",
        upstream.address()
    );
    begun.author.write("weft.toml", &config);
    let dev = begun.dev(&["--config", "../weft.toml"]);
    for _ in 0..2 {
        assert_eq!(films(&dev).await, serde_json::json!(["Alone", "Alone"]));
    }
    dev.until_line("2 calls → 2 upstream, 1 round  guest ").await;
    dev.until_line("2 calls → 0 upstream, 1 round  2 cache  guest ").await;
    let lines = ended(dev, Signal::INT).await;
    assert!(lines.contains(&"backend films (catalog.v1.Films): as in ../weft.toml".to_owned()), "{lines:#?}");

    // One of them mocked after all: nobody is called.
    let calls = || upstream.calls(BATCH_GET_FILMS).len() + upstream.calls(GET_FILM).len();
    let before = calls();
    let dev = begun.dev(&["--config", "../weft.toml", "--backend", "films=mock"]);
    assert_ne!(films(&dev).await, Value::Null);
    ended(dev, Signal::HUP).await;
    assert_eq!(calls(), before);
}

#[tokio::test]
async fn what_can_not_be_is_said_before_anything_is_built() {
    let begun = Begun::new().await;
    let folder = begun.author.folder.clone();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let in_greeter = |arguments: &[&str]| {
        let arguments: Vec<String> = [&["dev", "greeter"], arguments].concat().into_iter().map(str::to_owned).collect();
        let folder = folder.clone();
        async move { run_in(weft(), &folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    for (arguments, code, says) in [
        (vec!["--backend", "catalogue=mock"], 2, "the plugin calls no such backend; did you mean `catalog`?"),
        (vec!["--backend", "x=mock"], 2, "there are: catalog (or a whole service, as in [calls])"),
        (vec!["--backend", "catalog"], 2, "expected NAME=mock or NAME=http://HOST:PORT"),
        (vec!["--backend", "catalog=mock", "--backend", "catalog=mock"], 2, "it is said twice"),
        (vec!["--config", "nowhere.toml"], 2, "nowhere.toml"),
        (vec!["--listen", &taken], 1, "is another program there already? --listen names another place"),
    ] {
        let ended = in_greeter(&arguments).await;
        assert!(ended.code == code && ended.err.contains(says), "{arguments:?}: {ended:?}");
    }
    let elsewhere = run_in(weft(), &folder, &["dev"]).await;
    assert!(elsewhere.code == 1 && elsewhere.err.contains("is . a plugin's folder?"), "{elsewhere:?}");
}
