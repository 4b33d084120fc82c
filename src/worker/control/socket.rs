//! The sockets as files: where they are, who may use them, and which of them are left over.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// What a socket's name ends with, after the process id.
const SUFFIX: &str = "sock";

/// The longest path of a socket, in bytes: a limit of the kernel, less the final zero.
const LONGEST_PATH: usize = 107;

/// The folder of the sockets, in the hands of its owner alone. It is held open: a path that is too long for a socket can then be said
/// in a short way.
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    /// Makes the folder, or takes away from others what they may do in it.
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

    /// A file's path for the socket calls.
    pub fn path_of(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        if path.as_os_str().len() <= LONGEST_PATH {
            return path;
        }
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()))
    }

    /// The processes that have a live socket here, in the order of their ids. Sockets of dead processes are removed.
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

    /// Whether somebody listens on the process's socket. A socket on which nobody listens is removed: it gets its name
    /// only when its process already listens.
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
            // It listens, and has more to do than it can.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// The name of a process's socket.
pub(super) fn name(pid: u32) -> String {
    format!("{pid}.{SUFFIX}")
}
