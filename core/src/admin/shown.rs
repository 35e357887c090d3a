//! Pages that a program which is a host shows of itself: each to whoever knows its address, and nobody can guess it.

use crate::{model::hex, sync::lock};
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use std::{collections::VecDeque, sync::Mutex};

/// Under which they stand.
pub(super) const FOLDER: &str = "/shown/";
/// Pages that are kept.
const MOST: usize = 20;

/// The pages by their names, the oldest first.
#[derive(Debug, Default)]
pub struct Shown(Mutex<VecDeque<(String, String)>>);

impl Shown {
    /// Shows the page, and returns its path.
    pub fn put(&self, page: String) -> String {
        let name = String::from_utf8_lossy(&hex::<32>(rand::random())).into_owned();
        let mut pages = lock(&self.0);
        if pages.len() == MOST {
            pages.pop_front();
        }
        let path = format!("{FOLDER}{name}");
        pages.push_back((name, page));
        path
    }

    pub(super) fn get(&self, name: &str) -> Response {
        let page = lock(&self.0).iter().find(|(other, _)| other == name).map(|(_, page)| page.clone());
        match page {
            Some(page) => Html(page).into_response(),
            None => (StatusCode::NOT_FOUND, "there is no such page, or no more\n").into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pages_are_shown_to_who_knows_their_names() {
        let shown = Shown::default();
        let paths: Vec<String> = (0..=MOST).map(|number| shown.put(format!("page {number}"))).collect();
        let status = |path: &str| shown.get(path.strip_prefix(FOLDER).unwrap()).status();
        assert_eq!(status(&paths[0]), StatusCode::NOT_FOUND);
        assert!(paths[1..].iter().all(|path| status(path) == StatusCode::OK && path.len() == FOLDER.len() + 32));
        assert_eq!(shown.get("").status(), StatusCode::NOT_FOUND);
    }
}
