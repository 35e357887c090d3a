//! What is made of a method when a release is loaded.

use super::kit::*;
use crate::fanout::{Forward, PlanError};
use std::{sync::Arc, time::Duration};

fn one_backend(rules: &str) -> String {
    format!("[backend.items]\nservices = [\"t.v1.Items\"]\nendpoints = \"static://h:1\"\n{rules}")
}

fn fake() -> Fake {
    Fake::after(Duration::from_millis(1))
}

#[test]
fn releases_share_a_plan_only_where_it_does_the_same() {
    let engine = engine(&one_backend(""), &fake(), Forward::default());
    let plan =
        |proto: &str, number| plans_of(&engine, &artifact_of(proto, "")).unwrap().get(number).unwrap().plan.clone();
    let (one, other) = (plan(PROTO, GET), plan(PROTO, GET));
    assert!(Arc::ptr_eq(&one, &other));
    let streams = PROTO
        .replace("rpc GetItem(GetItemRequest) returns (Item)", "rpc GetItem(GetItemRequest) returns (stream Item)");
    let streaming = plan(&streams, GET);
    assert!(!Arc::ptr_eq(&one, &streaming), "a list is no item");
    assert_ne!(one.id, streaming.id);
    let declared = PROTO.replace(
        "rpc SetItem(GetItemRequest) returns (Item);",
        "rpc SetItem(GetItemRequest) returns (Item) { option idempotency_level = NO_SIDE_EFFECTS; }",
    );
    assert!(!Arc::ptr_eq(&plan(PROTO, SET), &plan(&declared, SET)));
}

#[test]
fn over_http_a_method_is_safe_by_name_only_under_a_verb_that_reads() {
    let rest = |verb: &str, more: &str| {
        let method =
            |name: &str, http: &str| format!("[backend.items.method.\"t.v1.Items/{name}\"]\nhttp = \"{http}\"\n");
        let rules = format!(
            "protocol = \"rest\"\n{}{more}\n{}{}",
            method("GetItem", &format!("{verb} /items/{{id}}")),
            method("GetMine", "GET /mine"),
            method("SetItem", "PUT /items/{id}")
        );
        let engine = engine(&one_backend(&rules), &fake(), Forward::default());
        plans_of(&engine, &artifact_of(PROTO, "")).map(|plans| plans.get(GET).unwrap().plan.safe)
    };
    assert_eq!(
        [rest("GET", ""), rest("POST", ""), rest("DELETE", ""), rest("POST", "safe = true")],
        [Ok(true), Ok(false), Ok(false), Ok(true)].map(|r: Result<bool, Vec<PlanError>>| r)
    );
    let Err(mistakes) = rest("POST", "cache = { ttl = \"1s\" }") else { panic!("it is cached") };
    assert!(mistakes[0].to_string().contains("set `safe = true` if it is"), "{mistakes:?}");
}

#[test]
fn a_rule_that_would_make_other_replies_than_the_method_is_refused() {
    let with = |envelope: &str| {
        let proto = PROTO
            .replace("rpc GetItem(GetItemRequest) returns (Item)", "rpc GetItem(GetItemRequest) returns (Envelope)");
        let rule = BATCH.replace("missing =", "wrap = \"item\", missing =");
        let engine = engine(
            &one_backend(&format!("[backend.items.method.\"t.v1.Items/GetItem\"]\n{rule}")),
            &fake(),
            Forward::default(),
        );
        let plans = plans_of(&engine, &artifact_of(&format!("{proto}\nmessage Envelope {{ {envelope} }}"), ""));
        plans.err().map(|mistakes| mistakes[0].to_string())
    };
    let refused = with("bool success = 1; Item item = 2; string error_message = 3;").unwrap();
    assert!(refused.contains("`success`, `error_message` would be empty") && refused.starts_with("test:"), "{refused}");
    assert_eq!(with("Item item = 2;"), None);
    assert_eq!(with("oneof result { Item item = 2; string error = 3; }"), None, "one excludes the other");
}

#[test]
fn a_batch_does_not_go_through_a_method_that_is_said_to_change_something() {
    let rules = format!(
        "[backend.items.method.\"t.v1.Items/GetItem\"]\n{BATCH}\n[backend.items.method.\"t.v1.Items/BatchGetItems\"]\nsafe = false\n"
    );
    let engine = engine(&one_backend(&rules), &fake(), Forward::default());
    let Err(mistakes) = plans_of(&engine, &artifact_of(PROTO, "")) else { panic!("it is accepted") };
    assert!(mistakes[0].to_string().contains("`BatchGetItems` is not safe"), "{mistakes:?}");
}
