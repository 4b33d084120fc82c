//! `apt-ci running`: shows running tests on all hosts.

mod announced;
mod follow;
mod stitch;

use std::collections::BTreeMap;
use std::time::Duration;

use apt_ci::broker::{Broker, RunningTest, Topic};
use apt_ci::release::{Architecture, Release};
use apt_ci::status::{PRIVATE_LOG, PRIVATE_PACKAGE, TestStatus};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::announced::AnnouncedTests;
use crate::results::spelling::check_places;
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::number;
use crate::ui::short_id::ShortIds;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

/// Show running tests, or follow the log of one
#[derive(clap::Args)]
#[command(after_help = "\
Asks every worker of the queue. Workers of other programs do not answer, but announce their tests every ten seconds; \
--listen waits for that. A private run is shown as `private-test`.
Piped output is tab-separated: package, release, architecture, worker, slot, seconds, phase, request, last line of the log.
--json is Ubuntu's running.json: package, parameters, release, architecture, [parameters, seconds, log].

Examples:
  apt-ci running
  apt-ci running -f gzip -a arm64    follow its log; Ctrl-C stops following, not the test
  apt-ci running --listen 11 --json")]
pub struct RunningArgs {
    /// Only tests of this package; with -f, a package, or the beginning of a request's id
    #[arg(value_name = "PACKAGE", required_if_eq("follow", "true"))]
    package: Option<String>,
    /// Only this release
    #[arg(short = 's', long = "release", visible_alias = "series", value_name = "RELEASE")]
    release: Option<Release>,
    /// Only this architecture
    #[arg(short = 'a', long = "arch", visible_alias = "architecture", value_name = "ARCH")]
    architecture: Option<Architecture>,
    /// Follow the test's log until the test ends
    #[arg(short, long, conflicts_with = "listen")]
    follow: bool,
    /// Wait SECONDS seconds for announcements of other programs' workers
    #[arg(long, value_name = "SECONDS", value_parser = number::within(1_u64..=3600))]
    listen: Option<u64>,
}

/// A running test as it is shown; of a private one without package, parameters and log.
struct ShownTest {
    package: String,
    parameters: Map<String, Value>,
    release: String,
    architecture: String,
    /// The worker and its slot, if known.
    worker: Option<(String, usize)>,
    seconds: Option<u64>,
    phase: String,
    uuid: String,
    logtail: String,
}

impl ShownTest {
    fn of(test: &RunningTest, now: Timestamp) -> Self {
        let request = test.request();
        let public = request.as_ref().filter(|request| !request.is_private());
        let uuid = request.as_ref().and_then(|request| request.uuid()).map(ToString::to_string).unwrap_or_default();
        let news = test.progress.as_ref();
        let logtail = match public {
            Some(_) => news.map(|news| news.logtail.clone()).unwrap_or_default(),
            None => PRIVATE_LOG.to_owned(),
        };
        let seconds = |since: Timestamp| u64::try_from(now.as_second() - since.as_second()).unwrap_or_default();
        Self {
            package: public.map_or(PRIVATE_PACKAGE.to_owned(), |request| request.package().to_string()),
            parameters: public.map(|request| request.public_parameters()).unwrap_or_default(),
            release: test.queue.release.to_string(),
            architecture: test.queue.architecture.to_string(),
            worker: news.map(|news| (news.worker.clone(), news.slot)),
            seconds: news.map(|news| seconds(news.since)),
            phase: news.map(|news| news.phase.clone()).unwrap_or_default(),
            uuid,
            logtail,
        }
    }

    /// Returns a test as its worker announces it.
    fn announced(status: TestStatus) -> Self {
        let uuid = status.params.get("uuid").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            package: status.package,
            parameters: status.params,
            release: status.release,
            architecture: status.architecture,
            worker: None,
            seconds: Some(status.duration),
            phase: "testing".to_owned(),
            uuid,
            logtail: status.logtail,
        }
    }

    /// Returns what tells this test from others in announcements.
    fn key(&self) -> [String; 4] {
        [self.package.clone(), run_hash(&self.parameters), self.release.clone(), self.architecture.clone()]
    }

    fn last_line(&self) -> &str {
        self.logtail.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default()
    }
}

/// Returns `key_value;` for each parameter, sorted, by which Ubuntu's web service tells the runs of a package apart.
fn run_hash(parameters: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = parameters.iter().collect();
    sorted.into_iter().map(|(key, value)| format!("{key}_{};", python(value, false))).collect()
}

/// Returns a value as Python prints it, for that hash.
fn python(value: &Value, quoted: bool) -> String {
    match value {
        Value::String(text) if quoted => {
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            let text = text.replace('\\', "\\\\");
            let text = if quote == '\'' { text.replace('\'', "\\'") } else { text };
            format!("{quote}{text}{quote}")
        }
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(|value| python(value, true)).collect::<Vec<_>>().join(", "))
        }
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

