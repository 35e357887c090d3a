//! The form of `data/films.json`: films name people, and every name must stand in `people`, so a misspelt one is found.

use std::collections::HashMap;

use serde::Deserialize;

use super::random::Random;
use super::review_writer::{Remark, write_reviews};
use super::{Data, DataError};
use crate::proto::catalog::v1::{Film, Role};
use crate::proto::people::v1::Person;

/// The demo's reviews are the same at every start.
const REVIEWS_SEED: u64 = 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    films: Vec<FilmEntry>,
    people: Vec<PersonEntry>,
    /// Who writes the reviews.
    pub(super) reviewers: Vec<PersonEntry>,
    /// What they write; `{title}` stands for the film's title.
    pub(super) remarks: Vec<Remark>,
    /// How many reviews are written.
    reviews: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilmEntry {
    id: u32,
    title: String,
    year: u32,
    minutes: u32,
    genres: Vec<String>,
    directors: Vec<String>,
    /// Pairs of actor and character.
    cast: Vec<(String, String)>,
    synopsis: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonEntry {
    pub(super) id: u32,
    name: String,
    /// 0: not known.
    #[serde(default)]
    born: u32,
}

impl File {
    pub(super) fn parse(text: &str) -> Result<Self, DataError> {
        Ok(serde_json::from_str(text)?)
    }

    pub(super) fn into_data(self) -> Result<Data, DataError> {
        let ids: HashMap<&str, u32> = self.people.iter().map(|person| (person.name.as_str(), person.id)).collect();
        let films: Result<Vec<Film>, DataError> = self.films.iter().map(|film| film.message(&ids)).collect();
        let films = films?;
        let reviewers: Vec<u32> = self.reviewers.iter().map(|person| person.id).collect();
        let mut random = Random::new(REVIEWS_SEED);
        let reviews = write_reviews(&films, &reviewers, &self.remarks, self.reviews, &mut random);
        let people = self.people.iter().chain(&self.reviewers);
        let people = people.map(PersonEntry::message).collect();
        Data::assemble(films, people, reviews)
    }
}

impl FilmEntry {
    fn message(&self, ids: &HashMap<&str, u32>) -> Result<Film, DataError> {
        let id_of = |name: &String| {
            ids.get(name.as_str())
                .copied()
                .ok_or_else(|| DataError::Inconsistent(format!("{:?} names {name:?}, not in people", self.title)))
        };
        let cast = self
            .cast
            .iter()
            .map(|(name, character)| Ok(Role { person_id: id_of(name)?, character: character.clone() }));
        Ok(Film {
            id: self.id,
            title: self.title.clone(),
            year: self.year,
            minutes: self.minutes,
            director_ids: self.directors.iter().map(id_of).collect::<Result<_, _>>()?,
            cast: cast.collect::<Result<_, DataError>>()?,
            genres: self.genres.clone(),
            synopsis: self.synopsis.clone(),
            poster_url: poster_url(self.id),
        })
    }
}

impl PersonEntry {
    pub(super) fn message(&self) -> Person {
        Person { id: self.id, name: self.name.clone(), born: self.born, portrait_url: portrait_url(self.id) }
    }
}

pub(super) fn poster_url(film: u32) -> String {
    format!("https://img.weft.example/films/{film}.jpg")
}

pub(super) fn portrait_url(person: u32) -> String {
    format!("https://img.weft.example/people/{person}.jpg")
}
