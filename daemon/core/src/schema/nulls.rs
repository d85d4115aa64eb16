//! Which values of a column are NULL.

use std::{fmt, mem};

use arrow_buffer::{NullBuffer, NullBufferBuilder};

/// Counts runs of values and of NULLs; bits are only set where one ends. Most columns never hold a NULL, or hold little
/// else.
pub(super) struct Nulls {
    bits: NullBufferBuilder,
    /// Values after those in `bits`.
    values: usize,
    /// NULLs after those values. The column holds nothing for them yet.
    pending: usize,
}

impl Default for Nulls {
    fn default() -> Self {
        Self { bits: NullBufferBuilder::new(0), values: 0, pending: 0 }
    }
}

impl fmt::Debug for Nulls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nulls").field("values", &self.values).field("pending", &self.pending).finish()
    }
}

impl Nulls {
    /// NULLs at the end that the column holds nothing for.
    pub(super) const fn pending(&self) -> usize {
        self.pending
    }

    #[inline]
    pub(super) const fn append_null(&mut self) {
        self.pending += 1;
    }

    /// Counts a value; there must be no pending NULL before it.
    #[inline]
    pub(super) const fn append_value(&mut self) {
        self.values += 1;
    }

    /// Gives the number of pending NULLs, which the column must now hold something for.
    pub(super) fn settle(&mut self) -> usize {
        let pending = mem::take(&mut self.pending);
        self.bits.append_n_non_nulls(mem::take(&mut self.values));
        self.bits.append_n_nulls(pending);
        pending
    }

    /// The bits, where there is a NULL. The column must have settled.
    pub(super) fn finish(mut self) -> Option<NullBuffer> {
        self.bits.finish()
    }
}
