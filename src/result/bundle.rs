//! A run's result as three or four files in a local folder, ready to be published. A bundle is complete or does not
//! exist. Neither its files nor anything else in the folder contain a secret of the request.

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
use super::bundle_input::BundleInput;
use super::facts::Facts;
use super::layout::{ARTIFACTS, LOG, READABLE_BY, RESULT};
use super::listing::{RunSummary, with_length};
use super::log;
use super::manifest::{Inventory, Manifest, PublishedSize};
use super::record::RequestRecord;
use super::redact::Redactor;
use super::run_id::RunId;
use super::sources::{ExactReader, open_regular};
use crate::request::Request;
use crate::store::ObjectHeaders;

/// File that marks a bundle as complete and describes it.
const BUNDLE_MANIFEST: &str = "bundle.json";
/// File with the run id, if it is not the one in [`BUNDLE_MANIFEST`]. It is written before anything is stored under
/// that id.
const RUN_ID: &str = "run-id";
/// File with the run id under which the bundle is known to be published.
const CONFIRMED: &str = "confirmed";
/// Maximum size of autopkgtest's own files that are copied into result.tar, in bytes. Every reader fetches result.tar.
const MAX_COPIED_BYTES: u64 = 4 << 20;
const COPIED_FILES: [&str; 2] = ["testbed-packages", "summary"];

/// Maximum size of a run's published artifacts, in bytes before compression. Beyond it, the largest files are left out.
pub const MAX_ARTIFACTS_BYTES: u64 = 4 << 30;

/// Maximum sizes of a bundle's parts, in bytes.
#[derive(Clone, Copy)]
struct Limits {
    /// All artifacts, before compression.
    artifacts: u64,
    /// The compressed archive of the artifacts. Swift takes no larger object, and workers would hand over a result that
    /// cannot be stored indefinitely.
    archive: u64,
    /// The beginning and the end of the log.
    log: (u64, u64),
}

const LIMITS: Limits =
    Limits { artifacts: MAX_ARTIFACTS_BYTES, archive: 5 << 30, log: (log::MAX_LOG_HEAD, log::MAX_LOG_TAIL) };

