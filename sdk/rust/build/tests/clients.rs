//! What is generated, and what is said when something is wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use prost::Message;
use prost_types::FileDescriptorSet;
use tempfile::TempDir;
use weft_build::Builder;

const FILMS: &str = r#"
syntax = "proto3";
package catalog.v1;
import "common/v1/page.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/timestamp.proto";

// The films
// that can be shown.
service Films {
  // One film.
  //     let it = be;
  rpc GetFilm(GetFilmRequest) returns (Film);
  rpc ListFilms(common.v1.Page) returns (common.v1.Page);
  rpc Clear(google.protobuf.Empty) returns (google.protobuf.Empty);
  rpc WatchFilms(GetFilmRequest) returns (stream Film);
  rpc UploadFilms(stream Film) returns (Film);
}
service Unused {
  rpc Get(GetFilmRequest) returns (Film);
}
message GetFilmRequest { uint32 id = 1; }
// A film:
//     let film = Film::default();
message Film {
  // ```
  uint32 id = 1;
  google.protobuf.Timestamp since = 2;
  bytes poster = 3;
}
"#;

const PAGE: &str = r#"
syntax = "proto3";
package common.v1;
message Page { uint32 size = 1; }
"#;

/// Imports something that is not there, which does not matter as long as nobody needs it.
const BROKEN_IMPORT: &str = r#"
syntax = "proto3";
package other.v1;
import "nowhere.proto";
service Others { rpc Get(nowhere.Request) returns (nowhere.Reply); }
"#;

struct Crate(TempDir);

impl Crate {
    fn new(manifest: &str) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in [
            ("plugin.toml", manifest),
            ("protos/catalog/v1/films.proto", FILMS),
            ("protos/common/v1/page.proto", PAGE),
            ("protos/other/v1/others.proto", BROKEN_IMPORT),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir(folder.path().join("out")).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn builder(&self) -> Builder {
        let path = self.path();
        Builder::new().folder(path.join("protos")).manifest(path.join("plugin.toml")).out_dir(path.join("out"))
    }

    fn output(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join("out").join(name)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.output(name)).unwrap()
    }

    /// The faults, without the folder.
    fn fault(&self) -> String {
        let fault = self.builder().build().unwrap_err().to_string();
        fault.replace(&format!("{}/", self.path().display()), "")
    }
}

#[test]
fn granted_methods_get_clients_and_numbers() {
    let plugin =
        Crate::new("[calls]\n\"catalog.v1.Films\" = [\"ListFilms\", \"GetFilm\", \"WatchFilms\", \"Clear\"]\n");
    plugin.builder().build().unwrap();
    assert_eq!(
        plugin.text("weft.methods"),
        "&[\n    \"catalog.v1.Films/Clear\",\n    \"catalog.v1.Films/GetFilm\",\n    \"catalog.v1.Films/ListFilms\",\n    \"catalog.v1.Films/WatchFilms\",\n]\n"
    );
    let clients = plugin.text("weft.rs");
    for part in [
        "pub mod catalog {\npub mod v1 {",
        "pub mod common {\npub mod v1 {",
        "/// The films\n/// that can be shown.",
        "pub const GET_FILM: ::weft_sdk::Method<GetFilmRequest, Film> = \
         ::weft_sdk::Method::new(1, \"catalog.v1.Films/GetFilm\");",
        "pub const LIST_FILMS: ::weft_sdk::Method<super::super::common::v1::Page, super::super::common::v1::Page> =",
        "pub const WATCH_FILMS: ::weft_sdk::Method<GetFilmRequest, ::weft_sdk::List<Film>> =",
        "pub const CLEAR: ::weft_sdk::Method<(), ()> =",
        "    /// One film.\n    /// let it = be;\n    pub fn get_film(request: GetFilmRequest) -> ::weft_sdk::Call<GetFilmRequest, Film> {",
        "`UploadFilms` takes a stream, which a plugin can't send",
        "::core::option::Option<::weft_sdk::prost_types::Timestamp>",
        "pub poster: ::weft_sdk::prost::alloc::vec::Vec<u8>",
        "/// A film:\n/// let film = Film::default();\n",
    ] {
        assert!(clients.contains(part), "{part}\n{clients}");
    }
    assert!(!clients.contains("```"), "comments are not tested as code");
    assert!(!clients.contains("Unused"), "services that are not granted are left out");
    assert!(!clients.contains("Granted"), "everything that can be called is granted");
}

