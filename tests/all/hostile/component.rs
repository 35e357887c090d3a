//! Components by hand, for what no compiler would make: each imports all that a plugin may, and does one thing with it.

use bytes::Bytes;
use weft_tests::artifacts::sections;

/// Place of the one method that these plugins are granted.
const METHODS: [&str; 1] = ["people.v1.People/GetPerson"];

/// What the plugins import. `realloc` gives one of two places, in turns, so what the host hands over never runs out
/// of memory.
const HOST: &str = r#"
  (import "weft:bff/types@0.1.0" (instance $types
    (type $fields' (list (tuple string string)))
    (export "fields" (type $fields (eq $fields')))
    (type $identity' (record (field "issuer" string) (field "subject" string) (field "tenant" (option string))
      (field "scopes" (list string)) (field "claims" string)))
    (export "identity" (type $identity (eq $identity')))
    (type $request' (record (field "endpoint" string) (field "path" string) (field "params" $fields)
      (field "query" $fields) (field "headers" $fields) (field "body" (list u8)) (field "client" string)
      (field "identity" (option $identity)) (field "request-id" string) (field "deadline-ms" u32)
      (field "extensions" $fields)))
    (export "request" (type (eq $request')))
    (type $response' (record (field "status" u16) (field "headers" $fields) (field "body" (list u8))
      (field "extensions" $fields)))
    (export "response" (type (eq $response')))
    (type $problem' (record (field "status" u16) (field "kind" string) (field "title" string)
      (field "detail" string) (field "extensions" $fields)))
    (export "problem" (type (eq $problem')))))
  (alias export $types "request" (type $request))
  (alias export $types "response" (type $response))
  (alias export $types "problem" (type $problem))
  (import "weft:bff/backend@0.1.0" (instance $backend
    (type $head' (record (field "method" u32) (field "flags" u32) (field "timeout-ms" u32) (field "offset" u32)
      (field "len" u32)))
    (export "call-head" (type $head (eq $head')))
    (type $done' (record (field "ticket" u32) (field "code" u32) (field "origin" u32) (field "age-ms" u32)
      (field "offset" u32) (field "len" u32)))
    (export "completion" (type $done (eq $done')))
    (export "exchange" (func (param "calls" (list $head)) (param "messages" (list u8)) (param "cancel" (list u32))
      (param "wait-ms" (option u32)) (result (tuple (list $done) (list u8)))))))
  (import "weft:bff/cache@0.1.0" (instance $cache
    (type $scope' (enum "principal" "tenant" "public"))
    (export "scope" (type $scope (eq $scope')))
    (export "set" (func (param "key" string) (param "value" (list u8)) (param "ttl-ms" u32) (param "scope" $scope)
      (param "tags" (list string))))
    (export "invalidate-tag" (func (param "tag" string)))))
  (import "weft:bff/log@0.1.0" (instance $log
    (type $level' (enum "trace" "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $level')))
    (export "write" (func (param "level" $level) (param "message" string)
      (param "fields" (list (tuple string string)))))))
  (import "weft:bff/config@0.1.0" (instance $config
    (export "get" (func (param "key" string) (result (option string))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "pollable" (type $own (eq $pollable)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $own))))))
  (core module $libc
    (memory (export "memory") 64)
    (global $at (mut i32) (i32.const 0x20000))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $at (i32.xor (global.get $at) (i32.const 0x220000)))
      (global.get $at)))
  (core instance $libc (instantiate $libc))
  (core instance $more (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $exchange (canon lower (func $backend "exchange") (memory $memory) (realloc $realloc)))
  (core func $set (canon lower (func $cache "set") (memory $memory) (realloc $realloc)))
  (core func $invalidate (canon lower (func $cache "invalidate-tag") (memory $memory) (realloc $realloc)))
  (core func $write (canon lower (func $log "write") (memory $memory) (realloc $realloc)))
  (core func $get (canon lower (func $config "get") (memory $memory) (realloc $realloc)))
  (core func $bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
  (core func $block (canon lower (func $poll "[method]pollable.block") (memory $memory) (realloc $realloc)))
  (core func $now (canon lower (func $clock "now")))
  (core func $timer (canon lower (func $clock "subscribe-duration") (memory $memory) (realloc $realloc)))
  (core instance $host
    (export "exchange" (func $exchange)) (export "set" (func $set)) (export "invalidate" (func $invalidate))
    (export "write" (func $write)) (export "get" (func $get)) (export "bytes" (func $bytes))
    (export "block" (func $block)) (export "now" (func $now)) (export "timer" (func $timer)))
"#;

/// The core module's imports, the answer 200 without a body at 1024, and one call to the method 0 with an empty message at 2048.
const GUEST: &str = r#"
    (import "libc" "memory" (memory $memory 1))
    (import "more" "memory" (memory $more 1))
    (import "host" "exchange" (func $exchange (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "invalidate" (func $invalidate (param i32 i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32 i32)))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "now" (func $now (result i64)))
    (import "host" "timer" (func $timer (param i64) (result i32)))
    (data (i32.const 1024) "\00\00\00\00\c8\00\00\00")
    (data (i32.const 2048) "\00\00\00\00\01\00\00\00")
"#;

/// Lifts the module's `handle`.
const EXPORT: &str = r#"
  (core instance $main (instantiate $main
    (with "libc" (instance $libc)) (with "more" (instance $more)) (with "host" (instance $host))))
  (func $handle (param "request" $request) (result (result $response (error $problem)))
    (canon lift (core func $main "handle") (memory $memory) (realloc $realloc)))
  (export "handle" (func $handle))
"#;

/// `GET /NAME` of client `bad`, with these lines of `[limits]`.
pub(crate) fn manifest(name: &str, timeout: &str, limits: &str) -> String {
    format!(
        "[plugin]\nname = \"{name}\"\nversion = \"1.0.0\"\nclient = \"bad\"\n\n[endpoint.\"GET /{name}\"]\nauth = \"none\"\n\
         timeout = \"{timeout}\"\n\n[calls]\n\"people.v1.People\" = [\"GetPerson\"]\n\n[limits]\n{limits}\n"
    )
}

/// A plugin that does this when it is asked; functions and a start function may stand before.
pub(super) fn plugin(manifest: &str, functions: &str, body: &str) -> Bytes {
    let main = format!(
        "(core module $main {GUEST} {functions} (func (export \"handle\") (param i32) (result i32) (local $n i32)\n{body}\n\
         (i32.const 1024)))"
    );
    artifact(manifest, &wat::parse_str(format!("(component {HOST} {main} {EXPORT})")).unwrap())
}

/// A component as an artifact.
pub(crate) fn artifact(manifest: &str, component: &[u8]) -> Bytes {
    sections(manifest, &METHODS).append_to(component).into()
}

/// A component with one module of so many functions that do nothing: small as a file, and much to compile.
pub(crate) fn of_functions(count: u32) -> Vec<u8> {
    let mut functions = leb(count);
    functions.resize(functions.len() + count as usize, 0);
    let mut bodies = leb(count);
    (0..count).for_each(|_| bodies.extend([2, 0, 0x0b]));
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in [(1, vec![1, 0x60, 0, 0]), (3, functions), (10, bodies)] {
        section(&mut module, id, &content);
    }
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    section(&mut component, 1, &module);
    component
}

/// A component that is large and nothing else.
pub(super) fn of_bytes(count: usize) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    let mut content = b"\x04bulk".to_vec();
    content.resize(count, 0);
    section(&mut component, 0, &content);
    component
}

fn section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    out.extend(leb(content.len() as u32));
    out.extend_from_slice(content);
}

fn leb(mut value: u32) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return out;
        }
    }
}
