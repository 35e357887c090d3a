//! Claims: read so that every reader sees the same, and checked by the same rules whoever vouches for them.

use super::{
    Refusal,
    base64url::BASE64,
    config::{Config, Issuer},
};
use crate::model::{Identity, Name};
use base64::Engine;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// The last second of the year 9999. A time after it is a mistake, or an attempt to overflow one.
const LAST: f64 = 253_402_300_799.0;

/// Whom a token has to be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience<'a> {
    /// As the configuration says of its issuer.
    Host,
    /// This resource, and no other (RFC 8707).
    Resource(&'a str),
}

/// A JSON object in which no name stands twice, however deep: of two, other readers might take the other.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn decode(text: &[u8]) -> Result<Self, Refusal> {
        let json = BASE64.decode(text).map_err(|_| Refusal::Token("is malformed"))?;
        serde_json::from_slice(&json).map_err(|_| Refusal::Token("is malformed"))
    }

    /// Those of a token that says nothing.
    pub(super) fn none() -> Self {
        Self(Map::new())
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim)?.as_str()
    }

    /// What stands at `path`: the claim of just this name, or else a way into claims that are objects, such as `realm_access.roles`.
    fn at(&self, path: &str) -> Option<&Value> {
        self.0.get(path).or_else(|| {
            let (first, rest) = path.split_once('.')?;
            rest.split('.').try_fold(self.0.get(first)?, |value, name| value.get(name))
        })
    }

    /// A name, which some issuers write as a number.
    fn name_at(&self, path: &str) -> Option<Name> {
        match self.at(path)? {
            Value::String(text) => Name::new(text),
            Value::Number(number) if !number.is_f64() => Name::new(&number.to_string()),
            _ => None,
        }
    }

    /// The configured issuer that it names. Nobody vouches for this yet.
    pub(super) fn issuer<'a>(&self, config: &'a Config) -> Result<(usize, &'a Issuer), Refusal> {
        let name = self.text("iss").ok_or(Refusal::Token("has no `iss`"))?;
        let mut issuers = config.issuers.iter().enumerate();
        issuers
            .find(|(_, issuer)| issuer.names.iter().any(|known| known == name))
            .ok_or(Refusal::Token("is from another issuer"))
    }

    /// Whether they count, here and now.
    pub(super) fn check(self, config: &Config, issuer: &Issuer, audience: Audience<'_>) -> Result<Identity, Refusal> {
        let name = self.text("iss").filter(|name| issuer.names.iter().any(|known| known == name));
        let name = name.and_then(Name::new).ok_or(Refusal::Token("is from another issuer"))?;
        let now = SystemTime::now();
        let expires_at = self.time("exp")?.ok_or(Refusal::Token("has no `exp`"))?;
        let expires_at = expires_at.checked_add(config.leeway).ok_or(Refusal::Token("has an `exp` that is no time"))?;
        if expires_at <= now {
            return Err(Refusal::Token("has expired"));
        }
        if self.time("nbf")?.is_some_and(|from| from > now + config.leeway) {
            return Err(Refusal::Token("is not valid yet"));
        }
        self.check_audience(issuer, audience)?;
        let subject = self.text("sub").and_then(Name::new).ok_or(Refusal::Token("has no `sub`"))?;
        Ok(self.identity(config, name, subject, expires_at))
    }

    /// What they say, whoever says it: with these names where they name nobody. For mocks.
    pub(super) fn believed(self, config: &Config, [issuer, subject]: [Name; 2], until: SystemTime) -> Identity {
        let issuer = self.text("iss").and_then(Name::new).unwrap_or(issuer);
        let subject = self.name_at("sub").unwrap_or(subject);
        self.identity(config, issuer, subject, until)
    }

    fn identity(self, config: &Config, issuer: Name, subject: Name, expires_at: SystemTime) -> Identity {
        let scopes = match self.at(&config.scope_claim) {
            Some(Value::String(list)) => list.split_ascii_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        Identity { issuer, subject, tenant: self.name_at(&config.tenant_claim), scopes, expires_at, claims: self.0 }
    }

    fn check_audience(&self, issuer: &Issuer, audience: Audience<'_>) -> Result<(), Refusal> {
        let is_ours = |text: &str| match audience {
            Audience::Host => issuer.audiences.iter().any(|ours| ours == text),
            Audience::Resource(uri) => uri == text,
        };
        let ours = match self.0.get("aud") {
            Some(Value::String(one)) => is_ours(one),
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).any(is_ours),
            // Some issuers say in an access token which client it was made for, and not whom it is for.
            None if !issuer.clients.is_empty() && audience == Audience::Host => match self.text("client_id") {
                Some(client) => issuer.clients.iter().any(|ours| ours == client),
                None => return Err(Refusal::Token("has neither `aud` nor `client_id`")),
            },
            _ => return Err(Refusal::Token("has no `aud`")),
        };
        if ours { Ok(()) } else { Err(Refusal::Token("is for another audience")) }
    }

    /// A NumericDate (RFC 7519, section 2): seconds since 1970, perhaps with a fraction.
    fn time(&self, claim: &'static str) -> Result<Option<SystemTime>, Refusal> {
        let wrong = Refusal::Token(if claim == "exp" {
            "has an `exp` that is no time"
        } else {
            "has an `nbf` that is no time"
        });
        let Some(value) = self.0.get(claim) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (0.0..=LAST).contains(seconds)).ok_or_else(|| wrong.clone())?;
        let since = Duration::try_from_secs_f64(seconds).map_err(|_| wrong.clone())?;
        SystemTime::UNIX_EPOCH.checked_add(since).map(Some).ok_or(wrong)
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Unambiguous::deserialize(deserializer)?.0 {
            Value::Object(claims) => Ok(Self(claims)),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

/// JSON in which no name stands twice in one object.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NoNameTwice).map(Self)
    }
}

struct NoNameTwice;

impl<'de> Visitor<'de> for NoNameTwice {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(value)) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = map.next_entry::<String, Unambiguous>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}
