//! A run's result as three files in a folder of this machine, ready to be published, and complete or not there at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use tar::{Builder, Header};

use super::artifacts;
use super::facts::Facts;
use super::layout::{ARTIFACTS, LOG, RESULT, RunId};
use super::listing::RunSummary;
use super::sources::{Promised, open_regular};
use crate::request::Request;
use crate::store::ObjectHeaders;

/// Marks a complete bundle, and says what is in it.
const MARK: &str = "bundle.json";
/// The run id under which the bundle is published.
const RUN_ID: &str = "run-id";
/// autopkgtest's own files that go into result.tar as they are, unless they are larger than this: every reader fetches
/// result.tar.
const SMALL: u64 = 4 << 20;
const COPIED: [&str; 2] = ["testbed-packages", "summary"];

/// Swift takes no larger object. A result whose artifacts nobody can store would go round from worker to worker for ever.
const MOST_ARTIFACTS: u64 = 5 << 30;

/// What a bundle is made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// autopkgtest's output folder; it may be empty or missing.
    pub output: &'a Path,
    /// autopkgtest's exit code.
    pub exit_code: i32,
    /// How long the run took.
    pub duration: Duration,
    /// What was asked for.
    pub request: &'a Request,
    /// Which attempt it was.
    pub attempt: u32,
    /// Why the test never started, or did not end by itself; it goes into the log.
    pub note: Option<&'a str>,
}

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
}

/// The files' sizes in bytes.
#[derive(Serialize, Deserialize)]
struct Sizes {
    log: u64,
    artifacts: u64,
    result: u64,
}

/// Makes a bundle in the folder `destination`, which must not lie in the output folder. Blocks; reads and writes in small
/// pieces, however large the artifacts are. What was there of an older attempt at the same bundle is replaced.
///
/// When this returns, the bundle survives a crash of the machine.
///
/// # Errors
/// [`BundleError::DiskFull`], or when a file cannot be written. What cannot be read of the output is named in the archive
/// instead. Artifacts that are too large for a store, more than 5 GiB when compressed, are left out, which the archive says.
pub fn pack(material: &Material<'_>, destination: &Path) -> Result<Bundle, BundleError> {
    pack_within(MOST_ARTIFACTS, material, destination)
}

fn pack_within(most: u64, material: &Material<'_>, destination: &Path) -> Result<Bundle, BundleError> {
    fs::create_dir_all(destination).map_err(|error| BundleError::new("making", destination, error))?;
    let mark = destination.join(MARK);
    match fs::remove_file(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(BundleError::new("removing", &mark, error));
        }
        _ => {}
    }
    let facts = Facts::gather(material);
    let mut told = facts.told.clone();
    told.push("log");
    let log = write_durably(&destination.join(LOG), |file| write_log(material, file))?;
    let result = write_durably(&destination.join(RESULT), |file| {
        told.extend(write_result(material, &facts, file)?);
        Ok(())
    })?;
    let mut artifacts = write_durably(&destination.join(ARTIFACTS), |file| {
        artifacts::write(material.output, &told, GzEncoder::new(file, Compression::new(6)))?.finish().map(drop)
    })?;
    if artifacts > most {
        let reason = format!("everything: {artifacts} bytes when compressed, and a store takes at most {most}");
        artifacts = write_durably(&destination.join(ARTIFACTS), |file| {
            artifacts::write_nothing(&reason, GzEncoder::new(file, Compression::new(6)))?.finish().map(drop)
        })?;
    }
    let summary = facts.summary;
    let mark = Mark { summary, sizes: Sizes { log, artifacts, result } };
    let text = serde_json::to_vec(&mark).map_err(|error| BundleError::damaged(destination, error.to_string()))?;
    replace_durably(destination, MARK, &text)?;
    // The folder itself is new, too.
    if let Some(parent) = destination.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
    }
    Ok(Bundle { dir: destination.to_owned(), summary: mark.summary })
}

impl Bundle {
    /// Opens a complete bundle; `None` when there is none, or only a half-made one.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is damaged.
    pub fn open(dir: &Path) -> Result<Option<Self>, BundleError> {
        let Some(text) = read_if_there(&dir.join(MARK))? else {
            return Ok(None);
        };
        let mark: Mark = serde_json::from_str(&text)
            .map_err(|error| BundleError::damaged(dir, format!("{MARK} cannot be read: {error}")))?;
        let Sizes { log, artifacts, result } = mark.sizes;
        for (name, size) in [(LOG, log), (ARTIFACTS, artifacts), (RESULT, result)] {
            match fs::metadata(dir.join(name)) {
                Ok(metadata) if metadata.len() == size => {}
                Ok(metadata) => {
                    let reason = format!("{name} has {} bytes instead of {size}", metadata.len());
                    return Err(BundleError::damaged(dir, reason));
                }
                Err(error) => return Err(BundleError::damaged(dir, format!("{name}: {error}"))),
            }
        }
        Ok(Some(Self { dir: dir.to_owned(), summary: mark.summary }))
    }

