//! In which way a part of an answer is less than it should be, as it is written.

use crate::observe::Degraded;

/// In which way a part is less than it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How(pub Degraded);

impl How {
    const ALL: [Self; 4] =
        [Self(Degraded::Fallback), Self(Degraded::Stale), Self(Degraded::Failed), Self(Degraded::Cut)];

    /// `pkg.Service/Method`, or with `;how=stale` behind it.
    pub(super) fn parse(text: &str) -> Option<(String, Self)> {
        let (name, how) = match text.split_once(";how=") {
            Some((name, how)) => (name, Self::ALL.into_iter().find(|known| known.0.as_str() == how.trim())?),
            None => (text, Self(Degraded::Fallback)),
        };
        let name = name.trim();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
        is_name.then(|| (name.to_owned(), how))
    }
}
