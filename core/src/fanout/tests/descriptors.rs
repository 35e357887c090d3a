//! Messages that backends tell of themselves.

use super::kit::*;
use crate::{
    fanout::{Config, Engine, Forward},
    settings::{Document, Mistakes},
    telemetry::Metrics,
    upstream::{Answer, Outgoing, Transport},
};
use futures_util::future::{BoxFuture, FutureExt, join};
use prost::Message;
use prost_reflect::prost_types::FileDescriptorSet;
use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::sync::Semaphore;

const ITEMS: &str = "t.v1.Items";
const OTHERS: &str = "t.v1.Others";

/// A backend that tells of itself as often as it is let.
#[derive(Debug)]
struct Telling {
    asked: Mutex<Vec<String>>,
    may: Semaphore,
    tells: Mutex<Result<Vec<u8>, String>>,
    lists: Mutex<Result<Vec<String>, String>>,
}

impl Transport for Telling {
    fn call(&self, _: Outgoing) -> BoxFuture<'_, Answer> {
        unreachable!("nothing is called")
    }

    fn concurrency(&self) -> usize {
        1
    }

    fn reflect<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        self.asked.lock().unwrap().push(service.to_owned());
        async {
            self.may.acquire().await.unwrap().forget();
            self.tells.lock().unwrap().clone()
        }
        .boxed()
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        std::future::ready(self.lists.lock().unwrap().clone()).boxed()
    }
}

