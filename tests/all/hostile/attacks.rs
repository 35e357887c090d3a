//! Everything that a hostile guest may try, each as a plugin of its own on the real process: its request gets the right answer, a
//! neighbour under load is answered completely and rightly, and the host's memory stays under a ceiling.

use super::component::{artifact, manifest, of_bytes, of_functions, plugin};
use crate::support::{GET_PERSON, knows_all, probe, weft};
use demo_services::proto::people::v1::{GetPersonRequest, Person};
use futures_util::future::join_all;
use prost::Message;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use weft_tests::{
    artifacts::renamed,
    host::refusal,
    process::HostProcess,
    setup::{Folder, Setup},
    upstream::{Answer, FakeUpstream},
    wait::until,
    web::Web,
};

/// What the host may take at most while it is attacked, in MiB: itself, the compiled code, and its caches.
const CEILING: u64 = 256;

/// What the guest does, by name; the answer's status, kind of problem and bound, and the WebAssembly that does it.
struct Attack {
    name: &'static str,
    answer: (u16, &'static str),
    limits: &'static str,
    timeout: &'static str,
    functions: &'static str,
    body: &'static str,
}

const fn attack(name: &'static str, answer: (u16, &'static str), body: &'static str) -> Attack {
    Attack { name, answer, limits: "", timeout: "20s", functions: "", body }
}

impl Attack {
    const fn limits(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    const fn timeout(self, timeout: &'static str) -> Self {
        Self { timeout, ..self }
    }

    const fn functions(self, functions: &'static str) -> Self {
        Self { functions, ..self }
    }
}

const CPU: (u16, &str) = (504, "plugin-limit: cpu");
const TRAPPED: (u16, &str) = (502, "plugin-trapped");
const MEMORY: (u16, &str) = (502, "plugin-limit: memory");
const TOO_LARGE: (u16, &str) = (502, "plugin-limit: response");
const INVALID: (u16, &str) = (502, "plugin-response");
const FINE: (u16, &str) = (200, "");

/// Time enough for a bound that is not the CPU's.
const SLOW: &str = "cpu = \"1s\"";

/// What burns CPU, in the guest or through what it makes the host do.
const BURNING: [Attack; 13] = [
    attack("endless-loop", CPU, "(loop $l (br $l))"),
    attack(
        "float-storm",
        CPU,
        "(loop $l (f64.store (i32.const 8) (f64.sqrt (f64.add (f64.load (i32.const 8)) (f64.const 1.5)))) (br $l))",
    ),
    attack(
        "simd-storm",
        CPU,
        "(loop $l (v128.store (i32.const 16) (i32x4.mul (v128.load (i32.const 16)) (v128.const i32x4 3 5 7 9))) (br $l))",
    ),
    attack(
        "bulk-copies",
        CPU,
        "(drop (memory.grow $memory (i32.const 200)))
         (loop $l (memory.copy (i32.const 4000000) (i32.const 0) (i32.const 8000000)) (br $l))",
    ),
    attack(
        "bulk-fills",
        CPU,
        "(drop (memory.grow $memory (i32.const 200)))
         (loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 16000000)) (br $l))",
    ),
    attack("clock-flood", CPU, "(loop $l (drop (call $now)) (br $l))"),
    attack("random-flood", CPU, "(loop $l (call $bytes (i64.const 65536) (i32.const 8)) (br $l))"),
    attack(
        "log-flood",
        CPU,
        "(loop $l (call $write (i32.const 2) (i32.const 3200000) (i32.const 1000) (i32.const 0) (i32.const 0)) (br $l))",
    ),
    attack(
        "giant-log-lines",
        CPU,
        "(loop $l (call $write (i32.const 4) (i32.const 3200000) (i32.const 900000) (i32.const 0) (i32.const 0)) (br $l))",
    ),
    attack("config-flood", CPU, "(loop $l (call $get (i32.const 3200000) (i32.const 900000) (i32.const 8)) (br $l))"),
    attack("start-that-never-ends", CPU, "").functions("(func $s (loop $l (br $l))) (start $s)"),
    attack("start-that-logs-for-ever", CPU, "").functions(
        "(func $s (loop $l (call $write (i32.const 2) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 0)) (br $l)))
         (start $s)",
    ),
    attack(
        "cache-of-megabytes",
        CPU,
        "(loop $l (call $set (i32.const 3200000) (i32.const 9) (i32.const 0) (i32.const 4000000) (i32.const 9) (i32.const 2)
           (i32.const 0) (i32.const 0)) (br $l))",
    ),
];

