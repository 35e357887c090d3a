//! A backend that does as a test says, and sessions to call it with.

use crate::{
    artifact::{Artifact, CONTRACT, Sections},
    fanout::{Arena, Caller, Config, Engine, Forward, Head, Instead, Limits, MostCalls, PlanError, Plans, Session},
    model::{Code, Deadline, Failure, Identity, Name, Party, Trace, TraceFormats},
    observe::{RefusedBy, RequestObserver},
    settings::{Document, Mistakes},
    telemetry::Metrics,
    upstream::{Answer, Outgoing, Transport},
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderName, HeaderValue};
use prost::Message;
use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

/// `message Item { uint32 id = 1; string text = 2; }`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Item {
    #[prost(uint32, tag = "1")]
    pub(super) id: u32,
    #[prost(string, tag = "2")]
    pub(super) text: String,
}

/// `message BatchGetItemsRequest { repeated uint32 ids = 1; string locale = 3; }`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Ids {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) ids: Vec<u32>,
    #[prost(string, tag = "3")]
    pub(super) locale: String,
}

/// `message GetItemRequest { uint32 id = 1; string locale = 3; }`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Id {
    #[prost(uint32, tag = "1")]
    pub(super) id: u32,
    #[prost(string, tag = "3")]
    pub(super) locale: String,
}

/// `message BatchGetItemsResponse { repeated Item items = 1; string next_page_token = 2; }`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Items {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<Item>,
    #[prost(string, tag = "2")]
    pub(super) next_page_token: String,
}

pub(super) const PROTO: &str = r#"
syntax = "proto3";
package t.v1;
service Items {
  rpc GetItem(GetItemRequest) returns (Item);
  rpc BatchGetItems(BatchGetItemsRequest) returns (BatchGetItemsResponse);
  rpc GetMine(GetItemRequest) returns (Item);
  rpc SetItem(GetItemRequest) returns (Item);
}
message GetItemRequest { uint32 id = 1; string locale = 3; }
message Item { uint32 id = 1; string text = 2; }
message BatchGetItemsRequest { repeated uint32 ids = 1; string locale = 3; }
message BatchGetItemsResponse { repeated Item items = 1; string next_page_token = 2; }
"#;

pub(super) const GET: u32 = 0;
pub(super) const MINE: u32 = 1;
pub(super) const SET: u32 = 2;
const METHODS: [&str; 3] = ["t.v1.Items/GetItem", "t.v1.Items/GetMine", "t.v1.Items/SetItem"];

pub(super) const BATCH: &str = r#"batch = { via = "BatchGetItems", key = "id", keys = "ids", items = "items", item-key = "id", missing = "omitted", max = 100 }"#;

/// One call that arrived at the backend.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) message: Bytes,
    pub(super) metadata: http::HeaderMap,
}

type Reply = dyn Fn(&Seen) -> BoxFuture<'static, Result<Bytes, Failure>> + Send + Sync;

/// The scripted backend.
#[derive(Clone)]
pub(super) struct Fake {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Calls that ended by themselves, not by being dropped.
    ended: Arc<Mutex<usize>>,
    reply: Arc<Reply>,
    /// Attempts that each answer tells of, and who it says has refused the call.
    told: Arc<Mutex<(u32, Option<RefusedBy>)>>,
    /// Whether the answers of streams are cut.
    cuts: Arc<AtomicBool>,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

impl Transport for Fake {
    fn call(&self, outgoing: Outgoing) -> BoxFuture<'_, Answer> {
        let seen =
            Seen { method: outgoing.method.name.to_string(), message: outgoing.message, metadata: outgoing.metadata };
        self.seen.lock().unwrap().push(seen.clone());
        let reply = (self.reply)(&seen);
        let (ended, told) = (self.ended.clone(), self.told.clone());
        let cut = outgoing.method.stream.is_some() && self.cuts.load(Relaxed);
        Box::pin(async move {
            let late = || Err(Failure::new(Code::DeadlineExceeded, "no answer in time"));
            let result = tokio::time::timeout_at(outgoing.deadline.instant(), reply).await.unwrap_or_else(|_| late());
            *ended.lock().unwrap() += 1;
            let (attempts, refused_by) = *told.lock().unwrap();
            Answer { refused_by, cut, ..Answer::new(result, attempts) }
        })
    }

    fn concurrency(&self) -> usize {
        1
    }

    fn reflect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(std::future::ready(Err("not here".to_owned())))
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        std::future::ready(Err("not here".to_owned())).boxed()
    }
}

