//! What `weft dev` can't swap into the host that serves, because the plugin calls others, or by other protos: it begins a host beside it.

use super::{Begun, ended, served, text};
use crate::support::{BATCH_GET_FILMS, PATIENT};
use demo_services::proto::catalog::v1::{BatchGetFilmsRequest, BatchGetFilmsResponse, Film};
use rustix::process::Signal;
use serde_json::json;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::task::JoinHandle;
use weft_tests::{
    repository,
    upstream::{Answer, FakeUpstream, Gate},
    wait::until,
    web::Web,
};

/// Greets ann all the time, by turns on a connection of its own and on one that stays.
struct Crowd {
    over: Arc<AtomicBool>,
    going: JoinHandle<Vec<String>>,
}

impl Crowd {
    fn begin(web: &Web) -> Self {
        let (over, staying) = (Arc::<AtomicBool>::default(), web.clone());
        let is_over = over.clone();
        let going = tokio::spawn(async move {
            let mut lost = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                for web in [&staying.anew(), &staying] {
                    match web.get("/greetings/ann").try_send().await {
                        Ok(reply) if reply.status == 200 => {}
                        other => lost.push(format!("{other:?}")),
                    }
                }
            }
            lost
        });
        Self { over, going }
    }

    /// What was not answered as it should be.
    async fn lost(self) -> Vec<String> {
        self.over.store(true, Ordering::SeqCst);
        self.going.await.unwrap()
    }
}

/// Protos of its own, a request that may take its time, and another two films for whoever is slow.
fn prepare(begun: &Begun) {
    let from = repository().join("examples/protos");
    for file in ["catalog/v1/films.proto", "reviews/v1/reviews.proto"] {
        let to = begun.author.folder.join("own").join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from.join(file), to).unwrap();
    }
    let script = begun.author.read("greeter/build.rs");
    begun.author.write("greeter/build.rs", &script.replace(from.to_str().unwrap(), "../own"));
    let manifest = begun.author.read("greeter/plugin.toml");
    begun.author.write("greeter/plugin.toml", &manifest.replace("\"800ms\"", "\"300s\""));
    begun.replace("(1..=2).map(", "(if name == \"slow\" { 8..=9 } else { 1..=2 }).map(");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_calls_or_protos_begins_another_host_and_no_request_is_lost() {
    let begun = Begun::new().await;
    prepare(&begun);
    let (upstream, gate) = (FakeUpstream::start().await, Gate::new());
    let shut = gate.clone();
    upstream.on(BATCH_GET_FILMS, move |call| {
        let ids = call.decoded::<BatchGetFilmsRequest>().ids;
        let is_slow = ids.contains(&8);
        let films = ids.into_iter().map(|id| Film { id, title: format!("Film {id}"), ..Film::default() });
        let answer = Answer::message(&BatchGetFilmsResponse { films: films.collect() });
        if is_slow { answer.held(&shut) } else { answer }
    });
    let config = format!(
        "[plugins]\nfolder = \"plugins\"\n[[client]]\nname = \"web\"\n[backend.films]\nservices = [\"catalog.v1.Films\"]\nendpoints = \"static://{}\"\n{PATIENT}\n\
         [backend.films.method.\"catalog.v1.Films/GetFilm\"]\nscope = \"public\"\n\
         batch = {{ via = \"BatchGetFilms\", key = \"id\", keys = \"ids\", items = \"films\", item-key = \"id\" }}\n",
        upstream.address()
    );
    begun.author.write("weft.toml", &config);
    let dev = begun.dev(&["--config", "../weft.toml"]);
    let web = served(&dev, 1).await;
    assert_eq!(text(&web).await, "Hello, ann!");
    let slow = web.get("/greetings/slow");
    let slow = tokio::spawn(slow.send());
    gate.reached().await;
    let crowd = Crowd::begin(&web);

    // Another service.
    let manifest = begun.author.read("greeter/plugin.toml");
    begun.author.write(
        "greeter/plugin.toml",
        &manifest.replace("[calls]\n", "[calls]\n\"reviews.v1.Reviews\" = [\"GetSummary\"]\n"),
    );
    served(&dev, 2).await;
    dev.until_line("backend reviews (reviews.v1.Reviews): mocked").await;
    // A field more in a proto, which the code uses; the manifest is as it was.
    let protos = begun.author.read("own/catalog/v1/films.proto");
    begun.author.write(
        "own/catalog/v1/films.proto",
        &protos.replace("message Film {\n", "message Film {\n  string slogan = 90;\n"),
    );
    dev.until_line("own/catalog/v1/films.proto saved: building").await;
    served(&dev, 3).await;
    begun.replace("film.title.clone()", "format!(\"{}{}\", film.title, film.slogan)");
    served(&dev, 4).await;

    // The host refuses what it can't call as the configuration says: nobody is taken in by one that serves nothing.
    begun.author.write("weft.toml", &config.replace("key = \"id\"", "key = \"no_such\""));
    dev.until_line("BUILD 5 FAILED; build 4 goes on serving").await;
    begun.author.write("weft.toml", &config);
    served(&dev, 6).await;

    assert_eq!(crowd.lost().await, Vec::<String>::new());
    // It began four hosts ago, and is finished by the one that it began with.
    assert!(!slow.is_finished());
    gate.open();
    assert_eq!(slow.await.unwrap().ok().json()["films"], json!(["Film 8", "Film 9"]));
    let alone = async || (begun.left().len() == 1).then_some(());
    until("the folders of hosts that are gone to be gone", alone).await;
    ended(dev, Signal::TERM).await;
    assert_eq!(begun.left(), Vec::<String>::new());
}