/// A service whose methods have batches, or seem to.
const COARSE: &str = r#"
syntax = "proto3";
package shop.v1;
service Shop {
  rpc GetItem(GetItemRequest) returns (Item);
  rpc BatchGetItems(BatchGetItemsRequest) returns (BatchGetItemsReply);
  rpc GetTag(GetTagRequest) returns (Tag);
  rpc BatchGetTags(BatchGetTagsRequest) returns (BatchGetTagsReply);
  rpc GetPrice(GetItemRequest) returns (Price);
  rpc GetHint(GetHintRequest) returns (Hint);
  rpc BatchGetHints(BatchGetHintsRequest) returns (BatchGetHintsReply);
}
message GetItemRequest { string item_id = 1; bool full = 2; }
message Item { string item_id = 1; }
message BatchGetItemsRequest { repeated string item_ids = 1; }
message BatchGetItemsReply { repeated Item items = 1; }
message GetTagRequest { optional sint64 id = 1; }
message Tag { sint64 id = 1; }
message BatchGetTagsRequest { repeated sint64 ids = 1; }
message BatchGetTagsReply { repeated Tag tags = 1; }
message Price { uint64 cents = 1; }
message GetHintRequest { oneof by { uint32 id = 1; string name = 2; } }
message Hint { uint32 id = 1; }
message BatchGetHintsRequest { repeated uint32 ids = 1; }
message BatchGetHintsReply { repeated Hint hints = 1; }
"#;

#[test]
fn a_method_with_a_batch_beside_it_takes_a_list_of_keys() {
    let plugin = Crate::new("[calls]\n\"shop.v1.Shop\" = [\"GetItem\", \"GetTag\", \"GetPrice\", \"GetHint\"]\n");
    fs::write(plugin.path().join("protos/shop.proto"), COARSE).unwrap();
    plugin.builder().build().unwrap();
    let clients = plugin.text("weft.rs");
    for part in [
        "pub fn get_item_all(keys: impl IntoIterator<Item = impl Into<String>>) -> ::weft_sdk::CallAll<GetItemRequest, Item>",
        "GetItemRequest { item_id: key.into(), ..Default::default() }",
        "pub fn get_tag_all(keys: impl IntoIterator<Item = i64>) -> ::weft_sdk::CallAll<GetTagRequest, Tag>",
        "GetTagRequest { id: Some(key), ..Default::default() }",
    ] {
        assert!(clients.contains(part), "{part}\n{clients}");
    }
    assert!(!clients.contains("get_price_all"), "no batch has its messages");
    assert!(!clients.contains("get_hint_all"), "it is not its key alone that asks");
}

#[test]
fn other_methods_explain_themselves() {
    let plugin = Crate::new("[calls]\n\"catalog.v1.Films\" = [\"GetFilm\"]\n");
    plugin.builder().build().unwrap();
    let clients = plugin.text("weft.rs");
    for part in [
        "/// - `ListFilms` is not granted\n",
        "message = \"`catalog.v1.Films/ListFilms` is not granted to this plugin\"",
        "note = \"to grant it, add it under [calls] in plugin.toml: \\\"catalog.v1.Films\\\" = [\\\"ListFilms\\\", ..]\"",
        "R: ::core::borrow::Borrow<super::super::common::v1::Page> + Granted,",
    ] {
        assert!(clients.contains(part), "{part}\n{clients}");
    }
}

#[test]
fn descriptors_are_those_that_are_needed() {
    let plugin = Crate::new("[calls]\n\"catalog.v1.Films\" = [\"GetFilm\"]\n");
    plugin.builder().build().unwrap();
    let descriptors = FileDescriptorSet::decode(plugin.output("weft.binpb").as_slice()).unwrap();
    let names: Vec<_> = descriptors.file.iter().map(|file| file.name()).collect();
    assert_eq!(
        names,
        [
            "common/v1/page.proto",
            "google/protobuf/empty.proto",
            "google/protobuf/timestamp.proto",
            "catalog/v1/films.proto"
        ]
    );
    assert!(descriptors.file.iter().all(|file| file.source_code_info.is_none()));
}

#[test]
fn a_plugin_may_call_nothing() {
    let plugin = Crate::new("[plugin]\nname = \"x\"\n");
    plugin.builder().build().unwrap();
    assert_eq!(plugin.text("weft.methods"), "&[\n]\n");
    assert_eq!(plugin.output("weft.binpb"), b"");
}

