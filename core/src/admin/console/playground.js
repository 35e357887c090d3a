// The playground: what each client may ask, tried as a stranger would.
import { get, maybe, send } from "/console/api.js";
import { badge, h, kind, ms, table } from "/console/dom.js";
import { waterfall } from "/console/waterfall.js";

// The caller's token lives here, and nowhere else: neither in the page's storage nor in its address.
let token = "";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const pretty = (text) => {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
};

/** The document's node that a `$ref` leads to. */
const resolved = (contract, node) => {
  let found = node;
  for (let step = 0; step < 8 && found?.$ref?.startsWith("#/"); step += 1) {
    found = found.$ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], contract);
  }
  return found ?? {};
};

/** What the contract says of an endpoint: its inputs, and an example of a body. */
const contracted = (contract, endpoint) => {
  const operation = resolved(contract, contract?.paths?.[endpoint.path.replaceAll("{*", "{")])[endpoint.method.toLowerCase()];
  const parameters = (operation?.parameters ?? []).map((parameter) => resolved(contract, parameter));
  const named = [...endpoint.path.matchAll(/\{\*?([^}]+)\}/g)].map((found) => found[1]);
  const path = named.map((name) => parameters.find((known) => known.in === "path" && known.name === name) ?? { name, in: "path", required: true });
  const others = parameters.filter((known) => known.in === "query" || (known.in === "header" && known.name.toLowerCase() !== "authorization"));
  const body = resolved(contract, operation?.requestBody);
  const content = body.content?.["application/json"];
  const example = content?.example ?? Object.values(content?.examples ?? {})[0]?.value;
  return { operation, inputs: [...path, ...others], takesBody: Boolean(content) || !["GET", "HEAD"].includes(endpoint.method), example };
};

const field = (label, input, hint) => {
  const id = `field-${label.replaceAll(/[^A-Za-z0-9]/g, "-")}`;
  input.id = id;
  return h("div", { class: "field" }, h("label", { for: id }, label, hint && h("span", { class: "dim" }, ` ${hint}`)), input);
};

const example = (parameter, contract) => {
  const schema = resolved(contract, parameter.schema);
  const value = parameter.example ?? schema.example ?? schema.default ?? (parameter.in === "path" && schema.type === "integer" ? 1 : "");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

/** The request as it is typed. */
const typed = (endpoint, fields, body, headers) => {
  let path = endpoint.path;
  const query = new URLSearchParams();
  const lines = [];
  for (const { parameter, input } of fields) {
    const value = input.value;
    if (parameter.in === "path") {
      const encoded = path.includes(`{*${parameter.name}}`) ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
      path = path.replace(`{*${parameter.name}}`, () => encoded).replace(`{${parameter.name}}`, () => encoded);
    } else if (value !== "" && parameter.in === "query") query.append(parameter.name, value);
    else if (value !== "") lines.push([parameter.name, value]);
  }
  if (body?.value) lines.push(["content-type", "application/json"]);
  for (const line of headers.value.split("\n").filter((line) => line.trim())) {
    const [name, ...value] = line.split(":");
    lines.push([name.trim(), value.join(":").trim()]);
  }
  return { method: endpoint.method, path: query.size ? `${path}?${query}` : path, headers: lines, body: body?.value || null };
};

const curl = (base, client, request, withToken) => {
  const address = client.prefix || !client.host ? `${base}${client.prefix ?? ""}` : base;
  const host = !client.prefix && client.host ? [["host", client.host]] : [];
  const header = !client.prefix && !client.host && client.header ? [client.header] : [];
  const parts = [`curl -i ${quoted(`${address}${request.path}`)}`];
  if (request.method !== "GET") parts.push(`-X ${request.method}`);
  for (const [name, value] of [...host, ...header, ...request.headers]) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (withToken) parts.push("-H \"authorization: Bearer $TOKEN\"");
  if (request.body) parts.push(`--data-raw ${quoted(request.body)}`);
  return parts.join(" \\\n     ");
};

const plain = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));

