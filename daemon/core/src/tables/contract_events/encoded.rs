//! The XDR of an event and of its parts, and columns that are written from it.

use stellar_xdr::{self as xdr, Limited, Limits, WriteXdr};

use crate::{
    schema::{TextBuilder, text_cell},
    text::{Hex, Lossy, i128_of},
};

/// The XDR of one event, in a buffer that is kept from event to event: the event is encoded once, its topics and its
/// value are slices of it.
#[derive(Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    /// Where the first topic begins, where each topic ends, and where the value ends.
    bounds: Vec<usize>,
}

impl Encoded {
    /// Encodes `event`. XDR has one encoding for a value, so these are the bytes that the ledger had.
    ///
    /// # Errors
    /// What the XDR encoder says; no event that was decoded is known to fail.
    pub(super) fn set(&mut self, event: &xdr::ContractEvent) -> Result<(), xdr::Error> {
        self.bytes.clear();
        self.bounds.clear();
        let mut out = Limited::new(&mut self.bytes, Limits::none());
        event.ext.write_xdr(&mut out)?;
        event.contract_id.write_xdr(&mut out)?;
        event.type_.write_xdr(&mut out)?;
        event.body.discriminant().write_xdr(&mut out)?;
        let xdr::ContractEventBody::V0(body) = &event.body;
        let topics = u32::try_from(body.topics.len()).map_err(|_| xdr::Error::LengthExceedsMax)?;
        topics.write_xdr(&mut out)?;
        self.bounds.push(out.inner.len());
        for part in body.topics.iter().chain([&body.data]) {
            part.write_xdr(&mut out)?;
            self.bounds.push(out.inner.len());
        }
        Ok(())
    }

    /// The whole event.
    pub(super) fn event(&self) -> &[u8] {
        &self.bytes
    }

    /// The value of the event.
    pub(super) fn data(&self) -> &[u8] {
        self.parts().next_back().unwrap_or_default()
    }

    fn topics(&self) -> impl Iterator<Item = &[u8]> {
        self.parts().take(self.bounds.len().saturating_sub(2))
    }

    /// The topics and then the value.
    fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.bounds.windows(2).map(|bounds| {
            let &[start, end] = bounds else { return &[][..] };
            self.bytes.get(start..end).unwrap_or_default()
        })
    }
}

text_cell!(
    /// Topics as a JSON array of base64.
    TopicsBase64, &'l Encoded, |value, to| push_topics(value, to)
);
text_cell!(
    /// A topic as text for people and for `WHERE`.
    TopicText, &'l xdr::ScVal, |value, to| push_text(value, to)
);

fn push_topics(encoded: &Encoded, to: &mut TextBuilder) {
    to.push("[");
    for (n, topic) in encoded.topics().enumerate() {
        to.push(if n == 0 { "\"" } else { ",\"" });
        to.push_base64(topic);
        to.push("\"");
    }
    to.push("]");
}

fn push_text(value: &xdr::ScVal, to: &mut TextBuilder) {
    use xdr::ScVal as V;
    match value {
        V::Symbol(symbol) => to.put(Lossy(symbol.0.as_slice())),
        V::String(text) => to.put(Lossy(text.0.as_slice())),
        V::Address(address) => to.put(address),
        V::Bytes(bytes) => to.put(Hex(bytes.0.as_slice())),
        V::Bool(is_so) => to.put(is_so),
        V::U32(n) => to.put(n),
        V::I32(n) => to.put(n),
        V::U64(n) => to.put(n),
        V::I64(n) => to.put(n),
        V::Timepoint(xdr::TimePoint(n)) | V::Duration(xdr::Duration(n)) => to.put(n),
        V::U128(n) => to.put((u128::from(n.hi) << 64) | u128::from(n.lo)),
        V::I128(n) => to.put(i128_of(n)),
        V::U256(n) => to.put(n.to_string()),
        V::I256(n) => to.put(n.to_string()),
        V::Void
        | V::Error(_)
        | V::Vec(_)
        | V::Map(_)
        | V::ContractInstance(_)
        | V::LedgerKeyContractInstance
        | V::LedgerKeyNonce(_)
        | V::ExecutableTag(_) => to.push_value(value),
    }
}
