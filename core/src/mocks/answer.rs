//! What a request gets: an example, a value made from the schema, or what it asked for by its headers.

use super::{
    asked::{Asked, Problem},
    dice::mixed,
    example::{EndpointMocks, Example, Mocks},
    generate,
    how::How,
    injection::{Misunderstood, Wishes},
    request, schema,
};
use crate::model::ProblemType;
use serde_json::{Map, Value};
use std::time::Duration;

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub delay: Duration,
    /// Calls whose part is less than it should be.
    pub degraded: Vec<(String, How)>,
    pub outcome: Outcome,
}

/// What goes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Response {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Data of events, each JSON.
    Events {
        headers: Vec<(String, String)>,
        data: Vec<Value>,
    },
    Problem(Problem),
}

impl From<Misunderstood> for Problem {
    fn from(Misunderstood { header, why }: Misunderstood) -> Self {
        Self::invalid(&format!("header.{header}"), &why)
    }
}

/// What goes out, and the calls that the chosen example says are degraded.
type Chosen<'a> = (Outcome, &'a [(String, How)]);

impl Mocks {
    /// What the request gets.
    pub fn answer(&self, asked: Asked<'_>) -> Answer {
        self.wanted(asked).unwrap_or_else(|problem| Answer {
            delay: Duration::ZERO,
            degraded: Vec::new(),
            outcome: Outcome::Problem(problem),
        })
    }

    fn wanted(&self, asked: Asked<'_>) -> Result<Answer, Problem> {
        let endpoint = self.endpoints.get(asked.endpoint).ok_or_else(|| {
            let detail = format!("nothing is known of \"{}\"", asked.endpoint);
            Problem { status: 500, detail, ..Problem::default() }
        })?;
        let wishes = Wishes::read(asked.headers, self, &endpoint.examples)?;
        request::check(&endpoint.schema, endpoint.is_json(), asked)?;
        let Wishes { delay, .. } = wishes;
        let seed = mixed(wishes.seed.unwrap_or(self.seed), asked.endpoint);
        let seed = asked.params.iter().fold(seed, |seed, (name, value)| mixed(seed, &format!("{name}={value}")));
        let (outcome, own) = match &wishes.problem {
            Some(name) => (Outcome::Problem(endpoint.problem(name)?), &[][..]),
            None => endpoint.outcome(&wishes, asked, seed)?,
        };
        let degraded = if wishes.degraded.is_empty() { own.to_vec() } else { wishes.degraded };
        Ok(Answer { delay, degraded, outcome })
    }
}

