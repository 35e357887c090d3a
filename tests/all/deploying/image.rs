//! `deploy/Dockerfile`: what its last stage makes, put together without Docker and started, its root read-only, as its user.

use super::{last_stage, list, read, step};
use crate::support::{probe, weft};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Command;
use weft_tests::{
    process::{HostProcess, ended},
    program::{self, replaced},
};

/// Libraries that the base image has.
const BASE: [&str; 7] =
    ["ld-linux-", "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "librt.so.1"];

/// All files that the command needs to run.
async fn linked(command: &Path) -> Vec<PathBuf> {
    let said = ended(Command::new("ldd").arg(command)).await;
    assert_eq!(said.code, 0, "{said:?}");
    let words = said.out.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}

fn put(root: &Path, place: &str, from: &Path) {
    let to = root.join(place.trim_start_matches('/'));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    // A command with all its symbols is large.
    let linked = from.starts_with(weft().parent().unwrap()) && fs::hard_link(from, &to).is_ok();
    if !linked {
        fs::copy(from, &to).unwrap();
    }
}

/// The image's content, and what is mounted into it.
async fn assemble(root: &Path) {
    for (word, rest) in last_stage() {
        if word != "COPY" {
            continue;
        }
        let places: Vec<&str> = rest.split_whitespace().filter(|part| !part.starts_with("--")).collect();
        match places[..] {
            ["/weft", to] => put(root, to, weft()),
            ["/cache", to] => fs::create_dir_all(root.join(to.trim_start_matches('/'))).unwrap(),
            _ => panic!("COPY {rest}"),
        }
    }
    for library in linked(weft()).await {
        put(root, library.to_str().unwrap(), &library);
    }
    for folder in ["proc", "dev", "etc/weft", "var/lib/weft/plugins"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let pairs = [
        ("0.0.0.0:8080", "127.0.0.1:0"),
        ("0.0.0.0:9090", "127.0.0.1:0"),
        ("drain-delay = \"5s\"", "drain-delay = \"0s\""),
        // The plugin that is tried is made for this one.
        ("name = \"web\"", "name = \"test\""),
    ];
    let backend = "\n[backend.fake]\nservices = [\"catalog.v1.Films\", \"people.v1.People\", \"reviews.v1.Reviews\", \
                   \"recommend.v1.Recommend\"]\nendpoints = \"static://127.0.0.1:1\"\n";
    let issuer = "\n[identity]\ntrust = \"full\"\nissuers = [\"https://login.example\"]\naudience = [\"weft\"]\n\
                  trusted-peers = [\"127.0.0.1\"]\n";
    let config = replaced(&read("kubernetes/weft.toml"), &pairs) + backend + issuer;
    fs::write(root.join("etc/weft/weft.toml"), config).unwrap();
    fs::write(root.join("var/lib/weft/plugins/probe.wasm"), probe()).unwrap();
}

/// A command in the image, in a mount namespace of its own where nothing can be written but the cache; as the image's user, or, where these
/// tests are not root, as theirs.
fn inside(root: &Path, arguments: &[String]) -> Option<Command> {
    let is_root = rustix::process::geteuid().is_root();
    let user = step("USER");
    let (uid, _) = user.split_once(':').unwrap();
    let script = format!(
        "set -e; cd {0}; mount --bind {0} {0}; mount --rbind /proc proc; mount --rbind /dev dev; \
         mount -t tmpfs {1} cache var/cache/weft; mount -o remount,ro,bind {0}; exec chroot {2} {0} \"$@\"",
        root.display(),
        // As Kubernetes makes an empty folder for a group.
        if is_root { format!("-o mode=2777,gid={uid}") } else { "-o mode=0700".to_owned() },
        if is_root { format!("--groups={uid} --userspec={user}") } else { String::new() },
    );
    let mut command = Command::new(program::find("unshare")?);
    command.arg("--mount").args((!is_root).then_some("--map-root-user"));
    command.args(["sh", "-c", &script, "sh"]).args(arguments).kill_on_drop(true);
    Some(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_content_starts_without_a_root_that_can_be_written() {
    let folder = program::folder();
    let root = folder.path();
    assemble(root).await;
    // Where this machine gives tests no namespace, nothing can be said.
    let Some(mut trial) = inside(root, &["/usr/bin/weft".to_owned(), "--version".to_owned()]) else { return };
    let trial = ended(&mut trial).await;
    if trial.code != 0 {
        program::missing("a mount namespace (unshare --mount)");
        return;
    }
    let words = [list(&step("ENTRYPOINT")), list(&step("CMD"))].concat();
    let host = HostProcess::run(inside(root, &words).unwrap()).await;
    assert_eq!(host.web().get("/version").send().await.ok().text(), "1.0.0");
    let status = fs::read_to_string(format!("/proc/{}/status", host.id())).unwrap();
    if rustix::process::geteuid().is_root() {
        assert!(status.contains("\nUid:\t65532\t65532\t65532\t65532\n"), "{status}");
        assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{status}");
    }
    let mounts = fs::read_to_string(format!("/proc/{}/mounts", host.id())).unwrap();
    let own = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap_or_default();
    assert!(own.split(' ').nth(3).is_some_and(|options| options.split(',').any(|option| option == "ro")), "{mounts}");
    is_healthy(root, &host).await;
    host.terminate();
    let (code, lines) = host.end().await;
    assert_eq!(code, 0, "{lines:#?}");
}

/// By the command that the image's HEALTHCHECK runs.
async fn is_healthy(root: &Path, host: &HostProcess) {
    let mut words = list(&step("HEALTHCHECK"));
    words.extend(["--admin".to_owned(), host.admin.to_string()]);
    let asked = ended(&mut inside(root, &words).unwrap()).await;
    assert_eq!(asked.code, 0, "{asked:?}");
    words.pop();
    words.push(format!("127.0.0.1:{}", program::free()));
    assert_eq!(ended(&mut inside(root, &words).unwrap()).await.code, 1);
}

#[tokio::test]
async fn what_the_command_links_is_in_the_base_image() {
    let files = linked(weft()).await;
    let names: BTreeSet<_> = files.iter().map(|path| path.file_name().unwrap().to_string_lossy()).collect();
    let foreign: Vec<_> = names.iter().filter(|name| !BASE.iter().any(|known| name.starts_with(known))).collect();
    assert!(names.len() > 2 && foreign.is_empty(), "{foreign:?} of {names:?}");
    assert!(step("FROM").starts_with("gcr.io/distroless/cc-"));
}
