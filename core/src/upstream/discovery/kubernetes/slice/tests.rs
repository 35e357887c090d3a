//! Slices as controllers write them, and as nobody should.

use super::*;
use serde_json::{Value, json, value::to_raw_value};

fn wanted(port: Port) -> Wanted {
    let reached = Reached { tls: false, rest: false };
    Wanted { namespace: "shop".into(), service: "films".into(), port, reached }
}

fn slice(name: &str, family: &str, ports: Value, endpoints: Value) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": "films" } },
        "addressType": family, "ports": ports, "endpoints": endpoints,
    })
}

/// URI and zone of each instance, and the reasons of what was passed over.
fn told(port: Port, slices: &[Value]) -> (Vec<String>, Vec<(&'static str, usize)>) {
    let wanted = wanted(port);
    let mut service = Service::new(&wanted);
    slices.iter().for_each(|slice| service.put(&to_raw_value(slice).unwrap()));
    let found = service.found();
    let one = |spec: &InstanceSpec| {
        let zone = spec.metadata.get("zone").map_or(String::new(), |zone| format!(" {zone}"));
        format!("{}{zone}", spec.uri)
    };
    let skipped = found.skipped.iter().map(|skipped| (skipped.reason.as_str(), skipped.count));
    (found.specs.iter().map(one).collect(), skipped.collect())
}

#[test]
fn a_port_is_taken_by_its_number_or_by_its_name_in_each_slice() {
    let ports =
        json!([{ "name": "dns", "port": 53, "protocol": "UDP" }, { "name": "grpc", "port": 9000, "protocol": "TCP" }]);
    let one = json!([{ "addresses": ["10.0.0.1", "10.0.0.2"] }]);
    let slices = [
        slice("a", "IPv4", ports, one),
        slice("b", "IPv4", json!([{ "name": "grpc", "port": 9001 }]), json!([{ "addresses": ["10.0.0.3"] }])),
        slice("c", "IPv4", json!(null), json!([{ "addresses": ["10.0.0.4"] }])),
        slice("d", "IPv4", json!([{ "name": "grpc", "port": 99999 }]), json!([{ "addresses": ["10.0.0.5"] }])),
    ];
    let named = |name: &str| told(Port::Named(name.into()), &slices);
    let both = ["http://10.0.0.1:9000/", "http://10.0.0.3:9001/"].map(str::to_owned).to_vec();
    assert_eq!(named("grpc"), (both, vec![("address", 2)]));
    assert_eq!(named("dns"), (vec![], vec![("address", 4)]));
    let by_number = told(Port::Number(9000), &slices);
    let both = ["http://10.0.0.1:9000/", "http://10.0.0.4:9000/"].map(str::to_owned).to_vec();
    assert_eq!(by_number, (both, vec![("address", 2)]));
}

#[test]
fn slices_are_merged_each_pod_once_and_those_that_leave_only_where_nobody_is_ready() {
    let ports = || json!([{ "name": "", "port": 80 }]);
    let pod = |ip: &str, uid: &str, conditions: Value| json!({ "addresses": [ip], "conditions": conditions, "zone": "east", "targetRef": { "uid": uid }, "hints": { "forZones": [] } });
    let leaving = || json!({ "ready": false, "serving": true, "terminating": true });
    let six = slice(
        "a6",
        "IPv6",
        ports(),
        json!([pod("fd00::1", "p1", json!(null)), pod("fd00::2", "p2", json!({ "ready": null }))]),
    );
    let four = slice(
        "z4",
        "IPv4",
        ports(),
        json!([
            pod("10.0.0.1", "p1", json!({})),
            pod("10.0.0.3", "p3", leaving()),
            pod("10.0.0.4", "p4", json!({ "ready": false })),
            pod("10.0.0.5", "p5", json!({ "ready": false, "terminating": true })),
        ]),
    );
    let again =
        slice("z5", "IPv4", ports(), json!([pod("10.0.0.1", "p1", json!(null)), { "addresses": ["10.0.0.1"] }]));
    let (specs, skipped) = told(Port::Number(80), &[six, four, again]);
    assert_eq!(specs, ["http://10.0.0.1:80/ east", "http://[fd00::2]:80/ east"]);
    assert_eq!(skipped, []);
    let last = slice(
        "z4",
        "IPv4",
        ports(),
        json!([pod("10.0.0.3", "p3", leaving()), pod("10.0.0.4", "p4", json!({ "ready": false }))]),
    );
    assert_eq!(told(Port::Number(80), &[last]).0, ["http://10.0.0.3:80/ east"]);
}

#[test]
fn what_is_no_slice_is_passed_over_and_one_that_was_known_is_forgotten_with_it() {
    let ports = || json!([{ "port": 80 }]);
    let good = slice("a", "IPv4", ports(), json!([{ "addresses": ["10.0.0.1"] }]));
    let mut of_others = slice("b", "IPv4", ports(), json!([{ "addresses": ["10.0.0.2"] }]));
    of_others["metadata"]["labels"]["kubernetes.io/service-name"] = "people".into();
    let names = slice("c", "FQDN", ports(), json!([{ "addresses": ["a.example"] }]));
    let nonsense = [json!(null), json!([]), json!({ "metadata": {} }), json!({ "metadata": { "name": 7 } })];
    let all: Vec<_> = [good.clone(), of_others, names].into_iter().chain(nonsense).collect();
    let (specs, mut skipped) = told(Port::Number(80), &all);
    skipped.sort();
    assert_eq!(specs, ["http://10.0.0.1:80/"]);
    assert_eq!(skipped, [("address", 1), ("other-service", 1), ("unreadable", 4)]);
    let broken = slice("a", "IPv4", ports(), json!("none"));
    assert_eq!(told(Port::Number(80), &[good, broken]), (vec![], vec![("unreadable", 1)]));
}

#[test]
fn there_is_an_end_to_what_is_kept_and_room_is_told_of() {
    let wanted = wanted(Port::Number(80));
    let mut service = Service::new(&wanted);
    let each = |slice: usize| {
        let ips = (0..1_000).map(|host| json!({ "addresses": [format!("10.{slice}.{}.{}", host / 250, host % 250)] }));
        to_raw_value(&self::slice(&format!("s{slice}"), "IPv4", json!([]), ips.collect())).unwrap()
    };
    (0..21).for_each(|number| service.put(&each(number)));
    let found = service.found();
    let counts: Vec<_> = found.skipped.iter().map(|skipped| (skipped.reason.as_str(), skipped.count)).collect();
    assert_eq!((found.specs.len(), service.kept), (10_000, MOST));
    assert_eq!(counts, [("too-many", 10_001)]);
    assert!(!service.has_room());
    service.gone(&each(20));
    assert!(!service.has_room());
    service.gone(&each(3));
    assert!(service.has_room() && service.kept == MOST - 1_000);
}
