// The globals of the sandbox. A plugin is started once, when it is built, and every instance goes on from a copy of that moment; so what the
// engine itself knows of chance and time would be the same in each of them. All of it is asked of the host instead, in each instance anew.

import random from "wasi:random/random@0.2.6";
import clock from "wasi:clocks/monotonic-clock@0.2.6";
import { log } from "./host.js";
import * as jobs from "./jobs.js";
import * as text from "./text.js";

/** Random bytes that were asked for and not used yet. Never filled before the first request. */
let pool = new Uint8Array(0);
let at = 0;
let isServing = false;

/** From here on the instance is one of its own. */
export function beginServing() {
  isServing = true;
}

function bytes(count, what) {
  if (!isServing) throw new Error(`${what} outside of a handler would give every instance the same value: call it while a request is served`);
  if (count > 1024) return random.getRandomBytes(count);
  if (pool.length - at < count) {
    pool = random.getRandomBytes(1024);
    at = 0;
  }
  at += count;
  return pool.subarray(at - count, at);
}

Math.random = () => {
  const drawn = bytes(8, "Math.random()");
  const high = ((drawn[0] << 16) | (drawn[1] << 8) | drawn[2]) & 0x1fffff;
  const low = ((drawn[3] << 24) | (drawn[4] << 16) | (drawn[5] << 8) | drawn[6]) >>> 0;
  return (high * 2 ** 32 + low) / 2 ** 53;
};

globalThis.crypto = {
  getRandomValues(array) {
    const view = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    if (view.length > 65536) throw new RangeError("crypto.getRandomValues() gives at most 65536 bytes at once");
    view.set(bytes(view.length, "crypto.getRandomValues()"));
    return array;
  },
  randomUUID() {
    const drawn = bytes(16, "crypto.randomUUID()").slice();
    drawn[6] = (drawn[6] & 0x0f) | 0x40;
    drawn[8] = (drawn[8] & 0x3f) | 0x80;
    return drawn.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  },
};

/** Milliseconds since the instance began, to the microsecond. */
const now = () => Number(clock.now()) / 1e6;
globalThis.performance = { now, timeOrigin: 0 };
jobs.setClock(now);

globalThis.Promise = jobs.Promise;
/** What `build/bundle.js` has `async` functions call. */
globalThis.__weftAsync = jobs.runAsync;
globalThis.queueMicrotask = jobs.queueMicrotask;
globalThis.setTimeout = jobs.setTimeout;
globalThis.setInterval = jobs.setInterval;
globalThis.clearTimeout = jobs.clearTimeout;
globalThis.clearInterval = jobs.clearTimeout;
globalThis.setImmediate = (run, ...values) => jobs.setTimeout(run, 0, ...values);
globalThis.clearImmediate = jobs.clearTimeout;
Array.fromAsync = async (items, map = (item) => item) => {
  const all = [];
  for await (const item of items) all.push(await map(item, all.length));
  return all;
};

const shown = (value) => (typeof value === "string" ? value : value instanceof Error ? String(value.stack || value) : JSON.stringify(value) ?? String(value));
const say = (level) => (...values) => log[level](values.map(shown).join(" "));
globalThis.console = { log: say("info"), info: say("info"), warn: say("warn"), error: say("error"), debug: say("debug"), trace: say("trace") };

text.install();
