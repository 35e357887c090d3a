//! What is wrong with a JSON body: every field at fault, in the words that paths and queries have.
//!
//! serde stops at the first fault. So a body that was refused is read again; what was found wrong is taken for right, whatever the type wants
//! there, until nothing new is found. Bodies that are well cost nothing of this.

mod place;
mod read;

use std::fmt::{self, Write};

use serde::de::{self, DeserializeOwned};
use serde_json::Value;

use crate::Problem;
use read::At;

/// Faults that are told of one body.
const MOST_TOLD: usize = 20;
/// Bytes that are read in search of them: whoever sends large bodies must not have them read twenty times.
const MOST_READ: usize = 256 << 10;

/// A 400 for a body that could not be read as a `T`.
pub(super) fn problem<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return Problem::bad_request(format_args!("body: not JSON: {error}")).with("field", "body");
    }
    let most = (MOST_READ / text.len().max(1)).clamp(1, MOST_TOLD);
    let faults = serde_json::from_str::<Value>(text).map(|body| find::<T>(&body, most)).unwrap_or_default();
    match faults.as_slice() {
        // It can't be seen in what was read.
        [] => {
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            Problem::invalid(&place::of(text.as_bytes(), error), expected_found(message))
        }
        [fault] => Problem::invalid(&fault.path, &fault.message),
        [first, ..] => {
            let mut detail = String::new();
            for (at, Fault { path, message, .. }) in faults.iter().enumerate() {
                let separator = if at == 0 { "" } else { "; " };
                // Writing to a string can't fail.
                let _ = write!(detail, "{separator}{path}: {message}");
            }
            let fields: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
            Problem::bad_request(detail).with("field", &first.path).with("fields", fields.join(", "))
        }
    }
}

fn find<T: DeserializeOwned>(body: &Value, most: usize) -> Vec<Fault> {
    let mut told: Vec<Fault> = Vec::new();
    while told.len() < most {
        let Err(fault) = T::deserialize(At::whole(body, &told)) else { break };
        // What stands in for something wrong is not right either: there is no way on from here.
        if fault.place == Place::Unknown || told.iter().any(|other| other.place == fault.place) {
            break;
        }
        told.push(fault);
    }
    told
}

/// Where a fault is, by the values of the body that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Unknown,
    /// At the address of this value.
    Value(usize),
    /// A member of the object at this address: one that is missing, or one that the type does not have.
    Member(usize, String),
}

/// One thing that is wrong.
#[derive(Debug)]
struct Fault {
    place: Place,
    path: String,
    message: String,
    missing: Option<&'static str>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = expected_found(&message.to_string());
        Self { place: Place::Unknown, path: String::new(), message, missing: None }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::custom("is required, but missing") }
    }
}

/// serde's `invalid type: A, expected B`, the other way round.
fn expected_found(message: &str) -> String {
    let invalid =
        ["invalid type: ", "invalid value: ", "invalid length "].iter().find_map(|it| message.strip_prefix(it));
    match invalid.and_then(|rest| rest.rsplit_once(", expected ")) {
        // The caller knows what it has sent: the beginning will do.
        Some((found, expected)) => format!("expected {expected}, found {found:.100}"),
        None => message.to_owned(),
    }
}
