//! artifacts.tar.gz: everything that a test left except its log and the facts about it.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::manifest::Inventory;
use super::redact::Redactor;
use super::sources::ExactReader;
use crate::confined_folder::ConfinedFolder;

/// Archive member that lists what could not be kept.
const LEFT_OUT: &str = "left-out";
/// Maximum size of the list, in bytes. Entries beyond it are only counted.
const MAX_LIST_BYTES: usize = 1 << 20;

/// Writes everything under `root` to an archive, in the order of names, except the top-level names in `except`.
///
/// When all files together have more than `room` bytes, the largest are left out until the rest fits. Symbolic links
/// are kept as links. A last member `left-out` names everything that is left out, is not a file, folder or link, or
/// cannot be read. Errors come only from writing: a read error never ends the archive.
pub(super) fn write<W: Write>(
    root: &Path,
    except: &[&str],
    room: u64,
    redactor: &Redactor,
    writer: W,
) -> io::Result<(W, Inventory)> {
    let mut archive = Archive {
        tar: Builder::new(writer),
        redactor,
        room: SizeBudget::default(),
        left_out: LeftOut::default(),
        inventory: Inventory::default(),
    };
    let root = match ConfinedFolder::open(root) {
        Ok(root) => root,
        // A test that never started has no output folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((archive.tar.into_inner()?, archive.inventory));
        }
        Err(error) => {
            archive.leave_out(Path::new("."), None, &error);
            let text = archive.left_out.finish().unwrap_or_default();
            append_text(&mut archive.tar, LEFT_OUT, &text)?;
            return Ok((archive.tar.into_inner()?, archive.inventory));
        }
    };
    archive.room = SizeBudget::measure(&root, except, room);
    let mut faults = Vec::new();
    let mut pending = top(&root, except, &mut faults);
    let name_taken = pending.iter().any(|path| path == Path::new(LEFT_OUT));
    loop {
        for (path, error) in faults.drain(..) {
            archive.leave_out(&path, None, error);
        }
        let Some(path) = pending.pop() else { break };
        if archive.append(&root, &path)? {
            pending.extend(children(&root, &path, &mut faults));
        }
    }
    if let Some(text) = archive.left_out.finish() {
        append_text(&mut archive.tar, if name_taken { "left-out.apt-ci" } else { LEFT_OUT }, &text)?;
    }
    Ok((archive.tar.into_inner()?, archive.inventory))
}

/// Writes an archive that contains only the reason why everything was left out.
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

/// Path that cannot be read completely, and the error.
type ReadError = (PathBuf, io::Error);

/// Returns the top-level paths of the output, last name first.
fn top(root: &ConfinedFolder, except: &[&str], faults: &mut Vec<ReadError>) -> Vec<PathBuf> {
    let mut paths = children(root, Path::new(""), faults);
    paths.retain(|path| !except.iter().any(|name| path == Path::new(name)));
    paths
}

/// Returns the paths in a folder, last name first: the caller uses them as a stack.
fn children(root: &ConfinedFolder, path: &Path, faults: &mut Vec<ReadError>) -> Vec<PathBuf> {
    let (mut names, fault) = root.names(path);
    faults.extend(fault.map(|fault| (path.to_owned(), fault)));
    names.sort_unstable_by(|a, b| b.cmp(a));
    names.into_iter().map(|name| path.join(name)).collect()
}

/// Space for files, and which of them fit.
#[derive(Default)]
struct SizeBudget {
    /// Maximum size of all files together, in bytes.
    all: u64,
    left: u64,
    /// Size of the largest files that are kept, and the number of files of this size that are kept.
    largest: (u64, usize),
}

impl SizeBudget {
    /// Measures all files and decides which are kept: the smallest ones, as long as they fit.
    fn measure(root: &ConfinedFolder, except: &[&str], room: u64) -> Self {
        let mut sizes = Vec::new();
        let mut total: u64 = 0;
        // Errors are ignored here: `write` names what cannot be read.
        let mut faults = Vec::new();
        let mut pending = top(root, except, &mut faults);
        while let Some(path) = pending.pop() {
            let Ok(metadata) = root.metadata(&path) else { continue };
            if metadata.is_dir() {
                pending.extend(children(root, &path, &mut faults));
            } else if metadata.is_file() {
                sizes.push(metadata.len());
                total = total.saturating_add(metadata.len());
            }
        }
        let everything = Self { all: room, left: room, largest: (u64::MAX, usize::MAX) };
        if total <= room {
            return everything;
        }
        sizes.sort_unstable();
        let mut sum: u64 = 0;
        let kept = sizes.iter().take_while(|size| {
            sum = sum.saturating_add(**size);
            sum <= room
        });
        let kept = kept.count();
        let largest = kept.checked_sub(1).and_then(|last| sizes.get(last)).copied();
        let largest =
            largest.map_or((0, 0), |size| (size, sizes.iter().take(kept).filter(|one| **one == size).count()));
        Self { largest, ..everything }
    }