/// What takes memory, handles, stack or answers wrongly.
const GREEDY: [Attack; 13] = [
    attack(
        "memory-growth",
        MEMORY,
        "(loop $l (br_if $l (i32.ne (memory.grow $memory (i32.const 16)) (i32.const -1)))) unreachable",
    ),
    attack(
        "growth-across-memories",
        MEMORY,
        "(loop $l (drop (memory.grow $memory (i32.const 7)))
           (br_if $l (i32.ne (memory.grow $more (i32.const 7)) (i32.const -1)))) unreachable",
    ),
    attack("deep-recursion", TRAPPED, "(local.set $n (call $deep (i32.const 0)))")
        .functions("(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))"),
    attack("trap", TRAPPED, "unreachable"),
    attack("trap-during-start", (502, "plugin-start"), "").functions("(func $s unreachable) (start $s)"),
    attack(
        "giant-response",
        TOO_LARGE,
        "(drop (memory.grow $memory (i32.const 300))) (i32.store (i32.const 1044) (i32.const 20000000))",
    ),
    attack("large-response", TOO_LARGE, "(i32.store (i32.const 1044) (i32.const 2000000))"),
    attack(
        "giant-header-list",
        INVALID,
        "(i32.store (i32.const 1032) (i32.const 2400000)) (i32.store (i32.const 1036) (i32.const 100000))",
    ),
    // Ten thousand headers, all of the same megabyte.
    attack(
        "header-list-that-folds-out",
        TOO_LARGE,
        "(loop $l
           (i32.store offset=1048576 (local.get $n) (i32.const 3200000))
           (i32.store offset=1048580 (local.get $n) (i32.const 900000))
           (local.set $n (i32.add (local.get $n) (i32.const 8)))
           (br_if $l (i32.lt_u (local.get $n) (i32.const 160000))))
         (i32.store (i32.const 1032) (i32.const 1048576)) (i32.store (i32.const 1036) (i32.const 10000))",
    ),
    attack("handle-flood", TRAPPED, "(loop $l (drop (call $timer (i64.const 1000000))) (br $l))").limits(SLOW),
    attack("random-gigabyte", TRAPPED, "(call $bytes (i64.const 1000000000) (i32.const 8))"),
    attack("giant-tags", TRAPPED, "(loop $l (call $invalidate (i32.const 3200000) (i32.const 100000)) (br $l))")
        .limits(SLOW),
    attack("sleep-outside-an-exchange", (504, "deadline"), "(call $block (call $timer (i64.const 3600000000000)))")
        .timeout("300ms"),
];

/// What asks too much of backends. One call to the granted method stands at 2048.
const CALLING: [Attack; 10] = [
    attack(
        "loop-that-yields-by-calls",
        TRAPPED,
        "(i32.store (i32.const 2064) (i32.const 2)) (i32.store (i32.const 2100) (i32.const 0x0108))
         (loop $l (call $exchange (i32.const 2048) (i32.const 1) (i32.const 2100) (i32.const 2) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 8)) (br $l))",
    )
    .limits(SLOW),
    attack(
        "crossings-without-end",
        TRAPPED,
        "(loop $l (call $exchange (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
           (i32.const 1) (i32.const 0) (i32.const 8)) (br $l))",
    )
    .limits(SLOW),
    // All zeros: a million times method 0 with an empty message.
    attack(
        "a-million-calls",
        TRAPPED,
        "(drop (memory.grow $memory (i32.const 300)))
         (call $exchange (i32.const 1048576) (i32.const 1000000) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 8))",
    )
    .limits(SLOW),
    attack(
        "as-many-calls-as-can-cross",
        TRAPPED,
        "(drop (memory.grow $memory (i32.const 200)))
         (call $exchange (i32.const 1048576) (i32.const 400000) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 8))",
    )
    .limits(SLOW),
    attack(
        "a-million-cancellations",
        TRAPPED,
        "(call $exchange (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1048576) (i32.const 500000)
           (i32.const 0) (i32.const 0) (i32.const 8))",
    )
    .limits(SLOW),
    attack(
        "calls-of-a-megabyte",
        TRAPPED,
        "(i32.store (i32.const 2064) (i32.const 1048576))
         (loop $l (call $exchange (i32.const 2048) (i32.const 1) (i32.const 1048576) (i32.const 1048576) (i32.const 0)
           (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 8)) (br $l))",
    )
    .limits(SLOW),
    // The upstream's answer is twice the arena: RESOURCE_EXHAUSTED (8), and nothing of it.
    attack(
        "reply-larger-than-the-arena",
        FINE,
        "(call $exchange (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 8))
         (if (i32.ne (i32.load offset=4 (i32.load (i32.const 8))) (i32.const 8)) (then unreachable))",
    ),
    // PERMISSION_DENIED (7).
    attack(
        "forged-method-number",
        FINE,
        "(i32.store (i32.const 2048) (i32.const 77))
         (call $exchange (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 8))
         (if (i32.ne (i32.load offset=4 (i32.load (i32.const 8))) (i32.const 7)) (then unreachable))",
    ),
    // Tickets of nobody: nothing is cancelled, nothing comes back.
    attack(
        "forged-tickets",
        FINE,
        "(call $exchange (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1048576) (i32.const 1000)
           (i32.const 0) (i32.const 0) (i32.const 8))
         (if (i32.load (i32.const 12)) (then unreachable))",
    ),
    attack(
        "message-out-of-bounds",
        TRAPPED,
        "(i32.store (i32.const 2060) (i32.const -1)) (i32.store (i32.const 2064) (i32.const -1))
         (call $exchange (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 8) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 8))",
    ),
];

