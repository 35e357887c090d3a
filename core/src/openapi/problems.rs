//! Which problems an endpoint may answer with: the host's own by what can happen to it, and those of its code.

use super::{NoDocument, operation::Operation};
use crate::{
    artifact::{Auth, DeclaredProblem, EndpointSchema},
    model::ProblemType,
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Problems without a type of their own.
const BLANK: &str = "about:blank";

/// Statuses of problems that the SDK makes without the code's doing: of what an endpoint takes, and of calls that fail.
const OF_SDK: [u16; 10] = [400, 401, 403, 404, 409, 415, 500, 502, 503, 504];
/// Where code declares nothing.
const COMMON: [u16; 1] = [422];

/// Those that the code of one endpoint may answer with.
#[derive(Debug, Clone)]
pub struct Problems {
    declared: Option<Vec<DeclaredProblem>>,
}

impl Problems {
    pub(super) fn of(schema: Option<&EndpointSchema>) -> Self {
        Self { declared: DeclaredProblem::of(schema) }
    }

    /// The statuses that a problem without a type of its own may have.
    fn blank(&self) -> impl Iterator<Item = u16> + '_ {
        let common = COMMON.into_iter().filter(|_| self.declared.is_none());
        let declared = self.declared.iter().flatten().filter(|problem| is_blank(&problem.kind));
        OF_SDK.into_iter().chain(common).chain(declared.map(|problem| problem.status))
    }

    /// Whether a problem of the code is one that the document tells of. The host's own types are not the code's to declare.
    pub fn has(&self, status: u16, kind: &str) -> bool {
        if is_blank(kind) {
            return self.blank().any(|known| known == status);
        }
        let declares = |problem: &DeclaredProblem| problem.status == status && problem.kind == kind;
        kind.starts_with("urn:weft:problem:") || self.declared.iter().flatten().any(declares)
    }
}

fn is_blank(kind: &str) -> bool {
    kind.is_empty() || kind == BLANK
}

/// Whether it can happen to a request that was sent where the document says.
fn can_happen(kind: ProblemType, operation: &Operation<'_>) -> bool {
    use ProblemType as P;
    let (policy, surface) = (operation.policy, operation.surface);
    let identified = policy.auth != Auth::None;
    match kind {
        // It has no such host, client or path in it.
        P::NoClient | P::MethodNotAllowed | P::InsufficientScope => false,
        // Only calls of agents end in it.
        P::BadArguments => false,
        // One whose value ends a segment is another path.
        P::NotFound => !policy.name.params().is_empty(),
        P::BadFields => policy.fields.is_some(),
        P::BadEncoding | P::BadHost | P::NotAcceptable => true,
        P::Unauthorized | P::KeysUnavailable | P::NotConfigured => identified,
        P::CrossSite => surface.same_origin && !operation.is_read(),
        P::BadBody | P::BodyTooSlow | P::BodyTooLarge | P::UnknownEncoding | P::UnsupportedMediaType => {
            !operation.is_read()
        }
        P::BadIdempotencyKey
        | P::IdempotencyOutcomeUnknown
        | P::IdempotencyInProgress
        | P::IdempotencyKeyReused
        | P::IdempotencyFull => policy.idempotency.is_some(),
        P::IdempotencyUnavailable => policy.idempotency.is_some_and(|rule| rule.strict),
        // Credentials that are not good are counted too.
        P::RateLimited => operation.is_limited() || identified,
        P::TooManyStreams => policy.streams,
        P::TooMuchUnderWay | P::TooMuchUnread => true,
        P::Host | P::PluginResponse | P::PluginTrapped | P::PluginStart | P::PluginLimit | P::HostLimit => true,
        P::Busy | P::Overloaded | P::PluginResting | P::Deadline => true,
    }
}

