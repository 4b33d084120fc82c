//! A run's result as three or four files in a folder of this machine, ready to be published, and complete or not there at all. None of
//! them, and nothing else in the folder, holds a secret of the request.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use tar::{Builder, Header};

use super::artifacts;
use super::facts::Facts;
use super::layout::{ARTIFACTS, LOG, READABLE_BY, RESULT, RunId};
use super::listing::{RunSummary, with_length};
use super::log;
use super::manifest::{Inventory, Manifest, Published};
use super::material::Material;
use super::record::RequestRecord;
use super::redact::Redactor;
use super::sources::{Promised, open_regular};
use crate::request::Request;
use crate::store::ObjectHeaders;

/// Marks a complete bundle, and says what is in it.
const MARK: &str = "bundle.json";
/// Another run id than the mark's, when the bundle is published under another one. It is there before anything is stored under it.
const RUN_ID: &str = "run-id";
/// The run id under which the bundle is known to be published.
const CONFIRMED: &str = "confirmed";
/// autopkgtest's own files that go into result.tar as they are, unless they are larger than this: every reader fetches
/// result.tar.
const SMALL: u64 = 4 << 20;
const COPIED: [&str; 2] = ["testbed-packages", "summary"];

/// How much of a run's artifacts is published, in bytes before compression. Of more, the largest files are left out.
pub const ARTIFACTS_LIMIT: u64 = 4 << 30;

/// What a bundle may hold, in bytes.
#[derive(Clone, Copy)]
struct Limits {
    /// All artifacts, before compression.
    artifacts: u64,
    /// The compressed archive of them. Swift takes no larger object, and a result that nobody can store would go round from worker to
    /// worker for ever.
    archive: u64,
    /// The log's beginning and end.
    log: (u64, u64),
}

const LIMITS: Limits = Limits { artifacts: ARTIFACTS_LIMIT, archive: 5 << 30, log: (log::KEEP_HEAD, log::KEEP_TAIL) };

/// What can go wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no room for it.
    #[error("the disk is full: {} cannot be written: {source}", path.display())]
    DiskFull {
        /// The file that did not fit.
        path: PathBuf,
        /// In the system's words.
        source: io::Error,
    },
    /// A file cannot be used.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A bundle that is not what it was when it was written.
    #[error("the bundle {} is damaged: {reason}", dir.display())]
    Damaged {
        /// Its folder.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl BundleError {
    fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { path, source }
            }
            _ => Self::Io { action, path, source },
        }
    }

    fn damaged(dir: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { dir: dir.to_owned(), reason: reason.into() }
    }
}

/// A complete result in a folder of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The folder.
    pub dir: PathBuf,
    /// What the store's listing will tell.
    pub summary: RunSummary,
    /// The size of result.tar, in bytes.
    length: u64,
    /// The request that it is the result of. `None` when an older version has made the bundle.
    request: Option<RequestRecord>,
    given_up: Vec<RunId>,
    /// Whether the request names who may read the result.
    has_readers: bool,
    /// Whether the archives of the request's PPAs have let it in, with its tokens or without: autopkgtest starts only then.
    pub is_admitted: bool,
    /// The run id that it got when it was packed, as long as nothing is stored under it. A bundle of a worker that has died has none:
    /// nobody knows how far that one came.
    pub unused_id: Option<RunId>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Its name in the store.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// How it presents itself in the store.
    pub headers: ObjectHeaders,
}

/// The text of [`MARK`].
#[derive(Serialize, Deserialize)]
struct Mark {
    summary: RunSummary,
    sizes: Sizes,
    /// The first id for its run. Absent when an older version has made the bundle.
    #[serde(default)]
    run: Option<String>,
    /// The request. Absent when an older version has made the bundle.
    #[serde(default)]
    request: Option<RequestRecord>,
    /// Absent when an older version has made the bundle, which did not ask.
    #[serde(default)]
    admitted: Option<bool>,
}

impl Mark {
    fn read(dir: &Path) -> Result<Option<Self>, BundleError> {
        let Some(text) = read_if_there(&dir.join(MARK))? else { return Ok(None) };
        let mark = serde_json::from_str(&text);
        mark.map(Some).map_err(|error| BundleError::damaged(dir, format!("{MARK} cannot be read: {error}")))
    }
}

/// The files' sizes in bytes.
#[derive(Serialize, Deserialize)]
struct Sizes {
    log: u64,
    artifacts: u64,
    result: u64,
    /// Absent when there is no such file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readable_by: Option<u64>,
}

