//! Memory and tables of one instance. wasmtime limits each memory by itself; here their sum is limited.

use wasmtime::{ResourceLimiter, Result};

/// Core instances, tables and memories of one component. The pool has as many for each slot, so that nobody can take what belongs
/// to a neighbour.
pub(super) const MOST_INSTANCES: u32 = 32;
pub(super) const MOST_TABLES: u32 = 16;
pub(super) const MOST_MEMORIES: u32 = 2;
/// Elements of all tables of one instance together.
const TABLE_ELEMENTS: usize = 100_000;

#[derive(Debug)]
pub(super) struct Limiter {
    max_memory: usize,
    memory: usize,
    table_elements: usize,
    /// Set when a growth was refused, so that the trap that follows can be explained.
    pub(super) refused: bool,
}

impl Limiter {
    pub(super) fn new(max_memory: usize) -> Self {
        Self { max_memory, memory: 0, table_elements: 0, refused: false }
    }

    /// Bytes of linear memory that the instance holds.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let sum = self.memory.saturating_add(desired.saturating_sub(current));
        if sum > self.max_memory {
            self.refused = true;
            return Ok(false);
        }
        self.memory = sum;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        let sum = self.table_elements.saturating_add(desired.saturating_sub(current));
        if sum > TABLE_ELEMENTS {
            self.refused = true;
            return Ok(false);
        }
        self.table_elements = sum;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MOST_TABLES as usize
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES as usize
    }
}