/// Error while a bundle is written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The disk is full.
    #[error("the disk is full: {} cannot be written: {source}", path.display())]
    DiskFull {
        /// The file that did not fit.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file cannot be used.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// The failed operation.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The bundle is not as it was written.
    #[error("the bundle {} is damaged: {reason}", dir.display())]
    Damaged {
        /// The bundle's folder.
        dir: PathBuf,
        /// Description of the damage.
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

/// A complete result in a local folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The folder.
    pub dir: PathBuf,
    /// The summary that the store's listing will contain.
    pub summary: RunSummary,
    /// Size of result.tar, in bytes.
    length: u64,
    /// The request of this result. `None` when an older version wrote the bundle.
    request: Option<RequestRecord>,
    given_up: Vec<RunId>,
    /// Whether the request names readers of the result.
    has_readers: bool,
    /// Whether the archives of all the request's PPAs gave access, with a token or without one: otherwise autopkgtest
    /// does not start.
    pub is_admitted: bool,
    /// The run id from when the bundle was packed, as long as nothing is stored under it. `None` for a bundle that was
    /// opened again: the worker that packed it may have stored files.
    pub unused_id: Option<RunId>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Its name in the store.
    pub name: &'static str,
    /// Its local path.
    pub path: PathBuf,
    /// Its headers in the store.
    pub headers: ObjectHeaders,
}

/// Contents of [`BUNDLE_MANIFEST`].
#[derive(Serialize, Deserialize)]
struct BundleManifest {
    summary: RunSummary,
    sizes: Sizes,
    /// The run's first id. Absent when an older version wrote the bundle.
    #[serde(default)]
    run: Option<String>,
    /// The request. Absent when an older version wrote the bundle.
    #[serde(default)]
    request: Option<RequestRecord>,
    /// See [`Bundle::is_admitted`]. Absent when an older version wrote the bundle.
    #[serde(default)]
    admitted: Option<bool>,
}

impl BundleManifest {
    fn read(dir: &Path) -> Result<Option<Self>, BundleError> {
        let Some(text) = read_if_there(&dir.join(BUNDLE_MANIFEST))? else { return Ok(None) };
        let mark = serde_json::from_str(&text);
        mark.map(Some).map_err(|error| BundleError::damaged(dir, format!("{BUNDLE_MANIFEST} cannot be read: {error}")))
    }
}

/// Sizes of the files, in bytes.
#[derive(Serialize, Deserialize)]
struct Sizes {
    log: u64,
    artifacts: u64,
    result: u64,
    /// Absent when there is no such file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    readable_by: Option<u64>,
}

/// Writes a bundle to the folder `destination`, which must not be inside the output folder. Files of an earlier attempt
/// are replaced. Blocks; uses little memory, however large the artifacts are.
///
/// When this returns, the bundle survives a crash of the machine.
///
/// # Errors
/// [`BundleError::DiskFull`], or when a file cannot be written. Output that cannot be read is named in the archive
/// instead, and so is output that is left out: the largest files when there are more than [`MAX_ARTIFACTS_BYTES`]
/// bytes, or everything when the compressed archive has more than 5 GiB, which no store accepts.
pub fn pack(material: &BundleInput<'_>, destination: &Path) -> Result<Bundle, BundleError> {
    pack_within(&LIMITS, material, destination)
}

fn pack_within(limits: &Limits, material: &BundleInput<'_>, destination: &Path) -> Result<Bundle, BundleError> {
    fs::create_dir_all(destination).map_err(|error| BundleError::new("making", destination, error))?;
    for name in [BUNDLE_MANIFEST, RUN_ID, CONFIRMED, READABLE_BY] {
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
    files.insert(LOG, PublishedSize { size: written.bytes, stored: log, left_out: written.left_out });

    let readers = &material.request.parameters().readable_by;
    let readable_by = if readers.is_empty() {
        None
    } else {
        let text: String = readers.iter().map(|user| format!("{user}\n")).collect();
        let ((), size) = draft.write(READABLE_BY, |file| file.write_all(text.as_bytes()))?;
        files.insert(READABLE_BY, PublishedSize { size, stored: size, left_out: 0 });
        Some(size)
    };

    let copied = copied(material);
    let covered: Vec<&str> =
        facts.covered.iter().copied().chain(["log"]).chain(copied.iter().map(|(name, ..)| *name)).collect();
    let (size, artifacts, inventory) = write_artifacts(limits, material, &covered, &redactor, &mut draft)?;
    files.insert(ARTIFACTS, PublishedSize { size, stored: artifacts, left_out: 0 });

    let manifest = serde_json::to_string(&Manifest { files, artifacts: &inventory });
    let manifest = manifest.map_err(|error| BundleError::damaged(destination, error.to_string()))?;
    let ((), result) =
        draft.write(RESULT, |file| write_result(material, &facts, &manifest, copied, &redactor, file))?;

    let run = RunId::stamp(jiff::Timestamp::now(), None);
    let sizes = Sizes { log, artifacts, result, readable_by };
    let request = Some(RequestRecord::of(material.request));
    // Also without a token: an archive that refuses access belongs to another owner.
    let admitted = material.request.parameters().ppas.is_empty() || material.output.join("log").exists();
    let mark =
        BundleManifest { summary: facts.summary, sizes, run: Some(run.to_string()), request, admitted: Some(admitted) };
    let text = serde_json::to_vec(&mark).map_err(|error| BundleError::damaged(destination, error.to_string()))?;
    draft.complete(BUNDLE_MANIFEST, &text)?;
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
    /// Opens a complete bundle. Returns `None` when there is none, or only an incomplete one.
    ///
    /// # Errors
    /// When it exists and cannot be read, or is damaged.
    pub fn open(dir: &Path) -> Result<Option<Self>, BundleError> {
        let Some(mark) = BundleManifest::read(dir)? else { return Ok(None) };
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

    /// Returns whether this is a result of this very request, not of another one with the same id.
    pub fn is_of(&self, request: &Request) -> bool {
        self.request.as_ref() == Some(&RequestRecord::of(request))
    }

    /// Returns all files in the order in which they are published: result.tar last.
    pub fn files(&self) -> Vec<BundleFile> {
        self.attachments().into_iter().chain([self.commit_mark()]).collect()
    }

    /// Returns the files that are published before result.tar.
    pub fn attachments(&self) -> Vec<BundleFile> {
        let log = self.file(LOG, "text/plain; charset=UTF-8", Some("gzip"));
        let artifacts = self.file(ARTIFACTS, "application/gzip", None);
        let readable_by = self.has_readers.then(|| self.file(READABLE_BY, "text/plain; charset=UTF-8", None));
        [log, artifacts].into_iter().chain(readable_by).collect()
    }

    /// Returns result.tar, whose presence in the store marks the result as complete.
    pub fn commit_mark(&self) -> BundleFile {
        self.file(RESULT, &with_length(self.summary.to_content_type(), self.length), None)
    }

    fn file(&self, name: &'static str, content_type: &str, content_encoding: Option<&'static str>) -> BundleFile {
        let headers = ObjectHeaders { content_type: content_type.to_owned(), content_encoding };
        BundleFile { name, path: self.dir.join(name), headers }
    }

    /// Returns the run id under which this bundle is, or will be, published.
    ///
    /// # Errors
    /// When it is recorded and cannot be read.
    pub fn run_id(&self) -> Result<Option<RunId>, BundleError> {
        let text = match read_if_there(&self.dir.join(RUN_ID))? {
            Some(text) => Some(text),
            None => BundleManifest::read(&self.dir)?.and_then(|mark| mark.run),
        };
        match text.map(|text| text.lines().next().unwrap_or_default().trim().parse()) {
            None => Ok(None),
            Some(Ok(run)) => Ok(Some(run)),
            Some(Err(error)) => Err(BundleError::damaged(&self.dir, format!("its run id: {error}"))),
        }
    }

    /// Stores another run id, and the ids that were given up, before the first file is published under it. An
    /// interrupted publication can then continue under the same id. Survives a crash of the machine.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember_run_id(&mut self, run: &RunId) -> Result<(), BundleError> {
        self.unused_id = None;
        let text: String = [run].into_iter().chain(&self.given_up).map(|id| format!("{id}\n")).collect();
        Draft::new(&self.dir).complete(RUN_ID, text.as_bytes())
    }

    /// Returns ids under which the store may have the bundle. They have to be removed after it is published under its
    /// own id.
    pub fn given_up(&self) -> &[RunId] {
        &self.given_up
    }

    /// Marks an id, under which the store may have the bundle, as given up. [`Bundle::remember_run_id`] stores that.
    pub fn give_up(&mut self, run: RunId) {
        if !self.given_up.contains(&run) {
            self.given_up.push(run);
        }
    }

    /// Records that the bundle is published under this id, and that no reader has missed it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn confirm(&self, run: &RunId) -> Result<(), BundleError> {
        // Not synced: if a crash of the machine undoes this, the bundle only gets another id.
        let path = self.dir.join(CONFIRMED);
        fs::write(&path, run.as_str()).map_err(|error| BundleError::new("writing", &path, error))
    }

    /// Returns whether the bundle is known to be published under this id.
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

/// Returns the ids after the first line of [`RUN_ID`].
fn read_given_up(dir: &Path) -> Result<Vec<RunId>, BundleError> {
    let text = read_if_there(&dir.join(RUN_ID))?.unwrap_or_default();
    let ids = text.lines().skip(1).map(str::parse);
    ids.collect::<Result<_, _>>().map_err(|error| BundleError::damaged(dir, format!("its run ids: {error}")))
}

/// Files that are written one after the other and synced together. A file system with a journal syncs all of them for
/// about the cost of one.
struct Draft<'a> {
    folder: &'a Path,
    files: Vec<(PathBuf, File)>,
}

impl<'a> Draft<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, files: Vec::new() }
    }

    /// Writes a file. Returns the result of `write` and the file's size.
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

    /// Writes the last, small file: atomically, and only after all others are synced.
    fn complete(mut self, name: &str, text: &[u8]) -> Result<(), BundleError> {
        let new = format!("{name}.new");
        self.write(&new, |file| file.write_all(text))?;
        for (path, file) in &self.files {
            file.sync_all().map_err(|error| BundleError::new("writing", path, error))?;
        }
        let (new, path) = (self.folder.join(new), self.folder.join(name));
        fs::rename(&new, &path).map_err(|error| BundleError::new("renaming", &new, error))?;
        sync_folder(self.folder)?;
        // The folder itself may be new.
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

/// Writes artifacts.tar.gz. Returns its size before and after compression, and the inventory.
fn write_artifacts(
    limits: &Limits,
    material: &BundleInput<'_>,
    covered: &[&str],
    redactor: &Redactor,
    draft: &mut Draft<'_>,
) -> Result<(u64, u64, Inventory), BundleError> {
    let ((size, mut inventory), stored) = draft.write(ARTIFACTS, |file| {
        let (tar, inventory) =
            artifacts::write(material.output, covered, limits.artifacts, redactor, CountingEncoder::new(file))?;
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
        let tar = artifacts::write_nothing(&reason, CountingEncoder::new(file))?;
        tar.inner.finish()?;
        Ok(tar.bytes)
    })?;
    Ok((size, stored, inventory))
}

/// Compressing writer that counts the bytes before compression.
struct CountingEncoder<W: Write> {
    inner: GzEncoder<W>,
    bytes: u64,
}

impl<W: Write> CountingEncoder<W> {
    fn new(file: W) -> Self {
        Self { inner: GzEncoder::new(file, Compression::new(6)), bytes: 0 }
    }
}

impl<W: Write> Write for CountingEncoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Opens autopkgtest's own files that are copied into result.tar. Files that cannot be opened become artifacts.
fn copied(material: &BundleInput<'_>) -> Vec<(&'static str, File, Metadata)> {
    let open = |name| open_regular(&material.output.join(name)).ok().map(|(file, metadata)| (name, file, metadata));
    COPIED_FILES.into_iter().filter_map(open).filter(|(_, _, metadata)| metadata.len() <= MAX_COPIED_BYTES).collect()
}

/// Writes result.tar.
fn write_result(
    material: &BundleInput<'_>,
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
        let bytes = redactor.read(ExactReader::new(file, metadata.len()));
        tar.append_data(&mut header(metadata.len(), time), name, bytes)?;
    }
    tar.into_inner().map(drop)
}

#[cfg(test)]
mod tests;
