// The calls of one request, drawn: a bar each for those that went together, in the rounds in which the request went on by them.
import { badge, h, ms } from "/console/dom.js";

/** Calls of one method that started together, by the same way. */
const grouped = (calls) => {
  const groups = new Map();
  for (const call of calls) {
    const key = JSON.stringify([call.method, call.origin, call.depth, call.trip, call.refused_by, call.code]);
    const group = groups.get(key);
    if (group) {
      group.count += 1;
      group.start = Math.min(group.start, call.start_ms);
      group.end = Math.max(group.end, call.end_ms);
    } else {
      groups.set(key, { call, count: 1, start: call.start_ms, end: call.end_ms });
    }
  }
  return [...groups.values()].sort((a, b) => a.start - b.start || a.end - b.end);
};

/** Groups by how many calls had to end before they began: one round after the other. */
const rounds = (groups) => {
  const found = new Map();
  for (const group of groups) found.set(group.call.depth, [...(found.get(group.call.depth) ?? []), group]);
  return [...found].sort(([one], [other]) => one - other);
};

const ways = (call, trip) => {
  const said = [];
  if (call.refused_by) said.push(`refused by the ${call.refused_by}`);
  if (call.cut) said.push("cut");
  if (trip?.keys > 1) said.push(`${trip.keys} keys via ${trip.via}`);
  if (trip?.attempts > 1) said.push(`${trip.attempts} attempts`);
  if (trip?.alone) said.push("alone: anonymous");
  if (call.code !== "OK") said.push(call.code);
  if (trip?.endpoint) said.push(trip.endpoint);
  return said.join(", ");
};

export const waterfall = ({ request, calls, trips }) => {
  const end = Math.max(0.01, ...calls.map((call) => call.end_ms));
  const track = (kind, start, until) => {
    const bar = h("span", { class: `bar ${kind}` });
    bar.style.left = `${(start / end) * 100}%`;
    bar.style.width = `${Math.max(0.5, ((until - start) / end) * 100)}%`;
    return h("td", { class: "track", "aria-hidden": "true" }, bar);
  };
  const row = ({ call, count, start, end: until }) => {
    return h("tr", null,
      h("td", null, h("span", { class: "call" }, count > 1 && `${count}× `, h("code", null, call.method)), " ", badge(call.origin), " ",
        h("span", { class: "dim" }, ways(call, trips[call.trip]))),
      track(call.code === "OK" ? call.origin : "failed", start, until),
      h("td", { class: "number" }, `${ms(start)} – ${ms(until)}`));
  };
  const round = ([depth, groups]) => {
    const start = Math.min(...groups.map((group) => group.start));
    const until = Math.max(...groups.map((group) => group.end));
    const count = groups.reduce((sum, group) => sum + group.count, 0);
    return h("tbody", { class: "round" },
      h("tr", null, h("th", { scope: "rowgroup" }, `Round ${depth}`, h("span", { class: "dim" }, ` ${count === 1 ? "1 call" : `${count} calls`}`)),
        track("whole", start, until), h("td", { class: "number dim" }, `${ms(start)} – ${ms(until)}`)),
      groups.map(row));
  };
  const degraded = request.degraded.map(({ method, how }) => badge(`${method}: ${how}`, "fair"));
  return h("section", { "aria-label": "Waterfall" },
    h("h3", null, "Waterfall"),
    h("p", { class: "dim" }, `${request.calls} calls, ${request.upstream_calls} upstream, ${request.cache_hits} from the cache, depth ${request.depth}, ` +
      `${request.retries} retries; ${ms(request.guest_cpu_ms)} ms of CPU in ${request.plugin ?? "the plugin"}.`),
    degraded.length > 0 && h("p", null, "Degraded: ", degraded),
    calls.length === 0
      ? h("p", { class: "dim" }, "It has called nobody.")
      : h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Calls" },
        h("table", { class: "waterfall" }, h("caption", { class: "hidden" }, "Calls, by when they began"),
          h("thead", null, h("tr", null, ["Call", "", "ms"].map((title, at) => title
            ? h("th", { scope: "col", class: at > 1 && "number" }, title) : h("td", { "aria-hidden": "true" })))),
          rounds(grouped(calls)).map(round))));
};
