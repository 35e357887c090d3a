//! What a path and a query say, decoded.

use crate::model::Fault;
use http::StatusCode;
use percent_encoding::percent_decode_str;

/// Names and values, in their order.
pub type Pairs = Vec<(String, String)>;

/// The values of path parameters, decoded.
pub fn decode_params(params: Pairs) -> Result<Pairs, Fault> {
    let decode = |(name, value): (String, String)| match percent_decode_str(&value).decode_utf8() {
        Ok(decoded) if !decoded.contains('\0') => Ok((name, decoded.into_owned())),
        _ => Err(not_utf8("path", &name)),
    };
    params.into_iter().map(decode).collect()
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
    Fault::client(StatusCode::BAD_REQUEST, "bad-encoding", text).with("field", format!("{place}.{name}"))
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
    fn bad_utf8_names_the_field() {
        let fault = query(Some("a=1&q=%ff")).unwrap_err();
        assert_eq!((fault.status, fault.members), (StatusCode::BAD_REQUEST, vec![("field", "query.q".to_owned())]));
        assert!(decode_params(vec![("id".into(), "%c3%28".into())]).is_err());
    }
}
