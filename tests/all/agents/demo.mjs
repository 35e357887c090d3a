// An agent in the demo: finds a film, reads about it, and looks at what there is for nobody in particular. Prints what was said.
// demo.mjs PACKAGE URL
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const [folder, url] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(`${folder}/dist/index.mjs`).href);

const shown = (value) => {
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
};
const client = new Client({ name: "agent", version: "1.0.0" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const { tools } = await client.listTools();
console.log(`→ tools/list\n← ${tools.map((tool) => tool.name).join(", ")}`);
assert.ok(!tools.some((tool) => tool.name === "post_films_by_id_rating"), "it needs a caller");

const call = async (name, args) => {
  console.log(`→ tools/call ${name} ${JSON.stringify(args)}`);
  const result = await client.callTool({ name, arguments: args });
  assert.notEqual(result.isError, true, shown(result));
  console.log(`← ${shown(result.structuredContent)}`);
  return result.structuredContent;
};
const search = tools.find((tool) => tool.name === "get_search");
assert.ok(search.inputSchema.required.length > 0);
const found = await call("get_search", { [search.inputSchema.required[0]]: "godfather" });
const film = await call("get_films_by_id", { id: 1 });
assert.equal(film.title, "The Godfather");
assert.ok(JSON.stringify(found).includes("The Godfather"));
await call("get_home", {});
await client.close();
