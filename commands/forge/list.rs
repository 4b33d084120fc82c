//! `apt-ci github list-hooks`.

use apt_ci::forge::client::Client;
use apt_ci::forge::error::ForgeError;
use apt_ci::forge::remote::RemoteDelivery;
use apt_ci::forge::{Forge, Project};
use apt_ci::pulls::rebuild::by_project;
use jiff::Timestamp;
use serde_json::json;

use super::access::{self, TokenFile};
use super::counterpart::{self, Counterpart, strays};
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

/// List hooks, whether they are declared and exist on the forge, and their last delivery
///
/// Without a token, shows only what is declared. Piped output is tab-separated: project, tests, state, last delivery,
/// time, URL.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github list-hooks")]
pub struct ListArgs {
    /// Only hooks of this project
    project: Option<Project>,
    #[command(flatten)]
    token: TokenFile,
}

/// A hook, declared or at the forge, or both.
struct Line {
    project: String,
    tests: String,
    state: String,
    last: Option<RemoteDelivery>,
    url: String,
}

pub async fn run(forge: Forge, args: ListArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let service = access::service(&site)?;
    let mut hooks = access::hooks_of(forge, &site)?;
    hooks.retain(|hook| args.project.as_ref().is_none_or(|project| hook.project.is(project.as_str())));
    let first = args.token.api_url.clone().or_else(|| Some(hooks.first()?.api.clone()));
    let token = args.token.given(forge, &first.unwrap_or_else(|| forge.api()), session)?;
    if token.is_some() || args.token.api_url.is_some() {
        hooks = access::at_one_server(hooks, &args.token)?;
    }
    if token.is_none() && !hooks.is_empty() {
        session.ui.note(format!("Without an administrator's token, the hooks at {} cannot be checked.", forge.title()));
    }
    let mut lines = Vec::new();
    let mut exit = ExitStatus::Success;
    for hooks in by_project(&hooks) {
        let Some(first) = hooks.first() else { continue };
        let client = access::client(first, token.clone())?;
        let present = match &token {
            Some(_) => match client.hooks(&first.project).await {
                Ok(present) => Some(present),
                Err(error) => {
                    session.ui.warn(format!("{}: {error}", first.project));
                    exit = ExitStatus::Failure;
                    None
                }
            },
            None => None,
        };
        for hook in &hooks {
            let found = present.as_ref().map(|present| counterpart::find(hook, &service, present));
            let looked = match found.as_ref().and_then(Option::as_ref) {
                Some(found) => last(&client, &hook.project, found).await,
                None => Ok(None),
            };
            let is_known = looked.is_ok();
            if let Err(error) = &looked {
                session.ui.warn(format!("{}: {error}", hook.project));
                exit = ExitStatus::Failure;
            }
            let last = looked.ok().flatten();
            lines.push(Line {
                project: hook.project.to_string(),
                tests: hook.title(),
                state: if is_known {
                    state(found.as_ref().map(Option::as_ref), last.as_ref())
                } else {
                    "unknown".to_owned()
                },
                last,
                url: hook.payload_url(&service),
            });
        }
        for stray in strays(forge, &hooks, &service, present.unwrap_or_default()) {
            lines.push(Line {
                project: first.project.to_string(),
                tests: String::new(),
                state: "not declared".to_owned(),
                last: client.last_delivery(&first.project, stray.id).await.ok().flatten(),
                url: stray.url,
            });
        }
    }
    if session.ui.is_json {
        let all = lines.iter().map(|line| {
            json!({"project": line.project, "tests": line.tests, "state": line.state, "last": line.last, "url": line.url})
        });
        session.ui.json(&all.collect::<Vec<_>>())?;
        return Ok(exit);
    }
    if lines.is_empty() {
        let of = args.project.as_ref().map(|project| format!(" of {project}")).unwrap_or_default();
        session.ui.note(format!("No hooks{of} are declared; run `apt-ci {forge} add-hook` to add one."));
    }
    const COLUMNS: [Column<'_>; 6] = [
        Column::new("PROJECT").wrap().least(14),
        Column::new("TESTS").wrap().least(14),
        Column::new("STATE").wrap(),
        Column::new("LAST DELIVERY").wrap().least(12),
        Column::new("WHEN").spare(),
        Column::new("ADDRESS").spare(),
    ];
    let now = Timestamp::now();
    let rows: Vec<Vec<Cell>> = lines.iter().map(|line| row(line, now)).collect();
    table::print(&session.ui, &COLUMNS, &rows)?;
    Ok(exit)
}

/// Returns the last delivery of a hook: of several hooks that share its tests, a failed one.
async fn last(
    client: &Client,
    project: &Project,
    found: &Counterpart<'_>,
) -> Result<Option<RemoteDelivery>, ForgeError> {
    let mut first = None;
    for hook in &found.hooks {
        let last = client.last_delivery(project, hook.id).await?;
        if last.as_ref().is_some_and(|last| !last.is_good()) {
            return Ok(last);
        }
        first = first.or(last);
    }
    Ok(first)
}

fn row(line: &Line, now: Timestamp) -> Vec<Cell> {
    let last = line.last.as_ref().map(|last| {
        let status = last.status.map_or("no answer".to_owned(), |status| status.to_string());
        format!("{} {status}", last.event)
    });
    let at = line.last.as_ref().and_then(|last| last.at);
    vec![
        Cell::new(&line.project),
        Cell::new(&line.tests),
        Cell::new(&line.state),
        Cell::new(last.unwrap_or_default()),
        at.map_or(Cell::new(""), |at| Cell::new(when::ago(at, now)).for_programs(at)),
        Cell::new(&line.url),
    ]
}

/// Returns the state of a hook in words.
fn state(found: Option<Option<&Counterpart<'_>>>, last: Option<&RemoteDelivery>) -> String {
    let Some(found) = found else { return "declared".to_owned() };
    let Some(found) = found else { return "missing".to_owned() };
    match found.drift {
        Some(drift) => drift.to_owned(),
        None if last.is_some_and(|last| !last.is_good()) => "not taken".to_owned(),
        None if last.is_some_and(|last| last.trouble().is_some()) => "in trouble".to_owned(),
        None => "good".to_owned(),
    }
}
