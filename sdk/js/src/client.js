// What the generated clients are made with.

export { Method, notGranted } from "./calls.js";
export { check, known } from "./wire.js";
