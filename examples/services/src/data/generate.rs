//! Made-up films, people and reviews of any number, for benches.

use std::str::FromStr;

use super::file::{File, PersonEntry, portrait_url, poster_url};
use super::random::Random;
use super::review_writer::write_reviews;
use super::{Data, DataError};
use crate::proto::catalog::v1::{Film, Role};
use crate::proto::people::v1::Person;

const GENRES: [&str; 12] = [
    "Action",
    "Adventure",
    "Comedy",
    "Crime",
    "Drama",
    "Fantasy",
    "Horror",
    "Mystery",
    "Romance",
    "Science Fiction",
    "Thriller",
    "Western",
];
const ADJECTIVES: [&str; 24] = [
    "Silent",
    "Last",
    "Golden",
    "Broken",
    "Hidden",
    "Northern",
    "Patient",
    "Burning",
    "Second",
    "Paper",
    "Empty",
    "Distant",
    "Crooked",
    "Borrowed",
    "Winter",
    "Glass",
    "Honest",
    "Forgotten",
    "Restless",
    "Blue",
    "Long",
    "Quiet",
    "Iron",
    "Early",
];
const NOUNS: [&str; 24] = [
    "Harbour",
    "Orchard",
    "Signal",
    "Garden",
    "Summer",
    "Ferry",
    "Witness",
    "Mountain",
    "Letter",
    "Station",
    "Violin",
    "Kingdom",
    "Weaver",
    "Border",
    "Lighthouse",
    "Promise",
    "Carousel",
    "Tailor",
    "River",
    "Stranger",
    "Archive",
    "Bridge",
    "Shadow",
    "Feast",
];
const FIRST_NAMES: [&str; 24] = [
    "Alma", "Boris", "Celia", "Dario", "Edith", "Fatou", "Goran", "Helga", "Imran", "Jelena", "Kofi", "Lucia", "Marek",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Stefan", "Tomoko", "Ursula", "Viktor", "Wanda", "Yusuf",
];
const LAST_NAMES: [&str; 24] = [
    "Abara",
    "Bergström",
    "Castillo",
    "Dimitrov",
    "Eriksen",
    "Fontaine",
    "Grünwald",
    "Horvat",
    "Ito",
    "Jansen",
    "Kowalski",
    "Laurent",
    "Mensah",
    "Nowak",
    "Oduya",
    "Petrov",
    "Quispe",
    "Rossi",
    "Sharma",
    "Takeda",
    "Ueda",
    "Varga",
    "Watanabe",
    "Zimmer",
];

/// How much is made. As text: `films=1000,people=500,reviews=10000`; what is left out is as in the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub films: u32,
    /// The ten reviewers (ids 9001 to 9010) included.
    pub people: u32,
    pub reviews: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { films: 1000, people: 500, reviews: 10_000 }
    }
}

/// The text does not say sizes.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not of the form films=1000,people=500,reviews=10000")]
pub struct BadSizes(String);

impl FromStr for Sizes {
    type Err = BadSizes;

    fn from_str(text: &str) -> Result<Self, BadSizes> {
        let mut sizes = Self::default();
        for part in text.split(',') {
            let bad = || BadSizes(part.to_owned());
            let (key, value) = part.split_once('=').ok_or_else(bad)?;
            let value = value.trim().parse().map_err(|_| bad())?;
            match key.trim() {
                "films" => sizes.films = value,
                "people" => sizes.people = value,
                "reviews" => sizes.reviews = value,
                _ => return Err(bad()),
            }
        }
        Ok(sizes)
    }
}

/// Fewest people: the reviewers, and enough others for the cast of one film.
const FEWEST_PEOPLE: u32 = 20;
const MOST: u32 = 10_000_000;

impl Sizes {
    fn check(self) -> Result<(), DataError> {
        let possible =
            (1..=MOST).contains(&self.films) && (FEWEST_PEOPLE..=MOST).contains(&self.people) && self.reviews <= MOST;
        possible.then_some(()).ok_or_else(|| {
            DataError::Inconsistent(format!(
                "there must be 1 film and {FEWEST_PEOPLE} people at least, and {MOST} of each at most"
            ))
        })
    }
}

pub(super) fn generate(sizes: Sizes, seed: u64, demo: &File) -> Result<Data, DataError> {
    sizes.check()?;
    let mut random = Random::new(seed);
    let reviewers: Vec<u32> = demo.reviewers.iter().map(|person| person.id).collect();
    let makers = sizes.people.saturating_sub(u32::try_from(reviewers.len()).unwrap_or(u32::MAX));
    let mut people: Vec<Person> = (1..)
        .filter(|id| !reviewers.contains(id))
        .zip(0..makers)
        .map(|(id, number)| person(id, number, &mut random))
        .collect();
    let films: Vec<Film> = (1..=sizes.films).map(|id| film(id, &people, &mut random)).collect();
    people.extend(demo.reviewers.iter().map(PersonEntry::message));
    let count = usize::try_from(sizes.reviews).unwrap_or(usize::MAX);
    let reviews = write_reviews(&films, &reviewers, &demo.remarks, count, &mut random);
    Data::assemble(films, people, reviews)
}

fn person(id: u32, number: u32, random: &mut Random) -> Person {
    Person {
        id,
        name: combined(number, &FIRST_NAMES, &LAST_NAMES),
        born: 1930 + small(random, 75),
        portrait_url: portrait_url(id),
    }
}

fn film(id: u32, people: &[Person], random: &mut Random) -> Film {
    let title = format!("The {}", combined(id - 1, &ADJECTIVES, &NOUNS));
    let mut makers: Vec<u32> = Vec::with_capacity(5);
    while makers.len() < 5 {
        match random.pick(people) {
            Some(person) if !makers.contains(&person.id) => makers.push(person.id),
            Some(_) => {}
            None => break,
        }
    }
    let director_ids = makers.pop().into_iter().collect();
    let role = |person_id| Role { person_id, character: pick(random, &FIRST_NAMES) };
    let cast = makers.into_iter().map(role).collect();
    let mut genres: Vec<String> = (0..=random.below(3)).map(|_| pick(random, &GENRES)).collect();
    genres.sort_unstable();
    genres.dedup();
    Film {
        id,
        year: 1950 + small(random, 76),
        minutes: 80 + small(random, 100),
        director_ids,
        cast,
        genres,
        synopsis: synopsis(&title, random),
        poster_url: poster_url(id),
        title,
    }
}

fn synopsis(title: &str, random: &mut Random) -> String {
    let [who, whom] = [0, 0].map(|_| pick(random, &FIRST_NAMES));
    let what = pick(random, &NOUNS).to_lowercase();
    format!("{who} and {whom} look for the {what}, and find out what {title} stands for.")
}

/// A combination of two words for every number: all different, with a numeral where the words are used up.
fn combined(number: u32, first: &[&str], second: &[&str]) -> String {
    let number = usize::try_from(number).unwrap_or_default();
    let [a, b] = [first.len().max(1), second.len().max(1)];
    let one = first.get(number % a).copied().unwrap_or_default();
    // The second word moves on with every step too, so that neighbours do not share it.
    let two = second.get((number + number / a) % b).copied().unwrap_or_default();
    match number / (a * b) {
        0 => format!("{one} {two}"),
        again => format!("{one} {two} {}", again + 1),
    }
}

fn pick(random: &mut Random, from: &[&str]) -> String {
    random.pick(from).copied().unwrap_or_default().to_owned()
}

fn small(random: &mut Random, bound: usize) -> u32 {
    u32::try_from(random.below(bound)).unwrap_or_default()
}
