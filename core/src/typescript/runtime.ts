// What all endpoints have in common. Nothing here runs before it is called, so a bundler leaves out what is not used.

/** A token, or what gives one for each attempt: it is asked again, so that it may renew what has ended. */
export type Token =
  | string
  | null
  | undefined
  | (() => string | null | undefined | Promise<string | null | undefined>);

export interface ClientOptions {
  /** Where this client's paths begin, such as `https://bff.example.com/web`. */
  readonly baseUrl: string;
  /** Whose requests these are. It goes only to endpoints that look at it. */
  readonly token?: Token;
  /** Sent with every request, such as `{ "x-client": "web" }`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly credentials?: RequestCredentials | undefined;
  /** Instead of the platform's own. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Further attempts of what may be repeated; 2 unless said, 0 for none. */
  readonly retries?: number | undefined;
  /** Milliseconds: where a host asks for a longer pause, its answer is the result. 10,000 unless said. */
  readonly longestPause?: number | undefined;
  /** Answers that are kept to be asked for by their ETags; 100 unless said, 0 for none. */
  readonly kept?: number | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Instead of the client's own; null for none. */
  readonly token?: Token;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly retries?: number | undefined;
  /** The key of a write that must not be done twice, to send the same one again later. Made for each call unless given. */
  readonly idempotencyKey?: string | undefined;
  /** Of a stream: the id of the last event that was seen. */
  readonly lastEventId?: string | undefined;
}

/** What is known of an answer beside what it says. */
export interface Meta {
  readonly headers: Headers;
  /** What to name when you report a fault. */
  readonly requestId: string | undefined;
  /** Parts that are less than they should be, as `x-weft-degraded` names them. */
  readonly degraded: readonly string[];
  /** The host said that what was kept is still right. */
  readonly notModified: boolean;
  readonly attempts: number;
}

export interface Answered<S extends number, T> {
  readonly ok: true;
  readonly status: S;
  readonly data: T;
  readonly meta: Meta;
}

/** A problem that the endpoint declares: go by `problem.type`. */
export interface Refused<S extends number, P> {
  readonly ok: false;
  readonly status: S;
  readonly problem: P;
  readonly meta: Meta;
}

/** A status, or a type of problem, that the document did not have when this file was made: go by the class of `code` (4xx, 5xx). */
export interface Unexpected {
  readonly ok: false;
  readonly status: "unexpected";
  readonly code: number;
  readonly problem: UnknownProblem | undefined;
  readonly meta: Meta;
}

export interface UnknownProblem {
  readonly type: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly instance?: string;
  readonly [member: string]: unknown;
}

/** One event of a stream. */
export interface StreamEvent<T> {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: T;
}

/** Of `T` the members that the paths name (`cast.actor`), each with all that is in it; all where none is named. */
export type Chosen<T, P extends string> = [P] extends [never] ? T : ChosenOf<T, P>;

type ChosenOf<T, P extends string> = T extends readonly (infer I)[]
  ? ChosenOf<I, P>[]
  : T extends object
    ? { [K in keyof T as K extends Head<P> ? K : never]: K extends P ? T[K] : ChosenOf<T[K], Tail<P, K & string>> }
    : T;

type Head<P extends string> = P extends `${infer H}.${string}` ? H : P;
type Tail<P extends string, H extends string> = P extends `${H}.${infer R}` ? R : never;

/** The host has ended a stream before all was said, or something has failed in the middle of it. Ask again with `lastEventId`. */
export class StreamEnded extends Error {
  readonly reason: string;
  readonly problem: UnknownProblem | undefined;
  readonly lastEventId: string | undefined;
  constructor(reason: string, problem: UnknownProblem | undefined, lastEventId: string | undefined) {
    super(`the stream has ended: ${problem?.detail ?? reason}`);
    this.name = "StreamEnded";
    this.reason = reason;
    this.problem = problem;
    this.lastEventId = lastEventId;
  }
}

interface Kept {
  readonly etag: string;
  readonly type: string;
  readonly body: Blob;
}

export interface Client {
  readonly options: ClientOptions;
  readonly kept: Map<string, Kept>;
}

export function createClient(options: ClientOptions): Client {
  return { options, kept: new Map() };
}

/** Forgets all kept answers: when somebody signs out. */
export function forget(client: Client): void {
  client.kept.clear();
}

type Reading = "json" | "text" | "blob" | "none" | "events" | "textEvents" | "problem" | readonly string[];

interface Endpoint {
  readonly method: string;
  readonly path: string;
  /** Whether it looks at who calls. */
  readonly auth: boolean;
  readonly accept: string;
  readonly answers: { readonly [status: number]: Reading };
  /** The media type of the body; an empty one is the caller's to say. */
  readonly content?: string;
  readonly repeatable?: boolean;
  /** What reads its streams: named by those endpoints only that have some, so that others are bundled without it. */
  readonly events?: typeof eventsOf;
}

