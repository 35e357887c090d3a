//! A request in front of a mock, and the problem that it may get.

use crate::model::ProblemType;
use serde_json::{Map, Value};

/// A request, as a guest is given it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub endpoint: &'a str,
    pub params: &'a [(String, String)],
    pub query: &'a [(String, String)],
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

/// An error, as a guest gives one; with when to come again, where the host would say that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    pub kind: String,
    pub title: String,
    pub detail: String,
    pub members: Vec<(String, String)>,
    pub retry_after: Option<u32>,
}

impl Problem {
    pub(super) fn invalid(field: &str, why: &str) -> Self {
        let members = vec![("field".to_owned(), field.to_owned())];
        Self { status: 400, detail: format!("{field}: {why}"), members, ..Self::default() }
    }

    pub(super) fn of_host(kind: ProblemType) -> Self {
        let status = kind.status().as_u16();
        let (kind, title) = (kind.uri(), kind.title().to_owned());
        let detail = "asked for by x-mock-problem".to_owned();
        let retry_after = matches!(status, 429 | 503).then_some(1);
        Self { status, kind, title, detail, retry_after, ..Self::default() }
    }

    pub(super) fn of_example(status: u16, members: &Map<String, Value>) -> Self {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let own = |name: &str| members.get(name).map(text).unwrap_or_default();
        let standard = ["type", "title", "detail", "status", "instance", "request_id", "trace_id"];
        let more = members.iter().filter(|(name, _)| !standard.contains(&name.as_str()));
        let members = more.map(|(name, value)| (name.clone(), text(value))).collect();
        Self { status, kind: own("type"), title: own("title"), detail: own("detail"), members, retry_after: None }
    }
}
