//! The folder with the images of this user.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{Image, ImageError, ImageHold, ImageName, ImageRecord};
use crate::small_file;

const TARBALL: &str = "root.tar";
const RECORD: &str = "image.json";
const LOCK: &str = "lock";
const UNFINISHED: &str = "unfinished";
/// Maximum number of times that an image is looked for because it was replaced meanwhile.
const MAX_REPLACEMENTS: usize = 5;

/// The images of this user.
#[derive(Debug, Clone)]
pub struct ImageStore {
    folder: PathBuf,
}

/// The right to change an image. Other processes cannot as long as this lives.
#[derive(Debug)]
pub struct ImageLock {
    name: ImageName,
    folder: PathBuf,
    file: File,
}

impl Drop for ImageLock {
    fn drop(&mut self) {
        // A child process that another thread has forked has the file open until it runs its program: closing alone
        // would not end the lock.
        let _ = self.file.unlock();
    }
}

impl ImageStore {
    /// Returns the images in this folder, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns all images by name. Folders without a complete image are left out.
    ///
    /// # Errors
    /// Fails when the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let reading = || ImageError::at("reading", &self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(reading())?,
        };
        let mut images = Vec::new();
        for entry in entries {
            images.extend(newest(&entry.map_err(reading())?.path())?);
        }
        images.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(images)
    }

    /// Returns an image, if there is one.
    ///
    /// # Errors
    /// Fails when its folder cannot be read.
    pub fn find(&self, name: &ImageName) -> Result<Option<Image>, ImageError> {
        newest(&self.folder.join(name.folder()))
    }

    /// Returns an image that stays until the hold is dropped, if there is one.
    ///
    /// # Errors
    /// [`ImageError::NotBuilt`] when there is none. Fails when its folder cannot be read.
    pub fn held(&self, name: &ImageName) -> Result<(Image, ImageHold), ImageError> {
        // It may be replaced between the two steps, but not time and again.
        for _ in 0..MAX_REPLACEMENTS {
            let Some(image) = self.find(name)? else { break };
            if let Some(hold) = image.hold().map_err(ImageError::at("holding", &image.tarball))? {
                return Ok((image, hold));
            }
        }
        Err(ImageError::NotBuilt { name: name.clone() })
    }

    /// Takes the right to change an image, which need not exist.
    ///
    /// # Errors
    /// [`ImageError::Busy`] when another process has it. Fails when its folder cannot be created.
    pub fn lock(&self, name: &ImageName) -> Result<ImageLock, ImageError> {
        let folder = self.folder.join(name.folder());
        DirBuilder::new().recursive(true).mode(0o755).create(&folder).map_err(ImageError::at("creating", &folder))?;
        let path = folder.join(LOCK);
        let locking = || ImageError::at("locking", &path);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(locking())?;
        match file.try_lock() {
            // It has been removed with its image between the two calls.
            Ok(()) if file.metadata().map_err(locking())?.nlink() == 0 => Err(ImageError::Busy { name: name.clone() }),
            Ok(()) => Ok(ImageLock { name: name.clone(), folder, file }),
            Err(TryLockError::WouldBlock) => Err(ImageError::Busy { name: name.clone() }),
            Err(TryLockError::Error(error)) => Err(locking()(error)),
        }
    }
}

impl ImageLock {
    /// Returns the image's name.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// Returns an empty folder for a build. What an earlier build has left is removed.
    pub(super) fn begin(&self) -> Result<PathBuf, ImageError> {
        let unfinished = self.folder.join(UNFINISHED);
        remove_tree(&unfinished)?;
        fs::create_dir(&unfinished).map_err(ImageError::at("creating", &unfinished))?;
        Ok(unfinished)
    }

    /// Returns the path at which [`Self::commit`] expects the tarball.
    pub(super) fn unfinished_tarball(&self) -> PathBuf {
        self.folder.join(UNFINISHED).join(TARBALL)
    }

