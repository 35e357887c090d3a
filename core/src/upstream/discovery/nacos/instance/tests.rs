//! Answers of Nacos, good and odd.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const GRPC: Reached = Reached { tls: false, rest: false };
const REST: Reached = Reached { tls: false, rest: true };

/// As the Java server answers a subscription, version 2 and version 3.
const OF_JAVA_2: &str = r#"{"resultCode":200,"errorCode":0,"message":null,"requestId":"12","serviceInfo":{"name":"films",
  "groupName":"DEFAULT_GROUP","clusters":"","cacheMillis":10000,"hosts":[{"instanceId":"10.0.0.1#9000#DEFAULT#DEFAULT_GROUP@@films",
  "ip":"10.0.0.1","port":9000,"weight":1.0,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT",
  "serviceName":"DEFAULT_GROUP@@films","metadata":{"version":"2.1"},"instanceHeartBeatInterval":5000,
  "instanceIdGenerator":"simple","instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000}],"lastRefTime":1700000000000,
  "checksum":"","allIPs":false,"reachProtectionThreshold":false,"valid":true},"success":true}"#;
const OF_JAVA_3: &str = r#"{"headers":{},"requestId":"7","namespace":"public","serviceName":"films","groupName":"DEFAULT_GROUP",
  "serviceInfo":{"name":"DEFAULT_GROUP@@films","groupName":"DEFAULT_GROUP","clusters":null,"cacheMillis":10000,"hosts":[
  {"instanceId":null,"ip":"10.0.0.2","port":9000,"weight":2.5,"healthy":true,"enabled":true,"ephemeral":false,"clusterName":"east",
  "serviceName":"DEFAULT_GROUP@@films","metadata":null}],"lastRefTime":1700000000001,"checksum":"","allIps":true,
  "reachProtectionThreshold":false},"module":"naming"}"#;

fn service(name: &str) -> NacosService {
    NacosService { namespace: "public".into(), group: "DEFAULT_GROUP".into(), name: name.into(), clusters: Vec::new() }
}

fn host(more: &Value) -> Value {
    let mut host = json!({ "ip": "10.0.0.1", "port": 9000, "weight": 1.0, "healthy": true, "enabled": true });
    host.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host
}

fn answer(hosts: &[Value], protects: bool) -> Vec<u8> {
    json!({ "serviceInfo": { "name": "films", "hosts": hosts, "reachProtectionThreshold": protects } })
        .to_string()
        .into()
}

/// What is found of these.
fn of(hosts: &[Value]) -> Found {
    read(&answer(hosts, false), &service("films"), GRPC).unwrap()
}

fn told(found: &Found) -> Vec<String> {
    let spec = |spec: &InstanceSpec| {
        let metadata: Vec<_> = spec.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{} {} {}", spec.uri, spec.weight, metadata.join(","))
    };
    found.specs.iter().map(spec).collect()
}

#[test]
fn the_java_server_is_understood_in_both_its_spellings() {
    let read = |text: &str| read(text.as_bytes(), &service("films"), GRPC).unwrap();
    assert_eq!(told(&read(OF_JAVA_2)), ["http://10.0.0.1:9000/ 1 version=2.1"]);
    assert_eq!(told(&read(OF_JAVA_3)), ["http://10.0.0.2:9000/ 2.5 zone=east"]);
    assert!(read(OF_JAVA_2).skipped.is_empty() && read(OF_JAVA_3).skipped.is_empty());
    assert_eq!(
        (has(OF_JAVA_2.as_bytes(), "10.0.0.1", 9000), has(OF_JAVA_2.as_bytes(), "10.0.0.1", 9001)),
        (Ok(true), Ok(false))
    );
}

#[test]
fn who_is_out_is_no_nonsense_and_protection_lets_the_unhealthy_in() {
    let hosts = [
        host(&json!({ "healthy": false })),
        host(&json!({ "ip": "10.0.0.2", "enabled": false })),
        host(&json!({ "ip": "10.0.0.3", "weight": 0 })),
        host(&json!({ "ip": "10.0.0.4", "healthy": null, "enabled": null })),
    ];
    let found = of(&hosts);
    assert_eq!((told(&found), found.skipped.len()), (vec!["http://10.0.0.4:9000/ 1 ".to_owned()], 0));
    let found = read(&answer(&hosts, true), &service("films"), GRPC).unwrap();
    assert_eq!(told(&found), ["http://10.0.0.1:9000/ 1 ", "http://10.0.0.4:9000/ 1 "]);
}