/// The item that the backend has for an id; none above a million.
pub(super) fn item(id: u32) -> Option<Item> {
    (id <= 1_000_000).then(|| Item { id, text: format!("item {id}") })
}

/// What an honest backend answers.
pub(super) fn answer(seen: &Seen) -> Result<Bytes, Failure> {
    if seen.method.ends_with("BatchGetItems") {
        let ids = Ids::decode(seen.message.clone()).unwrap();
        let items = ids.ids.iter().rev().filter_map(|id| item(*id)).collect();
        return Ok(Items { items, ..Items::default() }.encode_to_vec().into());
    }
    let id = Id::decode(seen.message.clone()).unwrap().id;
    item(id)
        .map(|item| item.encode_to_vec().into())
        .ok_or_else(|| Failure::new(Code::NotFound, format!("no item {id}")))
}

impl Fake {
    pub(super) fn new(
        reply: impl Fn(&Seen) -> BoxFuture<'static, Result<Bytes, Failure>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            seen: Arc::default(),
            ended: Arc::default(),
            reply: Arc::new(reply),
            told: Arc::new(Mutex::new((1, None))),
            cuts: Arc::default(),
        }
    }

    /// From now on its answers tell of so many attempts, or that somebody refused the call.
    pub(super) fn tells(&self, attempts: u32, refused_by: Option<RefusedBy>) {
        *self.told.lock().unwrap() = (attempts, refused_by);
    }

    /// From now on streams are cut.
    pub(super) fn cuts_streams(&self) {
        self.cuts.store(true, Relaxed);
    }

    /// Answers honestly after `delay`.
    pub(super) fn after(delay: Duration) -> Self {
        Self::new(move |seen| {
            let answer = answer(seen);
            Box::pin(async move {
                tokio::time::sleep(delay).await;
                answer
            })
        })
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(super) fn ended(&self) -> usize {
        *self.ended.lock().unwrap()
    }

    /// How many keys each batch had.
    pub(super) fn batches(&self) -> Vec<usize> {
        let batches = self.seen().into_iter().filter(|seen| seen.method.ends_with("BatchGetItems"));
        batches.map(|seen| Ids::decode(seen.message).unwrap().ids.len()).collect()
    }
}

/// An engine with one backend, and the plans of one release.
pub(super) struct Bench {
    pub(super) engine: Arc<Engine>,
    pub(super) plans: Arc<Plans>,
    pub(super) fake: Fake,
}

/// An artifact with the methods of this kit; `manifest` is added to its manifest.
fn artifact(manifest: &str) -> Artifact {
    artifact_of(PROTO, manifest)
}

pub(super) fn artifact_of(proto: &str, manifest: &str) -> Artifact {
    let file = descriptors_of(proto);
    let sections = Sections {
        manifest: format!(
            "[plugin]\nname = \"p\"\nversion = \"1.0.0\"\nclient = \"web\"\n[calls]\n\"t.v1.Items\" = [\"GetItem\", \"GetMine\", \"SetItem\"]\n{manifest}"
        ),
        methods: METHODS.map(str::to_owned).to_vec(),
        descriptors: file,
        schema: b"[]".to_vec(),
        mocks: b"{}".to_vec(),
        contract: CONTRACT.to_owned(),
    };
    Artifact::parse(sections.append_to(b"\0asm\x0d\0\x01\0").into()).unwrap()
}

pub(super) fn descriptors_of(proto: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.proto"), proto).unwrap();
    protox::compile(["t.proto"], [folder.path()]).unwrap().encode_to_vec()
}

/// An engine with one backend, `items`.
pub(super) fn engine(text: &str, fake: &Fake, forward: Forward) -> Arc<Engine> {
    let mistakes = Mistakes::new();
    let config = Config::read(&Document::parse(Path::new("test"), text, &mistakes).table(&mistakes));
    assert!(mistakes.is_empty(), "{:#?}", mistakes.into_sorted());
    let transports: HashMap<String, Arc<dyn Transport>> =
        HashMap::from([("items".to_owned(), Arc::new(fake.clone()) as Arc<dyn Transport>)]);
    Engine::with_transports(config, forward, transports, &Metrics::default()).unwrap()
}

/// The plans of an artifact that brings all its protos, so that nothing has to be asked for.
pub(super) fn plans_of(engine: &Engine, artifact: &Artifact) -> Result<Plans, Vec<PlanError>> {
    engine.plans(artifact).now_or_never().unwrap()
}

