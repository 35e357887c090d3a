// The SDK for plugins in JavaScript and TypeScript.

export { Answer, App } from "./app.js";
export { CallError } from "./call-error.js";
export { cache, config, log } from "./host.js";
export { Problem } from "./problem.js";
export { t } from "./schema.js";
