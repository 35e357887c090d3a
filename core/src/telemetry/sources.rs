//! `weft_discovery_…`: how it goes with finding the endpoints of backends. Counted when somebody asks, as `weft_endpoints` is.

use crate::sync::lock;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    sync::{Arc, Mutex, Weak},
};

/// Who knows how it goes with one backend.
pub trait SourceStates: Debug + Send + Sync {
    /// `dns`, `etcd`.
    fn scheme(&self) -> &'static str;
    fn is_up(&self) -> bool;
    /// When the newest set came, in seconds since 1970.
    fn set_at(&self) -> Option<u64>;
    fn failures(&self) -> u64;
    /// Entries that can't be used, by what is wrong with them.
    fn skipped(&self) -> Vec<(&'static str, usize)>;
}

/// One of the figures.
#[derive(Debug, Clone, Copy)]
pub(super) enum Figure {
    Up,
    SetAt,
    Failures,
    Skipped,
}

type Watched = BTreeMap<String, Vec<Weak<dyn SourceStates>>>;

/// The backends whose endpoints are looked for, by name. Of two of one name the newer one is told of.
#[derive(Debug, Clone, Default)]
pub struct Sources(Arc<Mutex<Watched>>);

impl Sources {
    /// Tells of `states` for as long as they are somebody's.
    pub fn watch(&self, backend: &str, states: &Arc<dyn SourceStates>) {
        lock(&self.0).entry(backend.to_owned()).or_default().push(Arc::downgrade(states));
    }

    pub(super) fn collector(&self, name: &'static str, figure: Figure, help: &'static str) -> Box<dyn Collector> {
        Box::new(Told { name, figure, help, sources: self.clone() })
    }

    fn newest(&self) -> Vec<(String, Arc<dyn SourceStates>)> {
        let mut watched = lock(&self.0);
        watched.retain(|_, all| {
            all.retain(|states| states.strong_count() > 0);
            !all.is_empty()
        });
        let newest = |all: &Vec<Weak<dyn SourceStates>>| all.iter().rev().find_map(Weak::upgrade);
        watched.iter().filter_map(|(name, all)| Some((name.clone(), newest(all)?))).collect()
    }
}

#[derive(Debug)]
struct Told {
    name: &'static str,
    figure: Figure,
    help: &'static str,
    sources: Sources,
}

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let backends = self.sources.newest();
        if backends.is_empty() {
            return Ok(());
        }
        let kind = match self.figure {
            Figure::Failures => MetricType::Counter,
            _ => MetricType::Gauge,
        };
        let mut family = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (backend, states) in backends {
            let labels = [("backend", backend.as_str()), ("source", states.scheme())];
            match self.figure {
                Figure::Up => family.encode_family(&labels)?.encode_gauge(&i64::from(states.is_up()))?,
                Figure::SetAt => {
                    if let Some(at) = states.set_at() {
                        family.encode_family(&labels)?.encode_gauge(&at.cast_signed())?;
                    }
                }
                Figure::Failures => {
                    let count = states.failures();
                    family.encode_family(&labels)?.encode_counter::<[(&str, &str); 0], _, u64>(&count, None)?;
                }
                Figure::Skipped => {
                    for (reason, count) in states.skipped() {
                        let labels = [("backend", backend.as_str()), ("source", states.scheme()), ("reason", reason)];
                        family.encode_family(&labels)?.encode_gauge(&(count as i64))?;
                    }
                }
            }
        }
        Ok(())
    }
}