/// What may stand in a problem's place, by status: names of components.
pub(super) fn by_status(operation: &Operation<'_>) -> BTreeMap<u16, BTreeSet<String>> {
    let mut found: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
    for kind in ProblemType::ALL.iter().filter(|kind| can_happen(**kind, operation)) {
        for status in kind.statuses() {
            found.entry(status.as_u16()).or_default().insert(of_host(*kind));
        }
    }
    let problems = Problems::of(operation.schema);
    for problem in problems.declared.iter().flatten() {
        found.entry(problem.status).or_default().insert(of_plugin(operation, problem));
    }
    for status in problems.blank() {
        found.entry(status).or_default().insert("problem.blank".to_owned());
    }
    found
}

fn of_host(kind: ProblemType) -> String {
    format!("problem.{}", kind.as_str())
}

/// By the type, as far as the name of a component may hold it: what two plugins call by one name may differ.
fn of_plugin(operation: &Operation<'_>, problem: &DeclaredProblem) -> String {
    if is_blank(&problem.kind) {
        return "problem.blank".to_owned();
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let name: String = problem
        .kind
        .trim_end_matches('/')
        .rsplit(['/', ':', '#'])
        .next()
        .unwrap_or_default()
        .chars()
        .map(plain)
        .collect();
    format!("problem.{}.{name}", operation.part.plugin)
}

/// The components that [`by_status`] names, of all operations.
pub(super) fn components(operations: &[Operation<'_>]) -> Result<Map<String, Value>, NoDocument> {
    let named: BTreeSet<String> =
        operations.iter().flat_map(|operation| by_status(operation).into_values().flatten()).collect();
    let mut components = Map::new();
    for kind in ProblemType::ALL.iter().filter(|kind| named.contains(&of_host(**kind))) {
        let text = format!("{}. See `problems/{}` beside this document.", kind.meaning(), kind.as_str());
        let statuses: Vec<u16> = kind.statuses().iter().map(StatusCode::as_u16).collect();
        components.insert(of_host(*kind), component(&kind.uri(), Some(kind.title()), &statuses, &text));
    }
    if named.contains("problem.blank") {
        let text = "What happened stands in `detail`; it means no more than its status does.";
        components.insert("problem.blank".to_owned(), component(BLANK, None, &[], text));
    }
    for (name, (problem, statuses)) in declared(operations)? {
        let (statuses, title) =
            (statuses.into_iter().collect::<Vec<_>>(), Some(&*problem.title).filter(|title| !title.is_empty()));
        components.insert(name, component(&problem.kind, title, &statuses, &problem.description));
    }
    Ok(components)
}

/// Those of the plugins' code that have a type, by name, each with all its statuses.
type Declared = BTreeMap<String, (DeclaredProblem, BTreeSet<u16>)>;

fn declared(operations: &[Operation<'_>]) -> Result<Declared, NoDocument> {
    let mut declared = Declared::new();
    for operation in operations {
        let problems = DeclaredProblem::of(operation.schema).into_iter().flatten();
        for problem in problems.filter(|problem| !is_blank(&problem.kind)) {
            let (name, status, kind) = (of_plugin(operation, &problem), problem.status, problem.kind.clone());
            let (first, statuses) = declared.entry(name).or_insert_with(|| (problem, BTreeSet::new()));
            statuses.insert(status);
            if first.kind != kind {
                let kinds = format!("`{}` and `{kind}`", first.kind);
                return Err(operation
                    .bad(format!("the problems {kinds} end alike, and are named by their ends: rename one of them")));
            }
        }
    }
    Ok(declared)
}

fn component(kind: &str, title: Option<&str>, statuses: &[u16], description: &str) -> Value {
    let text = json!({ "type": "string" });
    let title = title.map_or_else(|| text.clone(), |title| json!({ "const": title }));
    let status = if statuses.is_empty() {
        json!({ "type": "integer", "minimum": 400, "maximum": 599 })
    } else {
        json!({ "type": "integer", "enum": statuses })
    };
    json!({
        "type": "object",
        "description": description,
        "properties": {
            "type": { "type": "string", "const": kind }, "title": title, "status": status, "detail": text, "instance": text,
            "request_id": text, "trace_id": text, "field": text,
        },
        "required": ["type", "title", "status", "detail", "instance", "request_id", "trace_id"],
    })
}
