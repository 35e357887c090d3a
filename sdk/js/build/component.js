// From a bundle to a component: QuickJS, started with the plugin, as it is when all modules have run.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fault, tool } from "./bundle.js";

const WIT = join(dirname(fileURLToPath(import.meta.url)), "../wit");

export async function component(folder, source) {
  const { componentize } = await tool(folder, "componentize-qjs");
  try {
    // Without its own collections: the SDK asks for them, where an instance serves more than one request.
    const made = await componentize({ witPath: WIT, world: "guest", jsSource: source, sync: true, disableGc: true });
    return made.component;
  } catch (error) {
    throw fault(`the plugin can't be started in the sandbox: ${error.message ?? error}`);
  }
}
