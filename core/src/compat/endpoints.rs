//! Endpoints that are gone, new or other than they were.

use super::{
    Change,
    comparison::Comparison,
    document::{Document, Unreadable},
    parameters,
    rules::Rule,
    security, text,
};
use serde_json::Value;
use std::collections::BTreeMap;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

#[derive(Debug)]
struct Operation<'a> {
    /// `GET /films/{}`: parameters have no names in URLs.
    place: String,
    /// `GET /films/{id}`.
    name: String,
    template: &'a str,
    item: &'a Value,
    operation: &'a Value,
}

pub(super) fn compare(old: &Document, new: &Document) -> Result<Vec<Change>, Unreadable> {
    let mut comparison = Comparison::new(old, new);
    if let Some((was, is)) = base(old).zip(base(new)).filter(|(was, is)| was != is) {
        comparison.note(Rule::BasePathChanged, format!("was {was:?}, is {is:?}"));
    }
    let (was, is) = (operations(old)?, operations(new)?);
    let by_place = |side: &'_ [Operation<'_>]| -> BTreeMap<String, usize> {
        side.iter().enumerate().map(|(at, operation)| (operation.place.clone(), at)).collect()
    };
    let (olds, news) = (by_place(&was), by_place(&is));
    for operation in &was {
        comparison.step(1)?;
        comparison.endpoint.clone_from(&operation.name);
        match news.get(&operation.place).and_then(|at| is.get(*at)) {
            Some(other) => comparison.operations(operation, other)?,
            None => {
                let told = text::deprecation(&[operation.operation]);
                let told = if told.is_empty() { told } else { format!("was deprecated: {told}") };
                comparison.note(Rule::EndpointRemoved, told);
            }
        }
    }
    for operation in is.iter().filter(|operation| !olds.contains_key(&operation.place)) {
        comparison.step(1)?;
        comparison.endpoint.clone_from(&operation.name);
        comparison.note(Rule::EndpointAdded, "");
    }
    Ok(comparison.changes)
}

/// What all paths begin with; none where the document does not know.
fn base(document: &Document) -> Option<String> {
    let url = document.root().pointer("/servers/0/url").and_then(Value::as_str)?;
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        None => url,
    };
    Some(path.trim_end_matches('/').to_owned())
}

fn operations(document: &Document) -> Result<Vec<Operation<'_>>, Unreadable> {
    let mut found = Vec::new();
    for (template, item) in document.section("paths") {
        let item = document.resolved(item)?;
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            if !operation.is_object() {
                return Err(Unreadable::Shape(format!("paths {template:?} {method}"), "an object"));
            }
            let method = method.to_ascii_uppercase();
            let place = format!("{method} {}", without_names(template));
            found.push(Operation { place, name: format!("{method} {template}"), template, item, operation });
        }
    }
    Ok(found)
}

fn without_names(template: &str) -> String {
    let mut parts = template.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once('}').map_or("", |(_, rest)| rest);
        out.push_str("{}");
        out.push_str(rest);
    }
    out
}

impl<'a> Comparison<'a> {
    fn operations(&mut self, old: &Operation<'a>, new: &Operation<'a>) -> Result<(), Unreadable> {
        self.endpoint.clone_from(&new.name);
        let (was, is) = (parameters::names(old.template), parameters::names(new.template));
        for (was, is) in was.iter().zip(&is).filter(|(was, is)| was != is) {
            self.note(Rule::PathParameterRenamed, format!("was {was}, is {is}"));
        }
        let id = |operation: &'a Value| operation.get("operationId").and_then(Value::as_str);
        if let Some((was, is)) = id(old.operation).zip(id(new.operation)).filter(|(was, is)| was != is) {
            self.note(Rule::OperationRenamed, format!("was {was}, is {is}"));
        }
        let is_deprecated = |operation: &Value| operation.get("deprecated") == Some(&Value::Bool(true));
        match (is_deprecated(old.operation), is_deprecated(new.operation)) {
            (false, true) => self.note(Rule::EndpointDeprecated, text::deprecation(&[new.operation])),
            (true, false) => self.note(Rule::EndpointRestored, ""),
            _ => {}
        }
        self.security(old, new);
        let was = parameters::of(self.old, old.template, old.item, old.operation)?;
        let is = parameters::of(self.new, new.template, new.item, new.operation)?;
        self.parameters(&was, &is)?;
        self.bodies(old.operation, new.operation)?;
        self.responses(old.operation, new.operation)
    }

    fn security(&mut self, old: &Operation<'a>, new: &Operation<'a>) {
        let was = security::ways(self.old.root(), old.operation);
        let is = security::ways(self.new.root(), new.operation);
        let detail = format!("was {}; is {}", security::text(&was), security::text(&is));
        if !security::all_let_in(&was, &is) {
            self.note(Rule::AuthTightened, detail);
        } else if !security::all_let_in(&is, &was) {
            self.note(Rule::AuthRelaxed, detail);
        }
    }
}
