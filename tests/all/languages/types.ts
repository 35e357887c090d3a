import { App, CallError, Problem, t, type Static } from "weft-sdk";
import { TestApp } from "weft-sdk/test";
import { Films, type Film } from "#protos/catalog.v1";
import { Reviews } from "#protos/reviews.v1";

const Page = t.named("Page", t.object({ id: t.uint32(), title: t.string(), note: t.optional(t.string()), kind: t.enum("a", "b") }));
type Page = Static<typeof Page>;

const app = new App();
app.get("/films/{id}", { params: { id: t.uint32() }, query: t.object({ size: t.integer() }), response: Page, identity: "optional" }, async ({ params, query, identity, fields }): Promise<Page> => {
  const id: number = params.id + query.size;
  const film: Film = await Films.getFilm({ id }).orNotFound("film", id);
  const summary = await Reviews.getSummary({ filmId: id }).timeout(50).orDefault();
  const written: bigint | undefined = (await Reviews.listReviews({ filmId: 1 })).reviews[0]?.writtenAt;
  if (fields.has("x") && identity?.subject === "") throw Problem.conflict(`${written} ${summary.average}`);
  return { id, title: film.title, kind: "a" };
});
app.get("/plain/{name}", async (request) => ({ text: request.params["name"], sort: request.query["sort"] }));
app.post("/films", { body: Page }, ({ body }) => ({ title: body.title.toUpperCase() }));
// @ts-expect-error: a title is a string
app.get("/wrong", { response: Page }, () => ({ id: 1, title: 2, kind: "a" }));
// @ts-expect-error: there is no such field
void (() => Films.getFilm({ ide: 1 }));
// @ts-expect-error: not granted
void (() => Films.batchGetFilms({ ids: [1] }));
void new TestApp(app).backend(Films.getFilm, ({ id }) => ({ title: `${id}` })).backend(Films.getFilm, () => { throw new CallError("NOT_FOUND"); });
export default app;
