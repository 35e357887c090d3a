//! `reviews.v1.Reviews`: what viewers say of films, and the one method of the demo that changes something.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tonic::{Request, Response, Status};

use crate::data::{Data, Tally};
use crate::proto::reviews::v1::reviews_server;
use crate::proto::reviews::v1::{
    BatchGetSummariesRequest, BatchGetSummariesResponse, GetSummaryRequest, ListReviewsRequest, ListReviewsResponse,
    RateFilmRequest, Rating, Summary,
};
use crate::request::{SUBJECT, check_batch, page_size, subject};

/// Most pairs of caller and film that are remembered.
const MAX_RATED: usize = 100_000;

/// The reviews of the data, and the ratings since the start.
#[derive(Debug)]
pub struct Reviews {
    data: Arc<Data>,
    ratings: RwLock<Ratings>,
}

#[derive(Debug, Default)]
struct Ratings {
    of_film: HashMap<u32, Tally>,
    by_caller: HashMap<(String, u32), u32>,
}

impl Reviews {
    pub fn new(data: Arc<Data>) -> Self {
        let ratings = RwLock::default();
        Self { data, ratings }
    }

    fn summary(&self, ratings: &Ratings, film_id: u32) -> Summary {
        let written = self.data.tally(film_id);
        let rated = ratings.of_film.get(&film_id).copied().unwrap_or_default();
        let all = written.plus(rated);
        Summary { film_id, count: all.count, average: all.average() }
    }

    fn rate(&self, caller: &str, film_id: u32, stars: u32) -> Result<Rating, Status> {
        let mut ratings = self.ratings.write().unwrap_or_else(PoisonError::into_inner);
        let key = (caller.to_owned(), film_id);
        if ratings.by_caller.len() >= MAX_RATED && !ratings.by_caller.contains_key(&key) {
            return Err(Status::resource_exhausted(format!(
                "{MAX_RATED} ratings are kept; restart the service to forget them"
            )));
        }
        let mine = ratings.by_caller.entry(key).or_default();
        *mine = mine.saturating_add(1);
        let your_ratings = *mine;
        let tally = ratings.of_film.entry(film_id).or_default();
        *tally = tally.plus(Tally::of(stars));
        Ok(Rating { film_id, stars, your_ratings, summary: Some(self.summary(&ratings, film_id)) })
    }
}

#[tonic::async_trait]
impl reviews_server::Reviews for Reviews {
    async fn list_reviews(
        &self,
        request: Request<ListReviewsRequest>,
    ) -> Result<Response<ListReviewsResponse>, Status> {
        let asked = request.get_ref();
        let size = page_size(asked.page_size, 20, 10_000);
        let reviews = self.data.list_reviews(asked.film_id, size);
        Ok(Response::new(ListReviewsResponse { reviews }))
    }

    async fn get_summary(&self, request: Request<GetSummaryRequest>) -> Result<Response<Summary>, Status> {
        let ratings = self.ratings.read().unwrap_or_else(PoisonError::into_inner);
        let summary = self.summary(&ratings, request.get_ref().film_id);
        Ok(Response::new(summary))
    }

    async fn batch_get_summaries(
        &self,
        request: Request<BatchGetSummariesRequest>,
    ) -> Result<Response<BatchGetSummariesResponse>, Status> {
        let ids = &request.get_ref().film_ids;
        check_batch(ids)?;
        let ratings = self.ratings.read().unwrap_or_else(PoisonError::into_inner);
        let summaries = ids.iter().map(|id| self.summary(&ratings, *id)).collect();
        Ok(Response::new(BatchGetSummariesResponse { summaries }))
    }

    async fn rate_film(&self, request: Request<RateFilmRequest>) -> Result<Response<Rating>, Status> {
        let caller = subject(request.metadata())
            .ok_or_else(|| Status::unauthenticated(format!("no caller: {SUBJECT} is missing")))?;
        let RateFilmRequest { film_id, stars } = *request.get_ref();
        if !(1..=5).contains(&stars) {
            return Err(Status::invalid_argument(format!("{stars} stars; 1 to 5 are allowed")));
        }
        if self.data.film(film_id).is_none() {
            return Err(Status::not_found(format!("no film has the id {film_id}")));
        }
        self.rate(caller, film_id, stars).map(Response::new)
    }
}
