//! `tests/*.toml`: requests, what backends answer to them, and what is expected of the response.

use super::{
    names::{beside, plain},
    stage::Asked,
};
use crate::{
    artifact::Artifact,
    mocks::replies::{Given, Replies},
    model::{Code, Failure},
    routing::{Found, Routes},
    settings::{Document, Mistake, Mistakes, Place, Table, nearest},
};
use http::Method;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// The folder beside `plugin.toml`.
pub(super) const FOLDER: &str = "tests";
/// Bytes of a file.
const LARGEST: u64 = 16 << 20;

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) endpoint: String,
    pub(super) asked: Asked,
    /// By method, what is given.
    pub(super) given: Vec<(String, Given)>,
    pub(super) delays: BTreeMap<String, Duration>,
    pub(super) expected: Expected,
    /// Where its snapshot lies, if it wants one.
    pub(super) snapshot: Option<PathBuf>,
}

/// What is expected. What nothing is said of may be anything.
#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    pub(super) degraded: Option<Vec<String>>,
    /// Calls upstream by method, a number or `*`.
    pub(super) upstream: Option<Map<String, Value>>,
    pub(super) depth: Option<u32>,
}

impl Case {
    /// What backends answer, on top of what is made.
    pub(super) fn replies(&self, replies: Replies) -> Replies {
        self.given.iter().fold(replies, |replies, (method, given)| replies.given(method, given.clone()))
    }
}

/// All cases of the plugin in this folder, in the order of the files. Every mistake is found in one go.
pub(super) fn read(folder: &Path, artifact: &Artifact, replies: &Replies) -> Result<Vec<Case>, Vec<Mistake>> {
    let tests = beside(folder, FOLDER);
    let entries = fs::read_dir(&tests).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    let (mistakes, mut cases) = (Mistakes::new(), Vec::new());
    for file in files {
        let wrong = |message: String| {
            mistakes.add(Mistake { file: file.display().to_string().into(), line: 0, key: String::new(), message });
        };
        match fs::metadata(&file) {
            Ok(meta) if meta.len() > LARGEST => wrong(format!("has {} bytes, and may have {LARGEST}", meta.len())),
            Err(error) => wrong(format!("can't be read: {error}")),
            Ok(_) => match fs::read_to_string(&file) {
                Ok(text) => Reader { file: &file, artifact, replies }.read(&text, &mistakes, &mut cases),
                Err(error) => wrong(format!("can't be read: {error}")),
            },
        }
    }
    match mistakes.into_sorted() {
        mistakes if mistakes.is_empty() => Ok(cases),
        mistakes => Err(mistakes),
    }
}

struct Reader<'a> {
    file: &'a Path,
    artifact: &'a Artifact,
    replies: &'a Replies,
}

