//! What path and query of a request say.

use http::{HeaderMap, HeaderValue, StatusCode, Uri, header::HOST};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{path::Path, sync::LazyLock};
use weft_core::{
    artifact::normal,
    model::Fault,
    routing::{Clients, Pairs, decode_params},
    settings::{Document, Mistakes},
};

static CLIENTS: LazyLock<Clients> = LazyLock::new(|| {
    let text = "[[client]]\nname = \"web\"\nhost = \"web.test\"\n[[client]]\nname = \"ios\"\nprefix = \"/ios\"\n\
                [[client]]\nname = \"pad\"\nprefix = \"/ios/pad\"\n";
    let mistakes = Mistakes::new();
    let clients = Clients::read(&Document::parse(Path::new("weft.toml"), text, &mistakes).table(&mistakes));
    assert!(mistakes.is_empty());
    clients
});

/// Any path and query: values in UTF-8, none longer than what was given, and the same again when they are encoded again; or a fault that
/// names the field. Whose frontend it is follows from the path.
pub fn query(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let (path, query) = text.split_once('?').map_or((&*text, None), |(path, query)| (path, Some(query)));
    match weft_core::routing::query(query) {
        Ok(pairs) => {
            let query = query.unwrap_or_default();
            assert!(pairs.len() <= query.split('&').count());
            assert!(pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= query.len());
            let again = weft_core::routing::query(Some(&encoded(&pairs)));
            assert_eq!(again.unwrap(), pairs);
        }
        Err(fault) => check_fault(&fault, "query."),
    }
    match decode_params(vec![("rest".to_owned(), path.to_owned())]) {
        Ok(decoded) => assert!(decoded[0].1.len() <= path.len() && !decoded[0].1.contains('\0')),
        Err(fault) => check_fault(&fault, "path.rest"),
    }
    if let Ok(uri) = Uri::try_from(&*text) {
        whose(&uri);
    }
    query.is_some()
}

fn encoded(pairs: &Pairs) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// The caller's own fault, and told where.
fn check_fault(fault: &Fault, field: &str) {
    assert_eq!(fault.problem.status, StatusCode::BAD_REQUEST);
    assert!(
        fault.problem.members.iter().any(|(member, value)| *member == "field" && value.starts_with(field)),
        "{fault:?}"
    );
}

/// The longest prefix that ends with a segment goes before the host; what is left of the path is its end.
fn whose(uri: &Uri) {
    let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("web.test:8080"))]);
    let Ok((client, left)) = CLIENTS.recognise(&headers, uri) else {
        assert!(uri.authority().is_some(), "{uri}: the host was named");
        return;
    };
    let path = uri.path();
    let behind = |prefix: &str| {
        let mut ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).skip(prefix.matches('/').count());
        let (head, rest) = path.split_at(ends.next()?);
        let is_it = head.split('/').map(normal).eq(prefix.split('/').map(normal));
        is_it.then_some(rest)
    };
    let (name, rest) = match (behind("/ios/pad"), behind("/ios")) {
        (Some(rest), _) => ("pad", rest),
        (None, Some(rest)) => ("ios", rest),
        (None, None) => ("web", path),
    };
    assert_eq!((client.name.as_str(), left), (name, if rest.is_empty() { "/" } else { rest }), "{uri}");
}
