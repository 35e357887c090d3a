//! Path templates, and the way from a path to an endpoint.

use http::Method;
use weft_core::{
    artifact::{EndpointName, normal},
    routing::{Found, Routes, decode_params},
};

/// A line with method and path, then lines with endpoints: the tree finds what a list of all templates finds, and parameters are parts of
/// the path.
pub fn template(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let Some((method, path)) = lines.next().and_then(|asked| asked.split_once(' ')) else { return false };
    let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
    let (mut routes, mut names) = (Routes::default(), Vec::<EndpointName>::new());
    for line in lines {
        let Ok(name) = line.parse::<EndpointName>() else { continue };
        assert_eq!(name.to_string().parse().as_ref(), Ok(&name), "it is read as it is written");
        let is_held = names.iter().any(|other| other.place() == name.place());
        assert_eq!(routes.add(&name, "p", names.len()).is_err(), is_held, "{name} and {names:?}");
        if !is_held {
            names.push(name);
        }
    }
    let fitting = fitting(&names, path);
    let wanted = if method == Method::HEAD { Method::GET } else { method.clone() };
    match routes.find(&method, path) {
        Found::Endpoint(found, params) => {
            let name = &names[*found];
            assert!(fitting.contains(&name) && name.method == wanted, "{path} leads to {name}, not {fitting:?}");
            check_params(name, &params, path);
            if let Ok(decoded) = decode_params(params.clone()) {
                let lengths = decoded.iter().zip(&params).map(|((_, value), (_, raw))| (value.len(), raw.len()));
                assert!(lengths.into_iter().all(|(decoded, raw)| decoded <= raw));
            }
        }
        Found::OtherMethods(methods) => {
            let expected: Vec<Method> = fitting.iter().map(|name| name.method.clone()).collect();
            assert!(!methods.is_empty() && !methods.contains(&wanted));
            assert_eq!(methods, expected, "{path}");
        }
        Found::Nothing => assert!(fitting.is_empty(), "{path} does not lead to {fitting:?}"),
    }
    !names.is_empty()
}

/// A path in normal form.
fn whole(path: &str) -> String {
    path.split('/').map(normal).collect::<Vec<_>>().join("/")
}

/// The names of the endpoint, and values that make the path of its template.
fn check_params(name: &EndpointName, params: &[(String, String)], path: &str) {
    assert!(params.iter().map(|(name, _)| name).eq(name.params()));
    let mut values = params.iter().map(|(_, value)| value.as_str());
    let filled =
        name.template().split('/').map(|part| if part.starts_with('{') { values.next().unwrap() } else { part });
    assert_eq!(whole(&filled.collect::<Vec<_>>().join("/")), whole(path));
    assert!(params.iter().all(|(_, value)| !value.is_empty()));
}

/// What the tree should find, told in another way: of all templates that fit, segment by segment, the most literal ones. They differ by
/// their methods only.
fn fitting<'n>(names: &'n [EndpointName], path: &str) -> Vec<&'n EndpointName> {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |name: &&EndpointName| {
        let parts: Vec<&str> = name.template().split('/').collect();
        let fits_one = |(part, segment): (&&str, &&str)| {
            part.starts_with('{') && !segment.is_empty() || normal(part) == normal(segment)
        };
        match parts.split_last() {
            Some((last, start)) if last.starts_with("{*") => {
                let rest = segments.get(start.len()..).unwrap_or_default();
                start.iter().zip(&segments).all(fits_one) && !rest.join("/").is_empty()
            }
            _ => parts.len() == segments.len() && parts.iter().zip(&segments).all(fits_one),
        }
    };
    let rank = |part: &str| if part.starts_with("{*") { 0 } else { 1 + u8::from(!part.starts_with('{')) };
    let ranks = |name: &EndpointName| name.template().split('/').map(rank).collect::<Vec<_>>();
    let fitting: Vec<&EndpointName> = names.iter().filter(fits).collect();
    let best = fitting.iter().map(|name| ranks(name)).max();
    fitting.into_iter().filter(|name| Some(ranks(name)) == best).collect()
}
