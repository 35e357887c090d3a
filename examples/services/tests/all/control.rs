//! What the control sees, and what it makes a service do.

use std::time::{Duration, Instant};

use demo_services::control::{Behaviour, BehaviourError, KEPT};
use demo_services::proto::catalog::v1::films_client::FilmsClient;
use demo_services::proto::catalog::v1::{BatchGetFilmsRequest, GetFilmRequest};
use demo_services::proto::demo::v1::control_client::ControlClient;
use demo_services::proto::demo::v1::{GetCallsRequest, ResetCallsRequest, SetBehaviourRequest};
use demo_services::{Running, Service};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::start;

const GET: &str = "catalog.v1.Films/GetFilm";
const BATCH: &str = "catalog.v1.Films/BatchGetFilms";

async fn client() -> (Running, FilmsClient<Channel>) {
    let (running, channel) = start(Service::Catalog).await;
    (running, FilmsClient::new(channel))
}

async fn get(films: &mut FilmsClient<Channel>) -> Result<(), Status> {
    let film = films.get_film(GetFilmRequest { id: 1 }).await;
    film.map(|_| ())
}

#[tokio::test]
async fn calls_are_counted_by_method_until_reset() {
    let (running, mut films) = client().await;
    let control = running.control();
    get(&mut films).await.unwrap();
    let unknown = films.get_film(GetFilmRequest { id: 7654 }).await;
    unknown.unwrap_err();
    let ids = vec![1, 2];
    let batch = films.batch_get_films(BatchGetFilmsRequest { ids }).await;
    batch.unwrap();
    assert_eq!((control.count(GET), control.count(BATCH)), (2, 1));
    assert_eq!(control.total(), 3);
    control.reset();
    assert_eq!(control.total(), 0);
    assert!(control.recent(GET).is_empty());
}

#[tokio::test]
async fn metadata_of_the_last_calls_is_kept() {
    let (running, mut films) = client().await;
    for number in 0..KEPT + 5 {
        let mut request = Request::new(GetFilmRequest { id: 1 });
        let metadata = request.metadata_mut();
        metadata.insert("x-number", number.to_string().parse().unwrap());
        films.get_film(request).await.unwrap();
    }
    let recent = running.control().recent(GET);
    assert_eq!(recent.len(), KEPT);
    assert_eq!(recent[0].get("x-number").unwrap(), "5");
    assert_eq!(recent[KEPT - 1].get("x-number").unwrap(), "104");
    assert!(recent.iter().all(|call| call.get("authorization").is_none()));
}

#[tokio::test]
async fn exactly_the_asked_share_fails_with_the_asked_code() {
    let (running, mut films) = client().await;
    let behaviour = Behaviour { fail_percent: 30, code: Code::ResourceExhausted as u32, ..Default::default() };
    running.control().set(GET, behaviour).unwrap();
    let mut failed = Vec::new();
    for number in 0..100 {
        if let Err(error) = get(&mut films).await {
            assert_eq!(error.code(), Code::ResourceExhausted);
            failed.push(number);
        }
    }
    assert_eq!(failed.len(), 30);
    assert!(failed.windows(2).any(|two| two[1] - two[0] > 1), "spread");
    assert_eq!(running.control().count(GET), 100);
    running.control().set(GET, Behaviour::default()).unwrap();
    get(&mut films).await.unwrap();
}

#[tokio::test]
async fn failing_for_all_methods_means_unavailable_where_no_code_is_said() {
    let (running, mut films) = client().await;
    let behaviour = Behaviour { fail_percent: 100, ..Default::default() };
    running.control().set("", behaviour).unwrap();
    assert_eq!(get(&mut films).await.unwrap_err().code(), Code::Unavailable);
    let ids = vec![1];
    let batch = films.batch_get_films(BatchGetFilmsRequest { ids }).await;
    assert_eq!(batch.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_delay_holds_one_method_back_and_not_the_others() {
    let (running, mut films) = client().await;
    let behaviour = Behaviour { delay_ms: 300, ..Default::default() };
    running.control().set(GET, behaviour).unwrap();
    let mut other = films.clone();
    let begun = Instant::now();
    let slow = async {
        get(&mut films).await.unwrap();
        begun.elapsed()
    };
    let quick = async {
        let ids = vec![1];
        let batch = other.batch_get_films(BatchGetFilmsRequest { ids }).await;
        batch.unwrap();
        begun.elapsed()
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert!(slow >= Duration::from_millis(300));
    assert!(quick < slow);
}

#[tokio::test]
async fn a_stalled_call_is_never_answered_but_lets_the_service_stop() {
    let (running, mut films) = client().await;
    let behaviour = Behaviour { stall: true, ..Default::default() };
    running.control().set(GET, behaviour).unwrap();
    let mut other = films.clone();
    let stalled = tokio::spawn(async move { get(&mut films).await });
    let mut request = Request::new(GetFilmRequest { id: 1 });
    request.set_timeout(Duration::from_millis(100));
    let error = other.get_film(request).await.unwrap_err();
    assert!(matches!(error.code(), Code::Cancelled | Code::DeadlineExceeded));
    assert!(!stalled.is_finished());
    running.stop().await.unwrap();
    let error = stalled.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_call_under_way_is_finished_before_the_service_stops() {
    let (running, mut films) = client().await;
    let behaviour = Behaviour { delay_ms: 200, ..Default::default() };
    running.control().set(GET, behaviour).unwrap();
    let slow = tokio::spawn(async move { get(&mut films).await });
    while running.control().count(GET) == 0 {
        tokio::task::yield_now().await;
    }
    running.stop().await.unwrap();
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn impossible_behaviours_are_refused() {
    let (running, _films) = client().await;
    let control = running.control();
    let behave = |fail_percent, code| Behaviour { fail_percent, code, ..Default::default() };
    let refused = control.set("people.v1.People/GetPerson", behave(1, 0));
    assert!(matches!(refused, Err(BehaviourError::UnknownMethod { .. })));
    let refused = control.set(GET, behave(101, 0));
    assert!(matches!(refused, Err(BehaviourError::Percent(101))));
    let refused = control.set(GET, behave(1, 17));
    assert!(matches!(refused, Err(BehaviourError::Code(17))));
}

#[tokio::test]
async fn the_same_is_had_over_grpc() {
    let (_running, channel) = start(Service::Catalog).await;
    let mut films = FilmsClient::new(channel.clone());
    let mut control = ControlClient::new(channel);
    get(&mut films).await.unwrap();
    let calls = control.get_calls(GetCallsRequest {}).await.unwrap();
    let calls = calls.into_inner().calls;
    assert_eq!(calls.len(), 1, "neither control nor uncalled methods");
    assert_eq!((calls[0].method.as_str(), calls[0].count), (GET, 1));
    control.reset_calls(ResetCallsRequest {}).await.unwrap();
    let calls = control.get_calls(GetCallsRequest {}).await.unwrap();
    assert!(calls.get_ref().calls.is_empty());

    let mut behave = async |method: &str, behaviour| {
        let method = method.to_owned();
        let asked = SetBehaviourRequest { method, behaviour };
        control.set_behaviour(asked).await.map(|_| ())
    };
    let failing = Behaviour { fail_percent: 100, ..Default::default() };
    behave(GET, Some(failing)).await.unwrap();
    get(&mut films).await.unwrap_err();
    behave("", None).await.unwrap();
    get(&mut films).await.unwrap();
    let error = behave("GetFilm", None).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("catalog.v1.Films/"), "{error}");
}
