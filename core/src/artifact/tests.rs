//! Reading artifacts: what is refused, and what the author is told.

use super::*;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn sections() -> Sections {
    Sections {
        manifest: "[plugin]\nname = \"home\"\nversion = \"1.0.0\"\nclient = \"web\"\n[endpoint.\"GET /home\"]\n".into(),
        schema: br#"[{"method":"GET","path":"/home","request":null,"response":null,"query":null}]"#.to_vec(),
        mocks: b"{}".to_vec(),
        contract: CONTRACT.into(),
        ..Sections::default()
    }
}

fn parse(sections: &Sections) -> Result<Artifact, ArtifactError> {
    Artifact::parse(sections.append_to(COMPONENT).into())
}

#[test]
fn sections_come_back_as_they_were_written() {
    let written = Sections { methods: vec!["a.B/C".into(), "a.B/D".into()], ..sections() };
    assert_eq!(Sections::read(&written.append_to(COMPONENT)).unwrap(), written);
}

#[test]
fn a_whole_artifact_is_read() {
    let artifact = parse(&sections()).unwrap();
    assert_eq!((artifact.manifest.name.as_str(), artifact.manifest.endpoints.len()), ("home", 1));
    assert_eq!(artifact.digest.hex().len(), 64);
}

#[test]
fn a_file_that_was_cut_off_is_no_artifact() {
    let whole = sections().append_to(COMPONENT);
    for length in 0..whole.len() {
        assert!(
            Artifact::parse(Bytes::copy_from_slice(&whole[..length])).is_err(),
            "{length} of {} bytes",
            whole.len()
        );
    }
}

#[test]
fn a_file_that_is_half_of_one_and_half_of_another_is_no_artifact() {
    let write = |version: &str| {
        let mut sections = sections();
        sections.manifest = sections.manifest.replace("1.0.0", version);
        sections.append_to(COMPONENT)
    };
    let (old, new) = (write("1.0.1"), write("1.0.2"));
    assert_eq!(old.len(), new.len());
    let first = old.iter().zip(&new).position(|(old, new)| old != new).unwrap();
    for written in first + 1..new.len() {
        let mixed = [&new[..written], &old[written..]].concat();
        let error = Artifact::parse(mixed.into()).unwrap_err().to_string();
        assert!(error.contains("the file is not whole"), "{written}: {error}");
    }
}

#[test]
fn code_and_manifest_have_to_name_the_same_endpoints() {
    let mut other = sections();
    other.manifest = other.manifest.replace("GET /home", "GET /hme");
    let error = parse(&other).unwrap_err().to_string();
    assert!(
        error.contains("plugin.toml:5: endpoint.\"GET /hme\": the code has no such endpoint; it has: \"GET /home\""),
        "{error}"
    );
    assert!(error.contains("add [endpoint.\"GET /home\"]"), "{error}");
}

#[test]
fn all_mistakes_of_a_manifest_come_at_once() {
    let text = "[plugin]\nname = \"Home\"\nversion = \"1\"\nclinet = \"web\"\n[endpoint.\"FETCH /x\"]\ntimeout = \"soon\"\n[limits]\nmemory = \"1TB\"\n";
    let mistakes = read_manifest(Path::new("plugin.toml"), text, None, None).unwrap_err();
    let lines: Vec<_> = mistakes.iter().map(|m| m.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6, 8], "{mistakes:#?}");
}

#[test]
fn an_endpoint_stands_there_once_whatever_its_parameters_are_called() {
    let text =
        sections().manifest + "[endpoint.\"GET /a/{x}\"]\n[endpoint.\"POST /a/{x}\"]\n[endpoint.\"GET /a/{y}\"]\n";
    let mistakes = read_manifest(Path::new("plugin.toml"), &text, None, None).unwrap_err();
    let told: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["plugin.toml:8: endpoint.\"GET /a/{y}\": is the same as \"GET /a/{x}\": remove one of them"]);
}

