//! XDR into memory: whole values, and the pieces from which larger values are put together without decoding them.

use stellar_xdr::{Limited, Limits, VecM, WriteXdr};

/// Appends the XDR of `value`.
pub(crate) fn put<T: WriteXdr>(out: &mut Vec<u8>, value: &T) {
    let mut limited = Limited::new(out, Limits::none());
    value.write_xdr(&mut limited).expect("writing XDR to memory without limits has nothing that can fail");
}

/// The XDR of `value`.
pub(crate) fn xdr<T: WriteXdr>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put(&mut out, value);
    out
}

/// Appends an unsigned 32-bit number: a discriminant, a flag or a length.
pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends the length of a sequence.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_u32(out, count(len));
}

/// A count of things in one ledger as the wire's 32-bit number.
pub(crate) fn count(len: usize) -> u32 {
    u32::try_from(len).expect("one ledger holds fewer than 2^32 of anything")
}

/// A bounded XDR sequence from a list that the network keeps within the bound.
pub(crate) fn vecm<T, const MAX: u32>(items: Vec<T>) -> VecM<T, MAX> {
    VecM::try_from(items).expect("the network builds no sequence longer than the protocol allows")
}

/// XDR of several values of one type, and how many: becomes `T<>` when written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seq {
    count: u32,
    bytes: Vec<u8>,
}

impl Seq {
    /// Adds one value.
    pub(crate) fn push<T: WriteXdr>(&mut self, value: &T) {
        put(&mut self.bytes, value);
        self.count += 1;
    }

    /// Adds one value made of a discriminant and encoded bytes.
    pub(crate) fn push_arm(&mut self, discriminant: u32, bytes: &[u8]) {
        put_u32(&mut self.bytes, discriminant);
        self.bytes.extend_from_slice(bytes);
        self.count += 1;
    }

    /// Adds an `OperationMetaV2` with these changes and events.
    pub(crate) fn push_operation(&mut self, changes: &Self, events: &Self) {
        put_u32(&mut self.bytes, 0);
        changes.write(&mut self.bytes);
        events.write(&mut self.bytes);
        self.count += 1;
    }

    /// Adds one value that is encoded already.
    pub(crate) fn push_raw(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.count += 1;
    }

    /// Number of values.
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    /// Writes length and values.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_u32(out, self.count);
        out.extend_from_slice(&self.bytes);
    }
}
