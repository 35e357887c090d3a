//! Under a service manager that speaks systemd's protocols: it passes the sockets, and is told how the host is. The tests play it.

use crate::support::{PATIENT, knows_all, probe, weft};
use rustix::process::Signal;
use std::{
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddress, UnixDatagram},
    },
    path::Path,
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;
use weft_tests::{
    process::HostProcess,
    setup::{Folder, Setup},
    upstream::FakeUpstream,
    wait::{soon, until},
    web::Web,
};

async fn written(http: &str) -> (Folder, FakeUpstream) {
    let upstream = knows_all().await;
    let setup = Setup::new().http(http).one_backend(upstream.address(), PATIENT);
    (setup.plugin("probe.wasm", &probe()).write(), upstream)
}

/// The next message that the manager gets, but for those that say no more than that the host is alive.
async fn heard(socket: &UnixDatagram) -> Vec<String> {
    let socket = socket.try_clone().unwrap();
    let next = tokio::task::spawn_blocking(move || {
        socket.set_read_timeout(Some(weft_tests::wait::LONGEST)).unwrap();
        let mut bytes = [0; 4096];
        loop {
            let count = socket.recv(&mut bytes).unwrap();
            let text = String::from_utf8(bytes[..count].to_vec()).unwrap();
            if text != "WATCHDOG=1\n" {
                return text.lines().map(str::to_owned).collect();
            }
        }
    });
    next.await.unwrap()
}

async fn tells_how_it_is(socket: UnixDatagram, place: &str) {
    let (folder, _upstream) = written("drain = \"300s\"").await;
    let host = HostProcess::start_with(weft(), &folder, &[("NOTIFY_SOCKET", Path::new(place))]).await;
    assert_eq!(heard(&socket).await[0], "READY=1");
    host.signal(Signal::HUP);
    let reloading = heard(&socket).await;
    assert_eq!(reloading[0], "RELOADING=1");
    let at: u64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!(at > 0);
    assert_eq!(heard(&socket).await[0], "READY=1");
    host.terminate();
    assert_eq!(heard(&socket).await[0], "STOPPING=1");
    assert_eq!(host.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_is_told_of_readiness_reloads_and_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("notify");
    tells_how_it_is(UnixDatagram::bind(&place).unwrap(), place.to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn also_where_its_socket_is_an_abstract_one() {
    let name = format!("weft-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&UnixAddress::from_abstract_name(&name).unwrap()).unwrap();
    tells_how_it_is(socket, &format!("@{name}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watchdog_is_fed_for_as_long_as_the_host_runs() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("notify");
    let socket = UnixDatagram::bind(&place).unwrap();
    let (config, _upstream) = written("").await;
    let environment = [("NOTIFY_SOCKET", place.as_path()), ("WATCHDOG_USEC", Path::new("20000"))];
    let host = HostProcess::start_with(weft(), &config, &environment).await;
    socket.set_nonblocking(true).unwrap();
    let fed = async || {
        let mut bytes = [0; 4096];
        let count = socket.recv(&mut bytes).ok()?;
        (&bytes[..count] == b"WATCHDOG=1\n").then_some(())
    };
    for _ in 0..5 {
        until("the watchdog to be fed", fed).await;
    }
    drop(host);
}

/// Starts the host with these two sockets as its third and fourth, as the manager does: a shell can say which process they are for.
fn start(folder: &Folder, http: &TcpListener, admin: &TcpListener, names: &str) -> tokio::process::Child {
    let socket = |listener: &TcpListener| Stdio::from(OwnedFd::from(listener.try_clone().unwrap()));
    let script = "exec 3<&0 4<&1 0</dev/null 1>&2; export LISTEN_PID=$$; exec \"$0\" serve --config \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(weft()).arg(folder.config());
    command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", names);
    command.stdin(socket(http)).stdout(socket(admin)).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().unwrap()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_are_passed_are_served_and_who_comes_between_two_hosts_waits_for_the_next() {
    let (folder, _upstream) = written("drain = \"300s\"\nheader-timeout = \"1s\"").await;
    let ((http, at), (admin, admin_at)) = (listener(), listener());
    let mut first = start(&folder, &http, &admin, "http:admin");
    let web = Web::new(at);
    // There is nothing to wait for: who connects is in the queue.
    let reply = soon("the first host", web.get("/version").send()).await.ok();
    assert_eq!(reply.text(), "1.0.0");
    Web::new(admin_at).get("/readyz").send().await.ok();
    let id = rustix::process::Pid::from_raw(first.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    assert!(soon("the first host to end", first.wait()).await.unwrap().success());
    // Nobody serves, and nobody is refused.
    let waiting = tokio::spawn(Web::new(at).get("/version").send());
    let _second = start(&folder, &http, &admin, "http:admin");
    assert_eq!(soon("the second host", waiting).await.unwrap().ok().text(), "1.0.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_by_other_names_are_refused_with_what_to_set() {
    let (folder, _upstream) = written("").await;
    let ((http, _), (admin, _)) = (listener(), listener());
    for (names, text) in [
        ("weft.socket:admin", "the service manager passes a socket named \"weft.socket\""),
        ("http:http", "two sockets named \"http\""),
        ("http", "a socket named \"\""),
    ] {
        let host = start(&folder, &http, &admin, names);
        let ended = tokio::time::timeout(Duration::from_secs(180), host.wait_with_output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.code() == Some(2) && said.contains(text), "{names}: {said}");
    }
}