interface Arguments {
  readonly path?: object | undefined;
  readonly query?: object | undefined;
  readonly headers?: object | undefined;
  readonly body?: unknown;
}

async function call<R>(client: Client, endpoint: Endpoint, given: Arguments = {}, more: CallOptions = {}): Promise<R> {
  const key = endpoint.repeatable ? (more.idempotencyKey ?? newKey()) : undefined;
  const mayRepeat = endpoint.method === "GET" || key !== undefined;
  const retries = mayRepeat ? (more.retries ?? client.options.retries ?? 2) : 0;
  const url = addressOf(client.options.baseUrl, endpoint.path, given);
  for (let attempt = 1; ; attempt++) {
    const request = await requestOf(client, endpoint, given, more, key);
    const known = keptFor(client, endpoint, url, request);
    if (known.answer) request.headers.set("if-none-match", known.answer.etag);
    let response: Response;
    try {
      response = await (client.options.fetch ?? globalThis.fetch)(url, request);
    } catch (failure) {
      if (attempt > retries || more.signal?.aborted) throw failure;
      await pause(backoff(attempt), more.signal);
      continue;
    }
    const wait = attempt > retries ? undefined : pauseBefore(response, attempt, client.options.longestPause ?? 10_000);
    if (wait === undefined) return (await resultOf(client, endpoint, response, known, attempt)) as R;
    await response.body?.cancel();
    await pause(wait, more.signal);
  }
}

function addressOf(base: string, template: string, given: Arguments): string {
  const values = (given.path ?? {}) as Record<string, unknown>;
  const path = template.replace(/\{(\*?)([^}]*)\}/g, (_, rest: string, name: string) => {
    if (values[name] === undefined || values[name] === null) throw new TypeError(`path.${name} is missing`);
    const parts = rest ? String(values[name]).split("/") : [String(values[name])];
    for (const part of parts) {
      // URLs take such segments away, and another endpoint would be asked.
      if (part === "" || part === "." || part === "..") throw new TypeError(`path.${name}: ${JSON.stringify(part)} can't be a segment`);
    }
    return parts.map(encodeURIComponent).join("/");
  });
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given.query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null) query.append(name, typeof one === "object" ? JSON.stringify(one) : String(one));
    }
  }
  const search = query.toString();
  return base.replace(/\/+$/, "") + path + (search && `?${search}`);
}

async function requestOf(client: Client, endpoint: Endpoint, given: Arguments, more: CallOptions, key: string | undefined) {
  const { options } = client;
  const headers = new Headers({ accept: endpoint.accept, ...options.headers, ...more.headers });
  for (const [name, value] of Object.entries(given.headers ?? {})) {
    if (value !== undefined && value !== null) headers.set(name, String(value));
  }
  if (key !== undefined) headers.set("idempotency-key", key);
  if (more.lastEventId !== undefined) headers.set("last-event-id", more.lastEventId);
  const source = more.token === undefined ? options.token : more.token;
  const token = endpoint.auth ? await (typeof source === "function" ? source() : source) : undefined;
  more.signal?.throwIfAborted();
  if (token !== undefined && token !== null) headers.set("authorization", `Bearer ${token}`);
  const request: RequestInit & { headers: Headers } = { method: endpoint.method, headers };
  if (options.credentials) request.credentials = options.credentials;
  if (more.signal) request.signal = more.signal;
  if (given.body !== undefined && endpoint.content !== undefined) {
    const isJson = /[/+]json$/.test(endpoint.content);
    if (endpoint.content && endpoint.content !== "multipart/form-data") headers.set("content-type", endpoint.content);
    request.body = isJson ? JSON.stringify(given.body) : (given.body as BodyInit);
  }
  return request;
}

/** What is kept is found by all that an answer may differ by: the token among it, so nobody gets another one's. */
function keptFor(client: Client, endpoint: Endpoint, url: string, request: { headers: Headers; credentials?: RequestCredentials }) {
  const most = client.options.kept ?? 100;
  if (endpoint.method !== "GET" || most <= 0 || endpoint.events || request.headers.has("if-none-match")) return {};
  const key = JSON.stringify([url, request.credentials ?? "", [...request.headers].sort()]);
  const answer = client.kept.get(key);
  return answer ? { key, answer } : { key };
}

function keep(client: Client, key: string, answer: Kept): void {
  client.kept.delete(key);
  client.kept.set(key, answer);
  for (const oldest of client.kept.keys()) {
    if (client.kept.size <= (client.options.kept ?? 100)) break;
    client.kept.delete(oldest);
  }
}

