//! Who may share what was made or kept: the one place where this is decided, for everything that is shared.

use super::{Name, Party, Scope, Tenant};

/// Those who share. Equal keys, and equal bytes of them, are the same people; no key is of people who were not named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShareKey(Who);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Everybody,
    Tenant(Tenant),
    Principal { issuer: Name, subject: Name },
}

impl ShareKey {
    pub const EVERYBODY: Self = Self(Who::Everybody);

    /// `None`: nobody to share with in this scope.
    pub fn of(scope: Scope, party: &Party) -> Option<Self> {
        Some(Self(match scope {
            Scope::Public => Who::Everybody,
            Scope::Tenant => Who::Tenant(party.tenant()?),
            Scope::Principal => {
                let identity = party.caller()?;
                Who::Principal { issuer: identity.issuer.clone(), subject: identity.subject.clone() }
            }
        }))
    }

    /// Different people write different bytes, and none is the beginning of another.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Who::Everybody => parts(out, [b"public"]),
            Who::Tenant(Tenant { issuer, name }) => parts(out, [b"tenant", issuer.as_bytes(), name.as_bytes()]),
            Who::Principal { issuer, subject } => {
                parts(out, [b"principal", issuer.as_bytes(), subject.as_bytes()]);
            }
        }
    }
}

/// Each behind its length, so that none runs into the next.
fn parts<const N: usize>(out: &mut Vec<u8>, parts: [&[u8]; N]) {
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Identity;
    use proptest::{option, prelude::*};
    use std::{sync::Arc, time::SystemTime};

    const SCOPES: [Scope; 3] = [Scope::Principal, Scope::Tenant, Scope::Public];

    /// Of one letter only, so that nothing but the cuts between words tells most of them apart.
    fn name() -> impl Strategy<Value = Name> {
        "a{1,3}".prop_map(|text| Name::new(&text).unwrap())
    }

    fn party() -> impl Strategy<Value = Party> {
        let caller = (name(), name(), option::of(name())).prop_map(|(issuer, subject, tenant)| {
            let (scopes, claims) = (Vec::new(), serde_json::Map::new());
            let expires_at = SystemTime::UNIX_EPOCH;
            Party::Caller(Arc::new(Identity { issuer, subject, tenant, scopes, claims, expires_at }))
        });
        (caller, prop::sample::select(SCOPES.to_vec())).prop_map(|(party, scope)| party.narrowed(scope))
    }

    /// Everything by which a scope tells people apart.
    fn who(scope: Scope, party: &Party) -> Option<Vec<String>> {
        match scope {
            Scope::Public => Some(Vec::new()),
            Scope::Tenant => party.tenant().map(|tenant| vec![tenant.issuer.to_string(), tenant.name.to_string()]),
            Scope::Principal => party.caller().map(|who| vec![who.issuer.to_string(), who.subject.to_string()]),
        }
    }

    fn bytes(key: &ShareKey) -> Vec<u8> {
        let mut out = Vec::new();
        key.write(&mut out);
        out
    }

    proptest! {
        /// The heart of it: keys are equal, as values and as bytes, where and only where scope and people are.
        #[test]
        fn keys_are_equal_where_the_people_are(one in party(), other in party()) {
            for (scope, other_scope) in SCOPES.iter().flat_map(|a| SCOPES.iter().map(move |b| (*a, *b))) {
                let (Some(a), Some(b)) = (ShareKey::of(scope, &one), ShareKey::of(other_scope, &other)) else { continue };
                let same = scope == other_scope && who(scope, &one) == who(other_scope, &other);
                prop_assert_eq!(a == b, same);
                prop_assert_eq!(bytes(&a).starts_with(&bytes(&b)), same);
            }
        }

        /// Who stands for many shares with nobody who is one of them.
        #[test]
        fn who_is_not_named_in_a_scope_has_no_key_there(party in party()) {
            for scope in SCOPES {
                prop_assert_eq!(ShareKey::of(scope, &party).is_some(), who(scope, &party).is_some());
                let narrowed = party.clone().narrowed(scope);
                prop_assert_eq!(ShareKey::of(scope, &narrowed), ShareKey::of(scope, &party), "narrowed is the same people");
                prop_assert!(scope == Scope::Principal || narrowed.caller().is_none());
            }
        }
    }

    #[test]
    fn nobody_has_an_empty_name() {
        assert_eq!(Name::new(""), None);
    }
}
