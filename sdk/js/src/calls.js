// Calls of backend methods. One that is made gathers with all others until nothing in the plugin can go on; then they leave together.

import { CallError } from "./call-error.js";
import { current, INNER } from "./jobs.js";
import { Problem } from "./problem.js";
import { Reader, Writer } from "./wire.js";

const OR_STALE = 1 << 16;
const OR_DEFAULT = 1 << 17;
const ORIGINS = ["upstream", "coalesced", "cache", "stale", "fallback"];

/** The calls of the request that is served now. */
export class Calls {
  constructor() {
    this.queued = [];
    this.writer = new Writer();
    this.sent = [];
    this.underWay = 0;
  }

  gather(call, encode, request) {
    const { writer } = this;
    const offset = writer.at;
    try {
      encode(writer, request);
    } catch (error) {
      writer.at = offset;
      throw error;
    }
    call.head = { method: call.method.number, flags: Math.min(current.depth + 1, 0xffff), timeoutMs: 0, offset, len: writer.at - offset };
    this.queued.push(call);
  }

  /** What leaves now; the tickets of these calls count on from those before. */
  handOut() {
    const { queued, writer } = this;
    const messages = writer.bytes.subarray(0, writer.at);
    const heads = queued.map((call) => call.head);
    for (const call of queued) this.sent.push(call);
    this.underWay += queued.length;
    this.queued = [];
    this.writer = new Writer();
    return { heads, messages };
  }

  get isIdle() {
    return this.underWay === 0 && this.queued.length === 0;
  }

  deliver(completions, arena) {
    const whole = new Reader(arena);
    const decoded = new Map();
    for (const completion of completions) {
      const call = this.sent[completion.ticket];
      if (call === undefined) continue;
      this.sent[completion.ticket] = undefined;
      this.underWay--;
      call.complete(completion, whole, decoded);
    }
  }
}

let calls = new Calls();
let isServing = false;

/** A request begins: its calls are its own. */
export function begin() {
  calls = new Calls();
  isServing = true;
  return calls;
}

export function end() {
  isServing = false;
}

/** A backend method that this plugin may call; generated code makes them. */
export class Method {
  constructor(number, name, encode, decode, reverse) {
    this.number = number;
    this.name = name;
    this.encode = encode;
    this.decode = decode;
    /** For tests: reads requests and writes replies. */
    this.reverse = reverse;
  }

  /** The function that calls it. */
  static of(...given) {
    const method = new Method(...given);
    const call = (request) => method.call(request);
    call.method = method;
    return call;
  }

  call(request = {}) {
    if (!isServing) throw new Error(`${this.name} is called outside of a request: call it in a handler`);
    return new Call(this, request, calls);
  }
}

/** A method that exists, and that the manifest does not grant. */
export function notGranted(name) {
  const [service, method] = name.split("/");
  return () => {
    throw new Error(`${name} is not granted: add "${service}" = ["${method}"] to [calls] in plugin.toml`);
  };
}

/** A call on its way, awaited like any promise. It leaves with all others that were made before anything had to wait. */
export class Call {
  constructor(method, request, gathered) {
    this.method = method;
    this.head = undefined;
    this.meta = undefined;
    this.outside = undefined;
    if (Promise.pending) {
      this.promise = Promise.pending();
    } else {
      // Natively promises are the engine's own, and know no depth.
      this.promise = new Promise((resolve, reject) => { this.outside = { resolve, reject }; });
    }
    this[INNER] = this.promise;
    gathered.gather(this, method.encode, request);
  }

  finish(isGood, value, depth) {
    if (this.outside === undefined) this.promise.deliver(isGood, value, depth);
    else if (isGood) this.outside.resolve(value);
    else this.outside.reject(value);
  }

  /** @internal */
  complete({ code, origin, ageMs, offset, len }, whole, decoded) {
    const depth = this.head.flags & 0xffff;
    const reader = new Reader(whole.bytes, whole.raw, offset, offset + len);
    if (code !== 0) {
      this.finish(false, CallError.fromStatus(code, reader, this.method.name), depth);
      return;
    }
    this.meta = { origin: ORIGINS[origin] ?? "other", ageMs };
    // Equal calls get one range, and share what was made of it.
    const key = decoded.get(offset);
    if (key !== undefined && key.len === len && key.method === this.method) {
      this.finish(true, key.message, depth);
      return;
    }
    let message;
    try {
      message = this.method.decode(reader, reader.end);
      if (reader.at !== reader.end) throw new RangeError("the message is cut off");
    } catch (error) {
      this.finish(false, new CallError("INTERNAL", `the reply does not decode: ${error.message}`, { method: this.method.name }), depth);
      return;
    }
    whole.raw ??= reader.raw;
    decoded.set(offset, { len, method: this.method, message });
    this.finish(true, message, depth);
  }

  then(fulfilled, rejected) { return this.promise.then(fulfilled, rejected); }
  catch(rejected) { return this.promise.catch(rejected); }
  finally(run) { return this.promise.finally(run); }

  /** Fails with `DEADLINE_EXCEEDED` if it takes longer. The method's own timeout still holds. */
  timeout(ms) {
    this.head.timeoutMs = Math.max(1, Math.floor(ms));
    return this;
  }

  /** If the backend fails, takes an old reply from the host's cache. The host marks the response as degraded. */
  orStale() {
    this.head.flags |= OR_STALE;
    return this;
  }

  /** If the backend fails, takes an empty message. The host marks the response as degraded. */
  orDefault() {
    this.head.flags |= OR_DEFAULT;
    return this;
  }

  /** `undefined` where the backend answers `NOT_FOUND`. */
  ifFound() {
    return this.promise.catch((error) => {
      if (error instanceof CallError && error.code === "NOT_FOUND") return undefined;
      throw error;
    });
  }

  /** `undefined` where the backend answers `NOT_FOUND` or can't answer: for what a page can do without. */
  optional() {
    return this.promise.catch((error) => {
      if (error instanceof CallError && (error.code === "NOT_FOUND" || error.isBackendFailure)) return undefined;
      throw error;
    });
  }

  /** As `optional`, and `undefined` where the backend answers that this caller may not see it. */
  optionalIfDenied() {
    return this.optional().catch((error) => {
      if (error instanceof CallError && (error.code === "PERMISSION_DENIED" || error.code === "UNAUTHENTICATED")) return undefined;
      throw error;
    });
  }

  /** A 404 that names what there is none of, where the backend answers `NOT_FOUND`. */
  orNotFound(what, id) {
    return this.promise.catch((error) => {
      if (error instanceof CallError && error.code === "NOT_FOUND") throw Problem.notFound(what, id);
      throw error;
    });
  }

  /** The reply, and where it came from: `{ message, origin, ageMs }`. */
  withMeta() {
    return this.promise.then((message) => ({ message, ...this.meta }));
  }
}
