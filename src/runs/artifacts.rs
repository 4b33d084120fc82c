//! Listing and unpacking of a run's artifacts. Tests decide what is in them, so that nothing in them is trusted.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Serialize;
use tar::EntryType;
use tokio::io::BufReader;
use tokio_util::io::SyncIoBridge;

use super::StoredRun;
use crate::result::layout::ARTIFACTS;
use crate::store::{Store, StoreError};

const BUFFER_BYTES: usize = 64 << 10;
/// Maximum size of names, headers and members that are left out, in bytes, in addition to the files.
const MAX_OVERHEAD_BYTES: u64 = 256 << 20;
/// Maximum length of a name, in bytes.
const MAX_NAME_BYTES: u64 = 64 << 10;
/// Maximum number of members.
const MAX_MEMBERS: usize = 1_000_000;

/// A member of an archive of artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its path in the archive.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Reason why it is not unpacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// Error while artifacts are read or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactsError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive is damaged, or the transfer was interrupted.
    #[error("cannot read the artifacts: {0}")]
    Damaged(io::Error),
    /// A local file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The archive contains more than is allowed.
    #[error("the artifacts have more than {0} bytes")]
    TooLarge(u64),
}

impl StoredRun {
    /// Returns the members of its artifacts. With a folder, also unpacks them into it: it is created if it does not
    /// exist, and has to be empty. Nothing is written outside of it: only folders and regular files are created, with
    /// this user's usual permissions. Links, devices and paths that lead outside are left out. At most `limit` bytes
    /// are unpacked.
    ///
    /// # Errors
    /// When the run has no artifacts, they are damaged or too large, or a file cannot be written.
    pub async fn artifacts(
        &self,
        store: &Store,
        folder: Option<PathBuf>,
        limit: u64,
    ) -> Result<Vec<Member>, ArtifactsError> {
        let compressed = store.get(&self.container, &self.object(ARTIFACTS)).await?;
        let source = SyncIoBridge::new(BufReader::with_capacity(BUFFER_BYTES, compressed));
        let unpacking = tokio::task::spawn_blocking(move || unpack(source, folder.as_deref(), limit));
        unpacking.await.unwrap_or_else(|panic| Err(ArtifactsError::Damaged(io::Error::other(panic))))
    }
}

fn unpack(source: impl Read, folder: Option<&Path>, limit: u64) -> Result<Vec<Member>, ArtifactsError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| ArtifactsError::Unwritable { path, source }
    };
    let is_new = folder.is_some_and(|folder| !folder.exists());
    if let Some(folder) = folder {
        make_folder(folder).map_err(unwritable(folder))?;
        let is_empty = fs::read_dir(folder).map_err(unwritable(folder))?.next().is_none();
        if !is_empty {
            let taken = io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the folder is not empty");
            return Err(unwritable(folder)(taken));
        }
    }
    let mut members = Vec::new();
    let mut left = limit;
    let decoder = MultiGzDecoder::new(io::BufReader::with_capacity(BUFFER_BYTES, source));
    // Also limits what is left out: a small compressed file may expand endlessly.
    let mut archive =
        tar::Archive::new(BoundedReader { inner: decoder, left: limit.saturating_add(MAX_OVERHEAD_BYTES) });
    let damaged = |error: io::Error| match error.kind() {
        io::ErrorKind::FileTooLarge => ArtifactsError::TooLarge(limit),
        _ => ArtifactsError::Damaged(error),
    };
    let mut long_name: Option<Vec<u8>> = None;
    // Long names are members of their own. The library would read them into memory, however long they are.
    for (count, entry) in archive.entries().map_err(damaged)?.raw(true).enumerate() {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
            let name = read_name(&mut entry, kind)?;
            long_name = name.or(long_name);
            continue;
        }
        if kind == EntryType::GNULongLink || kind == EntryType::XGlobalHeader {
            continue;
        }
        let path_bytes = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = String::from_utf8_lossy(&path_bytes).into_owned();
        let bytes = entry.size();
        let mut member = Member { path: name, bytes, left_out: None };
        if count >= MAX_MEMBERS {
            member.left_out = Some(format!("there are more than {MAX_MEMBERS}"));
            members.push(member);
            return Ok(members);
        }
        let inside = inside(Path::new(OsStr::from_bytes(&path_bytes)));
        match (kind, inside) {
            (EntryType::Directory | EntryType::Regular | EntryType::Continuous, None) => {
                member.left_out = Some("its path leads elsewhere".to_owned());
            }
            (EntryType::Directory, Some(path)) => {
                if let Some(folder) = folder {
                    let path = folder.join(path);
                    make_folder(&path).map_err(unwritable(&path))?;
                }
                continue;
            }
            (EntryType::Regular | EntryType::Continuous, Some(path)) => {
                left = left.checked_sub(bytes).ok_or(ArtifactsError::TooLarge(limit))?;
                if let Some(folder) = folder {
                    write(&mut entry, &folder.join(path), bytes)?;
                }
            }
            (EntryType::Symlink | EntryType::Link, _) => member.left_out = Some("it is a link".to_owned()),
            _ => member.left_out = Some("it is no regular file".to_owned()),
        }
        members.push(member);
    }
    if let Some(folder) = folder.filter(|_| is_new && members.is_empty()) {
        // At worst, an empty folder stays.
        let _ = fs::remove_dir(folder);
    }
    Ok(members)
}

