//! A store in a folder: containers are folders, objects are files.
//!
//! `ROOT/CONTAINER/OBJECT` has the bytes, so that any program can serve or copy them. The HTTP headers of an object are
//! in `ROOT/.headers/CONTAINER/OBJECT`. New files are written in `ROOT/.incoming` and renamed after they are synced. A
//! process that dies leaves a file there, which is removed a day later.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::AccessFlags;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use super::listing::Rows;
use super::names::{check_container, check_object};
use super::{Access, Entry, ObjectHeaders, ObjectInfo, ObjectReader, Query, StoreError};

/// Folder for new files. It is on the file system of the containers, because a rename is only atomic there.
const INCOMING: &str = ".incoming";
/// Folder for Content-Type and Content-Encoding.
const HEADERS: &str = ".headers";
/// Minimum age of an unfinished file before it is removed: its process has died.
const UNFINISHED_FILE_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// HTTP's default type.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A folder with results.
#[derive(Debug, Clone)]
pub struct FolderStore {
    root: PathBuf,
}

/// Contents of a file in [`HEADERS`].
#[derive(Debug, Serialize, Deserialize)]
struct Headers {
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
}

impl FolderStore {
    /// Returns the store in this folder, which is created with the first container.
    pub fn new(path: &Path) -> Self {
        Self { root: path.to_owned() }
    }

    /// Returns the folder as a store URL.
    pub fn address(&self) -> String {
        format!("folder:{}", self.root.display())
    }

