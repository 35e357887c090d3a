// What the runtime of a typed client promises, against a server that answers as it is told. `node behaviour.mjs CLIENT.js`
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const bff = await import(pathToFileURL(process.argv[2]));
const seen = [];
let script = () => ({});
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", async () => {
    const asked = { method: request.method, url: request.url, headers: request.headers, body };
    seen.push(asked);
    const said = await script(asked, seen.length, request, response);
    if (said === undefined) return;
    const { status = 200, headers = {}, json, text = json === undefined ? "" : JSON.stringify(json) } = said;
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
  });
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const baseUrl = `http://127.0.0.1:${server.address().port}/web/`;
const client = (more = {}) => bff.createClient({ baseUrl, ...more });
const answered = (next) => {
  seen.length = 0;
  script = next;
};
const problem = (status, type, headers = {}) => ({
  status,
  headers: { "content-type": "application/problem+json", ...headers },
  json: { type, title: "t", status },
});
const film = (id) => ({ path: { id } });
const tests = {
  async "a path is written so that it leads nowhere else"() {
    answered(() => ({ json: { id: "1" } }));
    await bff.getFilm(client(), { path: { id: "a/b?c#d %" }, query: { tag: ["x y", "&="] } });
    assert.equal(seen[0].url, "/web/films/a%2Fb%3Fc%23d%20%25?tag=x+y&tag=%26%3D");
    for (const id of ["..", ".", "", undefined]) await assert.rejects(bff.getFilm(client(), film(id)), TypeError);
    answered(() => ({ headers: { "content-type": "text/plain" }, text: "here" }));
    const file = await bff.getFile(client(), { path: { path: "a b/c" } });
    assert.deepEqual([file.data, seen[0].url], ["here", "/web/files/a%20b/c"]);
    await assert.rejects(bff.getFile(client(), { path: { path: "a/../b" } }), TypeError);
    assert.equal(seen.length, 1);
  },

  async "a token is asked for anew, and goes only where callers are looked at"() {
    answered(() => ({ json: { id: "1" } }));
    let number = 0;
    const signed = client({ token: async () => `t${++number}` });
    await bff.getFilm(signed, film("1"));
    await bff.getFilm(signed, film("1"));
    await bff.getFilm(signed, film("1"), { token: "mine" });
    await bff.getFilm(signed, film("1"), { token: null });
    await bff.getFile(signed, { path: { path: "a" } });
    const tokens = seen.map((asked) => asked.headers.authorization);
    assert.deepEqual(tokens, ["Bearer t1", "Bearer t2", "Bearer mine", undefined, undefined]);
  },

  async "results are told apart by status, and problems by type"() {
    answered(() => problem(404, "about:blank", { "x-request-id": "r1" }));
    const missing = await bff.getFilm(client(), film("1"));
    assert.deepEqual([missing.ok, missing.status, missing.problem.type, missing.meta.requestId], [false, 404, "about:blank", "r1"]);
    // A type that this file does not know is not passed off as one that it does.
    answered(() => problem(404, "urn:new"));
    const other = await bff.getFilm(client(), film("1"));
    assert.deepEqual([other.ok, other.status, other.code, other.problem.type], [false, "unexpected", 404, "urn:new"]);
    answered(() => ({ status: 418, headers: { "content-type": "text/html" }, text: "<p>" }));
    const strange = await bff.getFilm(client(), film("1"));
    assert.deepEqual([strange.status, strange.code, strange.problem], ["unexpected", 418, undefined]);
    answered(() => ({ text: "{" }));
    assert.equal((await bff.getFilm(client(), film("1"))).status, "unexpected");
    answered(() => ({ json: { id: "1" }, headers: { "x-weft-degraded": "a/B;how=stale, c/D;how=cut" } }));
    const good = await bff.getFilm(client(), film("1"));
    assert.deepEqual([good.data.id, good.meta.degraded], ["1", ["a/B;how=stale", "c/D;how=cut"]]);
  },

  async "what is not modified is taken from what was kept, of the same token only"() {
    answered(({ headers }) => {
      const etag = `"${headers.authorization ?? "nobody"}"`;
      if (headers["if-none-match"] === etag) return { status: 304, headers: { etag } };
      return { headers: { etag }, json: { id: "1", seen: headers["if-none-match"] ?? "none" } };
    });
    const shared = client();
    const ask = (token) => bff.getFilm(shared, film("1"), { token });
    const [first, again, others, mine] = [await ask("a"), await ask("a"), await ask("b"), await ask("a")];
    assert.deepEqual([first.meta.notModified, again.meta.notModified, others.meta.notModified, mine.meta.notModified], [false, true, false, true]);
    // Nobody is asked about by another one's tag.
    assert.deepEqual(seen.map((asked) => asked.headers["if-none-match"]), [undefined, '"Bearer a"', undefined, '"Bearer a"']);
    assert.notEqual(again.data, first.data, "who changes an answer changes nobody else's");
    assert.deepEqual(again.data, first.data);
    bff.forget(shared);
    assert.equal((await ask("a")).meta.notModified, false);
    // As many as are asked for, the oldest first out.
    const small = client({ kept: 1 });
    for (const id of ["1", "2", "1"]) await bff.getFilm(small, film(id));
    assert.equal(small.kept.size, 1);
    answered(() => ({ headers: { etag: '"x"' }, json: { id: "1" } }));
    const none = client({ kept: 0 });
    await bff.getFilm(none, film("1"));
    await bff.getFilm(none, film("1"));
    assert.deepEqual([none.kept.size, seen.map((asked) => asked.headers["if-none-match"])], [0, [undefined, undefined]]);
  },

  async "what may be repeated is, as long as the host asks for"() {
    answered((_, number) => (number < 3 ? { status: 503, headers: { "retry-after": "0" } } : { json: { id: "1" } }));
    const got = await bff.getFilm(client(), film("1"));
    assert.deepEqual([got.status, got.meta.attempts, seen.length], [200, 3, 3]);
    const date = new Date(Date.now() - 5_000).toUTCString();
    answered((_, number) => (number < 2 ? { status: 429, headers: { "retry-after": date } } : { json: { id: "1" } }));
    assert.equal((await bff.getFilm(client(), film("1"))).meta.attempts, 2);
    // Never more often than asked for, and no pause that is too long.
    answered(() => ({ status: 503, headers: { "retry-after": "0" } }));
    assert.equal((await bff.getFilm(client({ retries: 1 }), film("1"))).meta.attempts, 2);
    answered(() => ({ status: 503, headers: { "retry-after": "3600" } }));
    assert.deepEqual([(await bff.getFilm(client(), film("1"))).code, seen.length], [503, 1]);
    for (const status of [400, 404, 500]) {
      answered(() => ({ status, headers: { "retry-after": "0" } }));
      await bff.getFilm(client(), film("1"));
      assert.equal(seen.length, 1, `${status}`);
    }
    // A connection that breaks.
    answered((_, number, request) => (number < 2 ? void request.socket.destroy() : { json: { id: "1" } }));
    assert.equal((await bff.getFilm(client(), film("1"))).meta.attempts, 2);
    answered((_, __, request) => void request.socket.destroy());
    await assert.rejects(bff.getFilm(client({ retries: 1 }), film("1")));
    assert.equal(seen.length, 2);
  },

  async "a write is repeated by its key, and never without one"() {
    answered((_, number) => (number < 2 ? { status: 409, headers: { "retry-after": "0" } } : { status: 201, json: {} }));
    const rated = await bff.rate(client(), { body: { stars: 5 } });
    const keys = seen.map((asked) => asked.headers["idempotency-key"]);
    assert.deepEqual([rated.status, rated.meta.attempts, seen[1].body], [201, 2, '{"stars":5}']);
    assert.ok(keys[0].length >= 32 && keys[0] === keys[1], `${keys}`);
    await bff.rate(client(), { body: { stars: 5 } });
    assert.notEqual(seen[2].headers["idempotency-key"], keys[0]);
    await bff.rate(client(), { body: { stars: 5 } }, { idempotencyKey: "mine" });
    assert.equal(seen[3].headers["idempotency-key"], "mine");
    assert.equal(seen[3].headers["content-type"], "application/json");
    answered(() => ({ status: 503, headers: { "retry-after": "0" } }));
    await bff.order(client());
    assert.deepEqual([seen.length, seen[0].headers["idempotency-key"]], [1, undefined]);
    answered((_, __, request) => void request.socket.destroy());
    await assert.rejects(bff.order(client()));
    assert.equal(seen.length, 1);
  },

  async "whoever gives up waits no longer"() {
    answered(() => ({ status: 503, headers: { "retry-after": "9" } }));
    const stop = new AbortController();
    const pausing = bff.getFilm(client({ fetch: async (...all) => fetch(...all).finally(() => setTimeout(() => stop.abort(new Error("enough")), 20)) }), film("1"), { signal: stop.signal });
    await assert.rejects(pausing, /enough/);
    assert.equal(seen.length, 1);
    answered(() => undefined);
    await assert.rejects(bff.getFilm(client(), film("1"), { signal: AbortSignal.timeout(20) }), { name: "TimeoutError" });
    await assert.rejects(bff.getFilm(client(), film("1"), { signal: AbortSignal.abort() }), { name: "AbortError" });
  },

  async "events come as they are sent, however they are cut"() {
    const sent =
      "\uFEFF: a comment\n\ndata: {\"n\":1}\n\nevent: more\r\nid: 7\r\ndata: {\ndata: \"n\":2}\r\n\r\nid: a\0b\rdata:{\"n\":3}\r\rid\ndata: {\"n\":4}\n\nretry: 5\nnothing\n\ndata: {\"n\":99}\n";
    for (const size of [1, 2, 3, 7, 1000]) {
      answered((_, __, ___, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        const bytes = Buffer.from(sent);
        for (let at = 0; at < bytes.length; at += size) response.write(bytes.subarray(at, at + size));
        response.end();
      });
      const stream = await bff.feed(client({ token: "t" }), { lastEventId: "6" });
      assert.equal(stream.status, 200);
      const events = [];
      for await (const event of stream.data) events.push(event);
      assert.deepEqual(events, [
        { event: "message", id: undefined, data: { n: 1 } },
        { event: "more", id: "7", data: { n: 2 } },
        { event: "message", id: "7", data: { n: 3 } },
        { event: "message", id: "", data: { n: 4 } },
      ]);
      const { accept, authorization, "last-event-id": last } = seen[0].headers;
      assert.deepEqual([accept, authorization, last], ["text/event-stream, application/problem+json", "Bearer t", "6"]);
    }
    answered(() => problem(404, "about:blank"));
    assert.equal((await bff.feed(client())).problem.type, "about:blank");
  },

  async "what the host says at the end of a stream is no event of its endpoint"() {
    const says = async (last) => {
      answered((_, __, ___, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).end(`id: 7\ndata: {"n":1}\n\n${last}`);
      });
      const events = [];
      try {
        for await (const event of (await bff.feed(client())).data) events.push(event.data.n);
      } catch (error) {
        assert.ok(error instanceof bff.StreamEnded, error);
        return [events, error.reason, error.lastEventId, error.problem?.type];
      }
      return [events];
    };
    assert.deepEqual(await says(""), [[1]]);
    assert.deepEqual(await says('event: weft.end\ndata: {"reason":"token"}\n\n'), [[1], "token", "7", undefined]);
    const problem = 'event: weft.problem\ndata: {"type":"about:blank","status":404}\n\n';
    assert.deepEqual(await says(problem), [[1], "problem", "7", "about:blank"]);
  },

  async "a stream ends with the loop that reads it, and with its signal"() {
    let closed;
    const endless = (_, __, request, response) => {
      closed = new Promise((done) => response.on("close", done));
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"n":1}\n\n');
    };
    answered(endless);
    const stream = await bff.feed(client());
    for await (const event of stream.data) {
      assert.equal(event.data.n, 1);
      break;
    }
    await closed;
    answered(endless);
    const stop = new AbortController();
    const other = await bff.feed(client(), { signal: stop.signal });
    await assert.rejects(async () => {
      for await (const _ of other.data) stop.abort();
    }, { name: "AbortError" });
    await closed;
    // As text, beside what is sent whole.
    answered(({ headers }, __, ___, response) => {
      if (headers.accept !== "text/event-stream") return { json: ["whole"] };
      response.writeHead(200, { "content-type": "text/event-stream" }).end("data: a\ndata: b\n\n");
    });
    assert.deepEqual((await bff.lines(client())).data, ["whole"]);
    const lines = [];
    for await (const event of (await bff.linesEvents(client())).data) lines.push(event.data);
    assert.deepEqual(lines, ["a\nb"]);
  },
};

for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok: ${name}`);
  } catch (error) {
    console.log(`FAILED: ${name}\n${error?.stack ?? error}`);
    process.exitCode = 1;
  }
}
server.closeAllConnections();
server.close();
