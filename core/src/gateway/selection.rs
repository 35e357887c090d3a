//! Members that a request chooses of an answer (`?fields=`), where the endpoint lets it. The guest is shown the selection in the one of its
//! spellings that is always the same, so what is kept is kept by it; the host cuts the answer, whoever has written the plugin.

use super::{Body, Reply};
use crate::{
    artifact::{EndpointPolicy, FIELDS},
    model::{Fault, ProblemType, hex},
    routing::Pairs,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use weft_selection::{NotJson, Selection};

/// Bytes above which an answer is cut beside what serves requests.
const LARGE: usize = 256 << 10;

/// The query with what it chooses in one pair, the last; as it is where the endpoint lets nobody choose.
pub(super) fn canonical(policy: &EndpointPolicy, mut query: Pairs) -> Result<Pairs, Fault> {
    let Some(selectable) = &policy.fields else { return Ok(query) };
    if query.iter().all(|(name, _)| name != FIELDS) {
        return Ok(query);
    }
    let bad = |text: String| {
        let fault = Fault::new(ProblemType::BadFields, format!("query `{FIELDS}`: {text}"));
        fault.with("field", format!("query.{FIELDS}"))
    };
    let values = query.iter().filter(|(name, _)| name == FIELDS).map(|(_, value)| value.as_str());
    let selection = Selection::parse(values).map_err(|malformed| bad(malformed.to_string()))?;
    selectable.check(&selection).map_err(|unknown| bad(unknown.to_string()))?;
    query.retain(|(name, _)| name != FIELDS);
    query.push((FIELDS.to_owned(), selection.to_string()));
    Ok(query)
}

/// What a canonical query chooses, if it does.
pub(super) fn chosen(policy: &EndpointPolicy, query: &Pairs) -> Option<Selection> {
    policy.fields.as_ref()?;
    let (_, value) = query.iter().rev().find(|(name, _)| name == FIELDS)?;
    Selection::parse([value.as_str()]).ok()
}

/// Of a good answer in JSON what was chosen.
pub(super) async fn cut(mut reply: Reply, selection: Option<Selection>) -> Result<Reply, Fault> {
    let Some(selection) = selection.filter(|_| reply.status.is_success() && is_json(&reply.headers)) else {
        return Ok(reply);
    };
    let Body::Bytes(body) = &mut reply.body else { return Ok(reply) };
    if body.is_empty() {
        return Ok(reply);
    }
    let whole = std::mem::take(body);
    let text = selection.to_string();
    let made = if whole.len() > LARGE {
        let cutting = tokio::task::spawn_blocking(move || selection.cut(&whole));
        cutting.await.map_err(|error| super::faults::host(&error))?
    } else {
        selection.cut(&whole)
    };
    *body = Bytes::from(made.map_err(|NotJson { at }| {
        let fault = Fault::new(ProblemType::PluginResponse, "the plugin's response is not valid");
        fault.because(format!("its JSON ends at byte {at}, so nothing can be chosen of it"))
    })?);
    mark(&mut reply.headers, &text);
    Ok(reply)
}

/// A tag of the plugin's own is one of the whole answer: of each part it is another one.
fn mark(headers: &mut HeaderMap, selection: &str) {
    let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    let Some(rest) = tag.strip_suffix('"') else { return };
    let hash = hex::<16>(xxhash_rust::xxh3::xxh3_128(selection.as_bytes()));
    let marked = format!("{rest}.{}\"", String::from_utf8_lossy(&hash));
    match HeaderValue::try_from(marked) {
        Ok(marked) => drop(headers.insert(header::ETAG, marked)),
        Err(_) => drop(headers.remove(header::ETAG)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn reply(kind: &'static str, tag: &'static str, body: &'static str) -> Reply {
        let headers =
            [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::ETAG, HeaderValue::from_static(tag))];
        let body = Body::Bytes(Bytes::from_static(body.as_bytes()));
        Reply { status: StatusCode::OK, headers: headers.into_iter().collect(), body }
    }

    async fn given(reply: Reply, fields: &str) -> (String, String) {
        let reply = cut(reply, Some(Selection::parse([fields]).unwrap())).await.unwrap();
        let Body::Bytes(body) = reply.body else { panic!("bytes") };
        let tag = reply.headers[header::ETAG].to_str().unwrap().to_owned();
        (String::from_utf8(body.to_vec()).unwrap(), tag)
    }

    #[tokio::test]
    async fn a_part_is_json_of_its_own_with_a_tag_of_its_own() {
        let film = || reply("application/json; charset=utf-8", "W/\"v1\"", r#"{"a": 1, "b": 2}"#);
        let (body, tag) = given(film(), "a").await;
        assert_eq!(body, r#"{"a":1}"#);
        let (_, other) = given(film(), "b").await;
        assert!(tag.starts_with("W/\"v1.") && tag.ends_with('"') && tag != other, "{tag} {other}");
        assert_eq!(given(film(), "a").await.1, tag);
        let text = reply("text/plain", "\"v1\"", "a, b");
        assert_eq!(given(text, "a").await, ("a, b".to_owned(), "\"v1\"".to_owned()));
    }

    #[tokio::test]
    async fn what_is_no_json_or_no_answer_is_not_cut() {
        let selection = || Some(Selection::parse(["a"]).unwrap());
        let broken = cut(reply("application/json", "\"v\"", "{"), selection()).await.unwrap_err();
        assert_eq!(broken.problem.kind, ProblemType::PluginResponse);
        let failed = Reply { status: StatusCode::NOT_FOUND, ..reply("application/json", "\"v\"", "{\"b\":1}") };
        let Body::Bytes(body) = cut(failed, selection()).await.unwrap().body else { panic!("bytes") };
        assert_eq!(body, "{\"b\":1}");
        let large = format!("{{\"b\":\"{}\",\"a\":1}}", "x".repeat(LARGE));
        let large = Reply { body: Body::Bytes(large.into()), ..reply("application/json", "\"v\"", "") };
        assert_eq!(given(large, "a").await.0, "{\"a\":1}");
    }
}
