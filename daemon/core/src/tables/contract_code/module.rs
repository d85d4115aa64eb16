//! Counts of a WebAssembly module, as the network counts them when code is uploaded (CAP-54).

use stellar_xdr as xdr;
use wasmparser::{BinaryReaderError, Parser, Payload};

/// The counts; `None` where the bytes are no module that can be read to its end.
pub(super) fn count(code: &[u8]) -> Option<xdr::ContractCodeCostInputs> {
    read(code).ok()
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's list of sections is open, and most are not counted"
)]
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
            Payload::ElementSection(s) => add(&mut n.n_elem_segments, s.count()),
            Payload::DataSection(s) => {
                add(&mut n.n_data_segments, s.count());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `(module (import "m" "f" (func)) (table 3 funcref) (memory 1) (global i32 (i32.const 7)) (func nop nop)
    /// (export "f" (func 1)) (elem (i32.const 0) func 1) (data (i32.const 0) "abc"))`, by hand.
    const MODULE: &[u8] = &[
        0, b'a', b's', b'm', 1, 0, 0, 0, // header
        1, 4, 1, 0x60, 0, 0, // one type: func
        2, 7, 1, 1, b'm', 1, b'f', 0, 0, // one import
        3, 2, 1, 0, // one function
        4, 4, 1, 0x70, 0, 3, // a table of three entries
        5, 3, 1, 0, 1, // a memory
        6, 6, 1, 0x7f, 0, 0x41, 7, 0x0b, // a global
        7, 5, 1, 1, b'f', 0, 1, // an export
        9, 7, 1, 0, 0x41, 0, 0x0b, 1, 1, // an element segment
        10, 6, 1, 4, 0, 1, 1, 0x0b, // code: nop nop end
        11, 9, 1, 0, 0x41, 0, 0x0b, 3, b'a', b'b', b'c', // three bytes of data
    ];

    #[test]
    fn d29_a_module_is_counted_section_by_section() {
        let n = count(MODULE).unwrap();
        let counts = [
            n.n_instructions,
            n.n_functions,
            n.n_globals,
            n.n_table_entries,
            n.n_types,
            n.n_data_segments,
            n.n_elem_segments,
            n.n_imports,
            n.n_exports,
            n.n_data_segment_bytes,
        ];
        assert_eq!(counts, [3, 1, 1, 3, 1, 1, 1, 1, 1, 3]);
    }

    /// A section of 64 to 127 entries has bit 6 set in its length: read as a signed number it would be negative.
    #[test]
    fn d29_counts_with_bit_six_set_are_not_negative() {
        let types: Vec<u8> = std::iter::repeat_n([0x60, 0, 0], 100).flatten().collect();
        let body = [&[100][..], &types].concat();
        let mut module = MODULE[..8].to_vec();
        module.extend([
            1,
            0x80 | u8::try_from(body.len() & 0x7f).unwrap(),
            u8::try_from(body.len() >> 7).unwrap(),
        ]);
        module.extend(body);
        assert_eq!(count(&module).unwrap().n_types, 100);
    }

    #[test]
    fn what_is_no_module_has_no_counts() {
        for code in [&b""[..], b"garbage", &MODULE[..MODULE.len() - 1], b"\0asm\x02\0\0\0"] {
            assert!(count(code).is_none(), "{code:?}");
        }
    }
}
