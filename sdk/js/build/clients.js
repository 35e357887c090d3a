// Writes typed clients: of what `weft` has read of the protos (a description in JSON) one module for each package, with its types.
//
// Each message gets a function that reads it and one that writes it, and nothing else: there are no descriptors at run time.

const SCALARS = {
  double: ["number", 1], float: ["number", 5], int64: ["long", 0], uint64: ["long", 0], int32: ["int32", 0], fixed64: ["long", 1],
  fixed32: ["uint32", 5], bool: ["boolean", 0], string: ["string", 2], bytes: ["bytes", 2], uint32: ["uint32", 0],
  sfixed32: ["int32", 5], sfixed64: ["long", 1], sint32: ["int32", 0], sint64: ["long", 0],
};
const ZERO = { long: "0n", number: "0", int32: "0", uint32: "0", boolean: "false", string: '""', bytes: "new Uint8Array(0)" };
const TYPES = { long: "bigint", number: "number", int32: "number", uint32: "number", boolean: "boolean", string: "string", bytes: "Uint8Array" };

/** The files, by their names: `catalog.v1.js` and `catalog.v1.d.ts` for the package `catalog.v1`. */
export function clients(protos) {
  const names = identifiers(protos);
  const files = {};
  for (const name of packages(protos)) {
    const file = new Package(protos, names, name);
    files[`${fileOf(name)}.js`] = file.code();
    files[`${fileOf(name)}.d.ts`] = file.types();
  }
  return files;
}

function packages(protos) {
  const all = [...Object.values(protos.messages), ...Object.values(protos.enums), ...Object.values(protos.services)];
  return [...new Set(all.map((one) => one.package))].sort();
}

const fileOf = (name) => name || "root";

/** What each type is called in its package's module: `Film.Role` is `Film_Role`, and where two would be one the later gets a number. */
function identifiers(protos) {
  const taken = new Set();
  const names = new Map();
  for (const kind of ["services", "messages", "enums"]) {
    for (const [full, { package: home }] of Object.entries(protos[kind]).sort(([a], [b]) => (a < b ? -1 : 1))) {
      const plain = full.slice(home ? home.length + 1 : 0).replaceAll(".", "_");
      let name = plain;
      for (let n = 2; taken.has(`${home}/${name}`); n++) name = `${plain}_${n}`;
      taken.add(`${home}/${name}`);
      names.set(full, name);
    }
  }
  return names;
}

