//! `weft_endpoints`: counted when somebody asks, in the sets that the backends have then. So it is never older than they are, and what is
//! told of a backend ends with it.

use crate::sync::lock;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    sync::{Arc, Mutex, MutexGuard, Weak},
};

/// How it stands with an endpoint of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointHealth {
    Ready,
    /// The last call to it failed.
    Failing,
    /// It is left out for a while.
    Ejected,
    /// It is left out until its first health check has passed.
    Checking,
    /// It is left out by its health check.
    Unhealthy,
}

impl EndpointHealth {
    const ALL: [Self; 5] = [Self::Ready, Self::Failing, Self::Ejected, Self::Checking, Self::Unhealthy];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Failing => "failing",
            Self::Ejected => "ejected",
            Self::Checking => "checking",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Who knows the endpoints of one backend.
pub trait EndpointStates: Debug + Send + Sync {
    fn count(&self, health: EndpointHealth) -> usize;
}

type Watched = BTreeMap<String, Vec<Weak<dyn EndpointStates>>>;

/// The backends that there are, by name. While a reload goes on there are two of one name, of which the newer one is told of.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Arc<Mutex<Watched>>);

impl Endpoints {
    /// Tells of `states` for as long as they are somebody's.
    pub fn watch(&self, backend: &str, states: &Arc<dyn EndpointStates>) {
        self.watched().entry(backend.to_owned()).or_default().push(Arc::downgrade(states));
    }

    pub(super) fn collector(&self, name: &'static str, help: &'static str) -> Box<dyn Collector> {
        Box::new(Told { name, help, endpoints: self.clone() })
    }

    /// Those that are left.
    fn watched(&self) -> MutexGuard<'_, Watched> {
        let mut watched = lock(&self.0);
        watched.retain(|_, all| {
            all.retain(|states| states.strong_count() > 0);
            !all.is_empty()
        });
        watched
    }
}

/// What is told of them under one name.
#[derive(Debug)]
struct Told {
    name: &'static str,
    help: &'static str,
    endpoints: Endpoints,
}

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let newest = |all: &Vec<Weak<dyn EndpointStates>>| all.iter().rev().find_map(Weak::upgrade);
        let backends: Vec<_> =
            self.endpoints.watched().iter().filter_map(|(name, all)| Some((name.clone(), newest(all)?))).collect();
        if backends.is_empty() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        for (backend, states) in backends {
            for state in EndpointHealth::ALL {
                family
                    .encode_family(&[("backend", backend.as_str()), ("state", state.as_str())])?
                    .encode_gauge(&(states.count(state) as i64))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[derive(Debug)]
    struct Ready(usize);

    impl EndpointStates for Ready {
        fn count(&self, health: EndpointHealth) -> usize {
            if health == EndpointHealth::Ready { self.0 } else { 0 }
        }
    }

    fn told(metrics: &Metrics) -> Vec<String> {
        let text = metrics.encode();
        text.lines().filter(|line| line.starts_with("weft_endpoints{")).map(str::to_owned).collect()
    }

    #[test]
    fn the_newer_of_two_is_told_of_and_nothing_of_a_backend_that_is_gone() {
        let metrics = Metrics::default();
        let (old, new): (Arc<dyn EndpointStates>, Arc<dyn EndpointStates>) = (Arc::new(Ready(1)), Arc::new(Ready(2)));
        metrics.endpoints.watch("films", &old);
        assert_eq!(told(&metrics)[0], r#"weft_endpoints{backend="films",state="ready"} 1"#);
        metrics.endpoints.watch("films", &new);
        assert_eq!((told(&metrics).len(), told(&metrics)[0].ends_with(" 2")), (5, true), "{:?}", told(&metrics));
        drop(new);
        assert!(told(&metrics)[0].ends_with(" 1"), "a reload that failed leaves the one before");
        drop(old);
        assert!(told(&metrics).is_empty());
        assert!(metrics.endpoints.watched().is_empty());
    }
}
