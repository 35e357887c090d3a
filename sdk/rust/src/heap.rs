//! The heap of a component.
//!
//! A guest lives for one request, or some hundred, and most of what it allocates is small: strings, vectors of a few items, futures.
//! Each size up to [`LARGEST`], in steps of 16 bytes, has a list of its free blocks: to allocate is to take the first one, to free is
//! to put one in front. Blocks are cut from chunks and never become blocks of another size. What is larger is left to the allocator
//! of the C library, from which the chunks come too. That one alone takes three times as long, 27 ns for each block inside the sandbox.
//!
//! A plugin that wants another allocator switches the feature `heap` of this crate off.
#![expect(unsafe_code, reason = "an allocator hands out memory; the proof stands at each block")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// The distance between two sizes, and the alignment of every block: large enough for the pointer that a free one holds.
const STEP: usize = 16;
/// The largest block that comes from a list.
const LARGEST: usize = 1024;
/// What is asked of the C library at a time.
const CHUNK: usize = 16 << 10;

/// Size-segregated free lists over [`System`]. For one thread.
///
/// **Invariant.** A block of class `c` is a run of `(c + 1) * STEP` bytes of a chunk, aligned to `STEP`, that overlaps no other. It is
/// either handed out, or in the list of its class, once, and then its first bytes hold the pointer to the next in the list. The run of
/// `left` bytes at `next` belongs to no block; `left` is a multiple of `STEP`.
#[derive(Debug)]
pub(crate) struct Heap {
    free: [Cell<*mut u8>; LARGEST / STEP],
    next: Cell<*mut u8>,
    left: Cell<usize>,
}

// SAFETY: components have one thread; there is no other target for which this is a global allocator.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self {
            free: [const { Cell::new(ptr::null_mut()) }; LARGEST / STEP],
            next: Cell::new(ptr::null_mut()),
            left: Cell::new(0),
        }
    }

    /// The list for this layout; none if it is too large, too aligned, or empty.
    fn list(&self, layout: Layout) -> Option<(&Cell<*mut u8>, usize)> {
        if layout.align() > STEP {
            return None;
        }
        let class = layout.size().wrapping_sub(1) / STEP;
        self.free.get(class).map(|list| (list, (class + 1) * STEP))
    }

    /// Puts a block in front of a list.
    ///
    /// # Safety
    /// The block is one of the list's class, and nobody uses it.
    unsafe fn put(list: &Cell<*mut u8>, block: *mut u8) {
        // SAFETY: a block of any class has room and alignment for a pointer, and nobody else looks into it.
        unsafe { block.cast::<*mut u8>().write(list.get()) };
        list.set(block);
    }

    /// A new block of `size` bytes, which is a class's; null if there is no memory.
    #[cold]
    fn cut(&self, size: usize) -> *mut u8 {
        if self.left.get() < size {
            // The rest is smaller than `size`, so it is a block of a class itself.
            if let Some(list) = self.left.get().checked_sub(STEP).and_then(|rest| self.free.get(rest / STEP)) {
                // SAFETY: by the invariant it belongs to no block; from here on it is one.
                unsafe { Self::put(list, self.next.get()) };
            }
            self.left.set(0);
            // SAFETY: the size is not 0.
            let chunk = unsafe { System.alloc(Layout::new::<Chunk>()) };
            if chunk.is_null() {
                return chunk;
            }
            self.next.set(chunk);
            self.left.set(CHUNK);
        }
        let block = self.next.get();
        // SAFETY: `left`, and so the chunk, has at least `size` bytes from here on.
        self.next.set(unsafe { block.add(size) });
        self.left.set(self.left.get() - size);
        block
    }
}

