//! Batch methods of all shapes: whatever the shape, each caller gets what the single method would say.

use super::kit::*;
use crate::{
    fanout::{Forward, Head, Instead, Limits, MostCalls, Session},
    model::{Code, Deadline, Failure},
};
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// A service with a single method and a batch method, and what it knows.
struct Case {
    /// `GetItem`'s and `BatchGetItems`' signatures and the messages beside `One { string id = 1; }`.
    proto: &'static str,
    rule: &'static str,
    /// The request for a key.
    one: fn(&str) -> Value,
    /// The keys of a batch request.
    asked: fn(&Value) -> Vec<String>,
    /// The single reply; null: NOT_FOUND.
    single: fn(&str) -> Value,
    /// The messages of the batch reply: one, or a stream of them.
    batch: fn(&[String]) -> Vec<Value>,
}

fn strings(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list.as_array().into_iter().flatten().map(text).collect()
}

fn by_id(id: &str) -> Value {
    json!({ "id": id })
}

fn data(id: &str) -> Value {
    if id == "9" { Value::Null } else { json!({ "id": id, "title": format!("title {id}") }) }
}

fn all_data(ids: &[String]) -> Vec<Value> {
    ids.iter().rev().map(|id| data(id)).filter(|data| !data.is_null()).collect()
}

fn count(id: &str) -> i64 {
    id.parse::<i64>().unwrap() - 1
}

