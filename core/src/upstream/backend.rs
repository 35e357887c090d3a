//! One backend: its endpoints, and the protections that all calls to it share.

use super::{
    Address, Answer, Config, Outgoing, Protocol, Transport, attempt,
    balance::Picker,
    budget::Budget,
    endpoint::{Endpoint, Line},
    grpc::GrpcLine,
    health::{self, Health},
    limit::Limiter,
    load::Load,
    reflection,
    rest::RestLine,
    throttle::Throttle,
    trouble::{self, Seldom, Told, Trouble, is_endpoints_own},
};
use crate::{
    model::{Code, Failure},
    net::{HttpClient, Tls},
    telemetry::{BackendLabels, Metrics},
};
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue};
use std::{
    fmt::Display,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A named group of endpoints that serve the same services.
#[derive(Debug)]
pub struct Backend {
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) picker: Picker,
    pub(super) budget: Budget,
    pub(super) max_reply: usize,
    throttle: Throttle,
    limiter: Limiter,
    compared_at: Mutex<Instant>,
    refused: AtomicU64,
    refusals_told: Mutex<Seldom>,
    metrics: Metrics,
}

/// One endpoint as the admin interface shows it.
#[derive(Debug, serde::Serialize)]
pub struct EndpointState {
    pub address: String,
    pub state: &'static str,
    pub weight: f64,
    pub under_way: usize,
    #[serde(flatten)]
    pub told: Told,
}

/// What all calls to a backend share, as the admin interface shows it.
#[derive(Debug, serde::Serialize)]
pub struct BackendState<'a> {
    pub name: &'a str,
    /// Calls that it takes at once, as far as is known.
    pub concurrency: usize,
    /// Calls that were not sent because it fails too often.
    pub refused: u64,
    /// Whether all its calls fail since a while.
    pub away: bool,
    pub endpoints: Vec<EndpointState>,
}

impl Backend {
    /// Connects to nothing yet. Fails where TLS files can't be read or don't fit.
    pub fn new(name: &str, config: &Config, metrics: &Metrics) -> Result<Self, String> {
        let credential = match &config.credential {
            Some(credential) => {
                Some(credential.read().map_err(|error| format!("backend `{name}`: credential: {error}"))?)
            }
            None => None,
        };
        let mut lines = Vec::new();
        for address in &config.endpoints {
            let line = line(config, address, credential.clone());
            lines.push(line.map_err(|error| format!("backend `{name}`, endpoint {}: {error}", address.uri))?);
        }
        Ok(Self::with_lines(name, config, lines, metrics))
    }

    pub(super) fn with_lines(name: &str, config: &Config, lines: Vec<Line>, metrics: &Metrics) -> Self {
        let is_canary = |address: &Address| {
            config.canary.as_ref().is_some_and(|canary| address.metadata.get(&canary.key) == Some(&canary.value))
        };
        let endpoint = |(address, line): (&Address, Line)| Endpoint {
            address: address.uri.authority().map(|authority| authority.as_str()).unwrap_or_default().into(),
            line,
            base_weight: address.weight,
            canary: is_canary(address),
            load: Load::default(),
            health: Health::default(),
            rules: config.outlier,
            trouble: Trouble::default(),
        };
        let endpoints: Vec<_> = config.endpoints.iter().zip(lines).map(endpoint).collect();
        let backend = Self {
            name: name.to_owned(),
            picker: Picker::new(config.balance, config.panic, endpoints.len()),
            endpoints,
            budget: Budget::new(config.retry.budget),
            max_reply: config.max_reply.as_usize(),
            throttle: Throttle::new(config.breaker),
            limiter: Limiter::new(config.concurrency),
            compared_at: Mutex::new(Instant::now()),
            refused: AtomicU64::new(0),
            refusals_told: Mutex::default(),
            metrics: metrics.clone(),
            config: config.clone(),
        };
        backend.count_endpoints();
        backend
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn state(&self) -> BackendState<'_> {
        BackendState {
            name: &self.name,
            concurrency: self.limiter.limit(),
            refused: self.refused.load(Relaxed),
            away: self.throttle.is_away(),
            endpoints: self.endpoints(),
        }
    }

    fn endpoints(&self) -> Vec<EndpointState> {
        let state = |e: &Endpoint| EndpointState {
            address: e.address.to_string(),
            state: e.health.word(),
            weight: e.weight(),
            under_way: e.load.under_way(),
            told: e.trouble.told(),
        };
        self.endpoints.iter().map(state).collect()
    }

