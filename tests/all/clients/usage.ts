// How a page uses the client that is made of web.json. The compiler is the test: what should not compile says so.
import { createClient, getFilm, getHome, rateFilm, search } from "./bff.js";
import type { FilmPage, GetFilmResult, Problem, Unexpected } from "./bff.js";

const client = createClient({ baseUrl: "http://127.0.0.1/web", token: async () => "a token" });

export async function title(id: number, signal: AbortSignal): Promise<string> {
  const found = await getFilm(client, { path: { id } }, { signal });
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
          return `no film: ${found.problem.field ?? found.problem.title}`;
        case "urn:weft:problem:no-client":
        case "urn:weft:problem:no-endpoint":
          return found.problem.title;
        default:
          return all(found.problem);
      }
    case 400:
    case 429:
    case 503:
      return found.problem.type;
    case "unexpected":
      return `${found.code} ${found.problem?.["type"]}`;
    default:
      return all(found);
  }
}

// Nothing is left out.
function all(nothing: never): never {
  throw nothing;
}

export function isGood(result: GetFilmResult): string {
  if (result.ok) return result.data.title;
  const refused: Problem | Unexpected["problem"] = result.problem;
  return refused?.title ?? "";
}

export async function others(): Promise<void> {
  await getHome(client);
  await getHome(client, { token: null, retries: 0 });
  await search(client, { query: { q: "god" } });
  await rateFilm(client, { path: { id: 1 }, body: { stars: 5 } }, { idempotencyKey: "k" });
  // @ts-expect-error: the query has to be there.
  await search(client, {});
  // @ts-expect-error: a number.
  await rateFilm(client, { path: { id: 1 }, body: { stars: "5" } });
  // @ts-expect-error: no such parameter.
  await getFilm(client, { path: { id: 1, page: 2 } });
}
