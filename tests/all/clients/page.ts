// A small page on the client that is made of the demo's plugin for `web`, as somebody would write it.
import { createClient, getFilmsById, getHome, postFilmsByIdRating } from "./bff.js";

const settings = new URLSearchParams(location.search);
let token: string | undefined;
const client = createClient({ baseUrl: settings.get("base") ?? "/web", token: () => token });

function show(id: string, ...texts: string[]): void {
  const place = document.getElementById(id);
  const item = (text: string) => Object.assign(document.createElement("li"), { textContent: text });
  if (place) place.replaceChildren(...(place.tagName === "UL" ? texts.map(item) : texts));
}

async function showHome(): Promise<void> {
  const home = await getHome(client);
  if (home.ok) show("newest", ...home.data.newest.map((film) => `${film.title} (${film.year})`));
}

async function showFilm(id: number, signal?: AbortSignal): Promise<string> {
  const found = await getFilmsById(client, { path: { id } }, { signal });
  switch (found.status) {
    case 200:
      show("title", found.data.title);
      show("cast", ...found.data.cast.map((role) => `${role.actor.name} as ${role.character}`));
      return found.meta.notModified ? "not modified" : "new";
    case 404:
      show("problem", found.problem.title);
      return found.problem.type;
    default:
      return String(found.status);
  }
}

async function rate(id: number, stars: number): Promise<string> {
  const rated = await postFilmsByIdRating(client, { path: { id }, body: { stars } });
  return rated.ok ? `rated ${rated.data.stars}` : `${rated.status}: ${rated.problem?.type}`;
}

Object.assign(window, { showFilm, rate, signIn: (given: string) => (token = given) });
await showHome();
document.body.dataset["ready"] = "true";
