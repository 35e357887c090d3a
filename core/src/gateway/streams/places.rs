//! Who has how many streams open.

use super::{config::Config, ending::Ending};
use crate::{
    gateway::rates::Payer,
    model::{Fault, ProblemType},
    net::Subnet,
    sync::lock,
    telemetry::{Metrics, StreamMetrics},
};
use http::{HeaderValue, header};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
};

/// All streams that are open, by whom. Outlives reloads.
#[derive(Debug)]
pub struct Streams {
    open: Mutex<Open>,
    pub(super) metrics: StreamMetrics,
}

#[derive(Debug, Default)]
struct Open {
    callers: HashMap<Payer, usize>,
    addresses: HashMap<Subnet, usize>,
}

/// A place of one stream; given back when dropped.
#[derive(Debug)]
pub(in crate::gateway) struct Place {
    streams: Arc<Streams>,
    caller: Option<Payer>,
    address: Option<Subnet>,
}

impl Streams {
    pub fn new(metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), metrics: metrics.streams.clone() })
    }

    /// A place for one more, or a 429: what others have open refuses nobody here. `address`: none where only a listed peer is known.
    pub(in crate::gateway) fn enter(
        self: &Arc<Self>,
        config: &Config,
        caller: Option<Payer>,
        address: Option<Subnet>,
    ) -> Result<Place, Fault> {
        let mut open = lock(&self.open);
        let has = |count: Option<&usize>, most: usize| count.is_some_and(|count| *count >= most);
        if caller.as_ref().is_some_and(|caller| has(open.callers.get(caller), config.per_caller)) {
            return Err(too_many(config.per_caller, "caller"));
        }
        if address.is_some_and(|address| has(open.addresses.get(&address), config.per_address)) {
            return Err(too_many(config.per_address, "address"));
        }
        if let Some(caller) = &caller {
            *open.callers.entry(caller.clone()).or_default() += 1;
        }
        if let Some(address) = address {
            *open.addresses.entry(address).or_default() += 1;
        }
        drop(open);
        self.metrics.open.inc();
        Ok(Place { streams: self.clone(), caller, address })
    }
}

impl Place {
    /// The stream has come to its end, with so many events.
    pub(super) fn ended(&self, ending: Ending, events: u64) {
        self.streams.metrics.ended(ending.as_str());
        self.streams.metrics.events.inc_by(events);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.streams.open);
        if let Some(caller) = &self.caller {
            give_back(&mut open.callers, caller);
        }
        if let Some(address) = &self.address {
            give_back(&mut open.addresses, address);
        }
        drop(open);
        self.streams.metrics.open.dec();
    }
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn too_many(most: usize, whose: &str) -> Fault {
    let text = format!("this {whose} has {most} streams open, which is all that one may have: end one of them first");
    Fault::new(ProblemType::TooManyStreams, text).header(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Document, Mistakes};
    use std::{net::IpAddr, path::Path};

    #[test]
    fn one_caller_and_one_address_take_no_more_than_their_share_and_all_is_given_back() {
        let mistakes = Mistakes::new();
        let document = Document::parse(Path::new("weft.toml"), "per-caller = 2\nper-address = 3", &mistakes);
        let config = Config::read(&document.table(&mistakes));
        let streams = Streams::new(&Metrics::default());
        let at = |last| Subnet::from(IpAddr::from([10, 0, 0, last]));
        let enter = |address| streams.enter(&config, Some(Payer::At(at(address))), Some(at(9)));
        let kept = [enter(1).unwrap(), enter(1).unwrap()];
        assert!(enter(1).unwrap_err().problem.detail.contains("this caller has 2 streams open"));
        let last = enter(2).unwrap();
        assert!(enter(3).unwrap_err().problem.detail.contains("this address has 3 streams open"));
        assert!(streams.enter(&config, Some(Payer::At(at(3))), Some(at(8))).is_ok(), "another address has its own");
        drop(last);
        assert!(enter(3).is_ok());
        drop(kept);
        let open = lock(&streams.open);
        assert!(open.callers.is_empty() && open.addresses.is_empty(), "{open:?}");
        assert_eq!(streams.metrics.open.get(), 0);
    }
}
