//! `apt-ci credentials bind`: binds stored secrets to their purposes.

use apt_ci::site::credentials::{CredentialsError, Entry, Kind, Name, OpenedCredential};
use jiff::Timestamp;

use super::purpose::{CredentialsScope, Purpose};
use super::{known, roles};
use crate::ui::ask;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;

/// Binds one secret, or all unbound ones, after naming each with its purpose. A secret that cannot be bound does not
/// stop the others.
pub async fn bind(
    one: Option<(Kind, Name)>,
    purpose: &Purpose,
    yes: bool,
    around: &CredentialsScope<'_>,
) -> CommandResult<ExitStatus> {
    let CredentialsScope { site, credentials, session } = around;
    let is_service_known = site.web_url.is_some() || purpose.service.is_some();
    let is_done = |opened: &OpenedCredential| opened.is_bound() && !(opened.needs_service() && is_service_known);
    let mut unopened = 0;
    let mut meant = Vec::new();
    match &one {
        Some((kind, name)) => meant.push(known(credentials, *kind, name)?),
        None => {
            for entry in credentials.list()? {
                match credentials.get(entry.kind, &entry.name) {
                    Ok(opened) if opened.as_ref().is_none_or(is_done) => {}
                    Ok(_) => meant.push(entry),
                    Err(error) => {
                        session.ui.warn(error);
                        unopened += 1;
                    }
                }
            }
        }
    }
    session.confirm_recipients(credentials).await?;
    let (mut steps, mut unclear) = (Vec::new(), Vec::new());
    for Entry { kind, name, .. } in meant {
        let details = purpose.details(kind, &name, None, around)?;
        match credentials.planned(kind, &name, &details, Timestamp::now()) {
            Ok(planned) => steps.push((planned.entry, details)),
            Err(CredentialsError::NoServer(..)) if one.is_none() => unclear.push((kind, name, "--server URL")),
            Err(CredentialsError::NoReaders(..)) if one.is_none() => unclear.push((kind, name, "--for ROLE")),
            Err(error) => return Err(error.into()),
        }
    }
    if steps.is_empty() && unclear.is_empty() && unopened == 0 {
        session.ui.note("All credentials are bound.");
        return Ok(ExitStatus::Success);
    }
    if !steps.is_empty() {
        for (entry, _) in &steps {
            session.ui.note(format!("  {}", shown(entry)));
        }
        purpose.warn(around)?;
        if !yes {
            ask::require_terminal_or_yes()?;
            if !ask::confirm("Bind them this way?".to_owned()).await? {
                session.ui.note("Nothing was changed.");
                return Ok(ExitStatus::Failure);
            }
        }
        for (Entry { kind, name, .. }, details) in &steps {
            let entry = credentials.bind(*kind, name, details)?;
            session.ui.note(format!("Bound {}.", shown(&entry)));
        }
    }
    if !unclear.is_empty() {
        session.ui.warn("the purpose of these credentials is unknown; set it with:");
        for (kind, name, missing) in &unclear {
            session.ui.note(format!("  apt-ci credentials bind {kind} {name} {missing}"));
        }
    }
    Ok(if unclear.is_empty() && unopened == 0 { ExitStatus::Success } else { ExitStatus::Failure })
}

/// Returns an entry and its purpose in words.
fn shown(entry: &Entry) -> String {
    let Entry { kind, name, server, service, .. } = entry;
    let server = server.as_ref().map_or("no server".to_owned(), ToString::to_string);
    let service = service.as_ref().map(|service| format!(", which sends it to {service}")).unwrap_or_default();
    format!("the {kind} credential of {name} to {server}{service}, for {}", roles(&entry.needed_by()))
}
