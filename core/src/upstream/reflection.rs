//! Learning a service's messages from the service itself: gRPC server reflection, v1 and then v1alpha
//! (<https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>).

use super::codec::RawCodec;
use crate::artifact::Gathered;
use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use std::time::Duration;
use tonic::{Code, Status, client::Grpc, transport::Channel};

const TIME: Duration = Duration::from_secs(5);
/// Bytes of one answer: it is a file and may be all that it imports, and gRPC's own bound for a message, which servers keep to. A service
/// brings several: what they may bring together is [`Gathered`]'s to bound.
const LARGEST_ANSWER: usize = 4 << 20;
/// Of the list of services, which is read as a whole: some thousand names.
const LARGEST_LIST: usize = 256 << 10;
const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(string, optional, tag = "3")]
    file_by_filename: Option<String>,
    #[prost(string, optional, tag = "4")]
    file_containing_symbol: Option<String>,
    #[prost(string, optional, tag = "7")]
    list_services: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    /// A `FileDescriptorResponse`, taken apart as its files are taken in: as a list, four megabytes of empty files would take 64.
    #[prost(bytes = "bytes", optional, tag = "4")]
    files: Option<Bytes>,
    #[prost(message, optional, tag = "6")]
    services: Option<Services>,
    #[prost(message, optional, tag = "7")]
    error: Option<Refusal>,
}

#[derive(Clone, PartialEq, Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    service: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(string, tag = "2")]
    message: String,
}

/// The file with the service and all that it imports, as a serialized `FileDescriptorSet`. What comes is counted, and read by nobody here.
pub(super) async fn learn(channel: Channel, service: &str) -> Result<Vec<u8>, String> {
    in_time(async {
        let first = Question { file_containing_symbol: Some(service.to_owned()), ..Question::default() };
        let (path, answer) = ask_first(&channel, &first, LARGEST_ANSWER).await?;
        let mut files = Gathered::default();
        let mut missing = add(&mut files, answer)?;
        while let Some(name) = missing.pop() {
            if files.has(&name) {
                continue;
            }
            let question = Question { file_by_filename: Some(name.clone()), ..Question::default() };
            let answer = ask(&channel, path, &question, LARGEST_ANSWER).await;
            let answer = answer.map_err(|status| status.message().to_owned())?;
            missing.extend(add(&mut files, answer)?);
            if !files.has(&name) {
                return Err(format!("asked for file {name:?}, it answers with others"));
            }
        }
        Ok(files.into_set())
    })
    .await
}

/// The full names of all services that it tells of.
pub(super) async fn services(channel: Channel) -> Result<Vec<String>, String> {
    in_time(async {
        let question = Question { list_services: Some(String::new()), ..Question::default() };
        let (_, answer) = ask_first(&channel, &question, LARGEST_LIST).await?;
        match (answer.services, answer.error) {
            (Some(services), _) => Ok(services.service.into_iter().map(|service| service.name).collect()),
            (None, Some(refusal)) => Err(refusal.message),
            (None, None) => Err("asked for its services, it answers with something else".to_owned()),
        }
    })
    .await
}

async fn in_time<T>(learned: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(TIME, learned).await.unwrap_or_else(|_| Err(format!("no answer within {TIME:?}")))
}

/// The answer, and the path at which there are answers.
async fn ask_first(channel: &Channel, question: &Question, largest: usize) -> Result<(&'static str, Answer), String> {
    let mut path = PATHS[0];
    let mut answer = ask(channel, path, question, largest).await;
    if answer.as_ref().is_err_and(|status| status.code() == Code::Unimplemented) {
        path = PATHS[1];
        answer = ask(channel, path, question, largest).await;
    }
    Ok((path, answer.map_err(|status| status.message().to_owned())?))
}

/// One question on a stream of its own.
async fn ask(channel: &Channel, path: &'static str, question: &Question, largest: usize) -> Result<Answer, Status> {
    let mut client = Grpc::new(channel.clone()).max_decoding_message_size(largest);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let questions = futures_util::stream::iter([Bytes::from(question.encode_to_vec())]);
    let path = PathAndQuery::from_static(path);
    let mut answers = client.streaming(tonic::Request::new(questions), path, RawCodec).await?.into_inner();
    let bytes = answers.message().await?.ok_or_else(|| Status::unknown("no answer"))?;
    Answer::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

/// Takes the files of an answer; gives back the names of what they import.
fn add(files: &mut Gathered, answer: Answer) -> Result<Vec<String>, String> {
    if let Some(refusal) = answer.error {
        return Err(refusal.message);
    }
    files.add_all(&answer.files.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(files: &mut Gathered, list: &[u8]) -> Result<Vec<String>, String> {
        let answer = Answer { files: Some(list.to_vec().into()), ..Answer::default() };
        add(files, Answer::decode(Bytes::from(answer.encode_to_vec())).unwrap())
    }

    #[test]
    fn an_answer_brings_no_more_files_than_a_service_may_have() {
        let mut files = Gathered::default();
        let named = b"\x0a\x06\x0a\x01a\x1a\x01b";
        assert_eq!(take(&mut files, named).unwrap(), ["b"]);
        assert!(take(&mut files, named).unwrap().is_empty(), "it is there already");
        // Empty files, and the same one again and again: neither is worth a list.
        for (file, count) in [(&b"\x0a\0"[..], 2 << 20), (&named[..], 2_001)] {
            let list = file.repeat(count);
            assert!(list.len() <= LARGEST_ANSWER);
            let told = take(&mut Gathered::default(), &list).unwrap_err();
            assert!(told.contains("more than 2000 files"), "{told}");
        }
        assert!(take(&mut files, b"\x0a\xff").is_err());
    }
}
