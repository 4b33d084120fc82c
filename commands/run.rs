//! `apt-ci run`: submits test requests.

use std::collections::BTreeSet;
use std::path::PathBuf;

use apt_ci::release::{Architecture, Context, QueueName, Release};
use apt_ci::request::line::Submission;
use apt_ci::request::{
    BzrSource, EnvVar, GitSource, InvalidRequest, Parameters, Ppa, Request, RequestId, SourcePackage, TestName,
    TestSource, Text, Trigger, UserName,
};
use apt_ci::site::Site;
use tokio::io::AsyncReadExt;

use crate::help::heading::{QUEUEING, SOURCES, WAITING, WHAT};
use crate::published;
use crate::session::{NO_SITE_HINT, Session};
use crate::submit::{SubmitArgs, show_planned, submit};
use crate::ui::error::{BadInput, CommandError, CommandResult, ErrorContext as _};
use crate::ui::exit::ExitStatus;
use crate::wait;

/// Maximum number of invalid lines of a batch that are reported.
const MAX_FAULTS: usize = 10;

/// Request tests of packages
#[derive(clap::Args)]
#[command(after_help = "\
All input is validated first; if anything is invalid, nothing is queued.
A request identical to one already queued or running (ignoring requester, submit time and id) is not submitted again.
Prints one line per request: queue, package and request id.

Examples:
  apt-ci run -s noble --trigger glib2.0/2.80.0-6 libpng udisks2
  apt-ci run -s noble --ppa me/fixes gzip
  apt-ci run -s noble --build-git https://github.com/me/gzip#fix --env UPSTREAM_PULL_REQUEST=7 gzip
  apt-ci run -s noble -a armhf --trigger php-foo/1-1 --trigger php-foo-helpers/2-2 php-foo
  apt-ci run -s noble --trigger gzip/1.12-1 --wait gzip && echo it passed
  echo 'debci-noble-amd64:gzip {\"triggers\": [\"glibc/2.39-1\"]}' | apt-ci run --batch -")]
pub struct RunArgs {
    /// Release to test on
    #[arg(
        short = 's',
        long = "release",
        visible_alias = "series",
        value_name = "RELEASE",
        required_unless_present_any = ["batch", "watch"],
        help_heading = WHAT
    )]
    release: Option<Release>,
    /// Architecture to test on
    #[arg(
        short = 'a',
        long = "arch",
        visible_alias = "architecture",
        value_name = "ARCH",
        help_heading = WHAT,
        long_help = "Architecture to test on (can be repeated) [default: all configured for the release]"
    )]
    architectures: Vec<Architecture>,
    /// Package version that triggers the test
    #[arg(
        long = "trigger",
        value_name = "SRC/VERSION",
        required_unless_present_any = ["batch", "watch", "baseline", "ppas", "test_git", "build_git", "test_bzr"],
        help_heading = WHAT,
        long_help = "Package version that triggers the test (repeat if several must migrate together)"
    )]
    triggers: Vec<Trigger>,
    /// Run a baseline: test the release as it is (trigger migration-reference/0)
    #[arg(
        long,
        conflicts_with_all = ["triggers", "ppas", "all_proposed", "batch"],
        help_heading = WHAT,
        hide_short_help = true
    )]
    baseline: bool,
    /// PPA to take packages from
    #[arg(
        long = "ppa",
        value_name = "OWNER/NAME",
        conflicts_with = "batch",
        help_heading = SOURCES,
        long_help = "PPA to take packages from, as OWNER/NAME[:FINGERPRINT] (can be repeated); PPAs with a token require --batch"
    )]
    // Parsed by us: what clap refuses, it quotes.
    ppas: Vec<String>,
    /// Git branch to take the test from; packages come from the archive
    #[arg(
        long,
        value_name = "URL[#BRANCH]",
        group = "source",
        conflicts_with = "batch",
        help_heading = SOURCES,
        hide_short_help = true
    )]
    test_git: Option<GitSource>,
    /// Git branch to build and test
    #[arg(
        long,
        value_name = "URL[#BRANCH]",
        group = "source",
        conflicts_with = "batch",
        help_heading = SOURCES,
        hide_short_help = true
    )]
    build_git: Option<GitSource>,
    /// Bazaar branch to take the test from
    #[arg(
        long,
        value_name = "URL",
        group = "source",
        conflicts_with = "batch",
        help_heading = SOURCES,
        hide_short_help = true
    )]
    test_bzr: Option<BzrSource>,
    /// Make the run private: only this user of the store may read its result
    #[arg(long, value_name = "USER", conflicts_with = "batch", help_heading = "Private runs", hide_short_help = true)]
    swiftuser: Option<UserName>,
    /// Another user who may read a private result on web pages (can be repeated)
    #[arg(
        long,
        value_name = "USER",
        requires = "swiftuser",
        conflicts_with = "batch",
        help_heading = "Private runs",
        hide_short_help = true
    )]
    readable_by: Vec<UserName>,
    /// Use the low-priority queue (same as --context huge)
    #[arg(long, conflicts_with_all = ["context", "batch"], help_heading = QUEUEING, hide_short_help = true)]
    bulk: bool,
    /// Queue context: distribution, huge, ppa or upstream [default: ppa with a PPA, upstream with a branch, else
    /// distribution]
    #[arg(long, value_name = "CONTEXT", conflicts_with = "batch", help_heading = QUEUEING, hide_short_help = true)]
    context: Option<Context>,
    /// Environment variable for the test
    #[arg(
        long,
        value_name = "VAR=VALUE",
        help_heading = WHAT,
        long_help = "Environment variable for the test (can be repeated)"
    )]
    env: Vec<EnvVar>,
    /// Take all packages from the proposed pocket
    #[arg(
        long,
        help_heading = SOURCES,
        long_help = "Take all packages from the proposed pocket, not only the triggers"
    )]
    all_proposed: bool,
    /// Run only this test of the package
    #[arg(long, value_name = "TEST", help_heading = WHAT, hide_short_help = true)]
    testname: Option<TestName>,
    /// Name recorded as the requester
    #[arg(long, value_name = "NAME", help_heading = QUEUEING, hide_short_help = true)]
    requester: Option<Text>,
    #[command(flatten)]
    submit: SubmitArgs,
    /// Submit nothing; wait for existing requests, as with --wait. Queued and running ones are searched before results
    #[arg(
        long,
        value_name = "REQUEST",
        num_args = 1..,
        conflicts_with_all = ["release", "triggers", "packages", "batch", "dry_run"],
        help_heading = WAITING,
        hide_short_help = true
    )]
    watch: Vec<RequestId>,
    /// Refuse triggers that are not published in the release, according to Launchpad
    #[arg(long, help_heading = QUEUEING, hide_short_help = true)]
    check: bool,
    /// Print the requests instead of queueing them
    #[arg(
        short = 'n',
        long,
        help_heading = QUEUEING,
        long_help = "Print the requests in --batch format instead of queueing them"
    )]
    dry_run: bool,
    /// Read requests from FILE (`-` for standard input)
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["release", "architectures", "triggers", "env", "all_proposed", "testname", "packages"],
        help_heading = QUEUEING,
        long_help = "Read requests from FILE (`-` for standard input), one QUEUE:SRC {json} per line"
    )]
    batch: Option<PathBuf>,
    /// Source packages to test
    #[arg(value_name = "PACKAGE", required_unless_present_any = ["batch", "watch"])]
    packages: Vec<SourcePackage>,
}

