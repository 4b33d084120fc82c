//! The worker's disk: one folder per request, which outlives the worker.
//!
//! `WORK/REQUEST-ID/` has `output.ATTEMPT/` (written by autopkgtest) and `bundle/` (what will be published, and under
//! which run id once that is decided). A bundle that could not be published waits here for its request: the next worker
//! of this host that claims it publishes the bundle and does not run the test again.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::WorkerError;
use crate::confined_folder::ConfinedFolder;
use crate::request::RequestId;
use crate::result::{Bundle, BundleError};

/// Time after which a bundle is removed whose request never came back, because it was removed from the queue or run by
/// another host.
const BUNDLE_RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);

/// Minimum age of a folder that is swept: a younger one may belong to a worker that has not locked it yet.
const MIN_SWEEP_AGE: Duration = Duration::from_secs(60);

/// Suffix of a folder's name while it is being removed. No request's id has a dot.
const REMOVAL_SUFFIX: &str = ".going";

/// File whose lock shows that a worker uses the folder.
const LOCK_FILE: &str = "lock";

/// Work folder.
#[derive(Clone)]
pub struct Spool {
    root: PathBuf,
    swept: CancellationToken,
    /// Removals of settled requests' folders that are under way.
    removals: TaskTracker,
}

/// Folder of one request, locked against other workers for as long as this value lives.
pub struct SpoolEntry {
    folder: PathBuf,
    _lock: File,
}

impl Spool {
    pub fn open(root: &Path) -> Result<Self, WorkerError> {
        let failed = |source| WorkerError::WorkFolder { path: root.to_owned(), source };
        fs::create_dir_all(root).map_err(failed)?;
        let removals = TaskTracker::new();
        // A closed tracker still accepts tasks; closing only lets `wait` return.
        removals.close();
        Ok(Self { root: root.to_owned(), swept: CancellationToken::new(), removals })
    }

    /// Returns the free space in bytes, for this user.
    pub fn free_space(&self) -> io::Result<u64> {
        // The folder may have been removed while the worker ran.
        fs::create_dir_all(&self.root)?;
        let disk = nix::sys::statvfs::statvfs(&self.root)?;
        Ok(disk.blocks_available() * disk.fragment_size())
    }

    /// Locks the folder of a request. Returns `None` while another process uses or removes it.
    pub fn entry(&self, request: &RequestId) -> io::Result<Option<SpoolEntry>> {
        let folder = self.root.join(request.as_str());
        // A link in its place is not ours, and its target even less.
        if fs::symlink_metadata(&folder).is_ok_and(|data| data.is_symlink()) {
            tracing::warn!("{} is a symbolic link, which is removed", folder.display());
            fs::remove_file(&folder)?;
        }
        // The folder has a private run's log and its PPA's token.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        SpoolEntry::lock(folder)
    }

    /// Starts removing folders that dead workers left, and bundles that are no longer needed, in the background.
    /// [`Spool::wait_for_sweep`] waits for the end.
    pub fn start_sweep(&self) {
        let spool = self.clone();
        tokio::task::spawn_blocking(move || {
            let _done = spool.swept.clone().drop_guard();
            spool.sweep();
        });
    }

    /// Returns when what dead workers left is removed, and the folders of settled requests are.
    pub async fn wait_for_sweep(&self) {
        self.swept.cancelled().await;
        self.wait_for_removals().await;
    }

    /// Starts removing the folder of a settled request in the background. The next worker completes a removal that is
    /// interrupted.
    pub fn start_removal(&self, entry: SpoolEntry) {
        self.removals.spawn_blocking(move || entry.remove_now());
    }

    /// Returns when no removal is under way.
    pub async fn wait_for_removals(&self) {
        self.removals.wait().await;
    }

    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        // The type of the entry itself: a link is left in its place, and its target is not touched.
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        for folder in entries.filter_map(Result::ok).filter(is_folder).map(|entry| entry.path()) {
            if age(&folder) < MIN_SWEEP_AGE {
                continue;
            }
            let Ok(Some(entry)) = SpoolEntry::lock(folder.clone()) else { continue };
            if folder.extension().is_some_and(|extension| format!(".{}", extension.display()) == REMOVAL_SUFFIX) {
                entry.remove_now();
                continue;
            }
            match entry.bundle() {
                Ok(Some(_)) if age(&entry.bundle_folder()) < BUNDLE_RETENTION => {
                    tracing::info!("{} holds a result that waits for its request to come back", folder.display());
                }
                _ => entry.remove_now(),
            }
        }
    }
}