/// Returns the name in a member that contains only the name of the next one.
fn read_name(entry: &mut impl Read, kind: EntryType) -> Result<Option<Vec<u8>>, ArtifactsError> {
    let mut text = Vec::new();
    entry.take(MAX_NAME_BYTES + 1).read_to_end(&mut text).map_err(ArtifactsError::Damaged)?;
    if text.len() as u64 > MAX_NAME_BYTES {
        return Err(ArtifactsError::Damaged(io::Error::new(io::ErrorKind::InvalidData, "a name in it is endless")));
    }
    if kind == EntryType::GNULongName {
        return Ok(Some(text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()));
    }
    // Lines of the form `LENGTH path=NAME`.
    let mut lines = text.split(|byte| *byte == b'\n');
    Ok(lines.find_map(|line| {
        let at = line.iter().position(|byte| *byte == b' ')?;
        line.get(at + 1..)?.strip_prefix(b"path=").map(<[u8]>::to_vec)
    }))
}

/// Reader that fails after a maximum number of bytes.
struct BoundedReader<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(length)
    }
}

/// Returns the path relative to the folder, unless it leads outside.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Writes a file. Everything in the folder was created here, so that no link leads outside.
fn write(entry: &mut impl Read, path: &Path, bytes: u64) -> Result<(), ArtifactsError> {
    let unwritable = |source| ArtifactsError::Unwritable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        make_folder(folder).map_err(unwritable)?;
    }
    // A later member with the same name replaces the earlier one.
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path).map_err(unwritable)?;
    let mut reader = io::BufReader::with_capacity(BUFFER_BYTES, entry).take(bytes);
    // Read and written separately, to know which of the two failed.
    loop {
        let piece = reader.fill_buf().map_err(ArtifactsError::Damaged)?;
        if piece.is_empty() {
            return Ok(());
        }
        io::Write::write_all(&mut file, piece).map_err(unwritable)?;
        let length = piece.len();
        reader.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};
    use tempfile::TempDir;

    use super::*;

    fn archive(members: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for (name, kind, content) in members {
            let mut header = Header::new_gnu();
            // Circumvents the library's own checks.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o6777);
            if *kind == EntryType::Symlink {
                header.set_link_name("/etc").unwrap();
            }
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&tar.into_inner().unwrap()).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn nothing_leaves_the_folder() {
        let outside = TempDir::new().unwrap();
        let folder = outside.path().join("in");
        let evil = archive(&[
            ("./good/file", EntryType::Regular, b"good"),
            ("../escape", EntryType::Regular, b"evil"),
            ("/tmp/absolute", EntryType::Regular, b"evil"),
            ("a/../../b", EntryType::Regular, b"evil"),
            ("etc", EntryType::Symlink, b""),
            ("etc/passwd", EntryType::Regular, b"here"),
            ("null", EntryType::Char, b""),
            ("pipe", EntryType::Fifo, b""),
        ]);
        let members = unpack(evil.as_slice(), Some(&folder), 1000).unwrap();
        let left_out: Vec<&str> =
            members.iter().filter(|member| member.left_out.is_some()).map(|member| member.path.as_str()).collect();
        assert_eq!(left_out, ["../escape", "/tmp/absolute", "a/../../b", "etc", "null", "pipe"]);
        assert_eq!(fs::read(folder.join("good/file")).unwrap(), b"good");
        assert_eq!(fs::read(folder.join("etc/passwd")).unwrap(), b"here");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        // Setuid bits and write permission for others are not taken from the archive.
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(folder.join("good/file")).unwrap().permissions().mode() & 0o7133, 0);
        unpack(evil.as_slice(), Some(&folder), 1000).unwrap_err();
    }

    #[test]
    fn long_names_are_read_and_endless_ones_are_not() {
        let long = format!("{}/file", "folder".repeat(30));
        let mut tar = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(4);
        header.set_mode(0o644);
        tar.append_data(&mut header, &long, &b"long"[..]).unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&tar.into_inner().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        unpack(gzip.finish().unwrap().as_slice(), Some(folder.path()), 1000).unwrap();
        assert_eq!(fs::read(folder.path().join(&long)).unwrap(), b"long");
        let endless = archive(&[("x", EntryType::GNULongName, &vec![b'a'; 100_000]), ("a", EntryType::Regular, b"")]);
        assert!(matches!(unpack(endless.as_slice(), None, 1000), Err(ArtifactsError::Damaged(_))));
    }

    #[test]
    fn too_much_is_refused_and_damage_is_told() {
        let large = archive(&[("a", EntryType::Regular, &[0; 600]), ("b", EntryType::Regular, &[0; 600])]);
        assert!(matches!(unpack(large.as_slice(), None, 1000), Err(ArtifactsError::TooLarge(1000))));
        assert_eq!(unpack(large.as_slice(), None, 1200).unwrap().len(), 2);
        let half = &large[..large.len() / 2];
        assert!(matches!(unpack(half, None, 10_000), Err(ArtifactsError::Damaged(_))));
    }
}
