// The plugin as its clients see it, run by Node.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TestApp } from "weft-sdk/test";
import plugin from "../src/main.js";

test("greets by name", async () => {
  const response = await new TestApp(plugin).get("/greetings/ann");
  assert.equal(response.status, 200);
  assert.deepEqual(response.json(), { text: "Hello, ann!" });
});