impl Reader<'_> {
    fn read(&self, text: &str, mistakes: &Mistakes, cases: &mut Vec<Case>) {
        let document = Document::parse(self.file, text, mistakes);
        let root = document.table(mistakes);
        let mut names: Vec<String> = Vec::new();
        for table in root.tables("case") {
            let Some(case) = self.case(&table) else { continue };
            if names.contains(&case.name) {
                table.mistake("name", format!("there is another case {:?} in this file", case.name));
            }
            names.push(case.name.clone());
            cases.push(case);
        }
        if !root.has("case") && mistakes.is_empty() {
            root.mistake("", "has no [[case]]");
        }
    }

    fn case(&self, table: &Table<'_>) -> Option<Case> {
        let name: Option<String> = table.required("name");
        let request: Option<String> = table.required("request");
        let headers = strings(table, "headers");
        let caller = object(table, "caller");
        let body: Option<Value> = table.optional("body");
        let mut case = Case {
            name: name?,
            place: table.place(""),
            endpoint: String::new(),
            asked: Asked {
                headers,
                caller,
                body: body.map(|body| match body {
                    // As it is: what is no JSON stands in a string.
                    Value::String(text) => text.into_bytes(),
                    body => body.to_string().into_bytes(),
                }),
                ..Asked::default()
            },
            given: Vec::new(),
            delays: BTreeMap::new(),
            expected: Expected::default(),
            snapshot: None,
        };
        for call in table.tables("call") {
            self.call(&call, &mut case);
        }
        self.expect(&table.table("expect"), &mut case);
        let request = request?;
        let Some((method, target)) = request.split_once(' ') else {
            table.mistake("request", "expected a method and a path, such as \"GET /films/7?page=2\"");
            return None;
        };
        case.asked.method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        target.trim().clone_into(&mut case.asked.target);
        case.endpoint = self.endpoint(table, method, target.trim())?;
        Some(case)
    }

    /// The endpoint that the request is for.
    fn endpoint(&self, table: &Table<'_>, method: &str, target: &str) -> Option<String> {
        let path = target.split('?').next().unwrap_or_default();
        let names = || self.artifact.manifest.endpoints.iter().map(|policy| &policy.name);
        let mut routes = Routes::default();
        // No two of a manifest have the same place.
        names().for_each(|name| drop(routes.add(name, "", name.to_string())));
        if let Found::Endpoint(name, _) = routes.find(&Method::from_bytes(method.as_bytes()).ok()?, path) {
            return Some(name.clone());
        }
        let asked = format!("{method} {path}");
        let known: Vec<String> = names().map(ToString::to_string).collect();
        let nearest = known.iter().min_by_key(|known| difference(known, &asked));
        let hint = match nearest {
            Some(near) => format!("the nearest that it has is \"{near}\""),
            None => "it has none".to_owned(),
        };
        table.mistake("request", format!("the plugin has no endpoint for {asked}; {hint}"));
        None
    }

    fn call(&self, table: &Table<'_>, case: &mut Case) {
        let method: Option<String> = table.required("method");
        let (request, reply): (Option<Value>, Option<Value>) = (table.optional("request"), table.optional("reply"));
        let (file, fails): (Option<String>, Option<String>) = (table.optional("file"), table.optional("fails"));
        let message: String = table.or("message", "the test case lets it fail".to_owned());
        let delay: Option<Duration> = table.optional("delay");
        let Some(method) = method else { return };
        let Some(found) = self.replies.method(&method).filter(|_| self.is_reachable(&method)) else {
            let known = self.artifact.methods.iter().map(String::as_str);
            let hint = nearest(&method, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            table.mistake("method", format!("the plugin does not call `{method}`{hint}"));
            return;
        };
        let given = match (reply, &file, fails) {
            (Some(reply), None, None) => {
                written(reply).and_then(|reply| Given::reply(&found, &reply)).map_err(|reason| ("reply", reason))
            }
            (None, Some(file), None) => self
                .recorded(file)
                .and_then(|reply| Given::reply(&found, &reply).map_err(|reason| format!("{file}: {reason}")))
                .map_err(|reason| ("file", reason)),
            (None, None, Some(code)) => match Code::from_name(&code).filter(|code| *code != Code::Ok) {
                Some(code) => Ok(Given::failure(Failure::new(code, message))),
                None => Err(("fails", format!("`{code}` is no gRPC status code such as \"UNAVAILABLE\""))),
            },
            (None, None, None) if delay.is_some() => {
                case.delays.extend(delay.map(|delay| (method, delay)));
                return;
            }
            _ => Err(("", "expected one of `reply`, `file` and `fails`".to_owned())),
        };
        let given = given.and_then(|given| match &request {
            Some(request) => given.when(&found, request).map_err(|reason| ("request", reason)),
            None => Ok(given),
        });
        match given {
            Ok(given) => {
                case.delays.extend(delay.map(|delay| (method.clone(), delay)));
                case.given.push((method, given));
            }
            Err((key, reason)) => table.mistake(key, reason),
        }
    }

    /// What the plugin calls, or what such calls are batched by.
    fn is_reachable(&self, method: &str) -> bool {
        let service = method.split_once('/').map(|(service, _)| service);
        service.is_some_and(|service| self.artifact.manifest.calls.contains_key(service))
    }

    /// JSON of a file, whose path is seen from the case's.
    fn recorded(&self, file: &str) -> Result<Value, String> {
        let path = self.file.parent().unwrap_or(Path::new("")).join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: is no JSON: {error}", path.display()))
    }

    fn expect(&self, table: &Table<'_>, case: &mut Case) {
        let degraded: Option<Vec<String>> = table.optional("degraded");
        case.expected = Expected {
            status: table.optional("status"),
            headers: strings(table, "headers"),
            body: table.optional("body"),
            degraded: degraded.map(|mut parts| {
                parts.sort();
                parts
            }),
            upstream: object(table, "upstream"),
            depth: table.optional("depth"),
        };
        let methods = case.expected.upstream.iter().flat_map(Map::keys).chain(case.expected.degraded.iter().flatten());
        for method in methods.filter(|method| *method != "*") {
            if self.replies.method(method).is_none() {
                table.mistake("upstream", format!("the plugin's protos have no method `{method}`"));
            }
        }
        if table.or("snapshot", false) {
            let file = self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let folder = self.file.parent().unwrap_or(Path::new("")).join("snapshots");
            case.snapshot = Some(folder.join(format!("{file}.{}.json", plain(&case.name))));
        }
    }
}

/// A table, or JSON in a string.
fn written(reply: Value) -> Result<Value, String> {
    match reply {
        Value::String(text) => serde_json::from_str(&text).map_err(|error| format!("is no JSON: {error}")),
        reply => Ok(reply),
    }
}

fn object(table: &Table<'_>, key: &str) -> Option<Map<String, Value>> {
    match table.optional(key)? {
        Value::Object(members) => Some(members),
        _ => {
            table.mistake(key, "expected a table");
            None
        }
    }
}

fn strings(table: &Table<'_>, key: &str) -> Vec<(String, String)> {
    let members = object(table, key).unwrap_or_default().into_iter();
    members.map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
}

/// How far two endpoints are from each other: by segments of the path that differ, by letters, and by the method.
fn difference(known: &str, asked: &str) -> (usize, usize, bool) {
    let ((method, known), (other, asked)) =
        (known.split_once(' ').unwrap_or_default(), asked.split_once(' ').unwrap_or_default());
    let (known, asked): (Vec<&str>, Vec<&str>) = (known.split('/').collect(), asked.split('/').collect());
    let (mut segments, mut letters) = (known.len().abs_diff(asked.len()), 0);
    for (one, other) in known.iter().zip(&asked) {
        if one != other && !one.starts_with('{') {
            segments += usize::from(nearest(one, std::iter::once(*other)).is_none());
            letters += one.len().abs_diff(other.len()) + 1;
        }
    }
    (segments, letters, method != other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_endpoint_is_the_one_with_a_slip_in_it() {
        let known = ["GET /home", "GET /films/{id}", "GET /people/{id}", "POST /films/{id}/rating"];
        for (asked, near) in [("GET /film/7", 1), ("GET /hmoe", 0), ("GET /films/7/rating", 3), ("GET /peopel/1", 2)] {
            let found = known.iter().min_by_key(|known| difference(known, asked)).unwrap();
            assert_eq!(*found, known[near], "{asked}");
        }
    }
}
