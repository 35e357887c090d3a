// The console: one view at a time, by the address's fragment.
import { send, session } from "/console/api.js";
import { h } from "/console/dom.js";
import { backends, configuration, plugins, requests } from "/console/live.js";
import { playground } from "/console/playground.js";

const VIEWS = [
  ["play", "Playground", playground],
  ["requests", "Requests", requests],
  ["plugins", "Plugins", plugins],
  ["backends", "Backends", backends],
  ["configuration", "Configuration", configuration],
];
const view = document.getElementById("view");
const trouble = document.getElementById("trouble");
let leave = () => {};

const complain = (error) => {
  trouble.hidden = !error;
  trouble.textContent = error ? error.message : "";
};

const show = async (known) => {
  leave();
  const name = location.hash.slice(2);
  const [own, title, open] = VIEWS.find(([own]) => own === name) ?? VIEWS[0];
  document.title = `${title} · Weft`;
  document.getElementById("views").replaceChildren(...VIEWS.map(([other, title]) =>
    h("a", { href: `#/${other}`, "aria-current": other === own && "page" }, title)));
  const place = h("div", { class: own });
  view.replaceChildren(h("h1", null, title), place);
  complain(null);
  let is_open = true;
  let timer;
  leave = () => {
    is_open = false;
    clearTimeout(timer);
  };
  const page = open(place, known);
  const look = async () => {
    try {
      await page.look();
      if (is_open) complain(null);
    } catch (error) {
      if (is_open) complain(error);
    }
    if (is_open && page.every) timer = setTimeout(look, page.every);
  };
  await look();
};

try {
  const known = await session();
  document.getElementById("who").textContent = `${known.name} (${known.role})`;
  document.getElementById("leave").addEventListener("click", async () => {
    await send("DELETE", "/v1/session").catch(complain);
    location.replace("/sign-in");
  });
  addEventListener("hashchange", () => show(known));
  await show(known);
} catch (error) {
  complain(error);
}
