//! Keys as values: what a key field means, whatever way it was written.

use bytes::Bytes;

use crate::field::{self, Value};

/// A key field's protobuf type. Floating-point numbers are no keys, as in protobuf's maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "protobuf's own names")]
pub enum Kind {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    Enum,
    String,
    Bytes,
    /// A `string` that holds a whole number in decimal, where other places of the same key hold the number itself.
    Decimal,
}

/// A key field's value: `B` is a borrowed or an owned run of bytes. One number has one form, of whatever kind it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scalar<B> {
    Uint(u64),
    /// Always below zero.
    Negative(i64),
    Text(B),
}

/// The key of a single request. Equal keys are one item, however the wire spelt them.
///
/// Numbers stand inline, strings and bytes share the memory of the request, a composite key is one small allocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyValue(Parts);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Parts {
    One(Scalar<Bytes>),
    Many(Box<[Scalar<Bytes>]>),
}

impl KeyValue {
    /// Owns `parts`, which stand in `message`.
    pub(crate) fn own(message: &Bytes, parts: &[Scalar<&[u8]>]) -> Self {
        Self(match parts {
            [one] => Parts::One(one.own(message)),
            many => Parts::Many(many.iter().map(|part| part.own(message)).collect()),
        })
    }

    pub(crate) fn parts(&self) -> &[Scalar<Bytes>] {
        match &self.0 {
            Parts::One(part) => std::slice::from_ref(part),
            Parts::Many(parts) => parts,
        }
    }

    pub(crate) fn is(&self, parts: &[Scalar<&[u8]>]) -> bool {
        let own = self.parts();
        own.len() == parts.len() && own.iter().zip(parts).all(|(own, other)| own.borrow() == *other)
    }
}

impl Scalar<&[u8]> {
    /// The number that it is.
    pub(crate) fn number(&self) -> Option<i128> {
        match *self {
            Scalar::Uint(value) => Some(value.into()),
            Scalar::Negative(value) => Some(value.into()),
            Scalar::Text(_) => None,
        }
    }

    fn own(&self, message: &Bytes) -> Scalar<Bytes> {
        match *self {
            Scalar::Uint(value) => Scalar::Uint(value),
            Scalar::Negative(value) => Scalar::Negative(value),
            Scalar::Text(text) => Scalar::Text(message.slice_ref(text)),
        }
    }
}

impl Scalar<Bytes> {
    fn borrow(&self) -> Scalar<&[u8]> {
        match self {
            Scalar::Uint(value) => Scalar::Uint(*value),
            Scalar::Negative(value) => Scalar::Negative(*value),
            Scalar::Text(text) => Scalar::Text(text),
        }
    }

    fn bits(&self) -> u64 {
        match self {
            Scalar::Uint(value) => *value,
            Scalar::Negative(value) => value.cast_unsigned(),
            Scalar::Text(_) => 0,
        }
    }

    fn digits(&self) -> String {
        match self {
            Scalar::Negative(value) => value.to_string(),
            other => other.bits().to_string(),
        }
    }

    fn text(&self) -> &[u8] {
        match self {
            Scalar::Text(text) => text,
            _ => &[],
        }
    }
}

fn signed<'a>(value: i64) -> Scalar<&'a [u8]> {
    u64::try_from(value).map_or(Scalar::Negative(value), Scalar::Uint)
}

