//! What there is of each call, by its ticket. The guest counts the tickets of its exchanges itself; calls of `call-batch`, which it never
//! learns a ticket of, have a row of their own.

use super::UnderWay;

/// The first ticket of the other row.
const UNTOLD: u32 = 1 << 31;

/// What there is of one ticket.
#[derive(Debug, Default)]
pub(super) enum Place {
    /// It never began, has ended, or was cancelled.
    #[default]
    Empty,
    Open(Box<UnderWay>),
    /// It ends as the call with this ticket does.
    Duplicate(u32),
}

/// Which row a call stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    Told,
    Untold,
}

impl Row {
    pub(super) fn of(ticket: u32) -> Self {
        if ticket < UNTOLD { Self::Told } else { Self::Untold }
    }
}

#[derive(Debug, Default)]
pub(super) struct Tickets {
    told: Vec<Place>,
    untold: Vec<Place>,
}

impl Tickets {
    pub(super) fn reserve(&mut self, row: Row, calls: usize) {
        self.row_mut(row).reserve(calls);
    }

    /// The next ticket of this row.
    pub(super) fn next(&self, row: Row) -> u32 {
        match row {
            Row::Told => self.told.len() as u32,
            Row::Untold => UNTOLD + self.untold.len() as u32,
        }
    }

    /// A place for the next ticket of this row.
    pub(super) fn add(&mut self, row: Row) -> u32 {
        let ticket = self.next(row);
        self.row_mut(row).push(Place::Empty);
        ticket
    }

    fn row_mut(&mut self, row: Row) -> &mut Vec<Place> {
        match row {
            Row::Told => &mut self.told,
            Row::Untold => &mut self.untold,
        }
    }

    pub(super) fn get(&self, ticket: u32) -> Option<&Place> {
        match Row::of(ticket) {
            Row::Told => self.told.get(ticket as usize),
            Row::Untold => self.untold.get((ticket - UNTOLD) as usize),
        }
    }

    pub(super) fn get_mut(&mut self, ticket: u32) -> Option<&mut Place> {
        match Row::of(ticket) {
            Row::Told => self.told.get_mut(ticket as usize),
            Row::Untold => self.untold.get_mut((ticket - UNTOLD) as usize),
        }
    }

    /// Calls of both rows so far.
    pub(super) fn len(&self) -> usize {
        self.told.len() + self.untold.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = u32> + use<> {
        (0..self.next(Row::Told)).chain(UNTOLD..self.next(Row::Untold))
    }
}
