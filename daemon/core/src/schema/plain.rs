//! Columns of numbers and of true and false.
//!
//! A run of NULLs costs a count until a value ends it: most columns are mostly NULL.

use std::{fmt, mem, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, types::ArrowPrimitiveType};
use arrow_buffer::{BooleanBufferBuilder, NullBufferBuilder, ScalarBuffer};

use super::cell::{ColumnBuilder, Room};

/// Builds a column of numbers.
pub struct NumberBuilder<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    /// NULLs at the end that are neither in `values` nor in `nulls` yet.
    pending: usize,
}

impl<T: ArrowPrimitiveType> Default for NumberBuilder<T> {
    fn default() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0), pending: 0 }
    }
}

impl<T: ArrowPrimitiveType> fmt::Debug for NumberBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NumberBuilder").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

impl<T: ArrowPrimitiveType> NumberBuilder<T> {
    /// Appends a value.
    #[inline]
    pub fn append_value(&mut self, value: T::Native) {
        if self.pending > 0 {
            self.settle();
        }
        self.values.push(value);
        self.nulls.append_non_null();
    }

    #[cold]
    fn settle(&mut self) {
        let pending = mem::take(&mut self.pending);
        self.values.resize(self.values.len().saturating_add(pending), T::default_value());
        self.nulls.append_n_nulls(pending);
    }
}

impl<T: ArrowPrimitiveType> ColumnBuilder for NumberBuilder<T> {
    #[inline]
    fn append_null(&mut self) {
        self.pending += 1;
    }
    fn bytes(&self) -> usize {
        (self.values.len() + self.pending).saturating_mul(size_of::<T::Native>())
    }
    fn room(&self) -> Room {
        Room { values: self.values.len(), text: 0 }
    }
    fn reserve(&mut self, room: Room) {
        self.values.reserve(room.values);
    }
    fn finish(mut self) -> ArrayRef {
        self.settle();
        let values = ScalarBuffer::from(self.values);
        Arc::new(PrimitiveArray::<T>::new(values, self.nulls.finish()).with_data_type(T::DATA_TYPE))
    }
}

/// Builds a column of true and false.
#[derive(Debug)]
pub struct BoolBuilder {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
    /// NULLs at the end that are neither in `values` nor in `nulls` yet.
    pending: usize,
}

impl Default for BoolBuilder {
    fn default() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0), pending: 0 }
    }
}

impl BoolBuilder {
    /// Appends a value.
    #[inline]
    pub fn append_value(&mut self, value: bool) {
        if self.pending > 0 {
            self.settle();
        }
        self.values.append(value);
        self.nulls.append_non_null();
    }

    #[cold]
    fn settle(&mut self) {
        let pending = mem::take(&mut self.pending);
        self.values.append_n(pending, false);
        self.nulls.append_n_nulls(pending);
    }
}

impl ColumnBuilder for BoolBuilder {
    #[inline]
    fn append_null(&mut self) {
        self.pending += 1;
    }
    fn bytes(&self) -> usize {
        (self.values.len() + self.pending) / 8
    }
    fn room(&self) -> Room {
        Room { values: self.values.len(), text: 0 }
    }
    fn reserve(&mut self, room: Room) {
        self.values.reserve(room.values);
    }
    fn finish(mut self) -> ArrayRef {
        self.settle();
        Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish()))
    }
}
