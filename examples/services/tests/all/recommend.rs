//! `recommend.v1.Recommend` over a socket.

use std::collections::HashSet;

use demo_services::proto::recommend::v1::recommend_client::RecommendClient;
use demo_services::proto::recommend::v1::{ForUserRequest, Recommendation};
use demo_services::{Running, Service};
use tonic::Request;
use tonic::transport::Channel;

use crate::support::{DEMO, from, start};

async fn ask(client: &mut RecommendClient<Channel>, request: Request<ForUserRequest>) -> Vec<Recommendation> {
    client.for_user(request).await.unwrap().into_inner().films
}

async fn client() -> (Running, RecommendClient<Channel>) {
    let (running, channel) = start(Service::Recommend).await;
    (running, RecommendClient::new(channel))
}

#[tokio::test]
async fn each_caller_has_a_taste_of_his_own_and_keeps_it() {
    let (_running, mut client) = client().await;
    let limit = ForUserRequest { limit: 0 };
    let ann = ask(&mut client, from("ann", limit)).await;
    assert_eq!(ann.len(), 10);
    assert_eq!(ann, ask(&mut client, from("ann", limit)).await);
    assert_ne!(ann, ask(&mut client, from("bob", limit)).await);
    for liked in &ann {
        let film = DEMO.film(liked.film_id).unwrap();
        let genre = liked.reason.strip_prefix("Because you like ").unwrap();
        assert!(film.genres.iter().any(|of_film| of_film == genre));
    }
}

#[tokio::test]
async fn a_stranger_gets_what_is_popular() {
    let (_running, mut client) = client().await;
    let popular = ask(&mut client, Request::new(ForUserRequest { limit: 3 })).await;
    assert_eq!(popular.len(), 3);
    assert!(popular.iter().all(|film| film.reason.starts_with("Popular")));
}

#[tokio::test]
async fn a_long_list_is_filled_up_without_repetition() {
    let (_running, mut client) = client().await;
    for caller in ["ann", "bob", "carol"] {
        let many = ask(&mut client, from(caller, ForUserRequest { limit: 5000 })).await;
        assert_eq!(many.len(), 100);
        let distinct: HashSet<u32> = many.iter().map(|film| film.film_id).collect();
        assert_eq!(distinct.len(), 100);
    }
}