/** As the typed client's call, whose function the host names. */
const called = (functions, contract, endpoint, fields, body, withToken) => {
  const name = functions?.[`${endpoint.method} ${endpoint.path.replaceAll("{*", "{")}`];
  if (!name) return "";
  const places = { path: [], query: [], header: [] };
  for (const { parameter, input } of fields) {
    if (input.value === "" && parameter.in !== "path") continue;
    const { type } = resolved(contract, parameter.schema);
    if (type === "array" && parameter.explode === false) {
      places[parameter.in]?.push(`${plain(parameter.name)}: ${JSON.stringify(input.value.split(",").map((one) => one.trim()))}`);
      continue;
    }
    const isBare = (["integer", "number"].includes(type) && input.value.trim() !== "" && Number.isFinite(Number(input.value))) || (type === "boolean" && ["true", "false"].includes(input.value));
    places[parameter.in]?.push(`${plain(parameter.name)}: ${isBare ? input.value.trim() : JSON.stringify(input.value)}`);
  }
  const parts = Object.entries(places).filter(([, values]) => values.length > 0).map(([place, values]) => `${place === "header" ? "headers" : place}: { ${values.join(", ")} }`);
  if (body?.value) parts.push(`body: ${pretty(body.value)}`);
  const takes = fields.length > 0 || body;
  const inputs = parts.length > 0 ? [`{ ${parts.join(", ")} }`] : takes ? ["{}"] : [];
  const options = withToken ? ["{ token: TOKEN }"] : [];
  return `const answer = await ${name}(${["client", ...inputs, ...options].join(", ")});`;
};

const shown = (answer) => {
  const find = (name) => answer.headers.filter(([own]) => own === name).map(([, value]) => value).join(", ");
  const degraded = find("x-weft-degraded");
  return h("section", { "aria-label": "Answer" },
    h("h3", null, "Answer ", badge(answer.status, kind(answer.status)), " ", h("span", { class: "dim" }, `${ms(answer.took_ms)} ms, ${answer.bytes} bytes`)),
    degraded && h("p", null, badge("degraded", "fair"), " ", degraded),
    find("server-timing") && h("p", { class: "dim" }, find("server-timing")),
    h("pre", { class: "body", tabindex: 0, "aria-label": "Body" }, answer.body === "" ? "(no body)" : pretty(answer.body)),
    !answer.is_text && h("p", { class: "dim" }, "The body is no text: bytes that are none are shown as �."),
    h("details", null, h("summary", null, `Headers (${answer.headers.length})`),
      table("Headers of the answer", ["Name", "Value"], answer.headers.map(([name, value]) => [h("code", null, name), h("code", null, value)]), "There are none.")));
};

/** Whether the answer is a waterfall, and not what stands for it where none may be seen. */
const explained = (answer) => {
  try {
    const value = JSON.parse(answer.body);
    return value?.request && Array.isArray(value.calls) && Array.isArray(value.trips) ? value : null;
  } catch {
    return null;
  }
};

const tried = async (client, request, outcome, wantsWaterfall, button) => {
  button.disabled = true;
  outcome.replaceChildren(h("p", { class: "dim" }, "Under way …"));
  try {
    const ask = (more) => send("POST", "/v1/try", { client: client.name, ...request, token, headers: [...request.headers, ...more] });
    outcome.replaceChildren(shown(await ask([])));
    if (wantsWaterfall) {
      const drawn = explained(await ask([["x-weft-explain", "1"]]));
      outcome.append(drawn ? waterfall(drawn)
        : h("p", { class: "dim" }, "No waterfall: `explain-scope` in [http] does not let this caller see one."));
    }
  } catch (error) {
    outcome.replaceChildren(h("p", { role: "alert", class: "bad" }, error.message));
  } finally {
    button.disabled = false;
  }
};

const details = (contract, operation) => {
  if (!operation) return null;
  const schemas = Object.entries(contract.components?.schemas ?? {});
  return h("details", null, h("summary", null, "Contract"),
    h("pre", { tabindex: 0, "aria-label": "Operation" }, JSON.stringify(operation, null, 2)),
    schemas.length > 0 && h("details", null, h("summary", null, `All ${schemas.length} types of the client`),
      h("pre", { tabindex: 0, "aria-label": "Types" }, JSON.stringify(contract.components.schemas, null, 2))));
};

