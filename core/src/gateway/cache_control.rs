//! What a plugin says of who may keep its answer, and for how long (`cache-control`): it may tighten what its manifest allows, and no more.
//!
//! What others may keep stands in the manifest, where a review sees it; an answer made for one caller is nobody else's, whatever the code
//! says. So `public`, `s-maxage`, and times above those of `cache` go no further than the manifest does, and words that only loosen or that
//! are not known here are left out (RFC 9111, section 5.2.2; RFC 5861; RFC 8246).

use crate::{artifact::ResponseCache, model::Scope};
use http::{HeaderMap, HeaderValue, header};
use std::{fmt::Write, time::Duration};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Said {
    no_store: bool,
    no_cache: bool,
    no_transform: bool,
    must_revalidate: bool,
    private: bool,
    /// In seconds.
    max_age: Option<u64>,
    shared_max_age: Option<u64>,
    stale: Option<u64>,
}

impl Said {
    /// All lines as one list. Of a time that is said twice the shorter one counts; one that can't be read is none at all, so zero.
    fn read(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
        let mut said = Self::default();
        for part in lines.flat_map(|line| line.split(',')) {
            let (word, value) = part.split_once('=').unwrap_or((part, ""));
            let seconds = || value.trim().trim_matches('"').parse().unwrap_or(0);
            let least = |old: Option<u64>| Some(old.map_or_else(seconds, |old| old.min(seconds())));
            match word.trim().to_ascii_lowercase().as_str() {
                "no-store" => said.no_store = true,
                "no-cache" => said.no_cache = true,
                "no-transform" => said.no_transform = true,
                "must-revalidate" | "proxy-revalidate" => said.must_revalidate = true,
                "private" => said.private = true,
                "max-age" => said.max_age = least(said.max_age),
                "s-maxage" => said.shared_max_age = least(said.shared_max_age),
                "stale-while-revalidate" => said.stale = least(said.stale),
                _ => {}
            }
        }
        said
    }

    /// As far as the manifest's rule goes.
    fn within(self, rule: Option<&ResponseCache>) -> String {
        if self.no_store {
            return "no-store".to_owned();
        }
        let for_all = rule.filter(|rule| rule.scope == Scope::Public && !self.private);
        let mut text = if for_all.is_some() { "public" } else { "private" }.to_owned();
        let mut add = |word: &str, seconds: Option<u64>, most: Option<Duration>| {
            if let Some(seconds) = seconds {
                let _ = write!(text, ", {word}={}", most.map_or(seconds, |most| seconds.min(most.as_secs())));
            }
        };
        add("max-age", self.max_age, rule.map(|rule| rule.ttl));
        add("s-maxage", self.shared_max_age.filter(|_| for_all.is_some()), rule.map(|rule| rule.ttl));
        add("stale-while-revalidate", self.stale, rule.map(|rule| rule.stale));
        for (word, is_said) in [
            ("no-cache", self.no_cache),
            ("no-transform", self.no_transform),
            ("must-revalidate", self.must_revalidate),
        ] {
            if is_said {
                text.push_str(", ");
                text.push_str(word);
            }
        }
        text
    }
}

/// Puts in the place of what the plugin says what may be said of its answer.
pub(super) fn tighten(headers: &mut HeaderMap, rule: Option<&ResponseCache>) {
    if !headers.contains_key(header::CACHE_CONTROL) {
        return;
    }
    let text = Said::read(headers).within(rule);
    headers.insert(header::CACHE_CONTROL, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-store")));
}

/// For how long the host may keep it, fresh and then stale, where the plugin says less than the manifest. Who gives a time of its own and
/// says nothing of stale answers wants none.
pub(super) fn life(headers: &HeaderMap, rule: &ResponseCache) -> (Duration, Duration) {
    let said = Said::read(headers);
    let Some(age) = said.shared_max_age.or(said.max_age) else {
        return (rule.ttl, said.stale.map_or(rule.stale, |stale| rule.stale.min(Duration::from_secs(stale))));
    };
    (rule.ttl.min(Duration::from_secs(age)), rule.stale.min(Duration::from_secs(said.stale.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(scope: Scope) -> ResponseCache {
        ResponseCache { ttl: Duration::from_secs(60), stale: Duration::from_secs(30), scope, vary: Vec::new() }
    }

    fn told(lines: &[&'static str], rule: Option<&ResponseCache>) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static(line));
        }
        tighten(&mut headers, rule);
        headers.get(header::CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn nothing_is_loosened() {
        let (public, own) = (rule(Scope::Public), rule(Scope::Principal));
        for (said, alone, for_one, for_all) in [
            ("public, max-age=600", "private, max-age=600", "private, max-age=60", "public, max-age=60"),
            ("max-age=10", "private, max-age=10", "private, max-age=10", "public, max-age=10"),
            ("s-maxage=600", "private", "private", "public, s-maxage=60"),
            ("private", "private", "private", "private"),
            ("NO-STORE, max-age=9", "no-store", "no-store", "no-store"),
            (
                "no-cache, stale-while-revalidate=900",
                "private, stale-while-revalidate=900, no-cache",
                "private, stale-while-revalidate=30, no-cache",
                "public, stale-while-revalidate=30, no-cache",
            ),
            ("max-age=nonsense", "private, max-age=0", "private, max-age=0", "public, max-age=0"),
            (
                "immutable, must-revalidate",
                "private, must-revalidate",
                "private, must-revalidate",
                "public, must-revalidate",
            ),
            ("stale-if-error=900", "private", "private", "public"),
        ] {
            assert_eq!(told(&[said], None).as_deref(), Some(alone), "{said}");
            assert_eq!(told(&[said], Some(&own)).as_deref(), Some(for_one), "{said}");
            assert_eq!(told(&[said], Some(&public)).as_deref(), Some(for_all), "{said}");
        }
        assert_eq!(told(&[], Some(&public)), None, "what the manifest says is said elsewhere");
        assert_eq!(told(&["max-age=5", "max-age=3"], None).as_deref(), Some("private, max-age=3"));
    }

    #[test]
    fn what_is_kept_here_lives_no_longer_than_the_plugin_says() {
        let seconds = |(ttl, stale): (Duration, Duration)| (ttl.as_secs(), stale.as_secs());
        for (said, lives) in [
            ("", (60, 30)),
            ("stale-while-revalidate=9", (60, 9)),
            ("max-age=5", (5, 0)),
            ("max-age=500, s-maxage=9, stale-while-revalidate=90", (9, 30)),
        ] {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(said))]);
            assert_eq!(seconds(life(&headers, &rule(Scope::Public))), lives, "{said}");
        }
    }
}
