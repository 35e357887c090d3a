// The web site's pages in JavaScript: the same answers as plugins/home-web gives.

import { App, t } from "weft-sdk";
import { Films } from "#protos/catalog.v1";
import { Recommend } from "#protos/recommend.v1";
import { Reviews } from "#protos/reviews.v1";
import { FilmPage, Home, facts, personNamed } from "./page.js";

const app = new App();

app.get("/home", { summary: "The newest films, and what the caller may like.", identity: "optional", response: Home }, async (req) => {
  const newest = Films.listFilms({ pageSize: 12 }).then(({ films }) => Promise.all(films.map(card)));
  const [films, forYou] = await Promise.all([newest, recommended()]);
  return { signed_in_as: req.identity?.subject ?? null, newest: films, for_you: forYou };
});

const film = {
  summary: "One film with its cast, its directors and its latest reviews.",
  params: { id: t.uint32() },
  fields: true,
  response: FilmPage,
};

app.get("/films/{id}", film, async ({ params: { id }, fields }) => {
  const film = await Films.getFilm({ id }).orNotFound("film", id);
  // What nobody asks for is not called for.
  const directors = fields.has("directors") ? film.directorIds.map(personNamed) : [];
  const cast = fields.has("cast") ? film.cast.map(role) : [];
  const reviews = fields.has("reviews") ? latestReviews(id) : [];
  const isRated = fields.has("ratings") || fields.has("average");
  const summary = isRated ? Reviews.getSummary({ filmId: id }).orDefault() : { count: 0, average: 0 };
  const all = await Promise.all([Promise.all(directors), Promise.all(cast), reviews, summary]);
  return { ...facts(film, all[3]), synopsis: film.synopsis, directors: all[0], cast: all[1], reviews: all[2] };
});

/** A page without recommendations is still a page. */
async function recommended() {
  const list = await Recommend.forUser({ limit: 6 }).optional();
  if (list === undefined) return [];
  const films = list.films.map(async ({ filmId, reason }) => {
    const film = await Films.getFilm({ id: filmId }).optional();
    return film && { ...(await card(film)), reason };
  });
  return (await Promise.all(films)).filter((film) => film !== undefined);
}

async function card(film) {
  const summary = Reviews.getSummary({ filmId: film.id }).orDefault();
  const directors = Promise.all(film.directorIds.map(personNamed));
  return { ...facts(film, await summary), directors: await directors };
}

async function role({ personId, character }) {
  return { character, actor: await personNamed(personId) };
}

async function latestReviews(filmId) {
  const { reviews } = await Reviews.listReviews({ filmId, pageSize: 10 });
  return Promise.all(reviews.map(async ({ authorId, stars, text, writtenAt }) => {
    const author = await personNamed(authorId);
    return { author: author.name, stars, text, written_at: Number(writtenAt) };
  }));
}

export default app;
