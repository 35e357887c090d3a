//! The memory of one real process under attack, held to what "Memory, added up" in docs/operators/operations.md says of its configuration.

use crate::{
    hostile::{artifact, manifest, of_functions},
    support::{probe, weft},
};
use futures_util::{StreamExt, future::join_all, stream};
use std::fmt::Write as _;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use weft::config::{Config, memory};
use weft_tests::{
    artifacts::{with_limit, with_manifest},
    gateway::Gateway,
    h2::{Attacker, Frame, get, post_with},
    host::refusal,
    metrics::Scrape,
    neighbour::beside,
    process::HostProcess,
    raw::{connect_from, narrow_from},
    setup::{Folder, Setup},
    tokens::token,
    wait::until,
    web::Web,
};

const HOSTILE: [u8; 4] = [127, 0, 1, 1];
/// Everything that a client can take is bounded so closely that what is asked for would go far beyond the sum.
const HTTP: &str = "trusted-peers = [\"127.0.0.9\"]\nstreams = 100\nconnections = 150\nmax-body = \"256KiB\"\n\
    bodies = \"16MiB\"\nbodies-per-ip = \"8MiB\"\nbodies-per-connection = \"4MiB\"\nbody-rate = \"0B\"\n\
    unread = \"48MiB\"\nunread-per-ip = \"24MiB\"\nunread-per-connection = \"12MiB\"\ntimeout = \"300s\"\nwrite-timeout = \"300s\"\n";
const LIMITS: &str = "requests = 8\nidle = 0\nqueue = \"10s\"\nplugin-share = \"100%\"\nmemory = \"24MiB\"\nresponse = \"8MiB\"\n\
    arena = \"256KiB\"\nmessage = \"256KiB\"\nmessages = \"1MiB\"\n\
    plugin-cache = \"4MiB\"\nidempotency = \"4MiB\"\nresponses = \"4MiB\"\n";
const CONNECTIONS: usize = 12;
/// Of each connection of HTTP/2; together with a megabyte each far more than the sum.
const ASKED: u32 = 100;
/// Connections of HTTP/1, with eight megabytes each.
const ONE_AT_A_TIME: usize = 120;

async fn start() -> (HostProcess, Folder, u64) {
    let probe = with_manifest(&with_limit(&probe(), "response", "8MiB"), |manifest| {
        manifest["limits"].as_table_mut().unwrap().insert("cpu".into(), "1s".into());
        for path in ["POST /echo/{name}", "GET /version", "GET /big", "POST /orders"] {
            manifest["endpoint"][path].as_table_mut().unwrap().insert("timeout".into(), "300s".into());
        }
        let keyed = "idempotency = { ttl = \"1h\", scope = \"principal\" }".parse::<toml::Table>().unwrap();
        let orders = manifest["endpoint"]["POST /orders"].as_table_mut().unwrap();
        orders.extend(keyed);
        orders.insert("auth".into(), "optional".into());
    });
    let setup = Setup::new().http(HTTP).limits(LIMITS).plugins("max-artifact = \"16MiB\"");
    let setup = setup.more("[cache]\nmax-bytes = \"4MiB\"");
    let folder = setup.one_backend("127.0.0.1:1", "").identity("").plugin("probe.wasm", &probe).write();
    let config = Config::load(&folder.config()).unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    (HostProcess::start(weft(), &folder).await, folder, memory::most(&config, cores))
}

fn assert_within(process: &HostProcess, most: u64) {
    let peak = process.peak_memory();
    assert!(peak < most, "{} MiB, and the sum is {} MiB", peak >> 20, most >> 20);
}

async fn counted(process: &HostProcess, name: &str, labels: &[(&str, &str)]) -> f64 {
    Scrape::parse(&Web::admin(process.admin).get("/metrics").send().await.ok().text()).sum(name, labels)
}

/// Asks for many large answers on one connection, and reads none; with how many of them were given and refused.
async fn ask_for_much(process: &HostProcess, from: [u8; 4]) -> (Attacker, usize, usize) {
    let mut attacker = Attacker::open_from(from, process.http, 0).await;
    let (mut given, mut refused, mut asked) = (0, 0, 0);
    while asked < ASKED {
        assert!(attacker.send((asked..asked + 4).map(|number| get(2 * number + 1, "/big?bytes=1000000"))).await);
        asked += 4;
        let mut answered = 0;
        while answered < 4 {
            match attacker.next().await.unwrap() {
                Frame::Head { status: Some(200), .. } => given += 1,
                Frame::Head { .. } => refused += 1,
                Frame::Reset { .. } => continue,
                Frame::Data { .. } | Frame::Other(_) => continue,
                other => panic!("{other:?}"),
            }
            answered += 1;
        }
    }
    (attacker, given, refused)
}

