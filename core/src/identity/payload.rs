//! Trust `full`: claims that the gateway has verified and passes on without a signature.

use super::{
    LONGEST_TOKEN, Refusal,
    claims::{Audience, Claims},
    config::{Config, Payload},
};
use crate::model::Identity;
use http::HeaderMap;
use std::net::IpAddr;

/// Who connected: what the connection says, never what a header says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    pub address: Option<IpAddr>,
    /// It has shown a client certificate that the edge verified.
    pub certified: bool,
}

impl Payload {
    fn trusts(&self, peer: Peer) -> bool {
        (self.certificate && peer.certified) || peer.address.is_some_and(|address| self.peers.contains(address))
    }
}

/// The caller as the gateway names it; `None` where it names none.
pub(super) fn verify(
    config: &Config,
    (payload, audience): (&Payload, Audience<'_>),
    headers: &HeaderMap,
    peer: Peer,
) -> Result<Option<Identity>, Refusal> {
    let mut values = headers.get_all(&payload.header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if !payload.trusts(peer) {
        return Err(Refusal::NotTheGateway);
    }
    if values.next().is_some() {
        return Err(Refusal::Twice);
    }
    if value.len() > LONGEST_TOKEN {
        return Err(Refusal::Token("is too long"));
    }
    let claims = Claims::decode(value.as_bytes())?;
    let (_, issuer) = claims.issuer(config)?;
    claims.check(config, issuer, audience).map(Some)
}
