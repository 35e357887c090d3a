//! `recommend.v1.Recommend`: what a viewer may like. The same caller always likes the same.

use std::collections::HashSet;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::data::{Data, hash};
use crate::proto::recommend::v1::recommend_server;
use crate::proto::recommend::v1::{ForUserRequest, ForUserResponse, Recommendation};
use crate::request::{page_size, subject};

/// So many genres a caller is said to like before the others follow.
const FAVOURITES: usize = 3;

/// The service's own state: the data alone.
#[derive(Debug)]
pub struct Recommend {
    data: Arc<Data>,
}

impl Recommend {
    pub fn new(data: Arc<Data>) -> Self {
        Self { data }
    }

    fn popular(&self, limit: usize) -> Vec<Recommendation> {
        let films = self.data.popular().take(limit);
        films.map(|film| recommendation(film.id, "Popular with everybody".to_owned())).collect()
    }

    /// The caller's hash names a few genres and where to begin in each; films of those alternate. What is popular fills up.
    fn liked_by(&self, caller: &str, limit: usize) -> Vec<Recommendation> {
        let taste = hash(caller.as_bytes());
        let mut favourites: Vec<_> = self.data.genres().collect();
        favourites.sort_by_cached_key(|(genre, _)| hash(genre.as_bytes()) ^ taste.rotate_left(17));
        favourites.truncate(FAVOURITES);
        let mut seen = HashSet::new();
        let mut chosen = Vec::with_capacity(limit);
        let longest = favourites.iter().map(|(_, films)| films.len()).max();
        for turn in 0..longest.unwrap_or_default() {
            for (genre, films) in &favourites {
                if chosen.len() == limit {
                    return chosen;
                }
                let Some(film) = self.data.nth_of(films, taste, turn) else {
                    continue;
                };
                if seen.insert(film.id) {
                    chosen.push(recommendation(film.id, format!("Because you like {genre}")));
                }
            }
        }
        let room = limit - chosen.len();
        let others = self.data.popular().filter(|film| !seen.contains(&film.id));
        chosen.extend(others.take(room).map(|film| recommendation(film.id, "Popular with everybody".to_owned())));
        chosen
    }
}

fn recommendation(film_id: u32, reason: String) -> Recommendation {
    Recommendation { film_id, reason }
}

#[tonic::async_trait]
impl recommend_server::Recommend for Recommend {
    async fn for_user(&self, request: Request<ForUserRequest>) -> Result<Response<ForUserResponse>, Status> {
        let limit = page_size(request.get_ref().limit, 10, 100);
        let films = match subject(request.metadata()) {
            Some(caller) => self.liked_by(caller, limit),
            None => self.popular(limit),
        };
        Ok(Response::new(ForUserResponse { films }))
    }
}
