//! Columns of numbers and of true and false.

use std::{fmt, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, types::ArrowPrimitiveType};
use arrow_buffer::{BooleanBufferBuilder, ScalarBuffer};

use super::{
    cell::{ColumnBuilder, Room},
    nulls::Nulls,
};

/// Builds a column of numbers.
pub struct NumberBuilder<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: Nulls,
}

impl<T: ArrowPrimitiveType> Default for NumberBuilder<T> {
    fn default() -> Self {
        Self { values: Vec::new(), nulls: Nulls::default() }
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
        if self.nulls.pending() > 0 {
            self.settle();
        }
        self.nulls.append_value();
        self.values.push(value);
    }

    #[cold]
    fn settle(&mut self) {
        let nulls = self.nulls.settle();
        self.values.resize(self.values.len().saturating_add(nulls), T::default_value());
    }
}

impl<T: ArrowPrimitiveType> ColumnBuilder for NumberBuilder<T> {
    #[inline]
    fn append_null(&mut self) {
        self.nulls.append_null();
    }
    fn bytes(&self) -> usize {
        (self.values.len() + self.nulls.pending()).saturating_mul(size_of::<T::Native>())
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
    nulls: Nulls,
}

impl Default for BoolBuilder {
    fn default() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: Nulls::default() }
    }
}

impl BoolBuilder {
    /// Appends a value.
    #[inline]
    pub fn append_value(&mut self, value: bool) {
        if self.nulls.pending() > 0 {
            self.settle();
        }
        self.nulls.append_value();
        self.values.append(value);
    }

    #[cold]
    fn settle(&mut self) {
        let nulls = self.nulls.settle();
        self.values.append_n(nulls, false);
    }
}

impl ColumnBuilder for BoolBuilder {
    #[inline]
    fn append_null(&mut self) {
        self.nulls.append_null();
    }
    fn bytes(&self) -> usize {
        (self.values.len() + self.nulls.pending()) / 8
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
