// A plugin as its clients see it, natively: backends are functions, and nothing is built. For `node --test`, or any other runner.

import { begin, end } from "./calls.js";
import { CallError, CODES } from "./call-error.js";
import { setHost } from "./host.js";
import { decode, encode } from "./text.js";
import { Reader, Writer } from "./wire.js";

/** How long a handler may wait for something that is no call. */
const LONGEST_WAIT_MS = 5000;

/** A plugin together with the backends of a test. */
export class TestApp {
  constructor(app) {
    const { faults } = app.describe();
    if (faults.length > 0) throw new Error(`\`weft build\` would refuse this plugin: ${faults.join("; ")}`);
    this.app = app;
    this.answers = new Map();
    this.values = new Map();
    this.logs = [];
    this.turn = Promise.resolve();
  }

  /** Answers calls of this method: `app.backend(Films.getFilm, ({ id }) => ({ id, title: "Alien" }))`. */
  backend(call, answer) {
    if (!call?.method?.reverse) throw new TypeError("backend() takes a method that plugin.toml grants, as in `Films.getFilm`");
    this.answers.set(call.method.name, { method: call.method, answer });
    return this;
  }

  /** Sets a value of `[config]`. */
  config(key, value) {
    this.values.set(key, String(value));
    return this;
  }

  get(path, more) { return this.request("GET", path, more); }
  post(path, more) { return this.request("POST", path, more); }
  put(path, more) { return this.request("PUT", path, more); }
  patch(path, more) { return this.request("PATCH", path, more); }
  delete(path, more) { return this.request("DELETE", path, more); }

  /** Sends a request; `more` may have `body` (sent as JSON), `headers` and `identity`. Requests are served one after the other. */
  request(method, path, more = {}) {
    const answer = this.turn.then(() => this.serve(method, path, more));
    this.turn = answer.catch(() => {});
    return answer;
  }

  async serve(method, path, more) {
    const request = this.given(method, path, more);
    setHost(this.host());
    const calls = begin();
    const exchanges = [];
    let outcome;
    const log = (level, message, fields) => this.logs.push({ level, message, fields });
    this.app.serve(request, log).then((made) => { outcome = made; });
    const last = Date.now() + LONGEST_WAIT_MS;
    try {
      for (;;) {
        // All jobs of the engine run before an immediate does.
        await new Promise((resume) => { setImmediate(resume); });
        if (outcome) return new TestResponse(outcome, exchanges);
        if (calls.queued.length > 0) {
          exchanges.push(await this.exchange(calls));
        } else if (Date.now() > last) {
          throw new Error(`${request.endpoint}: the handler waits for something that no call can bring about`);
        } else {
          await new Promise((resume) => { setTimeout(resume, 1); });
        }
      }
    } finally {
      end();
    }
  }

  given(method, path, { body, headers = {}, identity = undefined }) {
    const [plain, search = ""] = path.split("?", 2);
    const found = [...this.app.endpoints.values()].map((endpoint) => [endpoint, match(endpoint, method, plain)]).find(([, params]) => params);
    if (!found) throw new Error(`the plugin has no endpoint for ${method} ${plain}, only ${[...this.app.endpoints.keys()].join(", ")}`);
    const [endpoint, params] = found;
    const known = identity && { issuer: "https://issuer.example", subject: "", scopes: [], ...identity, claims: JSON.stringify(identity.claims ?? {}) };
    return {
      endpoint: `${endpoint.method} ${endpoint.path}`,
      path: plain,
      params,
      query: [...new URLSearchParams(search)],
      headers: Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
      body: body === undefined ? new Uint8Array(0) : body instanceof Uint8Array ? body : encode(JSON.stringify(body)),
      client: "test",
      identity: known,
      requestId: "test",
      deadlineMs: 10_000,
      extensions: [],
    };
  }

  async exchange(calls) {
    const first = calls.sent.length;
    const { heads, messages } = calls.handOut();
    const sent = calls.sent.slice(first).map((call, at) => {
      const { offset, len } = heads[at];
      const known = this.answers.get(call.method.name);
      if (!known) throw new Error(`no backend answers ${call.method.name}: give the test one with backend()`);
      const [read] = known.method.reverse;
      const reader = new Reader(messages, undefined, offset, offset + len);
      return { method: call.method.name, request: read(reader, reader.end), known, flags: heads[at].flags };
    });
    const replies = await Promise.all(sent.map((one) => reply(one)));
    const writer = new Writer();
    const completions = replies.map(({ code, write, message }, at) => {
      const offset = writer.at;
      write(writer, message);
      return { ticket: first + at, code, origin: 0, ageMs: 0, offset, len: writer.at - offset };
    });
    calls.deliver(completions, writer.bytes.subarray(0, writer.at));
    return sent.map(({ method, request }) => ({ method, request }));
  }

  host() {
    const entries = new Map();
    const key = (name, scope) => `${scope}/${name}`;
    this.entries ??= entries;
    return {
      log: (level, message, fields) => this.logs.push({ level, message, fields }),
      config: (name) => this.values.get(name),
      cache: {
        get: (name, scope) => this.entries.get(key(name, scope))?.value,
        set: (name, value, ttlMs, scope, tags) => { this.entries.set(key(name, scope), { value, tags }); },
        delete: (name, scope) => { this.entries.delete(key(name, scope)); },
        invalidateTag: (tag) => {
          for (const [name, { tags }] of this.entries) if (tags.includes(tag)) this.entries.delete(name);
        },
      },
    };
  }
}

async function reply({ request, known: { method, answer }, flags }) {
  const [, write] = method.reverse;
  try {
    return { code: 0, write, message: (await answer(request)) ?? {} };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    if (flags & (1 << 17) && error.isBackendFailure) return { code: 0, write, message: {} };
    return { code: CODES.indexOf(error.code), write: status, message: error };
  }
}

/** `google.rpc.Status`. */
function status(writer, error) {
  writer.uint32(8);
  writer.uint32(CODES.indexOf(error.code));
  writer.uint32(18);
  writer.string(error.message);
}

function match({ method, path, names }, asked, given) {
  if (method !== asked) return undefined;
  const pattern = path.split("/").map((part) => {
    if (/^\{\*.*\}$/.test(part)) return "(.+)";
    return part.startsWith("{") ? "([^/]+)" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  const found = new RegExp(`^${pattern.join("/")}$`).exec(given);
  return found && names.map((name, at) => [name, decodeURIComponent(found[at + 1])]);
}

/** What came of a request. */
export class TestResponse {
  constructor({ ok, problem }, exchanges) {
    this.status = (ok ?? problem).status;
    this.headers = Object.fromEntries(ok?.headers ?? [["content-type", "application/problem+json"]]);
    this.body = ok?.body ?? new Uint8Array(0);
    /** The problem, with the members of its extensions. */
    this.problem = problem && { ...problem, extensions: Object.fromEntries(problem.extensions) };
    /** For each crossing to the host the calls that left together: their methods and requests. */
    this.exchanges = exchanges;
  }

  text() {
    return decode(this.body);
  }

  json() {
    if (this.problem) throw new Error(`the answer is a problem: ${this.status} ${this.problem.detail}`);
    return JSON.parse(this.text());
  }
}
