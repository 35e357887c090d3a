// A plugin: endpoints, declared in code. How they are treated (who may call, for how long, from which cache) stands in plugin.toml.

import { CallError } from "./call-error.js";
import { Problem } from "./problem.js";
import { fromText, toDocument, validate } from "./schema.js";
import { Selection } from "./selection.js";
import { decode, encode } from "./text.js";

const CONTRACT = "0.1.0";
const IDENTITY = [undefined, "required", "optional"];
const OPTIONS = ["summary", "description", "params", "query", "body", "response", "status", "identity", "fields", "problems"];

/** An answer with a status, headers, or a body that is no JSON. */
export class Answer {
  constructor(body, { status = 200, headers = {} } = {}) {
    this.body = body;
    this.status = status;
    this.headers = headers;
  }
}

/** The endpoints of a plugin: `export default app` is the plugin. */
export class App {
  constructor() {
    this.endpoints = new Map();
    this.faults = [];
  }

  get(path, ...rest) { return this.endpoint("GET", path, ...rest); }
  post(path, ...rest) { return this.endpoint("POST", path, ...rest); }
  put(path, ...rest) { return this.endpoint("PUT", path, ...rest); }
  patch(path, ...rest) { return this.endpoint("PATCH", path, ...rest); }
  delete(path, ...rest) { return this.endpoint("DELETE", path, ...rest); }

  /** Declares an endpoint: method, path template, what it takes and gives, and the function that answers. */
  endpoint(method, path, ...rest) {
    const handler = rest.pop();
    const options = rest.pop() ?? {};
    const name = `${method} ${path}`;
    if (typeof handler !== "function") throw new TypeError(`${name}: the last argument is the function that answers`);
    if (this.endpoints.has(name)) this.faults.push(`${name} is declared twice`);
    const names = [...path.matchAll(/\{\*?([^}]*)\}/g)].map((match) => match[1]);
    for (const key of Object.keys(options)) {
      if (!OPTIONS.includes(key)) this.faults.push(`${name}: there is no option \`${key}\`, only ${OPTIONS.join(", ")}`);
    }
    for (const key of Object.keys(options.params ?? {})) {
      if (!names.includes(key)) this.faults.push(`${name}: \`params\` has \`${key}\`, which the path template does not have`);
    }
    if (!IDENTITY.includes(options.identity)) this.faults.push(`${name}: \`identity\` is "required" or "optional", not ${JSON.stringify(options.identity)}`);
    this.endpoints.set(name, { method, path, names, options, handler });
    return this;
  }

  /** What `weft build` asks: endpoints with their schemas. */
  describe() {
    const faults = [...this.faults];
    const endpoints = [...this.endpoints].map(([name, { method, path, names, options, handler }]) => {
      const schema = (what) => {
        const made = toDocument(options[what]);
        if (made) faults.push(...made.faults.map((fault) => `${name}: ${fault}`));
        return made?.document ?? null;
      };
      return {
        method,
        path,
        summary: options.summary ?? "",
        description: options.description ?? "",
        params: names.map((param) => ({ name: param, schema: options.params?.[param] ?? null })),
        query: options.query ? schema("query") : null,
        request: schema("body"),
        response: schema("response"),
        stream: false,
        status: options.status ?? 200,
        identity: options.identity ?? null,
        ...(options.problems ? { problems: options.problems.map(declared) } : {}),
        ...(options.fields ? { selection: true } : {}),
      };
    });
    return { contract: CONTRACT, endpoints, faults };
  }

  /** Answers one request as the contract has it. `log` takes what is not for the caller. */
  async serve(request, log) {
    const endpoint = this.endpoints.get(request.endpoint);
    try {
      if (endpoint === undefined) throw Problem.internal(`the plugin has no endpoint \`${request.endpoint}\``);
      const given = taken(request, endpoint);
      const answer = await endpoint.handler(given);
      return { ok: response(answer, endpoint.options) };
    } catch (error) {
      if (isOutOfMemory(error)) return { fatal: error };
      return { problem: problem(error, log) };
    }
  }
}

