//! What is said of a request, in one line, and of one that went wrong in two.

use crate::observe::{Followed, FollowedCalls};
use std::{fmt::Write, time::Duration};

/// `200 GET /films/1  6.9 ms  12 calls → 5 upstream, 3 rounds  1 cache  guest 0.25 ms`, and why it went wrong.
pub(super) fn of(request: &Followed) -> Vec<String> {
    let Followed { status, method, target, took, cache, calls, trouble, .. } = request;
    let mut line = format!("{status} {method} {target}  {}", millis(*took));
    if let Some(calls) = calls {
        line += &of_calls(calls);
    } else if request.endpoint.is_none() {
        line += "  no endpoint";
    }
    if let Some(cache) = cache {
        // Writing to a string can't fail.
        let _ = write!(line, "  response {}", cache.split_once("; ").map_or(&**cache, |(_, how)| how));
    }
    let trouble = trouble.iter().flat_map(|text| text.lines()).map(|text| format!("    {text}"));
    std::iter::once(line).chain(trouble).collect()
}

fn of_calls(calls: &FollowedCalls) -> String {
    let FollowedCalls { made, upstream, retries, failed, depth, guest_cpu, origins, degraded, .. } = calls;
    let mut text = match made {
        0 => "  no calls".to_owned(),
        _ => format!("  {} → {upstream} upstream, {}", count(*made, "call"), count(*depth, "round")),
    };
    let others: Vec<String> = origins
        .iter()
        .filter(|(origin, _)| **origin != "upstream")
        .map(|(origin, count)| format!("{count} {origin}"))
        .chain((*retries > 0).then(|| format!("{retries} retried")))
        .chain((*failed > 0).then(|| format!("{failed} failed")))
        .collect();
    if !others.is_empty() {
        let _ = write!(text, "  {}", others.join(", "));
    }
    let _ = write!(text, "  guest {}", millis(*guest_cpu));
    if !degraded.is_empty() {
        let parts: Vec<String> = degraded.iter().map(|(method, how)| format!("{method} ({})", how.as_str())).collect();
        let _ = write!(text, "  degraded: {}", parts.join(", "));
    }
    text
}

pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// `1 call`, `2 calls`.
pub(super) fn count(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Degraded;
    use serde_json::Value;

    fn request(calls: Option<FollowedCalls>) -> Followed {
        Followed {
            method: "GET".to_owned(),
            target: "/films/1?a=b".to_owned(),
            status: 200,
            took: Duration::from_micros(6_972),
            endpoint: Some("GET /films/{id}".to_owned()),
            plugin: Some("home-web 1.0.0".to_owned()),
            trouble: None,
            cache: None,
            calls,
        }
    }

    #[test]
    fn a_request_is_one_line_and_its_trouble_another() {
        let mut calls = FollowedCalls {
            made: 12,
            upstream: 5,
            retries: 1,
            failed: 0,
            depth: 3,
            guest_cpu: Duration::from_micros(250),
            origins: [("cache", 1), ("coalesced", 2), ("upstream", 9)].into(),
            degraded: vec![("recommend.v1.Recommend/ForUser".into(), Degraded::Fallback)],
            waterfall: Value::Null,
        };
        assert_eq!(
            of(&request(Some(calls.clone()))),
            [
                "200 GET /films/1?a=b  6.97 ms  12 calls → 5 upstream, 3 rounds  1 cache, 2 coalesced, 1 retried  guest 0.25 ms  \
              degraded: recommend.v1.Recommend/ForUser (fallback)"
            ]
        );
        (calls.made, calls.retries, calls.origins) = (0, 0, [].into());
        calls.degraded.clear();
        let mut failed = request(Some(calls));
        (failed.status, failed.trouble) = (502, Some("it trapped\nat a.rs:1".to_owned()));
        assert_eq!(
            of(&failed),
            ["502 GET /films/1?a=b  6.97 ms  no calls  guest 0.25 ms", "    it trapped", "    at a.rs:1"]
        );
        let kept = Followed { cache: Some("weft; hit; ttl=3".to_owned()), ..request(None) };
        assert_eq!(of(&kept), ["200 GET /films/1?a=b  6.97 ms  response hit; ttl=3"]);
        let nothing = Followed { endpoint: None, status: 404, ..request(None) };
        assert_eq!(of(&nothing), ["404 GET /films/1?a=b  6.97 ms  no endpoint"]);
    }
}