/** One endpoint, ready to be tried. */
const opened = (base, client, { contract, functions }, endpoint) => {
  const { operation, inputs, takesBody, example: sample } = contracted(contract, endpoint);
  const fields = inputs.map((parameter) => ({ parameter, input: h("input", { value: example(parameter, contract), required: parameter.in === "path", spellcheck: "false", autocomplete: "off" }) }));
  const body = takesBody ? h("textarea", { rows: 5, spellcheck: "false" }, sample === undefined ? "" : JSON.stringify(sample, null, 2)) : null;
  const headers = h("textarea", { rows: 2, spellcheck: "false", placeholder: "accept-language: de" });
  const secret = h("input", { type: "password", autocomplete: "off", spellcheck: "false", value: token, input: (event) => { token = event.target.value; } });
  const reads = endpoint.method === "GET" || endpoint.method === "HEAD";
  const wants = h("input", { type: "checkbox", id: "waterfall", checked: reads, disabled: !reads });
  const outcome = h("div", { class: "outcome", "aria-live": "polite" });
  const button = h("button", { type: "submit" }, "Try it");
  const command = h("pre", { tabindex: 0, "aria-label": "As a command" });
  const copied = h("span", { role: "status" });
  const request = () => typed(endpoint, fields, body, headers);
  const call = h("pre", { tabindex: 0, "aria-label": "As a call" });
  const write = () => {
    command.textContent = curl(base, client, request(), token !== "");
    call.textContent = called(functions, contract, endpoint, fields, body, token !== "");
  };
  const copy = (what) => navigator.clipboard.writeText(what.textContent).then(() => { copied.textContent = "Copied."; }, () => { copied.textContent = "Select and copy it."; });
  const form = h("form", { submit: (event) => { event.preventDefault(); tried(client, request(), outcome, wants.checked, button); }, input: write },
    fields.map(({ parameter, input }) => field(parameter.name, input, `${parameter.in}${parameter.required ? "" : ", optional"}`)),
    body && field("Body", body, "JSON"),
    field("Headers", headers, "a line each"),
    field("Token", secret, "a caller's; it stays in this page's memory, and goes to the host with the try"),
    h("p", { class: "actions" }, button, h("label", { class: "check" }, wants, reads ? " Waterfall (asks once more)" : " Waterfall (of reads only: it asks once more)")));
  write();
  return h("article", null,
    h("h2", null, h("span", { class: `method ${endpoint.method}` }, endpoint.method), " ", h("code", null, `${client.prefix ?? ""}${endpoint.path}`)),
    h("p", null, operation?.summary ?? endpoint.summary ?? "", " ", h("span", { class: "dim" }, `by ${endpoint.plugin}`), " ", endpoint.auth === "required" && badge("needs a token")),
    operation?.description && operation.description !== operation.summary && h("p", { class: "dim" }, operation.description),
    form,
    h("details", null, h("summary", null, "As a command, as a call"), command, h("p", null, h("button", { type: "button", class: "quiet", click: () => copy(command) }, "Copy as curl"), " ", copied),
      call.textContent !== "" && [call, h("p", null, h("button", { type: "button", class: "quiet", click: () => copy(call) }, "Copy as the typed client's call"), " ",
        h("span", { class: "dim" }, `made by: weft types --client ${client.name} --out bff.ts`))]),
    details(contract, operation), outcome);
};

export const playground = (place) => {
  const list = h("div", { class: "endpoints" });
  const chosen = h("div", { class: "chosen" }, h("p", { class: "dim" }, "Choose an endpoint."));
  const look = async () => {
    const { clients, public: base } = await get("/v1/clients");
    const pick = h("select", { change: () => choose(clients.find((client) => client.name === pick.value)) }, clients.map((client) => h("option", null, client.name)));
    const filter = h("input", { type: "search", placeholder: "films", spellcheck: "false", input: () => narrow() });
    const entries = h("ul");
    const narrow = () => entries.childNodes.forEach((entry) => { entry.hidden = !entry.textContent.toLowerCase().includes(filter.value.toLowerCase()); });
    const choose = async (client) => {
      if (!client) return;
      entries.replaceChildren();
      const contract = await maybe(`/v1/openapi?client=${encodeURIComponent(client.name)}`).catch(() => null);
      const functions = await maybe(`/v1/functions?client=${encodeURIComponent(client.name)}`).catch(() => null);
      const open = (endpoint, event) => {
        entries.querySelectorAll("[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
        event.currentTarget.setAttribute("aria-current", "true");
        chosen.replaceChildren(opened(base, client, { contract, functions }, endpoint));
      };
      const entry = (endpoint) => h("li", null, h("button", { type: "button", class: "entry", click: (event) => open(endpoint, event) },
        h("span", { class: `method ${endpoint.method}` }, endpoint.method), " ", h("code", null, endpoint.path)));
      entries.replaceChildren(...client.endpoints.map(entry));
      if (client.endpoints.length === 0) entries.replaceChildren(h("li", { class: "dim" }, "No plugin serves this client."));
      narrow();
    };
    list.replaceChildren(field("Client", pick), field("Filter", filter), entries);
    place.replaceChildren(h("div", { class: "columns" }, list, chosen));
    await choose(clients[0]);
  };
  return { look };
};
