//! The labels of metrics: by what each kind of figure is told apart.

use prometheus_client::encoding::EncodeLabelSet;

macro_rules! labels {
    ($(#[$meta:meta])* $name:ident { $($field:ident),+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $name { $(pub $field: String),+ }
    };
}

labels!(/** One endpoint of one plugin version, and the answer's status. */ RequestLabels { client, endpoint, plugin, version, status });
labels!(/** One endpoint of one plugin version. */ EndpointLabels { client, endpoint, plugin, version });
labels!(/** A deprecated endpoint, and the version that an app says it is. */ DeprecatedLabels { client, endpoint, app });
labels!(/** What agents of a client sent, and what came of it. */ AgentLabels { client, message, result });
labels!(/** One plugin version. */ PluginLabels { plugin, version });
labels!(/** One method and where its reply came from. */ CallLabels { method, origin });
labels!(/** One method and what the entity cache had for it. */ CacheLabels { method, result });
labels!(/** One method of a backend and the gRPC status. */ UpstreamLabels { backend, method, code });
labels!(/** Where keys come from. */ SourceLabels { source });
labels!(/** Where keys come from, and how the fetch ended. */ JwksLabels { source, result });
labels!(/** For which backend a token was exchanged: kept, asked for or failed. */ ExchangeLabels { backend, result });
labels!(/** A source of events, and what became of a message. */ EventLabels { source, result });
labels!(/** A cache that this host shares with others. */ TierLabels { tier });
labels!(/** How traces are written in headers. */ TraceFormatLabels { format });
labels!(/** Why spans did not get to where they are sent. */ DroppedLabels { reason });
labels!(/** What hosts that share a cache knew of a repeated write's key. */ KeyLabels { result });

labels!(/** Why a connection, or a request on it, was cut or refused. */ CutLabels { reason });
