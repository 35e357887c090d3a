//! What `weft build` asks a plugin about itself: its endpoints with JSON Schemas, its method table, its descriptors.
//!
//! See `wit/world.wit` for the world `describer`. Nothing of this is linked into the component that serves requests: nothing in it leads here.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::{DeclaredProblem, Plugin, Status};

/// The version of the contract in `wit/` of a plugin without streams, and of one with them.
const CONTRACT: &str = "0.1.0";
const STREAMING: &str = "0.2.0";

/// What is known of one endpoint's input and output, gathered from the types of its function.
#[derive(Debug, Default)]
pub struct Description {
    path: Option<Value>,
    query: Option<Value>,
    request: Option<Value>,
    response: Option<Value>,
    stream: bool,
    status: Option<Status>,
    identity: Option<&'static str>,
    problems: Option<Vec<Value>>,
    selects: bool,
}

impl Description {
    /// It answers with `T` as JSON.
    pub fn json_response<T: JsonSchema>(&mut self) {
        self.response = Some(schema::<T>(SchemaSettings::draft2020_12().for_serialize()));
    }

    /// It answers with events, whose data are `T` as JSON.
    pub fn event_stream<T: JsonSchema>(&mut self) {
        self.json_response::<T>();
        self.stream = true;
    }

    /// It takes `T` as a JSON body.
    pub fn json_request<T: JsonSchema>(&mut self) {
        self.request = Some(schema::<T>(SchemaSettings::draft2020_12().for_deserialize()));
    }

    /// It takes `T` from the query.
    pub fn query<T: JsonSchema>(&mut self) {
        self.query = Some(schema::<T>(SchemaSettings::draft2020_12().for_deserialize()));
    }

    /// It takes `T` from the path.
    pub fn path<T: JsonSchema>(&mut self) {
        // Inlined, so that each parameter's schema can stand alone.
        let settings =
            SchemaSettings::draft2020_12().for_deserialize().with(|settings| settings.inline_subschemas = true);
        self.path = Some(schema::<T>(settings));
    }

    /// The status of a good answer; `None`: the code decides.
    pub fn status(&mut self, status: Option<Status>) {
        self.status = status;
    }

    /// Whether it takes the caller's identity: `required` or `optional`.
    pub fn identity(&mut self, need: &'static str) {
        self.identity = Some(need);
    }

    /// It looks at which members of the answer are chosen.
    pub fn selection(&mut self) {
        self.selects = true;
    }

    /// It declares all problems of its own; which ones, [`Description::problem`] says.
    pub fn problems(&mut self) {
        self.problems.get_or_insert_default();
    }

    /// It may answer with this problem.
    pub fn problem<T: DeclaredProblem>(&mut self) {
        let problem = json!({"status": T::STATUS, "type": T::KIND, "title": T::TITLE, "description": T::DESCRIPTION});
        self.problems.get_or_insert_default().push(problem);
    }

    /// The template's parameters, in order, with their schemas where the types tell; and what does not fit.
    fn params(&self, names: &[&str]) -> (Value, Vec<String>) {
        let path = self.path.as_ref();
        let properties = path.and_then(|path| path.get("properties")?.as_object());
        let items = path.and_then(|path| path.get("prefixItems")?.as_array());
        let schema = |index: usize, name: &str| match (properties, items) {
            (Some(properties), _) => properties.get(name).cloned(),
            (_, Some(items)) => items.get(index).cloned(),
            _ => path.cloned(),
        };
        let params = names.iter().enumerate();
        let params =
            params.map(|(index, name)| json!({"name": name, "schema": schema(index, name).map(bare)})).collect();

        let mut faults = Vec::new();
        if let Some(properties) = properties {
            let unknown = properties.keys().filter(|key| !names.contains(&key.as_str()));
            faults.extend(unknown.map(|key| format!("`Path` has `{key}`, which the path template does not have")));
        } else if let Some(path) = path {
            // Maps and lists take what comes.
            let any = matches!(path.get("type").and_then(Value::as_str), Some("object" | "array")) && items.is_none();
            let count = items.map_or(1, Vec::len);
            if !any && count != names.len() {
                faults.push(format!("`Path` takes {count} values, the path template has {}", names.len()));
            }
        }
        (params, faults)
    }
}

fn schema<T: JsonSchema>(settings: SchemaSettings) -> Value {
    Schema::to_value(settings.into_generator().into_root_schema_for::<T>())
}

/// Without what only a whole document needs.
fn bare(mut schema: Value) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.remove("$schema");
        members.remove("title");
    }
    schema
}

impl Plugin {
    /// Endpoints, schemas, method table and descriptors as JSON. The same code gives the same text.
    pub fn describe(&self) -> String {
        let (endpoints, faults) = describe(self);
        let description = json!({
            "contract": if endpoints.iter().any(|endpoint| endpoint["stream"] == true) { STREAMING } else { CONTRACT },
            "sdk": concat!("rust/", env!("CARGO_PKG_VERSION")),
            "endpoints": endpoints,
            "methods": self.methods(),
            "descriptors": base64(self.descriptors()),
            "faults": faults,
        });
        sorted(description).to_string()
    }

    /// What is wrong with the plugin and could not be seen by the compiler: a `Path` that does not fit its template.
    pub fn faults(&self) -> Vec<String> {
        describe(self).1
    }
}

/// The endpoints, and what is wrong with them.
fn describe(plugin: &Plugin) -> (Vec<Value>, Vec<String>) {
    let mut faults = Vec::new();
    let endpoints = plugin.endpoints().iter().map(|endpoint| {
        let mut description = Description { status: Some(Status::OK), ..Description::default() };
        if let Some(describe) = endpoint.describe {
            describe(&mut description);
        }
        let names: Vec<&str> = endpoint.params().collect();
        let (params, wrong) = description.params(&names);
        faults.extend(wrong.into_iter().map(|fault| format!("{}: {fault}", endpoint.name)));
        let mut described = json!({
            "method": endpoint.method,
            "path": endpoint.path,
            "summary": endpoint.summary(),
            "description": endpoint.description(),
            "params": params,
            "query": description.query,
            "request": description.request,
            "response": description.response,
            "stream": description.stream,
            "status": description.status.map(Status::number),
            "identity": description.identity,
        });
        // Code that declares none says nothing, rather than that there are none.
        if let (Some(problems), Some(members)) = (description.problems, described.as_object_mut()) {
            members.insert("problems".to_owned(), problems.into());
        }
        if let (true, Some(members)) = (description.selects, described.as_object_mut()) {
            members.insert("selection".to_owned(), true.into());
        }
        described
    });
    (endpoints.collect(), faults)
}

/// Members in the order of their names, whatever map serde_json has been built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().map(|(name, it)| (name, sorted(it))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// Standard alphabet, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * place)) as usize & 63);
            match digit {
                Some(&digit) if place <= chunk.len() => text.push(char::from(digit)),
                _ => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_pads() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
    }
}
