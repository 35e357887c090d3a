//! What a path and a query say, decoded.

use crate::model::{Fault, ProblemType};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Names and values, in their order.
pub type Pairs = Vec<(String, String)>;

/// The values of path parameters, decoded.
pub fn decode_params(params: Pairs) -> Result<Pairs, Fault> {
    let decode = |(name, value): (String, String)| {
        let decoded = percent_decode_str(&value).decode_utf8().map_err(|_| not_utf8("path", &name))?;
        if decoded.contains('\0') {
            return Err(bad_value(&name, "has a NUL character (%00) in it, which no value may have"));
        }
        // Whoever reads such a path next, a gateway or a backend, may take it for another one.
        if decoded.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(bad_value(
                &name,
                "has `.` or `..` as a segment, which makes it another path: ask for that one",
            ));
        }
        Ok((name, decoded.into_owned()))
    };
    params.into_iter().map(decode).collect()
}

fn bad_value(name: &str, what: &str) -> Fault {
    let fault = Fault::new(ProblemType::BadEncoding, format!("path `{name}` {what}"));
    fault.with("field", format!("path.{name}"))
}

/// What stands in a path as it is (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ENCODED_REST: &AsciiSet = &ENCODED.remove(b'/');

/// The path of a template with these decoded values, in the one of all its spellings that is always the same.
pub fn encode_path(template: &str, params: &Pairs) -> String {
    let mut values = params.iter().map(|(_, value)| value.as_str());
    let mut segment = |segment: &str| match segment.strip_prefix('{') {
        Some(inner) => {
            let encoded = if inner.starts_with('*') { ENCODED_REST } else { ENCODED };
            utf8_percent_encode(values.next().unwrap_or_default(), encoded).to_string()
        }
        None => segment.to_owned(),
    };
    template.split('/').map(&mut segment).collect::<Vec<_>>().join("/")
}

/// The query's pairs, decoded as forms are: `+` is a space.
pub fn query(query: Option<&str>) -> Result<Pairs, Fault> {
    let decode = |text: &str, name: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| not_utf8("query", name))
    };
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, "name")?;
            let value = decode(value, &name)?;
            Ok((name, value))
        })
        .collect()
}

/// Something of a request that is no text.
pub fn not_utf8(place: &str, name: &str) -> Fault {
    let text = format!("{place} `{name}` is not valid UTF-8");
    Fault::new(ProblemType::BadEncoding, text).with("field", format!("{place}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_in_their_order() {
        let pairs = query(Some("q=a+b%26c&flag&x=1&x=2&=v&")).unwrap();
        let expected = [("q", "a b&c"), ("flag", ""), ("x", "1"), ("x", "2"), ("", "v")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_path_is_written_in_one_way() {
        let pairs =
            |values: &[&str]| values.iter().map(|value| ("n".to_owned(), (*value).to_owned())).collect::<Pairs>();
        assert_eq!(encode_path("/films/{id}/x", &pairs(&["a/ b~é"])), "/films/a%2F%20b~%C3%A9/x");
        assert_eq!(encode_path("/{a}/{*rest}", &pairs(&["1", "b/c?"])), "/1/b/c%3F");
        assert_eq!(encode_path("/", &pairs(&[])), "/");
    }

    #[test]
    fn bad_utf8_names_the_field() {
        let fault = query(Some("a=1&q=%ff")).unwrap_err();
        assert_eq!(
            (fault.problem.kind, fault.problem.members),
            (ProblemType::BadEncoding, vec![("field", "query.q".to_owned())])
        );
        let said = |value: &str| decode_params(vec![("id".into(), value.into())]).unwrap_err().problem.detail;
        assert_eq!(said("%c3%28"), "path `id` is not valid UTF-8");
        assert!(said("a%00b").contains("NUL character"));
        for value in ["..", "%2e%2E", ".", "a/../b", "a%2F.%2e"] {
            assert!(said(value).contains("another path"), "{value}");
        }
        for value in ["...", "a..b", ".well-known", "..a", "a/.b"] {
            assert!(decode_params(vec![("id".into(), value.into())]).is_ok(), "{value}");
        }
    }
}