#[test]
fn options_reach_the_messages() {
    let plugin = Crate::new("[calls]\n\"catalog.v1.Films\" = [\"GetFilm\"]\n");
    plugin.builder().bytes(".").type_attribute("catalog.v1.Film", "#[derive(Serialize)]").build().unwrap();
    let clients = plugin.text("weft.rs");
    assert!(clients.contains("pub poster: ::weft_sdk::prost::bytes::Bytes"), "{clients}");
    assert!(clients.contains("#[derive(Serialize)]"), "{clients}");
}

#[test]
fn every_wrong_call_is_reported_with_its_line() {
    let plugin = Crate::new(
        "[calls]\n\"catalog.v1.Film\" = [\"GetFilm\"]\n\n\"catalog.v1.Films\" = [\"GetFlim\", \"UploadFilms\", \"Clear\", \"Clear\"]\n",
    );
    assert_eq!(
        plugin.fault(),
        "plugin.toml:2: [calls] \"catalog.v1.Film\": no proto has this service. Did you mean \"catalog.v1.Films\"? There \
         are catalog.v1.Films, catalog.v1.Unused, other.v1.Others.\n\
         plugin.toml:4: [calls] \"catalog.v1.Films\" has no method \"GetFlim\". Did you mean \"GetFilm\"? There are Clear, \
         GetFilm, ListFilms, UploadFilms, WatchFilms.\n\
         plugin.toml:4: [calls] \"catalog.v1.Films\": \"UploadFilms\" takes a stream, which a plugin can't send\n\
         plugin.toml:4: [calls] \"catalog.v1.Films\" has \"Clear\" twice"
    );
}

#[test]
fn other_faults_name_their_file() {
    let wrong_type = Crate::new("\n[calls]\n\"catalog.v1.Films\" = \"GetFilm\"\n");
    assert!(
        wrong_type.fault().starts_with("plugin.toml:3: expected a list of methods, as in "),
        "{}",
        wrong_type.fault()
    );
    let unquoted = Crate::new("[calls]\ncatalog.v1.Films = [\"GetFilm\"]\n");
    assert!(unquoted.fault().contains("(with the quotes)"), "{}", unquoted.fault());
    let no_toml = Crate::new("[calls\n");
    assert!(no_toml.fault().starts_with("plugin.toml: TOML parse error at line 1"), "{}", no_toml.fault());

    let no_manifest = Crate::new("");
    fs::remove_file(no_manifest.path().join("plugin.toml")).unwrap();
    assert!(no_manifest.fault().starts_with("plugin.toml: not found"), "{}", no_manifest.fault());
    let bad_proto = Crate::new("[calls]\n\"bad.Bad\" = []\n");
    fs::write(bad_proto.path().join("protos/bad.proto"), "syntax = \"proto3\";\nmessage {} service Bad {}\n").unwrap();
    assert!(bad_proto.fault().starts_with("protos/bad.proto:2:9: expected "), "{}", bad_proto.fault());
}

#[test]
fn errors_print_as_text_where_main_returns_them() {
    let plugin = Crate::new("[calls]\n\"x.Y\" = []\n");
    let error = plugin.builder().build().unwrap_err();
    assert_eq!(format!("{error:?}"), format!("\n{error}\n"));
}

/// Two services before and after each other, each with comments of its own.
const BOXES: &str = r#"
syntax = "proto3";
package p;
import "only.proto";
message M {}
// A is for the accounts.
service A {
  // DELETES everything.
  rpc Wipe(M) returns (M);
}
// B is for the boxes.
service B {
  // Gets one box.
  rpc GetOne(M) returns (M);
  // Gets two boxes.
  rpc GetTwo(M) returns (M);
}
"#;

#[test]
fn each_service_of_a_file_has_its_own_comments() {
    let plugin = Crate::new("[calls]\n\"p.B\" = [\"GetOne\", \"GetTwo\"]\n");
    fs::write(plugin.path().join("protos/boxes.proto"), BOXES).unwrap();
    let only = "syntax = \"proto3\"; package only; import \"common/v1/page.proto\"; \
                service C { rpc Get(common.v1.Page) returns (common.v1.Page); }";
    fs::write(plugin.path().join("protos/only.proto"), only).unwrap();
    plugin.builder().build().unwrap();
    let clients = plugin.text("weft.rs");
    for part in [
        "/// B is for the boxes.\n",
        "/// Gets one box.\n    pub fn get_one(request: M)",
        "/// Gets two boxes.\n    pub fn get_two(request: M)",
    ] {
        assert!(clients.contains(part), "{part}\n{clients}");
    }
    assert!(!clients.contains("accounts") && !clients.contains("DELETES"), "{clients}");
}
