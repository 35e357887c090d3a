//! What holds whatever runs the guests, shown with guests that are functions.

use super::*;
use crate::{
    artifact::{Artifact, CONTRACT, Sections},
    fanout::{self, Caller, Engine, Forward, Limits, MostCalls, Plans, Session},
    model::{Deadline, Party, Trace, TraceFormats},
    settings::{Document, Mistakes, Table},
    telemetry::Metrics,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, pending},
};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

const MANIFEST: &str = "[plugin]\nname = \"p\"\nversion = \"1.0.0\"\nclient = \"web\"\n[endpoint.\"GET /a\"]\n[endpoint.\"GET /b\"]\n\
                        [limits]\nresponse = \"1KiB\"\n";

fn read<T>(text: &str, read: impl FnOnce(&Table<'_>) -> T) -> T {
    let mistakes = Mistakes::new();
    let config = read(&Document::parse(Path::new("test"), text, &mistakes).table(&mistakes));
    assert!(mistakes.is_empty(), "{:#?}", mistakes.into_sorted());
    config
}

/// A plugin `p` with two endpoints.
fn artifact() -> Artifact {
    let sections = Sections {
        manifest: MANIFEST.to_owned(),
        methods: Vec::new(),
        descriptors: Vec::new(),
        schema: br#"[{"method": "GET", "path": "/a"}, {"method": "GET", "path": "/b"}]"#.to_vec(),
        mocks: b"{}".to_vec(),
        contract: CONTRACT.to_owned(),
    };
    Artifact::parse(sections.append_to(b"\0asm\x0d\0\x01\0").into()).unwrap()
}

/// A host with one turn and these guests.
struct House {
    runtime: Runtime,
    plugin: Plugin,
    engine: Arc<Engine>,
    plans: Arc<Plans>,
}

impl House {
    async fn new(natives: Natives) -> Self {
        let config = read("requests = 1\nqueue = \"1s\"", Config::read);
        let compiling = read("compiled = \"nowhere\"", Compiling::read);
        let runtime = Runtime::new(Arc::new(natives), config, compiling).unwrap();
        let calls = read("", fanout::Config::read);
        let (engine, _) = Engine::new(calls, Forward::default(), &Metrics::default(), None).unwrap();
        let plans = Arc::new(engine.plans(&artifact()).await.unwrap());
        let plugin = Plugin::load(&runtime, &artifact(), &BTreeMap::new()).unwrap();
        Self { runtime, plugin, engine, plans }
    }

    async fn ask(&self, endpoint: &str) -> Result<Answer, PluginError> {
        let deadline = Deadline::after(Duration::from_secs(10));
        let limits = Limits { calls: MostCalls::new(1, 1), arena: 1 << 20, message: 1 << 16 };
        let (party, trace) = (Party::Anyone, Trace::fresh(TraceFormats::default()));
        let caller = Caller { party: party.clone(), token: None, request_id: None, trace, source: None };
        let observer = Arc::default();
        let session = Session::new(self.engine.clone(), self.plans.clone(), caller, deadline, limits, observer);
        let request = Request { endpoint: endpoint.to_owned(), ..Request::default() };
        self.plugin
            .handle(Invocation { request, request_id: String::new(), session, party, deadline, emitter: None })
            .await
    }
}

fn natives(guest: impl Guest + 'static) -> Natives {
    Natives::default().with_guest("p", Arc::new(guest))
}

/// A guest that ends as a function says, and counts what is put back.
struct Scripted<F> {
    back: Arc<AtomicU32>,
    script: F,
}

struct Counted(Arc<AtomicU32>);

impl Reusable for Counted {
    fn put_back(self: Box<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

type Script = Result<Result<Answer, PluginError>, PluginError>;

impl<F: Fn(&Request) -> Script + Send + Sync + 'static> Guest for Scripted<F> {
    fn run(self: Arc<Self>, run: Run) -> BoxFuture<'static, Result<Ran, PluginError>> {
        Box::pin(async move {
            let answer = (self.script)(&run.invocation.request)?;
            let instance = Box::new(Counted(self.back.clone()));
            Ok(Ran { is_new: true, answer, instance, turn: run.turn })
        })
    }
}

fn scripted(script: impl Fn(&Request) -> Script + Send + Sync + 'static) -> (Natives, Arc<AtomicU32>) {
    let back = Arc::<AtomicU32>::default();
    (natives(Scripted { back: back.clone(), script }), back)
}

fn answer(bytes: usize) -> Answer {
    Answer { result: Ok(Response { status: 200, body: vec![0; bytes], ..Response::default() }), cost: Cost::default() }
}

#[tokio::test(start_paused = true)]
async fn a_native_guest_answers_as_any_and_a_plugin_without_one_is_refused() {
    let echo = async |invocation: Invocation| {
        Ok(Response { status: 200, body: invocation.request.endpoint.into_bytes(), ..Response::default() })
    };
    let house = House::new(Natives::default().with("p", echo)).await;
    assert_eq!(house.ask("GET /a").await.unwrap().result.unwrap().body, b"GET /a");
    let runtime =
        Runtime::new(Arc::new(Natives::default().with("q", echo)), read("", Config::read), read("", Compiling::read));
    let refused = Plugin::load(&runtime.unwrap(), &artifact(), &BTreeMap::new()).unwrap_err();
    assert!(matches!(&refused, CompileError::NoNative(known) if known == "q"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_turn_is_refused_and_what_takes_too_long_is_given_up_with_its_turn() {
    let house = House::new(Natives::default().with("p", async |_| pending().await)).await;
    let (first, second) = tokio::join!(house.ask("GET /a"), house.ask("GET /a"));
    assert!(matches!(first, Err(PluginError::Deadline)), "{first:?}");
    assert!(matches!(second, Err(PluginError::Busy(queue)) if queue == Duration::from_secs(1)), "{second:?}");
    assert_eq!(house.runtime.requests_under_way(), 0);
    let mut waiting = Box::pin(house.ask("GET /b"));
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(house.runtime.requests_under_way(), 1);
    drop(waiting);
    assert_eq!(house.runtime.requests_under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_what_ended_well_and_within_its_bound_is_put_back() {
    let (natives, back) = scripted(|request| match request.endpoint.as_str() {
        "GET /a" => Ok(Ok(answer(1 << 10))),
        "GET /b" => Ok(Ok(answer((1 << 10) + 1))),
        _ => Ok(Err(PluginError::Trapped(String::new()))),
    });
    let house = House::new(natives).await;
    house.ask("GET /a").await.unwrap();
    assert_eq!(back.load(Relaxed), 1);
    let refused = house.ask("GET /b").await.unwrap_err();
    assert!(matches!(refused, PluginError::TooLarge { size: Some(1025), .. }), "{refused}");
    house.ask("GET /c").await.unwrap_err();
    assert_eq!(back.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_crashes_rests_alone_and_a_plugin_that_can_not_start_rests_whole() {
    let (natives, _) = scripted(|request| match request.endpoint.as_str() {
        "GET /a" => Ok(Ok(answer(1))),
        _ => Ok(Err(PluginError::Trapped(String::new()))),
    });
    let house = House::new(natives).await;
    for _ in 0..10 {
        assert!(matches!(house.ask("GET /b").await, Err(PluginError::Trapped(_))));
    }
    assert!(matches!(house.ask("GET /b").await, Err(PluginError::BackOff(_))));
    assert_eq!(house.plugin.resting(), ["GET /b"]);
    house.ask("GET /a").await.unwrap();

    let (natives, _) = scripted(|_| Err(PluginError::Start(String::new())));
    let house = House::new(natives).await;
    for _ in 0..10 {
        assert!(matches!(house.ask("GET /b").await, Err(PluginError::Start(_))));
    }
    assert!(matches!(house.ask("GET /a").await, Err(PluginError::BackOff(_))));
    assert_eq!(house.plugin.resting(), ["start"]);
}
