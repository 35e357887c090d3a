//! Bytes as choices: a rule, a path, a message. Where they end, zeros follow.

use weft_wire::{Encoding, KeyList, KeyPath, Kind, Missing, Reply, Request, Scalar, Shape, Spec};

const KINDS: [Kind; 14] = [
    Kind::Uint32,
    Kind::String,
    Kind::Int64,
    Kind::Sint32,
    Kind::Bytes,
    Kind::Bool,
    Kind::Fixed64,
    Kind::Int32,
    Kind::Uint64,
    Kind::Sint64,
    Kind::Fixed32,
    Kind::Sfixed32,
    Kind::Sfixed64,
    Kind::Enum,
];

pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The head of a packed list, and that of one message around it.
    pub(crate) const MOST_DEPTH: usize = 2;

    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// So many bytes as the next byte says, if there are as many.
    pub(crate) fn chunk(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (chunk, rest) = self.0.split_at(length);
        self.0 = rest;
        chunk
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Mostly small, and sometimes none.
    fn number(&mut self) -> u32 {
        match self.byte() {
            255 => u32::MAX,
            byte => u32::from(byte % 20),
        }
    }

    /// Mostly as it should be.
    fn kind(&mut self, should: Option<Kind>) -> Kind {
        let byte = usize::from(self.byte());
        should.filter(|_| byte < 200).unwrap_or(KINDS[byte % KINDS.len()])
    }

    pub(crate) fn path(&mut self, kind: Option<Kind>) -> KeyPath {
        let depth = 1 + self.below(3);
        KeyPath { path: (0..depth).map(|_| self.number()).collect(), kind: self.kind(kind) }
    }

    fn paths(&mut self, key: &[KeyPath]) -> Vec<KeyPath> {
        key.iter().map(|part| self.path(Some(part.kind))).collect()
    }

    /// Mostly a field of the message itself.
    fn route(&mut self) -> Vec<u32> {
        let number = self.number();
        if number % 4 == 3 { vec![number, self.number()] } else { vec![number] }
    }

    fn list(&mut self, key: &[KeyPath]) -> KeyList {
        let field = self.route();
        match self.below(2) {
            0 => KeyList::Scalars { field, kind: self.kind(key.first().map(|part| part.kind)) },
            _ => KeyList::Messages { field, paths: self.paths(key) },
        }
    }

    /// A rule that may be one.
    pub(crate) fn spec(&mut self) -> Spec {
        let key: Vec<KeyPath> = (0..self.below(4)).map(|_| self.path(None)).collect();
        let key_required = self.below(2) == 1;
        let request = match self.below(2) {
            0 => {
                let keys = self.list(&key);
                let carry = (0..self.below(4)).map(|_| (self.number(), self.number())).collect();
                Request::Keys { keys, carry }
            }
            _ => Request::Requests { field: self.route() },
        };
        let items = self.route();
        let shape = match self.below(3) {
            0 => Shape::Keyed(self.paths(&key)),
            1 => Shape::Aligned,
            _ => Shape::Map(self.kind(key.first().map(|part| part.kind))),
        };
        let item = (0..self.below(3)).map(|_| self.number()).collect();
        let status = (self.below(3) == 1).then(|| (0..1 + self.below(2)).map(|_| self.number()).collect());
        let missing = match self.below(4) {
            0 => Missing::Omitted,
            1 => Missing::Never,
            2 => Missing::Empty,
            _ => Missing::Listed(self.list(&key)),
        };
        let wrap = (self.below(3) == 1).then(|| self.number());
        let more = wrap.map(|number| vec![number.wrapping_add(1)]);
        let scalar = wrap.filter(|number| number % 2 == 1).map(|number| Scalar {
            encoding: [Encoding::Varint, Encoding::Len, Encoding::I64, Encoding::I32][number as usize / 2 % 4],
            absent_is_zero: number % 3 == 0,
            zero_is_written: number % 5 == 0,
        });
        Spec { key, key_required, request, reply: Reply { items, shape, item, status, missing, wrap, scalar, more } }
    }
}
