//! `--check`: whether the triggers exist before tests are asked for because of them.

use std::collections::BTreeSet;

use apt_ci::launchpad::Launchpad;
use apt_ci::release::Release;
use apt_ci::request::Trigger;
use apt_ci::request::line::Submission;
use apt_ci::site::Site;

use crate::session::Session;
use crate::ui::error::BadInput;

/// Refuses a trigger that is not published in its release. With a PPA the trigger may be there, where is not looked.
pub async fn check(submissions: &[Submission], session: &Session, site: &Site) -> anyhow::Result<()> {
    let mut wanted: BTreeSet<(&Release, &Trigger)> = BTreeSet::new();
    for Submission { queue, request } in submissions {
        let parameters = request.parameters();
        if parameters.ppas.is_empty() {
            let triggers = parameters.triggers.iter().filter(|trigger| !trigger.is_baseline());
            wanted.extend(triggers.map(|trigger| (&queue.release, trigger)));
        } else {
            session.ui.note(format!("{} has a PPA: its triggers are not checked.", request.package()));
        }
    }
    session.use_one_tls_provider();
    let launchpad = Launchpad::new(site.launchpad.clone())?;
    for (release, trigger) in wanted {
        let published = launchpad.published(trigger.package(), release).await?;
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
        let hint = "without --check the test is asked for all the same".to_owned();
        return Err(BadInput { message, hint: Some(hint) }.into());
    }
    Ok(())
}
