//! What docs/authors/dev.md says is typed, and what it shows is seen.

use super::{Begun, ended, served};
use rustix::process::Signal;
use std::fs;
use weft_tests::repository;

const ONE_FILM: &str = "Films::get_film(GetFilmRequest { id: 1 }).await?";

/// Without times, which differ, and at the port that the page has.
fn shape(line: &str, port: u16) -> String {
    let line = line.replace(&format!(":{port}"), ":8080");
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 1..words.len() {
        let is_unit = ["ms", "s"].contains(&words[at].trim_end_matches([',', ';']));
        if is_unit && words[at - 1].parse::<f64>().is_ok() {
            words[at - 1] = "T";
        }
    }
    words.join(" ")
}

#[tokio::test]
async fn the_page_shows_what_is_seen() {
    let page = fs::read_to_string(repository().join("docs/authors/dev.md")).unwrap();
    let of = |language: &str| -> Vec<&str> {
        let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        blocks.filter(|(of, _)| *of == language).map(|(_, text)| text.trim_end()).collect()
    };
    let (typed, shown) = (of(""), of("text"));
    let [dev, curl, with_config] = typed.as_slice() else { panic!("{typed:#?}") };

    let begun = Begun::new().await;
    let two = "try_join_all((1..=2).map(|id| Films::get_film(GetFilmRequest { id }))).await?";
    begun.replace(two, &format!("[{ONE_FILM}]"));
    begun.replace("    log::info!(\"greeting {name}\");\n", "");
    let started = begun.dev(&dev.split(' ').skip(2).collect::<Vec<_>>());
    let web = served(&started, 1).await;
    let path = curl.split_once("localhost:8080").unwrap().1;
    web.get(path).send().await.ok();
    started.until_line("200 GET").await;
    begun.replace("Hello, {name}!", "Hello, {nobody}!");
    let failed = started.until_line("BUILD 2 FAILED").await;
    let port: u16 = failed.rsplit(':').next().unwrap().parse().unwrap();
    let seen: Vec<String> = ended(started, Signal::TERM).await.iter().map(|line| shape(line, port)).collect();
    for line in shown.iter().flat_map(|block| block.lines()) {
        let line = shape(line, 8080);
        assert!(seen.contains(&line), "{line}\n{seen:#?}");
    }

    begun.replace("{nobody}", "{name}");
    let config = "[plugins]\nfolder = \"plugins\"\n[[client]]\nname = \"web\"\n[backend.catalog]\nservices = [\"catalog.v1.Films\"]\nendpoints = \"static://127.0.0.1:9\"\n";
    begun.author.write("weft.toml", config);
    let started = begun.dev(&with_config.split(' ').skip(2).collect::<Vec<_>>());
    served(&started, 1).await.get(path).send().await.ok();
    ended(started, Signal::TERM).await;
}