#[repr(align(16))]
struct Chunk(#[expect(dead_code, reason = "only its layout is used")] [u8; CHUNK]);

// SAFETY: blocks are as large and as aligned as asked, by the invariant, and a layout always leads to the same of the two ways, so that
// what is given back to a list or to `System` has come from there.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((list, size)) = self.list(layout) else {
            // SAFETY: as the caller promises.
            return unsafe { System.alloc(layout) };
        };
        let block = list.get();
        if block.is_null() {
            return self.cut(size);
        }
        // SAFETY: a block in a list holds the next one.
        list.set(unsafe { block.cast::<*mut u8>().read() });
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.list(layout) {
            // SAFETY: the caller gives back what it got for this layout, and uses it no more.
            Some((list, _)) => unsafe { Self::put(list, block) },
            // SAFETY: as the caller promises.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` is not 0 and fits with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (self.list(layout), self.list(wanted)) {
            // SAFETY: as the caller promises; both come from `System`.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some((_, from)), Some((_, to))) if from == to => block,
            _ => {
                // SAFETY: the new block is another one, and both have the bytes that are copied. Then the old one is given back once.
                unsafe {
                    let new = self.alloc(wanted);
                    if !new.is_null() {
                        ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    new
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A block with bytes that only it has.
    struct Held {
        block: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Held {
        fn fill(&self) {
            // SAFETY: it has so many bytes.
            unsafe { self.block.write_bytes(self.mark, self.layout.size()) };
        }

        fn is_whole(&self, bytes: usize) -> bool {
            // SAFETY: they were written.
            let bytes = unsafe { std::slice::from_raw_parts(self.block, bytes) };
            bytes.iter().all(|byte| *byte == self.mark)
        }
    }

    fn size() -> impl Strategy<Value = usize> {
        prop_oneof![8 => 1..200usize, 2 => 1000..1100usize, 1 => 1..40_000usize]
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take(usize, u32),
        Give(usize),
        Resize(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (size(), 0..7u32).prop_map(|(size, align)| Step::Take(size, align)),
            2 => any::<usize>().prop_map(Step::Give),
            1 => (any::<usize>(), size()).prop_map(|(which, size)| Step::Resize(which, size)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever is taken, given back and resized: no block overlaps another, and all are aligned.
        #[test]
        fn blocks_keep_what_is_written_into_them(steps in proptest::collection::vec(step(), 1..300)) {
            let heap = Heap::new();
            let mut held: Vec<Held> = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Take(size, align) => {
                        let layout = Layout::from_size_align(size, 1 << align).unwrap();
                        // SAFETY: the size is not 0.
                        let block = unsafe { heap.alloc(layout) };
                        prop_assert_eq!(block.addr() % layout.align(), 0);
                        let new = Held { block, layout, mark: number as u8 };
                        new.fill();
                        held.push(new);
                    }
                    Step::Give(which) if !held.is_empty() => {
                        let old = held.swap_remove(which % held.len());
                        prop_assert!(old.is_whole(old.layout.size()));
                        // SAFETY: it came from there, with this layout.
                        unsafe { heap.dealloc(old.block, old.layout) };
                    }
                    Step::Resize(which, size) if !held.is_empty() => {
                        let place = which % held.len();
                        let held = &mut held[place];
                        // SAFETY: it came from there, with this layout.
                        held.block = unsafe { heap.realloc(held.block, held.layout, size) };
                        prop_assert!(held.is_whole(held.layout.size().min(size)));
                        held.layout = Layout::from_size_align(size, held.layout.align()).unwrap();
                        held.fill();
                    }
                    _ => {}
                }
            }
            for held in &held {
                prop_assert!(held.is_whole(held.layout.size()));
                // SAFETY: it came from there, with this layout.
                unsafe { heap.dealloc(held.block, held.layout) };
            }
        }
    }

    /// A reused instance doesn't grow with each request.
    #[test]
    fn what_was_given_back_is_taken_again() {
        let heap = Heap::new();
        let layout = Layout::from_size_align(48, 8).unwrap();
        // SAFETY: the size is not 0, and each block is given back once.
        unsafe {
            let first = heap.alloc(layout);
            let second = heap.alloc(layout);
            heap.dealloc(first, layout);
            assert_eq!(heap.alloc(layout), first);
            assert_ne!(first, second);
        }
    }
}
