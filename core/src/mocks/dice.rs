//! Numbers by which values are made: the same ones for the same seed.

/// Numbers in a row that look like none (`SplitMix64`): the same ones on every machine and in every version.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..count`; 0 where there is none.
    pub(super) fn below(&mut self, count: u32) -> u32 {
        u32::try_from(self.next() % u64::from(count.max(1))).unwrap_or_default()
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(u32::try_from(from.len()).unwrap_or(u32::MAX)) as usize;
        from.get(at).copied()
    }

    /// From 0 to 1.
    pub(super) fn share(&mut self) -> f64 {
        f64::from(self.below(1 << 20)) / f64::from((1_u32 << 20) - 1)
    }
}

/// Another seed for another text: so that endpoints and their items differ.
pub(super) fn mixed(seed: u64, text: &str) -> u64 {
    // FNV-1a.
    text.bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
