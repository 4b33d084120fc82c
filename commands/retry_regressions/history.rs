//! Conditions on results and logs, which the excuses do not contain.

use std::collections::HashMap;

use apt_ci::excuses::{Retry, is_flaky, is_infrastructure, log_matches};
use apt_ci::result::PackagePath;
use apt_ci::runs::{self, StoredRun};
use apt_ci::site::Site;
use futures_util::{StreamExt, TryStreamExt, stream};
use regex::bytes::Regex;

use crate::session::Session;
use crate::ui::error::{CommandError, CommandResult, ErrorContext as _};

/// Maximum number of lookups at the same time.
const CONCURRENCY: usize = 8;

/// Keeps tests whose results in the store show a testbed failure (`infra`), a flaky test (`flaky`), or both.
pub async fn keep(
    retries: Vec<Retry>,
    infra: bool,
    flaky: bool,
    session: &Session,
    site: &Site,
) -> CommandResult<Vec<Retry>> {
    let store = session.store(site)?;
    let place = |retry: &Retry| PackagePath {
        release: retry.release.clone(),
        architecture: retry.architecture.clone(),
        package: retry.package.clone(),
    };
    let mut places: Vec<PackagePath> = retries.iter().map(place).collect();
    places.sort();
    places.dedup();
    let read = stream::iter(places).map(|place| async {
        let runs = runs::of_package(&store, &place).await?;
        Ok::<_, CommandError>((place, runs))
    });
    let known: HashMap<PackagePath, Vec<StoredRun>> = read.buffer_unordered(CONCURRENCY).try_collect().await?;
    let keeps = |retry: &Retry| {
        let runs = known.get(&place(retry)).map(Vec::as_slice).unwrap_or_default();
        (!infra || is_infrastructure(retry, runs)) && (!flaky || is_flaky(retry, runs))
    };
    Ok(retries.into_iter().filter(keeps).collect())
}

/// Keeps tests whose log matches. A test without a log does not match; a log that cannot be read is an error.
pub async fn keep_by_log(retries: Vec<Retry>, pattern: &Regex, session: &Session) -> CommandResult<Vec<Retry>> {
    session.use_one_tls_provider();
    let looked = stream::iter(retries).map(|retry| async {
        let Some(log) = &retry.log else { return Ok(None) };
        let found = log_matches(log, pattern).await.with_context(|| format!("cannot read the log {log}"))?;
        Ok::<_, CommandError>(found.then_some(retry))
    });
    looked.buffered(CONCURRENCY).try_filter_map(|retry| async { Ok(retry) }).try_collect().await
}
