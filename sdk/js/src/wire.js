// Protobuf on the wire, for the code that `build/clients.js` writes: one function a message, no descriptors at run time.

import { encode, fromLatin1, latin1 } from "./text.js";

const EMPTY = new Uint8Array(0);

/** Reads one message; `text` is the same bytes as a string, a character each, from which strings are cut. */
export class Reader {
  constructor(bytes, text = undefined, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.raw = text;
    this.at = start;
    this.end = end;
    this.view = undefined;
  }

  /** The end of the message or of the packed list that begins here. */
  length() {
    const length = this.uint32();
    const end = this.at + length;
    if (end > this.end) throw new RangeError("the message is cut off");
    return end;
  }

  uint32() {
    const bytes = this.bytes;
    let byte = bytes[this.at++];
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    byte = bytes[this.at++];
    value |= (byte & 0x7f) << 7;
    if (byte < 0x80) return value;
    byte = bytes[this.at++];
    value |= (byte & 0x7f) << 14;
    if (byte < 0x80) return value;
    byte = bytes[this.at++];
    value |= (byte & 0x7f) << 21;
    if (byte < 0x80) return value;
    byte = bytes[this.at++];
    value |= (byte & 0x0f) << 28;
    // Of a negative int32 five more bytes follow.
    for (let more = 0; byte >= 0x80; more++) {
      if (more === 5) throw new RangeError("a number has more than ten bytes");
      byte = bytes[this.at++];
    }
    if (byte === undefined) throw new RangeError("the message is cut off");
    return value >>> 0;
  }

  int32() {
    return this.uint32() | 0;
  }

  sint32() {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  bool() {
    return this.uint64() !== 0n;
  }

  uint64() {
    const bytes = this.bytes;
    let low = 0, high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[this.at++];
      if (byte === undefined) throw new RangeError("the message is cut off");
      const bits = byte & 0x7f;
      if (shift < 28) low += bits * 2 ** shift;
      else high += bits * 2 ** (shift - 28);
      if (byte < 0x80) {
        // Most numbers are small, and BigInt arithmetic is not.
        const number = high * 2 ** 28 + low;
        if (number <= Number.MAX_SAFE_INTEGER) return BigInt(number);
        return BigInt.asUintN(64, (BigInt(high) << 28n) | BigInt(low));
      }
    }
    throw new RangeError("a number has more than ten bytes");
  }

  int64() {
    return BigInt.asIntN(64, this.uint64());
  }

  sint64() {
    const value = this.uint64();
    return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
  }

  data(bytes) {
    this.view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    const at = this.at;
    this.at += bytes;
    if (this.at > this.end) throw new RangeError("the message is cut off");
    return at;
  }

  fixed32() { const at = this.data(4); return this.view.getUint32(at, true); }
  sfixed32() { const at = this.data(4); return this.view.getInt32(at, true); }
  float() { const at = this.data(4); return this.view.getFloat32(at, true); }
  fixed64() { const at = this.data(8); return this.view.getBigUint64(at, true); }
  sfixed64() { const at = this.data(8); return this.view.getBigInt64(at, true); }
  double() { const at = this.data(8); return this.view.getFloat64(at, true); }

  string() {
    const end = this.length();
    this.raw ??= latin1(this.bytes);
    const text = this.raw.substring(this.at, end);
    this.at = end;
    return fromLatin1(text);
  }

  /** A copy: the reply's own memory is not kept alive by it. */
  bytesField() {
    const end = this.length();
    const value = this.bytes.slice(this.at, end);
    this.at = end;
    return value;
  }

  cut() {
    throw new RangeError("the message is cut off");
  }

  /** A message that comes in pieces: lists are joined, of all else the later piece counts. */
  merge(first, second) {
    if (first === undefined) return second;
    for (const [name, value] of Object.entries(second)) {
      if (Array.isArray(value)) first[name] = [...(first[name] ?? []), ...value];
      else if (value !== undefined) first[name] = value;
    }
    return first;
  }

  /** Passes over a field that the code does not know. */
  skip(tag) {
    switch (tag & 7) {
      case 0: this.uint64(); return;
      case 1: this.data(8); return;
      case 2: this.at = this.length(); return;
      case 3: for (let inner = this.uint32(); (inner & 7) !== 4; inner = this.uint32()) this.skip(inner); return;
      case 5: this.data(4); return;
      default: throw new RangeError(`field ${tag >>> 3} has no type that protobuf has`);
    }
  }
}

/** Writes messages one behind the other into memory that grows. */
export class Writer {
  constructor() {
    this.bytes = EMPTY;
    this.at = 0;
    this.view = undefined;
  }

