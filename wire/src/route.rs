//! Where a repeated field stands in a message: in the message itself, or in messages inside it.

use crate::{
    BadRule,
    field::{self, Field, Fields, Malformed},
    layout::check_path,
};

/// A path of field numbers to a repeated field. A message on the way that stands there in pieces is one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The fields that hold the messages around it, outermost first.
    around: Vec<u32>,
    pub(crate) number: u32,
}

impl Route {
    pub(crate) fn new(path: Vec<u32>) -> Result<Self, BadRule> {
        check_path(&path)?;
        let mut around = path;
        let number = around.pop().ok_or(BadRule::Path)?;
        Ok(Self { around, number })
    }

    /// The field of the outermost message in which it stands.
    pub(crate) fn root(&self) -> u32 {
        self.around.first().copied().unwrap_or(self.number)
    }

    /// Gives each occurrence of the field to `each`, in the order of the wire.
    pub(crate) fn visit<'a, E: From<Malformed>>(
        &self,
        message: &'a [u8],
        each: &mut impl FnMut(&Field<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(&self.around, self.number, message, each)
    }

    /// Writes the heads of the messages around `len` bytes.
    pub(crate) fn put_heads(&self, len: usize, out: &mut Vec<u8>) {
        let mut lens = Vec::with_capacity(self.around.len());
        let mut inner = len;
        for number in self.around.iter().rev() {
            lens.push(inner);
            inner = field::delimited_len(*number, inner);
        }
        for (number, len) in self.around.iter().zip(lens.iter().rev()) {
            field::put_head(out, *number, *len);
        }
    }

    /// The most that those heads take, below 4 GiB.
    pub(crate) fn heads_len(&self) -> usize {
        self.around.iter().map(|number| field::most_head(*number)).sum()
    }

    /// Whether nothing stands around it.
    pub(crate) fn is_flat(&self) -> bool {
        self.around.is_empty()
    }
}

fn visit<'a, E: From<Malformed>>(
    around: &[u32],
    number: u32,
    message: &'a [u8],
    each: &mut impl FnMut(&Field<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut fields = Fields::of(message);
    let (next, inner) = around.split_first().map_or((number, None), |(next, inner)| (*next, Some(inner)));
    while let Some(field) = fields.find(|other| other == next)? {
        match inner {
            Some(inner) => visit(inner, number, field.payload()?, each)?,
            None => each(&field)?,
        }
    }
    Ok(())
}