class Package {
  constructor(protos, names, home) {
    Object.assign(this, { protos, names, home });
    this.imports = new Map();
    this.own = (kind) => Object.entries(protos[kind]).filter(([, one]) => one.package === home).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** A function or a type that may be another package's. */
  use(prefix, full) {
    const home = (this.protos.messages[full] ?? this.protos.enums[full]).package;
    const name = `${prefix}${this.names.get(full)}`;
    if (home === this.home) return name;
    const alias = `${name}$${fileOf(home).replaceAll(".", "_")}`;
    if (!this.imports.has(home)) this.imports.set(home, new Map());
    this.imports.get(home).set(name, alias);
    return alias;
  }

  code() {
    this.imports.clear();
    const parts = [
      ...this.own("enums").map(([full, one]) => this.enumCode(full, one)),
      ...this.own("messages").flatMap(([full, one]) => [this.reader(full, one), this.writer(full, one)]),
      ...this.own("services").map(([full, one]) => this.service(full, one)),
    ];
    const imports = [...this.imports].map(([home, names]) =>
      `import { ${[...names].map(([name, alias]) => `${name} as ${alias}`).join(", ")} } from "./${fileOf(home)}.js";\n`);
    return `// Written by \`weft\` from protos: changes are lost.\nimport { check as $check, known as $known, Method as $Method, notGranted as $notGranted } from "weft-sdk/client";\n${imports.join("")}\n${parts.join("\n")}`;
  }

  enumCode(full, { values }) {
    const name = this.names.get(full);
    const numbers = new Map();
    for (const [value, number] of values) if (!numbers.has(number)) numbers.set(number, value);
    return `const $names$${name} = ${JSON.stringify(Object.fromEntries(numbers))};
const $numbers$${name} = ${JSON.stringify(Object.fromEntries(values))};
export const read$${name} = (r) => { const number = r.int32(); return $names$${name}[number] ?? number; };
export const write$${name} = (w, value) => w.int32(typeof value === "string" ? $numbers$${name}[value] ?? $check("${full}", ${JSON.stringify(values.map(([value]) => value).join(" or "))}, value) : $check("${full}", "int32", value));
`;
  }

  zero(field) {
    if (field.map) return "Object.create(null)";
    if (field.repeated) return "[]";
    if (field.presence || field.oneof || field.kind === "message" || field.kind === "group") return undefined;
    if (field.kind === "enum") return JSON.stringify(this.protos.enums[field.type].values[0][0]);
    return this.isNumber(field) ? "0" : this.isText(field) ? '"0"' : ZERO[SCALARS[field.kind][0]];
  }

  isNumber(field) { return field.jstype === "number"; }
  isText(field) { return field.jstype === "string"; }

  /** The expression that reads one value. */
  read(field, reader = "r") {
    if (field.kind === "message") return `${this.use("read$", field.type)}(${reader}, ${reader}.length())`;
    if (field.kind === "enum") return `${this.use("read$", field.type)}(${reader})`;
    const plain = `${reader}.${field.kind === "bytes" ? "bytesField" : field.kind}()`;
    if (this.isNumber(field)) return `Number(${plain})`;
    return this.isText(field) ? `String(${plain})` : plain;
  }

  reader(full, { fields }) {
    const name = this.names.get(full);
    const known = fields.filter((field) => field.kind !== "group");
    const zeros = known.map((field) => [field, this.zero(field)]).filter(([, zero]) => zero !== undefined);
    const cases = known.flatMap((field) => this.readCases(field, known));
    return `export function read$${name}(r, end) {
  const m = {${zeros.map(([field, zero]) => ` ${key(field.json)}: ${zero}`).join(",")} };
  while (r.at < end) {
    const tag = r.uint32();
    switch (tag) {
${cases.map((one) => `      ${one}\n`).join("")}      default: r.skip(tag);
    }
  }
  if (r.at !== end) r.cut();
  return m;
}
`;
  }

  readCases(field, all) {
    const at = `m${member(field.json)}`;
    const tag = (wire) => (field.number << 3 | wire) >>> 0;
    if (field.map) {
      const [keyField, valueField] = field.map;
      const zero = this.zero({ ...valueField, presence: false }) ?? (valueField.kind === "message" ? "undefined" : "0");
      const value = valueField.kind === "message" ? `value ?? ${this.use("read$", valueField.type)}(r, r.at)` : "value";
      return [`case ${tag(2)}: { const stop = r.length(); let k = ${this.zero(keyField)}, value = ${zero}; while (r.at < stop) { const inner = r.uint32(); if (inner === ${8 | this.wire(keyField)}) k = ${this.read(keyField)}; else if (inner === ${16 | this.wire(valueField)}) value = ${this.read(valueField)}; else r.skip(inner); } ${at}[k] = ${value}; break; }`];
    }
    const wire = this.wire(field);
    if (field.repeated) {
      const cases = [`case ${tag(wire)}: ${at}.push(${this.read(field)}); break;`];
      if (wire !== 2) cases.push(`case ${tag(2)}: { const stop = r.length(); while (r.at < stop) ${at}.push(${this.read(field)}); break; }`);
      return cases;
    }
    const others = field.oneof ? all.filter((other) => other.oneof === field.oneof && other !== field) : [];
    const cleared = others.map((other) => ` delete m${member(other.json)};`).join("");
    // Pieces of one message that come apart belong together.
    if (field.kind === "message") return [`case ${tag(2)}: ${at} = r.merge(${at}, ${this.read(field)});${cleared} break;`];
    return [`case ${tag(wire)}: ${at} = ${this.read(field)};${cleared} break;`];
  }

  wire(field) {
    if (field.kind === "message") return 2;
    return field.kind === "enum" ? 0 : SCALARS[field.kind][1];
  }

  writer(full, { fields }) {
    const name = this.names.get(full);
    const known = fields.filter((field) => field.kind !== "group");
    const lines = known.map((field) => this.writeLine(full, field));
    return `const $fields$${name} = new Set(${JSON.stringify(known.map((field) => own(field.json)))});
export function write$${name}(w, m) {
  $known("${full}", $fields$${name}, m);
${lines.map((line) => `  ${line}\n`).join("")}}
`;
  }

  writeLine(full, field) {
    const at = `m${member(field.json)}`;
    const place = JSON.stringify(`${full}.${field.name}`);
    const tag = (wire) => (field.number << 3 | wire) >>> 0;
    const wire = this.wire(field);
    if (field.map) {
      const [keyField, valueField] = field.map;
      const keyed = { string: "k", bool: 'k === "true"' }[keyField.kind] ?? (SCALARS[keyField.kind][0] === "long" ? "k" : "Number(k)");
      const body = `${this.write(keyField, keyed, place, 1)} ${this.write(valueField, "v", place, 2)}`;
      return `if (${at} != null) for (const e of Object.entries($check(${place}, "object", ${at}))) { w.uint32(${tag(2)}); w.nested((w, [k, v]) => { ${body} }, e); }`;
    }
    if (field.repeated && field.packed && wire !== 2) {
      return `if (${at} != null && $check(${place}, "list", ${at}).length > 0) { w.uint32(${tag(2)}); w.nested((w, all) => { for (const v of all) ${this.value(field, "v", place)}; }, ${at}); }`;
    }
    if (field.repeated) return `if (${at} != null) for (const v of $check(${place}, "list", ${at})) { ${this.write(field, "v", place)} }`;
    const zero = this.zero(field);
    const isLong = zero !== undefined && SCALARS[field.kind]?.[0] === "long";
    const skipped = zero === undefined ? "" : field.kind === "bytes" ? ` && ${at}.length !== 0` : isLong ? ` && ${at} != 0` : ` && ${at} !== ${zero}`;
    return `if (${at} != null${skipped}) { ${this.write(field, at, place)} }`;
  }

  /** Statements that write tag and value. */
  write(field, value, place, number = field.number) {
    return `w.uint32(${(number << 3 | this.wire(field)) >>> 0}); ${this.value(field, value, place)};`;
  }

  value(field, value, place) {
    if (field.kind === "message") return `w.nested(${this.use("write$", field.type)}, $check(${place}, "object", ${value}))`;
    if (field.kind === "enum") return `${this.use("write$", field.type)}(w, ${value})`;
    return `w.${field.kind === "bytes" ? "bytesField" : field.kind}($check(${place}, "${SCALARS[field.kind][0]}", ${value}))`;
  }

  service(full, { methods }) {
    const members = methods.map(({ name, number, input, output, stream }) => {
      if (stream) return `  get ${key(lower(name))}() { throw new Error("${full}/${name} takes a stream of requests, which no plugin can send"); },`;
      if (number === null) return `  ${key(lower(name))}: $notGranted("${full}/${name}"),`;
      const codes = [this.use("write$", input), this.use("read$", output)];
      const reverse = [this.use("read$", input), this.use("write$", output)];
      return `  ${key(lower(name))}: $Method.of(${number}, "${full}/${name}", ${codes.join(", ")}, typeof WEFT_GUEST === "undefined" ? [${reverse.join(", ")}] : undefined),`;
    });
    return `export const ${this.names.get(full)} = {\n${members.join("\n")}\n};\n`;
  }

  types() {
    this.imports.clear();
    const parts = [
      ...this.own("enums").map(([full, one]) => this.enumType(full, one)),
      ...this.own("messages").map(([full, one]) => this.messageType(full, one)),
      ...this.own("services").map(([full, one]) => this.serviceType(full, one)),
    ];
    const imports = [...this.imports].map(([home, names]) =>
      `import type { ${[...names].map(([name, alias]) => `${name} as ${alias}`).join(", ")} } from "./${fileOf(home)}.js";\n`);
    return `// Written by \`weft\` from protos: changes are lost.\nimport type { Init, MethodFunction } from "weft-sdk/client";\n${imports.join("")}\n${parts.join("\n")}`;
  }

  enumType(full, { values, doc }) {
    const names = [...new Set(values.map(([value]) => JSON.stringify(value)))];
    return `${comment(doc)}export type ${this.names.get(full)} = ${names.join(" | ")} | number;\n`;
  }

  messageType(full, { fields, doc }) {
    const lines = fields.filter((field) => field.kind !== "group").map((field) => {
      const isOptional = this.zero(field) === undefined;
      return `${comment(field.doc, "  ")}  readonly ${key(field.json)}${isOptional ? "?" : ""}: ${this.typeOf(field)};\n`;
    });
    return `${comment(doc)}export interface ${this.names.get(full)} {\n${lines.join("")}}\n`;
  }

  typeOf(field) {
    if (field.map) return `{ readonly [key: string]: ${this.typeOf(field.map[1])} }`;
    const one = field.kind === "message" || field.kind === "enum" ? this.use("", field.type)
      : this.isNumber(field) ? "number" : this.isText(field) ? "string" : TYPES[SCALARS[field.kind][0]];
    return field.repeated ? `readonly ${/ /.test(one) ? `(${one})` : one}[]` : one;
  }

  serviceType(full, { methods, doc }) {
    const lines = methods.filter(({ stream }) => !stream).map(({ name, number, input, output, doc }) => {
      const type = number === null
        ? `/** Not granted: add "${full}" = ["${name}"] to [calls] in plugin.toml. */ never`
        : `MethodFunction<Init<${this.use("", input)}>, ${this.use("", output)}>`;
      return `${comment(doc, "  ")}  readonly ${key(lower(name))}: ${type};\n`;
    });
    return `${comment(doc)}export declare const ${this.names.get(full)}: {\n${lines.join("")}};\n`;
  }
}

function comment(doc, indent = "") {
  if (!doc) return "";
  const lines = doc.trim().replaceAll("*/", "* /").split("\n").map((line) => `${indent} * ${line.trim()}`.trimEnd());
  return `${indent}/**\n${lines.join("\n")}\n${indent} */\n`;
}

const isPlain = (name) => /^[A-Za-z_$][\w$]*$/.test(name);
/** The one name that is no member of its own in JavaScript gets another. */
const own = (name) => (name === "__proto__" ? "$proto" : name);
const key = (name) => (isPlain(name) ? own(name) : JSON.stringify(name));
const member = (name) => (isPlain(name) ? `.${own(name)}` : `[${JSON.stringify(name)}]`);
const lower = (name) => name.charAt(0).toLowerCase() + name.slice(1);
