//! Items by key: from the cache, from a load that is under way, or loaded in one batch for all keys that are missing.

use super::{
    super::{Brief, Cache},
    guard::Caller,
};
use demo_services::{
    MAX_BATCH, SUBJECT,
    proto::{
        catalog::v1::{BatchGetFilmsRequest, Film, films_client::FilmsClient},
        people::v1::{BatchGetPeopleRequest, Person, people_client::PeopleClient},
        reviews::v1::{
            BatchGetSummariesRequest, ListReviewsRequest, ListReviewsResponse, Summary, reviews_client::ReviewsClient,
        },
    },
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, try_join_all},
};
use moka::sync::Cache as Store;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tonic::{Code, Request, Status, metadata::MetadataValue, transport::Channel};

const TTL: Duration = Duration::from_secs(600);
/// Times that a safe call is tried.
const ATTEMPTS: u32 = 3;

type Items<T> = Arc<HashMap<u32, Arc<T>>>;
type Flight<T> = Shared<BoxFuture<'static, Result<Items<T>, Status>>>;
/// Loads keys of one batch.
type Fetch<T> = Arc<dyn Fn(Vec<u32>, Arc<Called>) -> BoxFuture<'static, Result<Vec<(u32, T)>, Status>> + Send + Sync>;
/// Whose the item is (nobody's in particular: empty), and which.
type Key = (Arc<str>, u32);

/// What a call tells its backend of the caller.
pub(super) struct Called {
    subject: Option<Arc<str>>,
    caller: Caller,
}

/// All of one kind of item.
pub(super) struct Loader<T> {
    scope: Cache,
    store: Option<Store<Key, Arc<T>>>,
    flights: Arc<Mutex<HashMap<u32, Flight<T>>>>,
    fetch: Fetch<T>,
}

impl<T: Send + Sync + 'static> Loader<T> {
    pub(super) fn new(brief: &Brief, fetch: Fetch<T>) -> Self {
        let store = || Store::builder().max_capacity(brief.entries).time_to_live(TTL).build();
        let store = (brief.cache != Cache::Off).then(store);
        Self { scope: brief.cache, store, flights: Arc::default(), fetch }
    }

    pub(super) async fn one(&self, id: u32, caller: &Caller) -> Result<Option<Arc<T>>, Status> {
        if let Some(item) = self.stored(id, caller) {
            return Ok(Some(item));
        }
        Ok(self.many([id].into_iter(), caller).await?.remove(&id))
    }

    /// The items of these keys. What doesn't exist is not in the map.
    pub(super) async fn many(
        &self,
        ids: impl Iterator<Item = u32>,
        caller: &Caller,
    ) -> Result<HashMap<u32, Arc<T>>, Status> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for id in ids {
            if found.contains_key(&id) || missing.contains(&id) {
                continue;
            }
            match self.stored(id, caller) {
                Some(item) => drop(found.insert(id, item)),
                None => missing.push(id),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        for items in try_join_all(self.flights(missing.clone(), caller)).await? {
            found.extend(missing.iter().filter_map(|id| Some((*id, items.get(id)?.clone()))));
        }
        Ok(found)
    }

    fn key(&self, id: u32, caller: &Caller) -> Key {
        match self.scope {
            Cache::Principal => (caller.subject.clone(), id),
            _ => ("".into(), id),
        }
    }

    fn stored(&self, id: u32, caller: &Caller) -> Option<Arc<T>> {
        self.store.as_ref()?.get(&self.key(id, caller))
    }

    /// Loads under way for these keys: those of others where they may be shared, and new ones, in batches, for the rest.
    fn flights(&self, missing: Vec<u32>, caller: &Caller) -> Vec<Flight<T>> {
        if self.scope != Cache::Public {
            return missing.chunks(MAX_BATCH).map(|ids| self.flight(ids.to_vec(), caller)).collect();
        }
        let mut under_way = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, new): (Vec<u32>, Vec<u32>) = missing.into_iter().partition(|id| under_way.contains_key(id));
        let mut flights: Vec<_> = known.iter().filter_map(|id| under_way.get(id).cloned()).collect();
        for ids in new.chunks(MAX_BATCH) {
            let flight = self.flight(ids.to_vec(), caller);
            under_way.extend(ids.iter().map(|id| (*id, flight.clone())));
            flights.push(flight);
        }
        flights
    }

    /// A load with a task of its own: it goes on when the request that began it goes away.
    fn flight(&self, ids: Vec<u32>, caller: &Caller) -> Flight<T> {
        let subject = (self.scope != Cache::Public).then(|| caller.subject.clone());
        let called = Arc::new(Called { subject, caller: caller.clone() });
        let (fetch, store, flights) = (self.fetch.clone(), self.store.clone(), self.flights.clone());
        let (owner, shared) = (self.key(0, caller).0, self.scope == Cache::Public);
        let task = tokio::spawn(async move {
            let loaded = fetch(ids.clone(), called).await;
            let items =
                loaded.map(|items| Arc::new(items.into_iter().map(|(id, item)| (id, Arc::new(item))).collect()));
            if let (Some(store), Ok(items)) = (&store, &items) {
                let items: &Items<T> = items;
                for (id, item) in items.iter() {
                    store.insert((owner.clone(), *id), item.clone());
                }
            }
            if shared {
                let mut flights = flights.lock().unwrap_or_else(PoisonError::into_inner);
                ids.iter().for_each(|id| drop(flights.remove(id)));
            }
            items
        });
        async { task.await.unwrap_or_else(|error| Err(Status::internal(error.to_string()))) }.boxed().shared()
    }
}