/// Asks for one large answer and reads nothing of it; with more lines in its head.
async fn ask_for_one(process: &HostProcess, from: [u8; 4], more: &str) -> TcpStream {
    let mut stream = narrow_from(from, process.http).await;
    // Refused or cut, as it may be: it is a connection all the same.
    let head = format!("GET /big?bytes=8000000 HTTP/1.1\r\nhost: test\r\n{more}\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    stream
}

/// A gateway that speaks HTTP/1: each connection is for another caller.
const GATEWAY: [u8; 4] = [127, 0, 0, 9];

fn on_behalf_of(caller: u8) -> String {
    format!("x-forwarded-for: 203.0.113.{caller}\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_ask_for_much_and_read_nothing_take_no_more_than_the_sum() {
    let (process, _folder, most) = start().await;
    let over_http_2 = join_all((0..CONNECTIONS).map(|_| ask_for_much(&process, HOSTILE)));
    let attackers = beside(process.http, "/version", "1.0.0", over_http_2).await;
    let (given, refused) = attackers.iter().fold((0, 0), |(given, refused), one| (given + one.1, refused + one.2));
    assert_eq!(given + refused, CONNECTIONS * ASKED as usize);
    assert!(refused > 0, "{given} were given");
    assert_within(&process, most);
    let over_http_1 = join_all((0..ONE_AT_A_TIME).map(|n| ask_for_one(&process, [127, 0, 2, n as u8], "")));
    let streams = beside(process.http, "/version", "1.0.0", async {
        let streams = over_http_1.await;
        let cut = async || {
            (counted(&process, "weft_requests_cut_total", &[("reason", "unread")]).await >= 60.0).then_some(())
        };
        until("those beyond the room for all to be cut", cut).await;
        streams
    });
    let streams = streams.await;
    assert_within(&process, most);
    drop((attackers, streams));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_behind_a_gateway_takes_no_more_than_the_sum() {
    let (process, folder, most) = start().await;
    folder.change(|text| text.replace("127.0.0.9", "127.0.0.1").replace("streams = 100", "streams = 2000"));
    drop(process);
    let process = HostProcess::start(weft(), &folder).await;
    let gateway = Gateway::with_window(process.http, 1 << 10).await;
    let ask = |number: usize| {
        gateway.at(&format!("203.0.113.{}", number % CONNECTIONS), number, "GET", "/big?bytes=1000000").unread()
    };
    let asked = CONNECTIONS * ASKED as usize;
    let answers = async { stream::iter((0..asked).map(ask)).buffer_unordered(16).collect::<Vec<_>>().await };
    let answers = beside(process.http, "/version", "1.0.0", answers).await;
    let statuses = answers.iter().map(|answer| answer.as_ref().map_or(0, |answer| answer.status().as_u16()));
    assert!(statuses.clone().all(|status| [0, 200, 429].contains(&status)), "{:?}", statuses.collect::<Vec<_>>());
    assert!(counted(&process, "weft_requests_cut_total", &[("reason", "unread")]).await > 0.0);
    assert_within(&process, most);
}

/// Heads as large as they may be, and bodies that never end.
async fn open_bodies(process: &HostProcess, from: [u8; 4]) -> Attacker {
    let mut attacker = Attacker::open_from(from, process.http, 0).await;
    // "cookie: a=b" to be remembered, and then again and again, in one byte each.
    let cookies = [&[0x60, 3][..], b"a=b", &vec![0xbe; 600]].concat();
    attacker.send((0..90).map(|number| post_with(2 * number + 1, "/echo/a", &cookies))).await;
    attacker
}

async fn unfinished(process: &HostProcess, from: [u8; 4], more: &str) -> TcpStream {
    let mut stream = connect_from(from, process.http).await;
    let head = format!("POST /echo/a HTTP/1.1\r\nhost: test\r\ncontent-length: 250000\r\n{more}\r\n");
    // Refused in the middle of it, or not.
    let _ = stream.write_all(&[head.as_bytes(), &[b'x'; 200_000]].concat()).await;
    stream
}

/// Writes, each under a key of its own.
async fn write(process: &HostProcess) {
    let web = process.web();
    for number in 0..300 {
        let order = serde_json::json!({ "lines": [{ "film": number, "stars": 5 }] });
        let write = web.post("/orders").bearer(&token("mallory")).header("idempotency-key", &format!("k{number}"));
        let reply = write.json(&order).send().await;
        assert!([200, 503].contains(&reply.status), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_attacks_together_take_no_more_than_the_sum_and_others_are_served() {
    let (process, folder, most) = start().await;
    let mut text = manifest("many", "1s", "").replace("client = \"bad\"", "client = \"test\"");
    for number in 0..40_000 {
        writeln!(text, "[endpoint.\"GET /{number}\"]").unwrap();
    }
    let many = artifact(&text, &of_functions(1));
    let hungry = async {
        let web = process.web();
        for _ in 0..20 {
            let reply = web.get("/grow").send().await;
            assert!([502, 503, 504].contains(&reply.status), "{reply:?}");
        }
    };
    let loading = async {
        folder.install("a-many.wasm", &many);
        let admin = Web::admin(process.admin);
        let refused = async || refusal(&admin.get("/v1/plugins").send().await.ok().json(), "a-many.wasm");
        until("the artifact to be refused", refused).await
    };
    let behind: Vec<_> = (0..20).map(on_behalf_of).collect();
    let attack = async {
        tokio::join!(
            join_all((0..4).map(|_| ask_for_much(&process, HOSTILE))),
            join_all((0..20).map(|n| ask_for_one(&process, [127, 0, 2, n], ""))),
            join_all(behind.iter().map(|caller| ask_for_one(&process, GATEWAY, caller))),
            join_all(behind.iter().map(|caller| unfinished(&process, GATEWAY, caller))),
            join_all((0..4).map(|_| open_bodies(&process, [127, 0, 3, 1]))),
            join_all((0..30).map(|n| unfinished(&process, [127, 0, 4, n], ""))),
            join_all((0..20).map(|n| connect_from([127, 0, 5, n], process.http))),
            hungry,
            loading,
            write(&process),
        )
    };
    let all = beside(process.http, "/version", "1.0.0", Box::pin(attack)).await;
    assert_within(&process, most);
    assert_eq!(process.web().get("/version").send().await.ok().text(), "1.0.0");
    drop(all);
}
