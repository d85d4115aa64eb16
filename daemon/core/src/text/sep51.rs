//! SEP-51 JSON of the values of contracts, of which a dense ledger has several thousand.
//!
//! The kinds that are common are written here. Serde gives the rest, and tests this one: it writes a text character by
//! character through a formatter.

use stellar_xdr::{self as xdr, ScVal as V};

use super::{Hex, Put, i128_of};

/// Appends the JSON of a value.
///
/// # Errors
/// What the serializer says; no value of the protocol is known to fail.
pub(crate) fn put_value(value: &xdr::ScVal, to: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    match value {
        V::Bool(is_so) => bare("bool", is_so, to),
        V::Void => "\"void\"".put(to),
        V::U32(n) => bare("u32", n, to),
        V::I32(n) => bare("i32", n, to),
        V::U64(n) => quoted("u64", n, to),
        V::I64(n) => quoted("i64", n, to),
        V::Timepoint(xdr::TimePoint(n)) => quoted("timepoint", n, to),
        V::Duration(xdr::Duration(n)) => quoted("duration", n, to),
        V::U128(n) => quoted("u128", (u128::from(n.hi) << 64) | u128::from(n.lo), to),
        V::I128(n) => quoted("i128", i128_of(n), to),
        V::Bytes(bytes) => quoted("bytes", Hex(bytes.0.as_slice()), to),
        V::String(text) if is_simple(text.0.as_slice()) => quoted("string", Simple(text.0.as_slice()), to),
        V::Symbol(text) if is_simple(text.0.as_slice()) => quoted("symbol", Simple(text.0.as_slice()), to),
        V::Address(address) => quoted("address", address, to),
        V::Vec(Some(values)) => {
            open("vec", to);
            put_values(&values.0, to)?;
            to.push(b'}');
        }
        V::Map(Some(entries)) => {
            open("map", to);
            put_entries(&entries.0, to)?;
            to.push(b'}');
        }
        V::Vec(None)
        | V::Map(None)
        | V::String(_)
        | V::Symbol(_)
        | V::Error(_)
        | V::U256(_)
        | V::I256(_)
        | V::ContractInstance(_)
        | V::LedgerKeyContractInstance
        | V::LedgerKeyNonce(_)
        | V::ExecutableTag(_) => serde_json::to_writer(to, value)?,
    }
    Ok(())
}

/// Appends the JSON array of values.
///
/// # Errors
/// As [`put_value`].
pub(crate) fn put_values(values: &[xdr::ScVal], to: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    to.push(b'[');
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            to.push(b',');
        }
        put_value(value, to)?;
    }
    to.push(b']');
    Ok(())
}

fn put_entries(entries: &[xdr::ScMapEntry], to: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    to.push(b'[');
    for (n, entry) in entries.iter().enumerate() {
        if n > 0 {
            to.push(b',');
        }
        "{\"key\":".put(to);
        put_value(&entry.key, to)?;
        ",\"val\":".put(to);
        put_value(&entry.val, to)?;
        to.push(b'}');
    }
    to.push(b']');
    Ok(())
}

fn open(kind: &str, to: &mut Vec<u8>) {
    to.extend_from_slice(b"{\"");
    kind.put(to);
    to.extend_from_slice(b"\":");
}

fn bare(kind: &str, value: impl Put, to: &mut Vec<u8>) {
    open(kind, to);
    value.put(to);
    to.push(b'}');
}

fn quoted(kind: &str, value: impl Put, to: &mut Vec<u8>) {
    open(kind, to);
    to.push(b'"');
    value.put(to);
    to.extend_from_slice(b"\"}");
}

/// Whether neither SEP-51 nor JSON escapes anything of a text.
fn is_simple(text: &[u8]) -> bool {
    // Without an early end, so that many bytes are looked at at once.
    text.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~') & !matches!(byte, b'"' | b'\\'))
}

/// A text that [`is_simple`].
struct Simple<'a>(&'a [u8]);

impl Put for Simple<'_> {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn address() -> impl Strategy<Value = xdr::ScAddress> {
        let key = || xdr::PublicKey::PublicKeyTypeEd25519;
        prop_oneof![
            any::<[u8; 32]>()
                .prop_map(move |k| xdr::ScAddress::Account(xdr::AccountId(key()(xdr::Uint256(k))))),
            any::<[u8; 32]>().prop_map(|k| xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash(k)))),
            any::<([u8; 32], u64)>().prop_map(|(k, id)| xdr::ScAddress::MuxedAccount(
                xdr::MuxedEd25519Account { id, ed25519: xdr::Uint256(k) }
            )),
        ]
    }

    /// Bytes most of which are letters.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof!["[ -~]{0,32}".prop_map(String::into_bytes), vec(any::<u8>(), 0..32)]
    }

    fn value() -> impl Strategy<Value = xdr::ScVal> {
        let wide = any::<(i64, u64, u64, u64)>();
        let leaf = prop_oneof![
            any::<bool>().prop_map(V::Bool),
            Just(V::Void),
            any::<u32>().prop_map(|n| V::Error(xdr::ScError::Contract(n))),
            any::<u32>().prop_map(V::U32),
            any::<i32>().prop_map(V::I32),
            any::<u64>().prop_map(V::U64),
            any::<i64>().prop_map(V::I64),
            any::<u64>().prop_map(|n| V::Timepoint(xdr::TimePoint(n))),
            any::<u64>().prop_map(|n| V::Duration(xdr::Duration(n))),
            any::<(u64, u64)>().prop_map(|(hi, lo)| V::U128(xdr::UInt128Parts { hi, lo })),
            any::<(i64, u64)>().prop_map(|(hi, lo)| V::I128(xdr::Int128Parts { hi, lo })),
            wide.prop_map(|(hi_hi, hi_lo, lo_hi, lo_lo)| V::I256(xdr::Int256Parts {
                hi_hi,
                hi_lo,
                lo_hi,
                lo_lo
            })),
            vec(any::<u8>(), 0..40).prop_map(|b| V::Bytes(xdr::ScBytes(b.try_into().unwrap_or_default()))),
            text().prop_map(|b| V::String(xdr::ScString(b.try_into().unwrap_or_default()))),
            text().prop_map(|b| V::Symbol(xdr::ScSymbol(b.try_into().unwrap_or_default()))),
            address().prop_map(V::Address),
            Just(V::LedgerKeyContractInstance),
            any::<i64>().prop_map(|nonce| V::LedgerKeyNonce(xdr::ScNonceKey { nonce })),
            Just(V::Vec(None)),
            Just(V::Map(None)),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let list = vec(inner.clone(), 0..4);
            let entries = vec((inner.clone(), inner), 0..3);
            prop_oneof![
                list.prop_map(|all| V::Vec(Some(xdr::ScVec(all.try_into().unwrap_or_default())))),
                entries.prop_map(|all| {
                    let all: Vec<_> =
                        all.into_iter().map(|(key, val)| xdr::ScMapEntry { key, val }).collect();
                    V::Map(Some(xdr::ScMap(all.try_into().unwrap_or_default())))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn values_are_written_as_serde_writes_them(values in vec(value(), 0..4)) {
            let mut ours = Vec::new();
            prop_assert!(put_values(&values, &mut ours).is_ok());
            let theirs = serde_json::to_string(&values).unwrap_or_default();
            prop_assert_eq!(String::from_utf8(ours).ok(), Some(theirs));
        }
    }
}
