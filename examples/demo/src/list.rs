//! The requests: every endpoint as every client, then what goes wrong, then ratings, which change what is counted.

use crate::{Case, token};

/// All requests, in the order in which they are to be made, at services that have just been started: ratings count up.
pub fn cases() -> Vec<Case> {
    let token = token(crate::SUBJECT);
    let mut cases = pages(&token);
    cases.extend(mistakes(&token));
    cases.extend(ratings(&token));
    cases
}

/// What can be looked at.
fn pages(token: &str) -> Vec<Case> {
    vec![
        Case::get("web-home", "/web/home"),
        Case::get("web-home-signed-in", "/web/home").signed_in(token),
        Case::get("web-film", "/web/films/51"),
        Case::get("web-person", "/web/people/95"),
        Case::get("web-search", "/web/search?q=good"),
        Case::get("ios-home", "/ios/home"),
        Case::get("ios-home-signed-in", "/ios/home").signed_in(token),
        Case::get("ios-film", "/ios/films/51"),
        Case::get("ios-person", "/ios/people/95"),
        Case::get("ios-search", "/ios/search?q=good&limit=2"),
        Case::get("tv-home", "/tv/home"),
        Case::get("tv-home-signed-in", "/tv/home").signed_in(token),
        Case::get("tv-film", "/tv/films/51"),
        Case::get("tv-person", "/tv/people/95"),
        Case::get("tv-search", "/tv/search?q=good"),
        // The same path for all, and a header that says who asks.
        Case::get("tv-by-header", "/people/95").header("x-client", "tv"),
    ]
}

/// What goes wrong, and how it is said.
fn mistakes(token: &str) -> Vec<Case> {
    let rating = |name, path, status| Case::new(name, "POST", path, status);
    vec![
        Case::new("unknown-client", "GET", "/home", 404),
        Case::new("unknown-path", "GET", "/web/nothing", 404),
        Case::new("unknown-film", "GET", "/web/films/9999", 404),
        Case::new("unknown-person", "GET", "/ios/people/9999", 404),
        Case::new("id-no-number", "GET", "/tv/films/matrix", 400),
        Case::new("search-empty", "GET", "/web/search?q=", 400),
        Case::new("search-without-q", "GET", "/tv/search", 400),
        Case::new("wrong-method", "DELETE", "/web/home", 405).answers("allow", "GET, HEAD"),
        rating("rating-without-token", "/tv/films/51/rating", 401)
            .json(r#"{"stars": 5}"#)
            .answers("www-authenticate", "Bearer"),
        rating("rating-with-bad-token", "/web/films/51/rating", 401)
            .header("authorization", "Bearer not.a.token")
            .json(r#"{"stars": 5}"#)
            .answers("www-authenticate", r#"Bearer error="invalid_token", error_description="the token is malformed""#),
        rating("rating-no-json", "/web/films/51/rating", 400).signed_in(token).json(r#"{"stars": "#),
        rating("rating-wrong-type", "/tv/films/51/rating", 400).signed_in(token).json(r#"{"stars": "five"}"#),
        rating("rating-too-many-stars", "/ios/films/51/rating", 400).signed_in(token).json(r#"{"stars": 6}"#),
        rating("rating-of-unknown-film", "/web/films/9999/rating", 404).signed_in(token).json(r#"{"stars": 5}"#),
    ]
}

/// What changes something, and that it is seen at once.
fn ratings(token: &str) -> Vec<Case> {
    let rating = |name, path, status| Case::new(name, "POST", path, status).signed_in(token);
    vec![
        rating("web-rating", "/web/films/51/rating", 201).json(r#"{"stars": 5}"#),
        rating("ios-rating", "/ios/films/51/rating", 204).json(r#"{"stars": 4}"#),
        rating("tv-rating", "/tv/films/51/rating", 200).json(r#"{"stars": 3}"#),
        rating("web-rating-again", "/web/films/51/rating", 201).json(r#"{"stars": 5}"#),
        Case::get("web-film-after-ratings", "/web/films/51"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, path::PathBuf};

    #[test]
    fn every_expected_body_belongs_to_one_case_and_every_case_with_a_body_has_one() {
        let cases = cases();
        let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len(), "two cases have one name");
        let wanted: BTreeSet<PathBuf> = cases.iter().filter(|case| case.status != 204).map(Case::file).collect();
        let folder = std::fs::read_dir(crate::folder().join("expected")).unwrap();
        let found: BTreeSet<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(found, wanted);
        assert!(cases.iter().all(|case| case.expected.is_some() || case.status == 204));
    }
}