    /// Returns whether a file of this size is kept. It must still fit, because it may have grown since it was measured.
    fn take(&mut self, size: u64) -> bool {
        let (largest, count) = &mut self.largest;
        let fits = size <= self.left && (size < *largest || (size == *largest && *count > 0));
        if fits {
            self.left -= size;
            if size == *largest {
                *count -= 1;
            }
        }
        fits
    }
}

/// Text of the member `left-out`.
#[derive(Default)]
struct LeftOut {
    text: String,
    more: u64,
}

impl LeftOut {
    fn add(&mut self, name: &str, reason: &str) {
        if self.text.len() + name.len() + reason.len() < MAX_LIST_BYTES {
            self.text.extend([name, ": ", reason, "\n"]);
        } else {
            self.more += 1;
        }
    }

    fn finish(&mut self) -> Option<String> {
        let mut text = std::mem::take(&mut self.text);
        if self.more > 0 {
            text.extend([format!("and {} more\n", self.more)]);
        }
        (!text.is_empty()).then_some(text)
    }
}

struct Archive<'a, W: Write> {
    tar: Builder<W>,
    redactor: &'a Redactor,
    room: SizeBudget,
    left_out: LeftOut,
    inventory: Inventory,
}

impl<W: Write> Archive<'_, W> {
    fn leave_out(&mut self, path: &Path, size: Option<u64>, reason: impl std::fmt::Display) {
        let (name, reason) = (self.name(path), reason.to_string());
        let reason = self.redactor.text(&reason).into_owned();
        self.left_out.add(&name, &reason);
        self.inventory.leave_out(&name, size, &reason);
    }

    /// Returns a path in a form for people, redacted.
    fn name(&self, path: &Path) -> String {
        self.redacted(path.as_os_str()).display().to_string()
    }

    fn redacted(&self, path: &OsStr) -> PathBuf {
        let mut bytes = path.as_bytes().to_vec();
        self.redactor.mask(&mut bytes);
        OsString::from_vec(bytes).into()
    }

    /// Appends a file, folder or link, and returns whether it is a folder whose contents follow.
    fn append(&mut self, root: &ConfinedFolder, path: &Path) -> io::Result<bool> {
        let metadata = match root.metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                self.leave_out(path, None, error);
                return Ok(false);
            }
        };
        let member = self.redacted(path.as_os_str());
        if metadata.is_dir() {
            let mut header = header(&metadata, EntryType::Directory, 0);
            self.tar.append_data(&mut header, member, io::empty())?;
            return Ok(true);
        }
        if metadata.is_symlink() {
            match root.link(path) {
                Ok(target) => {
                    let target = self.redacted(&target);
                    self.tar.append_link(&mut header(&metadata, EntryType::Symlink, 0), member, target)?;
                }
                Err(error) => self.leave_out(path, None, error),
            }
        } else if metadata.is_file() {
            match root.regular(path) {
                Ok((file, metadata)) if self.room.take(metadata.len()) => {
                    let mut header = header(&metadata, EntryType::Regular, metadata.len());
                    let mut bytes = ExactReader::new(file, metadata.len());
                    self.tar.append_data(&mut header, member, self.redactor.read(&mut bytes))?;
                    self.inventory.keep(&self.name(path), metadata.len());
                    if let Some(fault) = bytes.into_fault() {
                        self.left_out.add(&self.name(path), &fault);
                    }
                }
                Ok((_, metadata)) => {
                    let size = metadata.len();
                    let reason = format!("{size} bytes: of more than {} the largest files are left out", self.room.all);
                    self.leave_out(path, Some(size), reason);
                }
                Err(error) => self.leave_out(path, Some(metadata.len()), error),
            }
        } else {
            self.leave_out(path, None, "a device, pipe or socket");
        }
        Ok(false)
    }
}

/// Returns a member's header, without owners, which mean nothing elsewhere, and without set-uid bits.
fn header(metadata: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(metadata.mode() & 0o777);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or_default());
    header.set_size(size);
    header
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_largest_are_left_out_until_the_rest_fits(sizes in prop::collection::vec(0u64..50, 0..30), room in 0u64..400) {
            let folder = tempfile::tempdir().unwrap();
            for (number, size) in sizes.iter().enumerate() {
                let below = folder.path().join(format!("d{}", number % 3));
                std::fs::create_dir_all(&below).unwrap();
                std::fs::write(below.join(number.to_string()), vec![0; *size as usize]).unwrap();
            }
            let mut limits = SizeBudget::measure(&ConfinedFolder::open(folder.path()).unwrap(), &[], room);
            let kept: Vec<u64> = sizes.iter().copied().filter(|size| limits.take(*size)).collect();
            prop_assert!(kept.iter().sum::<u64>() <= room);
            // The next larger file would not have fit, and no larger one is kept.
            let mut left_out = sizes.clone();
            for size in &kept {
                left_out.remove(left_out.iter().position(|one| one == size).unwrap());
            }
            if let Some(next) = left_out.iter().min() {
                prop_assert!(kept.iter().sum::<u64>() + next > room);
                prop_assert!(kept.iter().all(|size| size <= next));
            }
        }
    }
}
