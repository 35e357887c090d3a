//! Every type of problem that the host itself answers with (RFC 9457).

use http::StatusCode;

/// Whose fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    Client,
    Guest,
    Upstream,
    Host,
}

impl Blame {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Guest => "guest",
            Self::Upstream => "upstream",
            Self::Host => "host",
        }
    }
}

macro_rules! problem_types {
    ($($name:ident = $word:literal [$status:ident $(, $more:ident)*] $blame:ident $title:literal: $meaning:literal;)+) => {
        /// A type of problem. `docs/frontends/problems.md` has the same table; a test compares them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemType { $($name),+ }

        impl ProblemType {
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The last part of its URI: `not-found`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// The statuses that it may have, the usual one first.
            pub fn statuses(self) -> &'static [StatusCode] {
                match self { $(Self::$name => &[StatusCode::$status $(, StatusCode::$more)*]),+ }
            }

            /// The usual one of its statuses.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            pub fn blame(self) -> Blame {
                match self { $(Self::$name => Blame::$blame),+ }
            }

            /// What it is in a few words, the same wherever it happens.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }

            /// What it means, for who reads the documents. In Markdown.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),+ }
            }
        }
    };
}

problem_types! {
    BadArguments = "bad-arguments" [BAD_REQUEST] Client "Bad arguments":
        "of agents: a tool was called with what it does not take; `field` says with what. Nothing was done";
    BadBody = "bad-body" [BAD_REQUEST] Client "Bad body":
        "the body broke off, or can't be unpacked";
    BadEncoding = "bad-encoding" [BAD_REQUEST] Client "Bad encoding":
        "a value of path, query or headers is no UTF-8, or has what no value may have; `field` says which";
    BadFields = "bad-fields" [BAD_REQUEST] Client "Bad choice of fields":
        "`fields` names a member that the answer does not have, or that can't be chosen; `detail` says which, and what comes nearest to it";
    BadHost = "bad-host" [BAD_REQUEST] Client "Bad host":
        "a request is for one host, and this one names none that can be read, or two";
    BadIdempotencyKey = "bad-idempotency-key" [BAD_REQUEST] Client "Bad idempotency key":
        "the key is too long, missing, there twice, or nobody's";
    Unauthorized = "unauthorized" [UNAUTHORIZED] Client "Unauthorized":
        "no token, or none that counts; `www-authenticate` says why";
    CrossSite = "cross-site" [FORBIDDEN] Client "Cross-site request":
        "where a gateway makes tokens of cookies: this changes something, and does not come from a page of the same origin; and where agents are answered: it comes from a page of an origin that is not let in";
    InsufficientScope = "insufficient-scope" [FORBIDDEN] Client "Insufficient scope":
        "the token is good, and does not have the scope that this needs; `www-authenticate` names it";
    NoClient = "no-client" [NOT_FOUND] Client "No such client":
        "no `[[client]]` has this host and path";
    NotFound = "not-found" [NOT_FOUND] Client "No such endpoint":
        "the client has no such endpoint";
    MethodNotAllowed = "method-not-allowed" [METHOD_NOT_ALLOWED] Client "Method not allowed":
        "the path has other methods, named in `allow`";
    NotAcceptable = "not-acceptable" [NOT_ACCEPTABLE] Client "Not acceptable":
        "`accept` or `accept-encoding` refuses all that there is";
    BodyTooSlow = "body-too-slow" [REQUEST_TIMEOUT] Client "Body too slow":
        "the body did not arrive within the endpoint's time, or arrives more slowly than it has to";
    IdempotencyOutcomeUnknown = "idempotency-outcome-unknown" [CONFLICT] Client "Outcome unknown":
        "the first request with the key may have been done, and left no answer";
    IdempotencyInProgress = "idempotency-in-progress" [CONFLICT] Client "Under way elsewhere":
        "the first request with the key runs on another host; `retry-after`";
    IdempotencyKeyReused = "idempotency-key-reused" [UNPROCESSABLE_ENTITY] Client "Idempotency key used before":
        "the first request with the key was another one";
    BodyTooLarge = "body-too-large" [PAYLOAD_TOO_LARGE] Client "Body too large":
        "the body is larger than the host takes";
    UnsupportedMediaType = "unsupported-media-type" [UNSUPPORTED_MEDIA_TYPE] Client "Unsupported media type":
        "the endpoint takes other types of bodies, named in `accept`";
    UnknownEncoding = "unknown-encoding" [UNSUPPORTED_MEDIA_TYPE, NOT_IMPLEMENTED] Client "Unknown encoding":
        "the host does not know this `content-encoding` (415) or `transfer-encoding` (501)";
    RateLimited = "rate-limited" [TOO_MANY_REQUESTS] Client "Too many requests":
        "`retry-after` says how long";
    TooMuchUnderWay = "too-much-under-way" [TOO_MANY_REQUESTS] Client "Too much under way":
        "the address or the connection has more requests without an answer than the host keeps for one; `retry-after`. Nothing was done";
    TooManyStreams = "too-many-streams" [TOO_MANY_REQUESTS] Client "Too many streams":
        "the caller or the address has as many answers in parts open as one may have; `retry-after`. Nothing was done";
    TooMuchUnread = "too-much-unread" [TOO_MANY_REQUESTS] Client "Too much unread":
        "the address or the connection has more answers that it has not read than the host keeps for one; `retry-after`. Nothing was done, but where the problem says that it was";
    Host = "host" [INTERNAL_SERVER_ERROR] Host "Failure of the host":
        "a bug of the host";
    PluginResponse = "plugin-response" [BAD_GATEWAY] Guest "Unusable response":
        "what the plugin answered can't be sent";
    PluginTrapped = "plugin-trapped" [BAD_GATEWAY] Guest "Failure of the plugin":
        "the plugin failed";
    PluginStart = "plugin-start" [BAD_GATEWAY] Guest "Plugin does not start":
        "the plugin can't be started";
    PluginLimit = "plugin-limit" [BAD_GATEWAY, GATEWAY_TIMEOUT, INTERNAL_SERVER_ERROR] Guest "Limit of the plugin":
        "a bound that the plugin has set itself was met: memory or response (502), CPU time (504), calls (500); `detail` says which one and where it stands: `memory = \"32MiB\" in [limits] of plugin.toml`";
    HostLimit = "host-limit" [BAD_GATEWAY, GATEWAY_TIMEOUT, SERVICE_UNAVAILABLE] Guest "Limit of the host":
        "the same, of the host's own bounds in `weft.toml`, where they are lower; calls are 503";
    IdempotencyFull = "idempotency-full" [SERVICE_UNAVAILABLE] Host "No room for the key":
        "there is no room for another idempotency key. Nothing was done";
    IdempotencyUnavailable = "idempotency-unavailable" [SERVICE_UNAVAILABLE] Host "Repeats can't be told":
        "the endpoint is `strict`, and the shared cache away. Nothing was done";
    KeysUnavailable = "keys-unavailable" [SERVICE_UNAVAILABLE] Upstream "No verification keys":
        "there are no keys to verify the token with";
    NotConfigured = "not-configured" [SERVICE_UNAVAILABLE] Host "Not configured":
        "the endpoint needs a caller, and the host has no `[identity]`";
    Busy = "busy" [SERVICE_UNAVAILABLE] Host "Busy":
        "no turn came in time; `retry-after`";
    Overloaded = "overloaded" [SERVICE_UNAVAILABLE] Host "Overloaded":
        "there is no room for all together; `retry-after`";
    PluginResting = "plugin-resting" [SERVICE_UNAVAILABLE] Guest "Resting plugin":
        "the plugin crashed too often of late; `retry-after`";
    Deadline = "deadline" [GATEWAY_TIMEOUT] Upstream "Out of time":
        "the endpoint's `timeout` is used up";
}

impl ProblemType {
    /// The problem's `type`.
    pub fn uri(self) -> String {
        format!("urn:weft:problem:{}", self.as_str())
    }
}