#[test]
fn a_core_module_is_told_apart() {
    let error = Artifact::parse(Bytes::from_static(b"\0asm\x01\0\0\0")).unwrap_err();
    assert!(error.to_string().contains("core module"), "{error}");
}

#[test]
fn a_template_has_whole_segments_and_each_parameter_once() {
    assert_eq!("GET /a/{x}/b/{*rest}".parse::<EndpointName>().unwrap().params(), ["x", "rest"]);
    for bad in ["GET films", "GET /a//b", "GET /a/{b", "GET /{*rest}/x", "GET /{a}/{a}", "GET /x{a}", "FETCH /x", "GET"]
    {
        assert!(bad.parse::<EndpointName>().is_err(), "{bad}");
    }
}

fn refused(sections: &Sections) -> String {
    parse(sections).unwrap_err().to_string()
}

/// A field of these bytes.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

#[test]
fn a_path_has_so_many_segments_and_bytes_and_no_more() {
    let path = |segments: usize| format!("GET {}", "/a".repeat(segments));
    assert!(path(32).parse::<EndpointName>().is_ok());
    for bad in [path(33), path(10_000), format!("GET /{}", "a".repeat(1_025))] {
        let error = bad.parse::<EndpointName>().unwrap_err().to_string();
        assert_eq!(error, "the path has more than 32 segments, or more than 1024 bytes");
    }
    let manifest = sections().manifest.replace("GET /home", &path(30_000));
    assert!(refused(&Sections { manifest, ..sections() }).contains("more than 32 segments"));
}

#[test]
fn messages_are_counted_before_any_is_made() {
    let files = |content: &[u8]| field(1, &[field(1, b"a.proto"), content.to_vec()].concat());
    let told = |descriptors: Vec<u8>| refused(&Sections { descriptors, ..sections() });
    let empty = files(&field(4, b"").repeat(1_500_000));
    assert!(told(empty).contains("more than 20000 messages"));
    let deep = (0..40).fold(Vec::new(), |inner: Vec<u8>, _| field(if inner.is_empty() { 2 } else { 3 }, &inner));
    assert!(told(files(&field(4, &deep))).contains("more than 32 messages inside of each other"));
    let fields = files(&field(4, &field(2, b"").repeat(200_001)));
    assert!(told(fields).contains("more than 200000 fields"));
    for hidden in [field(8, &field(999, b"").repeat(1_000_000)), field(4, &field(2, &field(8, &[0; 3 << 20])))] {
        assert!(told(files(&hidden)).contains("bytes of options"));
    }
    assert!(told(field(1, b"").repeat(2_001)).contains("more than 2000 files"));
    assert!(told(vec![0; 17 << 20]).contains("more than 16777216 bytes"));
}

#[test]
fn files_import_one_another_without_circles_and_in_short_chains() {
    let file = |name: &str, imports: &[String]| {
        let imports = imports.iter().enumerate().flat_map(|(at, import)| {
            // Publicly: whoever reads this goes on to what the other one imports.
            [field(3, import.as_bytes()), vec![0x50, at as u8]].concat()
        });
        let content: Vec<u8> = field(1, name.as_bytes()).into_iter().chain(imports).collect();
        field(1, &content)
    };
    let told = |files: &[Vec<u8>]| refused(&Sections { descriptors: files.concat(), ..sections() });
    let circle = "its files import one another in a circle";
    assert!(told(&[file("a", &["a".to_owned()])]).contains(circle));
    assert!(told(&[file("a", &["b".to_owned()]), file("b", &["a".to_owned()])]).contains(circle));
    assert!(told(&[file("a", &[]), file("a", &[])]).contains("twice"));
    assert!(told(&[file("a", &[]), file("b", &["a".to_owned(), "a".to_owned()])]).contains("twice"));
    let chain = |length: u32| -> Vec<Vec<u8>> {
        (0..length)
            .map(|n| file(&format!("{n}"), &(0..n).rev().take(1).map(|n| n.to_string()).collect::<Vec<_>>()))
            .collect()
    };
    assert!(told(&chain(65)).contains("more than 64 files"));
    parse(&Sections { descriptors: chain(64).concat(), ..sections() }).unwrap();
}

