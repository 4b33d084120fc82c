//! `apt-ci config`: the settings, and where each value comes from.

use apt_ci::broker::QueueUrl;
use apt_ci::site::{FoundBy, Origin, ShownSetting, Site, TrustStore};
use apt_ci::store::StoreUrl;
use apt_ci::store::swift::CREDENTIAL_VARIABLES;

use super::worker;
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::plain::below;
use crate::ui::table::{self, Cell, Column};

/// Show each setting and its origin; passwords are hidden
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci config")]
pub struct ConfigArgs {}

pub fn run(_: ConfigArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.inspected_site()?;
    if let (Some(root), Some(FoundBy::WorkingDir)) = (&site.root, site.found_by)
        && let Err(error) = TrustStore::of_user(&session.environment).check(root)
    {
        session.ui.warn(format!("{error}; other commands refuse to use it"));
        session.ui.note(format!("hint: {}", error.hint().unwrap_or_default()));
    }
    // Keys of apt-ci.toml, and between them settings that are no keys.
    let mut shown: Vec<(String, String, String)> = vec![found_site(&site)];
    for ShownSetting { key, value, origin } in site.settings() {
        let follows = match key.as_str() {
            "queue" => queue_password(&site),
            "store" => store_credentials(&site, session),
            _ => None,
        };
        shown.push((key, value, origin.to_string()));
        shown.extend(follows);
    }
    shown.push((
        "work-folder".to_owned(),
        worker::work_folder(&site).display().to_string(),
        Origin::Default.to_string(),
    ));
    if session.ui.is_json {
        let list: Vec<_> = shown
            .iter()
            .map(|(key, value, origin)| serde_json::json!({"key": key, "value": value, "origin": origin}))
            .collect();
        session.ui.json(&list)?;
        return Ok(ExitStatus::Success);
    }
    let origin = |origin: &String| Cell::new(below(origin, site.root.as_deref())).for_programs(origin);
    let rows: Vec<Vec<Cell>> =
        shown.iter().map(|(key, value, from)| vec![Cell::new(key), Cell::new(value), origin(from)]).collect();
    const COLUMNS: [Column<'_>; 3] =
        [Column::new("SETTING"), Column::new("VALUE").wrap().least(20), Column::new("ORIGIN").wrap().least(14)];
    table::print(&session.ui, &COLUMNS, &rows)?;
    Ok(ExitStatus::Success)
}

fn found_site(site: &Site) -> (String, String, String) {
    let origin = match site.found_by {
        Some(FoundBy::Flag) => "--site",
        Some(FoundBy::Variable) => "APT_CI_SITE",
        Some(FoundBy::WorkingDir) => "working directory",
        Some(FoundBy::User | FoundBy::System) | None => "default",
    };
    let value = site.root.as_ref().map_or("none".to_owned(), |root| root.display().to_string());
    ("site".to_owned(), value, origin.to_owned())
}

/// Returns the line for a password within the queue's URL, which is shown without it.
fn queue_password(site: &Site) -> Option<(String, String, String)> {
    match &site.queue.value {
        QueueUrl::Amqp(url) if url.has_password() => {
            Some(("queue-password".to_owned(), "in the URL, hidden".to_owned(), site.queue.origin.to_string()))
        }
        _ => None,
    }
}

/// Returns the line for the login at Swift: where it is configured, never its values.
fn store_credentials(site: &Site, session: &Session) -> Option<(String, String, String)> {
    let StoreUrl::Swift(address) = &site.store.value else { return None };
    let environment = &session.environment;
    let of_cloud = |cloud: &str| format!("the cloud {cloud} of clouds.yaml");
    let variables: Vec<&str> =
        CREDENTIAL_VARIABLES.into_iter().filter(|name| environment.get(name).is_some()).collect();
    // In the order in which the store looks for them.
    let (value, origin) = if let Some(cloud) = environment.get("OS_CLOUD").filter(|cloud| *cloud != "envvars") {
        (of_cloud(cloud), "OS_CLOUD")
    } else if !variables.is_empty() {
        (variables.join(" "), "environment")
    } else if let Some(cloud) = &site.swift.cloud {
        (of_cloud(cloud), "swift.cloud")
    } else if address.is_some() {
        ("none: what is public can be read".to_owned(), "default")
    } else {
        ("none: set OS_CLOUD, the OS_ variables, or ST_AUTH, ST_USER and ST_KEY".to_owned(), "default")
    };
    Some(("store-credentials".to_owned(), value, origin.to_owned()))
}
