//! An endpoint's name: method and path template, `GET /films/{id}`.

use http::Method;
use std::{fmt, str::FromStr};

/// Bytes of a template.
const MOST_BYTES: usize = 1024;
/// Segments of a template.
const MOST_SEGMENTS: usize = 32;

/// A parsed name. A template's segment is a literal, `{name}`, or at the end `{*name}` for all that is left of the path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndpointName {
    pub method: Method,
    template: String,
    params: Vec<String>,
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    #[error("expected a method and a path, such as \"GET /films/{{id}}\"")]
    Form,
    #[error("`{0}` is not one of GET, POST, PUT, PATCH, DELETE")]
    Method(String),
    #[error("the path has to begin with `/`, and to have no empty segments")]
    Path,
    #[error("segment `{0}`: a parameter is a whole segment, such as `{{id}}`; `{{*rest}}` stands last")]
    Segment(String),
    #[error("the path has more than {MOST_SEGMENTS} segments, or more than {MOST_BYTES} bytes")]
    Long,
    #[error("parameter `{0}` comes twice")]
    Twice(String),
}

impl EndpointName {
    pub fn new(method: &str, template: &str) -> Result<Self, BadEndpoint> {
        let method = match method {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            other => return Err(BadEndpoint::Method(other.chars().take(32).collect())),
        };
        Ok(Self { method, template: template.to_owned(), params: params(template)? })
    }

    /// The template as declared.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Method and template without the names of parameters, which don't tell endpoints apart: `GET /films/{}`.
    pub fn place(&self) -> String {
        let segment = |segment: &str| match segment.strip_prefix('{') {
            Some(inner) if inner.starts_with('*') => "{*}".to_owned(),
            Some(_) => "{}".to_owned(),
            None => segment.to_owned(),
        };
        let path: Vec<String> = self.template.split('/').map(segment).collect();
        format!("{} {}", self.method, path.join("/"))
    }

    /// Names of the parameters, in the order of the path.
    pub fn params(&self) -> &[String] {
        &self.params
    }
}

fn params(template: &str) -> Result<Vec<String>, BadEndpoint> {
    let path = template.strip_prefix('/').ok_or(BadEndpoint::Path)?;
    let mut params: Vec<String> = Vec::new();
    if path.is_empty() {
        return Ok(params);
    }
    if path.len() > MOST_BYTES || path.split('/').count() > MOST_SEGMENTS {
        return Err(BadEndpoint::Long);
    }
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment.is_empty() {
            return Err(BadEndpoint::Path);
        }
        let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            if segment.contains(['{', '}', '*', '?', '#']) || segment.contains(char::is_whitespace) {
                return Err(BadEndpoint::Segment(segment.to_owned()));
            }
            continue;
        };
        let name = match inner.strip_prefix('*') {
            Some(rest) if is_last => rest,
            Some(_) => return Err(BadEndpoint::Segment(segment.to_owned())),
            None => inner,
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(BadEndpoint::Segment(segment.to_owned()));
        }
        if params.iter().any(|known| known == name) {
            return Err(BadEndpoint::Twice(name.to_owned()));
        }
        params.push(name.to_owned());
    }
    Ok(params)
}

impl FromStr for EndpointName {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let (method, template) = text.split_once(' ').ok_or(BadEndpoint::Form)?;
        Self::new(method, template.trim())
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}
