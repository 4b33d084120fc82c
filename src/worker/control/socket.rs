//! Socket files: their folder, their permissions, and the removal of those that are left over.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Extension of a socket's name, which is the process id.
const SUFFIX: &str = "sock";

/// Maximum length of a socket's path, in bytes: a limit of the kernel, less the final zero.
const MAX_PATH_BYTES: usize = 107;

/// Folder of the sockets, which belongs to one user alone. It is held open, so that paths that are too long for a
/// socket can be abbreviated.
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    /// Creates the folder, or removes the permissions of other users.
    pub fn make(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made?,
        }
        let folder = Self::open(path)?;
        let metadata = folder.handle.metadata()?;
        if metadata.uid() != geteuid().as_raw() {
            let reason = format!("it belongs to the user with the id {}", metadata.uid());
            return Err(Error::new(ErrorKind::PermissionDenied, reason));
        }
        if metadata.mode() & 0o777 != 0o700 {
            folder.handle.set_permissions(Permissions::from_mode(0o700))?;
        }
        Ok(folder)
    }

    pub fn open(path: &Path) -> Result<Self> {
        let handle = File::open(path)?;
        if !handle.metadata()?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self { path: path.to_owned(), handle })
    }

    /// Returns the path of a file for the socket calls.
    pub fn path_of(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        if path.as_os_str().len() <= MAX_PATH_BYTES {
            return path;
        }
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()))
    }

    /// Returns the processes that have a live socket here, ordered by id. Sockets of dead processes are removed.
    pub fn workers(&self) -> Result<Vec<u32>> {
        let mut workers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let pid = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let (Some(pid), Some(true)) = (pid, path.extension().map(|suffix| suffix == SUFFIX)) else { continue };
            if self.is_live(pid)? {
                workers.push(pid);
            }
        }
        workers.sort_unstable();
        Ok(workers)
    }

    /// Whether the process listens on its socket. A socket on which no process listens is removed: sockets get their
    /// names after their processes listen.
    pub fn is_live(&self, pid: u32) -> Result<bool> {
        let path = self.path_of(&name(pid));
        match UnixStream::connect(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                Ok(false)
            }
            // The process listens, and is busy.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Returns the name of a process's socket.
pub(super) fn name(pid: u32) -> String {
    format!("{pid}.{SUFFIX}")
}
