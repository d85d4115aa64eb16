//! How one kind of value becomes one column: storage is decided here and nowhere else.

use std::{borrow::Cow, fmt};

use arrow_array::{
    ArrayRef,
    types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt32Type},
};
use arrow_schema::{DataType, TimeUnit};
use serde::Serialize;
use stellar_xdr::{self as xdr, WriteXdr};

use super::plain::{BoolBuilder, NumberBuilder};
use crate::{
    ledger::Hash32,
    text::{Put, Strkey},
};

/// Builds the column of a [`Cell`].
pub trait ColumnBuilder: Default + fmt::Debug {
    /// Appends NULL.
    fn append_null(&mut self);
    /// Bytes held.
    fn bytes(&self) -> usize;
    /// Whether a value was dropped because the column cannot hold more.
    fn is_full(&self) -> bool {
        false
    }
    /// What the values and NULLs so far have taken.
    fn room(&self) -> Room;
    /// Makes room for so much in an empty column.
    fn reserve(&mut self, room: Room);
    /// The finished array.
    fn finish(self) -> ArrayRef;
}

/// How much a column holds, for the next one like it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    /// Values, and the NULLs before the last of them.
    pub values: usize,
    /// Bytes of text.
    pub text: usize,
}

impl Room {
    /// Most values that room is made for.
    const MOST_VALUES: usize = 1 << 20;
    /// Most bytes of text.
    const MOST_TEXT: usize = 8 << 20;

    /// A little more, as no two chunks are the same, and never very much.
    pub(crate) fn with_spare(self) -> Self {
        let spare = |n: usize, most| n.saturating_add(n / 8).min(most);
        Self { values: spare(self.values, Self::MOST_VALUES), text: spare(self.text, Self::MOST_TEXT) }
    }
}

/// A kind of column. The implementing type is only a name; a row holds its `Value`.
pub trait Cell {
    /// What a row holds, borrowed from the ledger where that saves a copy.
    type Value<'l>: fmt::Debug;
    /// What collects the values.
    type Builder: ColumnBuilder;
    /// DuckDB type.
    const SQL: &'static str;
    /// Whether NULL may stand here: only in `Option`.
    const NULLABLE: bool = false;
    /// Arrow type; must register as `SQL` (see the lake's type table).
    fn data_type() -> DataType;
    /// Appends one value.
    fn append(value: Self::Value<'_>, to: &mut Self::Builder);
}

impl<K: Cell> Cell for Option<K> {
    type Value<'l> = Option<K::Value<'l>>;
    type Builder = K::Builder;
    const SQL: &'static str = K::SQL;
    const NULLABLE: bool = true;
    fn data_type() -> DataType {
        K::data_type()
    }
    #[inline]
    fn append(value: Self::Value<'_>, to: &mut Self::Builder) {
        match value {
            Some(value) => K::append(value, to),
            None => to.append_null(),
        }
    }
}

macro_rules! plain_cell {
    ($name:ty, $value:ty, $builder:ty, $sql:literal, $data_type:expr) => {
        impl Cell for $name {
            type Value<'l> = $value;
            type Builder = $builder;
            const SQL: &'static str = $sql;
            fn data_type() -> DataType {
                $data_type
            }
            #[inline]
            fn append(value: Self::Value<'_>, to: &mut Self::Builder) {
                to.append_value(value);
            }
        }
    };
}

plain_cell!(i32, i32, NumberBuilder<Int32Type>, "INTEGER", DataType::Int32);
plain_cell!(u32, u32, NumberBuilder<UInt32Type>, "UINTEGER", DataType::UInt32);
plain_cell!(i64, i64, NumberBuilder<Int64Type>, "BIGINT", DataType::Int64);
plain_cell!(f64, f64, NumberBuilder<Float64Type>, "DOUBLE", DataType::Float64);
plain_cell!(bool, bool, BoolBuilder, "BOOLEAN", DataType::Boolean);
plain_cell!(
    Timestamp,
    i64,
    NumberBuilder<TimestampMicrosecondType>,
    "TIMESTAMP",
    DataType::Timestamp(TimeUnit::Microsecond, None)
);

/// UTC time as microseconds since the Unix epoch, without a zone.
#[derive(Debug)]
pub struct Timestamp;

/// Declares a kind of text: its name, what a row holds (may borrow for `'l`) and how that is written.
macro_rules! text_cell {
    ($(#[$doc:meta])* $name:ident $(<$p:ident: $bound:path>)?, $value:ty, |$v:ident, $to:ident| $write:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name $(<$p>(std::marker::PhantomData<$p>))?;

        impl $(<$p: $bound + std::fmt::Debug + 'static>)? $crate::schema::Cell for $name $(<$p>)? {
            type Value<'l> = $value;
            type Builder = $crate::schema::TextBuilder;
            const SQL: &'static str = "VARCHAR";
            fn data_type() -> arrow_schema::DataType {
                arrow_schema::DataType::Utf8
            }
            fn append($v: Self::Value<'_>, $to: &mut Self::Builder) {
                $write;
                $to.end();
            }
        }
    };
}

pub(crate) use text_cell;

text_cell!(
    /// Text that is borrowed or had to be made.
    Text, Cow<'l, str>, |value, to| to.push(&value)
);
text_cell!(
    /// Text that was written as UTF-8 bytes.
    Written, &'l [u8], |value, to| to.push_bytes(value)
);
text_cell!(
    /// One of a fixed set of words.
    Word, &'static str, |value, to| to.push(value)
);
text_cell!(
    /// A hash as 64 lower-case hex digits.
    Hex32, Hash32, |value, to| to.put(value)
);
text_cell!(
    /// Standard base64, padded, of original bytes.
    Base64, &'l [u8], |value, to| to.push_base64(value)
);
text_cell!(
    /// Standard base64, padded, of the XDR of a value that was decoded: its canonical bytes.
    XdrBase64<T: WriteXdr>, &'l T, |value, to| to.push_xdr(value)
);
text_cell!(
    /// An account's ed25519 key as its `G...` strkey.
    Account, [u8; 32], |value, to| to.put(Strkey::account(value))
);
text_cell!(
    /// A muxed account, id and ed25519 key, as its `M...` strkey.
    Muxed, (u64, [u8; 32]),
    |value, to| to.put(Strkey::muxed_account(value.0, value.1))
);
text_cell!(
    /// A contract id as its `C...` strkey.
    Contract, [u8; 32], |value, to| to.put(Strkey::contract(value))
);
text_cell!(
    /// Compact JSON of a borrowed value; of an XDR value it is SEP-51.
    Json<T: Serialize>, &'l T, |value, to| to.push_json(value)
);
text_cell!(
    /// SEP-51 JSON of a contract's value.
    ScVal, &'l xdr::ScVal, |value, to| to.push_value(value)
);
text_cell!(
    /// SEP-51 JSON array of contracts' values.
    ScVals, &'l [xdr::ScVal], |value, to| to.push_values(value)
);
text_cell!(
    /// The text of an owned value.
    Shown<T: Put>, T, |value, to| to.put(value)
);
