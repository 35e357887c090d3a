//! What never reaches a disk: taken out of exchanges that are recorded, and told of.
//!
//! Headers that carry credentials are left out. Fields and claims that `[redact]` of a manifest names, fields that are secrets by their
//! names, and whatever looks like a token or a mail address is replaced, the same value by the same one everywhere; so what belonged
//! together still does.

mod looks;

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Headers that say who calls, or let somebody else say so.
const CREDENTIALS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "www-authenticate",
    "authentication-info",
    "x-api-key",
    "x-amz-security-token",
];
/// Fields that are secrets wherever they stand.
const SECRETS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "clientsecret",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "sessiontoken",
    "apikey",
    "privatekey",
    "creditcard",
    "cardnumber",
    "cvv",
];

/// Bytes of a text from where on it is looked for elsewhere as well: shorter ones mean something else there.
const SHORT: usize = 3;

/// Something that was replaced, or left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    pub place: String,
    pub why: &'static str,
}

/// Takes out of one exchange what must not be kept.
#[derive(Debug, Default)]
pub struct Redactor {
    fields: BTreeSet<String>,
    claims: BTreeSet<String>,
    /// Whether a field that has to go goes as a whole, where a text in its place would fit no schema.
    removes: bool,
    /// What was replaced, by what.
    known: BTreeMap<String, String>,
    told: BTreeMap<String, &'static str>,
}

impl Redactor {
    /// By the names of `[redact]`.
    pub fn new(fields: &[String], claims: &[String]) -> Self {
        let plain = |names: &[String]| names.iter().map(|name| plain(name)).collect();
        Self { fields: plain(fields), claims: plain(claims), ..Self::default() }
    }

    /// Everything that was taken out so far, by its place.
    pub fn told(&self) -> Vec<Replaced> {
        self.told.iter().map(|(place, why)| Replaced { place: place.clone(), why }).collect()
    }

    /// A header as it may be kept; `None` where it may not.
    pub fn header(&mut self, name: &str, value: &str) -> Option<String> {
        let place = format!("header {name}");
        if CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) {
            self.told.insert(place, "carries a credential");
            return None;
        }
        Some(match self.is_named(name) {
            Some(why) => self.replaced(&place, value, why),
            None => self.text(&place, value),
        })
    }

    /// A path with its query.
    pub fn target(&mut self, target: &str) -> String {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let segments: Vec<String> = path.split('/').map(|segment| self.text("path", segment)).collect();
        let path = segments.join("/");
        let Some(query) = query else { return path };
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) => {
                let place = format!("query {name}");
                let value = match self.is_named(name) {
                    Some(why) => self.replaced(&place, value, why),
                    None => self.text(&place, value),
                };
                format!("{name}={value}")
            }
            None => pair.to_owned(),
        });
        format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
    }

    /// The claims of a caller.
    pub fn claims(&mut self, claims: &mut Map<String, Value>) {
        for (name, value) in claims {
            let place = format!("claim {name}");
            let is_claim = self.claims.contains(&plain(name));
            match self.is_named(name).or_else(|| is_claim.then_some("is named in [redact]")) {
                Some(why) => self.leaves(&place, value, why),
                None => self.json(&place, value),
            }
        }
    }

    /// A body or a message, and all that is inside.
    pub fn json(&mut self, place: &str, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(place, text),
            Value::Array(items) => {
                let place = format!("{place}[]");
                items.iter_mut().for_each(|item| self.json(&place, item));
            }
            Value::Object(members) => {
                let named: Vec<(String, &'static str)> =
                    members.keys().filter_map(|name| Some((name.clone(), self.is_named(name)?))).collect();
                for (name, why) in &named {
                    let why = *why;
                    let place = format!("{place}.{name}");
                    if self.removes {
                        members.remove(name);
                        self.told.insert(place, why);
                    } else if let Some(value) = members.get_mut(name) {
                        self.leaves(&place, value, why);
                    }
                }
                for (name, value) in
                    members.iter_mut().filter(|(name, _)| !named.iter().any(|(other, _)| other == *name))
                {
                    self.json(&format!("{place}.{name}"), value);
                }
            }
            _ => {}
        }
    }

    /// As [`Redactor::json`], for what has to fit a schema that no other text fits: named fields are left out.
    pub fn json_without(&mut self, place: &str, value: &mut Value) {
        self.removes = true;
        self.json(place, value);
        self.removes = false;
    }

    /// A text in which what looks like a token or a mail address is replaced.
    pub fn text(&mut self, place: &str, text: &str) -> String {
        if let Some(by) = self.known.get(text).filter(|_| text.len() >= SHORT) {
            self.told.entry(place.to_owned()).or_insert("is what was replaced elsewhere");
            return by.clone();
        }
        let mut out = String::with_capacity(text.len());
        let mut end = 0;
        for (range, looks) in looks::found(text) {
            out.push_str(text.get(end..range.start).unwrap_or_default());
            out.push_str(&self.replaced(place, text.get(range.clone()).unwrap_or_default(), looks));
            end = range.end;
        }
        out.push_str(text.get(end..).unwrap_or_default());
        out
    }

    /// Why a field with this name is not kept; `None` where it is.
    fn is_named(&self, name: &str) -> Option<&'static str> {
        let plain = plain(name);
        if self.fields.contains(&plain) {
            return Some("is named in [redact]");
        }
        SECRETS.contains(&plain.as_str()).then_some("is a secret by its name")
    }

    /// Everything inside.
    fn leaves(&mut self, place: &str, value: &mut Value, why: &'static str) {
        match value {
            Value::String(text) => *text = self.replaced(place, text, why),
            Value::Array(items) => items.iter_mut().for_each(|item| self.leaves(place, item, why)),
            Value::Object(members) => members.values_mut().for_each(|value| self.leaves(place, value, why)),
            Value::Number(_) => {
                *value = 0.into();
                self.told.insert(place.to_owned(), why);
            }
            Value::Bool(_) => {
                *value = false.into();
                self.told.insert(place.to_owned(), why);
            }
            Value::Null => {}
        }
    }

    fn replaced(&mut self, place: &str, text: &str, why: &'static str) -> String {
        self.told.insert(place.to_owned(), why);
        let number = self.known.len() + 1;
        let is_mail = looks::is_mail(text);
        let made = || if is_mail { format!("redacted-{number}@example.com") } else { format!("redacted-{number}") };
        self.known.entry(text.to_owned()).or_insert_with(made).clone()
    }
}

/// `firstName`, `first_name` and `First-Name` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