#[test]
fn a_cluster_is_chosen_and_is_the_zone_unless_another_is_told() {
    let hosts = [
        host(&json!({ "clusterName": "east" })),
        host(&json!({ "ip": "10.0.0.2", "clusterName": "west", "metadata": { "zone": "w1" } })),
        host(&json!({ "ip": "10.0.0.3" })),
    ];
    let expected = ["http://10.0.0.1:9000/ 1 zone=east", "http://10.0.0.2:9000/ 1 zone=w1", "http://10.0.0.3:9000/ 1 "];
    assert_eq!(told(&of(&hosts)), expected);
    let service = NacosService { clusters: vec!["west".into(), "DEFAULT".into()], ..service("films") };
    assert_eq!(told(&read(&answer(&hosts, false), &service, GRPC).unwrap()), &expected[1..]);
}

#[test]
fn kratos_has_a_service_for_each_protocol() {
    let hosts = [host(&json!({ "metadata": { "kind": "grpc", "version": "v1" } }))];
    let name = |name: &str| json!({ "serviceInfo": { "name": name, "hosts": hosts } }).to_string();
    let of = |named: &str, reached| read(name(named).as_bytes(), &service(named), reached).unwrap();
    assert_eq!(told(&of("films.grpc", GRPC)), ["http://10.0.0.1:9000/ 1 kind=grpc,version=v1"]);
    for reached in [REST, Reached { tls: true, rest: false }] {
        let found = of("films.grpc", reached);
        assert_eq!((found.specs.len(), found.skipped[0].reason), (0, Nonsense::OtherProtocol));
    }
    // Of others it means something else.
    assert_eq!(told(&of("films", REST)), ["http://10.0.0.1:9000/ 1 kind=grpc,version=v1"]);
}

#[test]
fn nonsense_is_passed_over_and_takes_nobody_with_it() {
    let long = "x".repeat(100 << 10);
    for (odd, reason) in [
        (json!(null), Nonsense::Unreadable),
        (json!([]), Nonsense::Unreadable),
        (json!("10.0.0.1:9000"), Nonsense::Unreadable),
        (host(&json!({ "ip": 7 })), Nonsense::Unreadable),
        (host(&json!({ "metadata": "x" })), Nonsense::Unreadable),
        (host(&json!({ "metadata": { "x": long } })), Nonsense::TooLarge),
        (host(&json!({ "ip": null })), Nonsense::Address),
        (host(&json!({ "ip": "10.0.0.1/x" })), Nonsense::Address),
        (host(&json!({ "ip": "0.0.0.0" })), Nonsense::Address),
        (host(&json!({ "port": 0 })), Nonsense::Address),
        (host(&json!({ "port": 99999 })), Nonsense::Address),
        (host(&json!({ "port": -1 })), Nonsense::Address),
        (host(&json!({ "weight": "NaN" })), Nonsense::Weight),
        (host(&json!({ "weight": null })), Nonsense::Weight),
        (host(&json!({ "weight": -1 })), Nonsense::Weight),
        (host(&json!({ "weight": 1e300 })), Nonsense::Weight),
        (host(&json!({ "serviceName": "DEFAULT_GROUP@@people" })), Nonsense::OtherService),
    ] {
        let good = host(&json!({ "ip": "10.0.0.9" }));
        let found = of(&[odd.clone(), good]);
        assert_eq!(told(&found), ["http://10.0.0.9:9000/ 1 "], "{odd}");
        assert_eq!(found.skipped.iter().map(|s| s.reason).collect::<Vec<_>>(), [reason], "{odd}");
    }
    let found = of(&[host(&json!({})), host(&json!({ "clusterName": "b" })), host(&json!({ "ip": "::1" }))]);
    assert_eq!((found.specs.len(), found.skipped[0].reason), (2, Nonsense::Doubled));
    assert_eq!(found.specs[1].uri.to_string(), "http://[::1]:9000/");
    for text in ["", "null", "[]", "{}", "<html>", r#"{"serviceInfo":null}"#, r#"{"serviceInfo":{"hosts":null}}"#] {
        assert!(read(text.as_bytes(), &service("films"), GRPC).is_err(), "{text}");
    }
    assert!(read(&answer(&[], false), &service("people"), GRPC).unwrap_err().contains("another service, \"films\""));
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), more in "[\\[\\]{}\",:a-z0-9@#.-]{0,200}") {
        let service = service("films");
        let _ = (read(&bytes, &service, GRPC), read(more.as_bytes(), &service, REST), has(&bytes, "a", 1));
        let inside = format!(r#"{{"serviceInfo":{{"hosts":[{more}]}}}}"#);
        let _ = (read(inside.as_bytes(), &service, GRPC), has(inside.as_bytes(), "a", 1));
    }
}
