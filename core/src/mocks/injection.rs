//! Headers by which a request says what it wants to see: what goes well, what doesn't, and how slowly.

use super::{
    example::{Example, Mocks},
    how::How,
};
use crate::observe::Degraded;
use std::{collections::BTreeSet, time::Duration};

/// All of them: what is asked for by another name is asked of nobody.
pub const HEADERS: [&str; 7] = [
    "x-mock-delay",
    "x-mock-status",
    "x-mock-problem",
    "x-mock-degraded",
    "x-mock-stale",
    "x-mock-example",
    "x-mock-seed",
];

/// The longest delay; an endpoint's own `timeout` is mostly over before.
const LONGEST: Duration = Duration::from_mins(5);

/// What a request asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wishes {
    pub(super) delay: Duration,
    pub(super) status: Option<u16>,
    pub(super) problem: Option<String>,
    pub(super) degraded: Vec<(String, How)>,
    pub(super) example: Option<String>,
    pub(super) seed: Option<u64>,
}

/// A header that can't be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misunderstood {
    pub(super) header: String,
    pub(super) why: String,
}

impl Wishes {
    pub(super) fn read(
        headers: &[(String, String)],
        mocks: &Mocks,
        examples: &[Example],
    ) -> Result<Self, Misunderstood> {
        let mut wishes = Self::default();
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-mock-")) {
            let value = value.trim();
            wishes.take(name, value, mocks, examples).map_err(|why| Misunderstood { header: name.clone(), why })?;
        }
        Ok(wishes)
    }

    fn take(&mut self, name: &str, value: &str, mocks: &Mocks, examples: &[Example]) -> Result<(), String> {
        match name {
            "x-mock-delay" => {
                self.delay = duration(value)
                    .filter(|delay| *delay <= LONGEST)
                    .ok_or_else(|| format!("expected a time such as 800ms or 2s, 5m at most, found {value:?}"))?;
            }
            "x-mock-status" => {
                let status = value.parse().ok().filter(|status| (200..600).contains(status));
                self.status =
                    Some(status.ok_or_else(|| format!("expected a status from 200 to 599, found {value:?}"))?);
            }
            "x-mock-problem" => self.problem = Some(value.to_owned()),
            "x-mock-degraded" => self.degraded.extend(parts(value, None, mocks, examples)?),
            "x-mock-stale" => self.degraded.extend(parts(value, Some(How(Degraded::Stale)), mocks, examples)?),
            "x-mock-example" => {
                if !examples.iter().any(|example| example.name == value) {
                    let known: Vec<_> = examples.iter().map(|example| example.name.as_str()).collect();
                    return Err(match known.as_slice() {
                        [] => "this endpoint has no examples: its answers are made from its schema".to_owned(),
                        known => format!("there is no example {value:?}; there are: {}", known.join(", ")),
                    });
                }
                self.example = Some(value.to_owned());
            }
            "x-mock-seed" => {
                self.seed = Some(value.parse().map_err(|_| format!("expected a whole number, found {value:?}"))?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Calls by their names, or by a part of one: `reviews` is all of `reviews.v1.Reviews`.
fn parts(value: &str, how: Option<How>, mocks: &Mocks, examples: &[Example]) -> Result<Vec<(String, How)>, String> {
    let of_examples = examples.iter().flat_map(|example| example.degraded.iter().map(|(name, _)| name));
    let known: BTreeSet<&String> = mocks.calls.iter().chain(of_examples).collect();
    let mut found = Vec::new();
    for text in value.split(',').map(str::trim) {
        let (name, told) = How::parse(text)
            .ok_or_else(|| format!("expected calls such as reviews.v1.Reviews/ListReviews, found {text:?}"))?;
        let how = how.unwrap_or(told);
        let is_part = |call: &str| call.split(['.', '/']).any(|part| part.eq_ignore_ascii_case(&name));
        let is_service = |call: &str| call.split_once('/').is_some_and(|(service, _)| service == name);
        let calls: Vec<String> = match known.contains(&name) {
            true => vec![name.clone()],
            false => {
                known.iter().filter(|call| is_part(call) || is_service(call)).map(|call| (*call).clone()).collect()
            }
        };
        match calls.as_slice() {
            // Before anybody has said what is called, every name will do.
            [] if known.is_empty() => found.push((name, how)),
            [] => {
                let known: Vec<_> = known.iter().map(|name| name.as_str()).collect();
                return Err(format!("the plugin makes no call {name:?}; it makes: {}", known.join(", ")));
            }
            calls => found.extend(calls.iter().map(|call| (call.clone(), how))),
        }
    }
    Ok(found)
}

/// `800ms`, `2s`, `1.5s`, `1m`.
fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let number: f64 = number.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, millis) in [("800ms", 800), ("2s", 2_000), ("1.5s", 1_500), ("0s", 0), ("1m", 60_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "800", "ms", "-1s", "1h", "NaNs", "infs", "1e300s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_part_of_a_name_is_all_calls_that_have_it() {
        let calls = ["reviews.v1.Reviews/GetSummary", "reviews.v1.Reviews/ListReviews", "people.v1.People/GetPerson"];
        let mocks = Mocks { calls: calls.iter().map(|call| (*call).to_owned()).collect(), ..Mocks::default() };
        let found = |value: &str| -> Result<Vec<String>, String> {
            Ok(parts(value, None, &mocks, &[])?
                .into_iter()
                .map(|(call, how)| format!("{call} {}", how.0.as_str()))
                .collect())
        };
        let reviews = ["reviews.v1.Reviews/GetSummary fallback", "reviews.v1.Reviews/ListReviews fallback"];
        assert_eq!(found("reviews").unwrap(), reviews);
        assert_eq!(found("reviews.v1.Reviews").unwrap(), reviews);
        assert_eq!(found("GetPerson;how=stale").unwrap(), ["people.v1.People/GetPerson stale"]);
        assert!(found("films").unwrap_err().contains("it makes: people.v1.People/GetPerson, reviews"));
        assert!(found("a b").unwrap_err().contains("expected calls"));
    }
}
