//! Bodies, statuses and headers.

use super::{
    comparison::{Comparison, Direction},
    document::{Document, Unreadable, empty},
    rules::Rule,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Headers by which a host tells how it has served: they come and go with an operator's settings, and no app may count on them.
const OF_THE_HOST: [&str; 14] = [
    "age",
    "cache-control",
    "cache-status",
    "deprecation",
    "etag",
    "idempotent-replayed",
    "link",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "server-timing",
    "sunset",
    "x-request-id",
    "x-weft-degraded",
];

impl<'a> Comparison<'a> {
    pub(super) fn bodies(&mut self, old: &'a Value, new: &'a Value) -> Result<(), Unreadable> {
        let body = |document: &'a Document, operation: &'a Value| {
            operation.get("requestBody").map(|body| document.resolved(body)).transpose()
        };
        let (was, is) = (body(self.old, old)?, body(self.new, new)?);
        let is_required = |body: &Value| body.get("required") == Some(&Value::Bool(true));
        "request".clone_into(&mut self.place);
        match (was, is) {
            (None, None) => {}
            (None, Some(is)) if is_required(is) => self.note(Rule::BodyRequired, ""),
            (None, Some(_)) => self.note(Rule::BodyAdded, ""),
            (Some(_), None) => self.note(Rule::BodyRemoved, ""),
            (Some(was), Some(is)) => {
                match (is_required(was), is_required(is)) {
                    (false, true) => self.note(Rule::BodyRequired, ""),
                    (true, false) => self.note(Rule::BodyOptional, ""),
                    _ => {}
                }
                self.contents(Direction::Request, object(was, "content"), object(is, "content"))?;
            }
        }
        Ok(())
    }

    /// Each media type that both have is compared, the others are told.
    fn contents(
        &mut self,
        direction: Direction,
        old: &'a Map<String, Value>,
        new: &'a Map<String, Value>,
    ) -> Result<(), Unreadable> {
        let place = self.place.clone();
        let (gone, added) = match direction {
            Direction::Request => (Rule::RequestMediaRemoved, Rule::RequestMediaAdded),
            Direction::Response => (Rule::ResponseMediaRemoved, Rule::ResponseMediaAdded),
        };
        let by_name = |content: &'a Map<String, Value>| -> BTreeMap<String, &'a Value> {
            content.iter().map(|(media, body)| (media.to_ascii_lowercase(), body)).collect()
        };
        let (old, new) = (by_name(old), by_name(new));
        for (media, was) in &old {
            let Some(is) = new.get(media) else {
                self.note(gone, super::text::cut(media));
                continue;
            };
            self.place = format!("{place} {media}");
            self.is_problem = direction == Direction::Response && media.starts_with("application/problem+json");
            for key in ["schema", "itemSchema"] {
                let node = |body: &'a Value| body.get(key).map(Document::whole).into_iter().collect::<Vec<_>>();
                self.whole(direction, "$", &node(was), &node(is))?;
            }
            self.is_problem = false;
            self.place.clone_from(&place);
        }
        for media in new.keys().filter(|media| !old.contains_key(*media)) {
            self.note(added, super::text::cut(media));
        }
        Ok(())
    }

    pub(super) fn responses(&mut self, old: &'a Value, new: &'a Value) -> Result<(), Unreadable> {
        let (old, new) = (object(old, "responses"), object(new, "responses"));
        for (status, was) in old {
            self.place = format!("response {}", super::text::cut(status));
            match new.get(status).or_else(|| of_class(new, status)) {
                Some(is) => self.response(was, is)?,
                None if old_class_is_left(status, new) => {}
                None if is_failure(status) => self.note(Rule::ProblemStatusRemoved, ""),
                None => self.note(Rule::StatusRemoved, ""),
            }
        }
        for (status, is) in new.iter().filter(|(status, _)| !old.contains_key(*status)) {
            self.place = format!("response {}", super::text::cut(status));
            if let Some(was) = of_class(old, status) {
                self.response(was, is)?;
                continue;
            }
            self.note(if is_failure(status) { Rule::ProblemStatusAdded } else { Rule::StatusAdded }, "");
        }
        self.place.clear();
        Ok(())
    }

    fn response(&mut self, old: &'a Value, new: &'a Value) -> Result<(), Unreadable> {
        let (old, new) = (self.old.resolved(old)?, self.new.resolved(new)?);
        self.headers(object(old, "headers"), object(new, "headers"))?;
        let (was, is) = (object(old, "content"), object(new, "content"));
        match (was.is_empty(), is.is_empty()) {
            (true, false) => self.note(Rule::ResponseBodyAdded, ""),
            (false, true) => self.note(Rule::ResponseBodyRemoved, ""),
            _ => self.contents(Direction::Response, was, is)?,
        }
        Ok(())
    }

    fn headers(&mut self, old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> Result<(), Unreadable> {
        let by_name = |document: &'a Document, headers: &'a Map<String, Value>| {
            let resolved =
                |(name, header): (&String, &'a Value)| Ok((name.to_ascii_lowercase(), document.resolved(header)?));
            headers.iter().map(resolved).collect::<Result<BTreeMap<String, &Value>, Unreadable>>()
        };
        let (old, new) = (by_name(self.old, old)?, by_name(self.new, new)?);
        let place = self.place.clone();
        let is_required = |header: &Value| header.get("required") == Some(&Value::Bool(true));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names.into_iter().filter(|name| !OF_THE_HOST.contains(&name.as_str())) {
            self.place = format!("{place} header {}", super::text::cut(name));
            match (old.get(name), new.get(name)) {
                (Some(was), Some(is)) => {
                    if is_required(was) && !is_required(is) {
                        self.note(Rule::ResponseHeaderRemoved, "may be missing now");
                    }
                    let node = |header: &'a Value| header.get("schema").into_iter().collect::<Vec<_>>();
                    self.whole(Direction::Response, "", &node(was), &node(is))?;
                }
                (Some(_), None) => self.note(Rule::ResponseHeaderRemoved, ""),
                (None, _) => self.note(Rule::ResponseHeaderAdded, ""),
            }
        }
        self.place = place;
        Ok(())
    }
}

/// What stands for all statuses of its class: `2XX`.
fn of_class<'a>(responses: &'a Map<String, Value>, status: &str) -> Option<&'a Value> {
    responses.get(&format!("{}XX", status.get(..1)?))
}

/// Whether what stood for a class has become statuses of it.
fn old_class_is_left(status: &str, new: &Map<String, Value>) -> bool {
    status.ends_with("XX") && new.keys().any(|other| other.get(..1) == status.get(..1))
}

/// Whether a status tells of a failure; `default` is for all that are not named.
fn is_failure(status: &str) -> bool {
    status.starts_with(['4', '5']) || status == "default"
}

fn object<'a>(value: &'a Value, key: &str) -> &'a Map<String, Value> {
    value.get(key).and_then(Value::as_object).unwrap_or(empty())
}
