//! The protobuf wire format: a message is a run of fields, each a tag (field number and wire type) and a value.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// How deep groups may nest, as in protobuf's own parsers.
const MAX_GROUPS: u32 = 100;
/// The largest field number, 2^29 - 1.
pub(crate) const MAX_NUMBER: u32 = (1 << 29) - 1;

pub(crate) const VARINT: u8 = 0;
pub(crate) const I64: u8 = 1;
pub(crate) const LEN: u8 = 2;
const GROUP: u8 = 3;
const END_GROUP: u8 = 4;
pub(crate) const I32: u8 = 5;

/// Bytes that are no protobuf message, or not one of the type that the rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A value or a group runs past the end.
    #[error("the message ends inside a field")]
    Truncated,
    /// A varint of more than 10 bytes, or of more than 64 bits.
    #[error("a varint has more than 64 bits")]
    Varint,
    /// Field number 0 or above 2^29 - 1.
    #[error("a field number is out of range")]
    Number,
    /// Wire types 6 and 7 don't exist.
    #[error("unknown wire type {0}")]
    WireType(u8),
    /// A group's end without its start, or of another number.
    #[error("a group ends that did not start")]
    Group,
    /// Groups nested more than 100 deep.
    #[error("groups are nested too deeply")]
    Depth,
    /// A field that the rule reads came with another wire type than its kind has.
    #[error("field {0} has a wire type other than its declaration's")]
    Type(u32),
}

/// A field's value as the wire tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Varint(u64),
    I64(u64),
    Len(&'a [u8]),
    Group,
    I32(u32),
}

impl Value<'_> {
    pub(crate) fn wire(&self) -> u8 {
        match self {
            Self::Varint(_) => VARINT,
            Self::I64(_) => I64,
            Self::Len(_) => LEN,
            Self::Group => GROUP,
            Self::I32(_) => I32,
        }
    }

    /// Whether a field without presence would not be written for it.
    pub(crate) fn is_zero(&self) -> bool {
        match *self {
            Self::Varint(bits) | Self::I64(bits) => bits == 0,
            Self::Len(text) => text.is_empty(),
            Self::Group => false,
            Self::I32(bits) => bits == 0,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
    /// The whole field: tag, length prefix if it has one, value.
    pub(crate) raw: &'a [u8],
    /// `raw` without the tag.
    pub(crate) body: &'a [u8],
}

impl<'a> Field<'a> {
    /// The payload of a field that must be length-delimited.
    pub(crate) fn payload(&self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Len(payload) => Ok(payload),
            _ => Err(Malformed::Type(self.number)),
        }
    }

    pub(crate) fn is_group(&self) -> bool {
        matches!(self.value, Value::Group)
    }

    /// Writes this field under another number. Not for groups, whose end carries the number too.
    pub(crate) fn put_as(&self, number: u32, out: &mut Vec<u8>) {
        put_tag(out, number, self.value.wire());
        out.extend_from_slice(self.body);
    }
}

/// The fields of a message, in the order of the wire. Ends after the first error.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    left: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { left: message }
    }

    /// The next field with a number that is `wanted`. Passing over the others is cheaper than looking at each.
    #[inline]
    pub(crate) fn find(&mut self, wanted: impl Fn(u32) -> bool) -> Result<Option<Field<'a>>, Malformed> {
        while !self.left.is_empty() {
            let start = self.left;
            let (number, wire) = self.tag()?;
            let body = self.left;
            let value = self.value(number, wire, 1)?;
            if wanted(number) {
                let (raw, body) = (before(start, self.left), before(body, self.left));
                return Ok(Some(Field { number, value, raw, body }));
            }
        }
        Ok(None)
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed::Number)?;
        match tag >> 3 {
            0 => Err(Malformed::Number),
            number => Ok((number, (tag & 7) as u8)),
        }
    }

    #[inline]
    fn value(&mut self, number: u32, wire: u8, depth: u32) -> Result<Value<'a>, Malformed> {
        match wire {
            VARINT => self.varint().map(Value::Varint),
            I64 => self.array().map(u64::from_le_bytes).map(Value::I64),
            LEN => self.delimited().map(Value::Len),
            GROUP => self.skip_group(number, depth).map(|()| Value::Group),
            END_GROUP => Err(Malformed::Group),
            I32 => self.array().map(u32::from_le_bytes).map(Value::I32),
            _ => Err(Malformed::WireType(wire)),
        }
    }

    fn skip_group(&mut self, number: u32, depth: u32) -> Result<(), Malformed> {
        if depth > MAX_GROUPS {
            return Err(Malformed::Depth);
        }
        loop {
            match self.tag()? {
                (end, END_GROUP) if end == number => return Ok(()),
                (inner, wire) => self.value(inner, wire, depth + 1)?,
            };
        }
    }

    #[inline]
    fn delimited(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
        let (payload, left) = self.left.split_at_checked(len).ok_or(Malformed::Truncated)?;
        self.left = left;
        Ok(payload)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, left) = self.left.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.left = left;
        Ok(*array)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        match self.left {
            [byte @ ..0x80, left @ ..] => {
                self.left = left;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        let mut shift = 0;
        while let [byte, left @ ..] = self.left {
            self.left = left;
            if shift == 63 && *byte > 1 {
                return Err(Malformed::Varint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
        Err(Malformed::Truncated)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let field = self.find(|_| true);
        if field.is_err() {
            self.left = &[];
        }
        field.transpose()
    }
}

/// The values of one packed field; `wire` is what each would have alone.
pub(crate) fn packed(payload: &[u8], wire: u8) -> impl Iterator<Item = Result<Value<'_>, Malformed>> {
    let mut values = Fields::of(payload);
    std::iter::from_fn(move || {
        if values.left.is_empty() {
            return None;
        }
        let value = values.value(0, wire, 1);
        if value.is_err() {
            values.left = &[];
        }
        Some(value)
    })
}

/// `start` up to where its tail `left` begins.
fn before<'a>(start: &'a [u8], left: &[u8]) -> &'a [u8] {
    start.get(..start.len() - left.len()).unwrap_or_default()
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire: u8) {
    put_varint(out, u64::from(number << 3 | u32::from(wire)));
}

/// Writes a value with its tag. Groups, whose end carries the number too, are left out.
pub(crate) fn put_value(out: &mut Vec<u8>, number: u32, value: Value<'_>) {
    match value {
        Value::Varint(value) => {
            put_tag(out, number, VARINT);
            put_varint(out, value);
        }
        Value::I64(value) => {
            put_tag(out, number, I64);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::I32(value) => {
            put_tag(out, number, I32);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Len(value) => {
            put_head(out, number, value.len());
            out.extend_from_slice(value);
        }
        Value::Group => {}
    }
}

/// A length-delimited field's tag and length.
pub(crate) fn put_head(out: &mut Vec<u8>, number: u32, len: usize) {
    put_tag(out, number, LEN);
    put_varint(out, len as u64);
}

/// The most that a length-delimited field's tag and length take, below 4 GiB.
pub(crate) fn most_head(number: u32) -> usize {
    tag_len(number) + varint_len(u64::from(u32::MAX))
}

pub(crate) fn varint_len(value: u64) -> usize {
    // 7 bits to a byte, and at least one byte
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

pub(crate) fn tag_len(number: u32) -> usize {
    varint_len(u64::from(number) << 3)
}

/// The length of a length-delimited field with a payload of `len` bytes.
pub(crate) fn delimited_len(number: u32, len: usize) -> usize {
    tag_len(number) + varint_len(len as u64) + len
}
