// Promises as the sandbox has them, against the engine's own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { current, Promise as Own, runAsync, runJobs } from "../src/jobs.js";

/** What a program that uses promises says, in order. */
function program(P, say) {
  const thenable = (value) => ({ then: (resolve) => { say(`thenable ${value}`); resolve(value); } });
  P.resolve(1).then((value) => say(value)).then(() => say("after 1"));
  P.reject(new Error("no")).catch((error) => say(error.message)).finally(() => say("finally"));
  new P((resolve, reject) => { resolve(P.resolve("inner")); reject("late"); }).then(say);
  new P(() => { throw "thrown"; }).then(say, (error) => say(`caught ${error}`));
  P.resolve(thenable("x")).then(say);
  P.all([1, P.resolve(2), thenable(3)]).then((all) => say(`all ${all}`));
  P.all([]).then((all) => say(`none ${all.length}`));
  P.all([P.reject("bad"), 1]).catch((error) => say(`all ${error}`));
  P.allSettled([1, P.reject(2)]).then((all) => say(JSON.stringify(all)));
  P.race([new P(() => {}), P.resolve("first")]).then(say);
  P.any([P.reject(1), P.resolve("any")]).then(say);
  P.any([P.reject(1)]).catch((error) => say(`${error.name} ${error.errors}`));
}

test("they say what the engine's own say", async () => {
  const [own, engines] = [[], []];
  program(Own, (line) => own.push(String(line)));
  runJobs();
  program(Promise, (line) => engines.push(String(line)));
  await new Promise((resume) => { setTimeout(resume, 5); });
  assert.deepEqual(own.sort(), engines.sort());
  assert.equal(own.length, 16);
});

test("what was waited for tells how deep a job is", () => {
  const depths = {};
  const at = (depth) => { const { promise } = Own.withResolvers(); promise.deliver(true, undefined, depth); return promise; };
  const first = at(1);
  first.then(() => { depths.first = current.depth; });
  Own.all([at(3), first]).then(() => { depths.all = current.depth; });
  first.then(() => at(2)).then(() => { depths.chain = current.depth; });
  at(5).then(() => first).then(() => { depths.stays = current.depth; });
  runJobs();
  assert.deepEqual(depths, { first: 1, all: 3, chain: 2, stays: 5 });
});

test("async functions that are written as generators wait, give and throw", () => {
  const said = [];
  const inner = (value) => runAsync((function* () { said.push(`in ${value}`); yield; return value * 2; })());
  const whole = runAsync((function* () {
    said.push(yield inner(1));
    said.push(yield { then: (resolve) => resolve("thenable") });
    try {
      yield Own.reject(new Error("no"));
    } catch (error) {
      said.push(error.message);
    }
    throw new Error("end");
  })());
  whole.catch((error) => said.push(error.message));
  said.push("sync");
  runJobs();
  assert.deepEqual(said, ["in 1", "sync", 2, "thenable", "no", "end"]);
});