    /// Throttle, then a turn, then attempts.
    async fn protected(&self, outgoing: Outgoing) -> Answer {
        let refused = |by, code, message| Answer::refused(Failure::new(code, message), by);
        if outgoing.deadline.has_passed() {
            return refused("deadline", Code::DeadlineExceeded, "no time was left to make the call".to_owned());
        }
        let Some(pending) = self.throttle.admit(outgoing.deadline.instant()) else {
            self.tell_refusal();
            let text = "the backend fails too often; the call was not sent";
            return refused("throttle", Code::Unavailable, text.to_owned());
        };
        let turn = tokio::time::timeout_at(outgoing.deadline.instant(), self.limiter.turn()).await;
        let Ok(Some(turn)) = turn else {
            let text = "the backend was busy for all of the call's time; the call was not sent";
            return refused("concurrency limit", Code::DeadlineExceeded, text.to_owned());
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
        let mut seldom = self.refusals_told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(passed_over) = seldom.now() {
            let backend = &self.name;
            tracing::warn!(%backend, "backend `{backend}` fails too often: calls are refused here ({} since the last word of it)", passed_over + 1);
        }
    }

    /// Notes how an attempt did, tells of what has changed, and ejects an endpoint that stands out.
    pub(super) fn observe(&self, endpoint: &Endpoint, result: Result<(), &Failure>) {
        let before = endpoint.health.word();
        let rules = &self.config.outlier;
        let all = self.endpoints.iter().map(|e| &e.health);
        let own = result.err().filter(|failure| is_endpoints_own(failure.code));
        let is_too_much = endpoint.health.observe(own.is_some(), rules);
        let has_returned = endpoint.health.has_returned();
        if has_returned {
            let (backend, address) = (&self.name, &endpoint.address);
            tracing::info!(%backend, endpoint = %address, "backend `{backend}`: {address} is no longer left out; it gets calls again, few at first");
        }
        self.tell(endpoint, own, before);
        let mut is_changed = has_returned;
        if is_too_much && health::may_eject(all.clone(), rules) {
            let time = endpoint.health.eject(rules);
            self.tell_ejection(endpoint, time, &format_args!("it failed {} times in a row", rules.consecutive));
        }
        if self.interval_ended() {
            let ejected = health::compare(all, rules);
            is_changed |= !ejected.is_empty();
            for health::Ejected { place, rate, mean, time } in ejected {
                let (rate, mean) = (rate * 100.0, mean * 100.0);
                let reason = format_args!("{rate:.1} % of its calls succeeded, where the mean of all is {mean:.1} %");
                self.endpoints.get(place).into_iter().for_each(|other| self.tell_ejection(other, time, &reason));
            }
        }
        if is_changed || endpoint.health.word() != before {
            self.count_endpoints();
        }
    }

    fn tell_ejection(&self, endpoint: &Endpoint, time: Duration, reason: &dyn Display) {
        let (backend, address) = (&self.name, &endpoint.address);
        tracing::warn!(%backend, endpoint = %address, "backend `{backend}`: {address} is left out for {time:?}: {reason}");
    }

    fn tell(&self, endpoint: &Endpoint, own: Option<&Failure>, before: &str) {
        let (backend, address) = (&self.name, &endpoint.address);
        let line = match own {
            Some(failure) => endpoint.trouble.failed(failure),
            None => endpoint.trouble.answered(before != "ready"),
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
        let mut at = self.compared_at.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = at.elapsed() >= self.config.outlier.interval;
        if ended {
            *at = Instant::now();
        }
        ended
    }

    pub(super) fn count_endpoints(&self) {
        for state in ["ready", "failing", "ejected"] {
            let count = self.endpoints.iter().filter(|e| e.health.word() == state).count();
            let labels = BackendLabels { backend: self.name.clone(), state: state.to_owned() };
            self.metrics.endpoints.get_or_create(&labels).set(count as i64);
        }
    }
}

fn line(config: &Config, address: &Address, credential: Option<(HeaderName, HeaderValue)>) -> Result<Line, String> {
    if config.protocol == Protocol::Grpc {
        let line = GrpcLine::new(&address.uri, config);
        return line.map(|line| Line::Grpc(Box::new(line))).map_err(|error| error.to_string());
    }
    let tls = config.tls.as_ref().map(|files| Tls {
        ca: &files.ca,
        identity: files.identity.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path())),
    });
    let client = HttpClient::new(config.connect_timeout, tls)?;
    let base = address.uri.to_string().trim_end_matches('/').to_owned();
    Ok(Line::Rest(RestLine { client, base, credential }))
}

impl Transport for Backend {
    fn call(&self, outgoing: Outgoing) -> BoxFuture<'_, Answer> {
        Box::pin(self.protected(outgoing))
    }

    fn concurrency(&self) -> usize {
        self.limiter.limit()
    }

    fn is_away(&self) -> bool {
        self.throttle.is_away()
    }

    fn reflect<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        let channel = self.endpoints.iter().find_map(|endpoint| match &endpoint.line {
            Line::Grpc(line) => Some(line.channel()),
            _ => None,
        });
        Box::pin(async move {
            match channel {
                Some(channel) => reflection::learn(channel, service).await,
                None => Err("it has no gRPC endpoint".to_owned()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
