#!/usr/bin/env node
// What `weft build` has Node do: write the clients, ask the plugin what it is, make a component of it.
//
//   node main.js clients   FOLDER    .weft/protos.json -> .weft/protos/*.js, *.d.ts
//   node main.js describe  FOLDER    prints what the code says of itself, as JSON
//   node main.js component FOLDER    -> .weft/component.wasm

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { bundle, describe } from "./bundle.js";
import { clients } from "./clients.js";
import { component } from "./component.js";

const COMMANDS = {
  clients(folder) {
    const protos = JSON.parse(readFileSync(join(folder, ".weft/protos.json"), "utf8"));
    const out = join(folder, ".weft/protos");
    mkdirSync(out, { recursive: true });
    const files = clients(protos);
    for (const old of readdirSync(out)) if (!(old in files)) rmSync(join(out, old));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(out, name), text);
  },

  async describe(folder) {
    process.stdout.write(JSON.stringify(await describe(folder)));
  },

  async component(folder) {
    const file = join(folder, ".weft/component.wasm");
    writeFileSync(file, await component(folder, await bundle(folder)));
  },
};

const [command, folder = "."] = process.argv.slice(2);
if (!(command in COMMANDS)) {
  console.error(`weft-js: expected one of ${Object.keys(COMMANDS).join(", ")}`);
  process.exit(2);
}
try {
  await COMMANDS[command](resolve(folder));
} catch (error) {
  // What is wrong with the plugin is told in one piece; only what is wrong here has a trace.
  console.error(error.isPlugins ? error.message : error.stack ?? String(error));
  process.exit(1);
}
