//! The binary: what it prints, how it stops, how it exits.

use std::net::TcpListener;
use std::process::{Output, Stdio};

use demo_services::proto::catalog::v1::ListFilmsRequest;
use demo_services::proto::catalog::v1::films_client::FilmsClient;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-services"));
    command.args(arguments).kill_on_drop(true);
    command
}

async fn run(arguments: &[&str]) -> Output {
    command(arguments).output().await.unwrap()
}

/// The process, and the address that its one line names.
async fn ready(arguments: &[&str]) -> (Child, String) {
    let mut child = command(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let line = stdout.lines().next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("catalog listening on ").unwrap();
    (child, address.to_owned())
}

#[tokio::test]
async fn it_says_where_it_listens_serves_and_stops_on_sigterm() {
    let sizes = "films=30,people=25,reviews=10";
    let (mut child, address) = ready(&["catalog", "--listen", "127.0.0.1:0", "--generate", sizes]).await;
    let mut films = FilmsClient::connect(format!("http://{address}")).await.unwrap();
    let page_size = 100;
    let asked = ListFilmsRequest { page_size, ..Default::default() };
    let page = films.list_films(asked).await.unwrap();
    assert_eq!(page.get_ref().films.len(), 30);
    let id = child.id().unwrap();
    let kill = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().await;
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_taken_port_is_said_and_is_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["people", "--listen", &address]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    assert!(said.contains("--listen"), "{said}");
}

#[tokio::test]
async fn a_missing_file_is_exit_1() {
    let listen = ["--listen", "127.0.0.1:0"];
    let output = run(&["people", listen[0], listen[1], "--data", "/no/such/file"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/no/such/file"), "{said}");
}

#[tokio::test]
async fn wrong_usage_is_exit_2() {
    let cases: [&[&str]; 6] = [
        &[],
        &["cinema"],
        &["catalog", "--listen", "here"],
        &["catalog", "--generate", "books=1"],
        &["catalog", "--seed", "1"],
        &["catalog", "--data", "x", "--generate", "films=1"],
    ];
    for arguments in cases {
        let output = run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn help_teaches_by_examples() {
    let output = run(&["--help"]).await;
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    for word in ["Examples:", "grpcurl", "--generate", "Exit codes", "catalog"] {
        assert!(said.contains(word), "{word}");
    }
}
