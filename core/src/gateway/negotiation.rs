//! Whether client and endpoint speak the same format: `accept` against what the endpoint produces, `content-type` against what it
//! takes (RFC 9110, sections 8.3 and 12.5.1).

use crate::model::{Fault, ProblemType};
use http::{HeaderMap, HeaderValue, header};

/// 406 where the client takes nothing that the endpoint makes.
pub(super) fn check_accept(produces: &[String], headers: &HeaderMap) -> Result<(), Fault> {
    let mut lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if lines.peek().is_none() || produces.is_empty() || produces.iter().any(|kind| kind == "*/*") {
        return Ok(());
    }
    let ranges = lines.flat_map(|line| line.split(',')).map(Range::parse);
    let ranges: Vec<Range> = ranges.collect();
    if produces.iter().any(|kind| quality(&ranges, kind) > 0.0) {
        return Ok(());
    }
    let text = format!("this endpoint answers with {}, and the request accepts something else", produces.join(", "));
    Err(Fault::new(ProblemType::NotAcceptable, text).with("field", "header.accept"))
}

/// 415 where the body is not declared to be something that the endpoint takes. One without a type is taken only where any will do
/// (`consumes = ["*/*"]`): a browser sends such bodies across origins without having asked.
pub(super) fn check_content_type(consumes: &[String], headers: &HeaderMap, body: &[u8]) -> Result<(), Fault> {
    if body.is_empty() || consumes.iter().any(|range| range == "*/*") {
        return Ok(());
    }
    let kind = headers.get(header::CONTENT_TYPE).map(|value| essence(value.to_str().unwrap_or_default()));
    let takes = |kind: &String| consumes.iter().any(|range| covers(range, kind) || is_json(range) && is_json(kind));
    if kind.as_ref().is_some_and(takes) {
        return Ok(());
    }
    let list = consumes.join(", ");
    let text = match kind {
        Some(kind) => format!("this endpoint takes {list}, not `{kind}`"),
        None => format!("this endpoint takes {list}, and the request does not say what its body is"),
    };
    let fault = Fault::new(ProblemType::UnsupportedMediaType, text);
    let fault = fault.with("field", "header.content-type");
    match HeaderValue::try_from(list) {
        Ok(list) => Err(fault.header(header::ACCEPT, list)),
        Err(_) => Err(fault),
    }
}

/// The type without its parameters.
fn essence(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// One range of `accept`.
struct Range {
    essence: String,
    /// From 0, which is never, to 1.
    weight: f32,
}

impl Range {
    fn parse(text: &str) -> Self {
        let weight = text.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(1.0))
        });
        Self { essence: essence(text), weight: weight.unwrap_or(1.0) }
    }

    /// The narrower range counts (RFC 9110, section 12.5.1).
    fn specificity(&self) -> u8 {
        match self.essence.as_str() {
            "*/*" => 0,
            range if range.ends_with("/*") => 1,
            _ => 2,
        }
    }
}

/// How much a kind is wanted: by the most specific range that covers it, and not at all where none does.
fn quality(ranges: &[Range], kind: &str) -> f32 {
    let of_kind = ranges.iter().filter(|range| covers(&range.essence, kind));
    of_kind.max_by_key(|range| range.specificity()).map_or(0.0, |range| range.weight)
}

fn covers(range: &str, kind: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(prefix) => prefix.ends_with('/') && kind.starts_with(prefix),
        None => range == kind,
    }
}

fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_kinds() {
        for (range, kind, expected) in [
            ("*/*", "application/json", true),
            ("application/*", "application/json", true),
            ("application/json", "application/json", true),
            ("text/*", "application/json", false),
            ("app*", "application/json", false),
        ] {
            assert_eq!(covers(range, kind), expected, "{range} {kind}");
        }
        assert_eq!(Range::parse("application/json; charset=x; q=0").weight, 0.0);
        assert_eq!(Range::parse("application/json;Q=0.5").weight, 0.5);
        assert_eq!(essence(" Application/JSON ; q=1"), "application/json");
    }

    #[test]
    fn the_narrower_range_counts() {
        let wants =
            |accept: &str, kind: &str| quality(&accept.split(',').map(Range::parse).collect::<Vec<_>>(), kind) > 0.0;
        for (accept, expected) in [
            ("*/*", true),
            ("*/*, application/json;q=0", false),
            ("application/json;q=0, */*", false),
            ("application/*;Q=0, application/json", true),
            ("text/*, */*;q=0", false),
            ("text/html", false),
        ] {
            assert_eq!(wants(accept, "application/json"), expected, "{accept}");
        }
    }
}
