//! What a guest is given of a request: decoded, and no more than its manifest asks for.

use crate::{
    artifact::EndpointPolicy,
    identity::is_internal,
    model::{Deadline, Fault, Identity},
    plugin,
    release::Endpoint,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use percent_encoding::percent_decode_str;

type Pairs = Vec<(String, String)>;

/// The parts of a request, before the body is there.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) path: String,
    pub(super) params: Pairs,
    pub(super) query: Pairs,
    pub(super) headers: Pairs,
    pub(super) client: &'a str,
    pub(super) identity: Option<&'a Identity>,
    pub(super) request_id: &'a HeaderValue,
    pub(super) deadline: Deadline,
}

impl Given<'_> {
    pub(super) fn into_request(self, body: Bytes) -> plugin::Request {
        plugin::Request {
            endpoint: self.endpoint.name.clone(),
            path: self.path,
            params: self.params,
            query: self.query,
            headers: self.headers,
            body: body.into(),
            client: self.client.to_owned(),
            identity: self.identity.map(|identity| shown(identity, &self.endpoint.policy)),
            request_id: self.request_id.to_str().unwrap_or_default().to_owned(),
            deadline_ms: u32::try_from(self.deadline.remaining().as_millis()).unwrap_or(u32::MAX),
            extensions: Vec::new(),
        }
    }
}

/// The identity with the claims that the manifest asks for, and no others.
fn shown(identity: &Identity, policy: &EndpointPolicy) -> plugin::Identity {
    let asked = policy.claims.iter().filter_map(|name| Some((name.clone(), identity.claims.get(name)?.clone())));
    plugin::Identity {
        issuer: identity.issuer.to_string(),
        subject: identity.subject.to_string(),
        tenant: identity.tenant.as_deref().map(str::to_owned),
        scopes: identity.scopes.clone(),
        claims: serde_json::Value::Object(asked.collect()).to_string(),
    }
}

/// The values of path parameters, decoded.
pub(super) fn decode_params(params: Pairs) -> Result<Pairs, Fault> {
    let decode = |(name, value): (String, String)| match percent_decode_str(&value).decode_utf8() {
        Ok(decoded) if !decoded.contains('\0') => Ok((name, decoded.into_owned())),
        _ => Err(not_utf8("path", &name)),
    };
    params.into_iter().map(decode).collect()
}

/// The query's pairs, decoded as forms are: `+` is a space.
pub(super) fn query(query: Option<&str>) -> Result<Pairs, Fault> {
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

/// Only the headers that the manifest asks for, and none by which the parties inside speak. What the body is belongs to the body, so
/// `content-type` is always given.
pub(super) fn headers(policy: &EndpointPolicy, headers: &HeaderMap) -> Result<Pairs, Fault> {
    let mut given = Vec::new();
    let asked = policy.headers.iter().filter(|name| !is_internal(name) && **name != CONTENT_TYPE);
    for name in asked.chain([&CONTENT_TYPE]) {
        for value in headers.get_all(name) {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| not_utf8("header", name.as_str()))?;
            given.push((name.as_str().to_owned(), text.to_owned()));
        }
    }
    Ok(given)
}

fn not_utf8(place: &str, name: &str) -> Fault {
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
