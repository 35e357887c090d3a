/** A message as callers give it: members may be missing, and 64-bit numbers may be plain ones. */
export type Init<T> = T extends Uint8Array ? T
  : T extends bigint ? bigint | number
  : T extends readonly (infer U)[] ? readonly Init<U>[]
  : T extends object ? { readonly [K in keyof T]?: Init<T[K]> | undefined }
  : T;

export interface Meta<T> {
  readonly message: T;
  readonly origin: "upstream" | "coalesced" | "cache" | "stale" | "fallback" | "other";
  readonly ageMs: number;
}

/** A call on its way. It leaves with all others that were made before anything had to wait. Replies are shared: don't change them. */
export interface Call<T> extends PromiseLike<T> {
  catch<U>(rejected: (error: unknown) => U | PromiseLike<U>): Promise<T | U>;
  finally(run: () => void): Promise<T>;
  /** Fails with `DEADLINE_EXCEEDED` if it takes longer. */
  timeout(ms: number): this;
  /** If the backend fails, takes an old reply from the host's cache. */
  orStale(): this;
  /** If the backend fails, takes an empty message. */
  orDefault(): this;
  /** `undefined` where the backend answers `NOT_FOUND`. */
  ifFound(): Promise<T | undefined>;
  /** `undefined` where the backend answers `NOT_FOUND` or can't answer. */
  optional(): Promise<T | undefined>;
  /** As `optional`, and `undefined` where this caller may not see it. */
  optionalIfDenied(): Promise<T | undefined>;
  /** A 404 that names what there is none of, where the backend answers `NOT_FOUND`. */
  orNotFound(what: string, id: unknown): Promise<T>;
  withMeta(): Promise<Meta<T>>;
}

export interface MethodFunction<Request, Reply> {
  (request?: Request): Call<Reply>;
  readonly method: { readonly name: string };
}
