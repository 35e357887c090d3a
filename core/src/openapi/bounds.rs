//! How large a document may become.

use super::NoDocument;
use serde_json::Value;

/// Bytes of a document.
pub const LARGEST: usize = 16 << 20;
/// Types.
pub(super) const MOST_SCHEMAS: usize = 10_000;
/// Schemas inside of schemas.
pub(super) const DEEPEST: usize = 100;

/// What is over a bound is not given out: whoever reads documents has bounds as well.
pub(super) fn check(document: &Value) -> Result<(), NoDocument> {
    let mut size = Size(0);
    match serde_json::to_writer(&mut size, document) {
        Ok(()) => Ok(()),
        Err(_) => Err(NoDocument::TooLarge(format!("more than {} MiB", LARGEST >> 20))),
    }
}

/// Counts, and keeps nothing.
struct Size(usize);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > LARGEST { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