  room(more) {
    if (this.at + more <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(256, this.bytes.length * 2, this.at + more));
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  uint32(value) {
    this.room(5);
    const bytes = this.bytes;
    for (; value > 0x7f; value >>>= 7) bytes[this.at++] = (value & 0x7f) | 0x80;
    bytes[this.at++] = value;
  }

  int32(value) {
    if (value >= 0) this.uint32(value);
    else this.uint64(BigInt.asUintN(64, BigInt(value)));
  }

  sint32(value) {
    this.uint32(((value << 1) ^ (value >> 31)) >>> 0);
  }

  bool(value) {
    this.uint32(value ? 1 : 0);
  }

  uint64(value) {
    value = BigInt.asUintN(64, BigInt(value));
    if (value <= 0xffffffffn) return this.uint32(Number(value));
    this.room(10);
    for (; value > 0x7fn; value >>= 7n) this.bytes[this.at++] = Number(value & 0x7fn) | 0x80;
    this.bytes[this.at++] = Number(value);
  }

  int64(value) { this.uint64(value); }

  sint64(value) {
    value = BigInt(value);
    this.uint64(value >= 0n ? value << 1n : ((-value) << 1n) - 1n);
  }

  next(bytes) {
    this.room(bytes);
    const at = this.at;
    this.at += bytes;
    return at;
  }

  fixed32(value) { const at = this.next(4); this.view.setUint32(at, value, true); }
  sfixed32(value) { const at = this.next(4); this.view.setInt32(at, value, true); }
  float(value) { const at = this.next(4); this.view.setFloat32(at, value, true); }
  fixed64(value) { const at = this.next(8); this.view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true); }
  sfixed64(value) { const at = this.next(8); this.view.setBigInt64(at, BigInt.asIntN(64, BigInt(value)), true); }
  double(value) { const at = this.next(8); this.view.setFloat64(at, value, true); }

  string(text) {
    this.bytesField(encode(text));
  }

  bytesField(value) {
    this.uint32(value.length);
    const at = this.next(value.length);
    this.bytes.set(value, at);
  }

  /** A message or a packed list, whose length is known when it is written. */
  nested(write, value) {
    this.room(1);
    const start = this.at++;
    write(this, value);
    const length = this.at - start - 1;
    if (length < 0x80) {
      this.bytes[start] = length;
      return;
    }
    let more = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) more++;
    this.room(more);
    this.bytes.copyWithin(start + 1 + more, start + 1, this.at);
    const end = this.at + more;
    this.at = start;
    this.uint32(length);
    this.at = end;
  }
}

/** What a value that does not fit its field is told as. */
export function wrong(field, expected, value) {
  const shown = typeof value === "bigint" ? `${value}n` : JSON.stringify(value);
  return new TypeError(`${field}: expected ${expected}, got ${shown ?? typeof value}`);
}

/** Refuses members that the message does not have: a name that is misspelled would be lost in silence. */
export function known(message, fields, value) {
  for (const name in value) {
    if (!fields.has(name)) throw new TypeError(`${message} has no field \`${name}\`, only ${[...fields].map((field) => `\`${field}\``).join(", ")}`);
  }
}

const INTEGERS = { int32: [-(2 ** 31), 2 ** 31 - 1], uint32: [0, 2 ** 32 - 1] };

/** What callers hand in is checked, since the wire would take anything for something. */
export function check(field, kind, value) {
  const range = INTEGERS[kind];
  if (range) {
    if (!Number.isInteger(value) || value < range[0] || value > range[1]) throw wrong(field, `a whole number (${kind})`, value);
  } else if (kind === "string") {
    if (typeof value !== "string") throw wrong(field, "a string", value);
  } else if (kind === "number") {
    if (typeof value !== "number") throw wrong(field, "a number", value);
  } else if (kind === "boolean") {
    if (typeof value !== "boolean") throw wrong(field, "true or false", value);
  } else if (kind === "bytes") {
    if (!(value instanceof Uint8Array)) throw wrong(field, "a Uint8Array", value);
  } else if (kind === "long") {
    if (typeof value === "bigint" || Number.isSafeInteger(value)) return value;
    if (typeof value === "string" && /^-?\d+$/.test(value)) return value;
    throw wrong(field, "a bigint or a whole number", value);
  } else if (kind === "list") {
    if (!Array.isArray(value)) throw wrong(field, "a list", value);
  } else if (kind !== "object" || value === null || typeof value !== "object") {
    throw wrong(field, kind === "object" ? "an object" : kind, value);
  }
  return value;
}
