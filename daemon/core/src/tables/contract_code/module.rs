//! Counts of a WebAssembly module, as the network counts them when code is uploaded (CAP-54).

use stellar_xdr as xdr;
use wasmparser::{BinaryReaderError, Parser, Payload};

/// The counts; `None` where the bytes are no module that can be read to its end.
pub(super) fn count(code: &[u8]) -> Option<xdr::ContractCodeCostInputs> {
    read(code).ok()
}

fn read(code: &[u8]) -> Result<xdr::ContractCodeCostInputs, BinaryReaderError> {
    let mut n = xdr::ContractCodeCostInputs {
        ext: xdr::ExtensionPoint::V0,
        n_instructions: 0,
        n_functions: 0,
        n_globals: 0,
        n_table_entries: 0,
        n_types: 0,
        n_data_segments: 0,
        n_elem_segments: 0,
        n_imports: 0,
        n_exports: 0,
        n_data_segment_bytes: 0,
    };
    let add = |to: &mut u32, more: u32| *to = to.saturating_add(more);
    for payload in Parser::new(0).parse_all(code) {
        match payload? {
            Payload::TypeSection(s) => add(&mut n.n_types, s.count()),
            Payload::ImportSection(s) => add(&mut n.n_imports, s.count()),
            Payload::FunctionSection(s) => add(&mut n.n_functions, s.count()),
            Payload::GlobalSection(s) => add(&mut n.n_globals, s.count()),
            Payload::ExportSection(s) => add(&mut n.n_exports, s.count()),
            Payload::TableSection(s) => {
                for table in s {
                    add(&mut n.n_table_entries, u32::try_from(table?.ty.initial).unwrap_or(u32::MAX));
                }
            }
            Payload::ElementSection(_) => add(&mut n.n_elem_segments, 1),
            Payload::DataSection(s) => {
                add(&mut n.n_data_segments, 1);
                for data in s {
                    add(&mut n.n_data_segment_bytes, u32::try_from(data?.data.len()).unwrap_or(u32::MAX));
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    operator?;
                    add(&mut n.n_instructions, 1);
                }
            }
            // Sections that the network does not count.
            _ => {}
        }
    }
    Ok(n)
}
