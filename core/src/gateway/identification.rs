//! Who calls, as far as the endpoint wants to know it.

use super::{Gateway, faults, rates::Payer};
use crate::{
    artifact::Auth,
    identity::{Peer, Recalled, Refusal, Verified, Verifier},
    model::{Deadline, Fault, Identity, Party, ProblemType, Scope, ShareKey},
    net::Subnet,
};
use http::HeaderMap;
use std::sync::Arc;

/// What a request says of its caller, and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: Peer,
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
    /// By the policy: a token that is needed has to be there, and one that is looked at has to be good.
    pub(super) async fn identify(
        &self,
        auth: Auth,
        presented: Presented<'_>,
        deadline: Deadline,
    ) -> Result<Option<Verified>, Fault> {
        let required = match auth {
            Auth::None => return Ok(None),
            Auth::Optional => false,
            Auth::Required => true,
        };
        match &self.verifier {
            Some(verifier) => match self.verify(verifier, presented, deadline).await? {
                None if required => Err(verifier.missing().into()),
                found => Ok(found),
            },
            None if required => {
                let text = "this endpoint needs a caller, and the host has no [identity] to verify one";
                Err(Fault::new(ProblemType::NotConfigured, text))
            }
            None => Ok(None),
        }
    }

    /// An address that failed too often is looked at no closer for a while; tokens that were good before go on being good.
    async fn verify(
        &self,
        verifier: &Verifier,
        presented: Presented<'_>,
        deadline: Deadline,
    ) -> Result<Option<Verified>, Fault> {
        let recalled = match verifier.recall(presented.headers, presented.peer) {
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
