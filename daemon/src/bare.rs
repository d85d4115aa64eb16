//! The yardstick of `make bench`: decompresses and decodes ledgers on one core, and nothing else.

use std::{fs, path::Path};

use stellar_xdr::{LedgerCloseMetaBatch, Limits, ReadXdr};

/// Decodes every object below `path`, `repeat` times, and says how many ledgers that were.
///
/// # Errors
/// The file that cannot be read or decoded.
pub fn decode(path: &Path, repeat: u32) -> Result<String, String> {
    let mut objects = Vec::new();
    collect(path, &mut objects)?;
    let mut ledgers = 0u64;
    for _ in 0..repeat {
        for (name, packed) in &objects {
            let bytes = zstd::decode_all(packed.as_slice()).map_err(|e| format!("{name}: {e}"))?;
            let batch = LedgerCloseMetaBatch::from_xdr(&bytes, Limits { depth: 500, len: bytes.len() })
                .map_err(|e| format!("{name}: {e}"))?;
            ledgers += batch.ledger_close_metas.len() as u64;
            std::hint::black_box(&batch);
        }
    }
    Ok(format!("{ledgers}\n"))
}

fn collect(path: &Path, objects: &mut Vec<(String, Vec<u8>)>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let child = entry.path();
        let name = child.display().to_string();
        if child.is_dir() {
            collect(&child, objects)?;
        } else if name.ends_with(".xdr.zst") || name.ends_with(".xdr.zstd") {
            objects.push((name, fs::read(&child).map_err(failed)?));
        }
    }
    Ok(())
}
