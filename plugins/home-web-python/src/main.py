"""The web site's pages in Python: the same answers as plugins/home-web gives."""

from page import FilmCard, FilmPage, Home, Recommended, Review, Role, facts, person_named
from protos.catalog import v1 as catalog
from protos.catalog.v1 import Films
from protos.recommend.v1 import Recommend, Recommendation
from protos.reviews import v1 as reviews
from protos.reviews.v1 import Reviews
from weft_sdk import App, Fields, Identity, Uint32, gather, gather_all

app = App()


@app.get("/home")
async def home(identity: Identity | None) -> Home:
    """The newest films, and what the caller may like."""
    films, for_you = await gather(newest(), recommended())
    return Home(identity.subject if identity else None, films, for_you)


@app.get("/films/{id}")
async def film(id: Uint32, fields: Fields) -> FilmPage:
    """One film with its cast, its directors and its latest reviews."""
    film = await Films.get_film(id=id).or_not_found("film", id)
    # What nobody asks for is not called for.
    directors, cast, latest, (count, average) = await gather(
        gather_all(map(person_named, film.director_ids if fields.has("directors") else [])),
        gather_all(map(role, film.cast if fields.has("cast") else [])),
        latest_reviews(id, fields.has("reviews")),
        rating(id, fields.has("ratings") or fields.has("average")),
    )
    return FilmPage(**facts(film, count, average), synopsis=film.synopsis, directors=directors, cast=cast, reviews=latest)


async def newest() -> list[FilmCard]:
    found = await Films.list_films(page_size=12)
    return [FilmCard(**made) for made in await gather_all(map(card, found.films))]


async def recommended() -> list[Recommended]:
    """A page without recommendations is still a page."""
    found = await Recommend.for_user(limit=6).optional()
    made = await gather_all(map(recommended_film, found.films if found else []))
    return [film for film in made if film is not None]


async def recommended_film(one: Recommendation) -> Recommended | None:
    film = await Films.get_film(id=one.film_id).optional()
    return Recommended(**await card(film), reason=one.reason) if film else None


async def card(film: catalog.Film) -> dict:
    (count, average), directors = await gather(rating(film.id, True), gather_all(map(person_named, film.director_ids)))
    return {**facts(film, count, average), "directors": directors}


async def rating(film_id: int, is_wanted: bool) -> tuple[int, float]:
    if not is_wanted:
        return 0, 0.0
    summary = await Reviews.get_summary(film_id=film_id).or_default()
    return summary.count, summary.average


async def role(one: catalog.Role) -> Role:
    return Role(one.character, await person_named(one.person_id))


async def latest_reviews(film_id: int, is_wanted: bool) -> list[Review]:
    if not is_wanted:
        return []
    found = await Reviews.list_reviews(film_id=film_id, page_size=10)
    return await gather_all(map(review, found.reviews))


async def review(one: reviews.Review) -> Review:
    author = await person_named(one.author_id)
    return Review(author.name, one.stars, one.text, one.written_at)
