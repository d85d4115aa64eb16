//! The Unix socket: bound under a temporary name, given its mode, and only then moved to the name that clients
//! know, so that it is never reachable with another mode and never replaces something that is in use.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tokio::net::{UnixListener, UnixStream};

use super::error::ControlError;

/// Bytes of `sun_path` without the NUL that ends it (unix(7)).
const MAX_PATH_BYTES: usize = 107;

/// Everybody may connect: each call is authorised by the peer's groups, of which a file could name only one.
const MODE: u32 = 0o666;

/// A socket that listens at its path.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    /// `None` when the file is another's.
    file: Option<SocketFile>,
}

/// The file of a socket; removed on drop if it is still the same one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl ControlSocket {
    /// Binds a socket at `path` with mode 0666. A stale socket file, on which nobody answers, is replaced.
    ///
    /// # Errors
    /// [`ControlError::PathTooLong`], [`ControlError::BadPath`], [`ControlError::InUse`],
    /// [`ControlError::NotASocket`], [`ControlError::Bind`].
    pub async fn bind(path: &Path) -> Result<Self, ControlError> {
        Self::bind_as(path, MODE).await
    }

    /// The same with another mode.
    pub(crate) async fn bind_as(path: &Path, mode: u32) -> Result<Self, ControlError> {
        let bytes = path.as_os_str().len();
        if bytes > MAX_PATH_BYTES {
            return Err(ControlError::PathTooLong { path: path.to_owned(), bytes, limit: MAX_PATH_BYTES });
        }
        let (Some(directory), Some(_)) = (path.parent(), path.file_name()) else {
            return Err(ControlError::BadPath { path: path.to_owned() });
        };
        let failed =
            |step: &'static str| move |source| ControlError::Bind { step, path: path.to_owned(), source };

        remove_stale(path).await?;
        // Names of this pattern belong to this process: a left-over is of an earlier one with our id.
        let temporary = directory.join(format!(".s{}", std::process::id()));
        let length = temporary.as_os_str().len();
        if length > MAX_PATH_BYTES {
            let limit = MAX_PATH_BYTES - (length - bytes);
            return Err(ControlError::PathTooLong { path: path.to_owned(), bytes, limit });
        }
        remove_if_there(&temporary).map_err(failed("prepare"))?;
        let listener = UnixListener::bind(&temporary).map_err(failed("bind"))?;
        let placed = place(&temporary, path, mode);
        if placed.is_err() {
            remove_if_there(&temporary).map_err(failed("clean up"))?;
        }
        let identity = placed.map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                return ControlError::InUse { path: path.to_owned() };
            }
            failed("place")(error)
        })?;
        Ok(Self { listener, file: Some(SocketFile { path: path.to_owned(), identity }) })
    }

    /// A socket that somebody else bound and keeps.
    pub(super) const fn inherited(listener: UnixListener) -> Self {
        Self { listener, file: None }
    }

    pub(crate) fn into_parts(self) -> (UnixListener, Option<SocketFile>) {
        (self.listener, self.file)
    }
}

/// Sets the mode and moves the socket to its name, unless something is there. Gives device and inode.
fn place(temporary: &Path, path: &Path, mode: u32) -> io::Result<(u64, u64)> {
    fs::set_permissions(temporary, fs::Permissions::from_mode(mode))?;
    let identity = identity(temporary)?;
    match renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => {}
        // A file system without this flag: the check just before must do.
        Err(nix::Error::EINVAL | nix::Error::ENOSYS) => fs::rename(temporary, path)?,
        Err(error) => return Err(error.into()),
    }
    Ok(identity)
}

/// Removes a socket on which nobody answers; refuses everything else that is there.
async fn remove_stale(path: &Path) -> Result<(), ControlError> {
    let failed =
        |step: &'static str| move |source| ControlError::Bind { step, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ControlError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        // Refused is the one answer that proves that nobody listens. No permission, a full backlog and
        // everything else mean that somebody may.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            remove_if_there(path).map_err(failed("remove the stale file of"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) | Err(_) => Err(ControlError::InUse { path: path.to_owned() }),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another daemon may have replaced it meanwhile: then it is not ours to remove.
        if identity(&self.path).is_ok_and(|found| found == self.identity)
            && let Err(error) = remove_if_there(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the control socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_bound_socket_has_its_mode_and_goes_away_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let socket = ControlSocket::bind(&path).await.unwrap();
        assert_eq!(mode(&path), MODE);
        UnixStream::connect(&path).await.unwrap();
        drop(socket);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_socket_on_which_somebody_answers_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let _first = ControlSocket::bind(&path).await.unwrap();
        let error = ControlSocket::bind(&path).await.unwrap_err();
        assert!(matches!(error, ControlError::InUse { .. }), "{error}");
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _socket = ControlSocket::bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_never_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        let error = ControlSocket::bind(&path).await.unwrap_err();
        assert!(matches!(error, ControlError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_path_of_107_bytes_fits_and_one_more_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let room = MAX_PATH_BYTES - directory.path().as_os_str().len() - 1;
        let fits = directory.path().join("x".repeat(room));
        ControlSocket::bind(&fits).await.unwrap();
        let error = ControlSocket::bind(&directory.path().join("x".repeat(room + 1))).await.unwrap_err();
        assert!(matches!(error, ControlError::PathTooLong { bytes: 108, limit: 107, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_missing_directory_says_what_to_do() {
        let error = ControlSocket::bind(Path::new("/nonexistent/control.sock")).await.unwrap_err();
        assert!(error.to_string().contains("check that the directory exists"), "{error}");
    }
}