const CASES: &[Case] = &[
    // A stream of items.
    Case {
        proto: "rpc GetItem(One) returns (Data); rpc BatchGetItems(Many) returns (stream Data);
                message Many { repeated string ids = 1; } message Data { string id = 1; string title = 2; }",
        rule: r#"key = "id", keys = "ids", item-key = "id""#,
        one: by_id,
        asked: |request| strings(&request["ids"]),
        single: data,
        batch: all_data,
    },
    // A stream of pages.
    Case {
        proto: "rpc GetItem(One) returns (Data); rpc BatchGetItems(Many) returns (stream Page);
                message Many { repeated string ids = 1; } message Data { string id = 1; string title = 2; }
                message Page { repeated Data found = 1; string next_page_token = 2; }",
        rule: r#"key = "id", keys = "ids", items = "found", item-key = "id""#,
        one: by_id,
        asked: |request| strings(&request["ids"]),
        single: data,
        batch: |ids| all_data(ids).chunks(2).map(|page| json!({ "found": page, "nextPageToken": "on" })).collect(),
    },
    // Keys and items in nested messages, and the item in one of an element.
    Case {
        proto: "rpc GetItem(One) returns (Data); rpc BatchGetItems(Many) returns (Found);
                message Many { Filter filter = 1; string locale = 2; } message Filter { repeated string names = 3; }
                message Data { string id = 1; string title = 2; }
                message Found { Page page = 4; } message Page { repeated Edge things = 2; string next_page_token = 3; }
                message Edge { Node node = 5; } message Node { Data data = 1; }",
        rule: r#"key = "id", keys = "filter.names", items = "page.things", item = "node.data", item-key = "node.data.id""#,
        one: by_id,
        asked: |request| strings(&request["filter"]["names"]),
        single: data,
        batch: |ids| {
            let edges: Vec<_> = all_data(ids).into_iter().map(|data| json!({ "node": { "data": data } })).collect();
            vec![json!({ "page": { "things": edges } })]
        },
    },
    // Whole requests in a nested message, answered in their order.
    Case {
        proto: "rpc GetItem(One) returns (Data); rpc BatchGetItems(Many) returns (Found);
                message Many { Inner inner = 1; } message Inner { repeated One requests = 1; }
                message Data { string id = 1; string title = 2; } message Found { repeated Data data = 1; }",
        rule: r#"key = "id", keys = "inner.requests", items = "data", missing = "empty""#,
        one: by_id,
        asked: |request| {
            request["inner"]["requests"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().into()).collect()
        },
        single: data,
        batch: |ids| {
            let or_empty = |id: &String| if id == "9" { json!({}) } else { data(id) };
            vec![json!({ "data": ids.iter().map(or_empty).collect::<Vec<_>>() })]
        },
    },
    // A map of numbers, one of which is zero.
    Case {
        proto: "rpc GetItem(One) returns (Count); rpc BatchGetItems(Many) returns (Counts);
                message Many { repeated string ids = 1; } message Count { int64 value = 3; }
                message Counts { map<string, int64> values = 1; }",
        rule: r#"key = "id", keys = "ids", items = "values", wrap = "value""#,
        one: by_id,
        asked: |request| strings(&request["ids"]),
        single: |id| if id == "9" { Value::Null } else { json!({ "value": count(id).to_string() }) },
        batch: |ids| {
            let known = ids.iter().filter(|id| *id != "9");
            let values: serde_json::Map<_, _> = known.map(|id| (id.clone(), json!(count(id)))).collect();
            vec![json!({ "values": values })]
        },
    },
    // Numbers in the order of the keys, and a reply that tells zero from nothing.
    Case {
        proto: "rpc GetItem(One) returns (Count); rpc BatchGetItems(Many) returns (Counts);
                message Many { repeated string ids = 1; } message Count { optional sint32 value = 3; }
                message Counts { repeated sint32 values = 1; }",
        rule: r#"key = "id", keys = "ids", items = "values", wrap = "value", missing = "fails""#,
        one: by_id,
        asked: |request| strings(&request["ids"]),
        single: |id| json!({ "value": count(id) }),
        batch: |ids| vec![json!({ "values": ids.iter().map(|id| count(id)).collect::<Vec<_>>() })],
    },
    // Bytes in the order of the keys.
    Case {
        proto: "rpc GetItem(One) returns (Raw); rpc BatchGetItems(Many) returns (Raws);
                message Many { repeated string ids = 1; } message Raw { bytes value = 1; }
                message Raws { repeated bytes values = 1; }",
        rule: r#"key = "id", keys = "ids", items = "values", wrap = "value", missing = "fails""#,
        one: by_id,
        asked: |request| strings(&request["ids"]),
        single: |id| json!({ "value": format!("AAA{id}") }),
        batch: |ids| vec![json!({ "values": ids.iter().map(|id| format!("AAA{id}")).collect::<Vec<_>>() })],
    },
    // Elements with a key and a number.
    Case {
        proto: "rpc GetItem(One) returns (Count); rpc BatchGetItems(Many) returns (Counts);
                message Many { repeated string ids = 1; } message Count { double value = 3; }
                message Counts { repeated Entry entries = 1; } message Entry { string of = 1; double count = 2; }",
        rule: r#"key = "id", keys = "ids", items = "entries", item-key = "of", item = "count", wrap = "value""#,
        one: by_id,
        asked: |request| strings(&request["ids"]),
        single: |id| if id == "9" { Value::Null } else { json!({ "value": count(id) as f64 / 2.0 }) },
        batch: |ids| {
            let known = ids.iter().filter(|id| *id != "9");
            let entry = |id: &String| json!({ "of": id, "count": count(id) as f64 / 2.0 });
            vec![json!({ "entries": known.map(entry).collect::<Vec<_>>() })]
        },
    },
    // Strings in the request, numbers in the batch and in the items.
    Case {
        proto: "rpc GetItem(One) returns (Data); rpc BatchGetItems(Many) returns (Found);
                message Many { repeated int64 ids = 1; } message Data { int64 id = 1; string title = 2; }
                message Found { repeated Data data = 1; }",
        rule: r#"key = "id", keys = "ids", items = "data", item-key = "id""#,
        one: by_id,
        asked: |request| strings(&request["ids"]),
        single: data,
        batch: |ids| vec![json!({ "data": all_data(ids) })],
    },
    // Numbers in the request, strings in the batch, and a map by strings.
    Case {
        proto: "rpc GetItem(Other) returns (Data); rpc BatchGetItems(Many) returns (Found);
                message Other { uint32 number = 2; } message Many { repeated string ids = 1; }
                message Data { string id = 1; string title = 2; } message Found { map<string, Data> data = 1; }",
        rule: r#"key = "number", keys = "ids", items = "data""#,
        one: |id| json!({ "number": id }),
        asked: |request| strings(&request["ids"]),
        single: data,
        batch: |ids| {
            let found: serde_json::Map<_, _> =
                ids.iter().map(|id| (id.clone(), data(id))).filter(|(_, data)| !data.is_null()).collect();
            vec![json!({ "data": found })]
        },
    },
];

/// Case, as a proto that the kit's methods are in.
fn proto_of(case: &Case) -> String {
    let (methods, messages) = case.proto.split_at(case.proto.find("message ").unwrap());
    format!(
        "syntax = \"proto3\"; package t.v1; message One {{ string id = 1; }} {messages}
         service Items {{ {methods} rpc GetMine(One) returns (One); rpc SetItem(One) returns (One); }}"
    )
}

