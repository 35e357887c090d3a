import type { App, Identity } from "./index.js";
import type { Init, MethodFunction } from "./client.js";

interface More {
  body?: unknown;
  headers?: { [name: string]: string };
  identity?: Partial<Identity>;
}

/** A plugin together with the backends of a test. */
export declare class TestApp {
  constructor(app: App);
  /** Answers calls of this method. What it throws as a `CallError` is the failure of the call. */
  backend<Request, Reply>(call: MethodFunction<Init<Request>, Reply>, answer: (request: Request) => Init<Reply> | Promise<Init<Reply>>): this;
  config(key: string, value: string): this;
  get(path: string, more?: More): Promise<TestResponse>;
  post(path: string, more?: More): Promise<TestResponse>;
  put(path: string, more?: More): Promise<TestResponse>;
  patch(path: string, more?: More): Promise<TestResponse>;
  delete(path: string, more?: More): Promise<TestResponse>;
  readonly logs: readonly { level: string; message: string; fields: { [name: string]: unknown } }[];
}

export declare class TestResponse {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  readonly body: Uint8Array;
  readonly problem?: { status: number; kind: string; title: string; detail: string; extensions: { [name: string]: string } };
  /** For each crossing to the host the calls that left together. */
  readonly exchanges: readonly (readonly { method: string; request: unknown }[])[];
  text(): string;
  json(): any;
}
