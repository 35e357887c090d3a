//! One backend: its instances, and the protections that all calls to it share.

use super::{
    Answer, Config, Outgoing, Transport, attempt,
    balance::Picker,
    budget::Budget,
    checked::CheckTold,
    connect::Connector,
    discovery::{Discovery, DiscoveryState, InstanceSpec},
    health,
    instance::{Connection, UpstreamInstance},
    limit::Limiter,
    reflection,
    set::{Instances, Member, SetChange, SetRefused},
    throttle::Throttle,
    trouble::{self, LastError, Seldom, Told, is_endpoints_own},
};
use crate::{
    model::{Code, Failure},
    observe::RefusedBy,
    sync::lock,
    telemetry::{EndpointHealth, EndpointStates, Metrics, SourceStates},
};
use futures_util::future::BoxFuture;
use std::{
    fmt::Display,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;
use tonic::transport::Channel;

/// A named group of instances that serve the same services.
#[derive(Debug)]
pub struct Backend {
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) instances: Arc<Instances>,
    pub(super) picker: Picker,
    pub(super) budget: Budget,
    pub(super) max_reply: usize,
    throttle: Throttle,
    limiter: Limiter,
    compared_at: Mutex<Instant>,
    refused: AtomicU64,
    refusals_told: Mutex<Seldom>,
    sets_told: Mutex<SetsTold>,
    /// `None`: its instances are fixed.
    pub(super) discovery: Option<Arc<Discovery>>,
}

/// One endpoint as the admin interface shows it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct EndpointState {
    pub address: String,
    pub state: EndpointHealth,
    pub weight: f64,
    pub under_way: usize,
    /// What its health check has found; none where it is not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckTold>,
    #[serde(flatten)]
    pub told: Told,
}

/// What all calls to a backend share, as the admin interface shows it.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct BackendState {
    pub name: String,
    /// Calls that it takes at once, as far as is known.
    pub concurrency: usize,
    /// Calls that were not sent because it fails too often.
    pub refused: u64,
    /// Whether all its calls fail since a while.
    pub away: bool,
    /// Where its endpoints come from, and how that goes; none where they are fixed.
    #[serde(default)]
    pub discovery: Option<DiscoveryState>,
    pub endpoints: Vec<EndpointState>,
}

impl Backend {
    /// Connects to nothing yet. Fails where TLS files can't be read or don't fit.
    pub fn new(name: &str, config: &Config, metrics: &Metrics) -> Result<Self, String> {
        let wrong = |error| format!("backend `{name}`: {error}");
        Self::with_connector(name, config, Connector::new(config).map_err(wrong)?, metrics)
    }

    pub(super) fn with_connector(
        name: &str,
        config: &Config,
        connector: Connector,
        metrics: &Metrics,
    ) -> Result<Self, String> {
        let instances = Arc::new(Instances::new(name, config, connector));
        let states: Arc<dyn EndpointStates> = instances.clone();
        metrics.endpoints.watch(name, &states);
        let source = &config.endpoints;
        let discovery = source.provider().map(|provider| Arc::new(Discovery::new(source, provider)));
        if let Some(discovery) = &discovery {
            let states: Arc<dyn SourceStates> = discovery.status.clone();
            metrics.sources.watch(name, &states);
        }
        let backend = Self {
            name: name.to_owned(),
            picker: Picker::new(config.balance, config.panic),
            instances,
            budget: Budget::new(config.retry.budget),
            max_reply: config.max_reply.as_usize(),
            throttle: Throttle::new(config.breaker),
            limiter: Limiter::new(config.concurrency),
            compared_at: Mutex::new(Instant::now()),
            refused: AtomicU64::new(0),
            refusals_told: Mutex::default(),
            sets_told: Mutex::default(),
            discovery,
            config: config.clone(),
        };
        let change = backend.swap(config.endpoints.known()).map_err(|error| format!("backend `{name}`: {error}"))?;
        match change.unusable.first() {
            Some((uri, reason)) => Err(format!("backend `{name}`, endpoint {uri}: {reason}")),
            None => Ok(backend),
        }
    }

    /// A whole set of instances has arrived. Those at addresses that the backend has already stay as they are, with another weight where
    /// they are given one; those that are in it no more get no further calls. What can't be used of it is passed over, and a set that
    /// would leave nothing is refused while the one before answers.
    pub fn offer(&self, specs: &[InstanceSpec]) -> Result<SetChange, SetRefused> {
        let result = self.swap(specs);
        self.tell_set(&result);
        result
    }