impl Bench {
    /// `get` are settings of GetItem.
    pub(super) fn new(fake: Fake, get: &str) -> Self {
        Self::with_manifest(fake, get, "")
    }

    pub(super) fn with_manifest(fake: Fake, get: &str, manifest: &str) -> Self {
        let forward =
            Forward { subject: Some(HeaderName::from_static("x-subject")), token: true, ..Forward::default() };
        Self::forwarding(fake, get, manifest, forward)
    }

    pub(super) fn forwarding(fake: Fake, get: &str, manifest: &str, forward: Forward) -> Self {
        let text = format!(
            "[backend.items]\nservices = [\"t.v1.Items\"]\nendpoints = \"static://h:1\"\n\
             [backend.items.method.\"t.v1.Items/GetItem\"]\nscope = \"public\"\n{get}\n\
             [backend.items.method.\"t.v1.Items/GetMine\"]\ncache = {{ ttl = \"10s\" }}\n\
             [backend.items.method.\"t.v1.Items/SetItem\"]\ninvalidates = [\"item:{{id}}\"]\n"
        );
        let engine = engine(&text, &fake, forward);
        let plans = Arc::new(plans_of(&engine, &artifact(manifest)).unwrap());
        Self { engine, plans, fake }
    }

    /// Queues of GetItem in which calls wait or are under way, and methods of which the batcher knows anything.
    pub(super) fn queues(&self) -> (usize, usize) {
        self.engine.batcher.size(&self.plans.get(GET).unwrap().plan)
    }

    /// A request of `subject` (none: anonymous) with `budget` left.
    pub(super) fn session(&self, subject: Option<&str>, budget: Duration) -> Session {
        self.counted(subject, budget).0
    }

    pub(super) fn counted(&self, subject: Option<&str>, budget: Duration) -> (Session, Arc<RequestObserver>) {
        let observer = Arc::new(RequestObserver::new(true, None));
        (self.observed(subject, budget, &observer), observer)
    }

    pub(super) fn observed(&self, subject: Option<&str>, budget: Duration, observer: &Arc<RequestObserver>) -> Session {
        let limits = Limits { calls: MostCalls::new(100_000, 200_000), arena: 1 << 20, message: 1 << 16 };
        let (engine, plans) = (self.engine.clone(), self.plans.clone());
        Session::new(engine, plans, caller(subject), Deadline::after(budget), limits, observer.clone())
    }
}

pub(super) fn caller(subject: Option<&str>) -> Caller {
    let identity = subject.map(|subject| {
        Arc::new(Identity {
            issuer: Name::new("iss").unwrap(),
            subject: Name::new(subject).unwrap(),
            tenant: None,
            scopes: Vec::new(),
            claims: serde_json::Map::new(),
            expires_at: SystemTime::now() + Duration::from_secs(3600),
        })
    });
    let token = subject.map(|subject| HeaderValue::try_from(format!("Bearer token-of-{subject}")).unwrap());
    let party = Party::from(identity);
    Caller {
        party,
        token,
        request_id: Some(HeaderValue::from_static("r")),
        trace: Trace::fresh(TraceFormats::default()),
        source: None,
    }
}

pub(super) fn head(method: u32, id: u32) -> Head {
    let message = Id { id, locale: String::new() }.encode_to_vec().into();
    Head { method, depth: 1, timeout: None, instead: Instead::default(), message }
}

/// One completion, read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    pub(super) ticket: u32,
    pub(super) code: u32,
    pub(super) origin: u32,
    pub(super) text: String,
}

pub(super) fn read(arena: &Arena) -> Vec<Done> {
    let done = arena.completions.iter().map(|c| {
        let bytes = &arena.bytes[c.offset as usize..][..c.len as usize];
        let text = if c.code == 0 { Item::decode(bytes).unwrap().text } else { String::new() };
        Done { ticket: c.ticket, code: c.code, origin: c.origin, text }
    });
    done.collect()
}

/// Exchanges until all calls have ended; in the order of the tickets.
pub(super) async fn all(session: &mut Session, heads: Vec<Head>) -> Vec<Done> {
    let count = heads.len();
    let mut done = read(&session.exchange(heads, &[], None).await);
    while done.len() < count {
        let more = read(&session.exchange(Vec::new(), &[], None).await);
        assert!(!more.is_empty(), "an exchange returned nothing although calls are under way");
        done.extend(more);
    }
    done.sort_by_key(|done| done.ticket);
    done
}