impl EndpointMocks {
    fn outcome(&self, wishes: &Wishes, asked: Asked<'_>, seed: u64) -> Result<Chosen<'_>, Problem> {
        let example = self.choose(wishes, asked.params);
        let own = example.map_or(&[][..], |example| example.degraded.as_slice());
        let usual =
            self.schema.more.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        let of_example = example.and_then(|example| example.status);
        let status = wishes.status.or(of_example).or(usual).unwrap_or(200);
        if status >= 400 && (of_example != Some(status) || example.is_some_and(|example| example.problem.is_some())) {
            let members = example.and_then(|example| example.problem.as_ref()).filter(|_| of_example == Some(status));
            let mut problem = Problem::of_example(status, members.unwrap_or(&Map::new()));
            if members.is_none() {
                problem.detail = "asked for by x-mock-status".to_owned();
                problem.retry_after = matches!(status, 429 | 503).then_some(1);
            }
            return Ok((Outcome::Problem(problem), own));
        }
        let mut headers = example.map(|example| example.headers.clone()).unwrap_or_default();
        if self.schema.streams() {
            let data = match example.and_then(|example| example.body.clone()) {
                Some(Value::Array(data)) => data,
                Some(data) => vec![data],
                None => self.several(asked, seed)?,
            };
            return Ok((Outcome::Events { headers, data }, own));
        }
        let body = match example.and_then(|example| example.body.clone()) {
            _ if matches!(status, 204 | 205 | 304) => None,
            Some(body) => Some(body),
            None => self.made(asked, seed)?,
        };
        let body = match body {
            Some(Value::String(text)) if self.schema.response.is_none() => Some(text.into_bytes()),
            Some(body) => Some(body.to_string().into_bytes()),
            None => None,
        };
        if body.is_some() && !headers.iter().any(|(name, _)| name == "content-type") {
            headers.push(("content-type".to_owned(), self.media_type.clone()));
        }
        Ok((Outcome::Response { status, headers, body: body.unwrap_or_default() }, own))
    }

    /// By its name; then what has the status, or the degraded parts, that are asked for; then what is for these values of the path.
    fn choose(&self, wishes: &Wishes, params: &[(String, String)]) -> Option<&Example> {
        let all = || self.examples.iter();
        if let Some(name) = &wishes.example {
            return all().find(|example| example.name == *name);
        }
        let fits = |example: &&Example| {
            !example.params.is_empty() && example.params.iter().all(|param| params.contains(param))
        };
        let usual = || all().find(fits).or(self.examples.first().filter(|first| first.params.is_empty()));
        if wishes.status.is_some() {
            return all().find(|example| example.status == wishes.status).or_else(usual);
        }
        if !wishes.degraded.is_empty() {
            let has = |example: &&Example| {
                let is_asked = |(name, _): &(String, How)| wishes.degraded.iter().any(|(asked, _)| asked == name);
                !example.degraded.is_empty() && example.degraded.iter().all(is_asked)
            };
            return all().filter(has).max_by_key(|example| example.degraded.len()).or_else(usual);
        }
        usual()
    }

    /// Values from the schema for a stream.
    fn several(&self, asked: Asked<'_>, seed: u64) -> Result<Vec<Value>, Problem> {
        let mut data = Vec::new();
        for number in ["1", "2", "3"] {
            data.extend(self.made(asked, mixed(seed, number))?);
        }
        Ok(data)
    }

    /// A value from the schema, about the thing that the path names.
    fn made(&self, asked: Asked<'_>, seed: u64) -> Result<Option<Value>, Problem> {
        let Some(of) = &self.schema.response else {
            return Ok((!self.is_json()).then(|| Value::String("A text of this endpoint.\n".to_owned())));
        };
        let made = generate::value(of, seed).map_err(|why| {
            let detail =
                format!("no answer can be made from the schema of this endpoint: {why}; write an example for it");
            Problem { status: 501, detail, ..Problem::default() }
        })?;
        let Value::Object(members) = &made else { return Ok(Some(made)) };
        let mut about = members.clone();
        for (name, text) in asked.params {
            if let Some(value) = about.get_mut(name) {
                *value = match value {
                    Value::Number(_) => text.parse().map_or_else(|_| value.clone(), Value::Number),
                    Value::String(_) => Value::String(text.clone()),
                    _ => continue,
                };
            }
        }
        let about = Value::Object(about);
        Ok(Some(if schema::check(of, &about).is_empty() { about } else { made }))
    }

    /// One of an example, one that the code declares, or one of the host's own.
    fn problem(&self, name: &str) -> Result<Problem, Problem> {
        let is_named = |kind: &str| kind == name || kind.rsplit(['/', ':']).next() == Some(name);
        let of_examples = self.examples.iter().filter_map(|example| {
            let problem = example.problem.as_ref()?;
            let kind = problem.get("type").and_then(Value::as_str).unwrap_or_default();
            Some((kind, Problem::of_example(example.status.unwrap_or(400), problem)))
        });
        let declared = self.schema.more.get("problems").and_then(Value::as_array).into_iter().flatten();
        let declared = declared.filter_map(|problem| {
            let members = problem.as_object()?;
            let status = members.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
            let detail = members.get("description").and_then(Value::as_str).unwrap_or("asked for by x-mock-problem");
            let problem = Problem::of_example(status.unwrap_or(400), members);
            let problem = Problem { detail: detail.to_owned(), members: Vec::new(), ..problem };
            Some((members.get("type")?.as_str()?, problem))
        });
        let mut own: Vec<(&str, Problem)> = of_examples.chain(declared).collect();
        if let Some(at) = own.iter().position(|(kind, _)| is_named(kind)) {
            return Ok(own.swap_remove(at).1);
        }
        let of_host = ProblemType::ALL.iter().copied().find(|kind| is_named(&kind.uri()));
        of_host.map(Problem::of_host).ok_or_else(|| {
            let hosts = ProblemType::ALL.iter().map(|kind| kind.as_str().to_owned());
            let known: Vec<String> =
                own.iter().map(|(kind, _)| (*kind).to_owned()).filter(|kind| !kind.is_empty()).chain(hosts).collect();
            let why = format!("there is no problem {name:?}; there are: {}", known.join(", "));
            Problem::invalid("header.x-mock-problem", &why)
        })
    }
}
