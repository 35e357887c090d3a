//! `reviews.v1.Reviews` over a socket.

use std::collections::HashSet;

use demo_services::proto::reviews::v1::reviews_client::ReviewsClient;
use demo_services::proto::reviews::v1::{
    BatchGetSummariesRequest, GetSummaryRequest, ListReviewsRequest, RateFilmRequest,
};
use demo_services::{Running, Service};
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::support::{DEMO, from, start};

async fn client() -> (Running, ReviewsClient<Channel>) {
    let (running, channel) = start(Service::Reviews).await;
    (running, ReviewsClient::new(channel))
}

#[tokio::test]
async fn a_page_of_a_hundred_reviews_has_ten_authors() {
    let (_running, mut reviews) = client().await;
    let asked = ListReviewsRequest { film_id: 0, page_size: 100 };
    let page = reviews.list_reviews(asked).await.unwrap().into_inner();
    assert_eq!(page.reviews, DEMO.reviews()[..100]);
    let authors: HashSet<u32> = page.reviews.iter().map(|r| r.author_id).collect();
    assert_eq!(authors.len(), 10);
}

#[tokio::test]
async fn the_reviews_of_one_film_agree_with_its_summary() {
    let (_running, mut reviews) = client().await;
    let film_id = DEMO.reviews()[0].film_id;
    let asked = ListReviewsRequest { film_id, page_size: 10_000 };
    let list = reviews.list_reviews(asked).await.unwrap().into_inner();
    let list = list.reviews;
    assert!(list.iter().all(|review| review.film_id == film_id));
    let summary = reviews.get_summary(GetSummaryRequest { film_id }).await;
    let summary = summary.unwrap().into_inner();
    assert_eq!(summary.count as usize, list.len());
    let stars: u32 = list.iter().map(|review| review.stars).sum();
    let average = f64::from(stars) / f64::from(summary.count);
    assert!((summary.average - average).abs() < 1e-9);
}

#[tokio::test]
async fn summaries_keep_their_order_and_may_be_empty() {
    let (_running, mut reviews) = client().await;
    let mut batch = async |film_ids: Vec<u32>| {
        let asked = BatchGetSummariesRequest { film_ids };
        reviews.batch_get_summaries(asked).await
    };
    let got = batch(vec![3, 7654, 1]).await.unwrap().into_inner().summaries;
    let ids: Vec<u32> = got.iter().map(|summary| summary.film_id).collect();
    assert_eq!(ids, [3, 7654, 1]);
    assert_eq!((got[1].count, got[1].average), (0, 0.0));
    let error = batch(vec![1; 101]).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn every_rating_counts_and_callers_are_apart() {
    let (_running, mut reviews) = client().await;
    let film_id = 12;
    let rate = RateFilmRequest { film_id, stars: 5 };
    let before = reviews.get_summary(GetSummaryRequest { film_id }).await;
    let before = before.unwrap().into_inner().count;
    reviews.rate_film(from("ann", rate)).await.unwrap();
    let again = reviews.rate_film(from("ann", rate)).await.unwrap();
    assert_eq!(again.get_ref().your_ratings, 2);
    let other = reviews.rate_film(from("bob", rate)).await.unwrap();
    assert_eq!(other.get_ref().your_ratings, 1);
    let summary = other.into_inner().summary.unwrap();
    assert_eq!(summary.count, before + 3);
    let seen = reviews.get_summary(GetSummaryRequest { film_id }).await;
    assert_eq!(seen.unwrap().into_inner(), summary);
}

#[tokio::test]
async fn a_rating_needs_a_caller_a_film_and_one_to_five_stars() {
    let (_running, mut reviews) = client().await;
    let rate = |film_id, stars| RateFilmRequest { film_id, stars };
    let cases = [
        (Request::new(rate(1, 5)), Code::Unauthenticated),
        (from("", rate(1, 5)), Code::Unauthenticated),
        (from("ann", rate(1, 0)), Code::InvalidArgument),
        (from("ann", rate(1, 6)), Code::InvalidArgument),
        (from("ann", rate(7654, 5)), Code::NotFound),
    ];
    for (request, code) in cases {
        let error = reviews.rate_film(request).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}
