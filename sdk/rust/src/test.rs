//! Tests of a plugin: its endpoints against backends in memory, natively, in virtual time.
//!
//! ```
//! # use std::time::Duration;
//! # use weft_sdk::{Method, prelude::*};
//! # #[derive(Clone, PartialEq, weft_sdk::prost::Message)]
//! # #[prost(prost_path = "weft_sdk::prost")]
//! # struct Film { #[prost(uint32, tag = "1")] id: u32 }
//! # type GetFilmRequest = Film;
//! # const GET_FILM: Method<Film, Film> = Method::new(0, "catalog.v1.Films/GetFilm");
//! # #[get("/films/{id}")]
//! # async fn film(Path(id): Path<u32>) -> Result<String> {
//! #     let film = GET_FILM.call(GetFilmRequest { id }).await.or_not_found("film", id)?;
//! #     Ok(film.id.to_string())
//! # }
//! # fn plugin() -> weft_sdk::Plugin {
//! #     const PLUGIN: weft_sdk::Plugin = weft_sdk::Plugin::new(&[weft_endpoint_film::ENDPOINT], &["catalog.v1.Films/GetFilm"], &[]);
//! #     PLUGIN
//! # }
//! use weft_sdk::test::App;
//!
//! let app = App::new(plugin())
//!     .backend(GET_FILM, |request| match request.id {
//!         7 => Ok(Film { id: 7 }),
//!         _ => Err(CallError::new(Code::NotFound, "")),
//!     })
//!     .latency(GET_FILM, Duration::from_millis(20));
//!
//! let response = app.get("/films/7").identity(Identity::of("alice")).send();
//! assert_eq!(response.text(), "7");
//! assert_eq!(response.elapsed(), Duration::from_millis(20));
//! assert_eq!(response.exchanges().len(), 1);
//!
//! let response = app.get("/films/8").send();
//! assert_eq!(response.problem().detail(), "there is no film `8`");
//! ```
//!
//! What an [`App`] leaves out is policy: authentication, timeouts of methods, caching, which headers a plugin sees, and the
//! cutting of answers by `?fields=` are `plugin.toml`'s and the host's business. All of a request's headers reach the handler here, and
//! it shows what it has made; [`Selection::cut`](crate::Selection::cut) is what the host would do with it.

mod app;
mod drive;
mod fixture;
mod host;
mod request;
mod response;

pub use app::App;
pub use host::{Line, Span};
pub use request::TestRequest;
pub use response::{SentCall, SentEvent, TestResponse};
