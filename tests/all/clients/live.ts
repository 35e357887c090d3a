// What reads the streams of the live plugin. `node live.js BASE`
import { createClient, getFails, getOpen, getPartsById, StreamEnded } from "./bff.js";

declare const process: { readonly argv: readonly string[] };

const client = createClient({ baseUrl: process.argv[2] ?? "" });

const seen: string[] = [];
const parts = await getPartsById(client, { path: { id: 7 } });
if (!parts.ok) throw new Error(String(parts.status));
for await (const event of parts.data) {
  // The compiler knows what each part has.
  switch (event.data.part) {
    case "film":
      seen.push(event.data.title);
      break;
    case "director":
      seen.push(`${event.event} ${event.id}: ${event.data.name}`);
      break;
  }
}

const open = await getOpen(client, { lastEventId: "40" });
if (!open.ok) throw new Error(String(open.status));
for await (const event of open.data) {
  seen.push(`since ${event.data.since}`);
  break;
}

try {
  const fails = await getFails(client);
  if (!fails.ok) throw new Error(String(fails.status));
  for await (const event of fails.data) seen.push(String(event.data + 1));
} catch (error) {
  if (!(error instanceof StreamEnded)) throw error;
  seen.push(`${error.reason}: ${error.problem?.detail}`);
}
console.log(JSON.stringify(seen));
