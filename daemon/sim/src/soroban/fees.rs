//! Resources and what they cost.

use stellar_xdr::{
    LedgerFootprint, LedgerKey, SorobanResources, SorobanTransactionData, SorobanTransactionDataExt,
};

use crate::encode;

/// Stroops per KB written, as the close meta's extension tells.
pub(crate) const WRITE_1KB: i64 = 1000;

/// Resources of a call, with a refundable part of `refundable` stroops on offer.
pub(crate) fn resources(
    read_only: Vec<LedgerKey>,
    read_write: Vec<LedgerKey>,
    (instructions, write_bytes): (u32, u32),
    refundable: i64,
) -> SorobanTransactionData {
    let resources = SorobanResources {
        footprint: LedgerFootprint {
            read_only: encode::vecm(read_only),
            read_write: encode::vecm(read_write),
        },
        instructions,
        disk_read_bytes: 0,
        write_bytes,
    };
    let resource_fee = non_refundable(&resources) + refundable;
    SorobanTransactionData { ext: SorobanTransactionDataExt::V0, resources, resource_fee }
}

/// What is charged whether the call succeeds or not: instructions, entries, bytes.
pub(crate) fn non_refundable(resources: &SorobanResources) -> i64 {
    let entries = resources.footprint.read_only.len() + 3 * resources.footprint.read_write.len();
    i64::from(resources.instructions) / 400
        + 1_500 * i64::from(encode::count(entries))
        + WRITE_1KB * i64::from(resources.write_bytes) / 1024
        + 800
}
