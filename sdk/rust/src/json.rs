//! JSON for responses: what serde_json writes, in less time.
//!
//! Most of a page is strings without anything to escape. serde_json looks at each byte by itself, which inside the sandbox costs more than
//! all the rest of writing it; here eight are looked at together.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Serializer};

/// What serde_json calls the structs behind which it hides JSON that is written already.
const WRITTEN: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// Why a value has no JSON. (serde_json's own error type would bring its reader into every plugin.)
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Error(String);

type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// Appends `value` as JSON, without spaces.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    value.serialize(Writer { out, written: false })
}

/// Writes one value.
#[derive(Debug)]
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// It is a string that is JSON already.
    written: bool,
}

/// The inside of an array or an object.
#[derive(Debug)]
struct Inside<'a> {
    out: &'a mut Vec<u8>,
    begun: bool,
    end: &'static [u8],
    /// It is no object: its one field is JSON.
    written: bool,
}

impl<'a> Writer<'a> {
    fn put(self, text: &[u8]) -> Result<()> {
        self.out.extend_from_slice(text);
        Ok(())
    }

    #[inline(never)]
    fn number(self, number: impl itoa::Integer) -> Result<()> {
        self.put(itoa::Buffer::new().format(number).as_bytes())
    }

    fn inside(self, start: &[u8], end: &'static [u8]) -> Result<Inside<'a>> {
        self.out.extend_from_slice(start);
        Ok(Inside { out: self.out, begun: false, end, written: false })
    }

    /// `{"variant":`, to which `more` is added.
    fn variant(self, variant: &str, more: &[u8], end: &'static [u8]) -> Result<Inside<'a>> {
        self.out.push(b'{');
        quote(variant, self.out);
        self.out.push(b':');
        self.inside(more, end)
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Inside<'a>;
    type SerializeTuple = Inside<'a>;
    type SerializeTupleStruct = Inside<'a>;
    type SerializeTupleVariant = Inside<'a>;
    type SerializeMap = Inside<'a>;
    type SerializeStruct = Inside<'a>;
    type SerializeStructVariant = Inside<'a>;

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.put(if value { b"true" } else { b"false" })
    }

    fn serialize_i8(self, value: i8) -> Result<()> {
        self.number(value)
    }

    fn serialize_i16(self, value: i16) -> Result<()> {
        self.number(value)
    }

    fn serialize_i32(self, value: i32) -> Result<()> {
        self.number(value)
    }

    fn serialize_i64(self, value: i64) -> Result<()> {
        self.number(value)
    }

    fn serialize_i128(self, value: i128) -> Result<()> {
        self.number(value)
    }

    fn serialize_u8(self, value: u8) -> Result<()> {
        self.number(value)
    }

    fn serialize_u16(self, value: u16) -> Result<()> {
        self.number(value)
    }

    fn serialize_u32(self, value: u32) -> Result<()> {
        self.number(value)
    }

    fn serialize_u64(self, value: u64) -> Result<()> {
        self.number(value)
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        self.number(value)
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        serde_json::to_writer(self.out, &value).map_err(ser::Error::custom)
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        serde_json::to_writer(self.out, &value).map_err(ser::Error::custom)
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        if self.written {
            return self.put(value.as_bytes());
        }
        quote(value, self.out);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<()> {
        self.put(b"null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.put(b"null")
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<()> {
        self.put(b"null")
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        let inside = self.variant(variant, b"", b"}")?;
        write(value, inside.out)?;
        inside.end()
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Inside<'a>> {
        self.inside(b"[", b"]")
    }

    fn serialize_tuple(self, _len: usize) -> Result<Inside<'a>> {
        self.inside(b"[", b"]")
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Inside<'a>> {
        self.inside(b"[", b"]")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Inside<'a>> {
        self.variant(variant, b"[", b"]}")
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Inside<'a>> {
        self.inside(b"{", b"}")
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Inside<'a>> {
        if WRITTEN.contains(&name) {
            return Ok(Inside { out: self.out, begun: false, end: b"", written: true });
        }
        self.inside(b"{", b"}")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Inside<'a>> {
        self.variant(variant, b"{", b"}}")
    }
}

impl Inside<'_> {
    #[inline]
    fn next(&mut self) {
        if self.begun {
            self.out.push(b',');
        }
        self.begun = true;
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.next();
        write(value, self.out)
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        if self.written {
            return value.serialize(Writer { out: self.out, written: true });
        }
        self.next();
        quote(key, self.out);
        self.out.push(b':');
        write(value, self.out)
    }

    fn end(self) -> Result<()> {
        self.out.extend_from_slice(self.end);
        Ok(())
    }
}

impl ser::SerializeSeq for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.end()
    }
}

impl ser::SerializeTuple for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.end()
    }
}

