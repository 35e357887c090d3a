//! What is forwarded, and who shares.

use super::*;
use crate::model::{Name, Tenant, TraceFormats};
use percent_encoding::percent_decode;
use proptest::{collection::vec, option, prelude::*};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn caller(subject: &str, token: &'static str) -> Caller {
    let identity = Identity {
        issuer: name("iss"),
        subject: name(subject),
        tenant: Name::new("acme"),
        scopes: vec![],
        claims: serde_json::Map::from_iter([("plan".to_owned(), "gold".into())]),
        expires_at: SystemTime::now(),
    };
    Caller {
        party: Party::Caller(Arc::new(identity)),
        token: Some(HeaderValue::from_static(token)),
        request_id: Some(HeaderValue::from_static("r1")),
        trace: Trace::fresh(TraceFormats::default()),
        source: None,
    }
}

fn forward() -> Forward {
    Forward {
        subject: Some(HeaderName::from_static("x-subject")),
        tenant: Some(HeaderName::from_static("x-tenant")),
        token: true,
        claims: vec![("plan".into(), HeaderName::from_static("x-plan"))],
        exchange: None,
    }
}

#[test]
fn what_is_forwarded_follows_from_the_scope() {
    let names = |scope| {
        let scoped = caller("ann", "Bearer t").scoped(scope, &forward());
        let mut names: Vec<_> = scoped.metadata.keys().map(|k| k.as_str().to_owned()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(Scope::Public), "traceparent");
    assert_eq!(names(Scope::Tenant), "traceparent x-tenant");
    assert_eq!(names(Scope::Principal), "authorization traceparent x-plan x-request-id x-subject x-tenant");
}

#[test]
fn principals_share_only_with_themselves() {
    let key = |subject, token| caller(subject, token).scoped(Scope::Principal, &forward()).key;
    assert_eq!(key("ann", "Bearer t"), key("ann", "Bearer t"));
    assert_ne!(key("ann", "Bearer t"), key("bob", "Bearer t"));
    assert_ne!(key("ann", "Bearer t"), key("ann", "Bearer u"), "another forwarded token may get another answer");
    assert_ne!(key("a\u{7f}", "Bearer t"), key("a", "Bearer t"));
}

#[test]
fn an_anonymous_caller_shares_with_nobody_but_the_public() {
    let anonymous = Caller { party: Party::Anyone, ..caller("ann", "Bearer t") };
    assert_eq!(anonymous.scoped(Scope::Principal, &forward()).key, None);
    assert_eq!(anonymous.scoped(Scope::Tenant, &forward()).key, None);
    assert_eq!(anonymous.scoped(Scope::Public, &forward()).key, Some(ScopeKey::Alike(ShareKey::EVERYBODY)));
}

#[test]
fn a_call_that_travels_alone_carries_its_requests_id() {
    let id = |caller: &Caller, scope| caller.scoped(scope, &forward()).metadata.contains_key("x-request-id");
    let anonymous = Caller { party: Party::Anyone, ..caller("ann", "Bearer t") };
    assert_eq!(
        [Scope::Principal, Scope::Tenant, Scope::Public].map(|scope| id(&anonymous, scope)),
        [true, true, false]
    );
}

/// So few words that two callers are often the same in part.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "a "]).prop_map(str::to_owned)
}

/// Of one letter only, so that nothing but the cuts between words tells most of them apart.
fn scope_key() -> impl Strategy<Value = ScopeKey> {
    let text = || "a{1,2}".prop_map(|text| name(&text));
    let field = prop::sample::select(vec!["a", "aa"]).prop_map(HeaderName::from_static);
    let value = "a{0,2}".prop_map(|text| HeaderValue::try_from(text).unwrap());
    let who = (text(), text(), option::of(text()), prop::sample::select(SCOPES.to_vec())).prop_map(
        |(issuer, subject, tenant, scope)| {
            let party = party(issuer, subject, tenant, None);
            ShareKey::of(scope, &party).unwrap_or(ShareKey::EVERYBODY)
        },
    );
    (who, option::of(vec((field, value), 0..3))).prop_map(|(who, forwarded)| match forwarded {
        Some(forwarded) => ScopeKey::Told(Arc::new(Told::new(who, forwarded))),
        None => ScopeKey::Alike(who),
    })
}

