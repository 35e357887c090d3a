//! JSON for responses: what serde_json writes, in less time.
//!
//! Most of a page is strings without anything to escape. serde_json looks at each byte by itself, which inside the sandbox costs more than
//! all the rest of writing it; here eight are looked at together.

#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Serializer};

use text::quote;

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

/// What is written value by value, or field by field, in whatever trait of serde.
macro_rules! inside {
    ($($kind:ident: $method:ident($($key:ident: $type:ty)?) is $own:ident;)+) => {$(
        impl ser::$kind for Inside<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<()> {
                self.$own($($key,)? value)
            }

            fn end(self) -> Result<()> {
                self.end()
            }
        }
    )+};
}

inside! {
    SerializeSeq: serialize_element() is element;
    SerializeTuple: serialize_element() is element;
    SerializeTupleStruct: serialize_field() is element;
    SerializeTupleVariant: serialize_field() is element;
    SerializeStruct: serialize_field(key: &'static str) is field;
    SerializeStructVariant: serialize_field(key: &'static str) is field;
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