impl ser::SerializeTupleStruct for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.end()
    }
}

impl ser::SerializeTupleVariant for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.element(value)
    }

    fn end(self) -> Result<()> {
        self.end()
    }
}

impl ser::SerializeMap for Inside<'_> {
    type Ok = ();
    type Error = Error;

    /// A key is a string, or a number or truth value in quotes.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.next();
        let start = self.out.len();
        write(key, self.out)?;
        match self.out.get(start) {
            Some(b'"') => Ok(()),
            Some(b'0'..=b'9' | b'-' | b't' | b'f') => {
                self.out.insert(start, b'"');
                self.out.push(b'"');
                Ok(())
            }
            _ => Err(Error("key must be a string".to_owned())),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.out.push(b':');
        write(value, self.out)
    }

    fn end(self) -> Result<()> {
        self.end()
    }
}

impl ser::SerializeStruct for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        self.field(key, value)
    }

    fn end(self) -> Result<()> {
        self.end()
    }
}

impl ser::SerializeStructVariant for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        self.field(key, value)
    }

    fn end(self) -> Result<()> {
        self.end()
    }
}

/// A string in quotes, escaped as in RFC 8259, section 7. Once in the program: every field of every type calls it.
#[inline(never)]
fn quote(text: &str, out: &mut Vec<u8>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn written<T: Serialize + ?Sized>(value: &T) -> Result<String> {
        let mut out = Vec::new();
        write(value, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn assert_same<T: Serialize + ?Sized>(value: &T) {
        assert_eq!(written(value).unwrap(), serde_json::to_string(value).unwrap());
    }

    #[derive(Serialize)]
    enum Kinds {
        Unit,
        New(u8),
        Tuple(i8, char),
        Struct { a: Option<()>, b: Vec<u8> },
    }

    #[derive(Serialize)]
    struct Nothing;

    #[derive(Serialize)]
    struct All {
        numbers: (i8, i16, i32, i64, i128, u8, u16, u32, u64, u128),
        floats: [f64; 5],
        single: f32,
        kinds: [Kinds; 4],
        nothing: (Nothing, Option<u8>, Option<u8>, ()),
        empty: (Vec<u8>, BTreeMap<u8, u8>),
        #[serde(flatten)]
        more: BTreeMap<String, Value>,
    }

    #[test]
    fn all_kinds_of_values_are_as_serde_json_writes_them() {
        assert_same(&All {
            numbers: (i8::MIN, -1, 0, i64::MIN, i128::MIN, u8::MAX, 1, 2, u64::MAX, u128::MAX),
            floats: [0.0, -1.5, 1e300, f64::NAN, 1.0 / 3.0],
            single: 0.1,
            kinds: [Kinds::Unit, Kinds::New(1), Kinds::Tuple(-1, '"'), Kinds::Struct { a: None, b: vec![1, 2] }],
            nothing: (Nothing, None, Some(3), ()),
            empty: (vec![], BTreeMap::new()),
            more: [("more".to_owned(), json!({ "a\n": [1, 2.5, "x", null, {}] }))].into(),
        });
    }

    #[test]
    fn keys_are_strings() {
        assert_same(&BTreeMap::from([(true, 1), (false, 2)]));
        assert_same(&BTreeMap::from([(-5, "a"), (5, "b")]));
        assert_same(&BTreeMap::from([('"', ())]));
        for key in [written(&BTreeMap::from([((), 1)])), written(&BTreeMap::from([(vec![1], 1)]))] {
            assert_eq!(key, Err(Error("key must be a string".to_owned())));
        }
    }

    #[test]
    fn every_byte_is_escaped_wherever_it_stands() {
        for byte in 0..=0x7f_u8 {
            for before in 0..20 {
                let text = format!("{}{}ü{}", "a".repeat(before), char::from(byte), "b".repeat(9));
                assert_same(&text);
            }
        }
    }

    /// What serde_json hides in `RawValue`, and in `Number` with `arbitrary_precision`.
    #[test]
    fn json_that_is_written_already_stays_as_it_is() {
        struct Raw(&'static str);
        impl Serialize for Raw {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                use ser::SerializeStruct;
                let mut raw = serializer.serialize_struct(WRITTEN[0], 1)?;
                raw.serialize_field(WRITTEN[0], self.0)?;
                raw.end()
            }
        }
        assert_eq!(written(&[Raw("{ \"a\": 1 }"), Raw("1")]).unwrap(), "[{ \"a\": 1 },1]");
    }

    proptest! {
        #[test]
        fn any_string_is_as_serde_json_writes_it(text in "\\PC*|[\\x00-\\x7f]*") {
            assert_same(&text);
        }
    }
}
