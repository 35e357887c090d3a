//! Learning a service's messages from the service itself: gRPC server reflection, v1 and then v1alpha
//! (<https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>).

use super::codec::RawCodec;
use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};
use std::{collections::BTreeMap, time::Duration};
use tonic::{Code, Status, client::Grpc, transport::Channel};

const TIME: Duration = Duration::from_secs(5);
const MOST_FILES: usize = 500;
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
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "4")]
    files: Option<Files>,
    #[prost(message, optional, tag = "7")]
    error: Option<Refusal>,
}

#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    descriptors: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Refusal {
    #[prost(string, tag = "2")]
    message: String,
}

/// The file with the service and all that it imports.
pub(super) async fn learn(channel: Channel, service: &str) -> Result<FileDescriptorSet, String> {
    let learned = async {
        let first = Question { file_containing_symbol: Some(service.to_owned()), file_by_filename: None };
        let mut path = PATHS[0];
        let mut answer = ask(&channel, path, &first).await;
        if answer.as_ref().is_err_and(|status| status.code() == Code::Unimplemented) {
            path = PATHS[1];
            answer = ask(&channel, path, &first).await;
        }
        let mut files = BTreeMap::new();
        let mut missing = add(&mut files, answer.map_err(|status| status.message().to_owned())?)?;
        while let Some(name) = missing.pop() {
            if files.contains_key(&name) {
                continue;
            }
            if files.len() >= MOST_FILES {
                return Err(format!("it imports more than {MOST_FILES} files"));
            }
            let question = Question { file_by_filename: Some(name), file_containing_symbol: None };
            let answer = ask(&channel, path, &question).await.map_err(|status| status.message().to_owned())?;
            missing.extend(add(&mut files, answer)?);
        }
        Ok(FileDescriptorSet { file: files.into_values().collect() })
    };
    tokio::time::timeout(TIME, learned).await.unwrap_or_else(|_| Err(format!("no answer within {TIME:?}")))
}

/// One question on a stream of its own.
async fn ask(channel: &Channel, path: &'static str, question: &Question) -> Result<Answer, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let questions = futures_util::stream::iter([Bytes::from(question.encode_to_vec())]);
    let path = PathAndQuery::from_static(path);
    let mut answers = client.streaming(tonic::Request::new(questions), path, RawCodec).await?.into_inner();
    let bytes = answers.message().await?.ok_or_else(|| Status::unknown("no answer"))?;
    Answer::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

/// Takes the files of an answer; gives back the names of what they import.
fn add(files: &mut BTreeMap<String, FileDescriptorProto>, answer: Answer) -> Result<Vec<String>, String> {
    if let Some(refusal) = answer.error {
        return Err(refusal.message);
    }
    let mut imports = Vec::new();
    for bytes in answer.files.unwrap_or_default().descriptors {
        let file =
            FileDescriptorProto::decode(bytes).map_err(|error| format!("a file descriptor can't be read: {error}"))?;
        imports.extend(file.dependency.iter().cloned());
        files.insert(file.name().to_owned(), file);
    }
    Ok(imports)
}