const SCOPES: [Scope; 3] = [Scope::Public, Scope::Tenant, Scope::Principal];

fn party(issuer: Name, subject: Name, tenant: Option<Name>, plan: Option<String>) -> Party {
    let claims = plan.into_iter().map(|plan| ("plan".to_owned(), plan.into())).collect();
    let (scopes, expires_at) = (vec![], SystemTime::UNIX_EPOCH);
    Party::Caller(Arc::new(Identity { issuer, subject, tenant, scopes, claims, expires_at }))
}

fn any_party() -> impl Strategy<Value = Party> {
    let word = || word().prop_map(|text| name(&text));
    let caller = (word(), word(), option::of(word()), option::of("a |a"))
        .prop_map(|(issuer, subject, tenant, plan)| party(issuer, subject, tenant, plan));
    let tenant = (word(), word()).prop_map(|(issuer, name)| Party::Tenant(Tenant { issuer, name }));
    prop_oneof![8 => caller, 3 => tenant, 1 => Just(Party::Anyone)]
}

fn any_caller() -> impl Strategy<Value = Caller> {
    (any_party(), 0..2_usize)
        .prop_map(|(party, token)| Caller { party, ..caller("ann", ["Bearer t", "Bearer u"][token]) })
}

fn any_forward() -> impl Strategy<Value = Forward> {
    any::<[bool; 4]>().prop_map(|[subject, tenant, token, claims]| {
        let all = forward();
        Forward {
            subject: all.subject.filter(|_| subject),
            tenant: all.tenant.filter(|_| tenant),
            token,
            claims: if claims { all.claims } else { vec![] },
            exchange: None,
        }
    })
}

/// Everything that a backend is told of the caller, as opposed to the request.
fn told(scoped: &Scoped) -> Vec<(HeaderName, HeaderValue)> {
    let mut metadata = scoped.metadata.clone();
    metadata.remove("traceparent");
    metadata.remove("x-request-id");
    metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

proptest! {
    #[test]
    fn different_scopes_write_different_bytes_and_none_is_the_beginning_of_another(one in scope_key(), other in scope_key()) {
        let write = |key: &ScopeKey| {
            let mut bytes = Vec::new();
            key.write(&mut bytes);
            bytes
        };
        prop_assert_eq!(write(&one).starts_with(&write(&other)), one == other);
    }

    /// The heart of it: whatever is forwarded, a reply is shared only among callers whom the backend was told the same of.
    #[test]
    fn who_shares_a_key_is_told_of_in_the_same_words(
        one in any_caller(),
        other in any_caller(),
        forward in any_forward(),
        scope in prop::sample::select(SCOPES.to_vec()),
    ) {
        let [one_in, other_in] = [&one, &other].map(|caller| caller.scoped(scope, &forward));
        if one_in.key.is_some() && one_in.key == other_in.key {
            prop_assert_eq!(told(&one_in), told(&other_in));
            if scope == Scope::Principal {
                let who = |caller: &Caller| caller.party.caller().map(|who| (who.issuer.clone(), who.subject.clone()));
                prop_assert_eq!(who(&one), who(&other));
            }
        }
        let may_tell = |name: &str| scope == Scope::Principal || scope == Scope::Tenant && name == "x-tenant";
        prop_assert!(told(&one_in).iter().all(|(name, _)| may_tell(name.as_str())));
        prop_assert_eq!(one.scoped(scope, &forward).key, one_in.key, "and a caller shares with itself");
    }

    #[test]
    fn what_is_told_can_be_read_back_and_needs_no_care(text in any::<String>()) {
        let told = value(&text).unwrap();
        let told = told.to_str().unwrap();
        prop_assert_eq!(told.trim(), told);
        prop_assert_eq!(percent_decode(told.as_bytes()).decode_utf8().unwrap(), text);
    }
}
