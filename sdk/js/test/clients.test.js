// Clients that are written from a description of protos: what they write is protobuf, and what they read is what was written.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { clients } from "../build/clients.js";
import { Reader, Writer } from "../src/wire.js";

const folder = mkdtempSync(join(tmpdir(), "weft-clients-"));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, "node_modules"));
symlinkSync(join(dirname(fileURLToPath(import.meta.url)), ".."), join(folder, "node_modules/weft-sdk"));
writeFileSync(join(folder, "package.json"), '{"type":"module"}');

const SCALARS = ["double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "bytes", "uint32", "sfixed32", "sfixed64", "sint32", "sint64"];
const field = (name, number, kind, more = {}) => ({ name, json: name, number, kind, repeated: false, packed: false, presence: kind === "message", ...more });
const message = (home, ...fields) => ({ package: home, fields, doc: "" });

const PROTOS = {
  messages: {
    "a.v1.All": message("a.v1", ...SCALARS.map((kind, at) => field(kind, at + 1, kind)),
      ...SCALARS.map((kind, at) => field(`${kind}s`, at + 101, kind, { repeated: true, packed: !["string", "bytes"].includes(kind) }))),
    "a.v1.Mixed": message("a.v1",
      field("one", 1, "string", { oneof: "which" }), field("two", 2, "message", { type: "b.Other", oneof: "which" }),
      field("maybe", 3, "uint32", { presence: true }),
      field("byName", 4, "message", { type: "a.v1.Mixed.ByNameEntry", map: [field("key", 1, "string"), field("value", 2, "message", { type: "b.Other" })] }),
      field("byId", 5, "message", { type: "a.v1.Mixed.ByIdEntry", map: [field("key", 1, "int64"), field("value", 2, "enum", { type: "b.Kind" })] }),
      field("kind", 6, "enum", { type: "b.Kind" }), field("kinds", 7, "enum", { type: "b.Kind", repeated: true, packed: true }),
      field("size", 8, "int64", { jstype: "number" }), field("id", 9, "uint64", { jstype: "string" }),
      field("self", 10, "message", { type: "a.v1.Mixed" }), field("__proto__", 11, "string"), field("class", 12, "bool")),
    "a.v1.Mixed.Inner": message("a.v1"),
    "a.v1.Mixed_Inner": message("a.v1"),
    "b.Other": message("b", field("x", 1, "int32"), field("list", 2, "string", { repeated: true })),
  },
  enums: { "b.Kind": { package: "b", values: [["KIND_UNKNOWN", 0], ["KIND_FILM", 1], ["KIND_MOVIE", 1], ["KIND_NEGATIVE", -1]], doc: "" } },
  services: { "a.v1.S": { package: "a.v1", doc: "", methods: [
    { name: "Get", number: 0, input: "a.v1.All", output: "a.v1.Mixed", stream: false },
    { name: "Other", number: null, input: "a.v1.All", output: "a.v1.All", stream: false },
    { name: "Send", number: null, input: "a.v1.All", output: "a.v1.All", stream: true },
  ] } },
};

const files = clients(PROTOS);
for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
const a = await import(pathToFileURL(join(folder, "a.v1.js")).href);

const bytes = (write, value) => { const writer = new Writer(); write(writer, value); return writer.bytes.slice(0, writer.at); };
const there = (write, read, value) => { const made = bytes(write, value); return read(new Reader(made), made.length); };

test("every scalar comes back, alone and in lists, at its bounds", () => {
  const least = { double: -1.5, float: 0.5, int64: -(2n ** 63n), uint64: 0n, int32: -(2 ** 31), fixed64: 1n, fixed32: 1, bool: true, string: "grüße 🎬", bytes: new Uint8Array([0, 255]), uint32: 0, sfixed32: -1, sfixed64: -1n, sint32: -(2 ** 31), sint64: -(2n ** 63n) };
  const most = { double: Number.MAX_VALUE, float: -2, int64: 2n ** 63n - 1n, uint64: 2n ** 64n - 1n, int32: 2 ** 31 - 1, fixed64: 2n ** 64n - 1n, fixed32: 2 ** 32 - 1, bool: false, string: "", bytes: new Uint8Array(0), uint32: 2 ** 32 - 1, sfixed32: 2 ** 31 - 1, sfixed64: 2n ** 63n - 1n, sint32: 2 ** 31 - 1, sint64: 2n ** 63n - 1n };
  for (const value of [least, most]) {
    const whole = { ...value, ...Object.fromEntries(SCALARS.map((kind) => [`${kind}s`, [least[kind], most[kind]]])) };
    assert.deepEqual(there(a.write$All, a.read$All, whole), whole);
  }
  const empty = there(a.write$All, a.read$All, {});
  assert.deepEqual([empty.int64, empty.string, empty.bools], [0n, "", []]);
  assert.equal(bytes(a.write$All, empty).length, 0, "what is zero is not written");
});

test("what is written is what protobuf writes", () => {
  const hex = (value) => Buffer.from(bytes(a.write$All, value)).toString("hex");
  assert.equal(hex({ int32: -1 }), "28ffffffffffffffffff01");
  assert.equal(hex({ sint32: -2, sint64: 2n }), "70037804");
  assert.equal(hex({ uint32s: [1, 300] }), "fa060301ac02");
  assert.equal(hex({ string: "a".repeat(200) }).slice(0, 8), "4ac80161");
});

test("oneofs, maps, enums, presence and names that are words", () => {
  const value = { maybe: 0, byName: { a: { x: 1, list: ["b"] } }, byId: { "-5": "KIND_FILM", 7: 99 }, kind: "KIND_MOVIE", kinds: ["KIND_NEGATIVE", 5], size: 7, id: 2n ** 60n, self: { class: true }, $proto: "safe" };
  const found = there(a.write$Mixed, a.read$Mixed, value);
  assert.deepEqual([found.maybe, found.one, found.two], [0, undefined, undefined]);
  assert.deepEqual({ ...found.byName }, { a: { x: 1, list: ["b"] } });
  assert.deepEqual({ ...found.byId }, { "-5": "KIND_FILM", 7: 99 });
  assert.deepEqual([found.kind, found.kinds], ["KIND_FILM", ["KIND_NEGATIVE", 5]]);
  assert.deepEqual([found.size, found.id, found.self.class], [7, "1152921504606846976", true]);
  assert.deepEqual([found.$proto, Object.getPrototypeOf(found)], ["safe", Object.prototype]);
  // The last one of a oneof counts.
  const both = new Uint8Array([...bytes(a.write$Mixed, { one: "x" }), ...bytes(a.write$Mixed, { two: { x: 1 } })]);
  const last = a.read$Mixed(new Reader(both), both.length);
  assert.deepEqual([last.one, last.two], [undefined, { x: 1, list: [] }]);
});

test("lists that are not packed, unknown fields and pieces are read; what is cut off is not", () => {
  const read = (list) => a.read$All(new Reader(new Uint8Array(list)), list.length);
  assert.deepEqual(read([0xf8, 0x06, 1, 0xf8, 0x06, 2]).uint32s, [1, 2]);
  assert.equal(read([0xc2, 0x3e, 1, 7, 0xc3, 0x3e, 8, 1, 0xc4, 0x3e, 0x58, 5]).uint32, 5, "a group is passed over");
  for (const list of [[0x4a, 5, 65], [0x58], [0x58, 0x80], [0x09, 1], [0x58, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], [0x0f]]) {
    assert.throws(() => read(list), RangeError, `${list}`);
  }
});

test("requests that don't fit are told by field", () => {
  const told = (value) => { try { bytes(a.write$All, value); } catch (error) { return error.message; } };
  assert.equal(told({ uint32: -1 }), "a.v1.All.uint32: expected a whole number (uint32), got -1");
  assert.equal(told({ string: 5 }), "a.v1.All.string: expected a string, got 5");
  assert.equal(told({ strings: "x" }), 'a.v1.All.strings: expected a list, got "x"');
  assert.equal(told({ int64: 1.5 }), "a.v1.All.int64: expected a bigint or a whole number, got 1.5");
  assert.match(told({ uint23: 1 }), /^a\.v1\.All has no field `uint23`, only `double`/);
  assert.throws(() => bytes(a.write$Mixed, { kind: "KIND_FLIM" }), /expected KIND_UNKNOWN or KIND_FILM/);
});

test("methods that are not granted say what to do, and names are distinct", () => {
  assert.throws(() => a.S.other(), /a\.v1\.S\/Other is not granted: add "a\.v1\.S" = \["Other"\] to \[calls\] in plugin\.toml/);
  assert.throws(() => a.S.send, /takes a stream of requests/);
  assert.throws(() => a.S.get(), /called outside of a request/);
  assert.match(files["a.v1.js"], /read\$Mixed_Inner_2/);
});
