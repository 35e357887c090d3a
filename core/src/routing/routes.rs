//! From path and method to endpoint, for one client.
//!
//! A tree of segments: a literal goes before a parameter, and a parameter before `{*rest}`. Parameters have their names at the
//! endpoint, not in the tree, so two plugins may hold `/films/{id}` and `/films/{slug}` under different methods.

use crate::artifact::EndpointName;
use http::Method;
use std::collections::HashMap;

/// All endpoints of one client, each leading to a `T`.
#[derive(Debug, Clone)]
pub struct Routes<T>(Node<T>);

/// Where the segments of a path have led so far.
#[derive(Debug, Clone)]
struct Node<T> {
    literals: HashMap<String, Node<T>>,
    parameter: Option<Box<Node<T>>>,
    /// Endpoints that take all that is left.
    rest: Vec<Entry<T>>,
    /// Endpoints whose path ends here.
    entries: Vec<Entry<T>>,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    name: EndpointName,
    owner: String,
    target: T,
}

/// What a path and method lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a, T> {
    /// The endpoint, and its parameters as they stand in the path, still encoded.
    Endpoint(&'a T, Vec<(String, String)>),
    /// The path exists, under these methods.
    OtherMethods(Vec<Method>),
    Nothing,
}

/// The place of an endpoint is held already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it belongs to plugin `{owner}` already")]
pub struct Taken {
    pub owner: String,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self(Node::default())
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literals: HashMap::new(), parameter: None, rest: Vec::new(), entries: Vec::new() }
    }
}

impl<T> Routes<T> {
    /// Adds an endpoint of plugin `owner`, unless it clashes with another one.
    pub fn add(&mut self, name: &EndpointName, owner: &str, target: T) -> Result<(), Taken> {
        let entries = self.0.place(name.template());
        if let Some(other) = entries.iter().find(|other| other.name.method == name.method) {
            return Err(Taken { owner: other.owner.clone() });
        }
        entries.push(Entry { name: name.clone(), owner: owner.to_owned(), target });
        Ok(())
    }

    /// `path` is without a query. HEAD finds what GET finds.
    pub fn find(&self, method: &Method, path: &str) -> Found<'_, T> {
        let Some(path) = path.strip_prefix('/') else { return Found::Nothing };
        let mut values = Vec::new();
        let Some(entries) = self.0.find(path, &mut values) else { return Found::Nothing };
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        match entries.iter().find(|entry| entry.name.method == *wanted) {
            Some(entry) => {
                let names = entry.name.params().iter().cloned();
                Found::Endpoint(&entry.target, names.zip(values.into_iter().map(str::to_owned)).collect())
            }
            None => Found::OtherMethods(entries.iter().map(|entry| entry.name.method.clone()).collect()),
        }
    }
}

impl<T> Node<T> {
    /// Where endpoints of this template stand.
    fn place(&mut self, template: &str) -> &mut Vec<Entry<T>> {
        let mut node = self;
        for segment in template.strip_prefix('/').unwrap_or(template).split('/') {
            node = match segment {
                _ if segment.starts_with("{*") => return &mut node.rest,
                _ if segment.starts_with('{') => node.parameter.get_or_insert_default(),
                literal => node.literals.entry(literal.to_owned()).or_default(),
            };
        }
        &mut node.entries
    }

    /// The endpoints of the most literal template that fits; `values` gets those of its parameters. Looks at each node once at most.
    fn find<'a, 'p>(&'a self, path: &'p str, values: &mut Vec<&'p str>) -> Option<&'a [Entry<T>]> {
        let (segment, left) = path.split_once('/').map_or((path, None), |(segment, left)| (segment, Some(left)));
        let known = values.len();
        let goes_on = |node: &'a Self, values: &mut Vec<&'p str>| match left {
            Some(left) => node.find(left, values),
            None => Some(node.entries.as_slice()).filter(|entries| !entries.is_empty()),
        };
        if let Some(found) = self.literals.get(segment).and_then(|node| goes_on(node, values)) {
            return Some(found);
        }
        values.truncate(known);
        if let Some(node) = self.parameter.as_deref().filter(|_| !segment.is_empty()) {
            values.push(segment);
            if let Some(found) = goes_on(node, values) {
                return Some(found);
            }
            values.truncate(known);
        }
        let rest = Some(self.rest.as_slice()).filter(|entries| !entries.is_empty() && !path.is_empty())?;
        values.push(path);
        Some(rest)
    }
}

#[cfg(test)]
mod tests;
