// What endpoints take and give: JSON Schemas (2020-12), made by `t`, and what is said to a caller whose request does not fit.

import { Problem } from "./problem.js";

const INTEGER = { type: "integer" };

/** Makes schemas. Each is a plain object that may be extended: `t.string({ maxLength: 100 })`. */
export const t = {
  string: (more = {}) => ({ type: "string", ...more }),
  boolean: (more = {}) => ({ type: "boolean", ...more }),
  number: (more = {}) => ({ type: "number", ...more }),
  integer: (more = {}) => ({ ...INTEGER, ...more }),
  /** 0 to 2^32-1, as `uint32` in protos. */
  uint32: (more = {}) => ({ ...INTEGER, format: "uint32", minimum: 0, maximum: 4294967295, ...more }),
  /** -2^31 to 2^31-1, as `int32` in protos. */
  int32: (more = {}) => ({ ...INTEGER, format: "int32", minimum: -2147483648, maximum: 2147483647, ...more }),
  array: (items, more = {}) => ({ type: "array", items, ...more }),
  /** All members are required but those that are `t.optional`. */
  object: (members, more = {}) => {
    const properties = {};
    const required = [];
    for (const [name, schema] of Object.entries(members)) {
      const { [OPTIONAL]: isOptional, ...plain } = schema;
      properties[name] = isOptional ? keepName(schema, plain) : schema;
      if (!isOptional) required.push(name);
    }
    return { type: "object", properties, ...(required.length > 0 ? { required } : {}), ...more };
  },
  /** A member that may be missing. */
  optional: (schema) => keepName(schema, { ...schema, [OPTIONAL]: true }),
  /** Or null. */
  nullable: (schema) => ({ anyOf: [schema, { type: "null" }] }),
  enum: (...values) => ({ enum: values }),
  /** Values by any names. */
  record: (values) => ({ type: "object", additionalProperties: values }),
  union: (...schemas) => ({ anyOf: schemas }),
  /** Anything at all. */
  any: () => ({}),
  /** Gives the type a name, by which the client's contract knows it. */
  named: (name, schema) => keepName({ [NAME]: name }, { ...schema }),
};

const OPTIONAL = Symbol("optional");
const NAME = Symbol("name");

function keepName(from, to) {
  if (from[NAME]) Object.defineProperty(to, NAME, { value: from[NAME], enumerable: true });
  return to;
}

/** The schema as a document: named types stand in `$defs`, once each. */
export function toDocument(schema) {
  if (schema === undefined) return null;
  const defs = {};
  const faults = [];
  const walk = (node, isRoot) => {
    if (Array.isArray(node)) return node.map((item) => walk(item, false));
    if (node === null || typeof node !== "object") return node;
    const name = node[NAME];
    const plain = () => Object.fromEntries(Object.entries(node).map(([key, value]) => [key, walk(value, false)]));
    if (name === undefined || isRoot) return isRoot && name ? { title: name, ...plain() } : plain();
    if (!(name in defs)) {
      defs[name] = {};
      defs[name] = plain();
    } else if (JSON.stringify(defs[name]) !== JSON.stringify(plain())) {
      faults.push(`two types are named \`${name}\``);
    }
    return { $ref: `#/$defs/${name}` };
  };
  const document = walk(schema, true);
  if (Object.keys(defs).length > 0) document.$defs = defs;
  return { document: { $schema: "https://json-schema.org/draft/2020-12/schema", ...document }, faults };
}

const WORDS = {
  string: "a string", boolean: "true or false", number: "a number", integer: "a whole number", array: "a list", object: "an object",
  null: "null",
};

function kindOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

/** Most faults that one body is told of. */
const MOST_TOLD = 20;

/** Throws a 400 that names every field at fault. */
export function validate(schema, value, path) {
  const faults = [];
  look(schema, value, path, faults);
  if (faults.length === 0) return;
  const problem = Problem.badRequest(faults.map(([field, text]) => `${field}: ${text}`).join("; ")).with("field", faults[0][0]);
  throw faults.length > 1 ? problem.with("fields", faults.map(([field]) => field).join(", ")) : problem;
}

function look(schema, value, path, faults) {
  if (faults.length >= MOST_TOLD) return;
  const fail = (text) => { faults.push([path, text]); };
  if (schema.anyOf) {
    const tries = schema.anyOf.map((one) => { const inner = []; look(one, value, path, inner); return inner; });
    if (tries.every((inner) => inner.length > 0)) faults.push(tries.sort((a, b) => b[0][0].length - a[0][0].length)[0][0]);
    return;
  }
  if (schema.enum && !schema.enum.includes(value)) {
    return fail(`expected ${schema.enum.map((one) => JSON.stringify(one)).join(" or ")}, found ${shown(value)}`);
  }
  if (schema.type) {
    const kind = kindOf(value);
    const fits = kind === schema.type || (kind === "integer" && schema.type === "number");
    if (!fits) return fail(`expected ${WORDS[schema.type]}, found ${shown(value)}`);
  }
  if (typeof value === "number") lookAtNumber(schema, value, fail);
  if (typeof value === "string") lookAtString(schema, value, fail);
  if (Array.isArray(value)) lookAtList(schema, value, path, faults, fail);
  else if (value !== null && typeof value === "object") lookAtObject(schema, value, path, faults);
}

function lookAtNumber(schema, value, fail) {
  if (schema.minimum !== undefined && value < schema.minimum) fail(`is less than ${schema.minimum}`);
  if (schema.maximum !== undefined && value > schema.maximum) fail(`is more than ${schema.maximum}`);
}

function lookAtString(schema, value, fail) {
  if (schema.minLength !== undefined && [...value].length < schema.minLength) fail(`has fewer than ${schema.minLength} characters`);
  if (schema.maxLength !== undefined && [...value].length > schema.maxLength) fail(`has more than ${schema.maxLength} characters`);
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)) fail(`does not fit the pattern ${schema.pattern}`);
}

function lookAtList(schema, value, path, faults, fail) {
  if (schema.minItems !== undefined && value.length < schema.minItems) fail(`has fewer than ${schema.minItems} items`);
  if (schema.maxItems !== undefined && value.length > schema.maxItems) fail(`has more than ${schema.maxItems} items`);
  if (schema.items) value.forEach((item, at) => look(schema.items, item, `${path}[${at}]`, faults));
}

function lookAtObject(schema, value, path, faults) {
  for (const name of schema.required ?? []) {
    if (!Object.hasOwn(value, name)) faults.push([`${path}.${name}`, "is required, but missing"]);
  }
  for (const [name, inner] of Object.entries(value)) {
    const known = schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    if (known) look(known, inner, `${path}.${name}`, faults);
    else if (schema.additionalProperties === false) faults.push([`${path}.${name}`, "is not known"]);
    else if (typeof schema.additionalProperties === "object") look(schema.additionalProperties, inner, `${path}.${name}`, faults);
  }
}

function shown(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** A text from a path or a query as what its schema says, checked. */
export function fromText(schema, text, path) {
  const value = parse(schema, text, path);
  validate(schema, value, path);
  return value;
}

function parse(schema, text, path) {
  switch (schema.type) {
    case "integer":
      if (/^-?\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
      break;
    case "number":
      if (text.trim() !== "" && Number.isFinite(Number(text))) return Number(text);
      break;
    case "boolean":
      if (text === "true" || text === "false") return text === "true";
      break;
    default:
      return text;
  }
  throw Problem.invalid(path, `expected ${WORDS[schema.type]}, found \`${text.slice(0, 100)}\``);
}