impl SpoolEntry {
    fn lock(folder: PathBuf) -> io::Result<Option<Self>> {
        let lock = ConfinedFolder::open(&folder)?.make(Path::new(LOCK_FILE))?;
        match lock.try_lock() {
            Ok(()) => {
                // Its former holder may have removed the folder between opening and locking: then this lock excludes no
                // process.
                let (mine, there) = (lock.metadata()?, fs::symlink_metadata(folder.join(LOCK_FILE)));
                let still_there = there.is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino()));
                Ok(still_there.then_some(Self { folder, _lock: lock }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns the path of the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder for autopkgtest's files. Every attempt has its own, because the autopkgtest of a killed
    /// worker may still be cleaning up in the former one.
    pub fn output(&self, attempt: u32) -> PathBuf {
        self.folder.join(format!("output.{attempt}"))
    }

    /// Returns the folder of the bundle.
    pub fn bundle_folder(&self) -> PathBuf {
        self.folder.join("bundle")
    }

    /// Returns the complete bundle of an earlier attempt, if there is one.
    pub fn bundle(&self) -> Result<Option<Bundle>, BundleError> {
        Bundle::open(&self.bundle_folder())
    }

    /// Removes the bundle and the output folder of this attempt. Output folders of earlier attempts stay until the
    /// request is settled: the test of a killed worker may still be writing there, and removing them might never end.
    pub fn clear(&self, attempt: u32) -> io::Result<()> {
        for folder in [self.output(attempt), self.bundle_folder()] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the folder of a settled request, in another thread: a large folder takes long, and the worker's other
    /// tests must not wait.
    pub async fn remove(self) {
        let removal = tokio::task::spawn_blocking(move || self.remove_now());
        if let Err(error) = removal.await {
            tracing::warn!("removing a request's folder ended early: {error}");
        }
    }

    fn remove_now(self) {
        // The folder is renamed first, so that the next holder of the request gets a new folder, and not one that loses
        // its files.
        let mut going = self.folder.clone().into_os_string();
        going.push(format!(".{}{REMOVAL_SUFFIX}", uuid::Uuid::new_v4().simple()));
        let removed = fs::rename(&self.folder, &going).and_then(|()| remove_busy(Path::new(&going)));
        if let Err(error) = removed {
            tracing::warn!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// Removes a folder in which a process that opened it under its former name may still create a file; few processes do,
/// and only once.
fn remove_busy(folder: &Path) -> io::Result<()> {
    for _ in 0..100 {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            end => return end,
        }
    }
    fs::remove_dir_all(folder)
}

/// Returns the time since the last change of the folder. If the clock was set back, the folder counts as young and is
/// not removed.
fn age(folder: &Path) -> Duration {
    let changed = fs::symlink_metadata(folder).and_then(|data| data.modified());
    changed.ok().and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_worker_even_when_the_former_one_is_just_leaving() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(root.path()).unwrap();
        let id: RequestId = "one".parse().unwrap();
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut turns = 0;
                    while turns < 200 {
                        // The folder may be removed between its creation and its locking; then it is tried again.
                        let Ok(Some(entry)) = spool.entry(&id) else { continue };
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "two workers in it");
                        fs::write(entry.folder().join("mine"), "").unwrap();
                        entry.clear(1).unwrap();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        entry.remove_now();
                        turns += 1;
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_work_folder_is_never_followed() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("file"), "").unwrap();
        // Old enough for the sweep.
        let old = SystemTime::now() - Duration::from_secs(3600);
        File::open(elsewhere.path()).unwrap().set_modified(old).unwrap();
        for name in ["one", "evil-link", "evil.going"] {
            std::os::unix::fs::symlink(elsewhere.path(), root.path().join(name)).unwrap();
        }
        let spool = Spool::open(root.path()).unwrap();
        spool.sweep();
        let left =
            || fs::read_dir(elsewhere.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!(left(), ["file"], "after a sweep");
        // A request whose folder's name is taken by a link gets a folder of its own.
        let entry = spool.entry(&"one".parse().unwrap()).unwrap().unwrap();
        assert!(!fs::symlink_metadata(entry.folder()).unwrap().is_symlink());
        // A link in place of the lock is not followed either.
        fs::remove_file(entry.folder().join(LOCK_FILE)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("lock"), entry.folder().join(LOCK_FILE)).unwrap();
        assert!(SpoolEntry::lock(entry.folder().to_owned()).is_err());
        entry.remove_now();
        assert_eq!(left(), ["file"], "after a request");
    }

    #[test]
    fn what_a_dying_test_still_writes_is_not_in_the_next_ones_way() {
        let root = tempfile::tempdir().unwrap();
        let spool = Spool::open(root.path()).unwrap();
        let entry = spool.entry(&"one".parse().unwrap()).unwrap().unwrap();
        let [old, new] = [1, 2].map(|attempt| entry.output(attempt));
        for folder in [&old, &new, &entry.bundle_folder()] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "").unwrap();
        }
        entry.clear(2).unwrap();
        assert!(old.join("file").exists() && !new.exists() && !entry.bundle_folder().exists());
        entry.remove_now();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "with the request, all of it goes");
    }

    #[test]
    fn removing_a_large_folder_holds_up_nobody() {
        // The only blocking thread is busy until it is told to go on.
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let (go_on, told) = std::sync::mpsc::channel::<()>();
        let busy = runtime.spawn_blocking(move || told.recv());
        runtime.block_on(async {
            let root = tempfile::tempdir().unwrap();
            let spool = Spool::open(root.path()).unwrap();
            let entry = spool.entry(&"one".parse().unwrap()).unwrap().unwrap();
            (0..2000).for_each(|number| fs::write(entry.folder().join(number.to_string()), "").unwrap());
            let mut removal = std::pin::pin!(entry.remove());
            assert!(futures_util::poll!(&mut removal).is_pending(), "it is done elsewhere");
            go_on.send(()).unwrap();
            removal.await;
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
            busy.await.unwrap().unwrap();
        });
    }
}
