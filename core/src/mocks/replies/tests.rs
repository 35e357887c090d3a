//! Replies as backends would give them.

use super::*;
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{ReflectMessage, Value};
use serde_json::{Value as Json, json};

const PROTO: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
service Shop {
  rpc GetItem(GetItemRequest) returns (Item);
  rpc BatchGetItems(BatchGetItemsRequest) returns (BatchGetItemsResponse);
  rpc ListItems(ListItemsRequest) returns (ListItemsResponse);
  rpc GetPrice(GetPriceRequest) returns (GetPriceResponse);
  rpc MultiPrice(MultiPriceRequest) returns (MultiPriceResponse);
  rpc Search(SearchRequest) returns (ListItemsResponse);
  rpc Watch(ListItemsRequest) returns (stream Item);
}
enum Kind { KIND_UNSPECIFIED = 0; KIND_BOOK = 1; KIND_FILM = 2; }
message GetItemRequest { uint64 id = 1; string shop = 2; }
message Item {
  uint64 id = 1; string title = 2; Kind kind = 3; google.protobuf.Timestamp created_at = 4; repeated uint64 author_ids = 5;
  repeated Part parts = 6; map<string, Part> by_name = 7; string shop = 8; Item next = 9; repeated Item children = 10;
  google.protobuf.StringValue note = 11; oneof way { string post = 12; Part pick_up = 13; } optional int32 stock = 14;
}
message Part { uint64 id = 1; string sku = 2; repeated string tags = 3; }
message BatchGetItemsRequest { repeated uint64 ids = 1; }
message BatchGetItemsResponse { repeated Item items = 1; }
message ListItemsRequest { int32 page_size = 1; string page_token = 2; string shop = 3; }
message ListItemsResponse { repeated Item items = 1; string next_page_token = 2; bool has_more = 3; }
message GetPriceRequest { string sku = 1; }
message GetPriceResponse { Price price = 1; }
message Price { string sku = 1; double amount = 2; }
message MultiPriceRequest { repeated string skus = 1; }
message MultiPriceResponse { map<string, Price> prices = 1; }
message SearchRequest { repeated string titles = 1; }
"#;

fn pool() -> DescriptorPool {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), PROTO).unwrap();
    let set = protox::compile(["shop.proto"], [folder.path()]).unwrap().encode_to_vec();
    DescriptorPool::decode(set.as_slice()).unwrap()
}

fn replies() -> Replies {
    Replies::new(pool(), 1)
}

fn method(replies: &Replies, name: &str) -> MethodDescriptor {
    replies.method(&format!("shop.v1.Shop/{name}")).unwrap()
}

/// What the method answers to the request in JSON.
fn ask(replies: &Replies, name: &str, request: Json) -> Result<DynamicMessage, Failure> {
    let of = method(replies, name);
    let request = crate::protojson::to_protobuf(of.input(), request.to_string().as_bytes()).unwrap();
    let reply = replies.reply(&format!("shop.v1.Shop/{name}"), &request)?;
    Ok(DynamicMessage::decode(of.output(), reply).unwrap())
}

fn json_of(message: &DynamicMessage) -> Json {
    serde_json::from_slice(&crate::protojson::of_set_fields(message, 1 << 20).unwrap()).unwrap()
}

#[test]
fn a_reply_is_about_what_was_asked_and_looks_like_something() {
    let item = json_of(&ask(&replies(), "GetItem", json!({"id": "7", "shop": "north"})).unwrap());
    assert_eq!((&item["id"], &item["shop"]), (&json!("7"), &json!("north")));
    assert!(item["createdAt"].as_str().unwrap().starts_with("20"), "{item}");
    assert!(item["kind"] != "KIND_UNSPECIFIED" && item["title"].as_str().unwrap().starts_with("The "), "{item}");
    assert_eq!(item["authorIds"].as_array().unwrap().len(), 3);
    // What is inside is another one, and it ends.
    assert_ne!(item["next"]["id"], item["id"]);
    assert!(item["next"].get("next").is_none(), "{item}");
    assert!(item.get("post").is_some() != item.get("pickUp").is_some());
}

#[test]
fn a_list_has_no_second_page_and_as_many_items_as_are_asked_for() {
    let list = json_of(&ask(&replies(), "ListItems", json!({"pageSize": 2, "shop": "north"})).unwrap());
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), list.get("nextPageToken"), list.get("hasMore")), (2, None, None));
    assert!(items.iter().all(|item| item["shop"] == "north") && items[0]["id"] != items[1]["id"]);
    assert_ne!(items[0]["parts"][0]["id"], items[1]["parts"][0]["id"]);
    let stream = replies().reply("shop.v1.Shop/Watch", &[]).unwrap();
    let list = DynamicMessage::decode(method(&replies(), "ListItems").output(), stream).unwrap();
    assert_eq!(json_of(&list)["items"].as_array().unwrap().len(), 3, "messages of a stream, as field 1");
}