/// Makes a bundle in the folder `destination`, which must not lie in the output folder. Blocks; reads and writes in small
/// pieces, however large the artifacts are. What was there of an older attempt at the same bundle is replaced.
///
/// When this returns, the bundle survives a crash of the machine.
///
/// # Errors
/// [`BundleError::DiskFull`], or when a file cannot be written. What cannot be read of the output is named in the archive
/// instead, and so is what is left out: the largest of more than [`ARTIFACTS_LIMIT`], or everything when the rest has more than 5 GiB
/// even when it is compressed, which no store takes.
pub fn pack(material: &Material<'_>, destination: &Path) -> Result<Bundle, BundleError> {
    pack_within(&LIMITS, material, destination)
}

fn pack_within(limits: &Limits, material: &Material<'_>, destination: &Path) -> Result<Bundle, BundleError> {
    fs::create_dir_all(destination).map_err(|error| BundleError::new("making", destination, error))?;
    for name in [MARK, RUN_ID, CONFIRMED, READABLE_BY] {
        let path = destination.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(BundleError::new("removing", &path, error));
            }
            _ => {}
        }
    }
    let redactor = Redactor::new(material.request, material.secrets);
    let facts = Facts::gather(material, &redactor);
    let mut files = BTreeMap::new();

    let mut draft = Draft::new(destination);
    let (written, log) = draft.write(LOG, |file| log::write(material, &redactor, limits.log, file))?;
    files.insert(LOG, Published { size: written.bytes, stored: log, left_out: written.left_out });

    let readers = &material.request.parameters().readable_by;
    let readable_by = if readers.is_empty() {
        None
    } else {
        let text: String = readers.iter().map(|user| format!("{user}\n")).collect();
        let ((), size) = draft.write(READABLE_BY, |file| file.write_all(text.as_bytes()))?;
        files.insert(READABLE_BY, Published { size, stored: size, left_out: 0 });
        Some(size)
    };

    let copied = copied(material);
    let told: Vec<&str> =
        facts.told.iter().copied().chain(["log"]).chain(copied.iter().map(|(name, ..)| *name)).collect();
    let (size, artifacts, inventory) = write_artifacts(limits, material, &told, &redactor, &mut draft)?;
    files.insert(ARTIFACTS, Published { size, stored: artifacts, left_out: 0 });

    let manifest = serde_json::to_string(&Manifest { files, artifacts: &inventory });
    let manifest = manifest.map_err(|error| BundleError::damaged(destination, error.to_string()))?;
    let ((), result) =
        draft.write(RESULT, |file| write_result(material, &facts, &manifest, copied, &redactor, file))?;

    let run = RunId::stamp(jiff::Timestamp::now(), None);
    let sizes = Sizes { log, artifacts, result, readable_by };
    let request = Some(RequestRecord::of(material.request));
    // Without a token, too: an archive that turns it away is somebody else's.
    let admitted = material.request.parameters().ppas.is_empty() || material.output.join("log").exists();
    let mark = Mark { summary: facts.summary, sizes, run: Some(run.to_string()), request, admitted: Some(admitted) };
    let text = serde_json::to_vec(&mark).map_err(|error| BundleError::damaged(destination, error.to_string()))?;
    draft.complete(MARK, &text)?;
    Ok(Bundle {
        dir: destination.to_owned(),
        summary: mark.summary,
        length: result,
        request: mark.request,
        given_up: Vec::new(),
        has_readers: readable_by.is_some(),
        is_admitted: admitted,
        unused_id: Some(run),
    })
}

impl Bundle {
    /// Opens a complete bundle; `None` when there is none, or only a half-made one.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is damaged.
    pub fn open(dir: &Path) -> Result<Option<Self>, BundleError> {
        let Some(mark) = Mark::read(dir)? else { return Ok(None) };
        let Sizes { log, artifacts, result, readable_by } = mark.sizes;
        let sizes =
            [(LOG, Some(log)), (ARTIFACTS, Some(artifacts)), (RESULT, Some(result)), (READABLE_BY, readable_by)];
        for (name, size) in sizes.into_iter().filter_map(|(name, size)| Some((name, size?))) {
            match fs::metadata(dir.join(name)) {
                Ok(metadata) if metadata.len() == size => {}
                Ok(metadata) => {
                    let reason = format!("{name} has {} bytes instead of {size}", metadata.len());
                    return Err(BundleError::damaged(dir, reason));
                }
                Err(error) => return Err(BundleError::damaged(dir, format!("{name}: {error}"))),
            }
        }
        let has_no_ppas = || mark.summary.options.as_ref().is_some_and(|options| options.ppas.is_empty());
        Ok(Some(Self {
            dir: dir.to_owned(),
            length: result,
            given_up: read_given_up(dir)?,
            has_readers: readable_by.is_some(),
            is_admitted: mark.admitted.unwrap_or_else(has_no_ppas),
            summary: mark.summary,
            request: mark.request,
            unused_id: None,
        }))
    }

