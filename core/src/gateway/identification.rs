//! Who calls, as far as the endpoint wants to know it.

use super::{
    Gateway, Known, Trail, faults,
    rates::{Counted, Payer},
};
use crate::{
    artifact::Auth,
    identity::{Audience, Peer, Recalled, Refusal, Verified, Verifier},
    model::{Deadline, Fault, Identity, Party, ProblemType, Scope, ShareKey},
    net::Subnet,
    release::Endpoint,
    routing::Client,
};
use http::HeaderMap;
use std::sync::Arc;

/// What a request says of its caller, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: Peer,
    /// Whom its token has to be for.
    pub(super) audience: Audience<'a>,
    pub(super) caller: Option<Subnet>,
}

impl Presented<'_> {
    /// Who is counted as one where rates are for each caller.
    pub(super) fn payer(self, identity: Option<&Arc<Identity>>) -> Option<Payer> {
        let party = Party::from(identity.cloned());
        let caller = ShareKey::of(Scope::Principal, &party).map(Payer::Caller);
        caller.or_else(|| self.caller.map(Payer::At))
    }
}

impl Gateway {
    /// Who calls, as far as the endpoint wants to know it, and within their rates; and as whom they are counted.
    pub(super) async fn let_in(
        &self,
        known: Option<Known<'_>>,
        (client, endpoint): (&Client, &Endpoint),
        presented: Presented<'_>,
        deadline: Deadline,
        trail: &mut Trail,
    ) -> Result<(Option<Verified>, Option<Payer>), Fault> {
        let (auth, counted) =
            (endpoint.policy.auth, known.as_ref().map_or(Counted::Here, |_| Counted::Before(trail.left)));
        let verified = match known {
            Some(known) => self.admit(auth, known.verified)?,
            None => self.identify(auth, presented, deadline).await?,
        };
        let identity = verified.as_ref().map(|(identity, _)| identity);
        trail.caller = identity.cloned();
        let payer = presented.payer(identity);
        trail.left = self.rates.check_call(client, endpoint, payer.clone(), counted)?;
        Ok((verified, payer))
    }

    /// By the policy: a token that is needed has to be there, and one that is looked at has to be good.
    pub(super) async fn identify(
        &self,
        auth: Auth,
        presented: Presented<'_>,
        deadline: Deadline,
    ) -> Result<Option<Verified>, Fault> {
        let found = match &self.verifier {
            Some(verifier) if auth != Auth::None => self.verify(verifier, presented, deadline).await?,
            _ => None,
        };
        self.admit(auth, found)
    }

    /// Whoever it is that has been found, as far as the policy wants to know.
    pub(super) fn admit(&self, auth: Auth, found: Option<Verified>) -> Result<Option<Verified>, Fault> {
        match (auth, found, &self.verifier) {
            (Auth::None, ..) => Ok(None),
            (Auth::Required, None, Some(verifier)) => Err(verifier.missing().into()),
            (Auth::Required, None, None) => {
                let text = "this endpoint needs a caller, and the host has no [identity] to verify one";
                Err(Fault::new(ProblemType::NotConfigured, text))
            }
            (_, found, _) => Ok(found),
        }
    }

    /// An address that failed too often is looked at no closer for a while; tokens that were good before go on being good.
    async fn verify(
        &self,
        verifier: &Verifier,
        presented: Presented<'_>,
        deadline: Deadline,
    ) -> Result<Option<Verified>, Fault> {
        let recalled = match verifier.recall(presented.headers, presented.peer, presented.audience) {
            Ok(Recalled::Nobody) => return Ok(None),
            Ok(Recalled::Known(verified)) => return Ok(Some(verified)),
            Ok(Recalled::Unproven(claimed)) => Ok(claimed),
            Err(refusal) => Err(refusal),
        };
        // Counted before anything is done about it, so that many at once are no more than many in a row.
        let failure = self.rates.failure(presented.caller, verifier.failure_rate())?;
        let proven = match recalled {
            Ok(claimed) => tokio::time::timeout_at(deadline.instant(), verifier.prove(claimed)).await,
            Err(refusal) => Ok(Err(refusal)),
        };
        if let (Err(_) | Ok(Ok(_) | Err(Refusal::Unsure)), Some(failure)) = (&proven, failure) {
            failure.give_back();
        }
        Ok(Some(proven.map_err(|_| faults::deadline())??))
    }
}
