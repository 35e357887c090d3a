//! What is true in the second tier, without a list of what carries a tag.
//!
//! What is true is said by marks: each tag has one there, a random word that whoever misses an entry puts down where there is none. An
//! entry is written with the marks that its tags had *before* it was loaded, and only if they are still the same ([`PUT`]); it is true
//! while they are. To invalidate a tag is to remove its mark: one command, however many entries had the tag, and no list that grows. A
//! mark that the server has evicted makes entries load again and brings none back, because no word comes twice.

use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// The entry and the marks of its tags; puts down the marks that are missing, so that nothing comes between the look and the load.
pub(super) const GET: &str = "local marks = {} \
    for i = 2, #KEYS do \
        local mark = redis.call('GET', KEYS[i]) \
        if not mark then mark = ARGV[1] redis.call('SET', KEYS[i], mark, 'PX', ARGV[2]) end \
        marks[#marks + 1] = mark \
    end \
    return {redis.call('GET', KEYS[1]) or '', table.concat(marks, ' ')}";

/// Writes the entry if its tags have the same marks still, which then live as long as it does.
pub(super) const PUT: &str = "local marks = {} \
    for i = 2, #KEYS do marks[#marks + 1] = redis.call('GET', KEYS[i]) or '' end \
    if table.concat(marks, ' ') ~= ARGV[1] then return 0 end \
    for i = 2, #KEYS do \
        if redis.call('PTTL', KEYS[i]) < 2 * ARGV[3] then redis.call('PEXPIRE', KEYS[i], 2 * ARGV[3]) end \
    end \
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) \
    return 1";

/// One entry to be looked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub key: String,
    pub tags: Arc<[String]>,
    /// How long it would live.
    pub lifetime: Duration,
}

/// What was found: the entry, if it is there and true, and the marks with which another may be written.
#[derive(Debug, Clone)]
pub struct Found {
    pub value: Option<Bytes>,
    pub marks: Bytes,
}

/// One entry to be written.
#[derive(Debug, Clone)]
pub struct Put {
    pub key: String,
    pub value: Bytes,
    pub lifetime: Duration,
    pub tags: Arc<[String]>,
    /// From before it was loaded.
    pub marks: Bytes,
}

pub(super) fn millis(time: Duration) -> u64 {
    // As much as the server takes for certain.
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 40)
}

/// The value as it is written: behind its marks, and those behind their length.
pub(super) fn behind(marks: &[u8], value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(marks.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], marks, value].concat()
}

/// Only what stands behind the marks that are in force is true.
pub(super) fn found_in(value: Vec<u8>, marks: Vec<u8>) -> Found {
    let (value, marks) = (Bytes::from(value), Bytes::from(marks));
    let rest = || {
        let (length, rest) = value.split_first_chunk::<2>()?;
        let behind =
            rest.strip_prefix(&marks[..]).filter(|_| usize::from(u16::from_be_bytes(*length)) == marks.len())?;
        Some(value.slice_ref(behind))
    };
    Found { value: rest(), marks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What anybody has put there is read as far as it is ours, and never more.
        #[test]
        fn only_what_stands_behind_the_marks_in_force_is_found(value: Vec<u8>, marks in prop::collection::vec(any::<u8>(), 0..70)) {
            let ours = behind(&marks, &value);
            let found = found_in(ours.clone(), marks.clone());
            prop_assert_eq!(found.value.as_deref(), Some(&value[..]));
            let mut others = marks.clone();
            others.push(b'x');
            prop_assert_eq!(found_in(ours, others).value, None);
            let _ = found_in(value, marks);
        }
    }
}
