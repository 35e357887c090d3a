"""What the web pages are made of."""

from dataclasses import dataclass
from typing import Annotated, Any

from protos.catalog import v1 as catalog
from protos.people.v1 import People
from weft_sdk import Schema, Uint32


@dataclass
class Person:
    id: Uint32
    name: str
    born: Uint32 | None
    portrait: str


@dataclass(kw_only=True)
class Facts:
    id: Uint32
    title: str
    year: Uint32
    minutes: Uint32
    genres: list[str]
    poster: str
    ratings: Uint32
    average: Annotated[float, Schema(description="0 to 5, rounded to one digit.")]


@dataclass(kw_only=True)
class FilmCard(Facts):
    directors: list[Person]


@dataclass(kw_only=True)
class Recommended(FilmCard):
    reason: str


@dataclass
class Home:
    signed_in_as: str | None
    newest: list[FilmCard]
    for_you: list[Recommended]


@dataclass
class Review:
    author: str
    stars: Uint32
    text: str
    written_at: Annotated[int, Schema(description="Seconds since 1970.")]


@dataclass
class Role:
    character: str
    actor: Person


@dataclass(kw_only=True)
class FilmPage(Facts):
    synopsis: str
    directors: list[Person]
    cast: list[Role]
    reviews: list[Review]


def facts(film: catalog.Film, count: int, average: float) -> dict[str, Any]:
    return {
        "id": film.id,
        "title": film.title,
        "year": film.year,
        "minutes": film.minutes,
        "genres": film.genres,
        "poster": film.poster_url,
        "ratings": count,
        "average": int(average * 10 + 0.5) / 10,
    }


async def person_named(id: int) -> Person:
    found = await People.get_person(id=id).if_found()
    if found is None:
        return Person(id, "Unknown", None, "")
    return Person(found.id, found.name, found.born or None, found.portrait_url)
