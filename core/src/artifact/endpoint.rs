//! An endpoint's name: method and path template, `GET /films/{id}`.

use crate::model::http_method;
use http::Method;
use std::{borrow::Cow, fmt, fmt::Write, str::FromStr};

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
    #[error("a path with `.` or `..` as a segment is another path: write that one")]
    Dots,
    #[error("parameter `{0}` comes twice")]
    Twice(String),
}

impl EndpointName {
    pub fn new(method: &str, template: &str) -> Result<Self, BadEndpoint> {
        let bad = || BadEndpoint::Method(method.chars().take(32).collect());
        let method = http_method(method).ok_or_else(bad)?;
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
            None => normal(segment).into_owned(),
        };
        let path: Vec<String> = self.template.split('/').map(segment).collect();
        format!("{} {}", self.method, path.join("/"))
    }

    /// Names of the parameters, in the order of the path.
    pub fn params(&self) -> &[String] {
        &self.params
    }
}

/// A segment of a path in the one of all its spellings that is compared (RFC 3986, section 6.2.2): what needs no encoding has none,
/// what needs it has it, in upper case. What is reserved stays as it is written: `%2F` is no `/`.
pub fn normal(segment: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"%\"<>\\^`{|}".contains(&byte);
    if segment.bytes().all(is_plain) {
        return Cow::Borrowed(segment);
    }
    let hex = |digit: Option<&u8>| char::from(*digit?).to_digit(16);
    let (bytes, mut out) = (segment.as_bytes(), String::with_capacity(segment.len()));
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        let ahead = rest.as_slice();
        let encoded = hex(ahead.first()).zip(hex(ahead.get(1))).filter(|_| byte == b'%');
        let (byte, is_encoded) = match encoded.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(meant) => {
                rest.nth(1);
                (meant, true)
            }
            None => (byte, false),
        };
        let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_unreserved || (!is_encoded && is_plain(byte)) {
            out.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
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
            if matches!(&*normal(segment), "." | "..") {
                return Err(BadEndpoint::Dots);
            }
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
