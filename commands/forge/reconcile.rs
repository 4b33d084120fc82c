//! `apt-ci github reconcile`: closes pending statuses whose tests have ended.

use std::sync::Arc;

use apt_ci::forge::Forge;
use apt_ci::pulls::journal::{Journal, JournalError};
use apt_ci::pulls::rebuild::{self, RebuildServices, by_project};
use apt_ci::pulls::status_reporter::StatusReporter;
use apt_ci::pulls::{Stage, result_collector, withdraw};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::access;
use crate::session::Session;
use crate::ui::error::{CommandResult, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::number;

/// Close pending statuses whose tests have ended
///
/// Checks the queues, the running tests, the results and the forge itself; `apt-ci serve` does this continuously. Exits
/// with 1 if something could not be checked, or a status could not be set.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github reconcile --days 7")]
pub struct ReconcileArgs {
    /// Number of days to look back for pull requests
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = number::within(1_u16..=3650))]
    days: u16,
}

pub async fn run(forge: Forge, args: ReconcileArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let service = access::service(&site)?;
    let keyring = Arc::new(access::keyring(session, &site)?);
    let hooks = access::hooks_of(forge, &site)?;
    let journal = match Journal::open(&Journal::path(&site.state_dir)) {
        Err(error @ JournalError::Busy(_)) => {
            let hint = "if `apt-ci serve` is running here, it updates statuses by itself (see its log); otherwise, wait for the \
                 other `reconcile`";
            return Err(OperationFailed { message: error.to_string(), hint: hint.into() }.into());
        }
        other => other?,
    };
    let store = session.store(&site)?;
    let broker = session.broker(&site).await?;
    let around =
        RebuildServices { journal: &journal, broker: &broker, store: &store, keyring: &keyring, service: &service };
    let now = Timestamp::now();
    let since = now - SignedDuration::from_hours(24 * i64::from(args.days));
    let mut exit = ExitStatus::Success;
    journal.make_due().await?;
    // Requests in the journal come first: they may not be queued, and then the forge does not show them.
    let mut could_not = |what: &str, failure: &dyn std::fmt::Display| {
        session.ui.warn(format!("{what}: {failure}"));
        exit = ExitStatus::Failure;
    };
    let mut looks = vec![result_collector::results(&journal, &store, None).await?];
    looks.push(result_collector::requests(&journal, &broker, &store, &[Stage::Received], now).await?);
    let mut found = 0;
    match rebuild::from_queues(&hooks, &around, now).await {
        Ok(some) => found += some,
        Err(failure) => could_not("cannot search some queues", &failure),
    }
    for hooks in by_project(&hooks) {
        match rebuild::from_forge(&hooks, &around, since, now).await {
            Ok(some) => found += some,
            Err(error) => {
                let project = hooks.first().map(|hook| hook.project.to_string()).unwrap_or_default();
                could_not(&project, &error);
            }
        }
    }
    if let Err(failure) = withdraw::withdraw(&journal, &broker).await {
        could_not("cannot remove some superseded requests from their queues", &failure);
    }
    looks.push(result_collector::results(&journal, &store, None).await?);
    looks.push(result_collector::requests(&journal, &broker, &store, &[Stage::Queued], Timestamp::now()).await?);
    let ended: usize = looks.iter().map(|looked| looked.ended).sum();
    for failure in looks.iter().filter_map(|looked| looked.failure.as_ref()) {
        could_not("cannot look up some tests", failure);
    }
    let told = StatusReporter::new(journal.clone(), keyring, service.clone()).show().await?;
    let counts = journal.counts().await?;
    broker.close().await;
    let open = counts.stages.iter().take(3).sum::<u64>();
    if session.ui.is_json {
        session
            .ui
            .json(&json!({"found": found, "ended": ended, "shown": told.taken, "failed": told.failed, "open": open}))?;
    } else {
        session.ui.note(format!(
            "Previously unknown tests: {found}; finished: {ended}; queued or running: {open}; statuses reported: {}.",
            told.taken
        ));
    }
    if told.failed > 0 {
        session.ui.warn(format!(
            "could not report {} of the statuses; run this again, or leave them to `apt-ci serve`",
            told.failed
        ));
        exit = ExitStatus::Failure;
    }
    Ok(exit)
}
