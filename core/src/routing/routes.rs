//! From path and method to endpoint, for one client.
//!
//! A tree of segments, which are compared in normal form: a literal goes before a parameter, and a parameter before `{*rest}`. Parameters have their names at the
//! endpoint, not in the tree, so two plugins may hold `/films/{id}` and `/films/{slug}` under different methods.

use crate::artifact::{EndpointName, normal};
use http::Method;
use std::collections::HashMap;

/// All endpoints of one client, each leading to a `T`. The nodes lie in a list and name each other by their place in it: however deep the
/// tree is, to search, copy or drop it takes no stack.
#[derive(Debug, Clone)]
pub struct Routes<T>(Vec<Node<T>>);

/// The node that every path begins at.
const ROOT: usize = 0;

/// Where the segments of a path have led so far.
#[derive(Debug, Clone)]
struct Node<T> {
    literals: HashMap<String, usize>,
    parameter: Option<usize>,
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
        Self(vec![Node::default()])
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
        let entries = self.place(name.template());
        if let Some(other) = entries.iter().find(|other| other.name.method == name.method) {
            return Err(Taken { owner: other.owner.clone() });
        }
        entries.push(Entry { name: name.clone(), owner: owner.to_owned(), target });
        Ok(())
    }

    /// `path` is without a query. HEAD finds what GET finds.
    pub fn find(&self, method: &Method, path: &str) -> Found<'_, T> {
        let Some(path) = path.strip_prefix('/') else { return Found::Nothing };
        let Some((entries, values)) = self.search(path) else { return Found::Nothing };
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        match entries.iter().find(|entry| entry.name.method == *wanted) {
            Some(entry) => {
                let names = entry.name.params().iter().cloned();
                Found::Endpoint(&entry.target, names.zip(values.into_iter().map(str::to_owned)).collect())
            }
            None => Found::OtherMethods(entries.iter().map(|entry| entry.name.method.clone()).collect()),
        }
    }

    /// Where endpoints of this template stand.
    #[expect(clippy::indexing_slicing, reason = "places come from this list, and nothing is ever taken out of it")]
    fn place(&mut self, template: &str) -> &mut Vec<Entry<T>> {
        let mut at = ROOT;
        for segment in template.strip_prefix('/').unwrap_or(template).split('/') {
            if segment.starts_with("{*") {
                return &mut self.0[at].rest;
            }
            let new = self.0.len();
            let node = &mut self.0[at];
            at = match segment.starts_with('{') {
                true => *node.parameter.get_or_insert(new),
                false => *node.literals.entry(normal(segment).into_owned()).or_insert(new),
            };
            if at == new {
                self.0.push(Node::default());
            }
        }
        &mut self.0[at].entries
    }

    /// The endpoints of the most literal template that fits, and the values of its parameters. Looks at each node once at most.
    fn search<'p>(&self, path: &'p str) -> Option<(&[Entry<T>], Vec<&'p str>)> {
        // What is still to be tried, the most literal last, each with how many values are known by then and the one that it adds.
        let mut open = vec![(Way::On(ROOT, path), 0, None)];
        let mut values: Vec<&'p str> = Vec::new();
        while let Some((way, known, value)) = open.pop() {
            values.truncate(known);
            values.extend(value);
            let known = values.len();
            match way {
                Way::On(at, path) => {
                    let node = self.0.get(at)?;
                    let (segment, left) = path.split_once('/').map_or((path, None), |(one, left)| (one, Some(left)));
                    let on = |next| left.map_or(Way::End(next), |left| Way::On(next, left));
                    if !path.is_empty() && !node.rest.is_empty() {
                        open.push((Way::Rest(at), known, Some(path)));
                    }
                    if let Some(next) = node.parameter.filter(|_| !segment.is_empty()) {
                        open.push((on(next), known, Some(segment)));
                    }
                    open.extend(node.literals.get(&*normal(segment)).map(|next| (on(*next), known, None)));
                }
                Way::End(at) => {
                    let entries = &self.0.get(at)?.entries;
                    if !entries.is_empty() {
                        return Some((entries, values));
                    }
                }
                Way::Rest(at) => return Some((&self.0.get(at)?.rest, values)),
            }
        }
        None
    }
}

/// Where a search may go on.
enum Way<'p> {
    /// From a node, with what is left of the path.
    On(usize, &'p str),
    /// To a node at which the path ends.
    End(usize),
    /// To what a node has for all that is left.
    Rest(usize),
}

#[cfg(test)]
mod tests;
