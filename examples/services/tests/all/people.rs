//! `people.v1.People` over a socket.

use demo_services::Service;
use demo_services::proto::people::v1::people_client::PeopleClient;
use demo_services::proto::people::v1::{BatchGetPeopleRequest, GetPersonRequest, SearchPeopleRequest};
use tonic::Code;

use crate::support::start;

#[tokio::test]
async fn a_person_is_found_or_the_error_names_the_id() {
    let (_running, channel) = start(Service::People).await;
    let mut people = PeopleClient::new(channel);
    let person = people.get_person(GetPersonRequest { id: 9001 }).await;
    assert!(person.unwrap().get_ref().portrait_url.ends_with("/9001.jpg"));
    let error = people.get_person(GetPersonRequest { id: 7654 }).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("7654"));
}

#[tokio::test]
async fn a_batch_leaves_out_the_unknown_and_promises_no_order() {
    let (_running, channel) = start(Service::People).await;
    let mut people = PeopleClient::new(channel);
    let mut batch = async |ids: Vec<u32>| {
        let reply = people.batch_get_people(BatchGetPeopleRequest { ids }).await;
        reply.map(|reply| {
            let people = reply.into_inner().people.into_iter();
            people.map(|person| person.id).collect::<Vec<u32>>()
        })
    };
    assert_eq!(batch(vec![3, 7654, 9001, 3, 8]).await.unwrap(), [9001, 8, 3]);
    assert!(batch(vec![7654]).await.unwrap().is_empty());
    let error = batch(vec![1; 101]).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_search_ignores_case() {
    let (_running, channel) = start(Service::People).await;
    let mut people = PeopleClient::new(channel);
    let asked = SearchPeopleRequest { query: "coppola".to_owned(), page_size: 0 };
    let found = people.search_people(asked).await.unwrap().into_inner();
    let names: Vec<_> = found.people.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["Francis Ford Coppola", "Sofia Coppola"]);
}