#[test]
fn a_batch_answers_each_key_with_what_the_single_method_answers() {
    let all = json_of(&ask(&replies(), "BatchGetItems", json!({"ids": ["5", "3"]})).unwrap());
    let one = |id: &str| json_of(&ask(&replies(), "GetItem", json!({"id": id})).unwrap());
    assert_eq!(all["items"], json!([one("5"), one("3")]));
    let prices = json_of(&ask(&replies(), "MultiPrice", json!({"skus": ["a", "b"]})).unwrap());
    let one = json_of(&ask(&replies(), "GetPrice", json!({"sku": "a"})).unwrap());
    assert_eq!(prices["prices"]["a"], one["price"]);
    assert_eq!(prices["prices"]["b"]["sku"], "b");
    // Titles are no keys: nothing gets one by its title.
    assert_eq!(
        json_of(&ask(&replies(), "Search", json!({"titles": ["a"]})).unwrap())["items"].as_array().unwrap().len(),
        3
    );
}

#[test]
fn what_is_given_stands_in_also_behind_a_batch() {
    let item = method(&replies(), "GetItem");
    let of = |id: &str, title: &str| {
        Given::reply(&item, &json!({"title": title})).unwrap().when(&item, &json!({"id": id})).unwrap()
    };
    let gone = Given::failure(Failure::new(Code::NotFound, "gone")).when(&item, &json!({"id": "9"})).unwrap();
    let name = "shop.v1.Shop/GetItem";
    let replies = replies().given(name, of("1", "one")).given(name, of("2", "two")).given(name, gone);
    assert_eq!(json_of(&ask(&replies, "GetItem", json!({"id": "2"})).unwrap()), json!({"title": "two"}));
    let all = json_of(&ask(&replies, "BatchGetItems", json!({"ids": ["2", "9", "1"]})).unwrap());
    assert_eq!(all["items"], json!([{"id": "2", "title": "two"}, {"id": "1", "title": "one"}]));
    assert_eq!(ask(&replies, "GetItem", json!({"id": "9"})).unwrap_err().code, Code::NotFound);
    assert!(ask(&replies, "GetItem", json!({"id": "4"})).is_ok());
    for (wrong, told) in [
        (json!({"titel": "x"}), "`titel`: `shop.v1.Item` has no such field; did you mean `title`?"),
        (
            json!({"parts": [{"nothing": 1}]}),
            "`parts`: `nothing`: `shop.v1.Part` has no such field; it has: id, sku, tags",
        ),
        (json!({"id": "x"}), "is no `shop.v1.Item`: `id`: "),
    ] {
        let error = Given::reply(&item, &wrong).unwrap_err();
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn one_list_grows_alone_and_keeps_what_it_had() {
    let parts = ("shop.v1.Item".to_owned(), "parts".to_owned());
    let lists = replies().lists("shop.v1.Shop/GetItem");
    assert!(lists.contains(&parts) && lists.contains(&("shop.v1.Part".to_owned(), "tags".to_owned())));
    let of_batch = replies().lists("shop.v1.Shop/BatchGetItems");
    assert!(!of_batch.contains(&("shop.v1.BatchGetItemsResponse".to_owned(), "items".to_owned())));
    let ask = |sizes| json_of(&ask(&replies().sized(sizes), "GetItem", json!({"id": "7"})).unwrap());
    let (small, large) = (ask(Sizes::all(2)), ask(Sizes::all(2).with(parts, 8)));
    assert_eq!(large["parts"].as_array().unwrap().len(), 8);
    assert_eq!(large["parts"][1], small["parts"][1]);
    assert_eq!(large["authorIds"], small["authorIds"]);
}

#[test]
fn what_can_not_be_answered_says_why() {
    assert!(replies().reply("shop.v1.Shop/No", &[]).unwrap_err().message.contains("no service"));
    let error = replies().reply("shop.v1.Shop/GetItem", &[0xff]).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
}

fn ids(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::List(items) => {
            let own: Vec<Value> = items
                .iter()
                .filter_map(|item| item.as_message()?.get_field_by_name("id").map(std::borrow::Cow::into_owned))
                .collect();
            assert!(own.iter().enumerate().all(|(at, id)| !own[..at].contains(id)), "{own:?}");
            items.iter().for_each(|item| ids(item, found));
        }
        Value::Message(message) => {
            found.extend(message.get_field_by_name("id").map(std::borrow::Cow::into_owned));
            message.fields().for_each(|(_, value)| ids(value, found));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_seed_and_request_make_the_same_bytes_that_the_protos_read(
        seed: u64, size in 0_usize..6, id in 1_u64..1_000_000, name in prop::sample::select(vec!["GetItem", "ListItems", "BatchGetItems", "MultiPrice"]),
    ) {
        let request = match name {
            "GetItem" => json!({"id": id.to_string()}),
            "BatchGetItems" => json!({"ids": [id.to_string(), (id + 1).to_string()]}),
            "MultiPrice" => json!({"skus": [id.to_string()]}),
            _ => json!({}),
        };
        let of = |seed| Replies::new(pool(), seed).sized(Sizes::all(size));
        let method = method(&of(seed), name);
        let bytes = crate::protojson::to_protobuf(method.input(), request.to_string().as_bytes()).unwrap();
        let full = format!("shop.v1.Shop/{name}");
        let reply = of(seed).reply(&full, &bytes).unwrap();
        prop_assert_eq!(&reply, &of(seed).reply(&full, &bytes).unwrap());
        let read = DynamicMessage::decode(method.output(), reply).unwrap();
        prop_assert_eq!(read.descriptor(), method.output());
        ids(&Value::Message(read), &mut Vec::new());
    }
}
