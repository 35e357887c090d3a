//! What frameworks write, and what nobody should have written.

use super::*;

const PLAIN: Reached = Reached { tls: false, rest: false };

fn naming(layout: Layout, reached: Reached) -> Naming {
    Naming { layout, service: "films".into(), prefix: "/p/".into(), reached }
}

fn decode(layout: Layout, value: &str) -> Entry {
    naming(layout, PLAIN).decode(b"7587", value.as_bytes())
}

/// Address, weight and metadata of each instance.
fn told(entry: &Entry) -> Vec<String> {
    let one = |spec: &InstanceSpec| {
        let metadata: Vec<_> = spec.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{} {} {}", spec.uri, spec.weight, metadata.join(","))
    };
    entry.specs.iter().map(one).collect()
}

fn why(entry: &Entry) -> (&'static str, &str) {
    assert!(entry.specs.is_empty(), "{entry:?}");
    let (reason, text) = entry.odd.as_ref().unwrap();
    (reason.as_str(), text)
}

#[test]
fn kratos() {
    let value = r#"{"id":"a","name":"films","version":"v1.2","metadata":{"weight":"30","zone":"b","n":1,"x":null},
        "endpoints":["http://10.0.0.1:8000","grpc://10.0.0.1:9000","grpc://[::1]:9001?isSecure=false"],"since":3}"#;
    let entry = decode(Layout::Kratos, value);
    let expected =
        ["http://10.0.0.1:9000/ 30 n=1,version=v1.2,zone=b", "http://[::1]:9001/ 30 n=1,version=v1.2,zone=b"];
    assert_eq!((told(&entry), &entry.odd), (expected.map(str::to_owned).to_vec(), &None));
    let nil = r#"{"id":"a","name":"films","version":"","metadata":null,"endpoints":["grpc://h:1"]}"#;
    assert_eq!(told(&decode(Layout::Kratos, nil)), ["http://h:1/ 100 "]);
    let unknown = r#"{"name":"films","metadata":{"weight":"heavy"},"endpoints":["grpc://h:1"]}"#;
    assert_eq!(told(&decode(Layout::Kratos, unknown)), ["http://h:1/ 100 "]);
}

