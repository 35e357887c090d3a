//! Lists of keys: those that a batch request asks for, those that its reply lists as missing.

use bytes::Bytes;

use crate::{
    BadRule, KeyList,
    field::{self, Field, Malformed, Value},
    key::{KeyValue, Kind, Scalar},
    layout::{Layout, check_number},
    rule::check_kinds,
};

/// A [`KeyList`] made ready.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) field: u32,
    element: Element,
}

#[derive(Debug, Clone)]
enum Element {
    Scalar(Kind),
    Message(Layout),
}

impl List {
    pub(crate) fn new(list: KeyList, key: &Layout, agrees: fn(Kind, Kind) -> bool) -> Result<Self, BadRule> {
        let (field, element) = match list {
            KeyList::Scalars { field, kind } => (field, Element::Scalar(kind)),
            KeyList::Messages { field, paths } => (field, Element::Message(Layout::new(&paths)?)),
        };
        check_number(field)?;
        match &element {
            Element::Scalar(kind) => check_kinds(key, &[*kind], agrees)?,
            Element::Message(layout) => check_kinds(key, layout.kinds(), agrees)?,
        }
        Ok(Self { field, element })
    }

    /// Writes the whole list.
    pub(crate) fn put(&self, keys: &[KeyValue], out: &mut Vec<u8>) {
        match &self.element {
            Element::Scalar(kind) if kind.is_text() => {
                for part in keys.iter().filter_map(only) {
                    field::put_tag(out, self.field, field::LEN);
                    kind.put(part, out);
                }
            }
            Element::Scalar(kind) => {
                let len: usize = keys.iter().map(|key| self.key_len(key)).sum();
                if len > 0 {
                    field::put_head(out, self.field, len);
                }
                keys.iter().filter_map(only).for_each(|part| kind.put(part, out));
            }
            Element::Message(layout) => {
                for key in keys {
                    field::put_head(out, self.field, layout.len(key));
                    layout.put(key, out);
                }
            }
        }
    }

    /// The most that the list takes whatever its keys: the head of a packed field.
    pub(crate) fn base_len(&self) -> usize {
        match &self.element {
            Element::Scalar(kind) if !kind.is_text() => {
                field::tag_len(self.field) + field::varint_len(u64::from(u32::MAX))
            }
            _ => 0,
        }
    }

    /// What one key adds.
    pub(crate) fn key_len(&self, key: &KeyValue) -> usize {
        match &self.element {
            Element::Scalar(kind) if kind.is_text() => {
                only(key).map_or(0, |part| field::tag_len(self.field) + kind.len(part))
            }
            Element::Scalar(kind) => only(key).map_or(0, |part| kind.len(part)),
            Element::Message(layout) => field::delimited_len(self.field, layout.len(key)),
        }
    }

    /// Gives each key of one occurrence of this list's field, which may hold many, to `each`.
    pub(crate) fn read<'a>(
        &self,
        field: &Field<'a>,
        mut each: impl FnMut(&[Scalar<&'a [u8]>]),
    ) -> Result<(), Malformed> {
        match (&self.element, field.value) {
            (Element::Message(layout), _) => {
                let found = layout.read(field.payload()?)?;
                layout.with_parts(&found, each);
            }
            (Element::Scalar(kind), Value::Len(payload)) if !kind.is_text() => {
                for value in field::packed(payload, kind.wire()) {
                    each(&[kind.decode(value?).ok_or(Malformed::Type(field.number))?]);
                }
            }
            (Element::Scalar(kind), value) => each(&[kind.decode(value).ok_or(Malformed::Type(field.number))?]),
        }
        Ok(())
    }
}

/// The part of a key that has one.
fn only(key: &KeyValue) -> Option<&Scalar<Bytes>> {
    key.parts().first()
}
