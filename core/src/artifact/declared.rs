//! The problems that an endpoint's code says it may answer with.

use super::EndpointSchema;
use serde::Deserialize;

/// One of them. Without a type it is `about:blank`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeclaredProblem {
    pub status: u16,
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub description: String,
}

impl DeclaredProblem {
    /// `None` where the code declares nothing, and so may answer with whatever it likes.
    pub fn of(schema: Option<&EndpointSchema>) -> Option<Vec<Self>> {
        let list = schema?.more.get("problems")?.as_array()?;
        Some(list.iter().filter_map(|problem| Self::deserialize(problem).ok()).filter(Self::is_problem).collect())
    }

    fn is_problem(&self) -> bool {
        (400..600).contains(&self.status)
    }
}
