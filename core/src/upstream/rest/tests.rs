//! Messages to requests, and responses to messages.

use super::*;
use prost::Message;

const PROTO: &str = r#"
syntax = "proto3";
package w.v1;
message Query { string city = 1; uint32 days = 2; repeated string units = 3; Where where = 4; bool fresh = 5; }
message Where { double lat = 1; }
message Forecast { string city = 1; repeated Day days = 2; }
message Day { int32 high = 1; }
"#;

fn rest(text: &str, response_body: Option<&str>) -> Result<Rest, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.proto"), PROTO).unwrap();
    let files = protox::compile(["w.proto"], [folder.path()]).unwrap();
    let pool = prost_reflect::DescriptorPool::decode(files.encode_to_vec().as_slice()).unwrap();
    let message = |name: &str| pool.get_message_by_name(name).unwrap();
    Rest::resolve(text, response_body, message("w.v1.Query"), message("w.v1.Forecast"))
}

fn request(text: &str, json: &str) -> Result<(String, Option<String>), String> {
    let rest = rest(text, None).unwrap();
    let message = json::to_protobuf(rest.input.clone(), json.as_bytes()).unwrap();
    let (target, body) = rest.request(&message).map_err(|failure| failure.message)?;
    Ok((target, body.map(|body| String::from_utf8(body.to_vec()).unwrap())))
}

#[test]
fn fields_go_into_path_query_and_body() {
    let json = r#"{"city": "São Paulo/SP", "days": 3, "units": ["c", "k m"], "fresh": true}"#;
    assert_eq!(
        request("GET /v1/weather/{city}", json).unwrap(),
        ("/v1/weather/S%C3%A3o%20Paulo%2FSP?days=3&fresh=true&units=c&units=k%20m".to_owned(), None)
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
        .reply(&Bytes::from_static(br#"{"city": "Oslo", "days": [{"high": 3}], "extra": 1}"#))
        .unwrap();
    let listed = rest("GET /w", Some("days")).unwrap().reply(&Bytes::from_static(br#"[{"high": 3}]"#)).unwrap();
    assert_eq!((&whole[..], &listed[..]), (&b"\x0a\x04Oslo\x12\x02\x08\x03"[..], &b"\x12\x02\x08\x03"[..]));
    let error = rest("GET /w", None).unwrap().reply(&Bytes::from_static(b"<html>")).unwrap_err();
    assert_eq!(error.code, Code::Internal);
}

#[test]
fn mistakes_name_what_there_is() {
    assert!(rest("GET /v1/{town}", None).unwrap_err().contains("it has: city, days"));
    assert!(rest("FETCH /v1", None).unwrap_err().contains("expected a method and a path"));
    assert!(rest("GET /v1/{city", None).unwrap_err().contains("open brace"));
    assert!(rest("GET /v1", Some("items")).unwrap_err().contains("no field `items`"));
}
