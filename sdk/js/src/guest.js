// The plugin inside of the sandbox: what the component exports, and how one request is driven over `exchange`.

import backend from "weft:bff/backend";
import hostCache from "weft:bff/cache";
import hostConfig from "weft:bff/config";
import hostLog from "weft:bff/log";
import { begin, end } from "./calls.js";
import { beginServing } from "./globals.js";
import { setHost } from "./host.js";
import { fireTimers, reset, runJobs, untilTimer } from "./jobs.js";
import { Problem } from "./problem.js";

/** Requests of one instance between two collections. Most instances serve one, and need none: what they leave behind goes with them. */
const COLLECT_EVERY = 16;
let served = 0;

const LEVELS = ["trace", "debug", "info", "warn", "error"];

function write(level, message, fields) {
  if (LEVELS.indexOf(level) < LEVELS.indexOf(hostLog.threshold())) return;
  hostLog.write(level, message, Object.entries(fields).map(([name, value]) => [name, String(value)]));
}

/** The `handle` of this app. */
export function handler(app) {
  setHost({ log: write, config: (key) => hostConfig.get(key), cache: hostCache });
  return (request) => {
    beginServing();
    const { ok, problem, fatal } = drive(app, request);
    // No problem of the contract, so this ends the instance.
    if (fatal) throw fatal;
    if (problem) throw problem;
    return ok;
  };
}

function drive(app, request) {
  const calls = begin();
  let outcome;
  app.serve(request, write).then((made) => { outcome = made; });
  try {
    for (;;) {
      runJobs();
      if (outcome !== undefined) break;
      if (fireTimers()) continue;
      const wait = untilTimer();
      if (calls.isIdle && wait === undefined) {
        write("error", "deadlock: the handler waits for something that no call and no timer can bring about", {});
        return { problem: plain(Problem.internal("the plugin failed")) };
      }
      const { heads, messages } = calls.handOut();
      const [completions, arena] = backend.exchange(heads, messages, [], wait ?? null);
      calls.deliver(completions, arena);
    }
    for (const { method } of calls.queued) write("warn", `${method.name} was not called: the handler had returned`, {});
    return outcome;
  } finally {
    end();
    reset();
    if (++served % COLLECT_EVERY === 0) globalThis.__cqjs.runGc();
  }
}

function plain({ status, kind, title, detail, extensions }) {
  return { status, kind, title, detail, extensions: Object.entries(extensions) };
}
