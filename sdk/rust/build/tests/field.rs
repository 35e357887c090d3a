//! Protos as they are found in the field.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use prost::Message;
use prost_types::FileDescriptorSet;
use tempfile::TempDir;
use weft_build::Builder;

struct Crate(TempDir);

impl Crate {
    fn new(calls: &str, files: &[(&str, &[u8])]) -> Self {
        let folder = TempDir::new().unwrap();
        let manifest = format!("[calls]\n{calls}\n");
        for (name, text) in files.iter().copied().chain([("plugin.toml", manifest.as_bytes()), ("out/.keep", b"")]) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn build(&self, folders: &[&str]) -> Result<String, String> {
        let path = self.path();
        let builder = Builder::new().manifest(path.join("plugin.toml")).out_dir(path.join("out"));
        let builder = folders.iter().fold(builder, |builder, folder| builder.folder(path.join(folder)));
        let here = format!("{}/", path.display());
        builder.build().map_err(|error| error.to_string().replace(&here, ""))?;
        Ok(fs::read_to_string(path.join("out/weft.rs")).unwrap())
    }
}

const CUPS: &[u8] =
    b"syntax = \"proto3\"; package cups; message Cup { string name = 1; } service Cups { rpc Get(Cup) returns (Cup); }";

#[test]
fn files_that_nothing_granted_needs_are_passed_over() {
    let edition = b"edition = \"2023\";\npackage other;\nmessage Elsewhere { string name = 1; }\n";
    let named = b"edition = \"2023\";\npackage other;\nservice Cups { rpc Get(A) returns (A); }\n";
    let files: [(&str, &[u8]); 3] =
        [("protos/cups.proto", CUPS), ("protos/edition.proto", edition), ("protos/named.proto", named)];
    Crate::new("\"cups.Cups\" = [\"Get\"]", &files).build(&["protos"]).unwrap();
    let needed = Crate::new("\"other.Cups\" = [\"Get\"]", &files).build(&["protos"]).unwrap_err();
    let told =
        "editions are not understood: write the file as syntax = \"proto3\", with `optional` before each field that";
    assert!(needed.starts_with(&format!("protos/named.proto:1: {told}")), "{needed}");
}

#[test]
fn files_in_an_edition_that_something_granted_imports_are_told_by_name_and_all_at_once() {
    let wants = b"syntax = \"proto3\"; package w;\nimport \"deep/mid.proto\";\nimport \"nowhere.proto\";\n\
        service W { rpc Get(mid.M) returns (mid.M); }";
    let mid = b"syntax = \"proto3\"; package mid; import \"one.proto\"; import \"two.proto\"; message M { one.O o = 1; two.T t = 2; }";
    let one = b"// Of today.\nedition = \"2023\";\npackage one;\nmessage O { string name = 1; }\n";
    let two = b"edition = \"2024\";\npackage two;\nmessage T { string name = 1; }\n";
    let files: [(&str, &[u8]); 4] =
        [("p/w.proto", wants), ("p/deep/mid.proto", mid), ("p/one.proto", one), ("p/two.proto", two)];
    let told = Crate::new("\"w.W\" = [\"Get\"]", &files).build(&["p"]).unwrap_err();
    for part in [
        "p/one.proto:2: editions are not understood: write the file as ",
        "p/two.proto:1: editions are not understood: write the file as ",
        "w.proto:3: import \"nowhere.proto\" is not found",
    ] {
        assert!(told.lines().any(|line| line.starts_with(part)), "{part}\n{told}");
    }
    assert!(told.lines().count() == 4, "{told}");
}

#[test]
fn what_can_not_be_parsed_of_what_is_imported_is_told_with_its_place_and_all_at_once() {
    let wants = b"syntax = \"proto3\"; package w;\r\nimport \"deep/one.proto\";\r\nimport \"two.proto\";\r\n\
        service W { rpc Get(one.O) returns (two.T); }";
    let one = b"syntax = \"proto3\";\r\npackage one;\r\nmessage O { string name 1; }\r\n";
    let two = "syntax = \"proto3\";\npackage two;\n\nmessage Größe { string name = 1; }\n".as_bytes();
    let files: [(&str, &[u8]); 3] = [("p/w.proto", wants), ("p/deep/one.proto", one), ("q/two.proto", two)];
    let told = Crate::new("\"w.W\" = [\"Get\"]", &files).build(&["p", "q"]).unwrap_err();
    for part in ["p/deep/one.proto:3:25: expected '='", "q/two.proto:4:11: "] {
        assert!(told.lines().any(|line| line.starts_with(part)), "{part}\n{told}");
    }
}

#[test]
fn a_byte_order_mark_and_latin_1_are_read() {
    let marked = [b"\xef\xbb\xbf".as_slice(), CUPS].concat();
    let latin = [b"// caf\xe9\n".as_slice(), CUPS].concat();
    for text in [marked, latin] {
        Crate::new("\"cups.Cups\" = [\"Get\"]", &[("protos/cups.proto", &text)]).build(&["protos"]).unwrap();
    }
}

#[test]
fn a_root_inside_a_root_is_read_once() {
    let outer = b"syntax = \"proto3\"; package a; import \"rpc/status.proto\"; import \"third/rpc/code.proto\"; \
        message Q { rpc.Status s = 1; rpc.Code c = 2; } service S { rpc Get(Q) returns (Q); }";
    let status = b"syntax = \"proto3\"; package rpc; import \"rpc/code.proto\"; message Status { Code code = 1; } \
        service Statuses { rpc Get(Status) returns (Status); }";
    let code = b"syntax = \"proto3\"; package rpc; message Code {}";
    let files: [(&str, &[u8]); 3] =
        [("p/a.proto", outer), ("p/third/rpc/status.proto", status), ("p/third/rpc/code.proto", code)];
    let plugin = Crate::new("\"rpc.Statuses\" = [\"Get\"]\n\"a.S\" = [\"Get\"]", &files);
    for folders in [["p", "p/third"], ["p/third", "p"]] {
        plugin.build(&folders).unwrap();
        let set = fs::read(plugin.path().join("out/weft.binpb")).unwrap();
        let set = FileDescriptorSet::decode(set.as_slice()).unwrap();
        let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
        assert_eq!(names, ["rpc/code.proto", "rpc/status.proto", "a.proto"]);
    }
}

#[test]
fn all_missing_imports_are_told_with_the_root_that_fits() {
    let wants = b"syntax = \"proto3\"; package w;\nimport \"api/x.proto\";\nimport \"nowhere.proto\";\nimport \"next.proto\";\n\
        service W { rpc Get(api.X) returns (api.X); }";
    let next = b"syntax = \"proto3\";\nimport \"nowhere.proto\";\n";
    let x = b"syntax = \"proto3\"; package api; message X {}";
    let files: [(&str, &[u8]); 3] = [("p/w.proto", wants), ("p/next.proto", next), ("p/a/api/x.proto", x)];
    assert_eq!(
        Crate::new("\"w.W\" = [\"Get\"]", &files).build(&["p"]).unwrap_err(),
        "next.proto:2: import \"nowhere.proto\" is not found\n\
         w.proto:2: import \"api/x.proto\" is not found\n\
         w.proto:3: import \"nowhere.proto\" is not found\n\
         Imports were looked for in p. In build.rs, add p/a: it has what is imported."
    );
    let below = Crate::new(
        "\"w.W\" = [\"Get\"]",
        &[
            (
                "p/sub/w.proto",
                b"syntax = \"proto3\"; package w; import \"sub/y.proto\"; \
        service W { rpc Get(Y) returns (Y); }",
            ),
            ("p/sub/y.proto", b"syntax = \"proto3\"; package w; message Y {}"),
        ],
    );
    let told = below.build(&["p/sub"]).unwrap_err();
    assert!(told.ends_with("In build.rs, add p: it has what is imported."), "{told}");
}

#[test]
fn names_that_are_one_in_rust_are_made_distinct() {
    let methods = b"syntax = \"proto3\"; package a; message Q {} \
        service G { rpc SayHello(Q) returns (Q); rpc SAYHello(Q) returns (Q); rpc Other(Q) returns (Q); }";
    let text = Crate::new("\"a.G\" = [\"SayHello\", \"SAYHello\"]", &[("p/a.proto", methods)]).build(&["p"]).unwrap();
    for part in ["SAY_HELLO:", "SAY_HELLO_2:", "fn say_hello(", "fn say_hello_2("] {
        assert_eq!(text.matches(part).count(), 1, "{part}\n{text}");
    }
    let json =
        b"syntax = \"proto2\"; package a; message Q { optional string foo_bar = 1; optional string fooBar = 2; } \
        service S { rpc Get(Q) returns (Q); }";
    let text = Crate::new("\"a.S\" = [\"Get\"]", &[("p/a.proto", json)]).build(&["p"]).unwrap();
    assert!(text.contains("pub foo_bar:") && text.contains("pub foo_bar_2:"), "{text}");
}

#[test]
fn numbers_follow_from_the_protos_and_not_from_what_is_granted() {
    let protos = b"syntax = \"proto2\"; package a; message FooBar { optional string x = 1; } message Foo_Bar { optional bytes y = 1; } \
        enum E { E_FOO_A = 0; E_FOO__A = 1; E_FOO_A2 = 2; } message Q { optional E e = 1 [default = E_FOO__A]; oneof kind { Foo_Bar two = 2; } } \
        service S { rpc One(FooBar) returns (FooBar); rpc Two(Q) returns (Q); }";
    let build = |calls: &str, more: &[&str]| {
        let plugin = Crate::new(calls, &[("p/a.proto", protos)]);
        let path = plugin.path();
        let builder =
            Builder::new().folder(path.join("p")).manifest(path.join("plugin.toml")).out_dir(path.join("out"));
        let builder = builder.type_attribute("a.Foo_Bar", "#[derive(Odd)]").bytes(".a.Foo_Bar.y");
        more.iter().fold(builder, |builder, name| builder.message(*name)).build().unwrap();
        fs::read_to_string(path.join("out/weft.rs")).unwrap()
    };
    let two = build("\"a.S\" = [\"Two\"]", &[]);
    for part in [
        "#[derive(Odd)]\n#[derive(Clone, PartialEq, Eq, Hash, ::weft_sdk::prost::Message)]",
        "pub struct FooBar2 {",
        "pub y: ::core::option::Option<::weft_sdk::prost::bytes::Bytes>",
        "Two(super::FooBar2)",
        "default = \"FooA3\"",
        "FooA3 = 1,",
        "Self::FooA3 => \"E_FOO__A\",",
        "\"E_FOO__A\" => Some(Self::FooA3),",
        "FooA2 = 2,",
    ] {
        assert!(two.contains(part), "{part}\n{two}");
    }
    assert_eq!(two.matches("Odd").count(), 1, "{two}");
    let one = build("\"a.S\" = [\"One\"]", &["a.Foo_Bar"]);
    assert!(one.contains("pub struct FooBar {") && one.contains("pub struct FooBar2 {"), "{one}");
}

#[test]
fn a_message_and_a_package_of_one_name_are_one_module() {
    let outer =
        b"syntax = \"proto3\"; package m; import \"b.proto\"; message Cluster { message Inner { string x = 1; } \
        Inner inner = 1; m.cluster.Breaker breaker = 2; } service S { rpc Get(Cluster) returns (Cluster); }";
    let inner = b"syntax = \"proto3\"; package m.cluster; message Breaker { string x = 1; }";
    let files: [(&str, &[u8]); 2] = [("p/a.proto", outer), ("p/b.proto", inner)];
    let text = Crate::new("\"m.S\" = [\"Get\"]", &files).build(&["p"]).unwrap();
    assert_eq!(text.matches("pub mod cluster {").count(), 1, "{text}");
    assert!(text.contains("pub struct Inner") && text.contains("pub struct Breaker"), "{text}");
}
