// What the web pages are made of.

import { t } from "weft-sdk";
import { People } from "#protos/people.v1";

const Person = t.named("Person", t.object({ id: t.uint32(), name: t.string(), born: t.nullable(t.uint32()), portrait: t.string() }));

const FACTS = {
  id: t.uint32(),
  title: t.string(),
  year: t.uint32(),
  minutes: t.uint32(),
  genres: t.array(t.string()),
  poster: t.string(),
  ratings: t.uint32(),
  average: t.number({ description: "0 to 5, rounded to one digit." }),
};

const CARD = { ...FACTS, directors: t.array(Person) };
const Review = t.object({ author: t.string(), stars: t.uint32(), text: t.string(), written_at: t.integer({ description: "Seconds since 1970." }) });
const Role = t.object({ character: t.string(), actor: Person });

export const Home = t.named("Home", t.object({
  signed_in_as: t.nullable(t.string()),
  newest: t.array(t.named("FilmCard", t.object(CARD))),
  for_you: t.array(t.named("Recommended", t.object({ ...CARD, reason: t.string() }))),
}));

export const FilmPage = t.named("FilmPage", t.object({
  ...FACTS,
  synopsis: t.string(),
  directors: t.array(Person),
  cast: t.array(t.named("Role", Role)),
  reviews: t.array(t.named("Review", Review)),
}));

export function facts(film, summary) {
  const { id, title, year, minutes, genres, posterUrl } = film;
  return { id, title, year, minutes, genres, poster: posterUrl, ratings: summary.count, average: Math.round(summary.average * 10) / 10 };
}

export function person({ id, name, born, portraitUrl }) {
  return { id, name, born: born > 0 ? born : null, portrait: portraitUrl };
}

export async function personNamed(id) {
  const found = await People.getPerson({ id }).ifFound();
  return person(found ?? { id, name: "Unknown", born: 0, portraitUrl: "" });
}