pub async fn run(mut args: RunArgs, session: &Session) -> CommandResult<ExitStatus> {
    if !args.watch.is_empty() {
        return wait::watch(&args.watch, session).await;
    }
    let site = session.site()?;
    let dry_run = args.dry_run;
    let submissions = match &args.batch {
        Some(file) => read_batch(file, args.requester.as_ref()).await?,
        None => requests(&args, &site)?,
    };
    if args.check {
        published::check(&submissions, session, &site).await?;
    }
    // Requests with ids may have been submitted before: they come from undo files and interrupted submissions.
    args.submit.sent_before = submissions.iter().filter_map(|one| one.request.uuid().cloned()).collect();
    if dry_run {
        show_planned(&submissions, session)?;
        return Ok(ExitStatus::Success);
    }
    let now = jiff::Timestamp::now();
    let submissions: Vec<Submission> = submissions
        .into_iter()
        .map(|Submission { queue, request }| Submission { queue, request: request.with_id().with_submit_time(now) })
        .collect();
    submit(submissions, &args.submit, session, &site).await
}

/// Returns one request for each package and architecture.
fn requests(args: &RunArgs, site: &Site) -> CommandResult<Vec<Submission>> {
    let release = args.release.clone().context("no release given")?;
    let architectures = match (&args.architectures, site.architectures(&release)) {
        (given, _) if !given.is_empty() => given.clone(),
        (_, Some(configured)) => configured.to_vec(),
        (_, None) => return Err(unknown_release(&release, site).into()),
    };
    let source = match (args.test_git.clone(), args.build_git.clone(), args.test_bzr.clone()) {
        (Some(source), ..) => Some(TestSource::TestGit(source)),
        (_, Some(source), _) => Some(TestSource::BuildGit(source)),
        (.., source) => source.map(TestSource::TestBzr),
    };
    let ppas = args.ppas.iter().map(|text| public_ppa(text)).collect::<CommandResult<Vec<Ppa>>>()?;
    let parameters = Parameters {
        triggers: if args.baseline { vec![Trigger::baseline()] } else { args.triggers.clone() },
        ppas,
        source,
        swiftuser: args.swiftuser.clone(),
        readable_by: args.readable_by.clone(),
        env: args.env.clone(),
        all_proposed: args.all_proposed,
        testname: args.testname.clone(),
        requester: args.requester.clone(),
        ..Parameters::default()
    };
    let context = if args.bulk { Some(Context::Huge) } else { args.context };
    let context = context.unwrap_or_else(|| parameters.context());
    let mut submissions = Vec::new();
    let mut seen = BTreeSet::new();
    for package in &args.packages {
        for architecture in &architectures {
            let queue = QueueName::new(context, release.clone(), architecture.clone());
            // A package or architecture that is named twice is a mistake, not a request for two runs.
            if seen.insert((package.clone(), queue.clone())) {
                let request = Request::new(package.clone(), parameters.clone())?;
                submissions.push(Submission { queue, request });
            }
        }
    }
    Ok(submissions)
}

