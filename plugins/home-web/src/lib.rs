//! The web site's pages: wide, with casts and reviews nested in the film, so that a page needs one request.

use weft_sdk::prelude::*;

weft_sdk::clients!();

mod page;

use catalog::v1::{Film, Films, GetFilmRequest, ListFilmsRequest, SearchFilmsRequest};
use page::{FilmCard, FilmPage, Found, Home, NewRating, PersonPage, Rated, Recommended, Review, Role};
use people::v1::{GetPersonRequest, People, Person, SearchPeopleRequest};
use recommend::v1::{ForUserRequest, Recommend};
use reviews::v1::{GetSummaryRequest, ListReviewsRequest, RateFilmRequest, Reviews, Summary};

/// The newest films, and what the caller may like.
#[get("/home")]
async fn home(caller: Option<Identity>) -> Result<Json<Home>> {
    let newest = async {
        let list = Films::list_films(ListFilmsRequest { page_size: 12, ..Default::default() }).await?;
        try_join_all(list.films.into_iter().map(card)).await
    };
    let (newest, for_you) = join!(newest, recommended());
    let signed_in_as = caller.map(|caller| caller.subject().to_owned());
    Ok(Json(Home { signed_in_as, newest: newest?, for_you: for_you? }))
}

/// One film with its cast, its directors and its latest reviews.
#[get("/films/{id}")]
async fn film(Path(id): Path<u32>, fields: Selection) -> Result<Json<FilmPage>> {
    let film = Films::get_film(GetFilmRequest { id }).await.or_not_found("film", id)?;
    // What nobody asks for is not called for.
    let directors = film.director_ids.iter().filter(|_| fields.has("directors"));
    let directors = try_join_all(directors.map(|id| person_named(*id)));
    let cast = film.cast.iter().filter(|_| fields.has("cast"));
    let cast = try_join_all(cast.map(|role| async {
        let actor = person_named(role.person_id).await?;
        Ok::<_, Problem>(Role { character: role.character.clone(), actor })
    }));
    let reviews = async { if fields.has("reviews") { latest_reviews(id).await } else { Ok(Vec::new()) } };
    let is_rated = fields.has("ratings") || fields.has("average");
    let summary = async { if is_rated { summary(id).await } else { Ok(Summary::default()) } };
    let (directors, cast, reviews, summary) = try_join!(directors, cast, reviews, summary)?;
    Ok(Json(FilmPage { film: page::facts(&film, &summary), synopsis: film.synopsis, directors, cast, reviews }))
}

/// One person and the films that they made or played in.
#[get("/people/{id}")]
async fn person(Path(id): Path<u32>) -> Result<Json<PersonPage>> {
    let (person, list) = join!(
        People::get_person(GetPersonRequest { id }),
        Films::list_films(ListFilmsRequest { person_id: id, page_size: 50, ..Default::default() }),
    );
    let person = person.or_not_found("person", id)?;
    let films = try_join_all(list?.films.into_iter().map(card)).await?;
    Ok(Json(PersonPage { person: page::person(person), films }))
}

#[data]
struct Search {
    /// Part of a title or a name.
    #[schemars(regex(pattern = r"\S"))]
    q: String,
}

/// Films and people whose title or name contains the query.
#[get("/search")]
async fn search(Query(Search { q }): Query<Search>) -> Result<Json<Found>> {
    if q.trim().is_empty() {
        return Err(Problem::invalid("query.q", "is empty"));
    }
    let (films, people) = try_join!(
        Films::search_films(SearchFilmsRequest { query: q.clone(), page_size: 10 }),
        People::search_people(SearchPeopleRequest { query: q, page_size: 10 }),
    )?;
    let films = try_join_all(films.films.into_iter().map(card)).await?;
    Ok(Json(Found { films, people: people.people.into_iter().map(page::person).collect() }))
}

/// Rates a film with one to five stars.
#[post("/films/{id}/rating")]
async fn rate(Path(id): Path<u32>, _caller: Identity, Json(new): Json<NewRating>) -> Result<Created<Json<Rated>>> {
    if !(1..=5).contains(&new.stars) {
        return Err(Problem::invalid("body.stars", "is not between 1 and 5"));
    }
    let rating =
        Reviews::rate_film(RateFilmRequest { film_id: id, stars: new.stars }).await.or_not_found("film", id)?;
    let average = rating.summary.map_or(0.0, |summary| page::rounded(summary.average));
    Ok(Created(Json(Rated { stars: rating.stars, your_ratings: rating.your_ratings, average })))
}

/// A page without recommendations is still a page.
async fn recommended() -> Result<Vec<Recommended>> {
    let Some(list) = Recommend::for_user(ForUserRequest { limit: 6 }).await.optional()? else { return Ok(Vec::new()) };
    let films = join_all(list.films.into_iter().map(|hint| async move {
        let film = Films::get_film(GetFilmRequest { id: hint.film_id }).await.optional()?;
        let Some(film) = film else { return Ok(None) };
        Ok(Some(Recommended { film: card(film).await?, reason: hint.reason }))
    }));
    films.await.into_iter().filter_map(Result::transpose).collect()
}

async fn card(film: Film) -> Result<FilmCard> {
    let directors = try_join_all(film.director_ids.iter().map(|id| person_named(*id)));
    let (summary, directors) = try_join!(summary(film.id), directors)?;
    Ok(FilmCard { film: page::facts(&film, &summary), directors })
}

async fn summary(film_id: u32) -> Result<Summary> {
    Ok(Reviews::get_summary(GetSummaryRequest { film_id }).or_default().await?)
}

async fn person_named(id: u32) -> Result<page::Person> {
    let found = People::get_person(GetPersonRequest { id }).await.if_found()?;
    Ok(page::person(found.unwrap_or_else(|| Person { id, name: "Unknown".to_owned(), ..Default::default() })))
}

async fn latest_reviews(film_id: u32) -> Result<Vec<Review>> {
    let list = Reviews::list_reviews(ListReviewsRequest { film_id, page_size: 10 }).await?;
    let reviews = list.reviews.into_iter().map(|review| async move {
        let author = person_named(review.author_id).await?;
        Ok(Review { author: author.name, stars: review.stars, text: review.text, written_at: review.written_at })
    });
    try_join_all(reviews).await
}

weft_sdk::plugin!(home, film, person, search, rate);
