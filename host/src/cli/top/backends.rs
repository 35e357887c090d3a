//! The backends in `weft top`: a line for each endpoint.

use crate::{
    telemetry::EndpointHealth,
    upstream::{BackendState, DiscoveryState, EndpointState, LastError},
};
use std::{collections::HashMap, fmt::Write, time::Duration};

/// Of the last error, in characters: a line stays a line.
const SHOWN: usize = 60;

pub(super) fn table(before: &[BackendState], now: &[BackendState], over: Duration) -> String {
    if now.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "\n{:<14} {:<22} {:<9} {:>6} {:>8} {:>6} {:>9}  {}\n",
        "backend", "endpoint", "state", "active", "calls/s", "fail%", "refused/s", "last error"
    );
    let old: HashMap<_, _> = before
        .iter()
        .flat_map(|backend| {
            backend.endpoints.iter().map(|e| ((&backend.name, &e.address), (e.told.calls, e.told.failures)))
        })
        .collect();
    let refused: HashMap<_, _> = before.iter().map(|backend| (&backend.name, backend.refused)).collect();
    let a_second = |count: u64| count as f64 / over.as_secs_f64();
    for backend in now {
        let refused = backend.refused.saturating_sub(refused.get(&backend.name).copied().unwrap_or(0));
        for endpoint in &backend.endpoints {
            // One with fewer calls than before is another one at the same address, which came in between.
            let known = old.get(&(&backend.name, &endpoint.address)).copied();
            let known = known.filter(|(calls, _)| *calls <= endpoint.told.calls).unwrap_or_default();
            let calls = endpoint.told.calls.saturating_sub(known.0);
            let failures = endpoint.told.failures.saturating_sub(known.1);
            let state = if backend.away { "away" } else { endpoint.state.as_str() };
            // Writing to a string can't fail.
            let _ = writeln!(
                out,
                "{:<14} {:<22} {state:<9} {:>6} {:>8.0} {:>6.1} {:>9.0}  {}",
                backend.name,
                endpoint.address,
                endpoint.under_way,
                a_second(calls),
                failures as f64 * 100.0 / calls.max(1) as f64,
                a_second(refused),
                last(endpoint),
            );
        }
    }
    out.extend(now.iter().filter_map(|backend| Some(source(&backend.name, backend.discovery.as_ref()?))));
    out
}

/// Where endpoints come from, if they are looked for.
fn source(backend: &str, state: &DiscoveryState) -> String {
    let set = state.set_age.map_or_else(|| "no set yet".to_owned(), |age| format!("set told {age} s ago"));
    let error = state.failing_since.and(state.last_error.as_ref());
    let error = error.map_or_else(String::new, |error| format!(", can't be asked: {}", plain(&error.message)));
    format!("{backend:<14} from {}: {set}{error}\n", plain(&state.source))
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

/// Why it gets no calls, or else its last error. What a backend wrote is shown without what a terminal would take for a command.
fn last(endpoint: &EndpointState) -> String {
    match (&endpoint.check, &endpoint.told.last_error) {
        (Some(check), _) if endpoint.state == EndpointHealth::Unhealthy => format!("check: {}", plain(&check.found)),
        (_, Some(LastError { code, message, .. })) => format!("{code}: {}", plain(message)),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::BackendsAnswer;

    fn backends(calls: u64, failures: u64, refused: u64) -> Vec<BackendState> {
        let text = format!(
            r#"{{"backends":[{{"name":"films","concurrency":20,"refused":{refused},"away":false,"discovery":{{"source":"etcd://e:1/films",
                "set_at":1,"set_age":7,"failing_since":2,"failures":3,"last_error":{{"at":2,"message":"refused\u001b[2J"}},"skipped":{{}}}},"endpoints":[{{
                "address":"10.0.0.1:50051","state":"failing","weight":1.0,"under_way":3,"calls":{calls},"failures":{failures},
                "failing_since":1,"last_error":{{"at":1,"code":"UNAVAILABLE","message":"gone\u001b[2J"}}}}]}}],"shared_cache":null}}"#
        );
        serde_json::from_str::<BackendsAnswer>(&text).unwrap().backends
    }

    #[test]
    fn rates_are_those_of_the_interval_and_the_last_error_is_shown() {
        let text = table(&backends(100, 10, 5), &backends(300, 60, 9), Duration::from_secs(2));
        assert!(
            text.ends_with("films          from etcd://e:1/films: set told 7 s ago, can't be asked: refused [2J\n"),
            "{text}"
        );
        let row: Vec<_> = text.lines().nth_back(1).unwrap().split_whitespace().collect();
        assert_eq!(row[..7], ["films", "10.0.0.1:50051", "failing", "3", "100", "25.0", "2"]);
        assert!(text.contains("UNAVAILABLE: gone [2J\n"), "{text}");
        let another = table(&backends(300, 60, 9), &backends(40, 10, 9), Duration::from_secs(2));
        assert!(
            another.lines().nth_back(1).unwrap().contains(" 20   25.0 "),
            "one that came to the same address: {another}"
        );
    }
}