impl RunningArgs {
    fn means(&self, shown: &ShownTest) -> bool {
        self.package.as_ref().is_none_or(|package| *package == shown.package) && self.is_there(shown)
    }

    fn is_there(&self, shown: &ShownTest) -> bool {
        self.release.as_ref().is_none_or(|release| release.to_string() == shown.release)
            && self.architecture.as_ref().is_none_or(|one| one.to_string() == shown.architecture)
    }
}

/// Follows the log of a package's test, as `-f` does.
pub async fn follow(
    package: String,
    release: Option<Release>,
    architecture: Option<Architecture>,
    session: &Session,
) -> CommandResult<ExitStatus> {
    let args = RunningArgs { package: Some(package), release, architecture, follow: true, listen: None };
    run(args, session).await
}

pub async fn run(args: RunningArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let broker = session.broker(&site).await?;
    if args.follow {
        return follow::run(&args, &broker, &site, session).await;
    }
    let mut tests = look(&args, &broker, session).await?;
    broker.close().await;
    tests.retain(|test| args.means(test));
    if tests.is_empty() {
        check_places(&args.release, args.architecture.as_ref(), &site)?;
    }
    tests.sort_by(|a, b| (&a.package, &a.release, &a.architecture).cmp(&(&b.package, &b.release, &b.architecture)));
    if session.ui.is_json {
        session.ui.json(&document(&tests))?;
        return Ok(ExitStatus::Success);
    }
    if tests.is_empty() {
        let of = args.package.as_ref().map(|package| format!(" of {package}")).unwrap_or_default();
        session.ui.note(format!("No tests{of} are running. Run `apt-ci queues` to see queued requests."));
    }
    show(&tests, session)?;
    Ok(ExitStatus::Success)
}

/// Returns the running tests, from the workers' answers and, with `--listen`, from announcements.
async fn look(args: &RunningArgs, broker: &Broker, session: &Session) -> CommandResult<Vec<ShownTest>> {
    let mut heard = AnnouncedTests::default();
    if let Some(seconds) = args.listen {
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        let mut listener = broker.listen(Topic::TestStatus).await?;
        while let Some(message) = listener.next(end).await? {
            let Some(status) = TestStatus::parse(&message) else { continue };
            let running = status.running;
            let shown = ShownTest::announced(status);
            if running {
                heard.insert(shown);
            } else {
                heard.remove(&shown.key());
            }
        }
        listener.end().await;
    }
    let now = Timestamp::now();
    let mut tests: Vec<ShownTest> = broker.running().await?.iter().map(|test| ShownTest::of(test, now)).collect();
    // Workers that answer announce their tests as well.
    for test in &tests {
        heard.remove(&test.key());
    }
    if heard.dropped > 0 {
        session.ui.warn(format!("too many running tests: {} of them are not shown", heard.dropped));
    }
    tests.extend(heard.into_tests());
    Ok(tests)
}

/// Returns the tests as Ubuntu's running.json.
fn document(tests: &[ShownTest]) -> Value {
    let mut document = json!({});
    for test in tests {
        let [package, hash, release, architecture] = test.key();
        document[package][hash][release][architecture] =
            json!([test.parameters, test.seconds.unwrap_or_default(), test.logtail]);
    }
    document
}

fn show(tests: &[ShownTest], session: &Session) -> CommandResult<()> {
    let ids = ShortIds::of(tests.iter().map(|test| test.uuid.as_str()));
    let rows: Vec<Vec<Cell>> = tests
        .iter()
        .map(|test| {
            let (worker, slot) =
                test.worker.clone().map_or_else(Default::default, |(name, slot)| (name, slot.to_string()));
            let seconds = test.seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
            vec![
                Cell::new(&test.package),
                Cell::new(&test.release),
                Cell::new(&test.architecture),
                Cell::new(worker),
                Cell::new("").for_programs(slot),
                Cell::new(test.seconds.map(when::duration).unwrap_or_default()).for_programs(seconds),
                Cell::new(&test.phase),
                ids.cell(&test.uuid),
                Cell::new(test.last_line()),
            ]
        })
        .collect();
    const COLUMNS: [Column<'_>; 9] = [
        Column::new("PACKAGE").wrap(),
        Column::new("RELEASE"),
        Column::new("ARCH"),
        Column::new("WORKER").cut_late().spare(),
        Column::new("SLOT"),
        Column::new("TIME"),
        Column::new("PHASE").spare(),
        // `apt-ci cancel` takes the beginning of an id.
        Column::new("REQUEST"),
        Column::new("LAST LINE").cut(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_that_ubuntu_makes() {
        let parameters = json!({"triggers": ["glibc/2.36-9", "it's/1"], "requester": "alice", "all-proposed": "1"});
        let expected = r#"all-proposed_1;requester_alice;triggers_['glibc/2.36-9', "it's/1"];"#;
        assert_eq!(run_hash(parameters.as_object().unwrap()), expected);
        assert_eq!(run_hash(&Map::new()), "");
    }
}
