//! Arguments: what they take, and what the caller is told when they can't.

use weft_sdk::prelude::*;
use weft_sdk::test::{App, TestRequest};
use weft_sdk::{Endpoint, Plugin};

fn app(endpoints: &'static [Endpoint]) -> App {
    App::new(Plugin::new(endpoints, &[], &[]))
}

/// Status, detail and the field at fault.
fn fault(request: TestRequest<'_>) -> (u16, String, String) {
    let response = request.send();
    let problem = response.problem();
    let field = problem.extension("field").unwrap_or_default().to_owned();
    (problem.status().number(), problem.detail().to_owned(), field)
}

fn invalid(field: &str, message: &str) -> (u16, String, String) {
    (400, format!("{field}: {message}"), field.to_owned())
}

#[data]
struct Place {
    row: u8,
    seat: String,
}

#[data]
struct Id(u32);

#[get("/one/{id}")]
async fn one(Path(id): Path<u32>) -> String {
    id.to_string()
}

#[get("/wrapped/{id}")]
async fn wrapped(Path(id): Path<Id>) -> String {
    id.0.to_string()
}

#[get("/tuple/{row}/{seat}")]
async fn tuple(Path((row, seat)): Path<(u8, String)>) -> String {
    format!("{row} {seat}")
}

#[get("/named/{seat}/in/{row}")]
async fn named(Path(place): Path<Place>) -> String {
    format!("{} {}", place.row, place.seat)
}

#[get("/rest/{*path}")]
async fn rest(Path(path): Path<String>) -> String {
    path
}

#[test]
fn path_parameters() {
    let app = app(const {
        &[
            weft_endpoint_one::ENDPOINT,
            weft_endpoint_wrapped::ENDPOINT,
            weft_endpoint_tuple::ENDPOINT,
            weft_endpoint_named::ENDPOINT,
            weft_endpoint_rest::ENDPOINT,
        ]
    });
    assert_eq!(app.get("/one/7").send().text(), "7");
    assert_eq!(app.get("/wrapped/7").send().text(), "7");
    assert_eq!(app.get("/tuple/3/b%C3%BC").send().text(), "3 bü");
    assert_eq!(app.get("/named/b/in/3").send().text(), "3 b");
    assert_eq!(app.get("/rest/a/b/c").send().text(), "a/b/c");
    let number = "expected a whole number from 0 to 4294967295, found `x`";
    assert_eq!(fault(app.get("/one/x")), invalid("path.id", number));
    assert_eq!(fault(app.get("/wrapped/x")), invalid("path.id", number));
    let small = "expected a whole number from 0 to 255, found `300`";
    assert_eq!(fault(app.get("/tuple/300/b")), invalid("path.row", small));
    assert_eq!(fault(app.get("/named/b/in/300")), invalid("path.row", small));
}

#[data]
#[serde(rename_all = "kebab-case")]
enum Order {
    Newest,
    BestRated,
}

#[data]
struct Search {
    q: String,
    page: Option<u32>,
    #[serde(default)]
    genre: Vec<String>,
    #[serde(default)]
    years: Vec<i16>,
    order: Option<Order>,
    #[serde(default)]
    exact: bool,
    near: Option<f64>,
}

#[get("/search")]
async fn search(Query(search): Query<Search>) -> Json<Search> {
    Json(search)
}

#[test]
fn query_parameters() {
    let app = app(const { &[weft_endpoint_search::ENDPOINT] });
    let found: Search = app
        .get("/search?q=a+b%26c&genre=noir")
        .query("genre", "war")
        .query("years", -3)
        .query("years", 1999)
        .query("order", "best-rated")
        .query("exact", true)
        .query("near", 0.5)
        .query("page", 2)
        .query("unknown", "is ignored")
        .send()
        .json();
    assert_eq!(
        format!("{found:?}"),
        "Search { q: \"a b&c\", page: Some(2), genre: [\"noir\", \"war\"], years: [-3, 1999], order: Some(BestRated), \
         exact: true, near: Some(0.5) }"
    );
    let found: Search = app.get("/search?q=").send().json();
    assert_eq!((found.q, found.page, found.genre.len()), (String::new(), None, 0));

    assert_eq!(fault(app.get("/search")), invalid("query.q", "is required, but missing"));
    assert_eq!(fault(app.get("/search?q=a&q=b")), invalid("query.q", "is given more than once"));
    let number = "expected a whole number from 0 to 4294967295, found `-1`";
    assert_eq!(fault(app.get("/search?q=a&page=-1")), invalid("query.page", number));
    let year = "expected a whole number from -32768 to 32767, found `soon`";
    assert_eq!(fault(app.get("/search?q=a&years=1&years=soon")), invalid("query.years", year));
    let order = "unknown variant `worst`, expected `newest` or `best-rated`";
    assert_eq!(fault(app.get("/search?q=a&order=worst")), invalid("query.order", order));
    assert_eq!(fault(app.get("/search?q=a&exact=2")), invalid("query.exact", "expected `true` or `false`, found `2`"));
    assert_eq!(fault(app.get("/search?q=a&near=by")), invalid("query.near", "expected a number, found `by`"));
}

