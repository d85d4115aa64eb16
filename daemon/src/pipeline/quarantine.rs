//! Keeps what was refused: the raw bytes and the reason, below `<lake>/quarantine/<network>/`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use super::error::PipelineError;
use crate::source::SourceError;

/// Writes the evidence of a corrupt ledger and returns its path; `None` when the error carries none.
///
/// # Errors
/// The path and what the system said. The refusal itself stands whatever happens here.
pub fn keep(lake: &Path, network: &str, error: &PipelineError) -> Result<Option<PathBuf>, String> {
    let (name, bytes) = match error {
        PipelineError::Refused { ledger, .. } => (format!("{}.xdr", ledger.seq), ledger.xdr.clone()),
        PipelineError::Source(SourceError::Corrupt { seq, evidence, .. }) => {
            (format!("{seq}.object"), evidence.clone())
        }
        PipelineError::Source(
            SourceError::Io { .. }
            | SourceError::Missing { .. }
            | SourceError::Empty { .. }
            | SourceError::Decode(_)
            | SourceError::Mismatch { .. },
        )
        | PipelineError::Lake(_)
        | PipelineError::Worker(_) => return Ok(None),
    };
    let folder = lake.join("quarantine").join(network);
    let path = folder.join(&name);
    let failed = |error: std::io::Error| format!("cannot keep the evidence in {}: {error}", path.display());
    fs::create_dir_all(&folder).map_err(failed)?;
    write(&path, &bytes).map_err(failed)?;
    write(&folder.join(format!("{name}.reason")), format!("{error}\n").as_bytes()).map_err(failed)?;
    Ok(Some(path))
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
