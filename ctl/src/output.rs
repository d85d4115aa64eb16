//! Standard output: the only place that writes data. A closed pipe ends lakectl quietly.

pub(crate) mod backfill_json;
pub(crate) mod backfill_text;
pub(crate) mod cells;
pub(crate) mod human;
pub(crate) mod rows;
pub(crate) mod status_json;
pub(crate) mod status_screen;
pub(crate) mod verify;
pub(crate) mod watch_screen;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;

use crate::{
    args::Output,
    exit::{Exit, Failure},
};

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For pipes, files and NO_COLOR.
    Plain,
    /// For terminals.
    Coloured,
}

/// Standard output, buffered; flushed after each piece and on drop.
#[derive(Debug)]
pub(crate) struct Out {
    writer: BufWriter<Stdout>,
    terminal: bool,
    screens: u64,
}

impl Out {
    /// The process's standard output.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self { writer: BufWriter::with_capacity(64 * 1024, stdout), terminal, screens: 0 }
    }

    /// Colours only on terminals, and never with NO_COLOR.
    pub(crate) fn style(&self) -> Style {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if self.terminal && wanted { Style::Coloured } else { Style::Plain }
    }

    /// Whether it is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Columns of the terminal; `None` for pipes and files, which have no width.
    pub(crate) fn width(&self) -> Option<u16> {
        if !self.terminal {
            return None;
        }
        terminal_size::terminal_size().map(|(width, _height)| width.0)
    }

    /// Writes text and hands it on at once.
    pub(crate) fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.push(text)?;
        self.flush()
    }

    /// Writes text into the buffer.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), Failure> {
        self.writer.write_all(text.as_bytes()).map_err(|error| unwritable(&error))
    }

    /// Hands on what was written.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(|error| unwritable(&error))
    }

    /// Writes a value for programs: one line of JSON, or one document of YAML, begun by `---` so that those of a stream
    /// can be told apart.
    pub(crate) fn value(&mut self, format: Output, value: &impl Serialize) -> Result<(), Failure> {
        match format {
            Output::Human | Output::Json => self.json_line(value),
            Output::Yaml => {
                let text = serde_yaml::to_string(value)
                    .map_err(|error| Failure::new(Exit::Internal, "cannot write YAML").because(error))?;
                self.write(&format!("---\n{text}"))
            }
        }
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string(value)
            .map_err(|error| Failure::new(Exit::Internal, "cannot write JSON").because(error))?;
        text.push('\n');
        self.write(&text)
    }

    /// Begins a picture that replaces the last one: a terminal is cleared, elsewhere an empty line parts them.
    pub(crate) fn begin_screen(&mut self) -> Result<(), Failure> {
        let start = match (self.terminal, self.screens) {
            (true, _) => "\x1b[2J\x1b[H",
            (false, 0) => "",
            (false, _) => "\n",
        };
        self.screens += 1;
        self.push(start)
    }

    /// Ends a picture.
    pub(crate) fn end_screen(&mut self) -> Result<(), Failure> {
        self.flush()
    }
}

fn unwritable(error: &io::Error) -> Failure {
    Failure::io("cannot write to standard output", error)
}
