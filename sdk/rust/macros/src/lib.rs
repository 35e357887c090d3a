//! The macros of the Rust SDK. Use them through `weft-sdk`, which re-exports them.

mod data;
mod endpoint;
mod plugin;
mod problem;
mod template;

use proc_macro::TokenStream;

/// Makes an `async fn` the endpoint for `GET` on a path.
///
/// ```
/// # use weft_sdk::prelude::*;
/// # #[data] struct Film { id: u32 }
/// /// A film.
/// ///
/// /// The first paragraph is the summary in the API's description, the rest its text.
/// #[get("/films/{id}")]
/// async fn film(Path(id): Path<u32>) -> Result<Json<Film>> {
///     Ok(Json(Film { id }))
/// }
/// # fn main() {}
/// ```
///
/// **Path.** Segments are fixed, or `{name}` for one segment, or, at the end, `{*name}` for all that is left.
///
/// **Arguments** are taken from the request by their types (`Extract`): `Path<T>`, `Query<T>`, `Identity`, `Option<Identity>`,
/// `Headers`, and as the last one `Json<T>` or `Request`, which take the body. What does not fit is answered with a 400 that names
/// the field; a missing `Identity` with a 401.
///
/// **Problems** that it answers with may be declared behind the path: `#[get("/films/{id}", problems(NoSuchFilm))]`. See
/// [`macro@problem`].
///
/// **Return** anything that is `IntoResponse`: `Json<T>`, `NoContent`, text, `(Status, T)`, `Response`, or a `Result` of these
/// whose error becomes a `Problem`.
///
/// The function stays as it is and can be called as before. `plugin!` puts the endpoint into the plugin.
///
/// Mistakes that show in the code are errors of the compiler:
///
/// ```compile_fail
/// # use weft_sdk::prelude::*;
/// #[get("/films/{id}/cast/{person}")]
/// async fn role(Path(id): Path<u32>) {} // this takes 1, but the path template has 2 (`id`, `person`)
/// # fn main() {}
/// ```
/// ```compile_fail
/// # use weft_sdk::prelude::*;
/// #[post("/films")]
/// async fn create(Json(name): Json<String>, caller: Identity) {} // what takes the body has to be the last argument
/// # fn main() {}
/// ```
#[proc_macro_attribute]
pub fn get(path: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand("GET", path.into(), item.into()).into()
}

/// Makes an `async fn` the endpoint for `POST` on a path. See [`macro@get`].
#[proc_macro_attribute]
pub fn post(path: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand("POST", path.into(), item.into()).into()
}

/// Makes an `async fn` the endpoint for `PUT` on a path. See [`macro@get`].
#[proc_macro_attribute]
pub fn put(path: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand("PUT", path.into(), item.into()).into()
}

/// Makes an `async fn` the endpoint for `PATCH` on a path. See [`macro@get`].
#[proc_macro_attribute]
pub fn patch(path: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand("PATCH", path.into(), item.into()).into()
}

/// Makes an `async fn` the endpoint for `DELETE` on a path. See [`macro@get`].
#[proc_macro_attribute]
pub fn delete(path: TokenStream, item: TokenStream) -> TokenStream {
    endpoint::expand("DELETE", path.into(), item.into()).into()
}

/// Makes a struct or enum one that crosses the wire: derives `Serialize`, `Deserialize`, `JsonSchema` and `Debug`, without `serde`
/// and `schemars` in your `Cargo.toml`. Other derives go below it.
///
/// ```
/// # use weft_sdk::prelude::*;
/// #[data]
/// #[derive(Clone, PartialEq)]
/// #[serde(rename_all = "camelCase")]
/// struct FilmCard {
///     /// Doc comments become descriptions in the schema.
///     poster_url: Option<String>,
/// }
/// # fn main() {}
/// ```
///
/// `#[data(output)]` derives no `Deserialize`, `#[data(input)]` no `Serialize`.
#[proc_macro_attribute]
pub fn data(direction: TokenStream, item: TokenStream) -> TokenStream {
    data::expand(direction.into(), item.into()).into()
}

/// Makes a struct a problem that endpoints declare, so that the API's description tells of it. Each is a type of its own: its members
/// become members of the problem, and `detail` is their text.
///
/// ```
/// # use weft_sdk::prelude::*;
/// # #[data] struct Film { id: u32 }
/// /// There is no such film, or there is none any more.
/// #[problem(
///     status = 404,
///     kind = "https://films.example.com/problems/no-such-film",
///     title = "No such film",
///     detail = "there is no film {film}"
/// )]
/// struct NoSuchFilm {
///     film: u32,
/// }
///
/// #[get("/films/{id}", problems(NoSuchFilm))]
/// async fn film(Path(id): Path<u32>) -> Result<Json<Film>> {
///     if id < 100 {
///         return Err(NoSuchFilm { film: id }.into());
///     }
///     Ok(Json(Film { id }))
/// }
/// # fn main() {}
/// ```
///
/// Without `kind` it is an `about:blank` of this status. An endpoint that says `problems(..)`, were it with nothing in it, declares all of
/// its own ones: another one is counted by the host (`weft_undeclared_problems_total`). What the SDK answers with by itself (a request that
/// does not fit, a call that fails) need not be declared.
///
/// ```compile_fail
/// # use weft_sdk::prelude::*;
/// #[problem(status = 200, detail = "all is well")] // a problem has a status from 400 to 599
/// struct Fine;
/// # fn main() {}
/// ```
#[proc_macro_attribute]
pub fn problem(arguments: TokenStream, item: TokenStream) -> TokenStream {
    problem::expand(arguments.into(), item.into()).into()
}

/// Makes a plugin of endpoints, once in a crate: `weft_sdk::plugin!(home, films::film, films::rate);`
///
/// It defines `pub fn plugin() -> weft_sdk::Plugin`, for tests and native servers, and on wasm32 the component's export.
#[proc_macro]
pub fn plugin(endpoints: TokenStream) -> TokenStream {
    plugin::expand(endpoints.into()).into()
}

/// Puts the modules that `weft_build` has generated here: messages and typed clients, in a tree of their packages.
#[proc_macro]
pub fn clients(nothing: TokenStream) -> TokenStream {
    plugin::clients(nothing.into()).into()
}
