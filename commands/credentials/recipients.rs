//! `apt-ci credentials recipients`: the keys that decrypt the secrets.

use std::path::Path;

use apt_ci::forge::hook::Hook;
use apt_ci::site::Site;
use apt_ci::site::credentials::{AddedRecipient, Credentials, Entry, KnownRecipient, Recipient, Role};
use serde_json::json;

use super::{Recipients, roles, rotations};
use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::exit::ExitStatus;
use crate::ui::secret::read_text;
use crate::ui::table::{self, Cell, Column};

pub async fn run(
    command: Recipients,
    site: &Site,
    credentials: &Credentials,
    session: &Session,
) -> CommandResult<ExitStatus> {
    match command {
        Recipients::List => list(&credentials.known_recipients()?, session)?,
        Recipients::Add { key, roles } => add(&key, roles, site, credentials, session).await?,
        Recipients::Confirm { yes } => return confirm(yes, credentials, session).await,
        Recipients::Remove { name } => {
            // Errors are found before anything is changed.
            let hooks = site.hooks()?;
            let (removed, known) = credentials.remove_recipient(&name)?;
            session.ui.note(format!("{removed} can no longer decrypt new secrets."));
            if !known.is_empty() {
                session.ui.warn("its owner may still know the old secrets (also in git history); rotate:");
                name_rotations(&known, &hooks, session);
            }
        }
    }
    Ok(ExitStatus::Success)
}

fn name_rotations(known: &[Entry], hooks: &[Hook], session: &Session) {
    for command in known.iter().flat_map(|entry| rotations(entry, hooks)) {
        session.ui.note(format!("  {command}"));
    }
}

fn named(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{} {}", entry.kind, entry.name)).collect()
}

fn shown_roles(recipient: &Recipient) -> String {
    recipient.roles().map_or("none: opens all".to_owned(), roles)
}

fn list(recipients: &[KnownRecipient], session: &Session) -> CommandResult<()> {
    if session.ui.is_json {
        let all: Vec<_> = recipients
            .iter()
            .map(|KnownRecipient { recipient, opens, is_confirmed }| {
                let opens: Vec<_> = opens.iter().map(|entry| json!({"kind": entry.kind, "name": entry.name})).collect();
                json!({
                    "key": recipient.key_line(),
                    "roles": recipient.roles(),
                    "opens": opens,
                    "confirmed": is_confirmed,
                })
            })
            .collect();
        return session.ui.json(&all);
    }
    if recipients.is_empty() {
        session.ui.note("No recipients: secrets are stored unencrypted, readable only by their owner.");
    }
    let rows = recipients.iter().flat_map(|one| rows(one, session.ui.is_terminal)).collect::<Vec<_>>();
    const COLUMNS: [Column<'_>; 4] = [
        Column::new("KEY").wrap().least(14),
        Column::new("ROLES").wrap(),
        Column::new("OPENS").wrap().least(20),
        Column::new("CONFIRMED"),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}

/// Returns the rows of a recipient: on a terminal one for each secret, otherwise one.
fn rows(KnownRecipient { recipient, opens, is_confirmed }: &KnownRecipient, is_terminal: bool) -> Vec<Vec<Cell>> {
    let opens = named(opens);
    let mut lines = if is_terminal { opens } else { vec![opens.join(", ")] }.into_iter();
    let first = vec![
        Cell::new(recipient).for_programs(recipient.key_line()),
        Cell::new(shown_roles(recipient)),
        Cell::new(lines.next().unwrap_or_default()),
        Cell::new(if *is_confirmed { "yes" } else { "no" }),
    ];
    let further = lines.map(|line| ["", "", &line, ""].map(Cell::new).into());
    std::iter::once(first).chain(further).collect()
}

async fn add(
    key: &[String],
    given: Vec<Role>,
    site: &Site,
    credentials: &Credentials,
    session: &Session,
) -> CommandResult<()> {
    let is_file = |word: &String| !word.contains(' ') && !word.starts_with("ssh-");
    let mut source = None;
    let text = match key {
        [one] if is_file(one) || Path::new(one).is_file() => {
            source = Some(one);
            read_text(Path::new(one))?
        }
        [first, _, ..] if is_file(first) => {
            let message = "expected one key, but got several files or words".to_owned();
            let hint = "add one key at a time: give its file, or the key itself".to_owned();
            return Err(BadInput { message, hint: Some(hint) }.into());
        }
        words => words.join(" "),
    };
    let recipient: Recipient = text.trim().parse().map_err(|reason| match source {
        Some(file) => {
            BadInput { message: format!("{file}: {reason}"), hint: Some("name a .pub file with one key".to_owned()) }
        }
        None => BadInput { message: reason, hint: None },
    })?;
    let known = credentials.recipients()?.into_iter().find(|known| known.is_same(&recipient));
    let recipient = match known {
        _ if !given.is_empty() => recipient.with_roles(given.into_iter().collect()),
        // The key came with roles, as in the list of recipients.
        _ if recipient.roles().is_some() => recipient,
        Some(known) => {
            // A commit may have changed the roles that the key keeps.
            session.confirm_recipients(credentials).await?;
            recipient.as_known(&known)
        }
        None => recipient.with_roles([Role::Operator].into()),
    };
    // Errors are found before anything is changed.
    let hooks = site.hooks()?;
    session.confirm_others(credentials, &recipient).await?;
    let shown = recipient.to_string();
    let what = match recipient.roles() {
        Some(roles) if !roles.contains(&Role::Operator) => Some(super::roles(roles)),
        _ => None,
    };
    let AddedRecipient { is_new, opens, lost, unsaid } = credentials.add_recipient(recipient)?;
    let now = named(&opens).join(", ");
    session.ui.note(match (is_new, what) {
        (false, _) => format!("{shown} was already a recipient."),
        (true, None) => format!("{shown} can now decrypt all credentials."),
        (true, Some(roles)) if now.is_empty() => {
            format!("{shown} is now a recipient for {roles}; no credentials are for it yet.")
        }
        (true, Some(roles)) => format!("{shown} can now decrypt the credentials for {roles}: {now}."),
    });
    if !lost.is_empty() {
        session.ui.warn("some keys can no longer decrypt these secrets, but their owners may still know them; rotate:");
        name_rotations(&lost, &hooks, session);
    }
    if !unsaid.is_empty() {
        session
            .ui
            .note("Only operators can decrypt these credentials, because nothing says who needs them; set it with:");
        for entry in named(&unsaid) {
            session.ui.note(format!("  apt-ci credentials bind {entry} --for ROLE"));
        }
    }
    Ok(())
}

async fn confirm(yes: bool, credentials: &Credentials, session: &Session) -> CommandResult<ExitStatus> {
    let missing = credentials.unconfirmed()?;
    if missing.is_empty() {
        session.ui.note("All recipients are confirmed.");
        return Ok(ExitStatus::Success);
    }
    for recipient in &missing {
        session.ui.note(format!("  {}", recipient.line()));
    }
    if !yes {
        ask::require_terminal_or_yes()?;
        if !ask::confirm("Encrypt secrets to them from now on?".to_owned()).await? {
            session.ui.note("Nothing was changed.");
            return Ok(ExitStatus::Failure);
        }
    }
    credentials.confirm(&missing)?;
    session.ui.note(format!("Confirmed {} recipients.", missing.len()));
    Ok(ExitStatus::Success)
}