#[test]
fn an_instance_of_kratos_is_taken_by_the_protocol_that_the_backend_speaks() {
    let value = r#"{"name":"films","endpoints":["http://h:1","https://h:2","grpc://h:3","grpcs://h:4","grpc://h:5?isSecure=true","http://h:6?isSecure=true"]}"#;
    let ports = |tls, rest| {
        let entry = naming(Layout::Kratos, Reached { tls, rest }).decode(b"x", value.as_bytes());
        entry
            .specs
            .iter()
            .map(|spec| (spec.uri.scheme_str().unwrap().len(), spec.uri.port_u16().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ports(false, false), [(4, 3)]);
    assert_eq!(ports(true, false), [(5, 4), (5, 5)]);
    assert_eq!(ports(false, true), [(4, 1)]);
    assert_eq!(ports(true, true), [(5, 2), (5, 6)]);
    let other = r#"{"name":"films","endpoints":["http://h:1"]}"#;
    let entry = decode(Layout::Kratos, other);
    assert_eq!(why(&entry), ("other-protocol", r#"endpoint "http://h:1": this backend speaks grpc without TLS"#));
}

#[test]
fn go_zero() {
    assert_eq!(told(&decode(Layout::GoZero, "10.0.0.1:8081")), ["http://10.0.0.1:8081/ 100 "]);
    let entry = naming(Layout::GoZero, PLAIN).decode(b"7587/lock", b"10.0.0.1:8081");
    assert_eq!(why(&entry).0, "other-service");
    assert_eq!(why(&naming(Layout::GoZero, PLAIN).decode(b"", b"10.0.0.1:8081")).0, "other-service");
}

#[test]
fn go_micro() {
    let value = r#"{"name":"films","version":"latest","metadata":null,"endpoints":[{"name":"Films.Get"}],
        "nodes":[{"id":"films-1","address":"10.0.0.1:9000","metadata":{"protocol":"grpc","registry":"etcd"}},
        {"id":"films-2","address":"10.0.0.2:9000","metadata":null}]}"#;
    let expected = [
        "http://10.0.0.1:9000/ 100 protocol=grpc,registry=etcd,version=latest",
        "http://10.0.0.2:9000/ 100 version=latest",
    ];
    assert_eq!(told(&decode(Layout::GoMicro, value)), expected);
    let mucp = r#"{"name":"films","nodes":[{"address":"h:1","metadata":{"protocol":"mucp"}}]}"#;
    assert_eq!(why(&decode(Layout::GoMicro, mucp)), ("other-protocol", r#"it speaks "mucp", and this backend grpc"#));
    let slash = Naming { service: "shop/films".into(), ..naming(Layout::GoMicro, PLAIN) };
    assert_eq!(slash.keys(), "/p/shop-films/");
}

#[test]
fn grpc_naming() {
    assert_eq!(told(&decode(Layout::Grpc, r#"{"Op":0,"Addr":"h:1","Metadata":null}"#)), ["http://h:1/ 100 "]);
    let described = r#"{"Op":0,"Addr":"h:1","Metadata":{"version":"2","weight":5}}"#;
    assert_eq!(told(&decode(Layout::Grpc, described)), ["http://h:1/ 5 version=2"]);
    assert_eq!(decode(Layout::Grpc, r#"{"Op":1,"Addr":"h:1","Metadata":"any"}"#), Entry::default(), "it is gone");
    assert_eq!(why(&decode(Layout::Grpc, r#"{"Op":7,"Addr":"h:1"}"#)).0, "unreadable");
}

#[test]
fn nonsense_is_passed_over_with_its_reason_in_every_layout() {
    let json = [
        ("", "unreadable"),
        ("null", "unreadable"),
        ("[]", "unreadable"),
        ("{", "unreadable"),
        ("\"films\"", "unreadable"),
        (r#"{"name":"films","endpoints":["grpc://h:1"#, "unreadable"),
    ];
    for layout in [Layout::Kratos, Layout::GoMicro, Layout::Grpc] {
        for (value, reason) in json {
            assert_eq!(why(&decode(layout, value)).0, reason, "{layout:?} {value:?}");
        }
        assert_eq!(why(&decode(layout, &"[".repeat(60_000))).0, "unreadable", "{layout:?}");
    }
    for layout in [Layout::Kratos, Layout::GoZero, Layout::GoMicro, Layout::Grpc] {
        assert_eq!(why(&decode(layout, &"x".repeat(5 << 20))).0, "too-large", "{layout:?}");
        assert!(naming(layout, PLAIN).decode(b"7587", b"\xff\xfe\x00").odd.is_some(), "{layout:?}");
    }
    let kratos = |endpoints: &str| decode(Layout::Kratos, &format!(r#"{{"name":"films","endpoints":{endpoints}}}"#));
    for endpoints in ["7", "[7]", "{}", "\"grpc://h:1\""] {
        assert_eq!(why(&kratos(endpoints)).0, "unreadable", "{endpoints}");
    }
    for endpoints in [
        "null",
        "[]",
        "[null]",
        "[\"\"]",
        "[\"h:1\"]",
        "[\"grpc://h:0\"]",
        "[\"grpc://h:99999\"]",
        "[\"grpc://::1:9000\"]",
        "[\"grpc://:1\"]",
        "[\"grpc://h:1/path\"]",
        "[\"grpc://u:p@h:1\"]",
        "[\"grpc://0.0.0.0:1\"]",
        "[\"grpc://[::]:1\"]",
    ] {
        assert_eq!(why(&kratos(endpoints)).0, "address", "{endpoints}");
    }
    let many: Vec<_> = (1..3_000).map(|port| format!("\"grpc://h:{port}\"")).collect();
    let many = kratos(&format!("[{}]", many.join(",")));
    assert_eq!((many.specs.len(), many.odd.unwrap().0), (16, Nonsense::TooMany));
    let metadata: Vec<_> = (0..300).map(|n| format!("\"k{n:03}\":\"{}\"", "v".repeat(n))).collect();
    let value = format!(r#"{{"name":"films","metadata":{{{}}},"endpoints":["grpc://h:1"]}}"#, metadata.join(","));
    assert_eq!(decode(Layout::Kratos, &value).specs[0].metadata.len(), 32);
    let partly = kratos(r#"["grpc://h:0","grpc://h:1"]"#);
    assert!(partly.specs.len() == 1 && partly.odd.is_some(), "what is good of it is taken");
    for (weight, reason) in [("0", "weight"), ("-1", "weight"), ("1e9", "weight"), ("NaN", "weight"), ("inf", "weight")]
    {
        let value = format!(r#"{{"name":"films","metadata":{{"weight":"{weight}"}},"endpoints":["grpc://h:1"]}}"#);
        assert_eq!(why(&decode(Layout::Kratos, &value)).0, reason, "{weight}");
    }
    let other = r#"{"name":"films-admin","endpoints":["grpc://h:1"]}"#;
    assert_eq!(why(&decode(Layout::Kratos, other)), ("other-service", "of service \"films-admin\""));
    assert_eq!(why(&decode(Layout::Kratos, r#"{"name":null}"#)).0, "other-service");
    assert_eq!(why(&decode(Layout::GoMicro, r#"{"name":"films","nodes":null}"#)).0, "address");
    assert_eq!(why(&decode(Layout::Grpc, "{}")).0, "address");
    for value in ["10.0.0.1", "10.0.0.1:0", "10.0.0.1:70000", "{\"a\":1}", ":80", "a:1,b:2"] {
        assert_eq!(why(&decode(Layout::GoZero, value)).0, "address", "{value}");
    }
}
