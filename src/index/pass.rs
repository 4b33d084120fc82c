//! A pass through a container's listing.

use std::collections::{BTreeMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream, try_join};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Index, IndexError, row};
use crate::result::layout::{PackagePath, Place, RunId, parse_object};
use crate::runs::{self, Listed, StoredRun};
use crate::store::{Amount, Entry, Query, Store, StoreError};

/// How many results without listing metadata are fetched at the same time.
const FETCHES: usize = 32;
/// A listing that tells less than there is, because a server of the store was behind, is believed for so long at most, in seconds.
const BELIEVED: i64 = 24 * 60 * 60;

/// What a refresh of a container has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// How many runs are new.
    pub added: usize,
    /// How many were there before and are not in the store any more.
    pub removed: usize,
    /// How many results had to be fetched, because the listing does not tell what they say.
    pub fetched: usize,
    /// Results that cannot be read whole.
    pub damaged: Vec<String>,
}

impl Refreshed {
    /// Adds what another container's refresh has changed.
    pub fn add(&mut self, other: Self) {
        self.added += other.added;
        self.removed += other.removed;
        self.fetched += other.fetched;
        self.damaged.extend(other.damaged);
    }
}

/// How far a refresh has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How many objects have been taken over since the last step.
    pub objects: u64,
    /// How many there are, when that has just become known.
    pub of: Option<u64>,
}

/// A pass that goes on.
struct Pass {
    container: i64,
    number: i64,
    marker: String,
    seen: Amount,
    anew: bool,
}

/// The objects of a package that a listing has told in a row.
struct Package {
    path: PackagePath,
    results: Vec<Listed>,
}

/// Puts a listing's pages together to whole packages.
#[derive(Default)]
struct Packages {
    open: Option<Package>,
    /// Of all objects so far, and how far they lead.
    last: String,
    seen: Amount,
    /// The same up to the end of the last package that is whole.
    whole: Option<(String, Amount)>,
}

impl Packages {
    /// Adds a page; gives the packages that are whole now.
    fn add(&mut self, container: &str, page: Vec<Entry>) -> Vec<Package> {
        let mut whole = Vec::new();
        for entry in page {
            let Entry::Object(object) = &entry else { continue };
            let (name, bytes) = (object.name.clone(), object.bytes);
            if let Some((path, _, _)) = parse_object(&name) {
                if self.open.as_ref().is_some_and(|open| open.path != path) {
                    whole.extend(self.close());
                }
                self.open.get_or_insert(Package { path, results: Vec::new() });
            }
            if let (Some(result), Some(open)) = (Listed::of(container, entry), &mut self.open) {
                open.results.push(result);
            }
            self.last = name;
            self.seen.objects += 1;
            self.seen.bytes += bytes;
        }
        whole
    }

    /// What comes now belongs to another package.
    fn close(&mut self) -> Option<Package> {
        self.whole = Some((self.last.clone(), self.seen));
        self.open.take()
    }
}

impl Index {
    /// Brings a container up to date. With `anew`, what is known already is taken over again. `progress` is told whenever something has
    /// been written.
    ///
    /// # Errors
    /// When the store or the file fails. What has been taken over stays, and the next refresh goes on there.
    pub async fn refresh(
        &self,
        store: &Store,
        container: &str,
        anew: bool,
        progress: &(dyn Fn(Step) + Sync),
    ) -> Result<Refreshed, IndexError> {
        let now = Timestamp::now().as_second();
        let amount = match store.amount(container).await {
            Err(StoreError::NotFound(_)) => return self.forget(container).await,
            other => other?,
        };
        let Some(mut pass) = self.begin(container, amount, anew, now).await? else { return Ok(Refreshed::default()) };
        progress(Step { objects: pass.seen.objects, of: amount.map(|amount| amount.objects) });
        let page = async |marker: String| match store.page(container, &Query { marker, ..Query::default() }).await {
            Err(StoreError::NotFound(_)) => Ok(None),
            other => other.map(Some),
        };
        let mut packages = Packages { seen: pass.seen, last: pass.marker.clone(), ..Packages::default() };
        let mut refreshed = Refreshed::default();
        let Some(mut entries) = page(pass.marker.clone()).await? else { return self.forget(container).await };
        loop {
            let is_last = entries.is_empty();
            let next = entries.last().map(|entry| entry.name().to_owned());
            let count = entries.len() as u64;
            let mut whole = packages.add(container, entries);
            if is_last {
                whole.extend(packages.close());
            }
            let position = packages.whole.take();
            // The next page is asked for while this one is taken over.
            let following = async {
                match next {
                    Some(marker) => Ok(page(marker).await?.unwrap_or_default()),
                    None => Ok(Vec::new()),
                }
            };
            let taking = self.take_over(store, &mut pass, whole, position);
            let (following, taken) = try_join!(following, taking)?;
            refreshed.add(taken);
            progress(Step { objects: count, of: None });
            if is_last {
                break;
            }
            entries = following;
        }
        refreshed.removed += self.end(&pass).await?;
        Ok(refreshed)
    }