#[test]
fn endpoints_and_calls_are_counted_before_they_are_read() {
    let many = |count: usize| (0..count).map(|n| format!("[endpoint.\"GET /{n}\"]\n")).collect::<String>();
    let error = refused(&Sections { manifest: sections().manifest + &many(40_000), ..sections() });
    assert!(error.contains("endpoint: has 40001, and may have 1000"), "{error}");
    assert!(error.len() < 1_000, "{} bytes", error.len());
    let error = refused(&Sections { manifest: sections().manifest + &many(60_000), ..sections() });
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    let schema = serde_json::to_vec(&vec![
        serde_json::from_slice::<serde_json::Value>(&sections().schema).unwrap()[0]
            .clone();
        1_001
    ])
    .unwrap();
    assert!(refused(&Sections { schema, ..sections() }).contains("more than 1000 endpoints"));
    let calls = format!("[calls]\n\"a.B\" = [{}]\n", "\"C\", ".repeat(5_001));
    assert!(refused(&Sections { manifest: sections().manifest + &calls, ..sections() }).contains("calls: has 5002"));
    let unknown = (0..50_000).map(|n| format!("x{n} = 1\n")).collect::<String>();
    let error = refused(&Sections { manifest: unknown + &sections().manifest, ..sections() });
    assert!(error.contains("and 49900 more") && error.len() < 20_000, "{} bytes", error.len());
}

#[test]
fn no_key_of_a_manifest_takes_a_time_a_size_or_a_number_that_nobody_can_mean() {
    let mistakes = |text: &str| {
        let found = read_manifest(Path::new("plugin.toml"), text, None, None).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let named = [("endpoint", "\"GET /x\""), ("fallback", "\"a.B/C\"")];
    let walked = crate::settings::absurd::Walk { mistakes: &mistakes, before: &[], named: &named }.all();
    for key in ["limits.memory", "limits.cpu", "endpoint.\"GET /x\".timeout", "endpoint.\"GET /x\".cache.ttl"] {
        assert!(walked.iter().any(|known| known == key), "{key} is not in {walked:#?}");
    }
}

#[test]
fn members_that_may_be_chosen_are_those_of_the_code() {
    let told = |manifest: &str, more: &str| {
        let mut other = sections();
        other.manifest.push_str(manifest);
        let answer = r#"{"type":"object","properties":{"title":{"type":"string"}}}"#;
        let schema = format!(r#"[{{"method":"GET","path":"/home","request":null,"response":{answer}{more}}}]"#);
        other.schema = schema.into_bytes();
        parse(&other).map(|artifact| artifact.manifest.endpoints[0].fields.is_some()).map_err(|error| error.to_string())
    };
    assert_eq!(told("", ""), Ok(false));
    assert_eq!(told("fields = true\n", ""), Ok(true));
    assert_eq!(told("fields = [\"title\"]\n", r#","selection":true"#), Ok(true));
    for (manifest, more, why) in [
        ("fields = [\"titel\"]\n", "", "fields: `titel` can't be chosen; did you mean `title`?"),
        ("fields = []\n", "", "fields: expected 1 to 100 members, or true"),
        ("fields = false\n", "", "expected true, or a list of members"),
        ("fields = true\nproduces = [\"text/html\"]\n", "", "of JSON only, and `produces` has \"text/html\""),
        ("", r#","selection":true"#, "the code looks at which members are chosen (`Selection`): set fields = true"),
        (
            "fields = true\n",
            r#","query":{"properties":{"fields":{}}}"#,
            "the code takes `fields` from the query by itself",
        ),
    ] {
        let told = told(manifest, more).unwrap_err();
        assert!(told.contains(why), "{why}: {told}");
    }
}
