//! From path and method to endpoint, for one client.
//!
//! matchit finds the path, with parameters named by their place, so that two plugins may hold `/films/{id}` and `/films/{slug}`
//! under different methods. A literal segment goes before a parameter, and a parameter before `{*rest}`.

use super::Refusal;
use crate::artifact::EndpointName;
use http::Method;
use std::collections::HashMap;

/// All endpoints of one client, each leading to a `T`.
#[derive(Debug, Clone)]
pub struct Routes<T> {
    paths: matchit::Router<usize>,
    entries: Vec<Vec<Entry<T>>>,
    by_path: HashMap<String, usize>,
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

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { paths: matchit::Router::new(), entries: Vec::new(), by_path: HashMap::new() }
    }
}

impl<T> Routes<T> {
    /// Adds an endpoint of plugin `owner`, unless it clashes with another one.
    pub(super) fn add(&mut self, client: &str, name: &EndpointName, owner: &str, target: T) -> Result<(), Refusal> {
        let path = name.normalized();
        let entry = Entry { name: name.clone(), owner: owner.to_owned(), target };
        if let Some(entries) = self.by_path.get(&path).and_then(|place| self.entries.get_mut(*place)) {
            if let Some(other) = entries.iter().find(|other| other.name.method == name.method) {
                let (endpoint, client, owner) = (name.to_string(), client.to_owned(), other.owner.clone());
                return Err(Refusal::EndpointTaken { endpoint, client, owner });
            }
            entries.push(entry);
            return Ok(());
        }
        self.paths.insert(path.clone(), self.entries.len()).map_err(|error| Refusal::PathClash {
            endpoint: name.to_string(),
            client: client.to_owned(),
            reason: error.to_string(),
        })?;
        self.by_path.insert(path, self.entries.len());
        self.entries.push(vec![entry]);
        Ok(())
    }

    /// `path` is without a query. HEAD finds what GET finds.
    pub fn find(&self, method: &Method, path: &str) -> Found<'_, T> {
        let Ok(matched) = self.paths.at(path) else { return Found::Nothing };
        let Some(entries) = self.entries.get(*matched.value) else { return Found::Nothing };
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        match entries.iter().find(|entry| entry.name.method == *wanted) {
            Some(entry) => {
                let names = entry.name.params().iter().cloned();
                let params = names.zip(matched.params.iter().map(|(_, value)| value.to_owned())).collect();
                Found::Endpoint(&entry.target, params)
            }
            None => Found::OtherMethods(entries.iter().map(|entry| entry.name.method.clone()).collect()),
        }
    }
}

#[cfg(test)]
mod tests;
