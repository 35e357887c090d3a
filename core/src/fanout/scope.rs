//! Who may share a reply, and what a backend is told about the caller. The second follows from the first.
//!
//! `public` carries nothing of the caller, `tenant` the tenant alone, `principal` what `[identity.forward]` names. A key of scope
//! `principal` holds issuer, subject and everything forwarded, so two callers share only where the backend could not tell them apart.

use super::token_exchange::TokenExchange;
use crate::{
    model::{Identity, Party, Scope, ShareKey, Trace},
    settings::Table,
};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use percent_encoding::AsciiSet;
use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    time::SystemTime,
};

/// `[identity.forward]`: the metadata keys under which backends are told about the caller.
#[derive(Debug, Clone, Default)]
pub struct Forward {
    pub subject: Option<HeaderName>,
    pub tenant: Option<HeaderName>,
    /// The caller's own token, as `authorization`.
    pub token: bool,
    /// Claim and key.
    pub claims: Vec<(String, HeaderName)>,
    /// Calls carry the caller's token as far as this, which sends another one in its place.
    pub exchange: Option<Arc<dyn TokenExchange>>,
}

impl Forward {
    pub fn read(table: &Table<'_>) -> Self {
        let mut claims = Vec::new();
        let section = table.table("claims");
        for claim in section.names() {
            if let Some(name) = header_name(&section, &claim) {
                claims.push((claim, name));
            }
        }
        Self {
            subject: header_name(table, "subject"),
            tenant: header_name(table, "tenant"),
            token: table.or("token", false),
            claims,
            exchange: None,
        }
    }

    /// Whether calls carry the caller's token. It keeps replies apart also where it is not what is sent.
    fn carries_token(&self) -> bool {
        self.token || self.exchange.is_some()
    }
}

fn header_name(table: &Table<'_>, key: &str) -> Option<HeaderName> {
    let text: String = table.optional(key)?;
    match HeaderName::try_from(&text) {
        Ok(name) if !name.as_str().starts_with("grpc-") && name != AUTHORIZATION => Some(name),
        _ => {
            table.mistake(key, format!("expected a metadata key such as \"x-md-global-{key}\", found {text:?}"));
            None
        }
    }
}

/// On whose behalf a request's calls are made.
#[derive(Debug, Clone)]
pub struct Caller {
    pub party: Party,
    /// The verified `authorization` header.
    pub token: Option<HeaderValue>,
    /// `None` where it is nobody's request in particular.
    pub request_id: Option<HeaderValue>,
    pub trace: Trace,
    /// The client's address, for balancers that stick to it.
    pub source: Option<SocketAddr>,
}

/// The part of a key that keeps callers apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ScopeKey {
    /// Backends are told no more of those who share than who they are.
    Alike(ShareKey),
    Told(Arc<Told>),
}

/// A caller of whom backends are told more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Of all the rest, worked out once: every call of a request looks things up by its caller.
    hash: u64,
    who: ShareKey,
    forwarded: Vec<(HeaderName, HeaderValue)>,
}

impl Told {
    fn new(who: ShareKey, forwarded: Vec<(HeaderName, HeaderValue)>) -> Self {
        let mut hasher = DefaultHasher::new();
        (&who, &forwarded).hash(&mut hasher);
        Self { hash: hasher.finish(), who, forwarded }
    }
}

impl Hash for Told {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl ScopeKey {
    /// Different scopes write different bytes, and none is the beginning of another.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (who, told) = match self {
            Self::Alike(who) => (who, None),
            Self::Told(told) => (&told.who, Some(&told.forwarded)),
        };
        who.write(out);
        // One more than there are, so that having been told nothing is not the same as there being nothing to tell.
        out.extend_from_slice(&told.map_or(0, |told| told.len() as u64 + 1).to_be_bytes());
        for part in told.into_iter().flatten().flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]) {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part);
        }
    }
}

/// What one request's calls carry in one scope.
#[derive(Debug, Clone)]
pub(super) struct Scoped {
    /// `None`: nobody to share with (an anonymous caller, or one without a tenant), so the call travels alone.
    pub(super) key: Option<ScopeKey>,
    pub(super) metadata: HeaderMap,
    /// When the caller's token ends; what was loaded with it is not kept longer.
    pub(super) expires_at: Option<SystemTime>,
    pub(super) source: Option<SocketAddr>,
}

impl Caller {
    pub(super) fn scoped(&self, scope: Scope, forward: &Forward) -> Scoped {
        let mut metadata = HeaderMap::with_capacity(4);
        self.trace.write(None, &mut metadata);
        let mut forwarded = Vec::new();
        match (scope, &self.party, &forward.tenant) {
            (Scope::Principal, Party::Caller(identity), _) => {
                forwarded = self.forwarded(identity, forward);
                metadata.extend(forwarded.iter().cloned());
            }
            (Scope::Tenant, party, Some(name)) => {
                let tenant = party.tenant().and_then(|tenant| value(&tenant.name));
                metadata.extend(tenant.map(|tenant| (name.clone(), tenant)));
            }
            _ => {}
        }
        let who = ShareKey::of(scope, &self.party);
        let expires_at = self.party.caller().filter(|_| scope == Scope::Principal).map(|identity| identity.expires_at);
        let key = who.map(|who| match scope {
            Scope::Principal => ScopeKey::Told(Arc::new(Told::new(who, forwarded))),
            Scope::Tenant | Scope::Public => ScopeKey::Alike(who),
        });
        // What others may share is not one request's.
        if let (None | Some(ScopeKey::Told(_)), Some(id)) = (&key, &self.request_id) {
            metadata.insert("x-request-id", id.clone());
            self.trace.write_baggage(&mut metadata);
        }
        Scoped { key, metadata, expires_at, source: self.source }
    }

    /// In the order of their names; of two for one name the last.
    fn forwarded(&self, identity: &Identity, forward: &Forward) -> Vec<(HeaderName, HeaderValue)> {
        let mut list: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(4);
        let mut put = |name: &HeaderName, value: HeaderValue| {
            list.retain(|(other, _)| other != name);
            list.push((name.clone(), value));
        };
        if let Some(name) = &forward.subject {
            value(&identity.subject).into_iter().for_each(|value| put(name, value));
        }
        if let (Some(name), Some(tenant)) = (&forward.tenant, &identity.tenant) {
            value(tenant).into_iter().for_each(|value| put(name, value));
        }
        for (claim, name) in &forward.claims {
            let text = match identity.claims.get(claim) {
                Some(serde_json::Value::String(text)) => value(text),
                Some(other) => value(&other.to_string()),
                None => None,
            };
            text.into_iter().for_each(|text| put(name, text));
        }
        if let (true, Some(token)) = (forward.carries_token(), &self.token) {
            put(&AUTHORIZATION, token.clone());
        }
        list.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        list
    }
}

/// What can't stand in a header is percent-encoded, and so is `%`: two callers never look alike to a backend.
const ENCODED: &AsciiSet = &percent_encoding::CONTROLS.add(b'%');
/// A field's value neither begins nor ends with a space (RFC 9113, section 8.2.1), and many a receiver would cut it off.
const WITH_SPACES: &AsciiSet = &ENCODED.add(b' ');

fn value(text: &str) -> Option<HeaderValue> {
    let encoded = if text.starts_with(' ') || text.ends_with(' ') { WITH_SPACES } else { ENCODED };
    let encoded: Cow<'_, str> = percent_encoding::utf8_percent_encode(text, encoded).into();
    HeaderValue::from_str(&encoded).ok()
}

#[cfg(test)]
mod tests;
