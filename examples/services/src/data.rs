//! What the services know: films, people and reviews as ready messages, with the indexes that their methods need.
//!
//! Nothing here changes after it was built, so all services of a test share one [`Data`].

mod assemble;
mod file;
mod generate;
mod random;
mod review_writer;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::proto::catalog::v1::Film;
use crate::proto::people::v1::Person;
use crate::proto::reviews::v1::Review;

pub use generate::{BadSizes, Sizes};
pub(crate) use random::hash;

/// The demo's own data set, readable by a human.
const DEMO: &str = include_str!("../data/films.json");

/// All films, people and reviews. Positions below are places in the vector of the same name.
#[derive(Debug, Default)]
pub struct Data {
    /// Newest first.
    films: Vec<Film>,
    film_at: HashMap<u32, usize>,
    /// By lower-case genre.
    films_of_genre: HashMap<String, Vec<usize>>,
    films_with_person: HashMap<u32, Vec<usize>>,
    /// Genres as they are written, each with its films, best loved first.
    genres: BTreeMap<String, Vec<usize>>,
    popular: Vec<usize>,
    /// In the order of their ids.
    people: Vec<Person>,
    person_at: HashMap<u32, usize>,
    /// Newest first.
    reviews: Vec<Review>,
    reviews_of_film: HashMap<u32, Vec<usize>>,
    tallies: HashMap<u32, Tally>,
    /// Lower-case titles and names with their positions, in alphabetical order.
    titles: Vec<(String, usize)>,
    names: Vec<(String, usize)>,
}

/// Why there is no data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the data is not in the form of films.json: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the data contradicts itself: {0}")]
    Inconsistent(String),
}

/// One page of films, and where the next begins.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) films: Vec<Film>,
    pub(crate) next: Option<usize>,
}

/// How many ratings, and the sum of their stars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u32,
    stars: u64,
}

impl Tally {
    pub(crate) fn of(stars: u32) -> Self {
        let stars = u64::from(stars);
        Self { count: 1, stars }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), stars: self.stars.saturating_add(other.stars) }
    }

    /// 0 where there are no ratings.
    pub(crate) fn average(self) -> f64 {
        let stars = self.stars as f64;
        stars / f64::from(self.count.max(1))
    }
}

impl Data {
    /// The real films of `data/films.json`.
    pub fn demo() -> Result<Self, DataError> {
        Self::parse(DEMO)
    }

    /// A file in the form of `data/films.json`.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| DataError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Made-up films of any number: the same for the same sizes and seed, on every machine.
    pub fn generate(sizes: Sizes, seed: u64) -> Result<Self, DataError> {
        generate::generate(sizes, seed, &file::File::parse(DEMO)?)
    }

    fn parse(text: &str) -> Result<Self, DataError> {
        file::File::parse(text)?.into_data()
    }

    /// Newest first.
    pub fn films(&self) -> &[Film] {
        &self.films
    }

    /// In the order of their ids; the reviewers are among them.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Newest first.
    pub fn reviews(&self) -> &[Review] {
        &self.reviews
    }

    pub fn film(&self, id: u32) -> Option<&Film> {
        self.films.get(*self.film_at.get(&id)?)
    }

    pub fn person(&self, id: u32) -> Option<&Person> {
        self.people.get(*self.person_at.get(&id)?)
    }

    pub(crate) fn tally(&self, film_id: u32) -> Tally {
        self.tallies.get(&film_id).copied().unwrap_or_default()
    }

    /// Newest first; an empty genre and person 0 mean all.
    pub(crate) fn list_films(&self, genre: &str, person: u32, offset: usize, size: usize) -> Page {
        let genre = genre.to_lowercase();
        let mut films: Vec<Film> = match (genre.as_str(), person) {
            ("", 0) => self.films.iter().skip(offset).take(size + 1).collect(),
            (genre, 0) => self.at(self.films_of_genre.get(genre), offset, size + 1),
            ("", person) => self.at(self.films_with_person.get(&person), offset, size + 1),
            (genre, person) => {
                let of_genre = self.films_of_genre.get(genre);
                let of_genre = of_genre.map(Vec::as_slice).unwrap_or_default();
                let mut both = self.films_with_person.get(&person).cloned();
                if let Some(both) = &mut both {
                    both.retain(|place| of_genre.binary_search(place).is_ok());
                }
                self.at(both.as_ref(), offset, size + 1)
            }
        }
        .into_iter()
        .cloned()
        .collect();
        let next = (films.len() > size).then_some(offset + size);
        films.truncate(size);
        Page { films, next }
    }

    fn at(&self, places: Option<&Vec<usize>>, offset: usize, size: usize) -> Vec<&Film> {
        let places = places.map(Vec::as_slice).unwrap_or_default();
        let page = places.iter().skip(offset).take(size);
        page.filter_map(|place| self.films.get(*place)).collect()
    }

    /// Titles that begin with the query first, then those that contain it, each in alphabetical order.
    pub(crate) fn search_films(&self, query: &str, size: usize) -> Vec<Film> {
        let found = search(&self.titles, query, size);
        found.filter_map(|place| self.films.get(place).cloned()).collect()
    }

    /// As [`Self::search_films`], by name.
    pub(crate) fn search_people(&self, query: &str, size: usize) -> Vec<Person> {
        let found = search(&self.names, query, size);
        found.filter_map(|place| self.people.get(place).cloned()).collect()
    }

    /// Of one film, or (0) of all; newest first.
    pub(crate) fn list_reviews(&self, film_id: u32, size: usize) -> Vec<Review> {
        if film_id == 0 {
            return self.reviews.iter().take(size).cloned().collect();
        }
        let places = self.reviews_of_film.get(&film_id);
        let places = places.into_iter().flatten().take(size);
        places.filter_map(|place| self.reviews.get(*place).cloned()).collect()
    }

    /// Best loved first.
    pub(crate) fn popular(&self) -> impl Iterator<Item = &Film> {
        self.popular.iter().filter_map(|place| self.films.get(*place))
    }

    /// Every genre with the positions of its films, best loved first.
    pub(crate) fn genres(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let genres = self.genres.iter();
        genres.map(|(genre, places)| (genre.as_str(), places.as_slice()))
    }

    /// The `turn`th of these films, counted from a start that `taste` names; none after one round.
    pub(crate) fn nth_of(&self, places: &[usize], taste: u64, turn: usize) -> Option<&Film> {
        if turn >= places.len() {
            return None;
        }
        let start = usize::try_from(taste >> 32).unwrap_or_default();
        let place = places.get((start + turn) % places.len())?;
        self.films.get(*place)
    }
}

fn search<'a>(index: &'a [(String, usize)], query: &str, size: usize) -> impl Iterator<Item = usize> + use<'a> {
    let query = query.to_lowercase();
    let mut first = Vec::new();
    let mut then = Vec::new();
    for (text, place) in index {
        match text.find(&query) {
            Some(0) => first.push(*place),
            Some(_) => then.push(*place),
            None => {}
        }
    }
    first.into_iter().chain(then).take(size)
}
