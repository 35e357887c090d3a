//! One endpoint of a client, with all that its document is made of.

use super::{NoDocument, Part, Surface, place::Use};
use crate::artifact::{EndpointPolicy, EndpointSchema};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct Operation<'a> {
    pub(super) surface: &'a Surface,
    pub(super) part: Part<'a>,
    pub(super) policy: &'a EndpointPolicy,
    pub(super) schema: Option<&'a EndpointSchema>,
    /// `getFilmsById`: of method and path, so that it stays while the code changes.
    pub(super) id: String,
    /// As OpenAPI writes it.
    pub(super) path: String,
}

/// Those of all plugins, by path and method.
pub(super) fn all<'a>(surface: &'a Surface, parts: &[Part<'a>]) -> Result<Vec<Operation<'a>>, NoDocument> {
    let mut operations: Vec<Operation<'a>> = Vec::new();
    for part in parts {
        operations.extend(part.endpoints.iter().map(|policy| {
            let schema = part.told.schema.iter().find(|schema| schema.is(&policy.name));
            let path = policy.name.template().replace("{*", "{");
            Operation { surface, part: *part, policy, schema, id: id(policy), path }
        }));
    }
    operations.sort_by(|a, b| (&a.path, a.policy.name.method.as_str()).cmp(&(&b.path, b.policy.name.method.as_str())));
    let mut held: BTreeMap<String, &str> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for operation in &mut operations {
        let plugin = operation.part.plugin;
        if let Some(first) = held.insert(operation.policy.name.place(), plugin) {
            let (endpoint, first) = (operation.policy.name.to_string(), first.to_owned());
            return Err(NoDocument::Twice { endpoint, first, second: plugin.to_owned() });
        }
        let plain = operation.id.clone();
        let mut count = 1;
        // `/a-b` and `/a_b` are written the same.
        while !ids.insert(operation.id.clone()) {
            count += 1;
            operation.id = format!("{plain}_{count}");
        }
    }
    Ok(operations)
}

fn id(policy: &EndpointPolicy) -> String {
    let mut id = policy.name.method.as_str().to_ascii_lowercase();
    for segment in policy.name.template().split('/').filter(|segment| !segment.is_empty()) {
        let name = segment.trim_matches(|c| "{}*".contains(c));
        if segment.starts_with('{') {
            id.push_str("By");
        }
        for word in name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            let mut letters = word.chars();
            id.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            id.push_str(letters.as_str());
        }
    }
    id
}

impl<'a> Operation<'a> {
    /// What can't be put into a document, and where it stands.
    pub(super) fn bad(&self, reason: String) -> NoDocument {
        let (plugin, endpoint) = (self.part.plugin.to_owned(), self.policy.name.to_string());
        NoDocument::Schema { plugin, endpoint, reason }
    }

    pub(super) fn schemas(&self) -> impl Iterator<Item = (Use, &'a Value)> {
        let schema = self.schema;
        Use::ALL.into_iter().filter_map(move |of| {
            let schema = schema?;
            let found = match of {
                Use::Query => &schema.query,
                Use::Request => &schema.request,
                Use::Response => &schema.response,
            };
            Some((of, found.as_ref()?))
        })
    }

    pub(super) fn is_read(&self) -> bool {
        self.policy.name.method == http::Method::GET
    }

    /// A member of what the SDK tells.
    pub(super) fn more(&self, name: &str) -> Option<&'a Value> {
        self.schema?.more.get(name).filter(|value| !value.is_null())
    }

    /// The status of a good answer; none where the code decides.
    pub(super) fn status(&self) -> Option<u64> {
        self.more("status").and_then(Value::as_u64)
    }

    /// Whether its requests are counted by a rate.
    pub(super) fn is_limited(&self) -> bool {
        let rates = [self.policy.rate, self.policy.principal_rate, self.surface.rate, self.surface.principal_rate];
        rates.iter().any(Option::is_some)
    }
}
