//! What endpoints take from a request, by the types of their arguments.

/// What integers are called, for whoever reads them: the methods of serde, the type, and the words.
macro_rules! each_integer {
    ($apply:ident) => {
        $apply! {
            deserialize_i8 visit_i8 i8 "a whole number from -128 to 127";
            deserialize_i16 visit_i16 i16 "a whole number from -32768 to 32767";
            deserialize_i32 visit_i32 i32 "a whole number of 32 bits";
            deserialize_i64 visit_i64 i64 "a whole number";
            deserialize_u8 visit_u8 u8 "a whole number from 0 to 255";
            deserialize_u16 visit_u16 u16 "a whole number from 0 to 65535";
            deserialize_u32 visit_u32 u32 "a whole number from 0 to 4294967295";
            deserialize_u64 visit_u64 u64 "a whole number from 0";
        }
    };
}

mod json;
mod pairs;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::describe::Description;
use crate::{Headers, Identity, Json, Problem, Request, Result, Selection, Status};

/// Something that an endpoint can take as an argument.
#[diagnostic::on_unimplemented(
    message = "an endpoint can't take `{Self}`",
    label = "not taken from a request",
    note = "arguments are `Path<T>`, `Query<T>`, `Json<T>` (the last one), `Identity`, `Option<Identity>`, `Headers`, \
            `Selection` or `Request`"
)]
pub trait Extract: Sized {
    /// Whether it takes the body. Only the last argument may.
    const TAKES_BODY: bool = false;

    /// Whether it takes all of the request, for whatever is in it.
    const WHOLE: bool = false;

    /// Takes it, or says what is wrong with the request.
    fn extract(request: &mut Request) -> Result<Self>;

    /// Says what it takes, for the schema.
    fn describe(description: &mut Description) {
        let _ = description;
    }
}

/// A type that can be read from a request. `#[data]` makes one; so does deriving `Deserialize` and `JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be read from a request",
    label = "needs `#[data]`",
    note = "put `#[data]` on the type, or derive `Deserialize` and `JsonSchema` with `serde` and `schemars` in Cargo.toml"
)]
pub trait Input: DeserializeOwned + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + JsonSchema> Input for T {}

/// The parameters of the path template: one value, a tuple in the template's order, or a struct with a field for each name.
///
/// ```
/// # use weft_sdk::prelude::*;
/// #[get("/films/{id}")]
/// async fn film(Path(id): Path<u32>) -> String {
///     format!("film {id}")
/// }
/// #[get("/films/{film}/cast/{person}")]
/// async fn role(Path((film, person)): Path<(u32, u32)>) -> String {
///     format!("{person} in {film}")
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: Input> Extract for Path<T> {
    fn extract(request: &mut Request) -> Result<Self> {
        pairs::from_pairs(&request.params).map(Self).map_err(|fault| fault.into_problem("path"))
    }

    fn describe(description: &mut Description) {
        description.path::<T>();
    }
}

/// The query string, as a struct: a field for each name. Numbers are read from text, `Option` is for what may be missing, `Vec`
/// takes all values of a repeated name. Names that the struct does not have are ignored.
///
/// ```
/// # use weft_sdk::prelude::*;
/// #[data]
/// struct Search {
///     q: String,
///     page: Option<u32>,
///     #[serde(default)]
///     genre: Vec<String>,
/// }
/// #[get("/search")]
/// async fn search(Query(search): Query<Search>) -> String {
///     search.q
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: Input> Extract for Query<T> {
    fn extract(request: &mut Request) -> Result<Self> {
        pairs::from_pairs(&request.query).map(Self).map_err(|fault| fault.into_problem("query"))
    }

    fn describe(description: &mut Description) {
        description.query::<T>();
    }
}

impl<T: Input> Extract for Json<T> {
    const TAKES_BODY: bool = true;

    fn extract(request: &mut Request) -> Result<Self> {
        if let Some(content_type) = request.headers.get("content-type")
            && !is_json(content_type)
        {
            let detail = format_args!("the body has to be JSON, but is `{content_type}`");
            return Err(Problem::new(Status::UNSUPPORTED_MEDIA_TYPE, detail).with("field", "body"));
        }
        // By itself, because serde_json would not look at strings in fields that the type does not have.
        let Ok(text) = std::str::from_utf8(&request.body) else {
            return Err(Problem::invalid("body", "not JSON: it is no valid UTF-8"));
        };
        serde_json::from_str(text).map(Self).map_err(|error| json::problem::<T>(text, &error))
    }

    fn describe(description: &mut Description) {
        description.json_request::<T>();
    }
}

/// `application/json`, or anything that ends in `+json`, with or without parameters.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

impl Extract for Identity {
    fn extract(request: &mut Request) -> Result<Self> {
        request.identity.take().ok_or_else(|| Problem::unauthorized("this endpoint needs to know who is calling"))
    }

    fn describe(description: &mut Description) {
        description.identity("required");
    }
}

impl Extract for Option<Identity> {
    fn extract(request: &mut Request) -> Result<Self> {
        Ok(request.identity.take())
    }

    fn describe(description: &mut Description) {
        description.identity("optional");
    }
}

impl Extract for Headers {
    fn extract(request: &mut Request) -> Result<Self> {
        Ok(request.headers.clone())
    }
}

/// The members of the answer that the request asks for by `?fields=`, where `plugin.toml` says `fields`. The host cuts the answer by
/// itself; a handler looks where it can spare a call:
///
/// ```
/// # use weft_sdk::prelude::*;
/// # #[data]
/// # struct Film { title: String, reviews: Vec<String> }
/// # async fn latest_reviews(_: u32) -> Result<Vec<String>> { Ok(vec![]) }
/// #[get("/films/{id}")]
/// async fn film(Path(id): Path<u32>, fields: Selection) -> Result<Json<Film>> {
///     let reviews = if fields.has("reviews") { latest_reviews(id).await? } else { Vec::new() };
///     Ok(Json(Film { title: "Alien".to_owned(), reviews }))
/// }
/// ```
impl Extract for Selection {
    fn extract(request: &mut Request) -> Result<Self> {
        let values = request.query.iter().filter(|(name, _)| name == "fields").map(|(_, value)| value.as_str());
        Selection::parse(values).map_err(|malformed| Problem::invalid("query.fields", malformed))
    }

    fn describe(description: &mut Description) {
        description.selection();
    }
}

impl Extract for Request {
    const TAKES_BODY: bool = true;
    const WHOLE: bool = true;

    fn extract(request: &mut Request) -> Result<Self> {
        Ok(std::mem::take(request))
    }
}
