//! Where the server listens.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::serve::Listener;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

use super::guard::{Access, Token, guard};

/// The longest path that the system takes for a socket, in bytes.
const LONGEST_PATH: usize = 107;

/// The largest body, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// Why a server cannot listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The system takes no such path.
    #[error(
        "the path of the control socket, {path}, has {bytes} bytes; the system takes {LONGEST_PATH} at the most"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// Somebody listens there.
    #[error("another process listens on the control socket {path}")]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// There is something else under that name.
    #[error("{path} is no socket, and is not replaced by one")]
    NoSocket {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("the control socket {path} cannot be made: {error}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

/// A listening socket whose file goes with it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    listener: UnixListener,
}

impl SocketFile {
    /// Listens at `path`, which only its owner may use. A socket that a killed run has left is replaced.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        let bytes = path.as_os_str().len();
        if bytes > LONGEST_PATH {
            return Err(ListenError::PathTooLong { path: path.to_owned(), bytes });
        }
        let failed = |error| ListenError::Io { path: path.to_owned(), error };
        match fs::symlink_metadata(path) {
            Err(_nothing_there) => {}
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ListenError::NoSocket { path: path.to_owned() });
            }
            Ok(_) if UnixStream::connect(path).is_ok() => {
                return Err(ListenError::InUse { path: path.to_owned() });
            }
            Ok(_) => fs::remove_file(path).map_err(failed)?,
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), listener })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever comes next replaces it.
        drop(fs::remove_file(&self.path));
    }
}

impl Listener for SocketFile {
    type Io = <UnixListener as Listener>::Io;
    type Addr = <UnixListener as Listener>::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        Listener::accept(&mut self.listener).await
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Serves until it is dropped.
///
/// # Errors
/// What the system said when it ended the listener.
pub async fn serve<L>(listener: L, routes: Router, access: Access) -> io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let routes = routes.layer(DefaultBodyLimit::max(LARGEST_BODY)).layer(from_fn_with_state(access, guard));
    axum::serve(listener, routes).await
}

/// Whether an address is this host's own.
pub(crate) fn is_loopback(listener: &TcpListener) -> bool {
    listener.local_addr().is_ok_and(|address| address.ip().is_loopback())
}

impl Access {
    /// What an address allows, with this token.
    pub fn of_address(listener: &TcpListener, token: Option<Token>) -> Self {
        Self::Address { token, is_loopback: is_loopback(listener) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_its_owners_alone_and_goes_with_its_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = SocketFile::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(SocketFile::bind(&path), Err(ListenError::InUse { .. })));
        drop(socket);
        assert!(!path.exists());
        // A killed run leaves its socket behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists() && SocketFile::bind(&path).is_ok());
        fs::write(&path, "a file of somebody").unwrap();
        assert!(matches!(SocketFile::bind(&path), Err(ListenError::NoSocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"a file of somebody");
        let long = folder.path().join("x".repeat(LONGEST_PATH));
        let error = SocketFile::bind(&long).unwrap_err().to_string();
        assert!(error.contains("107"), "{error}");
    }
}
