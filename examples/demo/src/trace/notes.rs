//! What matters of a span, in a few words.

use super::Span;

/// `batch reviews.v1.Reviews/GetSummary` without the package.
pub(super) fn short(name: &str) -> String {
    let Some((service, method)) = name.rsplit_once('/').filter(|(_, method)| !method.is_empty()) else {
        return name.to_owned();
    };
    // A path, as in `GET /films/{id}`, is no method.
    let Some((package, service)) = service.rsplit_once('.').filter(|(package, _)| !package.contains('/')) else {
        return name.to_owned();
    };
    let kind = package.rsplit_once(' ').map(|(kind, _)| format!("{kind} ")).unwrap_or_default();
    format!("{kind}{service}/{method}")
}

pub(super) fn of(span: &Span) -> String {
    let mut notes = Vec::new();
    let mut note = |name: &str, told: &dyn Fn(&str) -> String| {
        if let Some(value) = span.says(name) {
            notes.push(told(value));
        }
    };
    // Of the gateway.
    note("http.url", &|url| path(url).to_owned());
    note("http.status_code", &|status| status.to_owned());
    note("upstream_address", &|address| format!("→ {address}"));
    // Of the host.
    note("http.response.status_code", &|status| status.to_owned());
    note("weft.calls", &|calls| many(calls, "call"));
    note("weft.calls.upstream", &|calls| format!("{calls} upstream"));
    note("weft.guest.cpu_seconds", &|seconds| format!("{} CPU", milliseconds(seconds)));
    note("weft.guest.crossings", &|crossings| many(crossings, "crossing"));
    note("weft.batch.keys", &|keys| many(keys, "key"));
    note("weft.batch.requests", &|requests| format!("for {}", many(requests, "request")));
    note("weft.call.origin", &|origin| origin.to_owned());
    note("weft.attempt.kind", &|kind| format!("{kind} attempt"));
    if let (Some(_), Some(address), Some(port)) =
        (span.says("weft.attempt.kind"), span.says("server.address"), span.says("server.port"))
    {
        notes.push(format!("→ {address}:{port}"));
    }
    if let Some(error) = span.says("error.type") {
        notes.push(format!("failed: {error}"));
    }
    notes.join(", ").replace(", →", " →").replace("keys, for", "keys for").replace("key, for", "key for")
}

fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|place| rest.get(place..)).unwrap_or("/")
}

fn many(count: &str, what: &str) -> String {
    format!("{count} {what}{}", if count == "1" { "" } else { "s" })
}

fn milliseconds(seconds: &str) -> String {
    seconds.parse::<f64>().map_or_else(|_| seconds.to_owned(), |seconds| format!("{:.1} ms", seconds * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_left_out_and_paths_are_not() {
        for (name, expected) in [
            ("reviews.v1.Reviews/GetSummary", "Reviews/GetSummary"),
            ("batch reviews.v1.Reviews/BatchGetSummaries", "batch Reviews/BatchGetSummaries"),
            ("GET /films/{id}", "GET /films/{id}"),
            ("GET /a.b/{id}", "GET /a.b/{id}"),
            ("home-web", "home-web"),
            ("ingress", "ingress"),
        ] {
            assert_eq!(short(name), expected);
        }
    }

    #[test]
    fn what_matters_is_told_in_few_words() {
        let span = |pairs: &[(&str, &str)]| Span {
            attributes: pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Span::default()
        };
        for (pairs, expected) in [
            (&[("weft.batch.keys", "7"), ("weft.batch.requests", "2")][..], "7 keys for 2 requests"),
            (&[("weft.guest.cpu_seconds", "0.00125"), ("weft.guest.crossings", "1")], "1.2 ms CPU, 1 crossing"),
            (
                &[("weft.attempt.kind", "first"), ("server.address", "127.0.0.1"), ("server.port", "80")],
                "first attempt → 127.0.0.1:80",
            ),
            (&[("http.url", "http://127.0.0.1:80/web/films/1"), ("http.status_code", "200")], "/web/films/1, 200"),
            (&[("server.address", "127.0.0.1"), ("rpc.method", "a")], ""),
            (&[("error.type", "UNAVAILABLE")], "failed: UNAVAILABLE"),
        ] {
            assert_eq!(of(&span(pairs)), expected);
        }
    }
}
