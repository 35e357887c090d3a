//! All connections that are open: how many, whose, and whether each still makes progress.

use super::{
    activity::{Activity, Verdict},
    bounds::Bounds,
};
use crate::{
    net::Subnet,
    sync::lock,
    telemetry::{CutLabels, Metrics},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

#[derive(Debug)]
pub(super) struct Watchdog {
    bounds: Bounds,
    metrics: Metrics,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    connections: HashMap<u64, Arc<Activity>>,
    by_address: HashMap<Subnet, usize>,
}

/// A connection's place; gone when dropped.
#[derive(Debug)]
pub(super) struct Place {
    dog: Arc<Watchdog>,
    pub(super) id: u64,
    address: Option<Subnet>,
    pub(super) activity: Arc<Activity>,
}

impl Watchdog {
    pub(super) fn new(bounds: Bounds, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { bounds, metrics, open: Mutex::default() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }

    /// A place for a connection, counted for its address where one is given; `None`: that address has all that it may have.
    pub(super) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(Subnet::from);
        let mut open = self.open();
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= self.bounds.connections_per_ip {
                drop(open);
                self.count("per-ip");
                return None;
            }
            *count += 1;
        }
        open.last += 1;
        let (id, activity) = (open.last, Activity::new());
        open.connections.insert(id, activity.clone());
        drop(open);
        self.metrics.connections.inc();
        Some(Place { dog: self.clone(), id, address, activity })
    }

    pub(super) fn count(&self, reason: &str) {
        self.metrics.connections_cut.get_or_create(&CutLabels { reason: reason.to_owned() }).inc();
    }

    fn count_stuck(&self, streams: usize) {
        if streams > 0 {
            let label = CutLabels { reason: "write".to_owned() };
            self.metrics.requests_cut.get_or_create(&label).inc_by(streams as u64);
        }
    }

    /// Looks after all connections, until the future is dropped.
    pub(super) async fn watch(&self) {
        let shortest = self.bounds.header.min(self.bounds.write).min(self.bounds.idle);
        let mut round = tokio::time::interval((shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1)));
        loop {
            round.tick().await;
            let connections: Vec<_> = self.open().connections.values().cloned().collect();
            for activity in connections {
                self.count_stuck(activity.end_stuck(&self.bounds));
                match activity.check(&self.bounds) {
                    Verdict::Well => {}
                    Verdict::Close => activity.close.notify_one(),
                    Verdict::Cut(reason) => {
                        self.count(reason);
                        activity.cut.notify_one();
                    }
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.dog.open();
        open.connections.remove(&self.id);
        if let Some(address) = self.address
            && let Some(count) = open.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
        drop(open);
        self.dog.metrics.connections.dec();
    }
}
