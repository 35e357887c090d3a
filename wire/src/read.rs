//! Reading single fields out of a message, as text: for names made of them, such as the tags of cache entries.

use crate::{
    BadRule, Malformed,
    key::Scalar,
    layout::{KeyPath, Layout},
};

/// Fields of one message type, to be read as text.
#[derive(Debug, Clone)]
pub struct Fields(Layout);

impl Fields {
    /// At least one path, and no more than [`MAX_PARTS`](crate::MAX_PARTS).
    pub fn new(paths: &[KeyPath]) -> Result<Self, BadRule> {
        Layout::new(paths).map(Self)
    }

    /// The fields' values in the order of the paths: numbers in decimal, strings as they are, bytes that are no text in
    /// hexadecimal. A field that the message leaves out is zero or empty.
    pub fn read(&self, message: &[u8]) -> Result<Vec<String>, Malformed> {
        let found = self.0.read(message)?;
        Ok(self.0.with_parts(&found, |parts| parts.iter().map(text).collect()))
    }
}

fn text(part: &Scalar<&[u8]>) -> String {
    match part {
        Scalar::Uint(number) => number.to_string(),
        Scalar::Negative(number) => number.to_string(),
        Scalar::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn fields_are_read_as_text_and_absent_ones_as_zero() {
        let path = |path: &[u32], kind| KeyPath { path: path.to_vec(), kind };
        let paths =
            [path(&[1], Kind::Uint32), path(&[2, 1], Kind::String), path(&[3], Kind::Sint32), path(&[4], Kind::Int64)];
        let fields = Fields::new(&paths).unwrap();
        assert_eq!(fields.read(b"\x08\x07\x12\x04\x0a\x02hi\x18\x03").unwrap(), ["7", "hi", "-2", "0"]);
        assert!(fields.read(b"\x08").is_err());
    }
}
