//! A small JSON writer over one reused buffer: operation details are written by the thousand per second.

use super::{Hex, Put};

/// Writes one JSON value into a buffer that is kept between values. Commas are its own business.
#[derive(Debug, Default)]
pub struct Json {
    out: Vec<u8>,
    comma: bool,
}

impl Json {
    /// Forgets the value, keeps the buffer.
    pub fn clear(&mut self) {
        self.out.clear();
        self.comma = false;
    }

    /// What was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// Writes an object whose fields `fields` writes.
    pub fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.open(b'{');
        fields(self);
        self.close(b'}');
    }

    /// Writes an array with one element per item.
    pub fn array<T>(&mut self, items: impl IntoIterator<Item = T>, mut element: impl FnMut(&mut Self, T)) {
        self.open(b'[');
        for item in items {
            element(self, item);
        }
        self.close(b']');
    }

    /// Begins an object or array, for those whose content can fail; [`Self::close`] ends it.
    pub fn open(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
    }

    /// Ends what [`Self::open`] began.
    pub fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.comma = true;
    }

    /// Writes the name of a field; its value must follow.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.key_with("", name)
    }

    /// Writes the name of a field in two parts.
    pub fn key_with(&mut self, prefix: &str, name: &str) -> &mut Self {
        self.separate();
        self.out.push(b'"');
        prefix.put(&mut self.out);
        name.put(&mut self.out);
        self.out.extend_from_slice(b"\":");
        self.comma = false;
        self
    }

    /// A number, `true`, `false` or JSON that is ready.
    pub fn bare(&mut self, value: impl Put) {
        self.separate();
        value.put(&mut self.out);
    }

    /// `null`.
    pub fn null(&mut self) {
        self.bare("null");
    }

    /// A string that holds nothing to escape: addresses, amounts, hex, base64, words.
    pub fn plain(&mut self, value: impl Put) {
        self.separate();
        self.out.push(b'"');
        value.put(&mut self.out);
        self.out.push(b'"');
    }

    /// A string of any characters.
    pub fn text(&mut self, value: impl Put) {
        self.separate();
        self.out.push(b'"');
        let start = self.out.len();
        value.put(&mut self.out);
        self.escape_from(start);
        self.out.push(b'"');
    }

    /// Escapes what was written from `start` on.
    fn escape_from(&mut self, start: usize) {
        let text = self.out.get(start..).unwrap_or_default();
        // Without an early end, so that many bytes are looked at at once.
        if !text.iter().fold(false, |any, byte| any | is_special(*byte)) {
            return;
        }
        let raw = self.out.split_off(start);
        for byte in raw {
            match byte {
                b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
                0..=0x1f => {
                    self.out.extend_from_slice(b"\\u00");
                    Hex(&[byte]).put(&mut self.out);
                }
                _ => self.out.push(byte),
            }
        }
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }
}

/// Whether JSON cannot have the byte in a string as it is.
const fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_get_their_commas() {
        let mut json = Json::default();
        for _ in 0..2 {
            json.clear();
            json.object(|j| {
                j.key("a").array([1, 2], |j, n: i32| j.bare(n));
                j.key_with("source_", "b").object(|_| ());
                j.key("c").null();
                j.key("d").plain("x");
            });
            assert_eq!(json.as_bytes(), br#"{"a":[1,2],"source_b":{},"c":null,"d":"x"}"#);
        }
    }

    #[test]
    fn any_text_survives_a_json_parser() {
        let all: String = (0..=0x2fff_u32).filter_map(char::from_u32).chain("\u{10ffff}".chars()).collect();
        let mut json = Json::default();
        json.text(&all);
        assert_eq!(serde_json::from_slice::<String>(json.as_bytes()).ok(), Some(all));
    }
}
