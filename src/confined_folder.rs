//! Files below a folder that a branch under test, or a test, has filled. Symbolic links are never followed, neither at
//! the end of a path nor before it, even if files are replaced at the same time: every step is opened relative to the
//! previous one.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// An open folder. Paths are relative to it, and lead nowhere else.
pub(crate) struct ConfinedFolder(OwnedFd);

impl ConfinedFolder {
    /// Opens a folder. Its own path is trusted, except for its last name, which must not be a link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(AT_FDCWD, path, step(), Mode::empty())?))
    }

    /// Opens a regular file for reading. Anything else is an error.
    pub(crate) fn regular(&self, path: &Path) -> io::Result<(File, Metadata)> {
        // Does not block on a pipe without a writer.
        let file = File::from(self.at(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?);
        let metadata = file.metadata()?;
        if metadata.is_file() {
            Ok((file, metadata))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    /// Returns the metadata of a file, folder or link.
    pub(crate) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        File::from(self.at(path, OFlag::O_PATH)?).metadata()
    }

    /// Returns the metadata of a path whose links other programs follow. A link that leads out of this folder, which
    /// every absolute one does, is [`io::ErrorKind::CrossesDevices`].
    pub(crate) fn metadata_through_links(&self, path: &Path) -> io::Result<Metadata> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        File::from(openat2(&self.0, path, how)?).metadata()
    }

    /// Returns the target of a link.
    pub(crate) fn link(&self, path: &Path) -> io::Result<OsString> {
        Ok(readlinkat(self.at(path, OFlag::O_PATH)?, "")?)
    }

    /// Returns the names in a folder; in this one for an empty path. After an error, the names before it are returned
    /// as well.
    pub(crate) fn names(&self, path: &Path) -> (Vec<OsString>, Option<io::Error>) {
        let mut names = Vec::new();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let opened = self.at(path, flags).and_then(|folder| Ok(Dir::from_fd(folder)?));
        let entries = match opened {
            Ok(entries) => entries,
            Err(error) => return (names, Some(error)),
        };
        for entry in entries {
            match entry {
                Ok(entry) => {
                    let name = entry.file_name().to_bytes();
                    if name != b"." && name != b".." {
                        names.push(OsStr::from_bytes(name).to_owned());
                    }
                }
                Err(error) => return (names, Some(error.into())),
            }
        }
        (names, None)
    }

    /// Creates a file, or opens and truncates an existing one, for writing.
    pub(crate) fn make(&self, path: &Path) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NONBLOCK;
        Ok(File::from(self.at(path, flags)?))
    }

    /// Removes a file, or a link itself.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.at(path.parent().unwrap_or(Path::new("")), step())?;
        Ok(unlinkat(folder, name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Opens a path, one name after the other.
    fn at(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut names = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => names.push(name),
                _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of its folder")),
            }
        }
        let Some((last, before)) = names.split_last() else {
            return Ok(openat(&self.0, ".", flags, Mode::empty())?);
        };
        let mut folder: Option<OwnedFd> = None;
        for name in before {
            folder = Some(openat(folder.as_ref().unwrap_or(&self.0), *name, step(), Mode::empty())?);
        }
        // The mode is for new files; the process's umask applies as usual.
        Ok(openat(folder.as_ref().unwrap_or(&self.0), *last, flags, Mode::from_bits_truncate(0o666))?)
    }
}

/// Returns the flags for a folder in a path: a link in its place is an error.
fn step() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_followed_neither_at_the_end_nor_on_the_way() {
        let root = tempfile::tempdir().unwrap();
        let (inside, outside) = (root.path().join("inside"), root.path().join("outside"));
        fs::create_dir_all(inside.join("real")).unwrap();
        fs::create_dir(&outside).unwrap();
        for folder in [&inside.join("real"), &outside] {
            fs::write(folder.join("file"), "text").unwrap();
        }
        symlink(&outside, inside.join("way")).unwrap();
        symlink(outside.join("file"), inside.join("end")).unwrap();
        symlink("real", inside.join("near")).unwrap();
        let folder = ConfinedFolder::open(&inside).unwrap();
        assert!(folder.regular(Path::new("real/file")).is_ok());
        for path in ["way/file", "near/file", "end", "../outside/file", "real", "/etc/passwd", "missing"] {
            assert!(folder.regular(Path::new(path)).is_err(), "{path}");
            assert!(path == "end" || path == "real" || folder.metadata(Path::new(path)).is_err(), "{path}");
        }
        assert!(folder.metadata(Path::new("end")).unwrap().is_symlink());
        assert_eq!(folder.link(Path::new("near")).unwrap(), "real");
        let through_links = |path: &str| folder.metadata_through_links(Path::new(path)).map_err(|error| error.kind());
        assert!(through_links("near/file").is_ok_and(|metadata| metadata.is_file()));
        for path in ["way/file", "end", "../outside/file", "/etc/passwd"] {
            assert_eq!(through_links(path).unwrap_err(), io::ErrorKind::CrossesDevices, "{path}");
        }
        let (mut names, fault) = folder.names(Path::new(""));
        names.sort();
        assert!(names == ["end", "near", "real", "way"] && fault.is_none(), "{names:?} {fault:?}");
        assert!(folder.names(Path::new("way")).1.is_some());
        for path in ["way/file", "near/file", "../outside/file"] {
            assert!(folder.remove_file(Path::new(path)).is_err(), "{path}");
        }
        folder.remove_file(Path::new("end")).unwrap();
        assert!(outside.join("file").exists() && !inside.join("end").is_symlink());
        assert!(ConfinedFolder::open(&inside.join("way")).is_err(), "a link in the place of the folder itself");
    }
}
