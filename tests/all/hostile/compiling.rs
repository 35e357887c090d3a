//! Compiling is bounded, private, and in nobody's way.

use super::component::{artifact, manifest, of_functions, plugin};
use crate::support::{knows_all, probe, weft};
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use weft::model::Digest;
use weft_tests::{
    artifacts::with_version,
    host::{refusal, version_of},
    process::HostProcess,
    setup::Setup,
    target,
    upstream::FakeUpstream,
    wait::until,
    web::Web,
};

/// Takes the compiler longer than a test waits. Each has its own number of functions, and so its own digest.
fn endless(functions: u32) -> Bytes {
    artifact(&manifest("many", "1s", ""), &of_functions(functions))
}

/// Processes that compile this artifact.
fn workers(artifact: &Bytes) -> Vec<Pid> {
    let digest = Digest::of(artifact).hex();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let command = |process: &Path| std::fs::read(process.join("cmdline")).unwrap_or_default();
    let workers = processes.filter(|process| String::from_utf8_lossy(&command(process)).contains(&digest));
    workers.filter_map(|process| Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?)).collect()
}

/// Files of compiled code of this artifact.
fn compiled(artifact: &Bytes) -> Vec<PathBuf> {
    let digest = Digest::of(artifact).hex();
    let files = std::fs::read_dir(target().join("compiled")).unwrap().flatten().map(|entry| entry.path());
    let is_its = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&digest));
    files.filter(|path| is_its(path) && path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

fn setup(upstream: &FakeUpstream) -> Setup {
    let clients = "[[client]]\nname = \"test\"\nprefix = \"/test\"\n[[client]]\nname = \"bad\"\nprefix = \"/bad\"\n";
    Setup::new().clients(clients).one_backend(upstream.address(), "").plugin("probe.wasm", &probe())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_killed_takes_its_compiler_along_and_leaves_nothing_to_load() {
    let upstream = knows_all().await;
    let folder = setup(&upstream).write();
    let host = HostProcess::start(weft(), &folder).await;
    let bomb = endless(900_001);
    folder.install("many.wasm", &bomb);
    until("the compiler to run", async || (!workers(&bomb).is_empty()).then_some(())).await;
    host.signal(Signal::KILL);
    host.end().await;
    until("the compiler to be gone", async || workers(&bomb).is_empty().then_some(())).await;
    assert_eq!(compiled(&bomb), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_roll_back_nor_a_removal_waits_for_a_compiler() {
    let upstream = knows_all().await;
    let folder = setup(&upstream).plugin("next.wasm", &with_version(&probe(), "1.1.0")).write();
    let host = HostProcess::start(weft(), &folder).await;
    let (web, admin) = (host.web(), Web::admin(host.admin));
    assert_eq!(web.get("/test/version").send().await.ok().text(), "1.1.0");
    let plugins = async || admin.get("/v1/plugins").send().await.ok().json();
    let live = async |version: &str| {
        until(version, async || version_of(&plugins().await, "probe").filter(|live| live == version)).await;
    };
    let bomb = endless(900_002);
    folder.install("many.wasm", &bomb);
    until("the compiler to run", async || (!workers(&bomb).is_empty()).then_some(())).await;
    folder.remove("next.wasm");
    live("1.0.0").await;
    // Compiled before, and so at once in service.
    folder.install("again.wasm", &with_version(&probe(), "1.1.0"));
    live("1.1.0").await;
    assert_eq!(refusal(&plugins().await, "many.wasm"), None, "it is still compiled");
    assert_eq!(workers(&bomb).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compiler_that_is_kept_waiting_by_others_is_not_slow() {
    const TIMEOUT: Duration = Duration::from_secs(6);
    let upstream = knows_all().await;
    let folder = setup(&upstream).plugins("compile-timeout = \"6s\"").write();
    let host = HostProcess::start(weft(), &folder).await;
    let admin = Web::admin(host.admin);
    // One that no run before has compiled.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let many = "(func (result i32) (i32.const 1))\n".repeat(8_000);
    let large = plugin(&format!("{}\n# {now}\n", manifest("large", "1s", "")), &many, "");
    folder.install("large.wasm", &large);
    let worker = until("the compiler to run", async || workers(&large).first().copied()).await;
    // As on a host whose cores are all busy.
    kill_process(worker, Signal::STOP).unwrap();
    tokio::time::sleep(TIMEOUT + Duration::from_secs(1)).await;
    kill_process(worker, Signal::CONT).unwrap();
    let loaded = async || {
        let plugins = admin.get("/v1/plugins").send().await.ok().json();
        assert_eq!(refusal(&plugins, "large.wasm"), None);
        version_of(&plugins, "large")
    };
    until("the artifact to be served", loaded).await;
}

/// Compilers that this process runs now.
fn compilers_of(host: &HostProcess) -> usize {
    let parent = format!("\nPPid:\t{}\n", host.id());
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let read = |process: &Path, file| std::fs::read_to_string(process.join(file)).unwrap_or_default();
    processes
        .filter(|process| read(process, "status").contains(&parent))
        .filter(|process| read(process, "cmdline").contains("compile-artifact"))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_full_of_new_artifacts_leaves_a_core_to_those_who_serve() {
    const ARTIFACTS: u32 = 6;
    let cores = std::thread::available_parallelism().unwrap().get();
    let upstream = knows_all().await;
    // The neighbour is compiled before the time for it is short.
    setup(&upstream).start().await.stop().await;
    let folder = setup(&upstream).plugins("compile-timeout = \"1s\"").write();
    let host = HostProcess::start(weft(), &folder).await;
    let (web, admin) = (host.web(), Web::admin(host.admin));
    for number in 0..ARTIFACTS {
        let name = format!("many-{number}");
        let bomb = artifact(&manifest(&name, "1s", ""), &of_functions(900_100 + number));
        folder.install(&format!("{name}.wasm"), &bomb);
    }
    let most = AtomicUsize::new(0);
    until("all to be given up", async || {
        most.fetch_max(compilers_of(&host), SeqCst);
        let plugins = admin.get("/v1/plugins").send().await.ok().json();
        assert_eq!(web.get("/test/version").send().await.text(), "1.0.0", "others are served meanwhile: {plugins}");
        let given_up = (0..ARTIFACTS).filter_map(|number| refusal(&plugins, &format!("many-{number}.wasm")));
        (given_up.inspect(|reason| assert!(reason.contains("more than"), "{reason}")).count() == ARTIFACTS as usize)
            .then_some(())
    })
    .await;
    let most = most.into_inner();
    assert!((1..=1.max(cores - 1)).contains(&most), "{most} compilers at once on {cores} cores");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compiled_code_that_was_tampered_with_is_made_anew() {
    let upstream = knows_all().await;
    // A version that no other test loads.
    let artifact = with_version(&probe(), "1.0.0-tampered");
    let host = setup(&upstream).plugin("probe.wasm", &artifact).start().await;
    host.stop().await;
    let [path] = compiled(&artifact).try_into().unwrap();
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    for bytes in [bad.as_slice(), &good[..good.len() / 2], &[]] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let host = setup(&upstream).plugin("probe.wasm", &artifact).start().await;
        assert_eq!(host.get("/test/version").send().await.ok().text(), "1.0.0-tampered");
        assert_eq!(std::fs::read(&path).unwrap().len(), good.len());
        host.stop().await;
    }
}
