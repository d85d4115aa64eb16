//! The lake has one writer: an flock that a killed process leaves behind open to the next.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
};

use super::{dirs::LakeDirs, error::LakeError};

/// Held for as long as the lake is open. The file stays; only the lock counts.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock and writes this process's id into the file.
    ///
    /// # Errors
    /// [`LakeError::Locked`] when another process holds it; [`LakeError::Io`] when the file cannot be written.
    pub(crate) fn take(dirs: &LakeDirs) -> Result<Self, LakeError> {
        let path = dirs.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| LakeError::io("open lock file", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = (&file).take(32).read_to_string(&mut holder).is_ok();
                let holder = holder.trim();
                let known = read && !holder.is_empty();
                return Err(LakeError::Locked {
                    path: dirs.root().to_path_buf(),
                    holder: if known { holder.to_owned() } else { "unknown".to_owned() },
                });
            }
            Err(TryLockError::Error(e)) => return Err(LakeError::io("lock", &path, e)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(|e| LakeError::io("write lock file", &path, e))?;
        Ok(Self { _file: file })
    }
}
