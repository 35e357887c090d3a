//! The client of gRPC's health protocol, version 1.

use super::super::{
    checked::Found,
    codec::RawCodec,
    grpc::{GrpcConnection, SoundClient},
};
use crate::model::{ServingStatus, health_question};
use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::{Code, Request, Status, Streaming};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// Of one message. An answer has two bytes.
const LARGEST: usize = 4 << 10;

/// Asks once.
pub(super) async fn check(connection: &GrpcConnection, service: &str) -> Found {
    let mut client = connection.client(LARGEST);
    let asked = async {
        ready(&mut client).await?;
        client.unary(question(service), PathAndQuery::from_static(CHECK), RawCodec).await
    };
    match asked.await {
        Ok(answer) => read(answer.get_ref()),
        Err(status) => found(connection, &status),
    }
}

/// A stream of answers.
#[derive(Debug)]
pub(super) struct Watching<'a> {
    connection: &'a GrpcConnection,
    answers: Streaming<Bytes>,
}

impl<'a> Watching<'a> {
    pub(super) async fn open(connection: &'a GrpcConnection, service: &str) -> Result<Self, Found> {
        let mut client = connection.client(LARGEST);
        let asked = async {
            ready(&mut client).await?;
            client.server_streaming(question(service), PathAndQuery::from_static(WATCH), RawCodec).await
        };
        let answers = asked.await.map_err(|status| found(connection, &status))?;
        Ok(Self { connection, answers: answers.into_inner() })
    }

    /// The next answer; or why there are no more.
    pub(super) async fn next(&mut self) -> Result<Found, Found> {
        match self.answers.message().await {
            Ok(Some(answer)) => Ok(read(&answer)),
            Ok(None) => Err(Found::Silent("it has ended the stream of its health".to_owned())),
            Err(status) => Err(found(self.connection, &status)),
        }
    }
}

async fn ready(client: &mut SoundClient) -> Result<(), Status> {
    client.ready().await.map_err(Status::from_error)
}

fn question(service: &str) -> Request<Bytes> {
    Request::new(health_question(service).into())
}

fn read(answer: &[u8]) -> Found {
    match ServingStatus::decode(answer) {
        Some(ServingStatus::Serving) => Found::Serving,
        Some(status) => Found::NotServing(status.as_str().to_owned()),
        None => Found::Silent("its answer is no health".to_owned()),
    }
}

fn found(connection: &GrpcConnection, status: &Status) -> Found {
    match status.code() {
        Code::Unimplemented => Found::Unimplemented,
        // How `Check` says that it has no such service.
        Code::NotFound => Found::NotServing(ServingStatus::ServiceUnknown.as_str().to_owned()),
        _ => Found::Silent(connection.heed(status).to_string()),
    }
}
