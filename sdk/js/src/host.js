// What a plugin may ask of its host beside calls. In the sandbox `guest.js` puts the host's own functions here, in tests `testing.js` its own.

import { decode, encode } from "./text.js";

let functions = {
  log: () => {},
  config: () => undefined,
  cache: { get: () => undefined, set: () => {}, delete: () => {}, invalidateTag: () => {} },
};

export function setHost(given) {
  functions = given;
}

const line = (level) => (message, fields = {}) => functions.log(level, String(message), fields);

/** Lines of the host's log. */
export const log = { trace: line("trace"), debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };

/** Values of `[config]` in plugin.toml, or what the operator has set instead. */
export const config = { get: (key) => functions.config(key) ?? undefined };

/** The plugin's own cache, kept by the host; values are anything that JSON has. */
export const cache = {
  get(key, { scope = "principal" } = {}) {
    const bytes = functions.cache.get(key, scope);
    return bytes === undefined || bytes === null ? undefined : JSON.parse(decode(bytes));
  },
  set(key, value, { ttlMs, scope = "principal", tags = [] }) {
    functions.cache.set(key, encode(JSON.stringify(value)), ttlMs, scope, tags);
  },
  delete(key, { scope = "principal" } = {}) {
    functions.cache.delete(key, scope);
  },
  invalidateTag(tag) {
    functions.cache.invalidateTag(tag);
  },
};
