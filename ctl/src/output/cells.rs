//! Values of an Arrow column as text and as JSON, exact in both.
//!
//! - Integers and decimals: all digits, as JSON numbers too (also above 2^53).
//! - Floats: shortest text that reads back the same; NaN and infinities are JSON texts, since JSON has no
//!   numbers for them.
//! - Times: ISO 8601; a time with a zone is given in UTC with `Z`.
//! - Binary: lower-case hexadecimal. NULL: JSON null.
//! - Lists, structs and maps: JSON, also inside tables and CSV.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, StructArray,
    cast::AsArray,
    types::{
        Float16Type, Float32Type, Float64Type, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType,
    },
};
use arrow_cast::display::{ArrayFormatter, DurationFormat, FormatOptions};
use arrow_schema::{ArrowError, DataType, TimeUnit};

const OPTIONS: FormatOptions<'static> =
    FormatOptions::new().with_display_error(false).with_duration_format(DurationFormat::ISO8601);

/// One column, ready to print any of its rows.
pub(crate) struct Cells<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Null,
    Bool(&'a BooleanArray),
    /// A JSON number as it is.
    Number(ArrayFormatter<'a>),
    /// A number that may be NaN or infinite.
    Float(ArrayFormatter<'a>, Vec<bool>),
    /// A JSON text.
    Text(ArrayFormatter<'a>),
    List(Vec<(usize, usize)>, Box<Cells<'a>>),
    Struct(Vec<(&'a str, Cells<'a>)>),
    Map(Vec<(usize, usize)>, Box<Cells<'a>>, Box<Cells<'a>>),
    Dictionary(Vec<usize>, Box<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// Looks at a column once, so that each row costs little.
    pub(crate) fn new(array: &'a dyn Array) -> Result<Self, ArrowError> {
        Ok(Self { array, kind: kind(array)? })
    }

    /// Whether the value is NULL.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.array.is_null(row)
    }

    /// Appends a value as JSON.
    pub(crate) fn write_json(&self, row: usize, out: &mut String) -> Result<(), ArrowError> {
        if self.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.kind {
            Kind::Null => out.push_str("null"),
            Kind::Bool(array) => out.push_str(if array.value(row) { "true" } else { "false" }),
            Kind::Number(text) => text.value(row).write(out)?,
            Kind::Float(text, finite) => {
                let text = text.value(row).try_to_string()?;
                if finite.get(row).copied().unwrap_or(false) {
                    out.push_str(&text);
                } else {
                    write_quoted(float_word(&text), out);
                }
            }
            Kind::Text(text) => write_quoted(&text.value(row).try_to_string()?, out),
            Kind::List(ranges, items) => write_list(ranges, items, row, out)?,
            Kind::Struct(fields) => write_struct(fields, row, out)?,
            Kind::Map(ranges, keys, values) => write_map(ranges, keys, values, row, out)?,
            Kind::Dictionary(keys, values) => match keys.get(row) {
                Some(key) => values.write_json(*key, out)?,
                None => out.push_str("null"),
            },
        }
        Ok(())
    }

    /// Appends a value as plain text: what a person or a CSV reader expects. NULL is the caller's to show.
    pub(crate) fn write_text(&self, row: usize, out: &mut String) -> Result<(), ArrowError> {
        if self.is_null(row) {
            return Ok(());
        }
        match &self.kind {
            Kind::Number(text) | Kind::Text(text) => text.value(row).write(out),
            Kind::Float(text, _) => {
                out.push_str(float_word(&text.value(row).try_to_string()?));
                Ok(())
            }
            Kind::Dictionary(keys, values) => {
                keys.get(row).map_or(Ok(()), |key| values.write_text(*key, out))
            }
            Kind::Null | Kind::Bool(_) | Kind::List(..) | Kind::Struct(_) | Kind::Map(..) => {
                self.write_json(row, out)
            }
        }
    }
}

/// Brings times with a zone to UTC with an offset that needs no table of zones. DuckDB's values are instants
/// already; only the name of the zone goes.
pub(crate) fn in_utc(array: &ArrayRef) -> ArrayRef {
    let DataType::Timestamp(unit, Some(zone)) = array.data_type() else { return array.clone() };
    if zone.as_ref() == "+00:00" {
        return array.clone();
    }
    match unit {
        TimeUnit::Second => {
            Arc::new(array.as_primitive::<TimestampSecondType>().clone().with_timezone("+00:00"))
        }
        TimeUnit::Millisecond => {
            Arc::new(array.as_primitive::<TimestampMillisecondType>().clone().with_timezone("+00:00"))
        }
        TimeUnit::Microsecond => {
            Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("+00:00"))
        }
        TimeUnit::Nanosecond => {
            Arc::new(array.as_primitive::<TimestampNanosecondType>().clone().with_timezone("+00:00"))
        }
    }
}

fn kind(array: &dyn Array) -> Result<Kind<'_>, ArrowError> {
    let data_type = array.data_type();
    let text = || ArrayFormatter::try_new(array, &OPTIONS);
    if data_type.is_null() {
        return Ok(Kind::Null);
    }
    if let Some(array) = array.as_boolean_opt() {
        return Ok(Kind::Bool(array));
    }
    if data_type.is_integer() || data_type.is_decimal() {
        return Ok(Kind::Number(text()?));
    }
    if let Some(finite) = finite(array) {
        return Ok(Kind::Float(text()?, finite));
    }
    if let Some(list) = array.as_list_opt::<i32>() {
        return Ok(Kind::List(ranges(list.value_offsets()), Box::new(Cells::new(list.values())?)));
    }
    if let Some(list) = array.as_list_opt::<i64>() {
        return Ok(Kind::List(ranges(list.value_offsets()), Box::new(Cells::new(list.values())?)));
    }
    if let Some(list) = array.as_fixed_size_list_opt() {
        let size = usize::try_from(list.value_length()).unwrap_or(0);
        let ranges = (0..list.len()).map(|row| (row * size, (row + 1) * size)).collect();
        return Ok(Kind::List(ranges, Box::new(Cells::new(list.values())?)));
    }
    if let Some(map) = array.as_map_opt() {
        let (keys, values) = (Cells::new(map.keys())?, Cells::new(map.values())?);
        return Ok(Kind::Map(ranges(map.value_offsets()), Box::new(keys), Box::new(values)));
    }
    if let Some(fields) = array.as_struct_opt() {
        return Ok(Kind::Struct(struct_fields(fields)?));
    }
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        // Values may be empty when every key is NULL.
        let keys = if dictionary.values().is_empty() { Vec::new() } else { dictionary.normalized_keys() };
        return Ok(Kind::Dictionary(keys, Box::new(Cells::new(dictionary.values().as_ref())?)));
    }
    Ok(Kind::Text(text()?))
}

fn struct_fields(array: &StructArray) -> Result<Vec<(&str, Cells<'_>)>, ArrowError> {
    let names = array.fields().iter().map(|field| field.name().as_str());
    names.zip(array.columns()).map(|(name, column)| Ok((name, Cells::new(column.as_ref())?))).collect()
}

fn finite(array: &dyn Array) -> Option<Vec<bool>> {
    if let Some(array) = array.as_primitive_opt::<Float64Type>() {
        return Some(array.values().iter().map(|value| value.is_finite()).collect());
    }
    if let Some(array) = array.as_primitive_opt::<Float32Type>() {
        return Some(array.values().iter().map(|value| value.is_finite()).collect());
    }
    let array = array.as_primitive_opt::<Float16Type>()?;
    Some(array.values().iter().map(|value| value.is_finite()).collect())
}

/// Starts and ends of a list's rows. Offsets of Arrow are never negative.
fn ranges<O: Copy + TryInto<usize>>(offsets: &[O]) -> Vec<(usize, usize)> {
    let index = |offset: O| offset.try_into().unwrap_or(0);
    offsets.iter().zip(offsets.iter().skip(1)).map(|(start, end)| (index(*start), index(*end))).collect()
}

fn write_list(
    ranges: &[(usize, usize)],
    items: &Cells<'_>,
    row: usize,
    out: &mut String,
) -> Result<(), ArrowError> {
    let (start, end) = ranges.get(row).copied().unwrap_or_default();
    out.push('[');
    for item in start..end {
        if item > start {
            out.push(',');
        }
        items.write_json(item, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_struct(fields: &[(&str, Cells<'_>)], row: usize, out: &mut String) -> Result<(), ArrowError> {
    let mut separator = '{';
    for (name, cells) in fields {
        out.push(separator);
        separator = ',';
        write_quoted(name, out);
        out.push(':');
        cells.write_json(row, out)?;
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
    Ok(())
}

/// A map is a JSON object; keys that are not texts are written as their text.
fn write_map(
    ranges: &[(usize, usize)],
    keys: &Cells<'_>,
    values: &Cells<'_>,
    row: usize,
    out: &mut String,
) -> Result<(), ArrowError> {
    let (start, end) = ranges.get(row).copied().unwrap_or_default();
    out.push('{');
    for entry in start..end {
        if entry > start {
            out.push(',');
        }
        let mut key = String::new();
        keys.write_text(entry, &mut key)?;
        write_quoted(&key, out);
        out.push(':');
        values.write_json(entry, out)?;
    }
    out.push('}');
    Ok(())
}

/// Appends a JSON text.
pub(crate) fn write_quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn float_word(text: &str) -> &str {
    match text {
        "inf" => "Infinity",
        "-inf" => "-Infinity",
        other => other,
    }
}
