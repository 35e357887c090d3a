// Endpoints, from the request to the answer.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Answer, App, CallError, Problem, t } from "../src/index.js";
import { Method } from "../src/client.js";
import { TestApp } from "../src/testing.js";

const number = (w, { id }) => { w.uint32(8); w.uint32(id ?? 0); };
const read = (r, end) => {
  const message = { id: 0 };
  while (r.at < end) r.uint32() === 8 ? (message.id = r.uint32()) : r.skip(0);
  return message;
};
const get = Method.of(0, "a.B/Get", number, read, [read, number]);
const list = Method.of(1, "a.B/List", number, read, [read, number]);

test("what is called before anything waits leaves together, and what waits for it later", async () => {
  const app = new App().get("/a", async () => {
    const first = await Promise.all([get({ id: 1 }), get({ id: 2 }), list({ id: 3 })]);
    const [second] = await Promise.all([get({ id: 4 }), (async () => { await null; return list({ id: 5 }); })()]);
    return [...first, second].map(({ id }) => id);
  });
  const answer = await new TestApp(app).backend(get, ({ id }) => ({ id: id * 10 })).backend(list, ({ id }) => ({ id })).get("/a");
  assert.deepEqual(answer.json(), [10, 20, 3, 40]);
  assert.deepEqual(answer.exchanges.map((calls) => calls.map(({ method, request }) => `${method} ${request.id}`)), [
    ["a.B/Get 1", "a.B/Get 2", "a.B/List 3"],
    ["a.B/Get 4", "a.B/List 5"],
  ]);
});

test("what fails is what its code says, and can be done without", async () => {
  const app = new App()
    .get("/plain", async () => get({ id: 1 }))
    .get("/named", async () => get({ id: 1 }).orNotFound("film", 1))
    .get("/optional", async () => (await get({ id: 1 }).optional()) ?? null);
  const failing = (code) => new TestApp(app).backend(get, () => { throw new CallError(code, "no such film"); });
  const plain = await failing("NOT_FOUND").get("/plain");
  assert.deepEqual([plain.status, plain.problem.detail, plain.problem.extensions], [404, "no such film", { method: "a.B/Get", code: "NOT_FOUND" }]);
  assert.equal((await failing("NOT_FOUND").get("/named")).problem.detail, "there is no film `1`");
  const down = await failing("UNAVAILABLE").get("/plain");
  assert.deepEqual([down.status, down.problem.detail], [503, "`a.B/Get` failed with UNAVAILABLE"]);
  assert.equal((await failing("UNAVAILABLE").get("/optional")).json(), null);
  assert.equal((await failing("PERMISSION_DENIED").get("/optional")).status, 403);
});

test("requests that don't fit are told by field", async () => {
  const rating = t.object({ stars: t.integer({ minimum: 1, maximum: 5 }), note: t.optional(t.string({ maxLength: 3 })) });
  const app = new App()
    .post("/films/{id}", { params: { id: t.uint32() }, body: rating, status: 201 }, ({ params, body }) => ({ ...params, ...body }))
    .get("/search", { query: t.object({ q: t.string(), size: t.integer({ default: 10 }), tag: t.array(t.string()) }) }, ({ query }) => query);
  const send = (path, body) => new TestApp(app).post(path, { body });
  const good = await send("/films/7", { stars: 5 });
  assert.deepEqual([good.status, good.json()], [201, { id: 7, stars: 5 }]);
  const told = async (answer) => (await answer).problem.detail;
  assert.equal(await told(send("/films/x", { stars: 5 })), "path.id: expected a whole number, found `x`");
  assert.equal(await told(send("/films/4294967296", { stars: 5 })), "path.id: is more than 4294967295");
  assert.equal(await told(send("/films/7", { note: "long" })), "body.stars: is required, but missing; body.note: has more than 3 characters");
  assert.equal((await send("/films/7", { stars: 9 })).problem.extensions.field, "body.stars");
  assert.match(await told(send("/films/7", new TextEncoder().encode("{"))), /^body: not JSON: /);
  const search = (text) => new TestApp(app).get(`/search${text}`);
  assert.deepEqual((await search("?q=a&tag=x&tag=y")).json(), { q: "a", size: 10, tag: ["x", "y"] });
  assert.equal(await told(search("")), "query.q: is required, but missing");
  assert.equal(await told(search("?q=a&q=b")), "query.q: expected one value, found 2");
});

test("answers are JSON, or what they say they are", async () => {
  const app = new App()
    .get("/big", () => ({ small: 7n, big: 2n ** 60n }))
    .get("/text", () => new Answer("grüße", { status: 202, headers: { "Content-Type": "text/plain" } }))
    .delete("/none", () => undefined)
    .get("/throws", () => { throw new TypeError("secret"); })
    .get("/problem", () => { throw Problem.conflict("no").withKind("https://a.example/no", "No"); });
  const serve = new TestApp(app);
  assert.equal((await serve.get("/big")).text(), '{"small":7,"big":"1152921504606846976"}');
  const text = await serve.get("/text");
  assert.deepEqual([text.status, text.headers, text.text()], [202, { "content-type": "text/plain" }, "grüße"]);
  assert.deepEqual([(await serve.delete("/none")).status, (await serve.delete("/none")).body.length], [204, 0]);
  const thrown = await serve.get("/throws");
  assert.deepEqual([thrown.status, thrown.problem.detail], [500, "the plugin failed"]);
  assert.match(serve.logs.at(-1).message, /TypeError: secret/);
  assert.equal((await serve.get("/problem")).problem.kind, "https://a.example/no");
});

test("the plugin says what it is, and what disagrees within it", () => {
  const Film = t.named("Film", t.object({ id: t.uint32() }));
  const app = new App().get("/films/{id}", { params: { ids: t.uint32() }, response: t.object({ a: Film, b: t.array(Film) }), identity: "yes", colour: 1 }, () => {});
  const { endpoints: [endpoint], faults } = app.describe();
  assert.deepEqual(endpoint.params, [{ name: "id", schema: null }]);
  assert.deepEqual(endpoint.response.$defs, { Film: { type: "object", properties: { id: t.uint32() }, required: ["id"] } });
  assert.deepEqual(endpoint.response.properties.b, { type: "array", items: { $ref: "#/$defs/Film" } });
  assert.equal(faults.length, 3);
  assert.match(faults.join("\n"), /no option `colour`.*\n.*`params` has `ids`.*\n.*`identity` is "required" or "optional"/);
});
