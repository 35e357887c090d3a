//! One element of a batch reply: what it says to its key.

use bytes::Bytes;

use crate::{
    BadReply, Encoding, Missing, Scalar,
    field::{self, Field, Fields, Malformed, Value},
    reply::{Failure, Item},
};

/// Where an element holds its item or status, and what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    /// Empty: the element is the item.
    pub(crate) item: Vec<u32>,
    pub(crate) status: Option<Vec<u32>>,
    /// Whether an item that isn't at `item` is there and empty: writers may leave the value of a map's entry out.
    pub(crate) absent_is_empty: bool,
    pub(crate) missing: Missing,
    pub(crate) wrap: Option<u32>,
    /// What the item is where it is no message.
    pub(crate) scalar: Option<Scalar>,
}

impl Element {
    /// The elements of a field that may hold many, as lists of numbers do.
    pub(crate) fn packed<'a>(
        &self,
        field: &Field<'a>,
    ) -> Option<impl Iterator<Item = Result<Value<'a>, Malformed>> + use<'a>> {
        match (self.scalar, field.value) {
            (Some(scalar), Value::Len(values)) if self.item.is_empty() && scalar.encoding != Encoding::Len => {
                Some(field::packed(values, scalar.encoding.wire()))
            }
            _ => None,
        }
    }

    /// What `element`, a field of `reply`, says. An error if it says nothing and may not.
    pub(crate) fn answer(&self, reply: &Bytes, element: &Field<'_>) -> Result<Item, BadReply> {
        if let (Some(scalar), []) = (self.scalar, self.item.as_slice()) {
            return self.scalar(scalar, Some(element.value), element.number);
        }
        let message = element.payload()?;
        if let Some(path) = &self.status
            && let Some(failure) = failure(Gathered::at(path, message)?.into_payload(reply))?
        {
            return Ok(Item::Failed(Box::new(failure)));
        }
        if let Some(scalar) = self.scalar {
            let mut last = None;
            last_value(&self.item, message, &mut last)?;
            return self.scalar(scalar, last, self.item.last().copied().unwrap_or_default());
        }
        let mut item = Gathered::One(*element, message);
        if !self.item.is_empty() {
            item = Gathered::at(&self.item, message)?;
        }
        if self.absent_is_empty && matches!(item, Gathered::None) {
            item = Gathered::Joined(Vec::new());
        }
        match (&item, &self.missing) {
            (Gathered::None, _) if self.missing_without_item() => Ok(Item::Missing),
            (Gathered::None, _) => Err(BadReply::NoItem),
            (item, Missing::Empty) if item.payload().is_empty() => Ok(Item::Missing),
            _ => Ok(Item::Found(self.single(reply, item))),
        }
    }

    /// What a scalar says, which stands in field `number` or is left out.
    fn scalar(&self, scalar: Scalar, value: Option<Value<'_>>, number: u32) -> Result<Item, BadReply> {
        let zero = Some(scalar.encoding.zero()).filter(|_| self.absent_is_empty || scalar.absent_is_zero);
        let value = match value.or(zero) {
            None if self.missing_without_item() => return Ok(Item::Missing),
            None => return Err(BadReply::NoItem),
            Some(value) if value.wire() == scalar.encoding.wire() => value,
            Some(_) => return Err(Malformed::Type(number).into()),
        };
        let is_zero = value.is_zero();
        if is_zero && self.missing == Missing::Empty {
            return Ok(Item::Missing);
        }
        let mut single = Vec::new();
        if let Some(wrap) = self.wrap.filter(|_| !is_zero || scalar.zero_is_written) {
            field::put_value(&mut single, wrap, value);
        }
        Ok(Item::Found(Bytes::from(single)))
    }

    fn missing_without_item(&self) -> bool {
        matches!(self.missing, Missing::Omitted | Missing::Empty)
    }

    /// The single reply for `item`. Where the item already stands in a field of the right number, that field is it.
    fn single(&self, reply: &Bytes, item: Gathered<'_>) -> Bytes {
        match (self.wrap, item) {
            (None, item) => item.into_payload(reply),
            (Some(number), Gathered::One(field, _)) if field.number == number => reply.slice_ref(field.raw),
            (Some(number), item) => {
                let item = item.payload();
                let mut out = Vec::with_capacity(field::delimited_len(number, item.len()));
                field::put_head(&mut out, number, item.len());
                out.extend_from_slice(item);
                Bytes::from(out)
            }
        }
    }
}

/// All occurrences of a message field. Protobuf merges them, which on the wire is concatenation.
enum Gathered<'a> {
    None,
    /// The field and its payload.
    One(Field<'a>, &'a [u8]),
    Joined(Vec<u8>),
}

impl<'a> Gathered<'a> {
    /// Gathers what stands at `path` in `message`.
    fn at(path: &[u32], message: &'a [u8]) -> Result<Self, Malformed> {
        let mut gathered = Self::None;
        gathered.visit(path, message)?;
        Ok(gathered)
    }

    fn visit(&mut self, path: &[u32], message: &'a [u8]) -> Result<(), Malformed> {
        let [number, inner @ ..] = path else { return Ok(()) };
        let mut fields = Fields::of(message);
        while let Some(field) = fields.find(|other| other == *number)? {
            let payload = field.payload()?;
            match self {
                _ if !inner.is_empty() => self.visit(inner, payload)?,
                Self::None => *self = Self::One(field, payload),
                Self::One(_, first) => *self = Self::Joined([*first, payload].concat()),
                Self::Joined(joined) => joined.extend_from_slice(payload),
            }
        }
        Ok(())
    }

    fn payload(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::One(_, payload) => payload,
            Self::Joined(joined) => joined,
        }
    }

    fn into_payload(self, reply: &Bytes) -> Bytes {
        match self {
            Self::Joined(joined) => Bytes::from(joined),
            other => reply.slice_ref(other.payload()),
        }
    }
}

/// The last value at `path`, which counts.
fn last_value<'a>(path: &[u32], message: &'a [u8], last: &mut Option<Value<'a>>) -> Result<(), Malformed> {
    let [number, inner @ ..] = path else { return Ok(()) };
    let mut fields = Fields::of(message);
    while let Some(field) = fields.find(|other| other == *number)? {
        if inner.is_empty() {
            *last = Some(field.value);
        } else {
            last_value(inner, field.payload()?, last)?;
        }
    }
    Ok(())
}

impl Encoding {
    fn wire(self) -> u8 {
        match self {
            Self::Varint => field::VARINT,
            Self::I64 => field::I64,
            Self::Len => field::LEN,
            Self::I32 => field::I32,
        }
    }

    fn zero<'a>(self) -> Value<'a> {
        match self {
            Self::Varint => Value::Varint(0),
            Self::I64 => Value::I64(0),
            Self::Len => Value::Len(&[]),
            Self::I32 => Value::I32(0),
        }
    }
}

/// Reads a `google.rpc.Status { int32 code = 1; string message = 2; … }`; `None` if its code is 0, OK.
fn failure(status: Bytes) -> Result<Option<Failure>, Malformed> {
    let mut code = 0;
    let mut message: &[u8] = &[];
    for field in Fields::of(&status) {
        let field = field?;
        match (field.number, field.value) {
            (1, Value::Varint(value)) => code = value as u32,
            (2, Value::Len(value)) => message = value,
            (1 | 2, _) => return Err(Malformed::Type(field.number)),
            _ => {}
        }
    }
    if code == 0 {
        return Ok(None);
    }
    let code = if (1..=16).contains(&code) { code } else { 2 };
    let message = String::from_utf8_lossy(message).into_owned();
    Ok(Some(Failure { code, message, status }))
}
