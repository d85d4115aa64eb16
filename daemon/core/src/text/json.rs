//! A small JSON writer over one reused buffer: operation details are written by the thousand per second.

use std::fmt::{self, Write};

/// Writes one JSON value into a buffer that is kept between values. Commas are its own business.
#[derive(Debug, Default)]
pub struct Json {
    out: String,
    comma: bool,
}

impl Json {
    /// Forgets the value, keeps the buffer.
    pub fn clear(&mut self) {
        self.out.clear();
        self.comma = false;
    }

    /// What was written so far.
    pub fn as_str(&self) -> &str {
        &self.out
    }

    /// Writes an object whose fields `fields` writes.
    pub fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.open('{');
        fields(self);
        self.close('}');
    }

    /// Writes an array with one element per item.
    pub fn array<T>(&mut self, items: impl IntoIterator<Item = T>, mut element: impl FnMut(&mut Self, T)) {
        self.open('[');
        for item in items {
            element(self, item);
        }
        self.close(']');
    }

    /// Begins an object or array, for those whose content can fail; [`Self::close`] ends it.
    pub fn open(&mut self, bracket: char) {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
    }

    /// Ends what [`Self::open`] began.
    pub fn close(&mut self, bracket: char) {
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
        self.out.push('"');
        self.out.push_str(prefix);
        self.out.push_str(name);
        self.out.push_str("\":");
        self.comma = false;
        self
    }

    /// A number, `true`, `false` or JSON that is ready.
    pub fn bare(&mut self, value: impl fmt::Display) {
        self.separate();
        put(&mut self.out, value);
    }

    /// `null`.
    pub fn null(&mut self) {
        self.bare("null");
    }

    /// A string that holds nothing to escape: addresses, amounts, hex, base64, words.
    pub fn plain(&mut self, value: impl fmt::Display) {
        self.separate();
        self.out.push('"');
        put(&mut self.out, value);
        self.out.push('"');
    }

    /// A string of any characters.
    pub fn text(&mut self, value: impl fmt::Display) {
        self.separate();
        self.out.push('"');
        put(&mut Escape(&mut self.out), value);
        self.out.push('"');
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }
}

/// Writes `value`. A `String` takes any text: only a `Display` that gives up by itself could fail, and none here does.
fn put(out: &mut impl Write, value: impl fmt::Display) {
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "a Display implementation failed");
}

struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\0'..='\u{1f}' => write!(self.0, "\\u{:04x}", u32::from(c))?,
                _ => self.0.push(c),
            }
        }
        Ok(())
    }
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
                j.key("a").array([1, 2], |j, n| j.bare(n));
                j.key_with("source_", "b").object(|_| ());
                j.key("c").null();
                j.key("d").plain("x");
            });
            assert_eq!(json.as_str(), r#"{"a":[1,2],"source_b":{},"c":null,"d":"x"}"#);
        }
    }

    #[test]
    fn any_text_survives_a_json_parser() {
        let all: String = (0..=0x2fff_u32).filter_map(char::from_u32).chain("\u{10ffff}".chars()).collect();
        let mut json = Json::default();
        json.text(&all);
        assert_eq!(serde_json::from_str::<String>(json.as_str()).ok(), Some(all));
    }
}
