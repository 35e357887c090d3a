// What goes on, looked at again and again.
import { get } from "/console/api.js";
import { ago, badge, h, kind, ms, number, table } from "/console/dom.js";

const EVERY = 2000;
const share = (part, all) => (all ? `${((part / all) * 100).toFixed(part && part / all < 0.1 ? 1 : 0)} %` : "–");
const mean = (sum, count, digits) => (count ? (sum / count).toFixed(digits) : "–");
const file = (path) => path.split("/").pop();

export const plugins = (place) => {
  let before = new Map();
  let since = 0;
  const rate = (plugin, now) => {
    const old = before.get(plugin.digest);
    return old === undefined ? "" : ((plugin.sums.requests - old) / ((now - since) / 1000)).toFixed(1);
  };
  const look = async () => {
    const { plugins, refused, requests_under_way: requests, loads_under_way: loads } = await get("/v1/plugins");
    const now = performance.now();
    const rows = plugins.map((plugin) => {
      const { sums } = plugin;
      return [h("span", null, h("strong", null, plugin.name), ` ${plugin.version}`), plugin.client,
        badge(plugin.state, plugin.state === "live" ? "good" : "bad"), rate(plugin, now), sums.requests,
        share(sums.failed, sums.requests), share(sums.degraded, sums.requests), mean(sums.micros / 1000, sums.requests, 2),
        mean(sums.cpu_micros / 1000, sums.requests, 2), mean(sums.calls, sums.requests, 1), mean(sums.upstream, sums.requests, 1),
        ago(plugin.loaded_at * 1000)];
    });
    const heads = ["Plugin", "Client", "State", number("Requests/s"), number("Requests"), number("Failed"), number("Degraded"), number("ms"),
      number("CPU ms"), number("Calls"), number("Upstream"), "Loaded"];
    place.replaceChildren(
      h("p", { class: "dim" }, `${requests} requests and ${loads} loads under way. Times and calls are means over a plugin's requests.`),
      table("Plugins in service", heads, rows, "No plugin serves."),
      h("h2", null, "Refused artifacts"),
      table("Refused artifacts", ["File", "Why"], refused.map((report) => [h("code", null, file(report.file)), report.refused]),
        "None: every artifact in the folder serves."));
    before = new Map(plugins.map((plugin) => [plugin.digest, plugin.sums.requests]));
    since = now;
  };
  return { look, every: EVERY };
};

const STATES = { ready: "good", connecting: "fair", checking: "fair", idle: "" };

const wrong = (error) => (error ? `${error.code}: ${error.message} (${ago(error.at * 1000)})` : "");

export const backends = (place) => ({
  every: EVERY,
  look: async () => {
    const { backends, events, shared_cache: shared } = await get("/v1/backends");
    const heads = ["Endpoint", "State", number("Under way"), number("Calls"), number("Failures"), "Last error"];
    const parts = backends.flatMap((backend) => {
      const rows = backend.endpoints.map((endpoint) => [h("code", null, endpoint.address), badge(endpoint.state, STATES[endpoint.state] ?? "bad"),
        endpoint.under_way, endpoint.calls, endpoint.failures, wrong(endpoint.last_error)]);
      const found = backend.discovery ? ` Found by ${backend.discovery.source ?? backend.discovery.kind ?? "discovery"}.` : "";
      return [h("h2", null, backend.name, " ", backend.away && badge("away", "bad")),
        h("p", { class: "dim" }, `At most ${backend.concurrency} calls at once; ${backend.refused} were refused.${found}`),
        table(`Endpoints of ${backend.name}`, heads, rows, "No endpoint is known.")];
    });
    const rest = [];
    if (shared) rest.push(h("h2", null, "Shared cache"), h("p", null, badge(shared, shared === "up" ? "good" : "bad")));
    if (events.length) {
      rest.push(h("h2", null, "Events"), h("pre", { tabindex: 0 }, JSON.stringify(events, null, 2)));
    }
    place.replaceChildren(...(parts.length ? parts : [h("p", { class: "dim" }, "There is no backend.")]), ...rest);
  },
});

export const requests = (place) => ({
  every: EVERY,
  look: async () => {
    const told = await get("/v1/requests");
    const heads = ["When", "Endpoint", "Client", "Status", number("ms"), number("CPU ms"), number("Calls"), number("Upstream"), number("Depth"),
      number("Retries"), number("Degraded"), "Caller"];
    const row = (noted) => [ago(noted.at), h("code", null, noted.endpoint), noted.client,
      h("span", null, badge(noted.status, kind(noted.status)), noted.problem && ` ${noted.problem}`), ms(noted.took_ms), ms(noted.guest_cpu_ms),
      noted.calls, noted.upstream, noted.depth, noted.retries, noted.degraded || "", noted.caller ? h("code", null, noted.caller) : ""];
    const part = (title, list, empty) => [h("h2", null, title), table(title, heads, list.map(row), empty)];
    place.replaceChildren(
      h("p", { class: "dim" }, "Of the last half hour, by route: no query, header or body is kept, and callers are hashed as in the log."),
      ...part("Failed", told.failed, "Nothing has failed."),
      ...part("Slowest", told.slow, "There was no request."),
      ...part("Most calls upstream", told.amplified, "No request has called a backend."));
  },
});

export const configuration = (place) => ({
  look: async () => {
    const { settings } = await get("/v1/config");
    const rows = settings.map(([key, value]) => [h("code", null, key), h("code", null, value)]);
    place.replaceChildren(
      h("p", { class: "dim" }, "What is in force, as the file says it; all else has its default. Secrets are not shown, only where they are."),
      table("Settings", ["Key", "Value"], rows, "Nothing is set."));
  },
});