async function resultOf(
  client: Client,
  endpoint: Endpoint,
  response: Response,
  known: { key?: string; answer?: Kept },
  attempts: number,
): Promise<unknown> {
  const notModified = response.status === 304 && known.answer !== undefined;
  const meta: Meta = {
    headers: response.headers,
    requestId: response.headers.get("x-request-id") ?? undefined,
    degraded: (response.headers.get("x-weft-degraded") ?? "").split(",").map((part) => part.trim()).filter(Boolean),
    notModified,
    attempts,
  };
  const status = notModified ? 200 : response.status;
  const reading = endpoint.answers[status];
  if (endpoint.events && (reading === "events" || reading === "textEvents")) {
    return { ok: true, status, data: endpoint.events(response, reading === "events"), meta };
  }
  const type = (notModified ? known.answer?.type : response.headers.get("content-type")) ?? "";
  const body = notModified && known.answer ? known.answer.body : await response.blob();
  const etag = response.headers.get("etag");
  if (known.key !== undefined && response.status === 200 && etag) keep(client, known.key, { etag, type, body });
  if (known.key !== undefined && notModified && known.answer) keep(client, known.key, known.answer);
  let data: unknown;
  try {
    if (reading === "blob") data = body;
    else if (reading === "text") data = await body.text();
    else if (reading !== "none" && (reading === "json" || /[/+]json\b/.test(type))) data = JSON.parse(await body.text());
  } catch {
    return { ok: false, status: "unexpected", code: status, problem: undefined, meta };
  }
  if (reading !== undefined && status < 400) return { ok: true, status, data, meta };
  const isDeclared = typeof reading === "object" ? isProblem(data) && reading.includes(data.type) : reading !== undefined;
  if (isDeclared) return { ok: false, status, problem: data, meta };
  return { ok: false, status: "unexpected", code: status, problem: isProblem(data) ? data : undefined, meta };
}

function isProblem(data: unknown): data is UnknownProblem {
  return typeof data === "object" && data !== null && typeof (data as { type?: unknown }).type === "string";
}

/** Milliseconds until the next attempt; undefined where this answer is the result. */
function pauseBefore(response: Response, attempt: number, longest: number): number | undefined {
  const asked = response.headers.get("retry-after");
  const isPassing = [429, 502, 503, 504].includes(response.status) || (response.status === 409 && asked !== null);
  if (!isPassing) return undefined;
  const seconds = asked === null ? Number.NaN : Number(asked);
  const wait = asked === null ? backoff(attempt) : Number.isNaN(seconds) ? Date.parse(asked) - Date.now() : seconds * 1000;
  return wait <= longest ? Math.max(0, wait) : undefined;
}

function backoff(attempt: number): number {
  return Math.min(5_000, 100 * 2 ** attempt) * (0.5 + Math.random() / 2);
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

function newKey(): string {
  // `randomUUID` is missing on pages without TLS.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What the host says at the end of a stream that it ends. */
function ended(event: string, text: string, lastEventId: string | undefined): StreamEnded {
  const said: unknown = JSON.parse(text);
  if (event === "weft.problem") return new StreamEnded("problem", isProblem(said) ? said : undefined, lastEventId);
  const reason = (said as { reason?: unknown } | null)?.reason;
  return new StreamEnded(typeof reason === "string" ? reason : "unknown", undefined, lastEventId);
}

/** The longest event that is read, in characters. */
const LONGEST_EVENT = 16 * 1024 * 1024;

/** Events as they come, by the rules of the HTML standard; an event that breaks off is none. Throws a `StreamEnded` where the host says so. Leaving the loop ends the request. */
export async function* eventsOf(response: Response, isJson: boolean): AsyncGenerator<StreamEvent<unknown>, void, undefined> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const decoder = new TextDecoder();
  let [text, event, data, id]: [string, string, string[], string | undefined] = ["", "", [], undefined];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, { stream: true });
      let from = 0;
      for (;;) {
        const end = text.slice(from).search(/[\r\n]/);
        // A CR at the very end may be half of a CR LF.
        if (end < 0 || (!done && text[from + end] === "\r" && from + end + 1 === text.length)) break;
        const line = text.slice(from, from + end);
        from += end + (text.startsWith("\r\n", from + end) ? 2 : 1);
        size += line.length;
        if (line === "") {
          if (data.length > 0) {
            const joined = data.join("\n");
            if (event === "weft.end" || event === "weft.problem") throw ended(event, joined, id);
            yield { event: event || "message", id, data: isJson ? JSON.parse(joined) : joined };
          }
          [event, data, size] = ["", [], 0];
          continue;
        }
        const colon = line.indexOf(":");
        const name = colon < 0 ? line : line.slice(0, colon);
        const rest = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (name === "data") data.push(rest);
        else if (name === "event") event = rest;
        else if (name === "id" && !rest.includes("\0")) id = rest;
      }
      text = text.slice(from);
      if (size + text.length > LONGEST_EVENT) throw new RangeError(`an event has more than ${LONGEST_EVENT} characters`);
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