async fn upstream() -> FakeUpstream {
    let upstream = knows_all().await;
    // Nobody but the attackers asks for number 0.
    upstream.on(GET_PERSON, |call| {
        let id = GetPersonRequest::decode(call.message.clone()).unwrap_or_default().id;
        let name = if id == 0 { "x".repeat(2 << 20) } else { format!("Person {id}") };
        Answer::message(&Person { id, name, ..Person::default() })
    });
    upstream
}

fn setup(upstream: &FakeUpstream) -> Setup {
    let clients = "[[client]]\nname = \"bad\"\nprefix = \"/bad\"\n[[client]]\nname = \"good\"\nprefix = \"/good\"\n";
    let limits = "requests = 32\nidle = 8\nqueue = \"10s\"\ncrossings = 1000\narena = \"1MiB\"";
    // A backend that is flooded refuses its other callers as well; the neighbour has one of its own.
    let others = ["catalog.v1.Films", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let setup = Setup::new().clients(clients).limits(limits).backend("others", &others, upstream.address(), "");
    let setup = setup.backend("people", &["people.v1.People"], upstream.address(), "");
    setup.plugin("neighbour.wasm", &renamed(&probe(), "neighbour", "good"))
}

/// The neighbour's requests and what they are answered with.
const NEIGHBOURLY: [(&str, &str); 3] = [
    ("/good/version", "1.0.0"),
    ("/good/films?ids=1,2,3", r#"["Film 1","Film 2","Film 3"]"#),
    ("/good/films/7", "Film 7"),
];

/// Asks the neighbour until told to stop; each answer has to be complete and right. Returns their number.
async fn ask_neighbour(web: &Web, stop: &AtomicBool) -> u32 {
    let mut asked = 0;
    while !stop.load(SeqCst) {
        for (path, text) in NEIGHBOURLY {
            assert_eq!(web.get(path).send().await.ok().text(), text);
            asked += 1;
        }
    }
    asked
}

async fn attack_with(web: &Web, attack: &Attack) {
    let Attack { name, answer: (status, kind), .. } = attack;
    let reply = web.get(&format!("/bad/{name}")).send().await;
    let told = if *status == 200 { reply.ok().text() } else { reply.problem(*status).to_string() };
    let (kind, bound) = kind.split_once(": ").unwrap_or((kind, ""));
    let is_told = told.contains(&format!("problem:{kind}\"")) && told.contains(bound);
    assert!(*status == 200 || is_told, "{name}: {told}");
}

async fn all_are_contained(attacks: &[Attack]) {
    let upstream = upstream().await;
    let setup = attacks.iter().fold(setup(&upstream), |setup, attack| {
        let Attack { name, limits, timeout, functions, body, .. } = attack;
        setup.plugin(&format!("{name}.wasm"), &plugin(&manifest(name, timeout, limits), functions, body))
    });
    let folder = setup.write();
    let host = HostProcess::start(weft(), &folder).await;
    let (web, stop, hits) = (host.web(), AtomicBool::new(false), AtomicU32::new(0));
    let attackers = (0..2).map(|_| async {
        for attack in attacks.iter().flat_map(|attack| [attack; 3]) {
            attack_with(&web, attack).await;
            hits.fetch_add(1, SeqCst);
        }
    });
    let harm = async {
        join_all(attackers).await;
        stop.store(true, SeqCst);
    };
    let (asked, ()) = tokio::join!(ask_neighbour(&web, &stop), harm);
    assert!(asked > 0);
    assert_eq!(hits.into_inner() as usize, attacks.len() * 6);
    for (path, text) in NEIGHBOURLY {
        assert_eq!(web.get(path).send().await.ok().text(), text, "afterwards as before");
    }
    assert_ceiling(&host);
}

fn assert_ceiling(host: &HostProcess) {
    let taken = host.peak_memory() >> 20;
    assert!(taken < CEILING, "{taken} MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_burn_cpu_are_stopped_and_harm_nobody() {
    all_are_contained(&BURNING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_take_more_than_they_may_get_nothing_and_harm_nobody() {
    all_are_contained(&GREEDY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_ask_too_much_of_backends_are_stopped_and_harm_nobody() {
    all_are_contained(&CALLING).await;
}

/// Installs a file beside a neighbour under load; returns why it is refused, and the host.
async fn refused(folder: &Folder, file: &str, artifact: &[u8]) -> (String, HostProcess) {
    let host = HostProcess::start(weft(), folder).await;
    let (web, admin, stop) = (host.web(), Web::admin(host.admin), AtomicBool::new(false));
    folder.install(file, artifact);
    let reason = async {
        let plugins = async || admin.get("/v1/plugins").send().await.ok().json();
        let reason = until("the file to be refused", async || refusal(&plugins().await, file)).await;
        stop.store(true, SeqCst);
        reason
    };
    let (asked, reason) = tokio::join!(ask_neighbour(&web, &stop), reason);
    assert!(asked > 0);
    assert_ceiling(&host);
    (reason, host)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_fifty_megabytes_is_refused_by_its_size() {
    let upstream = upstream().await;
    let folder = setup(&upstream).write();
    let (reason, _host) =
        refused(&folder, "bulk.wasm", &artifact(&manifest("bulk", "1s", ""), &of_bytes(50 << 20))).await;
    assert!(reason.contains("more than an artifact may have"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_with_a_million_functions_is_refused_by_the_bounds_of_the_compiler() {
    let bounds = "compile-timeout = \"20s\"\ncompile-memory = \"128MiB\"";
    let upstream = upstream().await;
    let folder = setup(&upstream).plugins(bounds).write();
    let bomb = artifact(&manifest("many", "1s", ""), &of_functions(1_000_000));
    let (reason, host) = refused(&folder, "many.wasm", &bomb).await;
    assert!(reason.contains("more than 128 MiB of memory") || reason.contains("more than 20s"), "{reason}");
    // One too many is not even looked at by the compiler.
    folder.install("more.wasm", &artifact(&manifest("more", "1s", ""), &of_functions(1_000_001)));
    let line = host.until_line("functions count exceeds limit").await;
    assert!(line.contains("more.wasm"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_belong_to_the_host_are_not_the_guests_to_set() {
    const NAMES: [&str; 5] = ["set-cookie", "connection", "x-weft-degraded", "access-control-allow-origin", "server"];
    let (mut stores, mut at) = (String::new(), 0);
    let text: String = NAMES.concat();
    for (place, name) in NAMES.iter().enumerate() {
        let entry = 131_072 * 8 + place * 16;
        for (offset, value) in [(0, 4096 + at), (4, name.len()), (8, 4096), (12, 3)] {
            stores += &format!("(i32.store (i32.const {}) (i32.const {value}))\n", entry + offset);
        }
        at += name.len();
    }
    stores += "(i32.store (i32.const 1032) (i32.const 1048576)) (i32.store (i32.const 1036) (i32.const 5))";
    let guest = plugin(&manifest("forged", "5s", ""), &format!("(data (i32.const 4096) \"{text}\")"), &stores);
    let upstream = upstream().await;
    let host = setup(&upstream).plugin("forged.wasm", &guest).start().await;
    let reply = host.get("/bad/forged").send().await.ok();
    for name in NAMES {
        assert_ne!(reply.header(name), Some("set"), "{name}: {reply:?}");
    }
}
