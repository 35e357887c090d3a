//! `catalog.v1.Films` over a socket.

use demo_services::Service;
use demo_services::proto::catalog::v1::films_client::FilmsClient;
use demo_services::proto::catalog::v1::{
    BatchGetFilmsRequest, Film, GetFilmRequest, ListFilmsRequest, SearchFilmsRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{DEMO, start};

async fn client() -> (demo_services::Running, FilmsClient<Channel>) {
    let (running, channel) = start(Service::Catalog).await;
    (running, FilmsClient::new(channel))
}

fn ids(films: &[Film]) -> Vec<u32> {
    films.iter().map(|film| film.id).collect()
}

#[tokio::test]
async fn a_film_is_found_or_the_error_names_its_id() {
    let (_running, mut films) = client().await;
    let film = films.get_film(GetFilmRequest { id: 1 }).await.unwrap();
    assert_eq!(film.get_ref().title, "The Godfather");
    let error = films.get_film(GetFilmRequest { id: 7654 }).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("7654"));
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_fails_as_a_whole() {
    let (_running, mut films) = client().await;
    let mut batch = async |ids: Vec<u32>| films.batch_get_films(BatchGetFilmsRequest { ids }).await;
    let got = batch(vec![5, 1, 5, 3]).await.unwrap().into_inner();
    assert_eq!(ids(&got.films), [5, 1, 5, 3]);
    assert!(batch(vec![]).await.unwrap().get_ref().films.is_empty());
    let error = batch(vec![1, 7654, 2]).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("7654"));
    assert_eq!(batch(vec![1; 100]).await.unwrap().get_ref().films.len(), 100);
    let error = batch(vec![1; 101]).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn pages_add_up_to_the_whole_list_newest_first() {
    let (_running, mut films) = client().await;
    let mut asked = ListFilmsRequest { page_size: 7, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = films.list_films(asked.clone()).await.unwrap().into_inner();
        all.extend(page.films);
        if page.next_page_token.is_empty() {
            break;
        }
        asked.page_token = page.next_page_token;
    }
    assert_eq!(all, DEMO.films());
    assert!(all.is_sorted_by(|a, b| a.year >= b.year));
}

#[tokio::test]
async fn a_list_is_filtered_by_genre_and_person() {
    let (_running, mut films) = client().await;
    let mut list = async |genre: &str, person_id| {
        let asked = ListFilmsRequest { page_size: 500, genre: genre.to_owned(), person_id, ..Default::default() };
        films.list_films(asked).await.unwrap().into_inner().films
    };
    let western = list("western", 0).await;
    assert!(!western.is_empty());
    assert!(western.iter().all(|f| f.genres.contains(&"Western".to_owned())));

    let people = DEMO.people().iter();
    let eastwood = people.clone().find(|p| p.name == "Clint Eastwood").unwrap();
    // He plays in and directs two of them; each stands in the list once.
    let his = list("", eastwood.id).await;
    let titles: Vec<&str> = his.iter().map(|film| film.title.as_str()).collect();
    assert_eq!(titles, ["Million Dollar Baby", "Unforgiven"]);
    assert_eq!(list("Western", eastwood.id).await.len(), 1);
    assert!(list("no such genre", 0).await.is_empty());
    assert!(list("", 7654).await.is_empty());
}

#[tokio::test]
async fn a_page_token_is_good_for_its_own_list_only() {
    let (_running, mut films) = client().await;
    let asked = ListFilmsRequest { page_size: 3, genre: "Drama".to_owned(), ..Default::default() };
    let page = films.list_films(asked).await.unwrap().into_inner();
    let tokens = [page.next_page_token.as_str(), "3", "é23456789012345", "zzzzzzzzzzzzzzzz"];
    for page_token in tokens.map(str::to_owned) {
        let asked = ListFilmsRequest { page_token, genre: "Comedy".to_owned(), ..Default::default() };
        let error = films.list_films(asked).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn the_size_of_a_page_has_a_default() {
    let (_running, mut films) = client().await;
    let page = films.list_films(ListFilmsRequest::default()).await.unwrap();
    assert_eq!(page.get_ref().films.len(), 20);
}

#[tokio::test]
async fn a_search_ignores_case_and_puts_prefixes_first() {
    let (_running, mut films) = client().await;
    let mut search = async |query: &str, page_size| {
        let query = query.to_owned();
        let asked = SearchFilmsRequest { query, page_size };
        let found = films.search_films(asked).await.unwrap().into_inner();
        let titles = found.films.into_iter().map(|film| film.title);
        titles.collect::<Vec<String>>()
    };
    assert_eq!(search("ALIEN", 0).await, ["Alien", "Aliens"]);
    let rocky_last = search("r", 100).await;
    assert!(rocky_last[0].starts_with('R'));
    let first_other = rocky_last.iter().position(|title| !title.starts_with('R'));
    let others = &rocky_last[first_other.unwrap()..];
    assert!(others.iter().all(|title| !title.starts_with('R')));
    assert_eq!(search("the", 3).await.len(), 3);
    assert!(search("qqq", 0).await.is_empty());
}