/// The number that stands here in decimal, as everybody writes it: no zeros in front, no sign but of a number below zero.
fn decimal<'a>(text: &[u8]) -> Option<Scalar<&'a [u8]>> {
    let (digits, is_negative) = text.strip_prefix(b"-").map_or((text, false), |digits| (digits, true));
    let is_plain = match digits {
        [b'0'] => !is_negative,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let text = std::str::from_utf8(text).ok().filter(|_| is_plain)?;
    if is_negative { text.parse().ok().map(Scalar::Negative) } else { text.parse().ok().map(Scalar::Uint) }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

impl Kind {
    /// What a field of this kind means by `value`; `None` if its wire type is another. As in protobuf's parsers, a number
    /// that is too wide for its kind loses its upper bits.
    pub(crate) fn decode(self, value: Value<'_>) -> Option<Scalar<&[u8]>> {
        Some(match (self, value) {
            (Kind::Int32 | Kind::Enum, Value::Varint(v)) => signed(i64::from(v as i32)),
            (Kind::Int64, Value::Varint(v)) => signed(v.cast_signed()),
            (Kind::Uint32, Value::Varint(v)) => Scalar::Uint(u64::from(v as u32)),
            (Kind::Uint64, Value::Varint(v)) => Scalar::Uint(v),
            (Kind::Sint32, Value::Varint(v)) => signed(unzigzag(u64::from(v as u32))),
            (Kind::Sint64, Value::Varint(v)) => signed(unzigzag(v)),
            (Kind::Bool, Value::Varint(v)) => Scalar::Uint(u64::from(v != 0)),
            (Kind::Fixed32, Value::I32(v)) => Scalar::Uint(u64::from(v)),
            (Kind::Sfixed32, Value::I32(v)) => signed(i64::from(v.cast_signed())),
            (Kind::Fixed64, Value::I64(v)) => Scalar::Uint(v),
            (Kind::Sfixed64, Value::I64(v)) => signed(v.cast_signed()),
            (Kind::String | Kind::Bytes, Value::Len(v)) => Scalar::Text(v),
            (Kind::Decimal, Value::Len(v)) => decimal(v).unwrap_or(Scalar::Text(v)),
            _ => return None,
        })
    }

    /// What a field that is left out means.
    pub(crate) fn zero<'a>(self) -> Scalar<&'a [u8]> {
        if self.is_delimited() { Scalar::Text(&[]) } else { Scalar::Uint(0) }
    }

    pub(crate) fn is_text(self) -> bool {
        matches!(self, Kind::String | Kind::Bytes)
    }

    /// Whether its values have a length on the wire, so that lists of them are not packed.
    pub(crate) fn is_delimited(self) -> bool {
        self.wire() == field::LEN
    }

    /// Whether it is a number that may be written in decimal elsewhere.
    pub(crate) fn is_number(self) -> bool {
        !self.is_text() && !matches!(self, Kind::Bool | Kind::Enum | Kind::Decimal)
    }

    pub(crate) fn wire(self) -> u8 {
        match self {
            Kind::Fixed32 | Kind::Sfixed32 => field::I32,
            Kind::Fixed64 | Kind::Sfixed64 => field::I64,
            Kind::String | Kind::Bytes | Kind::Decimal => field::LEN,
            _ => field::VARINT,
        }
    }

    /// The length of `key` as a value of this kind, without tag.
    pub(crate) fn len(self, key: &Scalar<Bytes>) -> usize {
        match self.wire() {
            field::I32 => 4,
            field::I64 => 8,
            // No number has more than 20 digits, so its length takes one byte.
            field::LEN if self == Kind::Decimal => 1 + key.digits().len(),
            field::LEN => field::varint_len(key.text().len() as u64) + key.text().len(),
            _ => field::varint_len(self.varint(key)),
        }
    }

    /// Writes `key` as a value of this kind, without tag.
    pub(crate) fn put(self, key: &Scalar<Bytes>, out: &mut Vec<u8>) {
        match self.wire() {
            field::I32 => out.extend_from_slice(&(key.bits() as u32).to_le_bytes()),
            field::I64 => out.extend_from_slice(&key.bits().to_le_bytes()),
            field::LEN if self == Kind::Decimal => {
                let digits = key.digits();
                field::put_varint(out, digits.len() as u64);
                out.extend_from_slice(digits.as_bytes());
            }
            field::LEN => {
                field::put_varint(out, key.text().len() as u64);
                out.extend_from_slice(key.text());
            }
            _ => field::put_varint(out, self.varint(key)),
        }
    }

    fn varint(self, key: &Scalar<Bytes>) -> u64 {
        let bits = key.bits();
        match self {
            Kind::Sint32 | Kind::Sint64 => (bits << 1) ^ (bits.cast_signed() >> 63).cast_unsigned(),
            _ => bits,
        }
    }

    /// Whether keys of this kind can equal keys of `other`.
    pub(crate) fn compares(self, other: Kind) -> bool {
        let is_decimal = |one: Kind, other: Kind| one == Kind::Decimal && !other.is_number() && other != Kind::Decimal;
        self.is_text() == other.is_text()
            && (self == Kind::Bool) == (other == Kind::Bool)
            && !is_decimal(self, other)
            && !is_decimal(other, self)
    }

    /// Whether every key of this kind can be written as `other`; of decimals, those within its [`range`](Self::range), the others
    /// being sent alone.
    pub(crate) fn fits(self, other: Kind) -> bool {
        let ((low, high), (other_low, other_high)) = (self.range(), other.range());
        self.compares(other)
            && (self == Kind::Decimal || other_low <= low && high <= other_high)
            && !(self == Kind::Bytes && other == Kind::String)
    }

    /// The numbers that it holds.
    pub(crate) fn range(self) -> (i128, i128) {
        match self {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Enum => (i32::MIN.into(), i32::MAX.into()),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => (i64::MIN.into(), i64::MAX.into()),
            Kind::Uint32 | Kind::Fixed32 => (0, u32::MAX.into()),
            Kind::Uint64 | Kind::Fixed64 => (0, u64::MAX.into()),
            Kind::Decimal => (i64::MIN.into(), u64::MAX.into()),
            Kind::Bool => (0, 1),
            Kind::String | Kind::Bytes => (0, 0),
        }
    }
}
