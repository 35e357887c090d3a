//! Lists of keys: those that a batch request asks for, those that its reply lists as missing.

use bytes::Bytes;

use crate::{
    BadRule, KeyList,
    field::{self, Field, Malformed, Value},
    key::{KeyValue, Kind, Scalar},
    layout::Layout,
    route::Route,
    rule::check_kinds,
};

/// A [`KeyList`] made ready.
#[derive(Debug, Clone)]
pub(crate) struct List {
    pub(crate) route: Route,
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
        let route = Route::new(field)?;
        match &element {
            Element::Scalar(kind) => check_kinds(key, &[*kind], agrees)?,
            Element::Message(layout) => check_kinds(key, layout.kinds(), agrees)?,
        }
        Ok(Self { route, element })
    }

    /// Writes the whole list.
    pub(crate) fn put(&self, keys: &[KeyValue], out: &mut Vec<u8>) {
        if !self.route.is_flat() && !keys.is_empty() {
            let len: usize = keys.iter().map(|key| self.key_len(key)).sum();
            let is_packed = matches!(&self.element, Element::Scalar(kind) if !kind.is_delimited());
            self.route.put_heads(if is_packed { field::delimited_len(self.route.number, len) } else { len }, out);
        }
        let number = self.route.number;
        match &self.element {
            Element::Scalar(kind) if kind.is_delimited() => {
                for part in keys.iter().filter_map(only) {
                    field::put_tag(out, number, field::LEN);
                    kind.put(part, out);
                }
            }
            Element::Scalar(kind) => {
                let len: usize = keys.iter().map(|key| self.key_len(key)).sum();
                if len > 0 {
                    field::put_head(out, number, len);
                }
                keys.iter().filter_map(only).for_each(|part| kind.put(part, out));
            }
            Element::Message(layout) => {
                for key in keys {
                    field::put_head(out, number, layout.len(key));
                    layout.put(key, out);
                }
            }
        }
    }

    /// The most that the list takes whatever its keys: the heads of the messages around it and of a packed field.
    pub(crate) fn base_len(&self) -> usize {
        let own = match &self.element {
            Element::Scalar(kind) if !kind.is_delimited() => field::most_head(self.route.number),
            _ => 0,
        };
        self.route.heads_len() + own
    }

    /// What one key adds.
    pub(crate) fn key_len(&self, key: &KeyValue) -> usize {
        match &self.element {
            Element::Scalar(kind) if kind.is_delimited() => {
                only(key).map_or(0, |part| field::tag_len(self.route.number) + kind.len(part))
            }
            Element::Scalar(kind) => only(key).map_or(0, |part| kind.len(part)),
            Element::Message(layout) => field::delimited_len(self.route.number, layout.len(key)),
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
            (Element::Scalar(kind), Value::Len(payload)) if !kind.is_delimited() => {
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