    /// Whether this is a result of this very request, and not of another one with the same id.
    pub fn is_of(&self, request: &Request) -> bool {
        self.request.as_ref() == Some(&RequestRecord::of(request))
    }

    /// All files, in the order in which they are published: result.tar last.
    pub fn files(&self) -> Vec<BundleFile> {
        self.attachments().into_iter().chain([self.commit_mark()]).collect()
    }

    /// The files that are published before result.tar.
    pub fn attachments(&self) -> Vec<BundleFile> {
        let log = self.file(LOG, "text/plain; charset=UTF-8", Some("gzip"));
        let artifacts = self.file(ARTIFACTS, "application/gzip", None);
        let readable_by = self.has_readers.then(|| self.file(READABLE_BY, "text/plain; charset=UTF-8", None));
        [log, artifacts].into_iter().chain(readable_by).collect()
    }

    /// result.tar, whose presence in the store says that the result is complete.
    pub fn commit_mark(&self) -> BundleFile {
        self.file(RESULT, &with_length(self.summary.to_content_type(), self.length), None)
    }

    fn file(&self, name: &'static str, content_type: &str, content_encoding: Option<&'static str>) -> BundleFile {
        let headers = ObjectHeaders { content_type: content_type.to_owned(), content_encoding };
        BundleFile { name, path: self.dir.join(name), headers }
    }

    /// The run id under which this bundle is, or was to be, published.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn run_id(&self) -> Result<Option<RunId>, BundleError> {
        let text = match read_if_there(&self.dir.join(RUN_ID))? {
            Some(text) => Some(text),
            None => Mark::read(&self.dir)?.and_then(|mark| mark.run),
        };
        match text.map(|text| text.lines().next().unwrap_or_default().trim().parse()) {
            None => Ok(None),
            Some(Ok(run)) => Ok(Some(run)),
            Some(Err(error)) => Err(BundleError::damaged(&self.dir, format!("its run id: {error}"))),
        }
    }

    /// Remembers another run id before the first file is published under it, so that a publication that is cut short goes on under
    /// the same id; and the ids that are given up. Survives a crash of the machine.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_run_id(&mut self, run: &RunId) -> Result<(), BundleError> {
        self.unused_id = None;
        let text: String = [run].into_iter().chain(&self.given_up).map(|id| format!("{id}\n")).collect();
        Draft::new(&self.dir).complete(RUN_ID, text.as_bytes())
    }

    /// The ids under which the bundle may be in the store, and is to be removed once it is published under its own.
    pub fn given_up(&self) -> &[RunId] {
        &self.given_up
    }

    /// Gives up an id under which the bundle may be in the store. [`Bundle::remember_run_id`] keeps that on the disk.
    pub fn give_up(&mut self, run: RunId) {
        if !self.given_up.contains(&run) {
            self.given_up.push(run);
        }
    }

    /// Notes that the bundle is published under this id, and that no reader has missed it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn confirm(&self, run: &RunId) -> Result<(), BundleError> {
        // Should a crash of the machine undo this, the bundle gets another id.
        let path = self.dir.join(CONFIRMED);
        fs::write(&path, run.as_str()).map_err(|error| BundleError::new("writing", &path, error))
    }

    /// Whether the bundle is known to be published under this id.
    pub fn is_confirmed(&self, run: &RunId) -> bool {
        fs::read_to_string(self.dir.join(CONFIRMED)).is_ok_and(|text| text == run.as_str())
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, BundleError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BundleError::new("reading", path, error)),
    }
}

/// The ids after the first one of [`RUN_ID`].
fn read_given_up(dir: &Path) -> Result<Vec<RunId>, BundleError> {
    let text = read_if_there(&dir.join(RUN_ID))?.unwrap_or_default();
    let ids = text.lines().skip(1).map(str::parse);
    ids.collect::<Result<_, _>>().map_err(|error| BundleError::damaged(dir, format!("its run ids: {error}")))
}

/// Files that are written one after the other and brought to the disk together. For a file system with a journal that is about as much
/// work for all of them as for one.
struct Draft<'a> {
    folder: &'a Path,
    files: Vec<(PathBuf, File)>,
}

