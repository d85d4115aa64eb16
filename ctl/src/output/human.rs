//! Numbers, times and tables as people read them.

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;

use super::Style;

/// A number with its thousands parted.
pub(crate) fn count(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size with one unit; whole numbers, as nobody steers by tenths.
pub(crate) fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_024 => (1, "B"),
        1_024..1_048_576 => (1_024, "KiB"),
        1_048_576..1_073_741_824 => (1_048_576, "MiB"),
        _ => (1_073_741_824, "GiB"),
    };
    format!("{} {name}", count(bytes / unit))
}

/// A time in its two largest units.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", count(seconds / 86_400), seconds % 86_400 / 3_600),
    }
}

/// Time since `then`.
pub(crate) fn ago(then: Option<&Timestamp>, now: Option<SystemTime>) -> Option<String> {
    Some(span(now?.duration_since(system_time(then?)?).unwrap_or(Duration::ZERO)))
}

/// A moment in UTC, to the second.
pub(crate) fn moment(time: Option<&Timestamp>) -> String {
    time.map_or("-".to_owned(), |time| Timestamp { nanos: 0, ..*time }.to_string())
}

pub(crate) fn system_time(time: &Timestamp) -> Option<SystemTime> {
    SystemTime::try_from(*time).ok()
}

/// Text without line breaks and without control characters, which a terminal could obey.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Cuts a line that has no colours to the terminal's width; coloured rows wrap, as cutting them would lose the
/// end of the colour.
pub(crate) fn cut(line: String, width: Option<u16>) -> String {
    match width.map(usize::from) {
        Some(width) if line.chars().count() > width && !line.contains('\x1b') => {
            line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        }
        _ => line,
    }
}

/// Lines as one text, cut and ended.
pub(crate) fn text(lines: Vec<String>, width: Option<u16>) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&cut(line, width));
        text.push('\n');
    }
    text
}

/// A row of a table.
#[derive(Debug)]
pub(crate) struct Row<const N: usize> {
    /// Its cells.
    pub(crate) cells: [String; N],
    /// Colour of the cell below [`Table::coloured`], as an SGR code.
    pub(crate) colour: u8,
}

/// How a table looks.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    /// Names of the columns.
    pub(crate) header: [&'static str; N],
    /// So many columns from the left read from the left: names, words and ranges.
    pub(crate) left: usize,
    /// The column whose cells have colours.
    pub(crate) coloured: usize,
}

impl<const N: usize> Table<N> {
    /// The header and the rows as lines, columns aligned.
    pub(crate) fn lines(&self, rows: &[Row<N>], style: Style) -> Vec<String> {
        let mut widths = self.header.map(str::len);
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let header = self.line(&self.header.map(str::to_owned), &widths, None);
        let rows = rows
            .iter()
            .map(|row| self.line(&row.cells, &widths, (style == Style::Coloured).then_some(row.colour)));
        std::iter::once(header).chain(rows).collect()
    }

    fn line(&self, cells: &[String; N], widths: &[usize; N], colour: Option<u8>) -> String {
        let mut line = String::new();
        for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            let padded =
                if column < self.left { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            match colour {
                Some(colour) if column == self.coloured => {
                    line.push_str(&format!("\x1b[{colour}m{padded}\x1b[0m"));
                }
                _ => line.push_str(&padded),
            }
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        for (number, text) in
            [(0_u64, "0"), (999, "999"), (1_000, "1,000"), (60_000_000, "60,000,000"), (123_456, "123,456")]
        {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn sizes_and_spans_use_units_that_fit() {
        assert_eq!(size(1_023), "1,023 B");
        assert_eq!(size(5 * 1_048_576), "5 MiB");
        assert_eq!(size(12_345 * 1_073_741_824), "12,345 GiB");
        let spans =
            [(59, "59s"), (61, "1m01s"), (7_320, "2h02m"), (90_000, "1d01h"), (86_400_000, "1,000d00h")];
        for (seconds, text) in spans {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_reason_cannot_steer_the_terminal() {
        assert_eq!(one_line("no\n\troute \x1b[2J\u{9b}1m to\rhost"), "no route [2J 1m to host");
    }
}
