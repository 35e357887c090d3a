//! Which endpoint a path leads to.

use super::*;
use proptest::prelude::*;

fn routes(endpoints: &[&'static str]) -> Routes<&'static str> {
    let mut routes = Routes::default();
    for endpoint in endpoints {
        routes.add("web", &endpoint.parse().unwrap(), "p", *endpoint).unwrap();
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
    let error = routes.add("web", &"GET /films/{film}".parse().unwrap(), "other", "x").unwrap_err();
    assert_eq!(error.to_string(), "GET /films/{film} of client `web` belongs to plugin `p` already");
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

/// What the table should do, told in another way: segment by segment, the most literal template that fits.
fn expected(templates: &[String], path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == segments.len()
            && parts.iter().zip(&segments).all(|(part, s)| (part.starts_with('{') && !s.is_empty()) || part == s)
    };
    let literalness = |template: &&String| template.split('/').map(|part| !part.starts_with('{')).collect::<Vec<_>>();
    templates.iter().filter(fits).max_by_key(literalness).cloned()
}

proptest! {
    /// Any set of templates of three segments, each a literal or a parameter, against any path.
    #[test]
    fn precedence_is_that_of_the_most_literal_template(
        templates in proptest::collection::hash_set(proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("{}")], 3), 1..8),
        path in proptest::collection::vec("[abc]", 3),
    ) {
        let templates: Vec<String> = templates.iter().map(|parts| {
            let named = parts.iter().enumerate().map(|(at, part)| if *part == "{}" { format!("{{p{at}}}") } else { (*part).to_owned() });
            format!("/{}", named.collect::<Vec<_>>().join("/"))
        }).collect();
        let mut routes = Routes::default();
        for template in &templates {
            routes.add("web", &EndpointName::new("GET", template).unwrap(), "p", template.clone()).unwrap();
        }
        let path = format!("/{}", path.join("/"));
        let found = match routes.find(&Method::GET, &path) {
            Found::Endpoint(target, _) => Some(target.clone()),
            _ => None,
        };
        prop_assert_eq!(found, expected(&templates, &path));
    }
}
