//! The messages of gRPC's health protocol, version 1 (`grpc.health.v1`), which the host answers and asks by.

use prost::Message;
use std::collections::BTreeMap;

/// How it stands with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    /// There is no such service.
    ServiceUnknown = 3,
}

#[derive(Clone, PartialEq, Message)]
struct Question {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct List {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, Answer>,
}

/// Asks for a service.
pub fn health_question(service: &str) -> Vec<u8> {
    Question { service: service.to_owned() }.encode_to_vec()
}

/// Which service is asked for; `None`: it is no question.
pub fn read_health_question(message: &[u8]) -> Option<String> {
    Question::decode(message).ok().map(|question| question.service)
}

/// Answers for several services at once.
pub fn health_list(statuses: impl IntoIterator<Item = (String, ServingStatus)>) -> Vec<u8> {
    let statuses = statuses.into_iter().map(|(service, status)| (service, Answer { status: status as i32 }));
    List { statuses: statuses.collect() }.encode_to_vec()
}

impl ServingStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
        }
    }

    pub fn encode(self) -> Vec<u8> {
        Answer { status: self as i32 }.encode_to_vec()
    }

    /// `None`: it is no answer. A number of later versions is not known to be well.
    pub fn decode(message: &[u8]) -> Option<Self> {
        Some(match Answer::decode(message).ok()?.status {
            1 => Self::Serving,
            2 => Self::NotServing,
            3 => Self::ServiceUnknown,
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_protocol() {
        assert_eq!(health_question("web"), b"\x0a\x03web");
        assert_eq!(read_health_question(b"\x0a\x03web").as_deref(), Some("web"));
        assert_eq!(read_health_question(b"").as_deref(), Some(""));
        assert_eq!(read_health_question(b"\x0a\x05web"), None);
        assert_eq!(ServingStatus::Serving.encode(), b"\x08\x01");
        assert_eq!(ServingStatus::decode(b"\x08\x03"), Some(ServingStatus::ServiceUnknown));
        assert_eq!(ServingStatus::decode(b""), Some(ServingStatus::Unknown));
        assert_eq!(ServingStatus::decode(b"\x08\x2a"), Some(ServingStatus::Unknown), "of a later version");
        assert_eq!(ServingStatus::decode(b"<html>"), None);
        let list = health_list([("web".to_owned(), ServingStatus::NotServing)]);
        assert_eq!(list, b"\x0a\x09\x0a\x03web\x12\x02\x08\x02");
    }
}
