//! What stands beside every service: health and reflection; and how it stops.

use demo_services::Service;
use demo_services::proto::catalog::v1::GetFilmRequest;
use demo_services::proto::catalog::v1::films_client::FilmsClient;
use tokio::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::start;

#[tokio::test]
async fn every_service_is_healthy_by_its_name_and_as_a_whole() {
    for service in Service::ALL {
        let (_running, channel) = start(service).await;
        let mut health = HealthClient::new(channel);
        for name in ["", service.full_name()] {
            let service = name.to_owned();
            let status = health.check(HealthCheckRequest { service }).await.unwrap();
            assert_eq!(status.get_ref().status(), ServingStatus::Serving);
        }
        let service = "no.such.Service".to_owned();
        let error = health.check(HealthCheckRequest { service }).await;
        assert_eq!(error.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn reflection_lists_what_is_served_here() {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let (_running, channel) = start(Service::People).await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let ask = |what| v1::ServerReflectionRequest { host: String::new(), message_request: Some(what) };
    let asked = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("people.v1.Person".to_owned())),
    ]);
    let replies = client.server_reflection_info(asked).await.unwrap();
    let mut replies = replies.into_inner();
    let list = replies.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = list else { panic!("{list:?}") };
    let names: Vec<&str> = list.service.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["people.v1.People", "demo.v1.Control", "grpc.health.v1.Health"]);
    let file = replies.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::FileDescriptorResponse(file)) = file else { panic!("{file:?}") };
    assert!(!file.file_descriptor_proto.is_empty());
}

#[tokio::test]
async fn the_older_reflection_is_there_too() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let (_running, channel) = start(Service::Reviews).await;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let asked = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let replies = client.server_reflection_info(tokio_stream::iter([asked])).await;
    let reply = replies.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = reply.message_response else { panic!("{reply:?}") };
    assert_eq!(list.service[0].name, "reviews.v1.Reviews");
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented_and_not_counted() {
    let (running, channel) = start(Service::Catalog).await;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<GetFilmRequest, GetFilmRequest>::default();
    let path = http::uri::PathAndQuery::from_static("/catalog.v1.Films/BurnFilm");
    let reply = grpc.unary(Request::new(GetFilmRequest { id: 1 }), path, codec);
    assert_eq!(reply.await.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(running.control().total(), 0);
}

#[tokio::test]
async fn a_stopped_service_gives_its_port_back() {
    let (running, channel) = start(Service::Catalog).await;
    let address = running.address();
    let mut films = FilmsClient::<Channel>::new(channel);
    films.get_film(GetFilmRequest { id: 1 }).await.unwrap();
    running.stop().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
