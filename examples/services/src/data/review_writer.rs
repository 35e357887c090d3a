//! Writes the reviews: who says which remark of which film, and when. The same for the same random numbers.

use std::collections::{HashSet, VecDeque};

use serde::Deserialize;

use super::random::{Random, hash};
use crate::proto::catalog::v1::Film;
use crate::proto::reviews::v1::Review;

/// New Year 2026, when the last review was written.
const NEWEST: i64 = 1_767_225_600;
/// Two reviews are less than this apart, in seconds.
const APART: usize = 5 * 3600;
/// So often something new is looked for before a repetition is accepted.
const TRIES: usize = 24;
/// A remark is not made again within so many reviews, so that a page does not repeat itself.
const LATELY: usize = 6;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remark {
    stars: u32,
    text: String,
}

/// `count` reviews, newest first. The reviewers take turns in shuffled rounds, so all of them show up in each
/// round from the newest on; nobody reviews a film twice while others are easily found.
pub(super) fn write_reviews(
    films: &[Film],
    reviewers: &[u32],
    remarks: &[Remark],
    count: usize,
    random: &mut Random,
) -> Vec<Review> {
    let mut round: Vec<u32> = Vec::new();
    let mut written = HashSet::new();
    let mut said = HashSet::new();
    let mut lately = VecDeque::new();
    let mut written_at = NEWEST;
    let mut reviews = Vec::with_capacity(count);
    for id in (1..=u32::try_from(count).unwrap_or(u32::MAX)).rev() {
        if round.is_empty() {
            round.extend_from_slice(reviewers);
            random.shuffle(&mut round);
        }
        let Some(author_id) = round.pop() else { break };
        let fresh = |film: &&Film| !written.contains(&(film.id, author_id));
        let Some(film) = draw(films, random, fresh) else {
            break;
        };
        written.insert((film.id, author_id));
        let unsaid = |remark: &&Remark| {
            let text = remark.text.as_str();
            !said.contains(&(film.id, text)) && !lately.contains(&text)
        };
        let Some(remark) = opinion(film, remarks, random, unsaid) else {
            break;
        };
        said.insert((film.id, remark.text.as_str()));
        lately.push_back(remark.text.as_str());
        if lately.len() > LATELY {
            lately.pop_front();
        }
        reviews.push(Review {
            id,
            film_id: film.id,
            author_id,
            stars: remark.stars,
            text: remark.text.replace("{title}", &film.title),
            written_at,
        });
        written_at -= 1 + i64::try_from(random.below(APART)).unwrap_or_default();
    }
    reviews
}

/// One of `from`, if possible one that is `wanted`.
fn draw<'a, T>(from: &'a [T], random: &mut Random, wanted: impl Fn(&&'a T) -> bool) -> Option<&'a T> {
    let mut drawn = random.pick(from)?;
    for _ in 0..TRIES {
        if wanted(&drawn) {
            break;
        }
        drawn = random.pick(from)?;
    }
    Some(drawn)
}

/// Films differ in how well they are liked: for some, the kindest of two or three remarks is taken.
fn opinion<'a>(
    film: &Film,
    remarks: &'a [Remark],
    random: &mut Random,
    unsaid: impl Fn(&&'a Remark) -> bool,
) -> Option<&'a Remark> {
    let drawn: Vec<&Remark> =
        (0..=hash(&film.id.to_le_bytes()) % 3).filter_map(|_| draw(remarks, random, &unsaid)).collect();
    drawn.into_iter().max_by_key(|remark| remark.stars)
}