/// A safe call, again if the backend was not available.
async fn call<Q: Clone, R, F>(called: &Called, message: Q, send: impl Fn(Request<Q>) -> F) -> Result<R, Status>
where
    F: Future<Output = Result<tonic::Response<R>, Status>>,
{
    let mut attempt = 1;
    loop {
        let left = called.caller.deadline.saturating_duration_since(Instant::now());
        let mut request = Request::new(message.clone());
        request.set_timeout(left.min(Duration::from_secs(5)));
        if let Some(subject) = called.subject.as_deref().and_then(|subject| MetadataValue::try_from(subject).ok()) {
            request.metadata_mut().insert(SUBJECT, subject);
        }
        if let Ok(trace) = MetadataValue::try_from(called.caller.trace.as_bytes()) {
            request.metadata_mut().insert("traceparent", trace);
        }
        match send(request).await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) if status.code() == Code::Unavailable && attempt < ATTEMPTS => {
                let pause = rand::random_range(0..=20_u64 << attempt);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                attempt += 1;
            }
            Err(status) => return Err(status),
        }
    }
}

/// Lists are known by their length.
pub(super) fn lists(client: ReviewsClient<Channel>) -> Fetch<ListReviewsResponse> {
    Arc::new(move |sizes, called| {
        let client = client.clone();
        Box::pin(async move {
            let list = async |size| {
                let message = ListReviewsRequest { film_id: 0, page_size: size };
                let send = |request| {
                    let mut client = client.clone();
                    async move { client.list_reviews(request).await }
                };
                Ok::<_, Status>((size, call(&called, message, send).await?))
            };
            let mut lists = Vec::with_capacity(sizes.len());
            for size in sizes {
                lists.push(list(size).await?);
            }
            Ok(lists)
        })
    })
}

macro_rules! batched {
    ($(#[$doc:meta])* $name:ident, $client:ident, $item:ident, $method:ident, $request:ident { $keys:ident }, $items:ident, $key:ident) => {
        $(#[$doc])*
        pub(super) fn $name(client: $client<Channel>) -> Fetch<$item> {
            Arc::new(move |ids, called| {
                let client = client.clone();
                Box::pin(async move {
                    let send = |request| {
                        let mut client = client.clone();
                        async move { client.$method(request).await }
                    };
                    let reply = call(&called, $request { $keys: ids }, send).await?;
                    Ok(reply.$items.into_iter().map(|item| (item.$key, item)).collect())
                })
            })
        }
    };
}

batched!(people, PeopleClient, Person, batch_get_people, BatchGetPeopleRequest { ids }, people, id);
batched!(films, FilmsClient, Film, batch_get_films, BatchGetFilmsRequest { ids }, films, id);
batched!(
    summaries,
    ReviewsClient,
    Summary,
    batch_get_summaries,
    BatchGetSummariesRequest { film_ids },
    summaries,
    film_id
);
