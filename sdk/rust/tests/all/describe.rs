//! What `weft build` is told.

use serde_json::{Value, json};
use weft_sdk::Plugin;
use weft_sdk::prelude::*;

/// A film.
#[data]
struct Film {
    /// Its number.
    id: u32,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[data]
struct Tag {
    name: String,
}

#[data]
struct Page {
    size: Option<u32>,
}

#[data]
struct Place {
    row: u8,
    seat: String,
}

/// A film,
/// by its number.
///
/// More about it.
///
/// And more.
#[get("/films/{id}")]
async fn film(Path(id): Path<u32>, Query(page): Query<Page>, caller: Option<Identity>) -> Result<Json<Film>> {
    let _ = (page.size, caller);
    Ok(Json(Film { id, tags: vec![] }))
}

#[post("/rooms/{room}/{row}/{seat}")]
async fn book(
    Path((room, row, seat)): Path<(String, u8, u8)>,
    caller: Identity,
    Json(film): Json<Film>,
) -> Created<Json<Tag>> {
    let _ = (room, row, seat, caller, film);
    Created(Json(Tag { name: String::new() }))
}

#[get("/places/{seat}/{row}")]
async fn place(Path(place): Path<Place>) -> (Status, String) {
    (Status::OK, format!("{}{}", place.row, place.seat))
}

#[get("/wrong/{line}")]
async fn wrong(Path(place): Path<Place>) -> NoContent {
    let _ = place;
    NoContent
}

const PLUGIN: Plugin = Plugin::new(
    &[weft_endpoint_film::ENDPOINT, weft_endpoint_book::ENDPOINT, weft_endpoint_place::ENDPOINT],
    &["a.v1.A/B", "a.v1.A/C"],
    b"descriptors",
);

fn description(plugin: Plugin) -> Value {
    serde_json::from_str(&plugin.describe()).unwrap()
}

#[test]
fn endpoints_are_described() {
    let description = description(PLUGIN);
    assert_eq!(description["contract"], "0.1.0");
    assert_eq!(description["sdk"], concat!("rust/", env!("CARGO_PKG_VERSION")));
    assert_eq!(description["methods"], json!(["a.v1.A/B", "a.v1.A/C"]));
    assert_eq!(description["descriptors"], "ZGVzY3JpcHRvcnM=");
    assert_eq!(description["faults"], json!([]));

    let film = &description["endpoints"][0];
    assert_eq!(film["method"], "GET");
    assert_eq!(film["path"], "/films/{id}");
    assert_eq!(film["summary"], "A film, by its number.");
    assert_eq!(film["description"], "More about it.\n\nAnd more.");
    assert_eq!(film["identity"], "optional");
    assert_eq!(film["status"], 200);
    assert_eq!(film["request"], Value::Null);
    assert_eq!(
        film["params"],
        json!([{"name": "id", "schema": {"type": "integer", "format": "uint32", "minimum": 0}}])
    );
    assert_eq!(film["query"]["properties"]["size"]["type"], json!(["integer", "null"]));
    let response = &film["response"];
    assert_eq!(response["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(response["properties"]["id"]["description"], "Its number.");
    assert_eq!(response["properties"]["tags"]["items"]["$ref"], "#/$defs/Tag");
    assert_eq!(response["required"], json!(["id", "tags"]), "what we write is always there");

    let book = &description["endpoints"][1];
    assert_eq!(book["identity"], "required");
    assert_eq!(book["status"], 201);
    assert_eq!(book["request"]["required"], json!(["id"]), "what we read may be left out");
    let names: Vec<_> = book["params"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["room", "row", "seat"]);
    assert_eq!(book["params"][0]["schema"]["type"], "string");
    assert_eq!(book["params"][1]["schema"]["maximum"], 255);

    let place = &description["endpoints"][2];
    assert_eq!(place["status"], Value::Null, "the code decides");
    assert_eq!(place["response"], Value::Null);
    assert_eq!(place["params"][0], json!({"name": "seat", "schema": {"type": "string"}}));
}

#[test]
fn the_same_code_gives_the_same_text() {
    assert_eq!(PLUGIN.describe(), PLUGIN.describe());
    assert!(PLUGIN.describe().starts_with(r#"{"contract":"0.1.0","descriptors":"#));
}

#[test]
fn a_struct_that_does_not_fit_the_template_is_a_fault() {
    let plugin = Plugin::new(const { &[weft_endpoint_wrong::ENDPOINT] }, &[], &[]);
    let description = description(plugin);
    assert_eq!(
        description["faults"],
        json!([
            "GET /wrong/{line}: `Path` has `row`, which the path template does not have",
            "GET /wrong/{line}: `Path` has `seat`, which the path template does not have",
        ])
    );
    let refused = std::panic::catch_unwind(|| weft_sdk::test::App::new(plugin));
    assert!(refused.is_err(), "a test would show it");
}

/// There is no such film.
///
/// Or there is none any more.
#[problem(
    status = 404,
    kind = "https://films.example.com/no-such-film",
    title = "No such film",
    detail = "there is no film {film} in {place:?}"
)]
struct NoSuchFilm {
    film: u32,
    place: String,
}

#[problem(status = 410, detail = "it is gone")]
struct Gone;

#[get("/gone/{id}", problems(NoSuchFilm, Gone))]
async fn gone(Path(id): Path<u32>) -> Result<NoContent> {
    match id {
        0 => Err(Gone.into()),
        film => Err(NoSuchFilm { film, place: "the archive".to_owned() }.into()),
    }
}

#[get("/calm", problems())]
async fn calm() -> NoContent {
    NoContent
}

#[test]
fn problems_that_are_declared_are_described() {
    let endpoints = &[weft_endpoint_gone::ENDPOINT, weft_endpoint_calm::ENDPOINT, weft_endpoint_film::ENDPOINT];
    let description = description(Plugin::new(endpoints, &[], b""));
    let problems = |at: usize| description["endpoints"][at].get("problems").cloned();
    let declared = json!([
        {
            "status": 404, "type": "https://films.example.com/no-such-film", "title": "No such film",
            "description": "There is no such film.\n\nOr there is none any more.",
        },
        { "status": 410, "type": "", "title": "", "description": "" },
    ]);
    assert_eq!((problems(0), problems(1), problems(2)), (Some(declared), Some(json!([])), None));

    let problem = Problem::from(NoSuchFilm { film: 7, place: "the archive".to_owned() });
    assert_eq!((problem.status(), problem.kind()), (Status::NOT_FOUND, "https://films.example.com/no-such-film"));
    assert_eq!(problem.detail(), "there is no film 7 in \"the archive\"");
    assert_eq!((problem.title(), problem.extension("film")), ("No such film", Some("7")));
    let problem = Problem::from(Gone);
    assert_eq!((problem.status().number(), problem.kind(), problem.title()), (410, "", "Gone"));
}

#[get("/page/{id}")]
async fn page(Path(id): Path<u32>, fields: Selection) -> String {
    format!("{id} {fields}")
}

#[test]
fn code_that_looks_at_what_is_chosen_says_so() {
    let description = description(Plugin::new(&[weft_endpoint_page::ENDPOINT, weft_endpoint_calm::ENDPOINT], &[], b""));
    let selects = |at: usize| description["endpoints"][at].get("selection").cloned();
    assert_eq!((selects(0), selects(1)), (Some(json!(true)), None));
}
