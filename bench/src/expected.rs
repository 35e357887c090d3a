//! What the bodies have to be, made from the data and from nothing that is under test.

use bytes::Bytes;
use demo_services::{
    Data,
    proto::{catalog::v1::Film, people::v1::Person},
};
use serde::Serialize;

/// The services' data and this are made from the same seed.
pub(crate) const SEED: u64 = 1;

/// The body of the static route.
pub(crate) const FIXED: &str = include_str!("expected/fixed.json");

/// What a body has to be.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// `{"viewer":"…",` and this.
    OfCaller(Bytes),
    Exactly(Bytes),
}

impl Body {
    pub(crate) fn is(&self, subject: &str, body: &[u8]) -> bool {
        match self {
            Self::Exactly(expected) => body == expected,
            Self::OfCaller(rest) => {
                let after = body.strip_prefix(b"{\"viewer\":\"").and_then(|body| body.strip_prefix(subject.as_bytes()));
                after.and_then(|body| body.strip_prefix(b"\",")) == Some(rest)
            }
        }
    }

    fn of_caller(member: &str, value: &str) -> Self {
        Self::OfCaller(format!("\"{member}\":{value}}}").into())
    }
}

pub(crate) fn page(data: &Data, items: usize) -> Body {
    let items = data.reviews().iter().take(items).map(|review| {
        object(&[
            ("id", json(&review.id)),
            ("film", json(&review.film_id)),
            ("stars", json(&review.stars)),
            ("text", json(&review.text)),
            ("written_at", json(&review.written_at)),
            ("author", person_of(data, review.author_id)),
        ])
    });
    Body::of_caller("items", &array(items))
}

pub(crate) fn person(data: &Data, id: u32) -> Body {
    Body::of_caller("person", &person_of(data, id))
}

pub(crate) fn film(data: &Data, id: u32) -> Body {
    Body::of_caller("film", &data.film(id).map_or_else(String::new, film_of))
}

pub(crate) fn levels(data: &Data, items: usize) -> Body {
    let items = data.reviews().iter().take(items).map(|review| {
        let film = data.film(review.film_id);
        let directors = film.into_iter().flat_map(|film| &film.director_ids).map(|id| person_of(data, *id));
        let reviews = data.reviews().iter().filter(|other| other.film_id == review.film_id).count();
        object(&[
            ("id", json(&review.id)),
            ("stars", json(&review.stars)),
            ("author", person_of(data, review.author_id)),
            ("film", film.map_or_else(String::new, film_of)),
            ("directors", array(directors)),
            ("reviews", json(&reviews)),
        ])
    });
    Body::of_caller("items", &array(items))
}

fn person_of(data: &Data, id: u32) -> String {
    let shown = |person: &Person| {
        object(&[
            ("id", json(&person.id)),
            ("name", json(&person.name)),
            ("born", json(&person.born)),
            ("portrait", json(&person.portrait_url)),
        ])
    };
    data.person(id).map_or_else(String::new, shown)
}

fn film_of(film: &Film) -> String {
    object(&[
        ("id", json(&film.id)),
        ("title", json(&film.title)),
        ("year", json(&film.year)),
        ("minutes", json(&film.minutes)),
        ("genres", json(&film.genres)),
        ("synopsis", json(&film.synopsis)),
        ("poster", json(&film.poster_url)),
    ])
}

fn json(value: &impl Serialize) -> String {
    // Numbers, strings and lists of them always have a JSON.
    serde_json::to_string(value).unwrap_or_default()
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}
