//! Detection of containers that two PPAs share. A container's name is ambiguous: `a-b/c` and `a/b-c` share one.

use std::pin::pin;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{FETCH_CONCURRENCY, ListedResult, StoredRun, read, results};
use crate::result::layout::ResultLocation;
use crate::result::listing::RunSummary;
use crate::result::outcome::Outcome;
use crate::store::{Store, StoreError};

/// Returns whether a container has results of another PPA than this one (`OWNER/NAME`). A result that does not record
/// its PPA may belong to another one. Results of refused requests do not count: anyone can make one for any PPA.
///
/// # Errors
/// When the store cannot be read.
pub async fn holds_other_ppa(store: &Store, container: &str, ppa: &str) -> Result<bool, StoreError> {
    let name = ResultLocation::of_container(container).and_then(|(_, name)| name);
    if name.is_some_and(|name| name.matches('-').count() == 1) {
        // Owner and name are unambiguous.
        return Ok(false);
    }
    let is_other = |run: &StoredRun| {
        let is_refused = !run.damaged && run.outcome() == Outcome::Error && run.summary.version == "unknown";
        !is_refused && run.ppa() != Some(ppa)
    };
    let mut untold = Vec::new();
    for result in results(store, container, String::new()).await? {
        match RunSummary::parse(&result.object.content_type) {
            Some(summary) if summary.options.is_some() => {
                if is_other(&result.into_run(summary, false)) {
                    return Ok(true);
                }
            }
            // Older listings do not record the PPA, nor do those without space for it.
            _ => untold.push(result),
        }
    }
    let untold: Vec<ListedResult> = untold;
    let reading = stream::iter(untold).map(|result| read(store, result)).buffer_unordered(FETCH_CONCURRENCY);
    let mut others = pin!(reading.try_filter(|run| std::future::ready(run.as_ref().is_some_and(is_other))));
    Ok(others.try_next().await?.is_some())
}
