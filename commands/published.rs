//! `--check`: refuses triggers that are not published.

use std::collections::BTreeSet;

use apt_ci::launchpad::{Launchpad, LaunchpadError};
use apt_ci::release::Release;
use apt_ci::request::Trigger;
use apt_ci::request::line::Submission;
use apt_ci::site::Site;

use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult, OperationFailed};

const UNCHECKED_HINT: &str = "leave out --check to request the test anyway";

/// Refuses a trigger that is not published in its release. Triggers of requests with a PPA are not checked: they may be
/// in the PPA.
pub async fn check(submissions: &[Submission], session: &Session, site: &Site) -> CommandResult<()> {
    let mut wanted: BTreeSet<(&Release, &Trigger)> = BTreeSet::new();
    let mut has_ppas = false;
    for Submission { queue, request } in submissions {
        let parameters = request.parameters();
        if parameters.ppas.is_empty() {
            let triggers = parameters.triggers.iter().filter(|trigger| !trigger.is_baseline());
            wanted.extend(triggers.map(|trigger| (&queue.release, trigger)));
        } else {
            has_ppas = true;
        }
    }
    if has_ppas {
        session.ui.note("Triggers of requests with a PPA are not checked, because the PPA may contain them.");
    }
    session.use_one_tls_provider();
    let unable = |error: LaunchpadError| OperationFailed { message: error.to_string(), hint: UNCHECKED_HINT.into() };
    let launchpad = Launchpad::new(site.launchpad.clone()).map_err(unable)?;
    for (release, trigger) in wanted {
        let published = launchpad.published(trigger.package(), release).await.map_err(unable)?;
        if published.iter().any(|one| one.version == trigger.version()) {
            continue;
        }
        let mut there: Vec<String> = published.iter().map(|one| format!("{} ({})", one.version, one.pocket)).collect();
        there.dedup();
        let there = match there.as_slice() {
            [] => format!("no version of {} is", trigger.package()),
            some => format!("published are {}", some.join(", ")),
        };
        let message = format!("{trigger} is not published in {release}; {there}");
        return Err(BadInput { message, hint: Some(UNCHECKED_HINT.to_owned()) }.into());
    }
    Ok(())
}
