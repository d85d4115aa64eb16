//! The Prometheus text format, version 0.0.4.

use std::fmt::{self, Write};

use super::{
    figures::Figures,
    list::{LIST, Metric, Sample, Value},
};
use crate::lake::BOUNDS;

/// What the text is, for HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics as text. Every metric is described, with or without samples.
pub fn expose(figures: &Figures) -> String {
    let mut text = String::with_capacity(16 << 10);
    for metric in LIST {
        // Writing to a String cannot fail.
        family(&mut text, metric, &metric.samples(figures)).unwrap_or_default();
    }
    text
}

fn family(text: &mut String, metric: &Metric, samples: &[Sample]) -> fmt::Result {
    let name = metric.name;
    writeln!(text, "# HELP {name} {}", metric.help)?;
    writeln!(text, "# TYPE {name} {}", metric.kind.word())?;
    for sample in samples {
        match sample.value {
            Value::Number(value) => {
                text.push_str(name);
                labels(text, metric.labels.iter().copied().zip(&sample.labels))?;
                writeln!(text, " {value}")?;
            }
            Value::Times(timing) => {
                let mut below = 0;
                for (bound, count) in BOUNDS.iter().zip(timing.classes) {
                    below += count;
                    writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {below}")?;
                }
                writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {}", timing.count)?;
                writeln!(text, "{name}_sum {}", timing.total.as_secs_f64())?;
                writeln!(text, "{name}_count {}", timing.count)?;
            }
        }
    }
    Ok(())
}

fn labels<'l>(text: &mut String, labels: impl Iterator<Item = (&'l str, &'l String)>) -> fmt::Result {
    let mut separator = '{';
    for (name, value) in labels {
        write!(text, "{separator}{name}=\"")?;
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    Ok(())
}

#[cfg(test)]
#[path = "text_tests.rs"]
pub(super) mod tests;
