//! What a client says of content codings (RFC 9110, section 12.5.3), made plain for the layer that packs: it knows neither `*` nor
//! what it means that the body as it is is refused.

use crate::model::{Fault, ProblemType};
use http::{HeaderMap, HeaderValue, header};
use std::fmt::Write;

/// What the layer can make, the best first.
const MADE: [&str; 3] = ["br", "zstd", "gzip"];
/// The codings that are looked at; a client has no reason to name more.
const MOST_NAMED: usize = 32;

/// What is packed for a client that takes it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packs {
    Nothing,
    WhatIsWorthIt,
    /// The client takes no body but a packed one.
    All,
}

/// In which form the client takes the body, or that in none.
pub(super) type Form = Result<Packs, Fault>;

/// What of a body is packed. Names in `headers` what a `*` stands for; the fault: there is no form that the client takes.
pub(super) fn negotiate(headers: &mut HeaderMap, packs: bool) -> Form {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let named: Vec<_> = lines.flat_map(|line| line.split(',')).filter_map(coding).take(MOST_NAMED).collect();
    let weight =
        |name: &str| named.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, weight)| *weight);
    let others = weight("*");
    if others.is_none() && weight("identity").is_none() {
        return Ok(if packs { Packs::WhatIsWorthIt } else { Packs::Nothing });
    }
    let wanted: Vec<_> = MADE
        .iter()
        .map(|name| (*name, weight(name).or(others).unwrap_or(0)))
        .filter(|(_, weight)| *weight > 0)
        .collect();
    let takes_plain = weight("identity").or(others) != Some(0);
    if !takes_plain && (wanted.is_empty() || !packs) {
        let text = "`accept-encoding` refuses the body as it is, and takes no coding that it could be packed with";
        let fault = Fault::new(ProblemType::NotAcceptable, text);
        return Err(fault.with("field", "header.accept-encoding".to_owned()));
    }
    let mut list = String::new();
    let plain = takes_plain.then(|| ("identity", weight("identity").unwrap_or(1)));
    for (name, weight) in wanted.into_iter().chain(plain) {
        let comma = if list.is_empty() { "" } else { ", " };
        // Writing to a string can't fail.
        let _ = write!(list, "{comma}{name};q={}.{:03}", weight / 1000, weight % 1000);
    }
    if let Ok(list) = HeaderValue::try_from(list) {
        headers.insert(header::ACCEPT_ENCODING, list);
    }
    Ok(match packs {
        false => Packs::Nothing,
        true if takes_plain => Packs::WhatIsWorthIt,
        true => Packs::All,
    })
}

/// A coding and its weight in thousandths.
fn coding(text: &str) -> Option<(&str, u16)> {
    let (name, weight) = match text.split_once(';') {
        None => (text, "1"),
        Some((name, parameter)) => {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then_some((name, value.trim()))?
        }
    };
    let weight: f32 = weight.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    Some((name.trim(), (weight * 1000.0).round() as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(accepts: &str) -> Result<(String, bool), ProblemType> {
        let mut headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepts.parse().unwrap())]);
        let must = negotiate(&mut headers, true).map_err(|fault| fault.problem.kind)?;
        Ok((headers[header::ACCEPT_ENCODING].to_str().unwrap().to_owned(), must == Packs::All))
    }

    #[test]
    fn a_star_stands_for_what_is_not_named() {
        for (accepts, list, must) in [
            ("gzip, br;q=0.5", "gzip, br;q=0.5", false),
            ("identity;q=0, *", "br;q=1.000, zstd;q=1.000, gzip;q=1.000", true),
            ("gzip, *;Q=0", "gzip;q=1.000", true),
            ("br;q=0, *;q=0.5", "zstd;q=0.500, gzip;q=0.500, identity;q=0.001", false),
            ("identity, *;q=0", "identity;q=1.000", false),
        ] {
            assert_eq!(said(accepts), Ok((list.to_owned(), must)), "{accepts}");
        }
        for accepts in ["*;q=0", "identity;q=0", "identity;q=0, lzma", "gzip;q=0, *;q=0.0"] {
            assert_eq!(said(accepts), Err(ProblemType::NotAcceptable), "{accepts}");
        }
        assert!(
            negotiate(&mut HeaderMap::from_iter([(header::ACCEPT_ENCODING, "gzip, *;q=0".parse().unwrap())]), false)
                .is_err()
        );
    }
}