impl<'a> Draft<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, files: Vec::new() }
    }

    /// Writes a file. Gives back what the writing gave, and the file's size.
    fn write<T>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
    ) -> Result<(T, u64), BundleError> {
        let path = self.folder.join(name);
        let run = || {
            let mut file = BufWriter::with_capacity(1 << 16, File::create(&path)?);
            let given = write(&mut file)?;
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            let size = file.metadata()?.len();
            Ok((given, size, file))
        };
        let (given, size, file) = run().map_err(|error| BundleError::new("writing", &path, error))?;
        self.files.push((path, file));
        Ok((given, size))
    }

    /// Writes a last, small file that is there with its whole text or not at all, and only when the disk has all the others.
    fn complete(mut self, name: &str, text: &[u8]) -> Result<(), BundleError> {
        let new = format!("{name}.new");
        self.write(&new, |file| file.write_all(text))?;
        for (path, file) in &self.files {
            file.sync_all().map_err(|error| BundleError::new("writing", path, error))?;
        }
        let (new, path) = (self.folder.join(new), self.folder.join(name));
        fs::rename(&new, &path).map_err(|error| BundleError::new("renaming", &new, error))?;
        sync_folder(self.folder)?;
        // The folder itself may be new, too.
        match self.folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => sync_folder(parent),
            None => Ok(()),
        }
    }
}

fn sync_folder(folder: &Path) -> Result<(), BundleError> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|error| BundleError::new("writing", folder, error))
}

/// Writes artifacts.tar.gz. Gives back its size before and after compression, and what is in it.
fn write_artifacts(
    limits: &Limits,
    material: &Material<'_>,
    told: &[&str],
    redactor: &Redactor,
    draft: &mut Draft<'_>,
) -> Result<(u64, u64, Inventory), BundleError> {
    let ((size, mut inventory), stored) = draft.write(ARTIFACTS, |file| {
        let (tar, inventory) = artifacts::write(material.output, told, limits.artifacts, redactor, Counted::new(file))?;
        tar.inner.finish()?;
        Ok((tar.bytes, inventory))
    })?;
    if stored <= limits.archive {
        return Ok((size, stored, inventory));
    }
    let most = limits.archive;
    let reason = format!("everything: {stored} bytes when compressed, and a store takes at most {most}");
    inventory.leave_out_everything(&reason);
    let (size, stored) = draft.write(ARTIFACTS, |file| {
        let tar = artifacts::write_nothing(&reason, Counted::new(file))?;
        tar.inner.finish()?;
        Ok(tar.bytes)
    })?;
    Ok((size, stored, inventory))
}

/// Compresses what is written, and counts it.
struct Counted<W: Write> {
    inner: GzEncoder<W>,
    bytes: u64,
}

impl<W: Write> Counted<W> {
    fn new(file: W) -> Self {
        Self { inner: GzEncoder::new(file, Compression::new(6)), bytes: 0 }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// autopkgtest's own files that are copied into result.tar. They are opened now: what is not in result.tar is an artifact.
fn copied(material: &Material<'_>) -> Vec<(&'static str, File, Metadata)> {
    let open = |name| open_regular(&material.output.join(name)).ok().map(|(file, metadata)| (name, file, metadata));
    COPIED.into_iter().filter_map(open).filter(|(_, _, metadata)| metadata.len() <= SMALL).collect()
}

/// Writes result.tar.
fn write_result(
    material: &Material<'_>,
    facts: &Facts,
    manifest: &str,
    copied: Vec<(&'static str, File, Metadata)>,
    redactor: &Redactor,
    file: &mut impl Write,
) -> io::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut tar = Builder::new(file);
    let header = |size: u64, time: u64| {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(time);
        header.set_size(size);
        header
    };
    let summary = &facts.summary;
    let mut texts = vec![
        ("exitcode", format!("{}\n", summary.exitcode)),
        ("testpkg-version", format!("{} {}\n", material.request.package(), summary.version)),
        ("testinfo.json", facts.testinfo.clone()),
        ("duration", format!("{}\n", summary.duration)),
    ];
    texts.extend(summary.requester.as_ref().map(|requester| ("requester", format!("{requester}\n"))));
    texts.push(("manifest.json", format!("{manifest}\n")));
    for (name, text) in texts {
        tar.append_data(&mut header(text.len() as u64, now), name, text.as_bytes())?;
    }
    for (name, file, metadata) in copied {
        let time = u64::try_from(metadata.mtime()).unwrap_or(now);
        let bytes = redactor.read(Promised::new(file, metadata.len()));
        tar.append_data(&mut header(metadata.len(), time), name, bytes)?;
    }
    tar.into_inner().map(drop)
}

#[cfg(test)]
mod tests;
