//! All metrics of the host, by the names that dashboards rely on. Hot paths keep the handles that they need.

use super::{
    contracts::Contracts,
    endpoints::Endpoints,
    events::{Events, EventsMetrics},
    labels::{
        CacheLabels, CallLabels, CutLabels, DroppedLabels, EndpointLabels, ExchangeLabels, JwksLabels, KeyLabels,
        PluginLabels, RequestLabels, SourceLabels, TierLabels, TraceFormatLabels, UpstreamLabels,
    },
    retired::{Past, Retired},
    sources::{Figure, Sources},
    streams::StreamMetrics,
    timed::Timed,
};
use crate::sync::lock;
use prometheus_client::{
    encoding::{prometheus_text, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    fmt,
    sync::{Arc, Mutex},
};

/// Seconds, after the semantic conventions for HTTP and RPC durations.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const CPU_SECONDS: [f64; 10] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1];
const DEPTHS: [f64; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0];
const COUNTS: [f64; 12] = [0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The registry and every family in it. Cheap to clone: all clones count into the same metrics.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    retired: Arc<Mutex<Retired>>,
    pub requests: Family<RequestLabels, Counter>,
    pub request_seconds: Family<EndpointLabels, Timed, fn() -> Timed>,
    pub requests_active: Gauge,
    pub connections: Gauge,
    /// How many there may be for requests.
    pub connections_limit: Gauge,
    pub connections_cut: Family<CutLabels, Counter>,
    pub requests_cut: Family<CutLabels, Counter>,
    pub admin_refused: Family<CutLabels, Counter>,
    pub guest_cpu: Histograms<PluginLabels>,
    pub guest_traps: Family<PluginLabels, Counter>,
    /// The most linear memory that one instance has held.
    pub guest_memory: Family<PluginLabels, Gauge>,
    /// Waiting for a turn.
    pub queue_seconds: Histograms<PluginLabels>,
    pub plugin_calls: Family<PluginLabels, Counter>,
    pub depth: Histograms<PluginLabels>,
    pub plugins_resting: Family<PluginLabels, Gauge>,
    pub calls: Family<CallLabels, Counter>,
    pub upstream_calls: Family<UpstreamLabels, Counter>,
    pub upstream_seconds: Histograms<UpstreamLabels>,
    /// Upstream calls that one request caused.
    pub amplification: Histograms<EndpointLabels>,
    /// Good responses with a part that is less than it should be.
    pub degraded: Family<EndpointLabels, Counter>,
    pub batch_size: Histogram,
    pub batch_oddities: Family<CacheLabels, Counter>,
    pub cache_lookups: Family<CacheLabels, Counter>,
    pub cache_entries: Gauge,
    pub cache_bytes: Gauge,
    pub cache_up: Family<TierLabels, Gauge>,
    /// Keys of repeated writes that the shared cache was asked for.
    pub keys_shared: Family<KeyLabels, Counter>,
    pub releases: Family<PluginLabels, Gauge>,
    pub releases_refused: Counter,
    pub endpoints: Endpoints,
    /// Where the endpoints of backends come from.
    pub sources: Sources,
    /// 1 while this host is in the registry that it is told of.
    pub registered: Gauge,
    pub registration_failures: Counter,
    pub jwks_fetches: Family<JwksLabels, Counter>,
    /// Seconds since 1970.
    pub jwks_fetched_at: Family<SourceLabels, Gauge>,
    pub token_exchanges: Family<ExchangeLabels, Counter>,
    events: Events,
    pub contracts: Contracts,
    pub streams: StreamMetrics,
    /// Headers about a trace that can't be read.
    pub traces_broken: Family<TraceFormatLabels, Counter>,
    pub spans_exported: Counter,
    pub spans_dropped: Family<DroppedLabels, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    /// Without exemplars.
    fn default() -> Self {
        Self::new(false)
    }
}

impl Metrics {
    /// `exemplars`: the time of requests names traces that took so long.
    pub fn new(exemplars: bool) -> Self {
        let request_seconds: fn() -> Timed =
            if exemplars { || Timed::new(SECONDS, true) } else { || Timed::new(SECONDS, false) };
        let mut metrics = Self {
            registry: Arc::default(),
            retired: Arc::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(request_seconds),
            requests_active: Gauge::default(),
            connections: Gauge::default(),
            connections_limit: Gauge::default(),
            connections_cut: Family::default(),
            requests_cut: Family::default(),
            admin_refused: Family::default(),
            guest_cpu: Family::new_with_constructor(|| Histogram::new(CPU_SECONDS)),
            guest_traps: Family::default(),
            guest_memory: Family::default(),
            queue_seconds: Family::new_with_constructor(|| Histogram::new(CPU_SECONDS)),
            plugin_calls: Family::default(),
            depth: Family::new_with_constructor(|| Histogram::new(DEPTHS)),
            plugins_resting: Family::default(),
            calls: Family::default(),
            upstream_calls: Family::default(),
            upstream_seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            amplification: Family::new_with_constructor(|| Histogram::new(COUNTS)),
            degraded: Family::default(),
            batch_size: Histogram::new(COUNTS),
            batch_oddities: Family::default(),
            cache_lookups: Family::default(),
            cache_entries: Gauge::default(),
            cache_bytes: Gauge::default(),
            cache_up: Family::default(),
            keys_shared: Family::default(),
            releases: Family::default(),
            releases_refused: Counter::default(),
            endpoints: Endpoints::default(),
            sources: Sources::default(),
            registered: Gauge::default(),
            registration_failures: Counter::default(),
            jwks_fetches: Family::default(),
            jwks_fetched_at: Family::default(),
            token_exchanges: Family::default(),
            events: Events::default(),
            contracts: Contracts::default(),
            streams: StreamMetrics::default(),
            traces_broken: Family::default(),
            spans_exported: Counter::default(),
            spans_dropped: Family::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    fn register(&self) -> Registry {
        let mut root = Registry::with_prefix("weft");
        let r = &mut root;
        r.register("requests", "Requests answered", self.requests.clone());
        r.register_with_unit(
            "request_duration",
            "Time from head to answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        r.register("requests_active", "Requests under way", self.requests_active.clone());
        r.register("connections", "Connections open", self.connections.clone());
        let limit = self.connections_limit.clone();
        r.register("connections_limit", "Connections that there may be on the public listener", limit);
        r.register("connections_cut", "Connections cut or refused, by reason", self.connections_cut.clone());
        r.register("requests_cut", "Requests and answers cut while under way, by reason", self.requests_cut.clone());
        r.register("admin_refused", "Refused requests to the admin interface, by reason", self.admin_refused.clone());
        r.register_with_unit("guest_cpu", "CPU time of the guest, a request", Unit::Seconds, self.guest_cpu.clone());
        r.register("guest_traps", "Requests that ended in a trap", self.guest_traps.clone());
        r.register(
            "plugin_resting",
            "Endpoints of a release that are not run for a while because they crashed again and again",
            self.plugins_resting.clone(),
        );
        r.register_with_unit(
            "guest_memory",
            "The most linear memory that one instance has held",
            Unit::Bytes,
            self.guest_memory.clone(),
        );
        r.register_with_unit(
            "queue",
            "Time that requests waited for a turn",
            Unit::Seconds,
            self.queue_seconds.clone(),
        );
        r.register("plugin_calls", "Calls that a plugin made", self.plugin_calls.clone());
        r.register("depth", "Longest chain of calls of one request", self.depth.clone());
        r.register("calls", "Calls that plugins made, by where the reply came from", self.calls.clone());
        r.register("upstream_calls", "Calls that left the host", self.upstream_calls.clone());
        r.register_with_unit(
            "upstream_duration",
            "Time of calls that left the host",
            Unit::Seconds,
            self.upstream_seconds.clone(),
        );
        r.register("amplification_ratio", "Upstream calls that one request caused", self.amplification.clone());
        r.register(
            "degraded_responses",
            "Good responses with a part that is less than it should be",
            self.degraded.clone(),
        );
        r.register("batch_size", "Calls that travelled in one batch", self.batch_size.clone());
        r.register(
            "batch_oddities",
            "Batch replies that were cut short, left keys out and held others that nobody asked for, or did not fit the rule",
            self.batch_oddities.clone(),
        );
        r.register("cache_lookups", "Look-ups in the entity cache, by what it had", self.cache_lookups.clone());
        r.register("cache_entries", "Entities in the cache", self.cache_entries.clone());
        r.register_with_unit("cache", "Size of the entity cache", Unit::Bytes, self.cache_bytes.clone());
        r.register("cache_up", "1 while the shared cache is there, 0 while it is away", self.cache_up.clone());
        self.register_state(r);
        root
    }

    /// What the host has, and what it hears of others.
    fn register_state(&self, r: &mut Registry) {
        r.register(
            "idempotency_shared",
            "Keys of repeated writes that the shared cache was asked for, by what it knew",
            self.keys_shared.clone(),
        );
        r.register("release_live", "1 for each release in service", self.releases.clone());
        r.register("release_refused", "Artifacts refused", self.releases_refused.clone());
        r.register_collector(self.endpoints.collector("endpoints", "Endpoints of a backend by state."));
        let sources = &self.sources;
        r.register_collector(sources.collector(
            "discovery_up",
            Figure::Up,
            "1 while a backend's endpoints can be asked for.",
        ));
        r.register_collector(sources.collector(
            "discovery_set_timestamp_seconds",
            Figure::SetAt,
            "When a backend's newest set of endpoints came.",
        ));
        r.register_collector(sources.collector(
            "discovery_failures",
            Figure::Failures,
            "How often a backend's endpoints could not be asked for.",
        ));
        r.register_collector(sources.collector(
            "discovery_skipped",
            Figure::Skipped,
            "Entries of a backend's newest set that can't be used, by reason.",
        ));
        r.register("registered", "1 while this host is in the registry that it is told of", self.registered.clone());
        r.register(
            "registration_failures",
            "How often this host could not be registered, or was so no longer",
            self.registration_failures.clone(),
        );
        r.register("jwks_fetches", "Fetches of verification keys", self.jwks_fetches.clone());
        r.register_with_unit(
            "jwks_fetched_timestamp",
            "When verification keys were fetched last",
            Unit::Seconds,
            self.jwks_fetched_at.clone(),
        );
        r.register("token_exchanges", "Tokens that calls to backends needed", self.token_exchanges.clone());
        self.events.register(r);
        self.contracts.register(r);
        self.streams.register(r);
        r.register(
            "trace_contexts_broken",
            "Requests with headers about their trace that can't be read, by format",
            self.traces_broken.clone(),
        );
        r.register("trace_spans_exported", "Spans that the collector has taken", self.spans_exported.clone());
        r.register(
            "trace_spans_dropped",
            "Spans that did not get to the collector, by reason",
            self.spans_dropped.clone(),
        );
    }

    /// This version serves no more: its metrics are told for a while longer. Those whose while is over are forgotten now, but for
    /// versions that serve again.
    pub fn retire(&self, past: Past, is_live: impl Fn(&PluginLabels) -> bool) {
        let mut retired = lock(&self.retired);
        let now = past.since;
        retired.push(past);
        for past in retired.take_old(now, is_live) {
            self.forget(&past);
        }
    }

    /// Takes away what is told of one plugin version. Who still holds a part of it counts for nobody from then on.
    fn forget(&self, past: &Past) {
        let Past { labels: of, endpoints, statuses, .. } = past;
        let statuses = lock(statuses);
        for histograms in [&self.guest_cpu, &self.queue_seconds, &self.depth] {
            histograms.remove(of);
        }
        self.guest_traps.remove(of);
        self.plugin_calls.remove(of);
        self.guest_memory.remove(of);
        self.plugins_resting.remove(of);
        for endpoint in endpoints {
            self.request_seconds.remove(endpoint);
            self.amplification.remove(endpoint);
            self.degraded.remove(endpoint);
            self.contracts.forget(endpoint);
            for status in statuses.iter() {
                let EndpointLabels { client, endpoint, plugin, version } = endpoint.clone();
                self.requests.remove(&RequestLabels { client, endpoint, plugin, version, status: status.to_string() });
            }
        }
    }

    /// Takes away what is told of verification keys from there.
    pub fn forget_source(&self, source: &str) {
        self.jwks_fetched_at.remove(&SourceLabels { source: source.to_owned() });
        for result in ["good", "failed"] {
            self.jwks_fetches.remove(&JwksLabels { source: source.to_owned(), result: result.to_owned() });
        }
    }

    /// What is told of one source of events.
    pub fn events(&self, name: &str) -> EventsMetrics {
        self.events.of(name)
    }

    /// Takes away what is told of a source of events.
    pub fn forget_events(&self, name: &str) {
        self.events.forget(name);
    }

    /// The text format of Prometheus, for who does not ask for [`Metrics::encode`].
    pub fn encode_plain(&self) -> String {
        let mut out = String::new();
        // Writing to a string can't fail.
        let _ = prometheus_text::encode(&mut out, &self.registry);
        out
    }

    /// The OpenMetrics text exposition.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_plain_format_families_are_called_as_their_samples_are() {
        let metrics = Metrics::default();
        metrics.releases_refused.inc();
        let text = metrics.encode_plain();
        let lines = "# HELP weft_release_refused_total Artifacts refused.\n# TYPE weft_release_refused_total counter\n\
                     weft_release_refused_total 1\n";
        assert!(text.contains(lines), "{text}");
        assert!(text.contains(
            "# HELP weft_cache_bytes Size of the entity cache.\n# TYPE weft_cache_bytes gauge\nweft_cache_bytes 0\n"
        ));
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
        // Bounds of buckets are written in another way, and stand in another order.
        let samples = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("le="));
            lines.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(samples(&text), samples(&metrics.encode()));
    }

    #[test]
    fn traces_are_named_where_that_is_asked_for_in_openmetrics_alone() {
        let [client, endpoint, plugin, version] = ["web", "GET /", "p", "1"].map(str::to_owned);
        let labels = EndpointLabels { client, endpoint, plugin, version };
        for exemplars in [false, true] {
            let metrics = Metrics::new(exemplars);
            let seconds = metrics.request_seconds.get_or_create_owned(&labels);
            seconds.observe(0.2, Some(0xabc));
            seconds.observe(0.3, None);
            seconds.observe(0.7, None);
            let text = metrics.encode();
            let named =
                text.lines().filter(|line| line.contains(" # {trace_id=\"00000000000000000000000000000abc\"} 0.2 "));
            assert_eq!(named.count(), usize::from(exemplars), "{text}");
            assert_eq!(text.contains("trace_id"), exemplars);
            assert!(!metrics.encode_plain().contains("trace_id"));
            assert!(metrics.encode_plain().contains("le=\"0.75\"} 3\n"), "{}", metrics.encode_plain());
        }
    }
}
