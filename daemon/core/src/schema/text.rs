//! A column of text that values are written straight into: no `String` per cell.

use std::{mem, sync::Arc};

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use serde::Serialize;
use stellar_xdr::{self as xdr, Limited, Limits, WriteXdr};

use super::{
    cell::{ColumnBuilder, Room},
    nulls::Nulls,
};
use crate::text::{Base64, Put, sep51};

/// Builds a Utf8 column. A value is written with the `push` methods and then ended with [`TextBuilder::end`].
#[derive(Debug, Default)]
pub struct TextBuilder {
    values: Vec<u8>,
    /// Where each value ends.
    ends: Vec<i32>,
    nulls: Nulls,
    full: bool,
    /// XDR on its way to base64, kept for its room.
    scratch: Vec<u8>,
}

impl TextBuilder {
    /// Adds text to the value being written.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.values.extend_from_slice(text.as_bytes());
    }

    /// Adds UTF-8 to the value being written.
    #[inline]
    pub fn push_bytes(&mut self, text: &[u8]) {
        self.values.extend_from_slice(text);
    }

    /// Adds the text of `value` to the value being written.
    #[inline]
    pub fn put(&mut self, value: impl Put) {
        value.put(&mut self.values);
    }

    /// Adds the standard, padded base64 of `bytes` to the value being written.
    pub fn push_base64(&mut self, bytes: &[u8]) {
        Base64(bytes).put(&mut self.values);
    }

    /// Adds the standard, padded base64 of the XDR of `value` to the value being written.
    pub fn push_xdr<T: WriteXdr + ?Sized>(&mut self, value: &T) {
        let mut bytes = Limited::new(mem::take(&mut self.scratch), Limits::none());
        bytes.inner.clear();
        // What was decoded can be encoded: the writer is memory and without limits.
        self.full |= value.write_xdr(&mut bytes).is_err();
        self.push_base64(&bytes.inner);
        self.scratch = bytes.inner;
    }

    /// Adds the SEP-51 JSON of a contract's value to the value being written.
    pub fn push_value(&mut self, value: &xdr::ScVal) {
        self.full |= sep51::put_value(value, &mut self.values).is_err();
    }

    /// Adds the SEP-51 JSON array of contracts' values to the value being written.
    pub fn push_values(&mut self, values: &[xdr::ScVal]) {
        self.full |= sep51::put_values(values, &mut self.values).is_err();
    }

    /// Adds the JSON of `value` to the value being written.
    pub fn push_json<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Nothing that we serialize can fail: no maps with odd keys, and the writer is memory.
        self.full |= serde_json::to_writer(&mut self.values, value).is_err();
    }

    /// Ends the value being written.
    #[inline]
    pub fn end(&mut self) {
        if self.nulls.pending() > 0 {
            self.settle();
        }
        self.nulls.append_value();
        if let Ok(end) = i32::try_from(self.values.len()) {
            self.ends.push(end);
        } else {
            self.refuse();
        }
    }

    /// Appends NULL.
    #[inline]
    pub fn append_null(&mut self) {
        self.nulls.append_null();
    }

    fn last_end(&self) -> i32 {
        self.ends.last().copied().unwrap_or_default()
    }

    #[cold]
    fn settle(&mut self) {
        let (nulls, end) = (self.nulls.settle(), self.last_end());
        self.ends.resize(self.ends.len().saturating_add(nulls), end);
    }

    #[cold]
    fn refuse(&mut self) {
        let last = self.last_end();
        self.values.truncate(usize::try_from(last).unwrap_or_default());
        self.ends.push(last);
        self.full = true;
    }

    /// Whether a value had to be dropped because the column holds its 2 GiB.
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Bytes of the values and offsets.
    pub fn bytes(&self) -> usize {
        // There is one more offset than values.
        self.values.len() + (self.len() + 1) * 4
    }

    /// Number of values, NULLs included.
    pub fn len(&self) -> usize {
        self.ends.len() + self.nulls.pending()
    }

    /// Whether there is no value yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The finished array.
    pub fn finish(mut self) -> ArrayRef {
        self.settle();
        self.ends.insert(0, 0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let array = StringArray::try_new(offsets, Buffer::from_vec(self.values), self.nulls.finish());
        Arc::new(array.expect("only whole UTF-8 texts are written, and each ends one offset"))
    }
}

impl ColumnBuilder for TextBuilder {
    #[inline]
    fn append_null(&mut self) {
        Self::append_null(self);
    }
    fn bytes(&self) -> usize {
        Self::bytes(self)
    }
    fn is_full(&self) -> bool {
        Self::is_full(self)
    }
    fn room(&self) -> Room {
        Room { values: self.ends.len(), text: self.values.len() }
    }
    fn reserve(&mut self, room: Room) {
        // One more, for the offset that the first value begins at.
        self.ends.reserve(room.values.saturating_add(1));
        self.values.reserve(room.text);
    }
    fn finish(self) -> ArrayRef {
        Self::finish(self)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;
    use crate::text::Hex;

    #[test]
    fn a_text_column_keeps_values_nulls_and_empty_texts_apart() {
        let mut text = TextBuilder::default();
        text.put(42_u32);
        text.end();
        text.append_null();
        text.end();
        text.push_base64(b"hello");
        text.end();
        text.put(Hex(&[0, 0xab]));
        text.end();
        text.push_json(&["a\"\u{1}é"]);
        text.end();
        let array = text.finish();
        let array = array.as_any().downcast_ref::<StringArray>().unwrap();
        let seen: Vec<_> = array.iter().collect();
        assert_eq!(
            seen,
            [Some("42"), None, Some(""), Some("aGVsbG8="), Some("00ab"), Some("[\"a\\\"\\u0001é\"]")]
        );
    }
}