fn read_json(descriptor: MessageDescriptor, bytes: Bytes) -> Value {
    let message = DynamicMessage::decode(descriptor, bytes).unwrap();
    serde_json::to_value(&message).unwrap()
}

fn write_json(descriptor: MessageDescriptor, json: &Value) -> Vec<u8> {
    DynamicMessage::deserialize(descriptor, json.clone()).unwrap().encode_to_vec()
}

fn backend(case: &'static Case, pool: DescriptorPool) -> Fake {
    let service = pool.get_service_by_name("t.v1.Items").unwrap();
    Fake::new(move |seen| {
        let method = service.methods().find(|method| seen.method.ends_with(method.name())).unwrap();
        let request = read_json(method.input(), seen.message.clone());
        let write = |json: &Value| write_json(method.output(), json);
        let answer = match method.name() {
            "GetItem" => {
                let id = request.as_object().unwrap().values().next().unwrap();
                match (case.single)(&strings(&json!([id]))[0]) {
                    Value::Null => Err(Failure::new(Code::NotFound, "none")),
                    reply => Ok(write(&reply).into()),
                }
            }
            _ => {
                let messages = (case.batch)(&(case.asked)(&request));
                let mut reply: Vec<Vec<u8>> = messages.iter().map(write).collect();
                if method.is_server_streaming() {
                    // As a stream is received: a list of its messages.
                    reply.iter_mut().for_each(|m| *m = [&[0x0a, m.len() as u8], m.as_slice()].concat());
                }
                Ok(reply.concat().into())
            }
        };
        Box::pin(std::future::ready(answer))
    })
}

/// What each key is answered with, and the names of the methods that were called.
async fn ask(case: &'static Case, ids: &[&str], prepare: impl FnOnce(&Fake)) -> (Vec<Value>, Vec<String>) {
    let artifact = artifact_of(&proto_of(case), "");
    let pool = artifact.descriptors.clone();
    let fake = backend(case, pool.clone());
    prepare(&fake);
    let rules = format!(
        "[backend.items]\nservices = [\"t.v1.Items\"]\nendpoints = \"static://h:1\"\n\
         [backend.items.method.\"t.v1.Items/GetItem\"]\nscope = \"public\"\nbatch = {{ via = \"BatchGetItems\", {} }}\n",
        case.rule
    );
    let engine = engine(&rules, &fake, Forward::default());
    let plans = plans_of(&engine, &artifact).unwrap_or_else(|mistakes| panic!("{}: {mistakes:#?}", case.rule));
    let limits = Limits { calls: MostCalls::new(1_000, 2_000), arena: 1 << 20, message: 1 << 16 };
    let deadline = Deadline::after(Duration::from_secs(1));
    let mut session = Session::new(engine, Arc::new(plans), caller(None), deadline, limits, Arc::default());
    let single = pool.get_service_by_name("t.v1.Items").unwrap().methods().find(|m| m.name() == "GetItem").unwrap();
    let head = |id: &&str| {
        let message = write_json(single.input(), &(case.one)(id)).into();
        Head { method: GET, depth: 1, timeout: None, instead: Instead::default(), message }
    };
    let mut answers = vec![Value::Null; ids.len()];
    let mut heads: Vec<Head> = ids.iter().map(head).collect();
    loop {
        let arena = session.exchange(std::mem::take(&mut heads), &[], None).await;
        if arena.completions.is_empty() {
            break;
        }
        for done in &arena.completions {
            let bytes = Bytes::copy_from_slice(&arena.bytes[done.offset as usize..][..done.len as usize]);
            answers[done.ticket as usize] = match done.code {
                0 => json!([read_json(single.output(), bytes.clone()), bytes.to_vec()]),
                code => json!(code),
            };
        }
    }
    (answers, fake.seen().into_iter().map(|seen| seen.method).collect())
}

/// The same by the single method.
fn alone(case: &Case, id: &str) -> Value {
    let pool = artifact_of(&proto_of(case), "").descriptors;
    let single = pool.get_service_by_name("t.v1.Items").unwrap().methods().find(|m| m.name() == "GetItem").unwrap();
    match (case.single)(id) {
        Value::Null => json!(Code::NotFound as u32),
        reply => {
            let bytes = write_json(single.output(), &reply);
            json!([read_json(single.output(), bytes.clone().into()), bytes])
        }
    }
}

