// What an agent does by the official TypeScript client, of the revision that is served and of those with a handshake.
// client.mjs PACKAGE URL TOKEN
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const [folder, url, token] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(`${folder}/dist/index.mjs`).href);

const ok = (what) => console.log(`ok: ${what}`);

for (const mode of [{ pin: "2026-07-28" }, "legacy"]) {
  const name = typeof mode === "string" ? mode : mode.pin;
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
  const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode } });
  await client.connect(transport);
  ok(`${name}: connected`);

  const { tools } = await client.listTools();
  const film = tools.find((tool) => tool.name === "get_films_by_id");
  assert.equal(film.annotations.readOnlyHint, true);
  assert.deepEqual(film.inputSchema.required, ["id"]);
  assert.equal(tools.find((tool) => tool.name === "get_me").outputSchema.type, "object");
  ok(`${name}: ${tools.length} tools`);

  const called = await client.callTool({ name: "get_films_by_id", arguments: { id: 7 } });
  assert.equal(called.content[0].text, "Film 7");
  // The client holds the structure against the schema.
  const me = await client.callTool({ name: "get_me", arguments: {} });
  assert.equal(me.structuredContent.subject, "ann");
  assert.deepEqual(JSON.parse(me.content[0].text), me.structuredContent);
  ok(`${name}: called, as ${me.structuredContent.subject}`);

  const order = await client.callTool({ name: "post_orders", arguments: { body: { lines: [{ film: 1, stars: 5 }] } } });
  assert.equal(order.content[0].text, "1:5 ");
  ok(`${name}: written`);

  const problem = await client.callTool({ name: "get_problem", arguments: {} });
  assert.equal(problem.isError, true);
  assert.equal(JSON.parse(problem.content[0].text).type, "https://example.org/not-out");
  ok(`${name}: a problem is a tool error`);

  await assert.rejects(client.callTool({ name: "no_such_tool", arguments: {} }), /there is no tool `no_such_tool`/);
  ok(`${name}: an unknown tool is refused`);
  await client.close();
}
