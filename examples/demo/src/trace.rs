//! A trace as somebody reads it: spans as a tree, with times, and what matters of what they say.

mod notes;

use std::collections::{BTreeMap, BTreeSet};

/// One span, from whichever receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    /// Who has sent it.
    pub service: String,
    pub name: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub attributes: BTreeMap<String, String>,
}

/// One line of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: String,
    /// Milliseconds since the root began, and how long it took.
    pub at: f64,
    pub took: f64,
    /// The same as a picture, [`WIDTH`] wide.
    pub bar: String,
    pub service: String,
    /// What leads to it from its parent.
    pub branch: String,
    pub name: String,
    /// What matters of its attributes.
    pub notes: String,
}

/// Of a row's bar, in characters.
pub const WIDTH: usize = 24;

/// A request that shares another one's call upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The span, in this trace, of the call that answered both.
    pub load: (String, String),
    /// The other request's own call span, in its own trace.
    pub call: (String, String),
}

impl Span {
    pub fn says(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// Whether everything has arrived: one root, the plugin's span, and for each call to a service what the service says of it.
pub fn is_whole(spans: &[Span]) -> bool {
    let is_served = |attempt: &Span| spans.iter().any(|span| span.parent == attempt.id);
    let mut attempts = spans.iter().filter(|span| span.says("weft.attempt.kind").is_some());
    roots(spans).count() == 1 && spans.iter().any(|span| span.says("faas.name").is_some()) && attempts.all(is_served)
}

/// Calls that one of these traces made, and another one waited for.
pub fn shared(traces: &[Vec<Span>]) -> Vec<Shared> {
    let all = || traces.iter().flatten();
    let loads: BTreeSet<(&str, &str)> = all().map(|span| (span.trace.as_str(), span.id.as_str())).collect();
    all()
        .filter_map(|call| {
            let load = (call.says("weft.load.trace_id")?, call.says("weft.load.span_id")?);
            let is_elsewhere = load.0 != call.trace && loads.contains(&load);
            let owned = |(trace, span): (&str, &str)| (trace.to_owned(), span.to_owned());
            is_elsewhere.then(|| Shared { load: owned(load), call: owned((&call.trace, &call.id)) })
        })
        .collect()
}

/// The spans from the root down to this one.
pub fn way_to(spans: &[Span], id: &str) -> Vec<Span> {
    let mut way: Vec<Span> = Vec::new();
    let mut wanted = id;
    // A span of which it was said that it is its own ancestor would never end.
    while let Some(span) = spans.iter().find(|span| span.id == wanted).filter(|_| way.len() < spans.len()) {
        way.push(span.clone());
        wanted = &span.parent;
    }
    way.reverse();
    way
}

/// From the root down, what began earlier first.
pub fn tree(spans: &[Span]) -> Vec<Row> {
    let mut rows = Vec::new();
    for root in roots(spans) {
        let scale = (root.start, root.end.saturating_sub(root.start).max(1));
        grow(spans, root, scale, ("", ""), &mut rows);
    }
    rows
}

/// Those whose parent is not among them.
fn roots(spans: &[Span]) -> impl Iterator<Item = &Span> {
    spans.iter().filter(|span| span.parent.is_empty() || !spans.iter().any(|other| other.id == span.parent))
}

/// `before`: what stands before this span, and before those under it.
fn grow(spans: &[Span], span: &Span, scale: (u64, u64), before: (&str, &str), rows: &mut Vec<Row>) {
    if rows.len() > spans.len() {
        // A span of which it was said that it is its own ancestor.
        return;
    }
    rows.push(row(span, scale, before.0));
    let mut children: Vec<&Span> = spans.iter().filter(|child| child.parent == span.id).collect();
    children.sort_by_key(|child| child.start);
    let last = children.len().saturating_sub(1);
    for (place, child) in children.into_iter().enumerate() {
        let (own, below) = if place == last { ("└ ", "  ") } else { ("├ ", "│ ") };
        let (own, below) = (format!("{}{own}", before.1), format!("{}{below}", before.1));
        grow(spans, child, scale, (&own, &below), rows);
    }
}

fn row(span: &Span, (begin, whole): (u64, u64), branch: &str) -> Row {
    let (at, took) = (span.start.saturating_sub(begin), span.end.saturating_sub(span.start));
    let milliseconds = |nanos: u64| nanos as f64 / 1e6;
    let cell = |nanos: u64| usize::try_from(u128::from(nanos) * WIDTH as u128 / u128::from(whole)).unwrap_or(WIDTH);
    let from = cell(at).min(WIDTH - 1);
    let long = cell(at + took).saturating_sub(from).clamp(1, WIDTH - from);
    Row {
        id: span.id.clone(),
        at: milliseconds(at),
        took: milliseconds(took),
        bar: format!("{}{}{}", " ".repeat(from), "█".repeat(long), " ".repeat(WIDTH - from - long)),
        service: span.service.clone(),
        branch: branch.to_owned(),
        name: notes::short(&span.name),
        notes: notes::of(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, times: (u64, u64), attributes: &[(&str, &str)]) -> Span {
        let (start, end) = (times.0 * 1_000_000, times.1 * 1_000_000);
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let [trace, service, name] = ["t", "weft", "films.v1.Films/Get"].map(str::to_owned);
        Span { trace, id: id.to_owned(), parent: parent.to_owned(), service, name, start, end, attributes }
    }

    #[test]
    fn spans_become_a_tree_in_the_order_in_which_they_began() {
        let attempt = [("weft.attempt.kind", "first")];
        let spans = [
            span("d", "b", (12, 14), &[]),
            span("c", "a", (20, 100), &[("faas.name", "home-web")]),
            span("b", "a", (10, 20), &attempt),
            span("a", "outside", (0, 100), &[]),
        ];
        let rows = tree(&spans);
        let drawn: Vec<_> = rows.iter().map(|row| format!("{}{}", row.branch, row.id)).collect();
        assert_eq!(drawn, ["a", "├ b", "│ └ d", "└ c"]);
        assert_eq!((rows[1].at, rows[1].took, rows[1].name.as_str()), (10.0, 10.0, "Films/Get"));
        assert!(rows.iter().all(|row| row.bar.chars().count() == WIDTH), "{rows:?}");
        assert_eq!(rows[0].bar, "█".repeat(WIDTH));
        assert!(is_whole(&spans));
        // What the service says of the call is missing; then, the root.
        assert!(!is_whole(&spans[1..]) && !is_whole(&spans[..3]) && !is_whole(&[]));
        assert_eq!(way_to(&spans, "d").iter().map(|span| span.id.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
    }

    #[test]
    fn a_request_that_shares_anothers_call_is_found() {
        let load = [("weft.load.trace_id", "t"), ("weft.load.span_id", "b")];
        let other = Span { trace: "u".to_owned(), ..span("x", "", (0, 1), &load) };
        // In its own trace it is no news.
        let own = span("c", "a", (0, 1), &load);
        let traces = vec![vec![span("b", "a", (0, 1), &[]), own], vec![other]];
        let pair = |trace: &str, span: &str| (trace.to_owned(), span.to_owned());
        assert_eq!(shared(&traces), [Shared { load: pair("t", "b"), call: pair("u", "x") }]);
        assert_eq!(shared(&traces[1..]), []);
    }

    #[test]
    fn a_ring_of_spans_ends() {
        let mut spans = vec![span("a", "b", (0, 1), &[]), span("b", "a", (0, 1), &[]), span("c", "", (0, 1), &[])];
        assert_eq!(tree(&spans).len(), 1);
        assert_eq!(way_to(&spans, "a").len(), 3);
        spans.push(span("c", "c", (0, 1), &[]));
        assert!(tree(&spans).len() < 10);
    }
}
