//! The newest run of each package, without reading older ones.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::{FETCH_CONCURRENCY, ListedResult, StoredRun, read_all};
use crate::result::RunId;
use crate::result::layout::PackagePath;
use crate::store::{Store, StoreError};

/// Number of results that are read before the next ones are chosen.
const BATCH_SIZE: usize = FETCH_CONCURRENCY * 8;

/// Reads the newest result of each package for which `counts` is true: at least the newest `limit` and one more, if
/// there are that many.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn read(
    store: &Store,
    listed: Vec<ListedResult>,
    limit: usize,
    counts: impl Fn(&StoredRun) -> bool,
) -> Result<Vec<StoredRun>, StoreError> {
    let mut of_package: HashMap<PackagePath, Vec<ListedResult>> = HashMap::new();
    for result in listed {
        of_package.entry(result.path.clone()).or_default().push(result);
    }
    for results in of_package.values_mut() {
        results.sort_by(|a, b| a.id.cmp(&b.id));
    }
    let newest = |path: &PackagePath, results: &[ListedResult]| Some((results.last()?.id.clone(), path.clone()));
    let mut waiting: BinaryHeap<(RunId, PackagePath)> =
        of_package.iter().filter_map(|(path, results)| newest(path, results)).collect();
    let mut found: Vec<StoredRun> = Vec::new();
    while let Some((id, _)) = waiting.peek() {
        if found.len() > limit {
            let (_, last, _) = found.select_nth_unstable_by_key(limit, |run| Reverse(run.id.clone()));
            if last.id > *id {
                break;
            }
        }
        let paths: Vec<PackagePath> = (0..BATCH_SIZE).map_while(|_| waiting.pop()).map(|(_, path)| path).collect();
        let results = paths.iter().filter_map(|path| of_package.get_mut(path)?.pop()).collect();
        let mut counting = read_all(store, results).await?;
        counting.retain(&counts);
        let is_settled = |path: &PackagePath| counting.iter().any(|run| run.path == *path);
        for path in paths.iter().filter(|path| !is_settled(path)) {
            waiting.extend(of_package.get(path).and_then(|results| newest(path, results)));
        }
        found.extend(counting);
    }
    Ok(found)
}
