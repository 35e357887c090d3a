// How a page uses the client that is made of the demo's plugin for `web`. The compiler is the test: what should not compile says so.
import { createClient, getFilmsById, getHome, postFilmsByIdRating, getSearch } from "./bff.js";
import type { FilmPage, GetFilmsByIdResult } from "./bff.js";

const client = createClient({ baseUrl: "http://127.0.0.1/web", token: async () => "a token" });

export async function title(id: number, signal: AbortSignal): Promise<string> {
  const found = await getFilmsById(client, { path: { id } }, { signal });
  switch (found.status) {
    case 200: {
      const film: FilmPage = found.data;
      const born: number | null | undefined = film.directors[0]?.born;
      // @ts-expect-error: the field may be null.
      const never: number | undefined = film.directors[0]?.born;
      return `${film.title} ${born ?? never}`;
    }
    case 404:
      switch (found.problem.type) {
        case "about:blank":
          return `no film: ${found.problem.field ?? found.problem.detail}`;
        case "urn:weft:problem:not-found": {
          const title: "No such endpoint" = found.problem.title;
          return title;
        }
        default:
          return all(found.problem);
      }
    case "unexpected":
      return `${found.code} ${found.problem?.["type"]}`;
    default:
      return found.problem.type;
  }
}

// Nothing is left out.
function all(nothing: never): never {
  throw nothing;
}

export function isGood(result: GetFilmsByIdResult): string {
  if (result.ok) return result.data.title;
  return result.problem?.title ?? "";
}

export async function others(): Promise<void> {
  await getHome(client);
  await getHome(client, { token: null, retries: 0 });
  await getSearch(client, { query: { q: "god" } });
  await postFilmsByIdRating(client, { path: { id: 1 }, body: { stars: 5 } }, { idempotencyKey: "k" });
  // @ts-expect-error: the query has to be there.
  await getSearch(client, {});
  // @ts-expect-error: a number.
  await postFilmsByIdRating(client, { path: { id: 1 }, body: { stars: "5" } });
  // @ts-expect-error: no such parameter.
  await getFilmsById(client, { path: { id: 1, page: 2 } });
}

export async function chosen(id: number): Promise<string> {
  const found = await getFilmsById(client, { path: { id }, query: { fields: ["title", "directors.name"] } });
  if (!found.ok) return found.status === "unexpected" ? "" : found.problem.type;
  const name: string | undefined = found.data.directors[0]?.name;
  // @ts-expect-error: it was not chosen.
  const year: unknown = found.data.year;
  // @ts-expect-error: of directors the names alone were.
  const born: unknown = found.data.directors[0]?.born;
  // @ts-expect-error: there is no such field.
  await getFilmsById(client, { path: { id }, query: { fields: ["titel"] } });
  return `${found.data.title} ${name} ${year} ${born}`;
}