    /// Begins a pass, or goes on with one; `None` when nothing is new.
    async fn begin(
        &self,
        container: &str,
        amount: Option<Amount>,
        anew: bool,
        now: i64,
    ) -> Result<Option<Pass>, IndexError> {
        let name = container.to_owned();
        self.aside(move |connection| {
            let transaction = connection.transaction()?;
            let access = match Place::of_container(&name) {
                _ if Place::is_private(&name) => "private",
                Some((_, Some(_))) => "ppa",
                _ => "public",
            };
            transaction.execute(
                "INSERT INTO container (name, access) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                params![name, access],
            )?;
            let sql = "SELECT id, pass, marker, objects, bytes, begun, anew, checked FROM container WHERE name = ?";
            let (mut pass, begun, checked): (Pass, i64, i64) = transaction.query_row(sql, [&name], |row| {
                let marker: Option<String> = row.get(2)?;
                let seen = Amount { objects: row.get(3)?, bytes: row.get(4)? };
                let (container, number, anew) = (row.get(0)?, row.get(1)?, row.get(6)?);
                let is_over = marker.is_none();
                let pass = Pass { container, number, marker: marker.unwrap_or_default(), seen, anew };
                Ok((pass, if is_over { row.get(5)? } else { -1 }, row.get(7)?))
            })?;
            let goes_on = begun < 0 && (pass.anew || !anew);
            if !goes_on {
                let is_settled = checked > 0 && amount == Some(pass.seen) && begun + BELIEVED > now && begun >= 0;
                if is_settled && !anew {
                    transaction.execute("UPDATE container SET checked = ? WHERE id = ?", [now, pass.container])?;
                    transaction.commit()?;
                    return Ok(None);
                }
                pass = Pass {
                    number: pass.number + 1,
                    marker: String::new(),
                    seen: Amount { objects: 0, bytes: 0 },
                    anew,
                    ..pass
                };
                transaction.execute(
                    "UPDATE container SET pass = ?, marker = '', anew = ?, objects = 0, bytes = 0, begun = ? WHERE id = ?",
                    params![pass.number, anew, now, pass.container],
                )?;
            }
            transaction.commit()?;
            Ok(Some(pass))
        })
        .await
    }