#[tokio::test(start_paused = true)]
async fn batches_of_all_shapes_say_what_single_calls_would() {
    for case in CASES {
        let ids = ["3", "1", "9", "2"];
        let (answers, called) = ask(case, &ids, |_| ()).await;
        let expected: Vec<_> = ids.iter().map(|id| alone(case, id)).collect();
        assert_eq!(answers, expected, "{} {}", case.rule, case.proto);
        assert_eq!(called, ["t.v1.Items/BatchGetItems"], "{}", case.rule);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_stream_leaves_out_is_asked_for_again() {
    let [case, ..] = CASES else { panic!("there are cases") };
    let (answers, called) = ask(case, &["1", "9", "2"], Fake::cuts_streams).await;
    let expected: Vec<_> = ["1", "9", "2"].iter().map(|id| alone(case, id)).collect();
    assert_eq!(answers, expected);
    assert_eq!(called, ["t.v1.Items/BatchGetItems", "t.v1.Items/GetItem"], "the missing one, alone");
}

#[tokio::test(start_paused = true)]
async fn a_string_that_is_no_number_is_sent_alone() {
    let case = CASES.iter().find(|case| case.proto.contains("repeated int64 ids")).unwrap();
    let (answers, called) = ask(case, &["1", "2", "03", "99999999999999999999"], |_| ()).await;
    assert_eq!(answers[..2], ["1", "2"].map(|id| alone(case, id)));
    assert_eq!(called.iter().filter(|method| method.ends_with("/GetItem")).count(), 2, "{called:?}");
}

#[test]
fn what_a_rule_can_not_make_is_a_mistake_with_its_line() {
    let refused = |proto: &'static str, rule: &str| {
        let case = Case { proto, rule: "", one: by_id, asked: |_| vec![], single: data, batch: |_| vec![] };
        let rules = format!(
            "[backend.items]\nservices = [\"t.v1.Items\"]\nendpoints = \"static://h:1\"\n\
             [backend.items.method.\"t.v1.Items/GetItem\"]\nbatch = {{ via = \"BatchGetItems\", {rule} }}\n"
        );
        let engine = engine(&rules, &Fake::after(Duration::ZERO), Forward::default());
        let mistakes = plans_of(&engine, &artifact_of(&proto_of(&case), "")).unwrap_err();
        let told = mistakes[0].to_string();
        assert!(told.starts_with("test:5: "), "{told}");
        told
    };
    let told = |proto, rule: &str, text: &str| {
        let refusal = refused(proto, rule);
        assert!(refusal.contains(text), "{refusal}");
    };
    let found = "rpc GetItem(One) returns (Reply); rpc BatchGetItems(Many) returns (Many);
                 message Reply { bool found = 1; int64 value = 2; } message Many { repeated string ids = 1;
                 map<string, int64> values = 2; repeated Inner inner = 3; repeated bool flags = 4; }
                 message Inner { repeated string ids = 1; Deep deep = 2; string id = 3; } message Deep { int64 value = 1; }";
    told(found, r#"key = "id", keys = "ids""#, "items: name the repeated field of `t.v1.Many`");
    told(
        found,
        r#"key = "id", keys = "ids", items = "values""#,
        r#"are values of type `int64`; if it holds the item, set wrap = "value""#,
    );
    told(found, r#"key = "id", keys = "ids", items = "values", wrap = "value""#, "`found` would be empty");
    told(found, r#"key = "id", keys = "inner.ids", items = "values""#, "`t.v1.Many.inner` is repeated");
    told(found, r#"key = "id", keys = "ids.id", items = "values""#, "`t.v1.Many.ids` is repeated");
    told(found, r#"key = "id", keys = "ids", items = "ids", item-key = "id""#, "so they hold no key");
    told(
        found,
        r#"key = "id", keys = "ids", items = "inner", item = "deep.value", item-key = "id""#,
        "one that is stands in the element itself",
    );
    let streams = "rpc GetItem(One) returns (stream One); rpc BatchGetItems(Many) returns (stream One);
                   message Many { repeated string ids = 1; }";
    told(streams, r#"key = "id", keys = "ids", item-key = "id""#, "`GetItem` answers with a stream");
    let flags = "rpc GetItem(One) returns (One); rpc BatchGetItems(Many) returns (Many);
                 message Many { repeated bool flags = 1; repeated One found = 2; }";
    told(flags, r#"key = "id", keys = "flags", items = "found", item-key = "id""#, "can't be one of kind Bool");
    let takes = "rpc GetItem(One) returns (One); rpc BatchGetItems(stream Many) returns (One);
                 message Many { repeated string ids = 1; }";
    told(takes, r#"key = "id", keys = "ids", item-key = "id""#, "takes a stream");
}
