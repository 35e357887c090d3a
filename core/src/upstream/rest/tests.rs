//! Messages to requests, and responses to messages.

use super::*;
use prost::Message;

const PROTO: &str = r#"
syntax = "proto3";
package w.v1;
import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/empty.proto";
enum Colour { COLOUR_UNSPECIFIED = 0; RED = 1; }
message Query {
  string city = 1; uint32 days = 2; repeated string units = 3; Where where = 4; bool fresh = 5;
  optional uint32 page = 6; Colour colour = 7; oneof either { int32 left = 8; string right = 9; }
  google.protobuf.Int32Value most = 10; google.protobuf.Timestamp at = 11; repeated Colour colours = 12;
}
message Where { double lat = 1; Where around = 2; optional string zone = 3; }
message Odd { Where where = 1; Deep deep = 2; }
message Deep { repeated Where list = 1; }
service S { rpc Delete(Query) returns (google.protobuf.Empty); }
message Forecast { string city = 1; repeated Day days = 2; }
message Day { int32 high = 1; }
"#;

fn rest(text: &str, response_body: Option<&str>) -> Result<Rest, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.proto"), PROTO).unwrap();
    let files = protox::compile(["w.proto"], [folder.path()]).unwrap();
    let pool = prost_reflect::DescriptorPool::decode(files.encode_to_vec().as_slice()).unwrap();
    let message = |name: &str| pool.get_message_by_name(name).unwrap();
    let output = if text.starts_with("DELETE") { "google.protobuf.Empty" } else { "w.v1.Forecast" };
    let input = if text.contains("odd") { "w.v1.Odd" } else { "w.v1.Query" };
    Rest::resolve(text, response_body, message(input), message(output))
}

fn request(text: &str, json: &str) -> Result<(String, Option<String>), String> {
    let rest = rest(text, None).unwrap();
    let message = protojson::to_protobuf(rest.input.clone(), json.as_bytes()).unwrap();
    let (target, body) = rest.request(&message).map_err(|failure| failure.message)?;
    Ok((target, body.map(|body| String::from_utf8(body.to_vec()).unwrap())))
}