    /// Takes whole packages over, and notes that all up to `position` is.
    async fn take_over(
        &self,
        store: &Store,
        pass: &mut Pass,
        packages: Vec<Package>,
        position: Option<(String, Amount)>,
    ) -> Result<Refreshed, IndexError> {
        let Some((marker, seen)) = position else { return Ok(Refreshed::default()) };
        let paths: Vec<PackagePath> = packages.iter().map(|package| package.path.clone()).collect();
        let (container, anew, number) = (pass.container, pass.anew, pass.number);
        let known = self.aside(move |connection| paths.iter().map(|path| known(connection, container, path)).collect());
        let known: Vec<HashSet<String>> = known.await?;

        let mut refreshed = Refreshed::default();
        let mut gone: Vec<(PackagePath, Vec<String>)> = Vec::new();
        let mut new = Vec::new();
        for (Package { path, results }, mut known) in packages.into_iter().zip(known) {
            for result in results {
                let is_known = known.remove(result.id.as_str());
                if anew || !is_known {
                    new.push(result);
                }
            }
            gone.push((path, known.into_iter().collect()));
        }
        let is_fetched = |result: &&Listed| !result.tells_all();
        refreshed.fetched = new.iter().filter(is_fetched).count();
        let reading = stream::iter(new).map(|result| runs::read(store, result)).buffered(FETCHES);
        let read: Vec<StoredRun> = reading.try_filter_map(|run| async { Ok(run) }).try_collect().await?;
        refreshed.added = read.len();
        let damaged = read.iter().filter(|run| run.damaged);
        refreshed.damaged.extend(damaged.map(|run| format!("{}/{}", run.container, run.path.folder(&run.id))));
        let mut by_path: BTreeMap<PackagePath, Vec<StoredRun>> = BTreeMap::new();
        for run in read {
            by_path.entry(run.path.clone()).or_default().push(run);
        }

        pass.seen = seen;
        refreshed.removed = self
            .aside(move |connection| {
                let transaction = connection.transaction()?;
                let mut removed = 0;
                for (path, gone) in gone {
                    let test = row::test(&transaction, container, &path, number)?;
                    for run in by_path.remove(&path).unwrap_or_default() {
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

    /// The listing has come to its end: forgets the packages that it did not tell of. Gives how many runs these had.
    async fn end(&self, pass: &Pass) -> Result<usize, IndexError> {
        let (container, number) = (pass.container, pass.number);
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

    /// The container is not in the store any more.
    async fn forget(&self, container: &str) -> Result<Refreshed, IndexError> {
        let name = container.to_owned();
        self.aside(move |connection| {
            let transaction = connection.transaction()?;
            let sql = "SELECT id FROM container WHERE name = ?";
            let id: Option<i64> = transaction.query_row(sql, [&name], |row| row.get(0)).optional()?;
            let Some(id) = id else { return Ok(Refreshed::default()) };
            let runs = "DELETE FROM run WHERE test IN (SELECT id FROM test WHERE container = ?)";
            let removed = transaction.execute(runs, [id])?;
            transaction.execute("DELETE FROM test WHERE container = ?", [id])?;
            transaction.execute("DELETE FROM container WHERE id = ?", [id])?;
            transaction.commit()?;
            Ok(Refreshed { removed, ..Refreshed::default() })
        })
        .await
    }

    /// Takes a single run over, which somebody has told of, without a pass.
    pub(super) async fn add(
        &self,
        store: &Store,
        container: &str,
        path: &PackagePath,
        id: &RunId,
    ) -> Result<bool, IndexError> {
        let query = Query { prefix: path.object(id, ""), ..Query::default() };
        let entries = match store.page(container, &query).await {
            Err(StoreError::NotFound(_)) => return Ok(false),
            other => other?,
        };
        let result = entries.into_iter().find_map(|entry| Listed::of(container, entry));
        let Some(result) = result else { return Ok(false) };
        let Some(run) = runs::read(store, result).await? else { return Ok(false) };
        let (name, path) = (container.to_owned(), path.clone());
        self.aside(move |connection| {
            let transaction = connection.transaction()?;
            let sql = "SELECT id, pass FROM container WHERE name = ?";
            let found = transaction.query_row(sql, [&name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            // A container that was never listed is found by the next refresh.
            let Some((container, pass)): Option<(i64, i64)> = found else { return Ok(false) };
            let test = row::test(&transaction, container, &path, pass)?;
            row::write(&transaction, test, &run)?;
            transaction.commit()?;
            Ok(true)
        })
        .await
    }
}

/// The runs of a package that are in the index.
fn known(connection: &rusqlite::Connection, container: i64, path: &PackagePath) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT run.id FROM test JOIN run ON run.test = test.id \
         WHERE test.package = ? AND test.release = ? AND test.architecture = ? AND test.container = ?",
    )?;
    let PackagePath { release, architecture, package } = path;
    let rows = statement
        .query_map(params![package.as_str(), release.as_str(), architecture.as_str(), container], |row| row.get(0))?;
    rows.collect()
}