#[data(input)]
struct NewList {
    name: String,
    films: Vec<Entry>,
    owner: Option<Owner>,
}

#[data(input)]
struct Entry {
    id: u32,
    stars: u8,
}

#[data(input)]
#[serde(deny_unknown_fields)]
struct Owner {
    tags: (u8, u8),
}

#[post("/lists")]
async fn create(Json(list): Json<NewList>) -> Created<String> {
    let stars: u32 = list.films.iter().map(|film| film.id * u32::from(film.stars)).sum();
    Created(format!("{} {stars} {:?}", list.name, list.owner.map(|owner| owner.tags)))
}

#[test]
fn json_bodies() {
    let app = app(const { &[weft_endpoint_create::ENDPOINT] });
    let send = |body: &str| app.post("/lists").body(body);
    let good = r#"{"name": "x", "films": [{"id": 7, "stars": 5}], "owner": {"tags": [1, 2]}}"#;
    let response = send(good).header("content-type", "application/json; charset=utf-8").send();
    assert_eq!((response.status().number(), response.text()), (201, "x 35 Some((1, 2))".to_owned()));
    assert_eq!(send(good).send().status(), 201, "a content type is not needed");
    assert_eq!(send(good).header("Content-Type", "application/vnd.list+json").send().status(), 201);
    let (status, detail, field) = fault(send(good).header("content-type", "text/html"));
    assert_eq!((status, field.as_str()), (415, "body"));
    assert_eq!(detail, "the body has to be JSON, but is `text/html`");

    for (body, field, message) in [
        (r#"{"films": []}"#, "body.name", "is required, but missing"),
        (r#"{"name": 7, "films": []}"#, "body.name", "expected a string, found `7`"),
        (r#"{"name": "a", "films": {}}"#, "body.films", "expected a list, found an object"),
        (r#"{"name": "a", "films": [{"id": 1}]}"#, "body.films[0].stars", "is required, but missing"),
        (
            "{\"name\": \"a\\\"}{\",\n \"films\": [{\"id\": 1, \"stars\": 2},\n {\"stars\": \"x\", \"id\": 1}]}",
            "body.films[1].stars",
            "expected a whole number from 0 to 255, found `\"x\"`",
        ),
        (
            r#"{"name": "a", "films": [{"id": 1, "stars": 300}]}"#,
            "body.films[0].stars",
            "expected a whole number from 0 to 255, found `300`",
        ),
        (
            r#"{"name": "a", "films": [{"id": [], "stars": 1}]}"#,
            "body.films[0].id",
            "expected a whole number from 0 to 4294967295, found a list",
        ),
        (
            r#"{"name": "a", "films": [{"id": null, "stars": 1}]}"#,
            "body.films[0].id",
            "expected a whole number from 0 to 4294967295, found `null`",
        ),
        (r#"{"name": "a", "films": [], "owner": {"tags": [1]}}"#, "body.owner.tags", "expected a list of 2, found 1"),
        (
            r#"{"name": "a", "films": [], "owner": {"rank": 1, "tags": [1, 2]}}"#,
            "body.owner.rank",
            "unknown field `rank`, expected `tags`",
        ),
        ("[]", "body", "expected an object, found a list"),
        ("7", "body", "expected an object, found `7`"),
    ] {
        assert_eq!(fault(send(body)), invalid(field, message), "{body}");
    }
    let (status, detail, field) = fault(send(r#"{"name": "#));
    assert_eq!((status, field.as_str()), (400, "body"));
    assert!(detail.starts_with("body: not JSON: EOF while parsing a value at line 1"), "{detail}");
    assert_eq!(fault(send("")).0, 400);
}

#[test]
fn all_that_is_wrong_with_a_body_is_told_at_once() {
    let app = app(const { &[weft_endpoint_create::ENDPOINT] });
    let send = |body: &str| {
        let response = app.post("/lists").body(body).send();
        let problem = response.problem();
        let member = |name: &str| problem.extension(name).unwrap_or_default().to_owned();
        (problem.detail().to_owned(), member("field"), member("fields"))
    };
    let (detail, field, fields) = send(
        r#"{"films": [{"id": -1, "stars": 5}, {"id": 1}, {"id": 2, "stars": "5"}], "owner": {"rank": 1, "tags": [1, true]}}"#,
    );
    assert_eq!(field, "body.films[0].id");
    let places = ["films[0].id", "films[1].stars", "films[2].stars", "owner.rank", "owner.tags[1]", "name"];
    assert_eq!(fields, places.map(|place| format!("body.{place}")).join(", "));
    for text in [
        "body.films[0].id: expected a whole number from 0 to 4294967295, found `-1`; ",
        "body.name: is required, but missing",
    ] {
        assert!(detail.contains(text), "{text} in {detail}");
    }
    // As many as can be told, and of a large body the first.
    let many = format!(r#"{{"name": "a", "films": [{}]}}"#, vec![r#"{"id": "", "stars": 1}"#; 100].join(","));
    assert_eq!(send(&many).2.split(", ").count(), 20);
    let large = many.replace("\"a\"", &format!("{:?}", "a".repeat(200 << 10)));
    assert_eq!((send(&large).1.as_str(), send(&large).2.as_str()), ("body.films[0].id", ""));
    assert_eq!(send(r#"{"name": "a", "name": "b", "films": []}"#).0, "body.name: duplicate field `name`");
}

#[get("/me")]
async fn me(caller: Identity) -> Result<String> {
    caller.require_scope("read")?;
    let plan: Option<String> = caller.claim("plan");
    Ok(format!("{} {:?} {plan:?}", caller.subject(), caller.tenant()))
}

#[get("/anyone")]
async fn anyone(caller: Option<Identity>, headers: Headers) -> String {
    format!("{:?} {:?}", caller.map(|it| it.subject().to_owned()), headers.get("Accept-Language"))
}

#[put("/raw/{id}")]
async fn raw(Path(id): Path<u32>, request: Request) -> String {
    format!("{id} {} {} {}", request.endpoint(), request.path(), String::from_utf8_lossy(request.body()))
}

#[test]
fn identity_headers_and_the_rest() {
    let app = app(const { &[weft_endpoint_me::ENDPOINT, weft_endpoint_anyone::ENDPOINT, weft_endpoint_raw::ENDPOINT] });
    let ann = Identity::of("ann").with_tenant("acme");
    let good = ann.clone().with_scope("read").with_claims(&serde_json::json!({"plan": "gold"}));
    assert_eq!(app.get("/me").identity(good).send().text(), "ann Some(\"acme\") Some(\"gold\")");
    assert_eq!(fault(app.get("/me")).0, 401);
    assert_eq!(fault(app.get("/me").identity(ann.clone())).0, 403);
    assert_eq!(app.get("/anyone").send().text(), "None None");
    let response = app.get("/anyone").identity(ann).header("accept-language", "de").send();
    assert_eq!(response.text(), "Some(\"ann\") Some(\"de\")");
    assert_eq!(app.put("/raw/7").body("hi").send().text(), "7 PUT /raw/{id} /raw/7 hi");
}

#[get("/page")]
async fn page(fields: Selection) -> String {
    format!("{fields} {} {}", fields.has("title"), fields.has("reviews"))
}

#[test]
fn what_is_chosen_of_the_answer() {
    let app = app(const { &[weft_endpoint_page::ENDPOINT] });
    assert_eq!(app.get("/page").send().text(), " true true");
    assert_eq!(app.get("/page?fields=title,cast.actor&fields=cast.actor").send().text(), "cast.actor,title true false");
    assert_eq!(fault(app.get("/page?fields=a,,b")).0, 400);
}
