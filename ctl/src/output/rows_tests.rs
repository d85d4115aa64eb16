//! Values that formats like to get wrong.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int64Array, StringArray, StructArray,
    TimestampMicrosecondArray, UInt64Array,
    builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder},
    types::Int8Type,
};
use arrow_schema::{DataType, Field};

use super::*;

fn json(array: ArrayRef) -> Vec<String> {
    each(array, |cells, row, text| cells.write_json(row, text))
}

fn text(array: ArrayRef) -> Vec<String> {
    each(array, |cells, row, text| cells.write_text(row, text))
}

fn each(
    array: ArrayRef,
    write: impl Fn(&Cells<'_>, usize, &mut String) -> Result<(), ArrowError>,
) -> Vec<String> {
    let array = in_utc(&array);
    let cells = Cells::new(array.as_ref()).unwrap();
    let one = |row| {
        let mut text = String::new();
        write(&cells, row, &mut text).unwrap();
        text
    };
    (0..array.len()).map(one).collect()
}

#[test]
fn integers_and_decimals_keep_every_digit() {
    assert_eq!(json(Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))), ["9223372036854775807", "null"]);
    assert_eq!(json(Arc::new(UInt64Array::from(vec![u64::MAX]))), ["18446744073709551615"]);
    let huge = Decimal128Array::from(vec![10_i128.pow(38) - 1]).with_precision_and_scale(38, 0).unwrap();
    assert_eq!(json(Arc::new(huge)), ["9".repeat(38)]);
    let money = Decimal128Array::from(vec![-12_345_i128, 5]).with_precision_and_scale(18, 4).unwrap();
    assert_eq!(json(Arc::new(money)), ["-1.2345", "0.0005"]);
}

#[test]
fn floats_that_are_no_numbers_are_texts_in_json() {
    let floats = Arc::new(Float64Array::from(vec![1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300]));
    assert_eq!(json(floats.clone()), ["1.5", "\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "1e300"]);
    assert_eq!(text(floats), ["1.5", "NaN", "Infinity", "-Infinity", "1e300"]);
}

#[test]
fn times_are_iso_and_a_zone_becomes_utc() {
    let time = TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]);
    assert_eq!(json(Arc::new(time.clone())), ["\"2023-11-14T22:13:20.000001\""]);
    let zoned = time.with_timezone("Europe/Paris");
    assert_eq!(text(Arc::new(zoned)), ["2023-11-14T22:13:20.000001Z"]);
}

#[test]
fn nested_values_are_json_everywhere() {
    let mut lists = ListBuilder::new(Int32Builder::new());
    lists.append_value([Some(1), None, Some(3)]);
    lists.append_null();
    lists.append_value([]);
    let lists: ArrayRef = Arc::new(lists.finish());
    assert_eq!(json(lists.clone()), ["[1,null,3]", "null", "[]"]);
    assert_eq!(text(lists.slice(0, 1)), ["[1,null,3]"]);
    assert_eq!(json(lists.slice(2, 1)), ["[]"]);

    let name: ArrayRef = Arc::new(StringArray::from(vec!["a\"b"]));
    let field = Arc::new(Field::new("na\"me", DataType::Utf8, true));
    let structs: ArrayRef = Arc::new(StructArray::from(vec![(field, name)]));
    assert_eq!(text(structs), [r#"{"na\"me":"a\"b"}"#]);

    let mut map = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    map.keys().append_value(7);
    map.values().append_value("x");
    map.append(true).unwrap();
    assert_eq!(json(Arc::new(map.finish())), [r#"{"7":"x"}"#]);
}

#[test]
fn enumerations_are_their_words() {
    let words: DictionaryArray<Int8Type> = vec![Some("b"), None, Some("a"), Some("b")].into_iter().collect();
    assert_eq!(json(Arc::new(words.clone())), ["\"b\"", "null", "\"a\"", "\"b\""]);
    assert_eq!(text(Arc::new(words)), ["b", "", "a", "b"]);
}

#[test]
fn csv_tells_null_from_an_empty_text() {
    let values: ArrayRef =
        Arc::new(StringArray::from(vec![None, Some(""), Some("a,\"b\"\n"), Some("plain")]));
    let cells = [Cells::new(values.as_ref()).unwrap()];
    let mut lines = String::new();
    for row in 0..4 {
        write_csv_row(&cells, row, &mut lines).unwrap();
    }
    assert_eq!(lines, "\n\"\"\n\"a,\"\"b\"\"\n\"\nplain\n");
}

#[test]
fn columns_of_one_name_stay_apart() {
    let field = |name: &str| Field::new(name, DataType::Utf8, true);
    let schema = Schema::new(vec![field("a"), field("a"), field("a_1"), field("a")]);
    assert_eq!(unique_names(&schema), ["a", "a_1", "a_1_1", "a_2"]);
}

#[test]
fn a_table_fits_the_terminal_and_escapes_control_characters() {
    let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
    let mut table = table(&unique_names(&schema), &schema, Some(40));
    table.add_row([printable(&"long ".repeat(40))]);
    table.add_row([printable("\x1b[31mred")]);
    let text = table.to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}
