//! `weft dev` at a terminal.

use super::{Begun, text};
use std::path::Path;
use tokio::io::AsyncWriteExt;
use weft_tests::{speaker::Speaker, web::Web};

/// A terminal of its own, with a shell that tells of it before and after.
fn at_a_terminal(begun: &Begun) -> Speaker {
    let weft = crate::support::weft().display();
    let lines = format!(
        "stty rows 30 cols 150; stty -a | grep -o '.icanon'; '{weft}' dev --listen 127.0.0.1:0; echo code $?; stty -a | grep -o '.icanon'"
    );
    begun.begin(Path::new("script"), &["-q", "-c", &lines, "/dev/null"])
}

/// The address behind the last of these words that are on the screen.
async fn address(dev: &Speaker, before: &str) -> (Web, String) {
    let line = dev.until_line(before).await;
    let address = line.split(before).last().unwrap().split("http://").nth(1).unwrap();
    let end = address.find(|c: char| !(c.is_ascii_alphanumeric() || ".:/".contains(c))).unwrap_or(address.len());
    let (host, path) = address[..end].split_once('/').unwrap_or((&address[..end], ""));
    (Web::new(host.trim_end_matches(':').parse().unwrap()), format!("/{path}"))
}

#[tokio::test]
async fn keys_rebuild_open_and_quit_and_the_terminal_is_as_before() {
    let begun = Begun::new().await;
    let mut dev = at_a_terminal(&begun);
    dev.until_line("build 1 serves").await;
    let (web, _) = address(&dev, "greeter 0.1.0 on ").await;
    assert_eq!(text(&web).await, "Hello, ann!");
    dev.until_line("200 GET /greetings/ann").await;

    dev.input().write_all(b"o").await.unwrap();
    let (console, path) = address(&dev, "waterfall of GET /greetings/ann: ").await;
    let page = console.get(&path).send().await.ok().text();
    assert!(page.contains("catalog.v1.Films/GetFilm (upstream, 2 keys via catalog.v1.Films/BatchGetFilms"), "{page}");
    assert_eq!(console.get("/shown/0123456789abcdef0123456789abcdef").send().await.status, 404);

    dev.input().write_all(b"r").await.unwrap();
    dev.until_line("build 2 serves").await;

    // What the compiler says stands on the screen, under a line that says what goes on.
    begun.replace("film.title.clone()", "film.titel.clone()");
    dev.until_line("BUILD 3 FAILED; build 2 goes on serving").await;
    let error = dev.until_line("no field `titel`").await;
    assert!(error.contains("\x1b["), "in colours: {error}");

    dev.input().write_all(b"q").await.unwrap();
    let (_, lines) = dev.end().await;
    let last = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>();
    let [.., stopped, code, after] = last.as_slice() else { panic!("{lines:#?}") };
    assert!(stopped.ends_with("Stopped.") && *code == "code 0", "{lines:#?}");
    assert_eq!(last.first(), Some(after), "lines and echo are as they were");
    assert!(lines.iter().any(|line| line.contains("\x1b[?1049l")), "the screen is the one of before");
    assert_eq!(begun.left(), Vec::<String>::new());
}
