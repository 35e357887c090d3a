// Opens Chromium, runs one script of a test, and prints what came of it. The task comes as JSON on standard input (tests/src/browser.rs).
//
// The script's default export is called with:
//   page, context, browser   Playwright's own
//   input                    what the test gave
//   screenshot(name)         the whole page as NAME.png in target/tests/screenshots
//   axe(options)             what axe-core finds wrong with the page: [{ id, impact, help, nodes }]
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const task = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(import.meta.url);
const { chromium } = require(task.playwright);

const browser = await chromium.launch({
  executablePath: task.chromium,
  args: [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
  ],
});
const complaints = [];
const strangers = [];
const isHere = (url) =>
  !/^(https?|wss?):/.test(url) || /^(127\.0\.0\.1|localhost|.*\.test)$/.test(new URL(url).hostname);

const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
context.setDefaultTimeout(120_000);
context.on("request", (request) => isHere(request.url()) || strangers.push(request.url()));
context.on("weberror", (error) => complaints.push(String(error.error())));
context.on("console", (message) => {
  // Browsers ask for an icon whether a page names one or not.
  const isIcon = message.location().url.endsWith("/favicon.ico");
  if (["warning", "error"].includes(message.type()) && !isIcon) complaints.push(`${message.type()}: ${message.text()}`);
});
const page = await context.newPage();

const screenshot = (name, of = page) => of.screenshot({ path: join(task.screenshots, `${name}.png`), fullPage: true });
const axe = async (options = {}, of = page) => {
  // By the debugger, so that the page's own policy for scripts does not keep it out.
  await of.evaluate(readFileSync(join(task.axe, "axe.min.js"), "utf8"));
  const found = await of.evaluate((options) => globalThis.axe.run(document, options), options);
  return found.violations.map(({ id, impact, help, nodes }) => ({
    id,
    impact,
    help,
    nodes: nodes.map((node) => `${node.target}: ${node.failureSummary}`),
  }));
};

try {
  const script = await import(pathToFileURL(task.script));
  const value = await script.default({ page, context, browser, input: task.input, screenshot, axe });
  process.stdout.write(JSON.stringify({ value: value ?? null, complaints, strangers }));
} catch (error) {
  process.stderr.write(`${error?.stack ?? error}\n${complaints.concat(strangers).join("\n")}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