    /// Checks that a container exists.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it does not.
    pub async fn check_exists(&self, container: &str) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        let name = container.to_owned();
        let is_there = self.blocking(|store| is_folder(&store.root.join(name))).await?;
        if is_there { Ok(()) } else { Err(StoreError::NotFound(container.to_owned())) }
    }

    /// Returns the path of an object.
    pub fn locate(&self, container: &str, object: &str) -> String {
        self.root.join(container).join(object).display().to_string()
    }

    /// Returns the names of the containers, in order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn containers(&self) -> Result<Vec<String>, StoreError> {
        self.blocking(|store| {
            let mut names = Vec::new();
            let entries = match fs::read_dir(&store.root) {
                Ok(entries) => entries,
                // Nothing was stored yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
                Err(error) => return Err(cannot("list", &store.root, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| cannot("list", &store.root, error))?;
                if let Ok(name) = entry.file_name().into_string()
                    && !name.starts_with('.')
                    && entry.path().is_dir()
                {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        })
        .await
    }

    /// Checks whether this user may write to the folder, or may create it.
    ///
    /// # Errors
    /// When not.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        self.blocking(|store| {
            let existing = store.root.ancestors().find(|path| path.exists()).unwrap_or(&store.root);
            let checked = nix::unistd::access(existing, AccessFlags::W_OK | AccessFlags::X_OK);
            checked.map_err(|error| cannot("write to", existing, error.into()))
        })
        .await
    }

    /// Creates the container if it does not exist. Only this user can enter a private one; all users of the machine can
    /// enter a public one. A private container that all users can enter is closed; a group with access that an operator
    /// has given stays.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub async fn ensure_container(&self, container: &str, access: &Access) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        let (container, public) = (container.to_owned(), *access == Access::Public);
        self.blocking(move |store| {
            // The headers of a private run show its triggers, and are as private as its log; so are files that are
            // still being written.
            make_folder(&store.root, None)?;
            make_folder(&store.root.join(INCOMING), Some(0o700))?;
            make_folder(&store.root.join(HEADERS), Some(0o755))?;
            let mode = if public { 0o755 } else { 0o700 };
            for folder in [store.root.join(HEADERS).join(&container), store.root.join(&container)] {
                make_folder(&folder, Some(mode))?;
                if !public {
                    close_folder(&folder)?;
                }
            }
            store.remove_unfinished();
            Ok(())
        })
        .await
    }

    /// Returns all entries that match the query.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the container does not exist, or when its folder cannot be read.
    pub async fn list(&self, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
        check_container(&self.address(), container)?;
        let (container, query) = (container.to_owned(), query.clone());
        self.blocking(move |store| store.list_now(&container, query)).await
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the file cannot be opened.
    pub async fn get(&self, container: &str, object: &str) -> Result<ObjectReader, StoreError> {
        check_container(&self.address(), container)?;
        check_object(&self.address(), object)?;
        let path = self.root.join(container).join(object);
        let name = format!("{container}/{object}");
        let file = self
            .blocking(move |_| match File::open(&path).and_then(|file| Ok((file.metadata()?.is_file(), file))) {
                Ok((true, file)) => Ok(file),
                Ok((false, _)) => Err(StoreError::NotFound(name)),
                Err(error) if is_absent(&error) => Err(StoreError::NotFound(name)),
                Err(error) => Err(cannot("open", &path, error)),
            })
            .await?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    /// Stores a file as an object, completely or not at all, even when the power fails.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the container does not exist, or when the bytes cannot be written.
    pub async fn put(
        &self,
        container: &str,
        object: &str,
        file: &Path,
        headers: &ObjectHeaders,
    ) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        check_object(&self.address(), object)?;
        let (container, object, file) = (container.to_owned(), object.to_owned(), file.to_owned());
        let headers = Headers {
            content_type: headers.content_type.clone(),
            content_encoding: headers.content_encoding.map(str::to_owned),
        };
        self.blocking(move |store| {
            let folder = store.root.join(&container);
            if !folder.is_dir() {
                return Err(StoreError::NotFound(container));
            }
            let described = serde_json::to_vec(&headers)
                .map_err(|error| cannot("describe", Path::new(&object), io::Error::other(error)))?;
            let mut source = File::open(&file).map_err(|error| cannot("open", &file, error))?;
            // The headers before the bytes: a reader that sees the object sees its type.
            let headers = store.root.join(HEADERS).join(&container);
            let mode = fs::metadata(&folder).map_err(|error| cannot("look at", &folder, error))?.permissions().mode();
            make_folder(&headers, Some(mode & 0o777))?;
            store.write_atomically(&headers, &object, |to| io::Write::write_all(to, &described))?;
            store.write_atomically(&folder, &object, |to| io::copy(&mut source, to).map(drop))
        })
        .await
    }

    /// Removes an object. Succeeds if it does not exist.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub async fn delete(&self, container: &str, object: &str) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        check_object(&self.address(), object)?;
        let (container, object) = (container.to_owned(), object.to_owned());
        self.blocking(move |store| {
            // The bytes before the headers: an object without its headers would be a different object.
            for path in [store.root.join(&container).join(&object), store.headers(&container, &object)] {
                match fs::remove_file(&path) {
                    Err(error) if !is_absent(&error) => return Err(cannot("remove", &path, error)),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes objects, and the folders that are empty then. Succeeds for objects that do not exist.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub async fn delete_all(&self, container: &str, objects: &[String]) -> Result<(), StoreError> {
        for object in objects {
            self.delete(container, object).await?;
        }
        let folders: BTreeSet<PathBuf> =
            objects.iter().filter_map(|object| Some(Path::new(object).parent()?.to_owned())).collect();
        let container = container.to_owned();
        self.blocking(move |store| {
            for folder in folders {
                // Folders that are not empty stay. No other run uses a run's folder, so that nothing is being written
                // into it.
                for base in [store.root.join(&container), store.headers(&container, "")] {
                    let _ = fs::remove_dir(base.join(&folder));
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes a container without objects. Succeeds if it does not exist.
    ///
    /// # Errors
    /// When there are files in it.
    pub async fn delete_container(&self, container: &str) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        let container = container.to_owned();
        self.blocking(move |store| {
            for folder in [store.root.join(&container), store.headers(&container, "")] {
                match remove_empty(&folder) {
                    Err(error) if !is_absent(&error) => return Err(cannot("remove", &folder, error)),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(result) => result,
            Err(stopped) => Err(cannot("use", &self.root, io::Error::other(stopped))),
        }
    }

    fn headers(&self, container: &str, object: &str) -> PathBuf {
        self.root.join(HEADERS).join(container).join(object)
    }

    /// Writes `base/name` atomically: to another file, which is synced and renamed; the folder is synced as well.
    fn write_atomically(
        &self,
        base: &Path,
        name: &str,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let target = base.join(name);
        let folder = target.parent().unwrap_or(base);
        make_folder(folder, None)?;
        let incoming = self.root.join(INCOMING);
        make_folder(&incoming, Some(0o700))?;
        let aside = incoming.join(uuid::Uuid::new_v4().to_string());
        let written = File::create_new(&aside)
            .and_then(|mut file| {
                write(&mut file)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&aside, &target))
            .and_then(|()| File::open(folder)?.sync_all());
        written.map_err(|error| {
            // The file no longer exists if only the last step failed.
            let _ = fs::remove_file(&aside);
            cannot("write", &target, error)
        })
    }

    /// Removes files in [`INCOMING`] of processes that died. Nothing depends on its success.
    fn remove_unfinished(&self) {
        let now = SystemTime::now();
        for entry in fs::read_dir(self.root.join(INCOMING)).into_iter().flatten().flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| now.duration_since(modified).ok());
            if age.is_some_and(|age| age > UNFINISHED_FILE_TTL) {
                debug!(file = %entry.path().display(), "removing an unfinished file that nobody works on");
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn list_now(&self, container: &str, query: Query) -> Result<Vec<Entry>, StoreError> {
        let folder = self.root.join(container);
        if !is_folder(&folder)? {
            return Err(StoreError::NotFound(container.to_owned()));
        }
        // Only objects in the folder of the prefix can match; most listings are for one package of thousands.
        let start = query.prefix.rfind('/').map_or("", |slash| &query.prefix[..=slash]).to_owned();
        let mut walk = FolderWalk { store: self, container, rows: Rows::new(query) };
        // No part of an object's name is empty, but a file system reads `b//a` as `b/a`.
        if start.is_empty() || check_object("", start.strip_suffix('/').unwrap_or(&start)).is_ok() {
            walk.folder(&folder.join(&start), &start)?;
        }
        Ok(walk.rows.finish())
    }
}

/// Traversal of a container.
struct FolderWalk<'a> {
    store: &'a FolderStore,
    container: &'a str,
    rows: Rows,
}

impl FolderWalk<'_> {
    /// Collects the objects below `folder`. Their names begin with `name`, which is empty or ends with a slash.
    fn folder(&mut self, folder: &Path, name: &str) -> Result<(), StoreError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(cannot("list", folder, error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| cannot("list", folder, error))?;
            let Ok(part) = entry.file_name().into_string() else {
                debug!(file = %entry.path().display(), "not an object: its name is not UTF-8");
                continue;
            };
            let kind = entry.file_type().map_err(|error| cannot("look at", &entry.path(), error))?;
            if kind.is_dir() {
                let below = format!("{name}{part}/");
                if self.rows.wants_below(&below) {
                    self.folder(&entry.path(), &below)?;
                }
            } else if kind.is_file() {
                let name = format!("{name}{part}");
                if self.rows.folds(&name) {
                    continue;
                }
                match self.info(&entry.path(), name) {
                    Ok(info) => self.rows.object(info),
                    // Was removed after the folder was read.
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(cannot("look at", &entry.path(), error)),
                }
            }
            // The rest of this folder adds nothing once its common prefix is known.
            if self.rows.is_folded_whole(name) {
                break;
            }
        }
        Ok(())
    }

    fn info(&self, path: &Path, name: String) -> io::Result<ObjectInfo> {
        let metadata = fs::metadata(path)?;
        let modified = jiff::Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
        let content_type = match fs::read(self.store.headers(self.container, &name)) {
            Ok(text) => serde_json::from_slice::<Headers>(&text).map_err(io::Error::other)?.content_type,
            Err(error) if is_absent(&error) => UNKNOWN_TYPE.to_owned(),
            Err(error) => return Err(error),
        };
        Ok(ObjectInfo { name, bytes: metadata.len(), content_type, modified })
    }
}

/// Creates a folder and its parents, and syncs each parent. A new folder gets the mode; an existing one also keeps its
/// own bits.
fn make_folder(path: &Path, mode: Option<u32>) -> Result<(), StoreError> {
    let made = || -> io::Result<()> {
        if !path.is_dir() {
            if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty() && !above.is_dir()) {
                make_folder(above, None).map_err(io::Error::other)?;
            }
            let mut builder = fs::DirBuilder::new();
            // Without more access than requested, even before the mode is set.
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode.unwrap_or(0o777));
            match builder.create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
                File::open(above)?.sync_all()?;
            }
        }
        if let Some(mode) = mode {
            let now = fs::metadata(path)?.permissions().mode() & 0o7777;
            if now | mode != now {
                fs::set_permissions(path, Permissions::from_mode(now | mode))?;
            }
        }
        Ok(())
    };
    made().map_err(|error| cannot("make the folder", path, error))
}

/// Closes a folder that all users of the machine can enter. Also its group, which probably has access for the same
/// reason.
fn close_folder(path: &Path) -> Result<(), StoreError> {
    let closed = || -> io::Result<()> {
        let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
        if mode & 0o007 != 0 {
            warn!(folder = %path.display(), "it is private and was open to everybody: closing it");
            fs::set_permissions(path, Permissions::from_mode(mode & !0o077))?;
        }
        Ok(())
    };
    closed().map_err(|error| cannot("close the folder", path, error))
}

/// Returns whether there is a folder. A folder that cannot be examined is an error, not missing.
fn is_folder(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_dir()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(cannot("look at", path, error)),
    }
}

/// Returns whether nothing is there, or there is a file instead of a parent folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn cannot(action: &str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action: format!("cannot {action} {}", path.display()), source }
}

/// Removes a folder that contains only empty folders.
fn remove_empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_store_that_cannot_be_looked_at_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loop");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let store = FolderStore::new(&path.join("store"));
        for error in [run(store.list("c", &Query::default())).unwrap_err(), run(store.check_exists("c")).unwrap_err()] {
            assert!(matches!(error, StoreError::Io { .. }), "{error}");
        }
        let missing = FolderStore::new(&folder.path().join("store"));
        assert!(matches!(run(missing.list("c", &Query::default())), Err(StoreError::NotFound(_))));
    }

    #[test]
    fn a_private_container_is_closed_with_all_that_tells_about_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(&folder.path().join("deep/results"));
        let file = folder.path().join("f");
        fs::write(&file, "x").unwrap();
        let headers = ObjectHeaders { content_type: "a/b".into(), content_encoding: Some("gzip") };
        run(store.ensure_container("private", &Access::Private(vec!["ann".into()]))).unwrap();
        run(store.ensure_container("public", &Access::Public)).unwrap();
        for (container, expected) in [("private", 0o700), ("public", 0o755)] {
            run(store.put(container, "a/b", &file, &headers)).unwrap();
            assert_eq!(mode(&store.root.join(container)), expected);
            assert_eq!(mode(&store.root.join(HEADERS).join(container)), expected);
        }
        assert_eq!(mode(&store.root.join(INCOMING)), 0o700);
        let described = fs::read_to_string(store.root.join(".headers/public/a/b")).unwrap();
        assert_eq!(described, r#"{"content_type":"a/b","content_encoding":"gzip"}"#);
        assert_eq!(run(store.containers()).unwrap(), ["private", "public"]);
    }

    #[test]
    fn who_could_read_still_can_unless_it_is_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(folder.path());
        let [container, headers] = ["c", ".headers/c"].map(|name| folder.path().join(name));
        let ensured = |access: Access| {
            run(store.ensure_container("c", &access)).unwrap();
            assert_eq!(mode(&container), mode(&headers));
            mode(&container)
        };
        assert_eq!(ensured(Access::Private(vec![])), 0o700);
        assert_eq!(ensured(Access::Public), 0o755);
        assert_eq!(ensured(Access::Public), 0o755);
        assert_eq!(ensured(Access::Private(vec!["ann".into()])), 0o700, "somebody had opened a private container");
        for folder in [&container, &headers] {
            fs::set_permissions(folder, Permissions::from_mode(0o750)).unwrap();
        }
        assert_eq!(ensured(Access::Private(vec![])), 0o750, "the operator's choice");
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(folder.path());
        run(store.ensure_container("c", &Access::Public)).unwrap();
        let headers = ObjectHeaders { content_type: "a/b".into(), content_encoding: None };
        // There is a folder in the object's place.
        fs::create_dir_all(folder.path().join("c/taken/x")).unwrap();
        let file = folder.path().join("f");
        fs::write(&file, "x").unwrap();
        assert!(matches!(run(store.put("c", "taken", &file, &headers)), Err(StoreError::Io { .. })));
        let missing = run(store.put("c", "o", &folder.path().join("missing"), &headers));
        assert!(matches!(missing, Err(StoreError::Io { .. })));
        assert_eq!(fs::read_dir(folder.path().join(INCOMING)).unwrap().count(), 0);
        assert!(run(store.list("c", &Query::default())).unwrap().is_empty());
        assert!(matches!(run(store.get("c", "taken")), Err(StoreError::NotFound(_))));
    }

    #[test]
    fn what_a_dead_process_left_is_swept_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(folder.path());
        run(store.ensure_container("c", &Access::Public)).unwrap();
        let (old, new) = (folder.path().join(INCOMING).join("old"), folder.path().join(INCOMING).join("new"));
        File::create(&old).unwrap().set_modified(SystemTime::now() - 2 * UNFINISHED_FILE_TTL).unwrap();
        File::create(&new).unwrap();
        run(store.ensure_container("c", &Access::Public)).unwrap();
        assert!(!old.exists() && new.exists());
    }

    /// The simplest implementation of Swift's rules: names in order, folded, resumed after the marker.
    fn model(names: &BTreeMap<String, ()>, query: &Query) -> Vec<String> {
        let mut rows: Vec<String> = Vec::new();
        for name in names.keys().filter(|name| name.starts_with(&query.prefix) && **name > query.marker) {
            let rest = &name[query.prefix.len()..];
            let row =
                match query.delimiter.and_then(|delimiter| rest.split_once(delimiter).map(|(a, _)| (delimiter, a))) {
                    Some((delimiter, head)) => format!("{}{head}{delimiter}", query.prefix),
                    None => name.clone(),
                };
            if rows.last() != Some(&row) && row != query.marker {
                rows.push(row);
            }
        }
        rows
    }

    #[test]
    fn a_prefix_with_an_empty_part_has_no_objects() {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::new(folder.path());
        run(store.ensure_container("c", &Access::Public)).unwrap();
        fs::create_dir(folder.path().join("c/b")).unwrap();
        fs::write(folder.path().join("c/b/a"), "x").unwrap();
        for (prefix, count) in [("b/", 1), ("b//", 0), ("/", 0), ("//b/", 0)] {
            let query = Query { prefix: prefix.to_owned(), ..Query::default() };
            assert_eq!(run(store.list("c", &query)).unwrap().len(), count, "{prefix}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_listing_is_what_swift_would_say(
            wanted in prop::collection::btree_set("[ab@.é-]{1,3}(/[ab@.é+]{1,3}){0,3}", 0..25),
            prefix in prop_oneof![Just(String::new()), "[ab@.é/-]{1,4}"],
            delimiter in prop::option::of(prop::sample::select(vec!['@', '/', 'a', 'é'])),
            marker in prop_oneof![Just(String::new()), "[ab@.é/-]{1,6}"],
            from_names in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = FolderStore::new(folder.path());
            run(store.ensure_container("c", &Access::Public)).unwrap();
            let mut names = BTreeMap::new();
            for name in wanted {
                let path = folder.path().join("c").join(&name);
                // A file and a folder cannot have the same name.
                let fits = check_object("", &name).is_ok()
                    && fs::create_dir_all(path.parent().unwrap()).is_ok()
                    && fs::write(&path, "x").is_ok();
                if fits {
                    names.insert(name, ());
                }
            }
            let mut query = Query { prefix, delimiter, marker };
            // Prefixes of existing names match more often than random ones.
            if let (Some((name, length)), false) = (from_names, names.is_empty()) {
                let name = name.get(&names.keys().collect::<Vec<_>>()).to_string();
                let cut: String = name.chars().take(length.index(name.chars().count() + 1)).collect();
                query.prefix = cut.chars().take(cut.chars().count() / 2).collect();
                query.marker = cut;
            }
            let listed: Vec<String> = run(store.list("c", &query)).unwrap().into_iter().map(|entry| match entry {
                Entry::Object(info) => info.name,
                Entry::Prefix(fold) => fold,
            }).collect();
            prop_assert_eq!(listed, model(&names, &query), "{:?} of {:?}", query, names);
        }
    }
}