    pub(super) fn swap(&self, specs: &[InstanceSpec]) -> Result<SetChange, SetRefused> {
        self.instances.replace(specs, |set| self.picker.settle(set))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn state(&self) -> BackendState {
        BackendState {
            name: self.name.clone(),
            concurrency: self.limiter.limit(),
            refused: self.refused.load(Relaxed),
            away: self.throttle.is_away(),
            discovery: self.discovery.as_ref().map(|discovery| discovery.status.state()),
            endpoints: self.endpoints(),
        }
    }

    fn endpoints(&self) -> Vec<EndpointState> {
        let state = |member: &Member| EndpointState {
            address: member.instance.address.to_string(),
            state: member.instance.health.as_told(),
            weight: member.weight(),
            under_way: member.instance.load.under_way(),
            check: member.instance.health.check_told(),
            told: member.instance.trouble.told(),
        };
        self.instances.load().members().iter().map(state).collect()
    }

    /// Throttle, then a turn, then attempts.
    async fn protected(&self, outgoing: Outgoing) -> Answer {
        let refused = |by, code, message| Answer::refused(Failure::new(code, message), by);
        if outgoing.deadline.has_passed() {
            return refused(
                RefusedBy::Deadline,
                Code::DeadlineExceeded,
                "no time was left to make the call".to_owned(),
            );
        }
        if let Some(reason) = self.without_instances() {
            // Nobody was asked, so it says nothing of those who will be.
            let message = format!("the backend has no endpoints: {reason}");
            return Answer::new(Err(Failure::new(Code::Unavailable, message)), 0);
        }
        let Some(pending) = self.throttle.admit(outgoing.deadline.instant()) else {
            self.tell_refusal();
            let text = "the backend fails too often; the call was not sent";
            return refused(RefusedBy::Throttle, Code::Unavailable, text.to_owned());
        };
        let turn = tokio::time::timeout_at(outgoing.deadline.instant(), self.limiter.turn()).await;
        let Ok(Some(turn)) = turn else {
            let text = "the backend was busy for all of the call's time; the call was not sent";
            return refused(RefusedBy::ConcurrencyLimit, Code::DeadlineExceeded, text.to_owned());
        };
        let since = Instant::now();
        let answer = attempt::run(self, &outgoing).await;
        let failed = matches!(&answer.result, Err(failure) if is_endpoints_own(failure.code));
        if failed {
            pending.failed();
        } else {
            pending.accepted();
            turn.answered(since.elapsed());
        }
        answer
    }

    fn tell_refusal(&self) {
        self.refused.fetch_add(1, Relaxed);
        let mut seldom = lock(&self.refusals_told);
        let Some(passed_over) = seldom.now() else { return };
        let (backend, set) = (&self.name, self.instances.load());
        let last =
            |member: &Member| Some((member.instance.address.clone(), member.instance.trouble.told().last_error?));
        let last = set.members().iter().filter_map(last).max_by_key(|(_, error)| error.at);
        let reason = last.map_or_else(String::new, |(address, LastError { code, message, .. })| {
            format!("; the last failure, of {address}: {code}: {message}")
        });
        tracing::warn!(%backend, "backend `{backend}` fails too often: calls are refused here ({} since the last word of it){reason}", passed_over + 1);
    }

    /// Notes how an attempt did, tells of what has changed, and ejects an instance that stands out. One that has left the set is told of
    /// until its last call has ended, and is nothing to compare others with.
    pub(super) fn observe(&self, instance: &Arc<UpstreamInstance>, result: Result<(), &Failure>) {
        let health = &instance.health;
        let was_ready = health.is_ready();
        let rules = &self.config.outlier;
        let own = result.err().filter(|failure| is_endpoints_own(failure.code));
        let is_too_much = health.observe(own.is_some(), rules);
        if health.has_returned() {
            let (backend, address) = (&self.name, &instance.address);
            tracing::info!(%backend, endpoint = %address, "backend `{backend}`: {address} is no longer left out; it gets calls again, few at first");
        }
        self.tell(instance, own, was_ready);
        let interval_ended = self.interval_ended();
        if !is_too_much && !interval_ended {
            return;
        }
        let set = self.instances.load();
        if is_too_much && set.holds(instance) && health::may_eject(set.healths(), rules) {
            let time = health.eject(rules);
            self.tell_ejection(instance, time, &format_args!("it failed {} times in a row", rules.consecutive));
        }
        if interval_ended {
            for health::Ejected { place, rate, mean, time } in health::compare(set.healths(), rules) {
                let (rate, mean) = (rate * 100.0, mean * 100.0);
                let reason = format_args!("{rate:.1} % of its calls succeeded, where the mean of all is {mean:.1} %");
                let other = set.members().get(place);
                other.into_iter().for_each(|other| self.tell_ejection(&other.instance, time, &reason));
            }
        }
    }

    fn tell_ejection(&self, instance: &UpstreamInstance, time: Duration, reason: &dyn Display) {
        let (backend, address) = (&self.name, &instance.address);
        tracing::warn!(%backend, endpoint = %address, "backend `{backend}`: {address} is left out for {time:?}: {reason}");
    }

    fn tell(&self, instance: &UpstreamInstance, own: Option<&Failure>, was_ready: bool) {
        let (backend, address) = (&self.name, &instance.address);
        let line = match own {
            Some(failure) => instance.trouble.failed(failure),
            None => instance.trouble.answered(!was_ready),
        };
        match (line, own) {
            (Some(trouble::Line::Begins { passed_over }), Some(failure)) => {
                tracing::warn!(%backend, endpoint = %address, code = %failure.code, passed_over, "backend `{backend}`: {address} fails: {failure}");
            }
            (Some(trouble::Line::Over { failures, after }), _) => {
                tracing::info!(%backend, endpoint = %address, failures, "backend `{backend}`: {address} answers again, after {failures} failures in {after:.1?}");
            }
            _ => {}
        }
    }

    /// Whether it is time to compare success rates; true once for each interval.
    pub(super) fn interval_ended(&self) -> bool {
        let mut at = lock(&self.compared_at);
        let ended = at.elapsed() >= self.config.outlier.interval;
        if ended {
            *at = Instant::now();
        }
        ended
    }

    /// One line for each change, and seldom where there is no end to them.
    fn tell_set(&self, result: &Result<SetChange, SetRefused>) {
        let backend = &self.name;
        let mut told = lock(&self.sets_told);
        let passed_over = match result {
            Ok(change) if change.is_none() => None,
            Ok(_) => told.changes.now(),
            // One that is told again and again is one refusal.
            Err(_) if told.is_refused => None,
            Err(_) => told.refusals.now(),
        };
        told.is_refused = result.is_err();
        match (result, passed_over) {
            (Ok(change), Some(passed_over)) => {
                let (added, removed) = (listed(&change.added), listed(&change.removed));
                tracing::info!(%backend, instances = change.total, passed_over, "backend `{backend}`: its endpoints have changed: new {added}; gone {removed}; {} of those that stay are described otherwise; {} in all", change.altered, change.total);
            }
            (Err(refused), Some(passed_over)) => {
                tracing::warn!(%backend, passed_over, "backend `{backend}`: a new set of endpoints is not taken: {refused}; calls go on to those before");
            }
            _ => {}
        }
        let Ok(SetChange { doubled, unusable, .. }) = result else { return };
        let Some(passed_over) = (*doubled > 0 || !unusable.is_empty()).then(|| told.oddities.now()).flatten() else {
            return;
        };
        let first = unusable.first().map_or_else(String::new, |(uri, reason)| format!(" ({uri}: {reason})"));
        let count = unusable.len();
        tracing::warn!(%backend, passed_over, "backend `{backend}`: of its endpoints {count} can't be used{first}, and {doubled} stand there twice");
    }
}

/// When the log was told of sets.
#[derive(Debug, Default)]
struct SetsTold {
    changes: Seldom,
    refusals: Seldom,
    oddities: Seldom,
    /// Whether the last one was.
    is_refused: bool,
}

impl Backend {
    /// To whoever can tell of the backend itself.
    fn channel(&self) -> Result<Channel, String> {
        let set = self.instances.load();
        let ready = set.members().iter().find(|member| member.instance.health.is_ready());
        match ready.or_else(|| set.members().first()).map(|member| &member.instance.connection) {
            Some(Connection::Grpc(connection)) => Ok(connection.channel()),
            _ => Err("it has no gRPC endpoint".to_owned()),
        }
    }
}

/// The first few of a list that may be long.
fn listed(addresses: &[Arc<str>]) -> String {
    const SHOWN: usize = 5;
    let first: Vec<&str> = addresses.iter().take(SHOWN).map(|address| &**address).collect();
    match addresses.len().saturating_sub(SHOWN) {
        _ if first.is_empty() => "none".to_owned(),
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

impl Transport for Backend {
    fn call(&self, outgoing: Outgoing) -> BoxFuture<'_, Answer> {
        Box::pin(self.protected(outgoing))
    }

    fn concurrency(&self) -> usize {
        self.limiter.limit()
    }

    fn is_away(&self) -> bool {
        self.throttle.is_away() || self.without_instances().is_some()
    }

    fn reflect<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        let channel = self.channel();
        Box::pin(async move { reflection::learn(channel?, service).await })
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        let channel = self.channel();
        Box::pin(async move { reflection::services(channel?).await })
    }
}

#[cfg(test)]
mod tests;
