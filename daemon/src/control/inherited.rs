//! A control socket that the service manager holds (sd_listen_fds(3)): calls wait in it while the daemon restarts.

use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use super::{error::ControlError, socket::ControlSocket};

/// Name of the descriptor: `FileDescriptorName=` of the socket unit.
const NAME: &str = "control";

/// A socket that was handed to this process and listens.
#[derive(Debug)]
pub struct InheritedSocket(UnixListener);

impl InheritedSocket {
    /// Takes the socket that the environment names, if any. Must be called before there are threads, because the variables
    /// are taken out.
    ///
    /// # Errors
    /// [`ControlError::Inherited`] when what was handed over is not one Unix socket with the name `control`.
    pub fn take() -> Result<Option<Self>, ControlError> {
        let failed = |reason: String| ControlError::Inherited { reason };
        // Marks the descriptors close-on-exec, and looks whether they are meant for this process.
        let named = sd_notify::listen_fds_with_names().map_err(|error| failed(error.to_string()))?;
        let names: Vec<String> = named.map(|(_, name)| name).collect();
        if names.is_empty() {
            return Ok(None);
        }
        if names != [NAME] {
            return Err(failed(format!("the sockets handed over are named {names:?}, not `{NAME}`")));
        }
        let listener =
            ListenFd::from_env().take_unix_listener(0).map_err(|error| failed(error.to_string()))?;
        match listener {
            Some(listener) => Ok(Some(Self(listener))),
            None => Err(failed("the socket handed over is not there".to_owned())),
        }
    }

    /// Listens on it. Its file stays when this ends: it is the manager's.
    ///
    /// # Errors
    /// [`ControlError::Inherited`].
    pub fn listen(self) -> Result<ControlSocket, ControlError> {
        let failed = |error: std::io::Error| ControlError::Inherited { reason: error.to_string() };
        self.0.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::UnixListener::from_std(self.0).map_err(failed)?;
        Ok(ControlSocket::inherited(listener))
    }
}
