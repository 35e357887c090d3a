// How a call fails: a gRPC status, and what becomes of it where nobody catches it.

import { Problem } from "./problem.js";
import { Reader } from "./wire.js";

/** The status codes of gRPC, without OK, by their numbers. */
export const CODES = [
  "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** What a backend says of its caller is passed on; what went wrong behind us is a 502, 503 or 504. */
const STATUS = {
  INVALID_ARGUMENT: 400, FAILED_PRECONDITION: 400, OUT_OF_RANGE: 400, UNAUTHENTICATED: 401, PERMISSION_DENIED: 403, NOT_FOUND: 404,
  ALREADY_EXISTS: 409, ABORTED: 409, RESOURCE_EXHAUSTED: 503, UNAVAILABLE: 503, DEADLINE_EXCEEDED: 504,
};
const OWN = { CANCELLED: 1, UNKNOWN: 1, DEADLINE_EXCEEDED: 1, RESOURCE_EXHAUSTED: 1, UNIMPLEMENTED: 1, INTERNAL: 1, UNAVAILABLE: 1, DATA_LOSS: 1 };

/** Kinds of problems for calls that a bound kept from being made. */
const LIMITS = {
  PLUGIN_LIMIT: ["urn:weft:problem:plugin-limit", 500],
  HOST_LIMIT: ["urn:weft:problem:host-limit", 503],
};

/** Why a call failed. */
export class CallError extends Error {
  constructor(code, message = "", { method = "", limit = undefined } = {}) {
    super(message);
    this.name = "CallError";
    if (!CODES.includes(code)) throw new TypeError(`${code} is no status code of gRPC`);
    this.code = code;
    this.method = method;
    this.limit = limit;
  }

  /** Whether the backend could not answer, as opposed to having said no. */
  get isBackendFailure() {
    return this.code in OWN;
  }

  /** As it crosses the boundary: a number, and a serialized `google.rpc.Status`. */
  static fromStatus(number, reader, method) {
    const code = CODES[number] ?? "UNKNOWN";
    const { message, limit } = readStatus(reader);
    return new CallError(code, message, { method, limit });
  }

  /** What the caller gets: a 4xx has the backend's words, a 5xx does not. `log` is told what is left out. */
  toProblem(log) {
    const limit = LIMITS[this.limit];
    if (limit) {
      log("warn", `\`${this.method}\` failed with ${this.code}: ${this.message}`, { method: this.method });
      return new Problem(limit[1], this.message).withKind(limit[0]).with("method", this.method);
    }
    const status = STATUS[this.code] ?? 502;
    let detail = this.message || `\`${this.method}\` answered ${this.code}`;
    if (status >= 500) {
      log("warn", `\`${this.method}\` failed with ${this.code}: ${this.message}`, { method: this.method, code: this.code });
      detail = `\`${this.method}\` failed with ${this.code}`;
    }
    return new Problem(status, detail).with("method", this.method).with("code", this.code);
  }
}

function readStatus(reader) {
  const status = { message: "", limit: undefined };
  try {
    while (reader.at < reader.end) {
      const tag = reader.uint32();
      if (tag === 18) status.message = reader.string();
      else if (tag === 26) {
        const end = reader.length();
        status.limit = readLimit(reader, end) ?? status.limit;
        reader.at = end;
      } else reader.skip(tag);
    }
  } catch {
    // What can't be read says nothing more than its code.
  }
  return status;
}

/** The reason, where the detail is the host's own `google.rpc.ErrorInfo`. */
function readLimit(reader, end) {
  let kind = "";
  let value;
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === 10) kind = reader.string();
    else if (tag === 18) {
      const stop = reader.length();
      value = new Reader(reader.bytes, reader.raw, reader.at, stop);
      reader.at = stop;
    } else reader.skip(tag);
  }
  if (!kind.endsWith("/google.rpc.ErrorInfo") || !value) return undefined;
  const info = {};
  while (value.at < value.end) {
    const tag = value.uint32();
    if (tag === 10) info.reason = value.string();
    else if (tag === 18) info.domain = value.string();
    else value.skip(tag);
  }
  return info.domain === "weft" ? info.reason : undefined;
}
