//! Who a token's claims make its bearer, told in another way than the host does.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};
use weft_core::model::Identity;

const LEEWAY: f64 = 30.0;
/// The end of the year 9999.
const LAST: f64 = 253_402_300_799.0;

/// What an identity has to hold.
#[derive(Debug)]
pub(super) struct Deserved {
    issuer: String,
    subject: String,
    tenant: Option<String>,
    scopes: Vec<String>,
}

impl Deserved {
    pub(super) fn assert_is(&self, identity: &Identity) {
        assert_eq!((&*identity.issuer, &*identity.subject), (self.issuer.as_str(), self.subject.as_str()));
        assert_eq!((identity.tenant.as_deref(), &identity.scopes), (self.tenant.as_deref(), &self.scopes));
        assert!(identity.expires_at > SystemTime::now());
    }
}

/// An object as it is written, names that come twice included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

impl Members {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.as_str().map(str::to_owned)
    }

    /// `None` where it is no time.
    fn time(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64().filter(|seconds| (0.0..=LAST).contains(seconds))
    }
}

/// `None`: nobody.
pub(super) fn deserved(claims: &[u8]) -> Option<Deserved> {
    let claims: Members = serde_json::from_slice(claims).ok()?;
    let names: BTreeSet<&String> = claims.0.iter().map(|(name, _)| name).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    let issuer =
        claims.text("iss").filter(|name| ["https://iss.test", "https://other.test"].contains(&name.as_str()))?;
    let subject = claims.text("sub").filter(|subject| !subject.is_empty())?;
    let is_for_us = match claims.get("aud")? {
        Value::Array(many) => many.contains(&Value::from("bff")),
        one => *one == "bff",
    };
    let has_begun = match claims.get("nbf") {
        Some(_) => claims.time("nbf")? <= now + LEEWAY,
        None => true,
    };
    let goes_on = claims.time("exp")? + LEEWAY > now;
    let scopes = match claims.get("scope") {
        Some(Value::String(list)) => list.split_ascii_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let counts = names.len() == claims.0.len() && is_for_us && has_begun && goes_on;
    counts.then(|| Deserved {
        issuer,
        subject,
        tenant: claims.text("tenant").filter(|tenant| !tenant.is_empty()),
        scopes,
    })
}

/// Whether a token with this header may count at all.
pub(super) fn is_good_header(header: &[u8]) -> bool {
    let Ok(header) = serde_json::from_slice::<Value>(header) else { return false };
    let text = |name: &str| header.get(name).filter(|value| !value.is_null()).map(|value| value.as_str().unwrap_or(""));
    let typ = text("typ").map(|typ| typ.strip_prefix("application/").unwrap_or(typ).to_ascii_lowercase());
    text("alg") == Some("EdDSA")
        && text("kid").is_none_or(|id| id == "demo")
        && text("crit").is_none()
        && typ.is_none_or(|typ| typ == "jwt" || typ == "at+jwt")
}