    /// Makes the finished build the image. Older ones go, unless a process holds them.
    pub(super) fn commit(&self, record: &ImageRecord) -> Result<Image, ImageError> {
        let unfinished = self.folder.join(UNFINISHED);
        let path = unfinished.join(RECORD);
        let writing = || ImageError::at("writing", &path);
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::other).map_err(writing())?;
        // After a power cut, an image that is there is whole.
        let tarball = unfinished.join(TARBALL);
        File::open(&tarball).and_then(|file| file.sync_all()).map_err(ImageError::at("writing", &tarball))?;
        fs::write(&path, text).and_then(|()| File::open(&path)?.sync_all()).map_err(writing())?;
        let number = builds(&self.folder)?.last().map_or(1, |last| last + 1);
        let folder = self.folder.join(number.to_string());
        fs::rename(&unfinished, &folder).map_err(ImageError::at("creating", &folder))?;
        File::open(&self.folder).and_then(|file| file.sync_all()).map_err(ImageError::at("writing", &self.folder))?;
        self.sweep()?;
        Ok(Image { name: self.name.clone(), record: record.clone(), tarball: folder.join(TARBALL) })
    }

    /// Removes what a stopped build has left.
    ///
    /// # Errors
    /// Fails when something cannot be removed.
    pub(super) fn abandon(&self) -> Result<(), ImageError> {
        remove_tree(&self.folder.join(UNFINISHED))
    }

    /// Removes the image. Returns false when there was none.
    ///
    /// # Errors
    /// [`ImageError::Busy`] when a process holds it. Fails when something cannot be removed.
    pub fn remove(self) -> Result<bool, ImageError> {
        self.abandon()?;
        let numbers = builds(&self.folder)?;
        for number in &numbers {
            if !self.remove_build(*number)? {
                return Err(ImageError::Busy { name: self.name.clone() });
            }
        }
        // The lock goes last: another process may wait for nothing, but must not see half an image.
        remove_tree(&self.folder)?;
        Ok(!numbers.is_empty())
    }

    /// Removes all builds but the newest, unless a process holds them.
    fn sweep(&self) -> Result<(), ImageError> {
        let numbers = builds(&self.folder)?;
        let older = numbers.split_last().map_or(&[][..], |(_, older)| older);
        older.iter().try_for_each(|number| self.remove_build(*number).map(drop))
    }

    /// Removes a build. Returns false when a process holds it.
    fn remove_build(&self, number: u64) -> Result<bool, ImageError> {
        let folder = self.folder.join(number.to_string());
        let tarball = folder.join(TARBALL);
        // Whoever opens it from now on sees that it is being removed.
        let file = match File::open(&tarball) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(ImageError::at("removing", &tarball))?),
        };
        match file.as_ref().map(File::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => return Ok(false),
            Some(Err(TryLockError::Error(error))) => return Err(ImageError::at("locking", &tarball)(error)),
            Some(Ok(())) | None => {}
        }
        // Without its record it is no image any more, whatever of it is left.
        let record = folder.join(RECORD);
        match fs::remove_file(&record) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ImageError::at("removing", &record)(error));
            }
            _ => {}
        }
        remove_tree(&folder)?;
        Ok(true)
    }
}

/// Returns the numbers of an image's builds, in their order.
fn builds(folder: &Path) -> Result<Vec<u64>, ImageError> {
    let reading = || ImageError::at("reading", folder);
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        other => other.map_err(reading())?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(entry.map_err(reading())?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns the newest complete build in an image's folder.
fn newest(folder: &Path) -> Result<Option<Image>, ImageError> {
    Ok(builds(folder)?.into_iter().rev().find_map(|number| read(&folder.join(number.to_string()))))
}

/// Reads a build. None when it is incomplete, or being removed.
fn read(folder: &Path) -> Option<Image> {
    let text = small_file::read(&folder.join(RECORD)).ok()?;
    let record: ImageRecord = serde_json::from_str(&text).ok()?;
    let name = ImageName { release: record.release.parse().ok()?, architecture: record.architecture.parse().ok()? };
    let tarball = folder.join(TARBALL);
    tarball.is_file().then_some(Image { name, record, tarball })
}

/// Removes a folder, if it is there.
fn remove_tree(folder: &Path) -> Result<(), ImageError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ImageError::at("removing", folder)(error)),
        _ => Ok(()),
    }
}
