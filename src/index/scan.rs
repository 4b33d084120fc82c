//! Scans of a container's listing.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream, try_join};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::{Index, IndexError, row};
use crate::result::RunId;
use crate::result::layout::{PackagePath, ResultLocation, parse_object};
use crate::runs::{self, ListedResult, StoredRun};
use crate::store::{ContainerSize, Entry, Query, Store, StoreError};

/// Number of results without listing metadata that are fetched concurrently.
const FETCH_CONCURRENCY: usize = 32;
/// Maximum age of a scan until an unchanged container is scanned again: a server of the store may have returned an
/// outdated listing.
const SCAN_TTL: SignedDuration = SignedDuration::from_hours(24);

/// Changes of a container's refresh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefreshSummary {
    /// Number of new runs.
    pub added: usize,
    /// Number of runs that are no longer in the store.
    pub removed: usize,
    /// Number of results that had to be fetched, because the listing lacks information.
    pub fetched: usize,
    /// Results that cannot be read completely.
    pub damaged: Vec<String>,
}

impl RefreshSummary {
    /// Adds the changes of another container's refresh.
    pub fn add(&mut self, other: Self) {
        self.added += other.added;
        self.removed += other.removed;
        self.fetched += other.fetched;
        self.damaged.extend(other.damaged);
    }
}

/// Progress of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshProgress {
    /// Number of objects that were processed since the last step.
    pub objects: u64,
    /// Total number of objects, when it has just become known.
    pub of: Option<u64>,
}

/// A scan in progress.
struct Scan {
    container: i64,
    number: i64,
    marker: String,
    seen: ContainerSize,
    anew: bool,
}

/// A package's results in a listing.
struct ListedPackage {
    path: PackagePath,
    results: Vec<ListedResult>,
}

/// Changes of a page, which are to be written.
struct ScannedPage {
    /// The last object that it covers, and the number and size of the objects up to it.
    position: (String, ContainerSize),
    packages: Vec<PackageChanges>,
    fetched: usize,
}

/// A package's new runs, and the ids of its removed runs.
struct PackageChanges {
    path: PackagePath,
    new: Vec<StoredRun>,
    gone: Vec<String>,
}

/// Combines the pages of a listing into whole packages.
#[derive(Default)]
struct Packages {
    open: Option<ListedPackage>,
    /// The last object so far, and the number and size of all objects up to it.
    last: String,
    seen: ContainerSize,
    /// The last object of the last complete package, and the number and size of the objects up to it.
    whole: Option<(String, ContainerSize)>,
}

impl Packages {
    /// Adds a page, and returns the packages that are complete now.
    fn add(&mut self, container: &str, page: Vec<Entry>) -> Vec<ListedPackage> {
        let mut whole = Vec::new();
        for entry in page {
            let Entry::Object(object) = &entry else { continue };
            let (name, bytes) = (object.name.clone(), object.bytes);
            if let Some((path, _, _)) = parse_object(&name) {
                if self.open.as_ref().is_some_and(|open| open.path != path) {
                    whole.extend(self.close());
                }
                self.open.get_or_insert(ListedPackage { path, results: Vec::new() });
            }
            if let (Some(result), Some(open)) = (ListedResult::of(container, entry), &mut self.open) {
                open.results.push(result);
            }
            self.last = name;
            self.seen.objects += 1;
            self.seen.bytes += bytes;
        }
        whole
    }

    /// Completes the open package: the next object belongs to another one.
    fn close(&mut self) -> Option<ListedPackage> {
        self.whole = Some((self.last.clone(), self.seen));
        self.open.take()
    }
}

impl Index {
    /// Updates a container. With `anew`, known runs are read again. Calls `progress` whenever something was written.
    ///
    /// # Errors
    /// When the store or the file fails. Everything that was written stays, and the next refresh continues there.
    pub async fn refresh(
        &self,
        store: &Store,
        container: &str,
        anew: bool,
        progress: &(dyn Fn(RefreshProgress) + Sync),
    ) -> Result<RefreshSummary, IndexError> {
        let (refreshed, resumed) = self.scan(store, container, anew, progress).await?;
        if !resumed {
            return Ok(refreshed);
        }
        // New runs in its first part, which was listed earlier, are only found from the beginning.
        let mut all = refreshed;
        all.add(self.scan(store, container, false, progress).await?.0);
        Ok(all)
    }

