//! A set in order, of which there are many that hold next to nothing.

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Unbounded},
};

/// So many lie in the set itself: a connection of HTTP/1 has one request at a time, and most callers have few.
const FEW: usize = 4;

/// As a [`BTreeSet`], but that a small one is made and dropped without the heap.
#[derive(Debug)]
pub(super) enum Order<T> {
    /// The first so many, in order.
    Few([T; FEW], usize),
    Many(BTreeSet<T>),
}

impl<T: Ord + Copy + Default> Default for Order<T> {
    fn default() -> Self {
        Self::Few([T::default(); FEW], 0)
    }
}

impl<T: Ord + Copy> Order<T> {
    fn few(&self) -> &[T] {
        match self {
            Self::Few(all, count) => all.get(..*count).unwrap_or_default(),
            Self::Many(_) => &[],
        }
    }

    pub(super) fn insert(&mut self, value: T) {
        let Err(place) = self.few().binary_search(&value) else { return };
        match self {
            Self::Many(all) => drop(all.insert(value)),
            Self::Few(all, count) if *count < FEW => {
                if let Some(moved) = all.get_mut(place..=*count) {
                    moved.rotate_right(1);
                }
                all.get_mut(place).into_iter().for_each(|place| *place = value);
                *count += 1;
            }
            Self::Few(all, _) => {
                let mut many = BTreeSet::from_iter(*all);
                many.insert(value);
                *self = Self::Many(many);
            }
        }
    }

    pub(super) fn remove(&mut self, value: &T) {
        let found = self.few().binary_search(value);
        match (self, found) {
            (Self::Many(all), _) => drop(all.remove(value)),
            (Self::Few(all, count), Ok(place)) => {
                if let Some(moved) = all.get_mut(place..*count) {
                    moved.rotate_left(1);
                }
                *count -= 1;
            }
            (Self::Few(..), Err(_)) => {}
        }
    }

    /// The first one behind `after`, or of all.
    pub(super) fn next(&self, after: Option<T>) -> Option<T> {
        match self {
            Self::Many(all) => all.range((after.map_or(Unbounded, Excluded), Unbounded)).next().copied(),
            Self::Few(..) => self.few().iter().copied().find(|one| after.is_none_or(|after| *one > after)),
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = T> {
        let many = match self {
            Self::Many(all) => Some(all.iter()),
            Self::Few(..) => None,
        };
        self.few().iter().chain(many.into_iter().flatten()).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(_, count) => *count,
            Self::Many(all) => all.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_set_in_order(deeds in prop::collection::vec((any::<bool>(), 0_u8..12), 0..60)) {
            let (mut order, mut set) = (Order::default(), BTreeSet::new());
            for (inserts, value) in deeds {
                if inserts {
                    order.insert(value);
                    set.insert(value);
                } else {
                    order.remove(&value);
                    set.remove(&value);
                }
                prop_assert!(order.iter().eq(set.iter().copied()));
                prop_assert!(order.iter().rev().eq(set.iter().rev().copied()));
                prop_assert_eq!((order.len(), order.is_empty()), (set.len(), set.is_empty()));
                prop_assert_eq!(order.next(None), set.first().copied());
                prop_assert_eq!(order.next(Some(value)), set.range(value + 1..).next().copied());
            }
        }
    }
}
