//! Lines of a body that comes in pieces.

use bytes::{Bytes, BytesMut};

/// The longest line: an object in etcd has 1.5 MiB at most, and JSON of it may be longer.
const LONGEST: usize = 8 << 20;

#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// So much of it has no end of a line.
    looked_at: usize,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line that is not empty.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let rest = self.buffer.get(self.looked_at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.looked_at = self.buffer.len();
                let is_too_long = self.buffer.len() > LONGEST;
                return if is_too_long { Err(format!("a line has more than {LONGEST} bytes")) } else { Ok(None) };
            };
            let line = self.buffer.split_to(self.looked_at + end + 1).freeze();
            self.looked_at = 0;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_are_cut_and_half_of_one_is_none() {
        let text = b"one\n\ntwo\r\n \nthree\nhalf";
        for size in 1..=text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                lines.push(piece);
                while let Some(line) = lines.next().unwrap() {
                    found.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            assert_eq!(found, ["one\n", "two\r\n", "three\n"], "{size}");
        }
        let mut lines = Lines::default();
        lines.push(&vec![b' '; LONGEST]);
        assert_eq!(lines.next(), Ok(None));
        lines.push(b" ");
        assert!(lines.next().is_err());
    }
}
