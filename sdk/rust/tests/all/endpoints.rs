//! Endpoints and responses; and two plugins in one program.

use weft_sdk::prelude::*;
use weft_sdk::test::App;

mod ios {
    use weft_sdk::prelude::*;

    /// Says hello.
    #[get("/")]
    async fn home() -> &'static str {
        "ios"
    }

    pub(super) mod films {
        use weft_sdk::prelude::*;

        #[get("/films/{id}")]
        pub(in super::super) async fn film(Path(id): Path<u32>) -> Result<Json<u32>> {
            if id == 0 { Err(Problem::not_found("film", id)) } else { Ok(Json(id)) }
        }

        #[get("/films/new")]
        pub(in super::super) async fn new_films() -> &'static str {
            "new"
        }

        #[delete("/films/{id}")]
        pub(in super::super) async fn remove(Path(id): Path<u32>) {
            let _ = id;
        }
    }

    weft_sdk::plugin!(home, films::film, films::new_films, films::remove);
}

mod web {
    use weft_sdk::WithHeaders;
    use weft_sdk::prelude::*;

    #[get("/")]
    async fn home() -> &'static str {
        "web"
    }

    #[patch("/teapot")]
    async fn teapot() -> (Status, Json<Vec<u8>>) {
        (const { Status::new(418) }, Json(vec![1, 2]))
    }

    #[post("/headers")]
    async fn headers() -> Result<WithHeaders<&'static str>> {
        Ok("text".with_header("Cache-Control", "no-store").with_header("x-b", "c"))
    }

    #[put("/response")]
    async fn response() -> Response {
        Response::new(Status::ACCEPTED).with_body("image/png", *b"png")
    }

    weft_sdk::plugin!(home, teapot, headers, response,);

    #[test]
    fn handlers_stay_functions() {
        use weft_sdk::futures::FutureExt;
        assert_eq!(home().now_or_never(), Some("web"));
    }
}

#[test]
fn two_plugins_in_one_program() {
    assert_eq!(App::new(ios::plugin()).get("/").send().text(), "ios");
    assert_eq!(App::new(web::plugin()).get("/").send().text(), "web");
    let names: Vec<_> = ios::plugin().endpoints().iter().map(|it| it.name()).collect();
    assert_eq!(names, ["GET /", "GET /films/{id}", "GET /films/new", "DELETE /films/{id}"]);
}

#[test]
fn responses() {
    let ios = App::new(ios::plugin());
    let response = ios.get("/films/7").send();
    assert_eq!((response.text(), response.header("content-type")), ("7".to_owned(), Some("application/json")));
    assert_eq!(ios.get("/films/0").send().problem().detail(), "there is no film `0`");
    assert_eq!(ios.get("/films/new").send().text(), "new", "a fixed segment wins");
    let response = ios.delete("/films/7").send();
    assert_eq!((response.status(), response.response().body()), (Status::NO_CONTENT, &[][..]));
    let web = App::new(web::plugin());
    let response = web.patch("/teapot").send();
    assert_eq!((response.status().number(), response.text()), (418, "[1,2]".to_owned()));
    let response = web.post("/headers").send();
    assert_eq!((response.header("cache-control"), response.header("x-b")), (Some("no-store"), Some("c")));
    let response = web.put("/response").send();
    assert_eq!((response.header("content-type"), response.text()), (Some("image/png"), "png".to_owned()));
}

#[test]
#[should_panic(expected = "no endpoint for GET /nowhere; there are [\"GET /\", ")]
fn an_unknown_path_ends_the_test() {
    App::new(ios::plugin()).get("/nowhere").send();
}

#[test]
fn an_unknown_endpoint_is_a_problem_for_drivers() {
    use weft_sdk::executor::{NoHost, Turn};
    let mut executor = web::plugin().start(Request::new("GET /nowhere"), std::sync::Arc::new(NoHost));
    let Turn::Done(Err(problem)) = executor.turn() else { panic!("a problem") };
    assert_eq!(problem.status(), 404);
}