    /// Runs one scan. Also returns whether it continued an interrupted one.
    async fn scan(
        &self,
        store: &Store,
        container: &str,
        anew: bool,
        progress: &(dyn Fn(RefreshProgress) + Sync),
    ) -> Result<(RefreshSummary, bool), IndexError> {
        let now = Timestamp::now().as_second();
        let amount = match store.amount(container).await {
            Err(StoreError::NotFound(_)) => return Ok((self.forget(container).await?, false)),
            // It may be listed nevertheless.
            Err(StoreError::Refused { .. }) => None,
            other => other?,
        };
        let Some(scan) = self.begin(container, amount, anew, now).await? else {
            return Ok((RefreshSummary::default(), false));
        };
        let resumed = !scan.marker.is_empty();
        progress(RefreshProgress { objects: scan.seen.objects, of: amount.map(|amount| amount.objects) });
        // A container that is removed now must not look like the listing's end: the next refresh finds out.
        let page = async |marker: String| store.page(container, &Query { marker, ..Query::default() }).await;
        let mut packages = Packages { seen: scan.seen, last: scan.marker.clone(), ..Packages::default() };
        let mut refreshed = RefreshSummary::default();
        let mut entries = page(scan.marker.clone()).await?;
        let mut read = None;
        loop {
            let count = entries.len() as u64;
            let next = entries.last().map(|entry| entry.name().to_owned());
            let mut whole = packages.add(container, entries);
            // Only an empty page is the end: the number of objects may have changed.
            let is_last = next.is_none();
            if is_last {
                whole.extend(packages.close());
            }
            // While this page's results are read, the next page is fetched, and the previous page's results are
            // written.
            let following = async {
                match next {
                    Some(marker) => Ok(page(marker).await?),
                    None => Ok(Vec::new()),
                }
            };
            let reading = self.read(store, &scan, whole, packages.whole.take());
            let (following, taken, written) = try_join!(following, reading, self.write(&scan, read.take()))?;
            refreshed.add(written);
            read = taken;
            progress(RefreshProgress { objects: count, of: None });
            if is_last {
                break;
            }
            entries = following;
        }
        refreshed.add(self.write(&scan, read).await?);
        refreshed.removed += self.end(&scan).await?;
        Ok((refreshed, resumed))
    }

    /// Begins or continues a scan; returns `None` when nothing is new.
    async fn begin(
        &self,
        container: &str,
        amount: Option<ContainerSize>,
        anew: bool,
        now: i64,
    ) -> Result<Option<Scan>, IndexError> {
        let name = container.to_owned();
        self.aside(move |connection| {
            let transaction = connection.transaction()?;
            let access = match ResultLocation::of_container(&name) {
                _ if ResultLocation::is_private(&name) => "private",
                Some((_, Some(_))) => "ppa",
                _ => "public",
            };
            transaction.execute(
                "INSERT INTO container (name, access) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                params![name, access],
            )?;
            let sql = "SELECT id, pass, marker, objects, bytes, begun, anew, checked FROM container WHERE name = ?";
            let (mut scan, begun, checked): (Scan, i64, i64) = transaction.query_row(sql, [&name], |row| {
                let marker: Option<String> = row.get(2)?;
                let seen = ContainerSize { objects: row.get(3)?, bytes: row.get(4)? };
                let (container, number, anew) = (row.get(0)?, row.get(1)?, row.get(6)?);
                let is_over = marker.is_none();
                let scan = Scan { container, number, marker: marker.unwrap_or_default(), seen, anew };
                Ok((scan, if is_over { row.get(5)? } else { -1 }, row.get(7)?))
            })?;
            let goes_on = begun < 0 && (scan.anew || !anew);
            if !goes_on {
                let is_recent = begun >= 0 && begun + SCAN_TTL.as_secs() > now;
                let is_settled = is_recent && checked > 0 && amount == Some(scan.seen);
                if is_settled && !anew {
                    transaction.execute("UPDATE container SET checked = ? WHERE id = ?", [now, scan.container])?;
                    transaction.commit()?;
                    return Ok(None);
                }
                scan = Scan {
                    number: scan.number + 1,
                    marker: String::new(),
                    seen: ContainerSize { objects: 0, bytes: 0 },
                    anew,
                    ..scan
                };
                transaction.execute(
                    "UPDATE container SET pass = ?, marker = '', anew = ?, objects = 0, bytes = 0, begun = ? WHERE id = ?",
                    params![scan.number, anew, now, scan.container],
                )?;
            }
            transaction.commit()?;
            Ok(Some(scan))
        })
        .await
    }

