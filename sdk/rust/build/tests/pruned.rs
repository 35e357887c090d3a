//! What is not needed is not written, and what is left keeps its place and its comments.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;

use tempfile::TempDir;
use weft_build::Builder;

const SHOP: &str = r#"
syntax = "proto3";
package shop.v1;
import "large.proto";

// Not asked for.
message Unrelated { string name = 1; }
// Neither is this.
enum Mood { UNKNOWN = 0; }
// Asked for by a method that is not granted.
message WipeRequest {
  // Which.
  string id = 1;
  large.Huge huge = 2;
  Sort sort = 3;
  map<string, large.Huge> by_name = 4;
  map<string, int32> counts = 5;
  oneof one { large.Huge h = 6; }
  oneof other {
    string text = 7;
    large.Huge i = 8;
  }
}
// How it is sorted.
enum Sort { BY_NAME = 0; }
// The request.
message GetRequest {
  // The id of it.
  string id = 1;
  Sort sort = 2;
}
message Around {
  string not_needed = 1;
  // Inside.
  message Inner {
    // Deep.
    string deep = 1;
  }
  message Outer { string deep = 1; }
}
// The reply.
message Reply {
  // Its inner.
  Around.Inner inner = 1;
  map<string, Item> items = 2;
  // What kind.
  oneof kind {
    Item one = 3;
    // In words.
    string words = 4;
  }
}
message Item { Item next = 1; }

service Shop {
  // Gets.
  rpc Get(GetRequest) returns (Reply);
  rpc Wipe(WipeRequest) returns (large.Huge);
  rpc Upload(stream large.Part) returns (Reply);
}
"#;

const LARGE: &str = r#"
syntax = "proto3";
package large;
message Huge { Part part = 1; string name = 2; }
message Part { repeated Part parts = 1; }
"#;

fn clients(change: impl FnOnce(Builder) -> Builder) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("protos")).unwrap();
    fs::write(path.join("protos/shop.proto"), SHOP).unwrap();
    fs::write(path.join("protos/large.proto"), LARGE).unwrap();
    fs::write(path.join("plugin.toml"), "[calls]\n\"shop.v1.Shop\" = [\"Get\"]\n").unwrap();
    let builder = Builder::new().folder(path.join("protos")).manifest(path.join("plugin.toml")).out_dir(path);
    change(builder).build().unwrap();
    fs::read_to_string(path.join("weft.rs")).unwrap()
}

fn body<'a>(text: &'a str, head: &str) -> &'a str {
    let start = text.find(head).unwrap();
    let rest = &text[start..];
    &rest[..rest.find("\n}").unwrap()]
}

#[test]
fn only_what_granted_methods_need_is_written() {
    let text = clients(|builder| builder);
    for absent in ["Unrelated", "Mood", "struct Part", "not_needed", "struct Outer"] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
    for present in [
        "/// The request.\n",
        "/// The id of it.\n",
        "/// How it is sorted.\n",
        "/// The reply.\n",
        "/// Inside.\n",
        "/// Deep.\n",
        "/// In words.\n",
        "pub struct Item {",
        "pub items: ::std::collections::HashMap<",
        "pub fn get(request: GetRequest)",
    ] {
        assert_eq!(text.matches(present).count(), 1, "{present}\n{text}");
    }
    assert!(text.contains("/// What kind.\n"), "{text}");
    // What a method that is not granted takes is there as far as it costs nothing.
    let wipe = body(&text, "pub struct WipeRequest {");
    for present in ["/// Which.", "pub id:", "pub sort:", "pub counts:", "pub other:"] {
        assert!(wipe.contains(present), "{present}\n{wipe}");
    }
    assert!(!wipe.contains("Huge") && !wipe.contains("pub one:"), "{wipe}");
    assert!(text.contains("/// Asked for by a method that is not granted.\n"), "{text}");
    let huge = body(&text, "pub struct Huge {");
    assert!(huge.contains("pub name:") && !huge.contains("part"), "{huge}");
    assert!(text.contains("is not granted to this plugin"), "{text}");
}

#[test]
fn more_is_written_where_the_author_says_so() {
    let text = clients(|builder| builder.message("large.Huge"));
    assert!(text.contains("pub struct Part {") && !text.contains("Unrelated"), "{text}");
    let all = clients(|builder| builder.message("."));
    for present in ["pub struct Unrelated {", "pub enum Mood {", "pub not_needed:", "/// Not asked for."] {
        assert!(all.contains(present), "{present}\n{all}");
    }
}
