//! artifacts.tar.gz: what a test left beside its log and the facts about it.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::sources::{Promised, open_regular};

/// The list of what could not be kept.
const LEFT_OUT: &str = "left-out";

/// Writes everything under `root` to an archive, in the order of names, except the top-level names in `except`.
///
/// Symbolic links are kept as links. What is not a file, folder or link, and what cannot be read, is named in a last member
/// `left-out`. An error is always one of writing: reading never ends the archive.
pub(super) fn write<W: Write>(root: &Path, except: &[&str], writer: W) -> io::Result<W> {
    let mut archive = Archive { tar: Builder::new(writer), left_out: Vec::new() };
    // A stack of relative paths, next one last.
    let mut pending: Vec<PathBuf> = archive.children(root, Path::new(""));
    pending.retain(|path| !except.iter().any(|name| path == Path::new(name)));
    let name_taken = pending.iter().any(|path| path == Path::new(LEFT_OUT));
    while let Some(path) = pending.pop() {
        pending.extend(archive.append(root, &path)?);
    }
    if !archive.left_out.is_empty() {
        let text = archive.left_out.concat();
        append_text(&mut archive.tar, if name_taken { "left-out.apt-ci" } else { LEFT_OUT }, &text)?;
    }
    archive.tar.into_inner()
}

/// Writes an archive of which everything was left out, for this reason.
pub(super) fn write_nothing<W: Write>(reason: &str, writer: W) -> io::Result<W> {
    let mut tar = Builder::new(writer);
    append_text(&mut tar, LEFT_OUT, &format!("{reason}\n"))?;
    tar.into_inner()
}

fn append_text<W: Write>(tar: &mut Builder<W>, name: &str, text: &str) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, name, text.as_bytes())
}

struct Archive<W: Write> {
    tar: Builder<W>,
    /// Lines `path: reason`.
    left_out: Vec<String>,
}

impl<W: Write> Archive<W> {
    fn leave_out(&mut self, path: &Path, reason: impl std::fmt::Display) {
        self.left_out.push(format!("{}: {reason}\n", path.display()));
    }

    /// Appends one thing, and gives back what is in it.
    fn append(&mut self, root: &Path, path: &Path) -> io::Result<Vec<PathBuf>> {
        let full = root.join(path);
        let metadata = match full.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) => {
                self.leave_out(path, error);
                return Ok(Vec::new());
            }
        };
        if metadata.is_dir() {
            let mut header = header(&metadata, EntryType::Directory, 0);
            self.tar.append_data(&mut header, path, io::empty())?;
            return Ok(self.children(root, path));
        }
        if metadata.is_symlink() {
            match full.read_link() {
                Ok(target) => {
                    self.tar.append_link(&mut header(&metadata, EntryType::Symlink, 0), path, target)?;
                }
                Err(error) => self.leave_out(path, error),
            }
        } else if metadata.is_file() {
            match open_regular(&full) {
                Ok((file, metadata)) => {
                    let mut header = header(&metadata, EntryType::Regular, metadata.len());
                    let mut bytes = Promised::new(file, metadata.len());
                    self.tar.append_data(&mut header, path, &mut bytes)?;
                    if let Some(fault) = bytes.into_fault() {
                        self.leave_out(path, fault);
                    }
                }
                Err(error) => self.leave_out(path, error),
            }
        } else {
            self.leave_out(path, "a device, pipe or socket");
        }
        Ok(Vec::new())
    }

    /// What is in a folder, last name first.
    fn children(&mut self, root: &Path, path: &Path) -> Vec<PathBuf> {
        let mut names: Vec<OsString> = Vec::new();
        match root.join(path).read_dir() {
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) => names.push(entry.file_name()),
                        Err(error) => {
                            self.leave_out(path, error);
                            break;
                        }
                    }
                }
            }
            // A test that never started has no output folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.as_os_str().is_empty() => {}
            Err(error) => self.leave_out(path, error),
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        names.into_iter().map(|name| path.join(name)).collect()
    }
}

/// A member's header. Owners are left out, they mean nothing elsewhere, and so are the set-uid bits.
fn header(metadata: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(metadata.mode() & 0o777);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or_default());
    header.set_size(size);
    header
}