    /// Reads the new results of complete packages, up to `position`.
    async fn read(
        &self,
        store: &Store,
        scan: &Scan,
        packages: Vec<ListedPackage>,
        position: Option<(String, ContainerSize)>,
    ) -> Result<Option<ScannedPage>, IndexError> {
        let Some(position) = position else { return Ok(None) };
        let paths: Vec<PackagePath> = packages.iter().map(|package| package.path.clone()).collect();
        let container = scan.container;
        let known = self.aside(move |connection| paths.iter().map(|path| known(connection, container, path)).collect());
        let known: Vec<HashMap<String, bool>> = known.await?;

        let mut read = ScannedPage { position, packages: Vec::new(), fetched: 0 };
        let mut new = Vec::new();
        for (ListedPackage { path, results }, mut known) in packages.into_iter().zip(known) {
            for result in results {
                let known_damaged = known.remove(result.id.as_str());
                let is_known = known_damaged.is_some_and(|is_damaged| is_damaged || !result.has_other_size());
                if scan.anew || !is_known {
                    read.fetched += usize::from(!result.is_complete());
                    new.push(result);
                }
            }
            read.packages.push(PackageChanges { path, new: Vec::new(), gone: known.into_keys().collect() });
        }
        let mut reading = stream::iter(new).map(|result| runs::read(store, result)).buffered(FETCH_CONCURRENCY);
        // Both are in the order of the listing.
        let mut packages = read.packages.iter_mut();
        let mut package = packages.next();
        while let Some(run) = reading.try_next().await? {
            let Some(run) = run else { continue };
            while package.as_ref().is_some_and(|package| package.path != run.path) {
                package = packages.next();
            }
            if let Some(package) = &mut package {
                package.new.push(run);
            }
        }
        Ok(Some(read))
    }

    /// Writes the results and the position.
    async fn write(&self, scan: &Scan, read: Option<ScannedPage>) -> Result<RefreshSummary, IndexError> {
        let Some(ScannedPage { position: (marker, seen), packages, fetched }) = read else {
            return Ok(RefreshSummary::default());
        };
        let mut refreshed = RefreshSummary { fetched, ..RefreshSummary::default() };
        for run in packages.iter().flat_map(|package| &package.new) {
            refreshed.added += 1;
            if run.damaged {
                refreshed.damaged.push(run.location());
            }
        }
        let (container, number) = (scan.container, scan.number);
        refreshed.removed = self
            .aside(move |connection| {
                let transaction = connection.transaction()?;
                let mut removed = 0;
                for PackageChanges { path, new, gone } in packages {
                    let test = row::test(&transaction, container, &path, number)?;
                    for run in new {
                        row::write(&transaction, test, &run)?;
                    }
                    for id in gone {
                        removed += transaction
                            .prepare_cached("DELETE FROM run WHERE test = ? AND id = ?")?
                            .execute(params![test, id])?;
                    }
                }
                transaction.execute(
                    "UPDATE container SET marker = ?, objects = ?, bytes = ? WHERE id = ?",
                    params![marker, seen.objects, seen.bytes, container],
                )?;
                transaction.commit()?;
                Ok(removed)
            })
            .await?;
        Ok(refreshed)
    }

