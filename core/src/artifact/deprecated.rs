//! `deprecated = { since, sunset, link }`: an endpoint, or a member of its answers, that will go away.

use crate::{model::Date, settings::Table};
use http::{HeaderName, HeaderValue, header};

/// Since when something is deprecated, when it goes away, and where to read about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecated {
    pub since: Date,
    pub sunset: Option<Date>,
    pub link: Option<String>,
    /// What answers say of it (RFC 9745, RFC 8594).
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Deprecated {
    pub(super) fn read(table: &Table<'_>) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let (since, sunset): (Option<Date>, Option<Date>) = (table.required("since"), table.optional("sunset"));
        if let (Some(since), Some(sunset)) = (since, sunset)
            && sunset < since
        {
            table.mistake("sunset", format!("is before `since`, {since}"));
        }
        let link: Option<String> = table.optional("link");
        let is_link = |link: &str| {
            let is_web = link.starts_with("https://") || link.starts_with("http://");
            is_web && link.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte))
        };
        if link.as_deref().is_some_and(|link| !is_link(link)) {
            table.mistake("link", "expected the URL of a page, such as \"https://example.com/changes#films\"");
        }
        let link = link.filter(|link| is_link(link));
        let since = since?;
        let mut headers = vec![(HeaderName::from_static("deprecation"), format!("@{}", since.seconds()))];
        headers.extend(sunset.map(|sunset| (HeaderName::from_static("sunset"), sunset.to_http())));
        headers.extend(link.as_ref().map(|link| (header::LINK, format!("<{link}>; rel=\"deprecation\""))));
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)));
        Some(Self { since, sunset, link, headers: headers.collect() })
    }
}
