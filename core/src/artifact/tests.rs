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
