//! Answers of Consul, good and odd.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const GRPC: Reached = Reached { tls: false, rest: false };
const REST: Reached = Reached { tls: false, rest: true };

fn one(entry: &serde_json::Value, reached: Reached) -> Found {
    read(json!([entry]).to_string().as_bytes(), "films", reached).unwrap()
}

fn uris(found: &Found) -> Vec<String> {
    found.specs.iter().map(|spec| spec.uri.to_string()).collect()
}

#[test]
fn an_instance_has_its_own_address_or_that_of_its_node() {
    let mut entry = json!({
        "Node": { "ID": "n1", "Node": "one", "Address": "10.0.0.9", "Datacenter": "dc1", "TaggedAddresses": null },
        "Service": {
            "ID": "films-1", "Service": "films", "Tags": ["a", "version=2.1"], "Address": "10.0.0.1", "Port": 9000,
            "Meta": { "owner": "x" }, "Weights": { "Passing": 7, "Warning": 1 },
            "TaggedAddresses": { "lan_ipv4": { "Address": "10.0.0.1", "Port": 9000 } },
        },
        "Checks": [],
    });
    let found = one(&entry, GRPC);
    assert_eq!(uris(&found), ["http://10.0.0.1:9000/"]);
    let spec = &found.specs[0];
    let metadata: Vec<_> = spec.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!((spec.weight, metadata), (7.0, vec![("owner", "x"), ("version", "2.1"), ("zone", "dc1")]));
    for (address, expected) in [
        ("", "http://10.0.0.9:9000/"),
        ("films.example", "http://films.example:9000/"),
        ("::1", "http://[::1]:9000/"),
        ("[::1]", "http://[::1]:9000/"),
    ] {
        entry["Service"]["Address"] = address.into();
        assert_eq!(uris(&one(&entry, GRPC)), [expected], "{address}");
    }
}

#[test]
fn kratos_has_an_address_for_each_protocol() {
    let entry = json!({
        "Node": { "Address": "10.0.0.9" },
        "Service": {
            "Service": "films", "Address": "10.0.0.1", "Port": 8000, "Tags": null, "Meta": null,
            "TaggedAddresses": {
                "grpc": { "Address": "grpc://10.0.0.1:9000", "Port": 9000 },
                "http": { "Address": "http://10.0.0.1:8000", "Port": 8000 },
            },
        },
    });
    assert_eq!(uris(&one(&entry, GRPC)), ["http://10.0.0.1:9000/"]);
    assert_eq!(uris(&one(&entry, REST)), ["http://10.0.0.1:8000/"]);
    let found = one(&entry, Reached { tls: true, rest: false });
    assert_eq!((found.specs.len(), found.skipped[0].reason), (0, Nonsense::OtherProtocol));
}

#[test]
fn nonsense_takes_no_other_instance_with_it() {
    let good = |host: &str| json!({ "Service": { "Service": "films", "Address": host, "Port": 80 } });
    let service = |more: serde_json::Value| {
        let mut entry = good("10.0.0.8");
        more.as_object().unwrap().iter().for_each(|(key, value)| entry["Service"][key] = value.clone());
        entry
    };
    for (odd, reason) in [
        (json!(null), "unreadable"),
        (json!(7), "unreadable"),
        (json!({}), "unreadable"),
        (json!({ "Service": null }), "unreadable"),
        (service(json!({ "Port": "80" })), "unreadable"),
        (service(json!({ "Service": "people" })), "other-service"),
        (service(json!({ "Port": 0 })), "address"),
        (service(json!({ "Port": 99999 })), "address"),
        (service(json!({ "Port": -1 })), "address"),
        (service(json!({ "Port": null })), "address"),
        (service(json!({ "Address": "" })), "address"),
        (service(json!({ "Address": "0.0.0.0" })), "address"),
        (service(json!({ "Address": "a b" })), "address"),
        (service(json!({ "Weights": { "Passing": 0 } })), "weight"),
        (service(json!({ "Weights": { "Passing": -3 } })), "weight"),
        (service(json!({ "TaggedAddresses": { "x": { "Address": "grpc://" } } })), "address"),
        (good("10.0.0.1"), "doubled"),
    ] {
        let answer = json!([good("10.0.0.1"), odd, good("10.0.0.2")]).to_string();
        let found = read(answer.as_bytes(), "films", GRPC).unwrap();
        assert_eq!(uris(&found), ["http://10.0.0.1:80/", "http://10.0.0.2:80/"], "{odd}");
        let skipped: Vec<_> = found.skipped.iter().map(|skipped| (skipped.reason.as_str(), skipped.count)).collect();
        assert_eq!(skipped, [(reason, 1)], "{odd}");
    }
    for answer in ["", "{}", "[", "null", "<html>"] {
        assert!(read(answer.as_bytes(), "films", GRPC).is_err(), "{answer}");
    }
    assert_eq!(read(b"[]", "films", GRPC).unwrap(), Found::default());
}

proptest! {
    #[test]
    fn no_answer_breaks_it(answer in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&answer, "films", GRPC);
    }
}