/** What QuickJS throws where the host gives no more: nothing that goes on from there can be relied on. */
function isOutOfMemory(error) {
  return error?.name === "InternalError" && error.message === "out of memory";
}

function declared({ status, kind = "", title = "", description = "" }) {
  return { status, type: kind, title, description };
}

/** What a handler is given. */
function taken(request, { names, options }) {
  const params = {};
  for (const [name, text] of request.params) {
    const schema = options.params?.[name];
    params[name] = schema ? fromText(schema, text, `path.${name}`) : text;
  }
  void names;
  return {
    endpoint: request.endpoint,
    path: request.path,
    params,
    query: query(request.query, options.query),
    headers: Object.fromEntries(request.headers),
    body: body(request, options.body),
    rawBody: request.body,
    client: request.client,
    identity: identity(request.identity, options.identity),
    fields: options.fields ? Selection.of(request.query) : Selection.all(),
    requestId: request.requestId,
    deadlineMs: request.deadlineMs,
  };
}

function identity(given, need) {
  if (!given) {
    if (need === "required") throw Problem.unauthorized("the caller has to be known: send a token");
    return undefined;
  }
  return { ...given, tenant: given.tenant ?? undefined, claims: JSON.parse(given.claims || "{}") };
}

function query(pairs, schema) {
  if (!schema) {
    const all = {};
    for (const [name, value] of pairs) if (!Object.hasOwn(all, name)) Object.defineProperty(all, name, { value, enumerable: true });
    return all;
  }
  const taken = {};
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const values = pairs.filter(([key]) => key === name).map(([, value]) => value);
    const path = `query.${name}`;
    if (inner.type === "array") {
      taken[name] = values.map((value, at) => fromText(inner.items ?? {}, value, `${path}[${at}]`));
      validate(inner, taken[name], path);
    } else if (values.length > 1) {
      throw Problem.invalid(path, `expected one value, found ${values.length}`);
    } else if (values.length === 1) {
      taken[name] = fromText(inner, values[0], path);
    } else if (inner.default !== undefined) {
      taken[name] = inner.default;
    } else if (schema.required?.includes(name)) {
      throw Problem.invalid(path, "is required, but missing");
    }
  }
  return taken;
}

function body(request, schema) {
  if (!schema) return undefined;
  let value;
  try {
    value = JSON.parse(decode(request.body));
  } catch (error) {
    throw Problem.badRequest(`body: not JSON: ${error.message}`).with("field", "body");
  }
  validate(schema, value, "body");
  return value;
}

function response(answer, options) {
  if (answer instanceof Answer) return encoded(answer.body, answer.status, answer.headers);
  return encoded(answer, options.status ?? (answer === undefined ? 204 : 200), {});
}

function encoded(value, status, headers) {
  const pairs = Object.entries(headers).map(([name, text]) => [name.toLowerCase(), String(text)]);
  const typed = (type) => (pairs.some(([name]) => name === "content-type") ? pairs : [["content-type", type], ...pairs]);
  if (value === undefined) return { status, headers: pairs, body: new Uint8Array(0), extensions: [] };
  if (value instanceof Uint8Array) return { status, headers: typed("application/octet-stream"), body: value, extensions: [] };
  if (typeof value === "string" && pairs.some(([name]) => name === "content-type")) return { status, headers: pairs, body: encode(value), extensions: [] };
  return { status, headers: typed("application/json"), body: encode(json(value)), extensions: [] };
}

/** 64-bit numbers are numbers of JSON where JavaScript can read them back, and strings where it can't. */
function json(value) {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, (_, inner) => {
      if (typeof inner !== "bigint") return inner;
      const number = Number(inner);
      return Number.isSafeInteger(number) ? number : String(inner);
    });
  }
}

function problem(error, log) {
  if (error instanceof CallError) error = error.toProblem(log);
  if (!(error instanceof Problem)) {
    log("error", `the handler threw ${error?.stack ? `${error}\n${error.stack}` : String(error)}`, {});
    error = Problem.internal("the plugin failed");
  }
  const { status, kind, title, detail, extensions } = error;
  return { status, kind, title, detail, extensions: Object.entries(extensions) };
}