    /// Ends a scan: deletes the packages that were not in the listing. Returns the number of their runs.
    async fn end(&self, scan: &Scan) -> Result<usize, IndexError> {
        let (container, number) = (scan.container, scan.number);
        self.aside(move |connection| {
            let transaction = connection.transaction()?;
            let removed = transaction.execute(
                "DELETE FROM run WHERE test IN (SELECT id FROM test WHERE container = ? AND pass <> ?)",
                [container, number],
            )?;
            transaction.execute("DELETE FROM test WHERE container = ? AND pass <> ?", [container, number])?;
            transaction
                .execute("UPDATE container SET marker = NULL, anew = 0, checked = begun WHERE id = ?", [container])?;
            transaction.commit()?;
            Ok(removed)
        })
        .await
    }

    /// Deletes a container that is no longer in the store.
    async fn forget(&self, container: &str) -> Result<RefreshSummary, IndexError> {
        let name = container.to_owned();
        self.aside(move |connection| {
            let transaction = connection.transaction()?;
            let sql = "SELECT id FROM container WHERE name = ?";
            let id: Option<i64> = transaction.query_row(sql, [&name], |row| row.get(0)).optional()?;
            let Some(id) = id else { return Ok(RefreshSummary::default()) };
            let runs = "DELETE FROM run WHERE test IN (SELECT id FROM test WHERE container = ?)";
            let removed = transaction.execute(runs, [id])?;
            transaction.execute("DELETE FROM test WHERE container = ?", [id])?;
            transaction.execute("DELETE FROM container WHERE id = ?", [id])?;
            transaction.commit()?;
            Ok(RefreshSummary { removed, ..RefreshSummary::default() })
        })
        .await
    }

    /// Adds a single announced run without a scan. Returns `false` when the store does not have it yet.
    pub(super) async fn add(
        &self,
        store: &Store,
        container: &str,
        path: &PackagePath,
        id: &RunId,
    ) -> Result<bool, IndexError> {
        // Only containers in the index are queried: anyone who may announce a run can choose the name.
        if self.checked(container)?.is_none() {
            return Ok(true);
        }
        let query = Query { prefix: path.object(id, ""), ..Query::default() };
        let entries = match store.page(container, &query).await {
            Err(StoreError::NotFound(_) | StoreError::Refused { .. }) => return Ok(false),
            other => other?,
        };
        let result = entries.into_iter().find_map(|entry| ListedResult::of(container, entry));
        let Some(result) = result else { return Ok(false) };
        let Some(run) = runs::read(store, result).await? else { return Ok(false) };
        let (name, path) = (container.to_owned(), path.clone());
        self.aside(move |connection| {
            let transaction = connection.transaction()?;
            let sql = "SELECT id, pass FROM container WHERE name = ?";
            let found = transaction.query_row(sql, [&name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            // The next refresh finds a container that was never listed.
            let Some((container, scan)): Option<(i64, i64)> = found else { return Ok(true) };
            let test = row::test(&transaction, container, &path, scan)?;
            row::write(&transaction, test, &run)?;
            transaction.commit()?;
            Ok(true)
        })
        .await
    }
}

/// Returns the package's runs in the index, and whether they are damaged.
fn known(
    connection: &rusqlite::Connection,
    container: i64,
    path: &PackagePath,
) -> rusqlite::Result<HashMap<String, bool>> {
    let mut statement = connection.prepare_cached(
        "SELECT run.id, run.damaged FROM test JOIN run ON run.test = test.id \
         WHERE test.package = ? AND test.release = ? AND test.architecture = ? AND test.container = ?",
    )?;
    let PackagePath { release, architecture, package } = path;
    let rows = statement
        .query_map(params![package.as_str(), release.as_str(), architecture.as_str(), container], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    rows.collect()
}
