//! Strings of JSON: copied, and escaped where they must be.

/// A string in quotes, escaped as in RFC 8259, section 7. Once in the program: every field of every type calls it.
#[inline(never)]
pub(super) fn quote(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 10);
    out.push(b'"');
    if !put_short(rest, out) {
        loop {
            let (plain, after) = rest.split_at_checked(plain_len(rest)).unwrap_or((rest, &[]));
            out.extend_from_slice(plain);
            let [first, after @ ..] = after else { break };
            put_escaped(*first, out);
            rest = after;
        }
    }
    out.push(b'"');
}

/// Appends 4 to 16 bytes if none of them is escaped; says whether it did.
///
/// Halves that overlap are copied as words. Inside the sandbox a copy of any length is a call of the host, which costs more than that.
fn put_short(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let end = out.len() + bytes.len();
    if let (8..=16, Some(first), Some(last)) = (bytes.len(), bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        if escaped(u64::from_le_bytes(*first)) | escaped(u64::from_le_bytes(*last)) == 0 {
            out.extend_from_slice(first);
            out.truncate(end - 8);
            out.extend_from_slice(last);
            return true;
        }
    } else if let (4..8, Some(first), Some(last)) = (bytes.len(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (low, high) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
        if escaped(low | high << 32) == 0 {
            out.extend_from_slice(first);
            out.truncate(end - 4);
            out.extend_from_slice(last);
            return true;
        }
    }
    false
}

/// How many bytes come before the first that is escaped.
fn plain_len(bytes: &[u8]) -> usize {
    let (chunks, tail) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let found = escaped(u64::from_le_bytes(*chunk));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_escaped = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    chunks.len() * 8 + tail.iter().position(is_escaped).unwrap_or(tail.len())
}

/// Of eight bytes, marks the lowest that is escaped with its highest bit; 0 if there is none. Marks above it may be wrong.
fn escaped(bytes: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    // A byte is below 0x20 if its upper three bits are 0.
    zeros(bytes & (ONES * 0xe0)) | zeros(bytes ^ (ONES * b'"' as u64)) | zeros(bytes ^ (ONES * b'\\' as u64))
}

fn put_escaped(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            let digit = |four: u8| HEX.get(usize::from(four)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
