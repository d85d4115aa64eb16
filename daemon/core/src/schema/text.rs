//! A column of text that values are written straight into: no `String` per cell.

use std::{fmt, io, sync::Arc};

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use stellar_xdr::{Limited, Limits, WriteXdr};

/// Builds a Utf8 column. A value is written with `fmt::Write` or one of the `push_*` methods and then ended with
/// [`TextBuilder::end`].
#[derive(Debug)]
pub struct TextBuilder {
    values: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    full: bool,
    /// XDR on its way to base64, kept for its room.
    scratch: Vec<u8>,
}

impl Default for TextBuilder {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
            full: false,
            scratch: Vec::new(),
        }
    }
}

impl TextBuilder {
    /// Adds text to the value being written.
    pub fn push(&mut self, text: &str) {
        self.values.extend_from_slice(text.as_bytes());
    }

    /// Adds the standard, padded base64 of `bytes` to the value being written.
    pub fn push_base64(&mut self, bytes: &[u8]) {
        let start = self.values.len();
        let encoded = base64::encoded_len(bytes.len(), true).unwrap_or_default();
        self.values.resize(start.saturating_add(encoded), 0);
        let written = self
            .values
            .get_mut(start..)
            .and_then(|room| STANDARD.encode_slice(bytes, room).ok())
            .unwrap_or_default();
        self.values.truncate(start.saturating_add(written));
        // `encoded_len` is exact, so this is only reached when the length itself overflows.
        self.full |= written != encoded;
    }

    /// Adds the standard, padded base64 of the XDR of `value` to the value being written.
    pub fn push_xdr<T: WriteXdr + ?Sized>(&mut self, value: &T) {
        let mut bytes = Limited::new(std::mem::take(&mut self.scratch), Limits::none());
        bytes.inner.clear();
        // What was decoded can be encoded: the writer is memory and without limits.
        self.full |= value.write_xdr(&mut bytes).is_err();
        self.push_base64(&bytes.inner);
        self.scratch = bytes.inner;
    }

    /// Adds the lower-case hex of `bytes` to the value being written.
    pub fn push_hex(&mut self, bytes: &[u8]) {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        self.values.reserve(bytes.len().saturating_mul(2));
        for byte in bytes {
            for nibble in [byte >> 4, byte & 0xf] {
                self.values.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
            }
        }
    }

    /// Adds the JSON of `value` to the value being written.
    pub fn push_json<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Nothing that we serialize can fail: no maps with odd keys, and the writer is memory.
        self.full |= serde_json::to_writer(&mut *self, value).is_err();
    }

    /// Adds what `value` shows to the value being written.
    pub fn push_display(&mut self, value: impl fmt::Display) {
        // The builder itself never fails, so neither does a well-behaved `Display`.
        self.full |= fmt::Write::write_fmt(self, format_args!("{value}")).is_err();
    }

    /// Ends the value being written.
    pub fn end(&mut self) {
        self.nulls.append_non_null();
        self.end_offset();
    }

    /// Appends NULL.
    pub fn append_null(&mut self) {
        self.nulls.append_null();
        self.end_offset();
    }

    fn end_offset(&mut self) {
        let end = match i32::try_from(self.values.len()) {
            Ok(end) => end,
            Err(_) => {
                let last = self.offsets.last().copied().unwrap_or_default();
                self.values.truncate(usize::try_from(last).unwrap_or_default());
                self.full = true;
                last
            }
        };
        self.offsets.push(end);
    }

    /// Whether a value had to be dropped because the column holds its 2 GiB.
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Bytes of the values and offsets.
    pub const fn bytes(&self) -> usize {
        self.values.len() + self.offsets.len() * 4
    }

    /// Number of values, NULLs included.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no value yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The finished array.
    pub fn finish(mut self) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let array = StringArray::try_new(offsets, Buffer::from_vec(self.values), self.nulls.finish());
        Arc::new(array.expect("only whole UTF-8 texts are written, and each ends one offset"))
    }
}

impl fmt::Write for TextBuilder {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.push(s);
        Ok(())
    }
}

/// For `serde_json`, which writes whole UTF-8 texts in pieces.
impl io::Write for TextBuilder {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.values.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use arrow_array::Array;

    use super::*;

    #[test]
    fn a_text_column_keeps_values_nulls_and_empty_texts_apart() {
        let mut text = TextBuilder::default();
        write!(text, "{}", 42).unwrap();
        text.end();
        text.append_null();
        text.end();
        text.push_base64(b"hello");
        text.end();
        text.push_hex(&[0, 0xab]);
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
