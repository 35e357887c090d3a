//! The calls of one request: gathered until nothing can run, then under way, then finished.

use std::task::Waker;

use crate::exchange::{CallHead, RawReply};

/// Stands for "nobody": the call's future was dropped.
const NOBODY: u32 = u32::MAX;

#[derive(Debug)]
enum Slot {
    Free,
    /// Gathered at `position` of the outgoing batch.
    Queued {
        position: u32,
        depth: u16,
        waker: Waker,
    },
    Sent {
        ticket: u32,
        depth: u16,
        waker: Waker,
    },
    Done {
        depth: u16,
        reply: RawReply,
    },
}

/// What a poll of a registered call finds.
#[derive(Debug)]
pub(crate) enum Polled {
    /// The waker that was replaced; dropping it may run foreign code, so it leaves the table first.
    Pending(Option<Waker>),
    Ready {
        depth: u16,
        reply: RawReply,
    },
}

/// Slots name calls for the futures, tickets name them for the driver.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The slot of each ticket.
    tickets: Vec<u32>,
    heads: Vec<CallHead>,
    /// The slot of each head.
    owners: Vec<u32>,
    messages: Vec<u8>,
    cancel: Vec<u32>,
    /// Heads whose owner is gone.
    withdrawn: usize,
    /// The driver has the batch; it is emptied before the next call is gathered.
    handed_out: bool,
    under_way: usize,
}

impl Calls {
    /// Adds a call to the outgoing batch and returns its slot. The depth is in the low half of `flags`. `encode` appends the message.
    pub(crate) fn gather(
        &mut self,
        method: u32,
        timeout_ms: u32,
        flags: u32,
        waker: Waker,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> u32 {
        self.start_batch();
        if self.slots.capacity() == 0 {
            // A request that calls at all makes some calls: this saves the first few steps of growth.
            self.slots.reserve(16);
            self.tickets.reserve(16);
            self.heads.reserve(16);
            self.owners.reserve(16);
            self.messages.reserve(512);
        }
        let offset = self.messages.len();
        encode(&mut self.messages);
        let position = self.heads.len() as u32;
        self.heads.push(CallHead {
            method,
            flags,
            timeout_ms,
            offset: offset as u32,
            len: (self.messages.len() - offset) as u32,
        });
        let depth = (flags & 0xffff) as u16;
        let state = Slot::Queued { position, depth, waker };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = state;
                }
                slot
            }
            None => {
                self.slots.push(state);
                self.slots.len() as u32 - 1
            }
        };
        self.owners.push(slot);
        slot
    }

    /// The reply if it is there (which frees the slot); else remembers whom to wake.
    pub(crate) fn poll(&mut self, slot: u32, by: &Waker) -> Polled {
        let Some(place) = self.slots.get_mut(slot as usize) else {
            return Polled::Pending(None);
        };
        match place {
            Slot::Queued { waker, .. } | Slot::Sent { waker, .. } => {
                let replaced = (!waker.will_wake(by)).then(|| std::mem::replace(waker, by.clone()));
                Polled::Pending(replaced)
            }
            Slot::Free => Polled::Pending(None),
            Slot::Done { .. } => match std::mem::replace(place, Slot::Free) {
                Slot::Done { depth, reply } => {
                    self.free.push(slot);
                    Polled::Ready { depth, reply }
                }
                _ => Polled::Pending(None),
            },
        }
    }

    /// Nobody waits for this call any more: it is taken back if it has not left, else its ticket is cancelled.
    /// The waker is returned, since dropping it may run foreign code.
    pub(crate) fn forget(&mut self, slot: u32) -> Option<Waker> {
        let place = self.slots.get_mut(slot as usize)?;
        let state = std::mem::replace(place, Slot::Free);
        self.free.push(slot);
        match state {
            Slot::Queued { position, waker, .. } => {
                if let Some(owner) = self.owners.get_mut(position as usize) {
                    *owner = NOBODY;
                    self.withdrawn += 1;
                }
                Some(waker)
            }
            Slot::Sent { ticket, waker, .. } => {
                if let Some(owner) = self.tickets.get_mut(ticket as usize) {
                    *owner = NOBODY;
                }
                self.start_batch();
                self.cancel.push(ticket);
                self.under_way -= 1;
                Some(waker)
            }
            Slot::Free | Slot::Done { .. } => None,
        }
    }

    /// Files the reply to `ticket` and returns whom to wake. A ticket that nobody waits for is ignored.
    pub(crate) fn complete(&mut self, ticket: u32, reply: RawReply) -> Option<Waker> {
        let owner = self.tickets.get_mut(ticket as usize)?;
        let slot = std::mem::replace(owner, NOBODY);
        let place = self.slots.get_mut(slot as usize)?;
        let Slot::Sent { depth, .. } = *place else { return None };
        self.under_way -= 1;
        match std::mem::replace(place, Slot::Done { depth, reply }) {
            Slot::Sent { waker, .. } => Some(waker),
            _ => None,
        }
    }

    /// Closes the batch: what was withdrawn leaves it, the rest get their tickets.
    pub(crate) fn hand_out(&mut self) {
        self.start_batch();
        if self.withdrawn > 0 {
            let mut owners = self.owners.iter();
            self.heads.retain(|_| owners.next().is_some_and(|&slot| slot != NOBODY));
            self.owners.retain(|&slot| slot != NOBODY);
            self.withdrawn = 0;
            if self.heads.is_empty() {
                self.messages.clear();
            }
        }
        for &slot in &self.owners {
            if let Some(place) = self.slots.get_mut(slot as usize)
                && let Slot::Queued { depth, waker, .. } = std::mem::replace(place, Slot::Free)
            {
                let ticket = self.tickets.len() as u32;
                self.tickets.push(slot);
                *place = Slot::Sent { ticket, depth, waker };
            }
        }
        self.under_way += self.owners.len();
        self.handed_out = true;
    }

    /// The batch that [`Calls::hand_out`] closed: heads, messages, tickets to cancel.
    pub(crate) fn batch(&self) -> (&[CallHead], &[u8], &[u32]) {
        (&self.heads, &self.messages, &self.cancel)
    }

    /// Whether any call could still wake somebody.
    pub(crate) fn any(&self) -> bool {
        self.under_way > 0 || (!self.handed_out && self.heads.len() > self.withdrawn)
    }

    fn start_batch(&mut self) {
        if std::mem::take(&mut self.handed_out) {
            self.heads.clear();
            self.owners.clear();
            self.messages.clear();
            self.cancel.clear();
        }
    }
}