    /// The files in the order in which they are published: result.tar last.
    pub fn files(&self) -> [BundleFile; 3] {
        let file = |name: &'static str, content_type: &str, content_encoding| BundleFile {
            name,
            path: self.dir.join(name),
            headers: ObjectHeaders { content_type: content_type.to_owned(), content_encoding },
        };
        [
            // So that a browser shows it.
            file(LOG, "text/plain; charset=UTF-8", Some("gzip")),
            file(ARTIFACTS, "application/gzip", None),
            file(RESULT, &self.summary.to_content_type(), None),
        ]
    }

    /// The run id that was remembered for the publication of this bundle.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn run_id(&self) -> Result<Option<RunId>, BundleError> {
        match read_if_there(&self.dir.join(RUN_ID))? {
            None => Ok(None),
            Some(text) => match text.trim().parse() {
                Ok(run) => Ok(Some(run)),
                Err(error) => Err(BundleError::damaged(&self.dir, format!("{RUN_ID}: {error}"))),
            },
        }
    }

    /// Remembers the run id before the first file is published, so that a publication that is cut short goes on under the
    /// same id. Survives a crash of the machine.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_run_id(&self, run: &RunId) -> Result<(), BundleError> {
        replace_durably(&self.dir, RUN_ID, format!("{run}\n").as_bytes())
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, BundleError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BundleError::new("reading", path, error)),
    }
}

/// Writes a file and waits until the disk has it. Gives back its size.
fn write_durably(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<u64, BundleError> {
    let run = || {
        let mut file = BufWriter::with_capacity(1 << 16, File::create(path)?);
        write(&mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    };
    run().map_err(|error| BundleError::new("writing", path, error))
}

/// Writes a small file that is there with its whole text or not at all.
fn replace_durably(folder: &Path, name: &str, text: &[u8]) -> Result<(), BundleError> {
    let path = folder.join(name);
    let new = folder.join(format!("{name}.new"));
    write_durably(&new, |file| file.write_all(text))?;
    fs::rename(&new, &path).map_err(|error| BundleError::new("renaming", &new, error))?;
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), BundleError> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|error| BundleError::new("writing", folder, error))
}

fn write_log(material: &Material<'_>, file: &mut impl Write) -> io::Result<()> {
    let mut gzip = GzEncoder::new(file, Compression::new(6));
    let mut say = None;
    match open_regular(&material.output.join("log")) {
        Ok((mut log, _)) => {
            let mut buffer = vec![0; 1 << 16];
            loop {
                match log.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => gzip.write_all(buffer.get(..count).unwrap_or_default())?,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        say = Some(format!("\nThe rest of the log cannot be read: {error}."));
                        break;
                    }
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if material.note.is_none() {
                say = Some(format!("autopkgtest wrote no log; its exit code is {}.", material.exit_code));
            }
        }
        Err(error) => say = Some(format!("autopkgtest's log cannot be read: {error}.")),
    }
    for line in say.as_deref().into_iter().chain(material.note) {
        writeln!(gzip, "{line}")?;
    }
    gzip.finish().map(drop)
}

/// Writes result.tar. Gives back the names of those of autopkgtest's files that are in it as they are.
fn write_result(material: &Material<'_>, facts: &Facts, file: &mut impl Write) -> io::Result<Vec<&'static str>> {
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
    for (name, text) in texts {
        tar.append_data(&mut header(text.len() as u64, now), name, text.as_bytes())?;
    }
    let mut copied = Vec::new();
    for name in COPIED {
        if let Ok((file, metadata)) = open_regular(&material.output.join(name))
            && metadata.len() <= SMALL
        {
            let time = u64::try_from(metadata.mtime()).unwrap_or(now);
            tar.append_data(&mut header(metadata.len(), time), name, Promised::new(file, metadata.len()))?;
            copied.push(name);
        }
    }
    tar.into_inner()?;
    Ok(copied)
}

#[cfg(test)]
mod tests;