impl Telling {
    fn new(permits: usize) -> Arc<Self> {
        let proto =
            PROTO.replace("service Items {", "service Others { rpc GetOther(Item) returns (Item); }\nservice Items {");
        let tells = Mutex::new(Ok(descriptors_of(&proto)));
        let lists = Mutex::new(Ok(vec![ITEMS.to_owned(), OTHERS.to_owned()]));
        Arc::new(Self { asked: Mutex::default(), may: Semaphore::new(permits), tells, lists })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Two backends with a service each.
fn engine(items: &Arc<Telling>, others: &Arc<Telling>) -> Arc<Engine> {
    let text = [("items", ITEMS), ("others", OTHERS)].map(|(backend, service)| {
        format!(
            "[backend.{backend}]\nservices = [\"{service}\"]\nendpoints = \"static://h:1\"\ndescriptors = \"reflection\"\n"
        )
    });
    engine_of(&text.concat(), &[("items", items), ("others", others)])
}

fn engine_of(text: &str, backends: &[(&str, &Arc<Telling>)]) -> Arc<Engine> {
    let mistakes = Mistakes::new();
    let config = Config::read(&Document::parse(Path::new("test"), text, &mistakes).table(&mistakes));
    assert!(mistakes.is_empty(), "{:#?}", mistakes.into_sorted());
    let transport = |(name, telling): &(&str, &Arc<Telling>)| ((*name).to_owned(), (*telling).clone() as _);
    let transports: HashMap<String, Arc<dyn Transport>> = backends.iter().map(transport).collect();
    Engine::with_transports(config, Forward::default(), transports, &Metrics::default()).unwrap()
}

async fn learn(engine: &Engine, service: &str) -> Result<bool, String> {
    let registry = &engine.registry;
    let (config, _) = registry.backends.of(service).unwrap();
    let given = registry.descriptors.of(&registry.backends, config, service).await?;
    Ok(given.unwrap().get_service_by_name(service).is_some())
}

#[tokio::test]
async fn a_backend_that_tells_nothing_of_itself_holds_up_none_of_another() {
    let (hangs, tells) = (Telling::new(0), Telling::new(1));
    let engine = engine(&hangs, &tells);
    let mut first = learn(&engine, ITEMS).boxed();
    assert!(first.as_mut().now_or_never().is_none());
    assert_eq!(learn(&engine, OTHERS).await, Ok(true));
    hangs.may.add_permits(1);
    assert_eq!(first.await, Ok(true));
}

#[tokio::test]
async fn what_a_service_is_asked_for_is_asked_once_for_all_who_wait() {
    let (items, others) = (Telling::new(0), Telling::new(0));
    let engine = engine(&items, &others);
    // All methods of a release need the same.
    let bare = artifact_of("syntax = \"proto3\";\npackage other;", "");
    let (mut one, mut other) = (engine.plans(&bare).boxed(), engine.plans(&bare).boxed());
    assert!(one.as_mut().now_or_never().is_none() && other.as_mut().now_or_never().is_none());
    items.may.add_permits(1);
    let (one, other) = join(one, other).await;
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert_eq!(learn(&engine, ITEMS).await, Ok(true), "what was learnt is kept");
    assert_eq!(items.asked(), [ITEMS]);
}

#[tokio::test]
async fn a_look_that_fails_is_told_to_all_who_wait_and_who_comes_next_looks_again() {
    let (items, others) = (Telling::new(0), Telling::new(0));
    let engine = engine(&items, &others);
    let known = std::mem::replace(&mut *items.tells.lock().unwrap(), Err("not yet".to_owned()));
    let (mut one, mut other) = (learn(&engine, ITEMS).boxed(), learn(&engine, ITEMS).boxed());
    assert!(one.as_mut().now_or_never().is_none() && other.as_mut().now_or_never().is_none());
    items.may.add_permits(1);
    let (one, other) = join(one, other).await;
    let told = "server reflection of backend `items` tells nothing of `t.v1.Items`: not yet";
    assert_eq!((one, other), (Err(told.to_owned()), Err(told.to_owned())));
    *items.tells.lock().unwrap() = known;
    items.may.add_permits(1);
    assert_eq!(learn(&engine, ITEMS).await, Ok(true));
    assert_eq!(items.asked(), [ITEMS, ITEMS]);
}

/// What is said of a backend with this service, of which one method is configured.
async fn misnamed(told: &Arc<Telling>, source: &str, service: &str, method: &str) -> Vec<String> {
    let text = format!(
        "[backend.items]\nservices = [\"{service}\"]\nendpoints = \"static://h:1\"\ndescriptors = {source:?}\n\
         [backend.items.method.\"{service}/{method}\"]\nscope = \"public\"\n"
    );
    let found = engine_of(&text, &[("items", told)]).misnamed(&[]).await;
    found.into_iter().map(|(_, message)| message).collect()
}

#[tokio::test]
async fn what_operators_give_and_backends_tell_shows_names_that_nothing_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("items.binpb");
    std::fs::write(&file, descriptors_of(PROTO)).unwrap();
    for source in ["reflection", file.to_str().unwrap()] {
        let told = Telling::new(10);
        assert_eq!(misnamed(&told, source, ITEMS, "GetItem").await, [""; 0], "{source}");
        let method = misnamed(&told, source, ITEMS, "GteItem").await;
        assert_eq!(method, ["`t.v1.Items` has no method `GteItem`; did you mean `GetItem`?"], "{source}");
        let service = misnamed(&told, source, "t.v1.Itmes", "GetItem").await;
        assert_eq!(service, ["no proto has the service `t.v1.Itmes`; did you mean `t.v1.Items`?"], "{source}");
        // What nobody knows may be right.
        assert_eq!(misnamed(&told, source, "far.v1.Things", "GetThing").await, [""; 0], "{source}");
    }
}

#[tokio::test]
async fn whoever_could_not_be_asked_is_to_be_asked_again() {
    let (items, others) = (Telling::new(1), Telling::new(1));
    let engine = engine(&items, &others);
    assert!(engine.tell_misnamed(&[]).await);
    *others.lists.lock().unwrap() = Err("away".to_owned());
    assert!(!engine.tell_misnamed(&[]).await);
}

#[tokio::test]
async fn a_service_in_an_edition_is_refused_with_its_file_and_what_to_do() {
    let mut set = FileDescriptorSet::decode(descriptors_of(PROTO).as_slice()).unwrap();
    set.file.iter_mut().for_each(|file| file.syntax = Some("editions".to_owned()));
    let (items, others) = (Telling::new(1), Telling::new(1));
    *items.tells.lock().unwrap() = Ok(set.encode_to_vec());
    let told = learn(&engine(&items, &others), ITEMS).await.unwrap_err();
    let why = "descriptors of `t.v1.Items`, from backend `items`: \"t.proto\": written in an edition, which is not understood; give";
    assert!(told.starts_with(why), "{told}");
}
