/** JSON Schema (2020-12) of a `T`. */
export interface Schema<T> {
  readonly __type?: T;
  readonly [keyword: string]: unknown;
}

/** The TypeScript type of what a schema describes. */
export type Static<S> = S extends Schema<infer T> ? T : never;

declare const optional: unique symbol;
export interface OptionalSchema<T> extends Schema<T> {
  readonly [optional]: true;
}

type Keywords = { readonly [keyword: string]: unknown };
type Members = { readonly [name: string]: Schema<unknown> };
type OptionalNames<M extends Members> = { [K in keyof M]: M[K] extends OptionalSchema<unknown> ? K : never }[keyof M];
type Whole<M extends Members> = { [K in Exclude<keyof M, OptionalNames<M>>]: Static<M[K]> } & { [K in OptionalNames<M>]?: Static<M[K]> };

/** Makes schemas. */
export declare const t: {
  string(more?: Keywords): Schema<string>;
  boolean(more?: Keywords): Schema<boolean>;
  number(more?: Keywords): Schema<number>;
  integer(more?: Keywords): Schema<number>;
  /** 0 to 2^32-1, as `uint32` in protos. */
  uint32(more?: Keywords): Schema<number>;
  /** -2^31 to 2^31-1, as `int32` in protos. */
  int32(more?: Keywords): Schema<number>;
  array<T>(items: Schema<T>, more?: Keywords): Schema<T[]>;
  /** All members are required but those that are `t.optional`. */
  object<M extends Members>(members: M, more?: Keywords): Schema<Whole<M>>;
  /** A member that may be missing. */
  optional<T>(schema: Schema<T>): OptionalSchema<T>;
  /** Or null. */
  nullable<T>(schema: Schema<T>): Schema<T | null>;
  enum<const V extends readonly (string | number)[]>(...values: V): Schema<V[number]>;
  /** Values by any names. */
  record<T>(values: Schema<T>): Schema<{ [name: string]: T }>;
  union<S extends readonly Schema<unknown>[]>(...schemas: S): Schema<Static<S[number]>>;
  any(): Schema<unknown>;
  /** Gives the type a name, by which the client's contract knows it. */
  named<S extends Schema<unknown>>(name: string, schema: S): S;
};

/** The verified caller. */
export interface Identity {
  readonly issuer: string;
  /** Empty where the response is kept for a whole tenant. */
  readonly subject: string;
  readonly tenant?: string;
  readonly scopes: readonly string[];
  /** Those that plugin.toml names in `claims`. */
  readonly claims: { readonly [name: string]: unknown };
}

/** Which members of the answer a request asks for (`?fields=`). */
export interface Selection {
  /** Whether something of this member is asked for. */
  has(path: string): boolean;
}

export interface Request<P, Q, B> {
  /** Method and template, as declared: `GET /films/{id}`. */
  readonly endpoint: string;
  readonly path: string;
  readonly params: P;
  readonly query: Q;
  /** Those that plugin.toml names in `headers`, by their names in lower case. */
  readonly headers: { readonly [name: string]: string };
  readonly body: B;
  readonly rawBody: Uint8Array;
  readonly client: string;
  readonly identity?: Identity;
  readonly fields: Selection;
  readonly requestId: string;
  readonly deadlineMs: number;
}

export interface DeclaredProblem {
  status: number;
  kind?: string;
  title?: string;
  description?: string;
}

export interface Options<P extends Members, Q, B, R> {
  summary?: string;
  description?: string;
  /** Schemas of the template's parameters; without one a parameter is a string. */
  params?: P;
  /** An object; without it the query is strings by name. */
  query?: Schema<Q>;
  /** The JSON body; without it the body is not read. */
  body?: Schema<B>;
  response?: Schema<R>;
  /** Of a good answer: 200, or 204 where the handler returns nothing. */
  status?: number;
  identity?: "required" | "optional";
  /** Whether the handler looks at `request.fields`. */
  fields?: boolean;
  problems?: readonly DeclaredProblem[];
}

type Returned<R> = R | Answer | Promise<R | Answer>;
type Handler<P extends Members, Q, B, R> = (request: Request<{ readonly [K in keyof P]: Static<P[K]> }, Q, B>) => Returned<R>;
type Plain = { readonly [name: string]: string };

interface Declare {
  (path: string, handler: (request: Request<Plain, Plain, undefined>) => Returned<unknown>): App;
  <P extends Members = { [name: string]: Schema<string> }, Q = Plain, B = undefined, R = unknown>(path: string, options: Options<P, Q, B, R>, handler: Handler<P, Q, B, NoInfer<R>>): App;
}

/** The endpoints of a plugin: `export default app` is the plugin. */
export declare class App {
  get: Declare;
  post: Declare;
  put: Declare;
  patch: Declare;
  delete: Declare;
}

/** An answer with a status, headers, or a body that is no JSON: `new Answer("…", { headers: { "content-type": "text/plain" } })`. */
export declare class Answer {
  private readonly answer;
  constructor(body?: unknown, more?: { status?: number; headers?: { [name: string]: string } });
}

/** An error answer (`application/problem+json`): throw it. */
export declare class Problem extends Error {
  constructor(status: number, detail: string);
  static badRequest(detail: string): Problem;
  /** 400, with the field at fault, as in `body.stars`. */
  static invalid(field: string, detail: string): Problem;
  static unauthorized(detail: string): Problem;
  static forbidden(detail: string): Problem;
  static notFound(what: string, id: unknown): Problem;
  static conflict(detail: string): Problem;
  static unprocessable(detail: string): Problem;
  static internal(detail: string): Problem;
  static badGateway(detail: string): Problem;
  static unavailable(detail: string): Problem;
  static gatewayTimeout(detail: string): Problem;
  with(name: string, value: unknown): this;
  withKind(uri: string, title?: string): this;
  readonly status: number;
  readonly detail: string;
}

export type Code =
  | "CANCELLED" | "UNKNOWN" | "INVALID_ARGUMENT" | "DEADLINE_EXCEEDED" | "NOT_FOUND" | "ALREADY_EXISTS" | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED" | "FAILED_PRECONDITION" | "ABORTED" | "OUT_OF_RANGE" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE"
  | "DATA_LOSS" | "UNAUTHENTICATED";

/** Why a call failed. Where nobody catches it, the caller gets the status that belongs to its code. */
export declare class CallError extends Error {
  constructor(code: Code, message?: string);
  readonly code: Code;
  readonly method: string;
  /** Whether the backend could not answer, as opposed to having said no. */
  readonly isBackendFailure: boolean;
}

type Line = (message: string, fields?: { [name: string]: unknown }) => void;
/** Lines of the host's log. */
export declare const log: { trace: Line; debug: Line; info: Line; warn: Line; error: Line };
/** Values of `[config]` in plugin.toml. */
export declare const config: { get(key: string): string | undefined };

type Scope = "principal" | "tenant" | "public";
/** The plugin's own cache, kept by the host; values are anything that JSON has. */
export declare const cache: {
  get(key: string, more?: { scope?: Scope }): unknown;
  set(key: string, value: unknown, more: { ttlMs: number; scope?: Scope; tags?: string[] }): void;
  delete(key: string, more?: { scope?: Scope }): void;
  invalidateTag(tag: string): void;
};