/// Parses a PPA. Refuses one with a token, because every user of the machine can see command lines.
pub fn public_ppa(text: &str) -> CommandResult<Ppa> {
    // Checked before it is parsed, because errors of the parser quote the text.
    if text.contains('@') {
        let message =
            "a PPA's token must not be given on the command line, where every user of this machine can see it"
                .to_owned();
        let hint = "pass the request on standard input to `apt-ci run --batch -`".to_owned();
        return Err(BadInput { message, hint: Some(hint) }.into());
    }
    text.parse().map_err(|error| invalid_ppa(&error).into())
}

/// Returns the error for a PPA with the name of its option.
pub fn invalid_ppa(error: &InvalidRequest) -> BadInput {
    // There is no value if it may have a token.
    let option = format!("--ppa {}", error.value);
    BadInput { message: format!("{}: {}", option.trim_end(), error.rule), hint: None }
}

fn unknown_release(release: &Release, site: &Site) -> BadInput {
    let known: Vec<String> = site.releases.value.keys().map(ToString::to_string).collect();
    BadInput {
        message: format!(
            "unknown release {release}; known: {1} ({0})",
            site.releases.origin,
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ),
        hint: Some(match known.iter().find(|name| strsim::damerau_levenshtein(name, release.as_str()) <= 2) {
            Some(name) => format!("did you mean {name}?"),
            None if site.root.is_none() => {
                format!("give the architecture with -a if a queue for {release} exists; {NO_SITE_HINT}")
            }
            None => {
                format!(
                    "give the architecture with -a if a queue for {release} exists, or add {release} to [releases] \
                     in apt-ci.toml"
                )
            }
        }),
    }
}

async fn read_batch(file: &PathBuf, requester: Option<&Text>) -> CommandResult<Vec<Submission>> {
    let name = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        tokio::io::stdin().read_to_end(&mut bytes).await.map(drop)
    } else {
        tokio::fs::read(file).await.map(|content| bytes = content)
    };
    read.map_err(|error| CommandError::of_named_file(error, &name))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let lines = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        BadInput { message: format!("{name}, line {}: not UTF-8", lines + 1), hint: None }
    })?;
    let (mut submissions, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match Submission::parse_line(line) {
            Ok(Submission { queue, request }) => {
                let request = requester.map_or(request.clone(), |requester| request.with_requester(requester));
                submissions.push(Submission { queue, request });
            }
            Err(error) => {
                let reason = if error.field == "line" { error.rule } else { error.to_string() };
                faults.push(format!("{name}, line {}: {reason}", number + 1));
            }
        }
    }
    if !faults.is_empty() {
        return Err(invalid_lines(&faults).into());
    }
    if submissions.is_empty() {
        return Err(BadInput { message: format!("{name} contains no requests"), hint: None }.into());
    }
    Ok(submissions)
}

/// Returns the error for a batch with invalid lines.
fn invalid_lines(faults: &[String]) -> BadInput {
    let mut message = faults.iter().take(MAX_FAULTS).cloned().collect::<Vec<_>>().join("\n");
    if faults.len() > MAX_FAULTS {
        message.push_str(&format!("\n… and {} more", faults.len() - MAX_FAULTS));
    }
    let what = if faults.len() == 1 { "the line" } else { "these lines" };
    BadInput { message, hint: Some(format!("nothing was queued; correct {what} and run this again")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_invalid_lines_are_counted() {
        let faults: Vec<String> = (1..=12).map(|line| format!("line {line}: wrong")).collect();
        let message = |count: usize| invalid_lines(&faults[..count]).message;
        assert_eq!(message(2), "line 1: wrong\nline 2: wrong");
        assert_eq!(message(10).lines().count(), 10);
        assert!(message(12).ends_with("line 10: wrong\n… and 2 more"), "{}", message(12));
    }
}
