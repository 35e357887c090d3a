//! Instances that wait for a request, of all plugins together. Where there are too many, the one that has waited longest goes.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};
use weft_core::sync::lock;

/// Whose an instance is: a number for each loaded plugin.
pub(super) type Owner = u64;

/// A bounded place for instances.
#[derive(Debug)]
pub(super) struct IdlePool<T> {
    most: usize,
    /// The longest waiting in front.
    places: Mutex<VecDeque<(Owner, Box<T>)>>,
}

impl<T> IdlePool<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, places: Mutex::new(VecDeque::with_capacity(most)) }
    }

    fn places(&self) -> MutexGuard<'_, VecDeque<(Owner, Box<T>)>> {
        lock(&self.places)
    }

    /// The one of this owner that was used last.
    pub(super) fn take(&self, owner: Owner) -> Option<Box<T>> {
        let mut places = self.places();
        let at = places.iter().rposition(|(other, _)| *other == owner)?;
        places.remove(at).map(|(_, instance)| instance)
    }

    pub(super) fn put(&self, owner: Owner, instance: Box<T>) {
        let mut places = self.places();
        places.push_back((owner, instance));
        let surplus = if places.len() > self.most { places.pop_front() } else { None };
        // Giving memory back takes time; not while others wait for the lock.
        drop(places);
        drop(surplus);
    }

    /// Removes all of one owner.
    pub(super) fn clear(&self, owner: Owner) {
        let mut places = self.places();
        let (gone, kept) = places.drain(..).partition::<VecDeque<_>, _>(|(other, _)| *other == owner);
        *places = kept;
        drop(places);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_gives_way_and_nobody_gets_anothers() {
        let idle_pool = IdlePool::new(3);
        for (owner, number) in [(1, 10), (2, 20), (2, 21), (2, 22)] {
            idle_pool.put(owner, Box::new(number));
        }
        assert_eq!(idle_pool.take(1), None, "it had waited longest");
        assert_eq!(idle_pool.take(2).as_deref(), Some(&22), "the last used first");
        idle_pool.put(3, Box::new(30));
        idle_pool.clear(2);
        assert_eq!((idle_pool.take(2), idle_pool.take(3).as_deref()), (None, Some(&30)));
    }
}
