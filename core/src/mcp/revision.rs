//! Which revisions of the protocol are served.

use rmcp::model::ProtocolVersion;

/// The revision that is served.
pub const SERVED: &str = "2026-07-28";
/// The oldest one that is accepted: before it messages came in batches, and results had no structure.
pub const OLDEST: &str = "2025-06-18";

/// One that both sides speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    Of20250618,
    Of20251125,
    /// Each request says what it speaks; there is no handshake.
    Of20260728,
}

impl Revision {
    /// The newest first.
    pub const ALL: [Self; 3] = [Self::Of20260728, Self::Of20251125, Self::Of20250618];
    /// The newest of those that begin with a handshake.
    pub(super) const WITH_HANDSHAKE: Self = Self::Of20251125;

    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Of20250618 => OLDEST,
            Self::Of20251125 => "2025-11-25",
            Self::Of20260728 => SERVED,
        }
    }

    /// Whether a request says all by itself.
    pub fn is_whole(self) -> bool {
        self == Self::Of20260728
    }

    pub(super) fn version(self) -> ProtocolVersion {
        match self {
            Self::Of20250618 => ProtocolVersion::V_2025_06_18,
            Self::Of20251125 => ProtocolVersion::V_2025_11_25,
            Self::Of20260728 => ProtocolVersion::V_2026_07_28,
        }
    }

    /// For people: `2026-07-28, 2025-11-25 and 2025-06-18`.
    pub(super) fn list() -> String {
        let [newest, middle, oldest] = Self::ALL.map(Self::as_str);
        format!("{newest}, {middle} and {oldest}")
    }
}
