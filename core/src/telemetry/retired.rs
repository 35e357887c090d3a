//! Metrics of versions that serve no more: told for a while, so that their last figures are still read, and then forgotten. Otherwise
//! each swap would leave some hundred series behind for as long as the host runs.

use super::labels::{EndpointLabels, PluginLabels};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Some scrapes, also where they are minutes apart.
const TOLD_FOR: Duration = Duration::from_mins(15);
/// Where versions come and go faster than that.
const MOST: usize = 50;

/// Statuses that a release has answered with.
pub type Statuses = Arc<Mutex<BTreeSet<u16>>>;

/// The versions that were retired, oldest first.
#[derive(Debug, Default)]
pub(super) struct Retired(VecDeque<Past>);

/// What there is of one version.
#[derive(Debug)]
pub struct Past {
    pub since: Instant,
    pub labels: PluginLabels,
    pub endpoints: Vec<EndpointLabels>,
    pub statuses: Statuses,
}

impl Retired {
    pub(super) fn push(&mut self, past: Past) {
        // A version that comes and goes again is told of from its last end.
        self.0.retain(|other| other.labels != past.labels);
        self.0.push_back(past);
    }

    /// Takes out those that were told for long enough. A version that serves again is not past.
    pub(super) fn take_old(&mut self, now: Instant, is_live: impl Fn(&PluginLabels) -> bool) -> Vec<Past> {
        self.0.retain(|past| !is_live(&past.labels));
        let is_old = |past: &Past| now.duration_since(past.since) >= TOLD_FOR;
        let too_many = self.0.len().saturating_sub(MOST);
        let old = self.0.iter().skip(too_many).take_while(|past| is_old(past)).count();
        self.0.drain(..too_many + old).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Metrics, RequestLabels};

    fn past(metrics: &Metrics, version: &str) -> Past {
        let [client, endpoint, plugin] = ["web", "GET /", "p"].map(str::to_owned);
        let labels = PluginLabels { plugin: plugin.clone(), version: version.to_owned() };
        metrics.guest_traps.get_or_create(&labels).inc();
        let version = version.to_owned();
        let of = EndpointLabels { client: client.clone(), endpoint: endpoint.clone(), plugin: plugin.clone(), version };
        metrics.request_seconds.get_or_create(&of).observe(1.0, None);
        let (version, status) = (of.version.clone(), "200".to_owned());
        metrics.requests.get_or_create(&RequestLabels { client, endpoint, plugin, version, status }).inc();
        let statuses = Arc::new(Mutex::new(BTreeSet::from([200])));
        Past { since: Instant::now(), labels, endpoints: vec![of], statuses }
    }

    fn told(metrics: &Metrics) -> Vec<bool> {
        let text = metrics.encode();
        (0..3).map(|n| text.contains(&format!("version=\"{n}\""))).collect()
    }

    #[test]
    fn a_past_version_is_forgotten_after_a_while_unless_it_serves_again() {
        let (metrics, start) = (Metrics::default(), Instant::now());
        let serves = |labels: &PluginLabels| labels.version == "1";
        (0..3).for_each(|n| metrics.retire(Past { since: start, ..past(&metrics, &n.to_string()) }, serves));
        assert_eq!(told(&metrics), [true, true, true]);
        let later = Past { since: start + TOLD_FOR, ..past(&metrics, "3") };
        metrics.retire(later, serves);
        assert_eq!(told(&metrics), [false, true, false]);
    }

    #[test]
    fn many_versions_in_a_short_time_are_bounded() {
        let metrics = Metrics::default();
        (0..=MOST + 1).for_each(|n| metrics.retire(past(&metrics, &n.to_string()), |_| false));
        assert_eq!(told(&metrics), [false, false, true]);
    }
}
