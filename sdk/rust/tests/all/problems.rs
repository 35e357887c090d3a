//! What callers are told when a call fails, and what they are not.

use weft_sdk::prelude::*;
use weft_sdk::prost_types::Any;
use weft_sdk::test::App;
use weft_sdk::{Elapsed, Endpoint, Plugin};

use crate::support::{METHODS, NEXT, Number};

fn app(endpoints: &'static [Endpoint], code: Code) -> App {
    App::new(Plugin::new(endpoints, METHODS, &[]))
        .backend(NEXT, move |_| Err(CallError::new(code, "secret of the backend")))
}

#[get("/plain")]
async fn plain() -> Result<NoContent> {
    NEXT.call(Number { value: 1 }).await?;
    Ok(NoContent)
}

#[test]
fn codes_become_statuses() {
    for (code, status) in [
        (Code::Cancelled, 502),
        (Code::Unknown, 502),
        (Code::InvalidArgument, 400),
        (Code::DeadlineExceeded, 504),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::PermissionDenied, 403),
        (Code::ResourceExhausted, 503),
        (Code::FailedPrecondition, 400),
        (Code::Aborted, 409),
        (Code::OutOfRange, 400),
        (Code::Unimplemented, 502),
        (Code::Internal, 502),
        (Code::Unavailable, 503),
        (Code::DataLoss, 502),
        (Code::Unauthenticated, 401),
    ] {
        let app = app(const { &[weft_endpoint_plain::ENDPOINT] }, code);
        let response = app.get("/plain").send();
        let problem = response.problem();
        assert_eq!(problem.status(), status, "{code}");
        assert_eq!(problem.extension("method"), Some("test.v1.Numbers/Next"));
        assert_eq!(problem.extension("code"), Some(code.name()));
        if status < 500 {
            assert_eq!(problem.detail(), "secret of the backend");
            assert_eq!(app.logs(), []);
        } else {
            assert_eq!(problem.detail(), format!("`test.v1.Numbers/Next` failed with {code}"));
            assert_eq!(app.logs().len(), 1);
            assert!(app.logs()[0].message.contains("secret of the backend"));
        }
    }
}

#[get("/named/{id}")]
async fn named(Path(id): Path<u32>) -> Result<String> {
    let reply = NEXT.call(Number { value: id }).await.or_not_found("number", id)?;
    Ok(reply.value.to_string())
}

#[get("/field")]
async fn field() -> Result<String> {
    Ok(NEXT.call(Number { value: 1 }).await.field("query.value")?.value.to_string())
}

#[get("/optional")]
async fn optional() -> Result<String> {
    Ok(format!("{:?}", NEXT.call(Number { value: 1 }).await.if_found()?))
}

#[test]
fn failures_can_be_put_in_your_words() {
    let endpoints =
        const { &[weft_endpoint_named::ENDPOINT, weft_endpoint_field::ENDPOINT, weft_endpoint_optional::ENDPOINT] };
    let missing = app(endpoints, Code::NotFound);
    assert_eq!(missing.get("/named/7").send().problem().detail(), "there is no number `7`");
    assert_eq!(missing.get("/field").send().problem().extension("field"), Some("query.value"));
    assert_eq!(missing.get("/optional").send().text(), "None");
    let down = app(endpoints, Code::Unavailable);
    assert_eq!(down.get("/named/7").send().status(), 503);
    assert_eq!(down.get("/field").send().problem().extension("field"), None);
    assert_eq!(down.get("/optional").send().status(), 503);
}

#[get("/parts")]
async fn parts() -> Result<String> {
    let may = NEXT.call(Number { value: 1 }).await.optional_if_denied()?;
    let must = NEXT.call(Number { value: 2 }).await.optional()?;
    Ok(format!("{:?} {:?}", may.map(|it| it.value), must.map(|it| it.value)))
}

#[test]
fn a_part_that_a_caller_may_not_see_is_left_out_only_where_that_is_said() {
    for (code, status) in [
        (Code::Unavailable, 200),
        (Code::NotFound, 200),
        (Code::PermissionDenied, 403),
        (Code::Unauthenticated, 401),
        (Code::InvalidArgument, 400),
    ] {
        let app = app(const { &[weft_endpoint_parts::ENDPOINT] }, code);
        assert_eq!(app.get("/parts").send().status(), status, "{code}");
        let denied_first = app.backend(NEXT, move |number: Number| match number.value {
            1 => Err(CallError::new(Code::PermissionDenied, "not yours")),
            _ => Ok(Number { value: 2 }),
        });
        assert_eq!(denied_first.get("/parts").send().text(), "None Some(2)");
    }
}

/// As the host tells of a bound that a call would have been over.
fn over_a_bound(reason: &str) -> CallError {
    let text = |tag: u8, text: &str| [&[tag, text.len() as u8], text.as_bytes()].concat();
    let info = [text(0x0a, reason), text(0x12, "weft"), vec![0x1a, 0]].concat();
    let detail = Any { type_url: "type.googleapis.com/google.rpc.ErrorInfo".into(), value: info };
    CallError::new(Code::ResourceExhausted, "all calls are made (calls = 200 in [limits] of plugin.toml)")
        .with_detail(detail)
}

#[test]
fn a_bound_of_the_plugin_says_that_it_is_the_plugins() {
    for (reason, status, kind) in [
        ("PLUGIN_LIMIT", 500, "urn:weft:problem:plugin-limit"),
        ("HOST_LIMIT", 503, "urn:weft:problem:host-limit"),
        ("ELSE", 503, ""),
    ] {
        let app = app(const { &[weft_endpoint_plain::ENDPOINT] }, Code::Internal);
        let app = app.backend(NEXT, move |_| Err(over_a_bound(reason)));
        let response = app.get("/plain").send();
        let problem = response.problem();
        assert_eq!((problem.status().number(), problem.kind()), (status, kind), "{reason}");
        assert_eq!(problem.detail().contains("calls = 200 in [limits] of plugin.toml"), reason != "ELSE", "{reason}");
        assert_eq!(app.logs().len(), 1);
    }
}

#[get("/details")]
async fn details() -> Result<String, CallError> {
    match NEXT.call(Number { value: 1 }).await {
        Err(error) if !error.details().is_empty() => Ok(error.details()[0].type_url.clone()),
        other => other.map(|it| it.value.to_string()),
    }
}

#[test]
fn details_of_a_failure_arrive() {
    let app = app(const { &[weft_endpoint_details::ENDPOINT] }, Code::Internal);
    assert_eq!(app.get("/details").send().status(), 502, "`Result<_, CallError>` can be returned as it is");
    let detail = Any { type_url: "type.googleapis.com/x".into(), value: vec![] };
    let app = app.backend(NEXT, move |_| Err(CallError::new(Code::Internal, "").with_detail(detail.clone())));
    assert_eq!(app.get("/details").send().text(), "type.googleapis.com/x");
}

#[test]
fn problems_can_be_built() {
    let problem = Problem::conflict("seat 7 is taken").with("seat", 7).with_kind("/problems/taken").with_title("Taken");
    assert_eq!(problem.status(), Status::CONFLICT);
    assert_eq!((problem.kind(), problem.title(), problem.detail()), ("/problems/taken", "Taken", "seat 7 is taken"));
    assert_eq!(problem.extensions(), [("seat".to_owned(), "7".to_owned())]);
    assert_eq!(problem.to_string(), "409 Conflict: seat 7 is taken");
    assert_eq!(Problem::unprocessable("no").title(), "Unprocessable Content");
    fn convert(elapsed: Elapsed) -> Problem {
        elapsed.into()
    }
    let _ = convert;
}