#[test]
fn fields_go_into_path_query_and_body() {
    let json = r#"{"city": "São Paulo/SP", "days": 3, "units": ["c", "k m"], "fresh": true}"#;
    assert_eq!(
        request("GET /v1/weather/{city}", json).unwrap(),
        ("/v1/weather/S%C3%A3o%20Paulo%2FSP?days=3&units=c&units=k%20m&fresh=true".to_owned(), None)
    );
    assert_eq!(request("GET /v1/weather?in={units}", r#"{"units": ["a", "b"]}"#).unwrap().0, "/v1/weather?in=a%2Cb");
    let (target, body) = request("POST /v1/weather/{city}", json).unwrap();
    let body: Value = serde_json::from_str(&body.unwrap()).unwrap();
    assert_eq!(
        (target.as_str(), &body["days"], body.get("city")),
        ("/v1/weather/S%C3%A3o%20Paulo%2FSP", &3.into(), None)
    );
}

#[test]
fn a_path_can_not_be_left_or_have_an_empty_part() {
    assert_eq!(request("GET /v1/{city}/x", r#"{"city": "../admin?x#y"}"#).unwrap().0, "/v1/..%2Fadmin%3Fx%23y/x");
    assert!(request("GET /v1/{city}", "{}").unwrap_err().contains("`city` is empty"));
    for (template, city) in [("GET /v1/{city}/x", ".."), ("GET /v1/{city}", "."), ("POST /v1/.{city}?a=b", ".")] {
        let refused = request(template, &format!(r#"{{"city": "{city}"}}"#)).unwrap_err();
        assert!(refused.contains("can't be a part of the path"), "{template}: {refused}");
    }
    // Elsewhere it means nothing.
    assert_eq!(request("GET /v1/a{city}", r#"{"city": ".."}"#).unwrap().0, "/v1/a..");
    assert_eq!(request("GET /v1?city={city}", r#"{"city": "../.."}"#).unwrap().0, "/v1?city=..%2F..");
}

#[test]
fn the_reply_is_the_json_or_one_field_of_it() {
    let whole = rest("GET /w", None)
        .unwrap()
        .reply(StatusCode::OK, &Bytes::from_static(br#"{"city": "Oslo", "days": [{"high": 3}], "extra": 1}"#))
        .unwrap();
    let listed =
        rest("GET /w", Some("days")).unwrap().reply(StatusCode::OK, &Bytes::from_static(br#"[{"high": 3}]"#)).unwrap();
    assert_eq!((&whole[..], &listed[..]), (&b"\x0a\x04Oslo\x12\x02\x08\x03"[..], &b"\x12\x02\x08\x03"[..]));
    let error = rest("GET /w", None).unwrap().reply(StatusCode::OK, &Bytes::from_static(b"<html>")).unwrap_err();
    assert_eq!(error.code, Code::Internal);
}

#[test]
fn what_is_set_is_said_and_nothing_else() {
    let query = |json| request("GET /w", json).unwrap().0;
    assert_eq!(query("{}"), "/w");
    assert_eq!(query(r#"{"city": "0", "page": 0, "left": 0, "most": 0}"#), "/w?city=0&page=0&left=0&most=0");
    assert_eq!(
        query(r#"{"where": {"lat": 1.5, "zone": "", "around": {"lat": -0.5}}}"#),
        "/w?where.lat=1.5&where.zone=&where.around.lat=-0.5"
    );
    assert_eq!(
        query(r#"{"colour": "RED", "colours": ["RED", "COLOUR_UNSPECIFIED"], "at": "2026-01-02T03:04:05Z"}"#),
        "/w?colour=RED&at=2026-01-02T03%3A04%3A05Z&colours=RED&colours=COLOUR_UNSPECIFIED"
    );
    assert_eq!(request("GET /w/{days}", "{}").unwrap().0, "/w/0", "a number in the path is never empty");
    let body = |json| request("PATCH /w/{city}", json).unwrap().1.unwrap();
    assert_eq!(body(r#"{"city": "x"}"#), "{}");
    assert_eq!(body(r#"{"city": "x", "page": 0, "fresh": false}"#), r#"{"page":0}"#);
}

#[test]
fn a_value_that_a_query_can_not_say_is_refused_and_not_left_out() {
    // A time before the first nanosecond of its second.
    let message = Bytes::from_static(b"\x5a\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    let refused = rest("GET /w", None).unwrap().request(&message).unwrap_err();
    assert_eq!((refused.code, refused.message.contains("`at`")), (Code::InvalidArgument, true), "{}", refused.message);
}

#[test]
fn what_a_query_can_not_say_is_a_mistake() {
    let mistake = rest("GET /odd", None).unwrap_err();
    assert!(mistake.contains("`deep.list` of `w.v1.Odd`"), "{mistake}");
    assert!(rest("POST /odd", None).is_ok());
    assert!(rest("GET /odd?in={deep}", None).is_ok(), "what stands elsewhere is not in the query");
}

#[test]
fn an_empty_answer_is_one_where_there_is_nothing_to_say() {
    let read = |text, status, body: &'static str| {
        let status = StatusCode::from_u16(status).unwrap();
        rest(text, None)
            .unwrap()
            .read(status, &HeaderMap::new(), &Bytes::from_static(body.as_bytes()))
            .map_err(|f| f.code)
    };
    for (status, body) in [(204, ""), (200, ""), (202, "\n"), (200, "{}")] {
        assert_eq!(read("DELETE /w", status, body), Ok(Bytes::new()), "{status} {body:?}");
    }
    assert_eq!(read("PUT /w", 204, ""), Ok(Bytes::new()), "it is done");
    assert_eq!(read("GET /w", 200, ""), Err(Code::Internal));
    assert_eq!(read("GET /w", 404, ""), Err(Code::NotFound));
}

#[test]
fn a_field_of_the_reply_is_json_on_its_own() {
    let listed = rest("GET /w", Some("days")).unwrap();
    for body in [&br#"[],"days":[{"high":3}]"#[..], b"[]}", b"", b"[1"] {
        let error = listed.reply(StatusCode::OK, &Bytes::from_static(body)).unwrap_err();
        assert_eq!(error.code, Code::Internal, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn mistakes_name_what_there_is() {
    assert!(rest("GET /v1/{town}", None).unwrap_err().contains("it has: city, days"));
    assert!(rest("FETCH /v1", None).unwrap_err().contains("expected a method and a path"));
    assert!(rest("GET /v1/{city", None).unwrap_err().contains("open brace"));
    assert!(rest("GET /v1", Some("items")).unwrap_err().contains("no field `items`"));
}
