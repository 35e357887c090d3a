// One module of the plugin and all that it imports.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { builtinModules, createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const SDK = join(dirname(fileURLToPath(import.meta.url)), "..");
const ENTRIES = ["src/main.ts", "src/main.js"];

/** What is the plugin's to mend. */
export function fault(message) {
  return Object.assign(new Error(message), { isPlugins: true });
}

/** A package of the plugin's own `node_modules`. */
export async function tool(folder, name) {
  try {
    const module = await import(pathToFileURL(createRequire(join(folder, "package.json")).resolve(name)).href);
    return module.default ?? module;
  } catch (error) {
    throw fault(`${name} is not installed: run \`npm install\` in ${folder} (${error.message})`);
  }
}

function entry(folder) {
  const { main } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const found = [main, ...ENTRIES].find((file) => file && existsSync(join(folder, file)));
  if (!found) throw fault(`${folder} has no ${ENTRIES.join(" or ")}, and no "main" in package.json: that module exports the plugin, as in \`export default app\``);
  return join(folder, found);
}

/** As the sandbox runs it: `async` is written as generators over the SDK's own promises. */
export async function bundle(folder) {
  return ownAsync(await run(folder, {
    stdin: {
      contents: `import "weft-sdk/globals";\nimport app from ${JSON.stringify(entry(folder))};\nimport { handler } from "weft-sdk/guest";\nexport const handle = handler(app);\n`,
      resolveDir: folder,
      sourcefile: "weft.js",
    },
    define: { WEFT_GUEST: "true" },
    external: ["weft:*", "wasi:*"],
    supported: { "async-await": false, "async-generator": false, "for-await": false, "top-level-await": false },
  }));
}

/** esbuild's own way to run these generators makes closures and promises for each `await`, which is a fifth of a page's time. */
function ownAsync(source) {
  const theirs = "__async=(__this,__arguments,generator)=>";
  return source.replace(theirs, `__async=(self,given,generator)=>__weftAsync(generator.apply(self,given)),__plainAsync${theirs.slice(7)}`);
}

/** What the plugin says of itself, run by Node. */
export async function describe(folder) {
  const main = entry(folder);
  const text = await run(folder, {
    stdin: { contents: `export { default } from ${JSON.stringify(main)};\n`, resolveDir: folder, sourcefile: "weft.js" },
    supported: { "top-level-await": false },
  });
  const file = join(folder, ".weft/describe.mjs");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  let app;
  try {
    ({ default: app } = await import(pathToFileURL(file).href));
  } catch (error) {
    const trace = String(error.stack ?? error).split("\n").filter((line) => !/node:internal|file:.*\/build\//.test(line));
    throw fault(`${main} can't be loaded: ${trace.join("\n")}`);
  }
  if (typeof app?.describe !== "function") throw fault(`${main}: its default export is no App: end it with \`export default app\``);
  const { version } = JSON.parse(readFileSync(join(SDK, "package.json"), "utf8"));
  return { sdk: `js/${version}`, ...app.describe() };
}

async function run(folder, options) {
  const esbuild = await tool(folder, "esbuild");
  try {
    const { outputFiles: [file] } = await esbuild.build({
      absWorkingDir: folder,
      bundle: true,
      write: false,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["import", "default"],
      target: "es2023",
      minifySyntax: true,
      minifyWhitespace: true,
      keepNames: false,
      legalComments: "none",
      logLevel: "silent",
      plugins: [resolver],
      ...options,
    });
    return file.text;
  } catch (error) {
    if (!error.errors) throw error;
    const told = await esbuild.formatMessages(error.errors, { kind: "error", color: false });
    throw fault(told.join("").trim());
  }
}

/** The SDK is the one that builds, wherever the plugin has it from; what only Node has is named. */
const resolver = {
  name: "weft",
  setup(build) {
    const { exports } = JSON.parse(readFileSync(join(SDK, "package.json"), "utf8"));
    build.onResolve({ filter: /^weft-sdk(\/|$)/ }, ({ path }) => {
      const found = exports[path.replace("weft-sdk", ".")];
      if (!found || path === "weft-sdk/test") return { errors: [{ text: `${path} can't be used in a plugin` }] };
      return { path: join(SDK, found.default ?? found) };
    });
    build.onResolve({ filter: /^(node:)?[a-z_/]+$/ }, ({ path, kind }) => {
      if (kind === "entry-point" || !builtinModules.includes(path.replace("node:", ""))) return undefined;
      return { errors: [{ text: `${path} is a module of Node, and there is no Node in the sandbox: calls to backends are all that leaves it` }] };
    });
  },
};
