//! The Rust SDK for Weft plugins.
//!
//! A plugin is the logic of one client's endpoints: a handler for each, plain `async fn`s that call backends through typed clients
//! and shape what comes back. Pooling, batching, retries, caches and tracing are the host's business.
//!
//! ```
//! use weft_sdk::prelude::*;
//!
//! #[data]
//! pub struct Greeting {
//!     text: String,
//! }
//!
//! /// Greets whoever calls.
//! #[get("/greetings/{name}")]
//! async fn greet(Path(name): Path<String>, caller: Option<Identity>) -> Result<Json<Greeting>> {
//!     if name.is_empty() {
//!         return Err(Problem::invalid("path.name", "is empty"));
//!     }
//!     let whom = caller.as_ref().map_or(name.as_str(), |caller| caller.subject());
//!     Ok(Json(Greeting { text: format!("Hello, {whom}") }))
//! }
//!
//! weft_sdk::plugin!(greet);
//!
//! # fn main() {
//! // In a test: no host, no network, no wasm.
//! let app = weft_sdk::test::App::new(plugin());
//! let response = app.get("/greetings/ann").send();
//! assert_eq!(response.json::<serde_json::Value>()["text"], "Hello, ann");
//! # }
//! ```
//!
//! | to | see |
//! |---|---|
//! | declare an endpoint | [`get`], [`post`], [`put`], [`patch`], [`delete`], [`plugin!`] |
//! | take from the request | [`Path`], [`Query`], [`Json`], [`Identity`], [`Headers`], [`Selection`], [`Request`] |
//! | answer | [`Json`], [`NoContent`], [`Created`], [`Status`], [`Response`], [`Problem`] |
//! | answer in parts, as they come | [`EventStream`], [`Events`], [`Event`] |
//! | describe a type that crosses the wire | [`data`], [`Time`], [`Money`] |
//! | say where a list goes on | `Cursor`, with the feature `cursors` |
//! | call a backend | [`clients!`], [`Call`], [`CallError`], [`CallResult`] |
//! | call it for a list | [`Method::call_all`], [`CallAll`], [`CallResults`] |
//! | do things side by side | [`futures`], [`spawn`], [`sleep`], [`timeout`] |
//! | log, read configuration, cache | [`log`], [`config()`], [`cache`] |
//! | put spans into the request's trace | [`span!`], [`spans`] |
//! | test | [`mod@test`] |
//! | run plugins in a server of your own | [`executor`], [`Plugin`] |
//!
//! # Calls
//!
//! `weft_build::protos(..)` in `build.rs` makes a client for each service that `plugin.toml` grants under `[calls]`; a method that
//! is not granted does not compile. A call is a future. Whatever waits together leaves together, in one exchange with the host:
//!
//! ```ignore
//! let film = Films::get_film(GetFilmRequest { id }).await.or_not_found("film", id)?;
//! let (reviews, cast) = try_join!(
//!     Reviews::list_reviews(ListReviewsRequest { film_id: id, page_size: 5 }),
//!     try_join_all(film.cast.iter().map(|role| People::get_person(GetPersonRequest { id: role.person_id }))),
//! )?;
//! ```
//!
//! That is two exchanges, however large the cast. A loop that awaits each call in turn would take one for each: the tests see it
//! ([`App::exchanges`](test::App::exchanges())), and the host bounds it.
//!
//! Handlers are `Send`, as in other Rust servers, so that the same plugin also runs natively. Nothing but calls and timers can wake
//! a request: one that waits for anything else is answered with a 500 that says `deadlock`.

#![warn(missing_docs)]

/// For a component: there the host's services are imports.
macro_rules! in_component {
    ($($item:item)+) => { $(#[cfg(target_family = "wasm")] $item)+ };
}

/// For native builds.
macro_rules! elsewhere {
    ($($item:item)+) => { $(#[cfg(not(target_family = "wasm"))] $item)+ };
}

pub mod cache;
mod call;
mod call_all;
mod call_error;
mod call_results;
mod config;
#[cfg(feature = "cursors")]
mod cursor;
mod describe;
mod exchange;
pub mod executor;
#[doc(hidden)]
pub mod export;
mod extract;
mod forms;
#[cfg(any(test, all(target_family = "wasm", feature = "heap")))]
mod heap;
mod host;
mod identity;
mod json;
mod list;
mod lock;
pub mod log;
#[doc(hidden)]
pub mod message;
#[doc(hidden)]
pub mod plugin;
pub mod prelude;
mod problem;
mod request;
mod response;
pub mod spans;
mod status;
mod stream;
#[cfg(not(target_family = "wasm"))]
pub mod test;
mod together;

pub use call::{Call, CallWithMeta, Method, Origin, Reply};
pub use call_all::CallAll;
pub use call_error::{CallError, CallResult, Code};
pub use call_results::CallResults;
pub use config::{config, config_or};
#[cfg(feature = "cursors")]
pub use cursor::Cursor;
pub use describe::Description;
pub use executor::{Elapsed, JoinHandle, Sleep, sleep, spawn, timeout};
pub use extract::{Extract, Input, Path, Query};
pub use forms::{Money, Time};
pub use identity::Identity;
pub use list::List;
#[doc(hidden)]
pub use plugin::Purpose;
pub use plugin::{Endpoint, Outcome, Plugin, Running};
pub use problem::{DeclaredProblem, Problem, Result};
pub use request::{Fields, Headers, Request};
pub use response::{Created, IntoResponse, Json, NoContent, Output, Response, WithHeaders};
pub use status::Status;
pub use stream::{Event, EventStream, Events};
pub use weft_sdk_macros::{clients, data, delete, get, patch, plugin, post, problem, put};
pub use weft_selection::Selection;

#[cfg(all(target_family = "wasm", feature = "heap"))]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// Combinators for futures, most of them from `futures-util`: `join!` and `try_join!` for a few, [`join_all`](futures::join_all) and
/// [`try_join_all`](futures::try_join_all) for many, [`FuturesUnordered`](futures::FuturesUnordered) to go on with whichever is
/// ready, `select!` for the first of some (the others are dropped, which cancels their calls).
pub mod futures {
    pub use futures_util::future::{
        Either, FusedFuture, FutureExt, Shared, TryFutureExt, ready, select_all, select_ok,
    };
    pub use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt, TryStreamExt, iter};
    pub use futures_util::{join, pin_mut, select, select_biased, try_join};

    pub use crate::together::{JoinAll, TryJoinAll, join_all, try_join_all};
}

// For generated code, so that plugin crates need not depend on these.
#[doc(hidden)]
pub use {bytes, prost, prost_types, schemars, serde, serde_json};
