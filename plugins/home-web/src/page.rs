//! What the web pages are made of.

use super::{catalog, people, reviews};
use weft_sdk::prelude::*;

#[data]
pub(crate) struct Home {
    pub(crate) signed_in_as: Option<String>,
    pub(crate) newest: Vec<FilmCard>,
    pub(crate) for_you: Vec<Recommended>,
}

#[data]
pub(crate) struct Facts {
    pub(crate) id: u32,
    pub(crate) title: String,
    pub(crate) year: u32,
    pub(crate) minutes: u32,
    pub(crate) genres: Vec<String>,
    pub(crate) poster: String,
    pub(crate) ratings: u32,
    /// 0 to 5, rounded to one digit.
    pub(crate) average: f64,
}

#[data]
pub(crate) struct FilmCard {
    #[serde(flatten)]
    pub(crate) film: Facts,
    pub(crate) directors: Vec<Person>,
}

#[data]
pub(crate) struct Recommended {
    #[serde(flatten)]
    pub(crate) film: FilmCard,
    pub(crate) reason: String,
}

#[data]
pub(crate) struct FilmPage {
    #[serde(flatten)]
    pub(crate) film: Facts,
    pub(crate) synopsis: String,
    pub(crate) directors: Vec<Person>,
    pub(crate) cast: Vec<Role>,
    pub(crate) reviews: Vec<Review>,
}

#[data]
pub(crate) struct Role {
    pub(crate) character: String,
    pub(crate) actor: Person,
}

#[data]
pub(crate) struct Review {
    pub(crate) author: String,
    pub(crate) stars: u32,
    pub(crate) text: String,
    /// Seconds since 1970.
    pub(crate) written_at: i64,
}

#[data]
pub(crate) struct Person {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) born: Option<u32>,
    pub(crate) portrait: String,
}

#[data]
pub(crate) struct PersonPage {
    pub(crate) person: Person,
    pub(crate) films: Vec<FilmCard>,
}

#[data]
pub(crate) struct Found {
    pub(crate) films: Vec<FilmCard>,
    pub(crate) people: Vec<Person>,
}

#[data]
pub(crate) struct NewRating {
    #[schemars(range(min = 1, max = 5))]
    pub(crate) stars: u32,
}

#[data]
pub(crate) struct Rated {
    pub(crate) stars: u32,
    pub(crate) your_ratings: u32,
    /// 0 to 5, rounded to one digit.
    pub(crate) average: f64,
}

pub(crate) fn facts(film: &catalog::v1::Film, summary: &reviews::v1::Summary) -> Facts {
    Facts {
        id: film.id,
        title: film.title.clone(),
        year: film.year,
        minutes: film.minutes,
        genres: film.genres.clone(),
        poster: film.poster_url.clone(),
        ratings: summary.count,
        average: rounded(summary.average),
    }
}

pub(crate) fn rounded(average: f64) -> f64 {
    (average * 10.0).round() / 10.0
}

pub(crate) fn person(person: people::v1::Person) -> Person {
    let born = Some(person.born).filter(|year| *year > 0);
    Person { id: person.id, name: person.name, born, portrait: person.portrait_url }
}
