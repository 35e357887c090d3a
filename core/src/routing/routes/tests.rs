//! Which endpoint a path leads to.

use super::*;
use proptest::prelude::*;

fn routes(endpoints: &[&'static str]) -> Routes<&'static str> {
    let mut routes = Routes::default();
    for endpoint in endpoints {
        routes.add(&endpoint.parse().unwrap(), "p", *endpoint).unwrap();
    }
    routes
}

fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn two_plugins_may_name_one_path_differently_under_different_methods() {
    let routes = routes(&["GET /films/{id}", "POST /films/{slug}"]);
    assert_eq!(routes.find(&Method::GET, "/films/7"), Found::Endpoint(&"GET /films/{id}", params(&[("id", "7")])));
    assert_eq!(
        routes.find(&Method::POST, "/films/7"),
        Found::Endpoint(&"POST /films/{slug}", params(&[("slug", "7")]))
    );
    assert_eq!(routes.find(&Method::PUT, "/films/7"), Found::OtherMethods(vec![Method::GET, Method::POST]));
    assert_eq!(routes.find(&Method::HEAD, "/films/7"), Found::Endpoint(&"GET /films/{id}", params(&[("id", "7")])));
    assert_eq!(routes.find(&Method::GET, "/films/7/cast"), Found::Nothing);
}

#[test]
fn the_same_endpoint_twice_is_refused_by_name() {
    let mut routes = routes(&["GET /films/{id}"]);
    let error = routes.add(&"GET /films/{film}".parse().unwrap(), "other", "x").unwrap_err();
    assert_eq!(error, Taken { owner: "p".into() });
}

#[test]
fn a_literal_goes_before_a_parameter_and_a_parameter_before_the_rest() {
    let routes = routes(&["GET /films/{id}", "GET /films/new", "GET /{*rest}"]);
    let target = |path: &str| match routes.find(&Method::GET, path) {
        Found::Endpoint(target, _) => *target,
        _ => "nothing",
    };
    assert_eq!(
        [target("/films/new"), target("/films/newer"), target("/films/new/x"), target("/people")],
        ["GET /films/new", "GET /films/{id}", "GET /{*rest}", "GET /{*rest}"]
    );
}

#[test]
fn a_rest_is_what_is_left_and_never_nothing() {
    let routes = routes(&["GET /files/{*path}", "GET /files/{id}", "GET /{name}/all", "GET /"]);
    let at = |path: &str| match routes.find(&Method::GET, path) {
        Found::Endpoint(target, params) => Some((*target, params)),
        _ => None,
    };
    assert_eq!(at("/files/a/b/"), Some(("GET /files/{*path}", params(&[("path", "a/b/")]))));
    assert_eq!(at("/files/a"), Some(("GET /files/{id}", params(&[("id", "a")]))));
    assert_eq!(at("/files/all"), Some(("GET /files/{id}", params(&[("id", "all")]))));
    assert_eq!(at("/people/all"), Some(("GET /{name}/all", params(&[("name", "people")]))));
    assert_eq!(at("/"), Some(("GET /", vec![])));
    assert_eq!(["/files/", "/files", "//all", "", "*"].map(at), [const { None }; 5]);
}

#[test]
fn paths_are_compared_in_normal_form_on_both_sides() {
    let routes = routes(&["GET /caf\u{e9}/a%2fb", "GET /~me/%41", "GET /x:y/{id}"]);
    for (path, endpoint) in [
        ("/caf%C3%A9/a%2Fb", Some("GET /caf\u{e9}/a%2fb")),
        ("/caf%c3%a9/%61%2fb", Some("GET /caf\u{e9}/a%2fb")),
        ("/caf%C3%A9/a/b", None),
        ("/%7Eme/A", Some("GET /~me/%41")),
        ("/~me/a", None),
        ("/x:y/1", Some("GET /x:y/{id}")),
        // What is reserved means something else when it is encoded.
        ("/x%3Ay/1", None),
        ("/x%3/1", None),
    ] {
        let found = match routes.find(&Method::GET, path) {
            Found::Endpoint(target, _) => Some(*target),
            _ => None,
        };
        assert_eq!(found, endpoint, "{path}");
    }
    let mut twice = Routes::default();
    twice.add(&"GET /caf\u{e9}".parse().unwrap(), "p", ()).unwrap();
    assert!(twice.add(&"GET /caf%c3%A9".parse().unwrap(), "q", ()).is_err());
    assert!("GET /a/%2e%2E/b".parse::<EndpointName>().is_err());
}

/// What the table should do, told in another way: segment by segment, the most literal template that fits.
fn expected(templates: &[String], path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let parts: Vec<&str> = template.split('/').collect();
        let fits_one =
            |(part, segment): (&&str, &&str)| part.starts_with('{') && !segment.is_empty() || part == segment;
        match parts.split_last() {
            Some((&"{*rest}", start)) => start.len() < segments.len() && start.iter().zip(&segments).all(fits_one),
            _ => parts.len() == segments.len() && parts.iter().zip(&segments).all(fits_one),
        }
    };
    let rank = |part: &str| if part.starts_with("{*") { 0 } else { 1 + u8::from(!part.starts_with('{')) };
    templates.iter().filter(fits).max_by_key(|template| template.split('/').map(rank).collect::<Vec<_>>()).cloned()
}

/// `/a/{p1}/b`, `/{p0}/{*rest}`.
fn template() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => Just("a"), 3 => Just("b"), 3 => Just("{}"), 1 => Just("{*rest}")];
    proptest::collection::vec(part, 1..5).prop_map(|parts| {
        let end = parts.iter().position(|part| *part == "{*rest}").map_or(parts.len(), |rest| rest + 1);
        let named = parts.iter().take(end).enumerate().map(|(at, part)| part.replace("{}", &format!("{{p{at}}}")));
        named.fold(String::new(), |path, part| path + "/" + &part)
    })
}

proptest! {
    /// Any set of templates, each of literals, parameters and perhaps a rest, in any order, against any path.
    #[test]
    fn precedence_is_that_of_the_most_literal_template(
        templates in proptest::collection::hash_set(template(), 1..10),
        path in proptest::collection::vec("[abc]", 1..6),
    ) {
        let templates: Vec<String> = templates.into_iter().collect();
        let mut routes = Routes::default();
        for template in &templates {
            routes.add(&EndpointName::new("GET", template).unwrap(), "p", template.clone()).unwrap();
        }
        let path = format!("/{}", path.join("/"));
        let found = match routes.find(&Method::GET, &path) {
            Found::Endpoint(target, _) => Some(target.clone()),
            _ => None,
        };
        prop_assert_eq!(found, expected(&templates, &path));
    }
}

#[test]
fn a_tree_of_any_depth_takes_no_stack() {
    // Far deeper than an endpoint's name may be, by way of the tree itself.
    let path = format!("/{}", "a/{x}/".repeat(50_000));
    let small = std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
        let mut routes = Routes::<()>::default();
        let name: EndpointName = "GET /a".parse().unwrap();
        routes.place(&path).push(Entry { name, owner: "p".to_owned(), target: () });
        let copy = routes.clone();
        drop(routes);
        assert_eq!(copy.find(&Method::POST, &path), Found::OtherMethods(vec![Method::GET]));
        assert_eq!(copy.find(&Method::GET, &path[..path.len() - 1]), Found::Nothing);
    });
    small.unwrap().join().unwrap();
}
