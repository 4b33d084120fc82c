//! `apt-ci worker explain`: shows what a worker would do with a request, and why.

use std::path::Path;

use apt_ci::release::{Architecture, Context, QueueName, Release};
use apt_ci::request::{
    BzrSource, EnvVar, GitSource, Parameters, Ppa, Request, SourcePackage, TestName, TestSource, Trigger,
};
use apt_ci::result::ResultLocation;
use apt_ci::site::{Site, host};
use apt_ci::testbed::images::{ImageName, ImageStore};
use apt_ci::testbed::{Autopkgtest, Decision, DecisionSource, Plan, Run, Settings};
use serde_json::json;

use super::conf::ConfArgs;
use super::work_folder;
use crate::help::heading::{SOURCES, WHAT};
use crate::results::spelling::{architectures, check};
use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::exit::ExitStatus;
use crate::ui::plain::below;
use crate::ui::table::{self, Cell, Column};

/// Name of the decision about the store's container: a testbed may be a container, too.
const RESULT_CONTAINER: &str = "result container";

/// Show how a test would be run, and what decides it
///
/// Shows the command line, time limits and container of a test, and where they come from.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is run, queued or looked up. UUID stands for the request id.

Examples:
  apt-ci worker explain gzip
  apt-ci worker explain -s noble -a riscv64 --trigger glibc/2.39-1 gzip
  apt-ci worker explain --ppa owner/name --json gzip")]
pub struct ExplainArgs {
    /// Release to test on [default: the only release served]
    #[arg(
        short = 's',
        long = "release",
        visible_alias = "series",
        value_name = "RELEASE",
        help_heading = WHAT
    )]
    release: Option<Release>,
    /// Architecture to test on [default: worker.conf's first, else this host's]
    #[arg(
        short = 'a',
        long = "arch",
        visible_alias = "architecture",
        value_name = "ARCH",
        help_heading = WHAT
    )]
    architecture: Option<Architecture>,
    /// Package version that triggers the test (can be repeated)
    #[arg(long = "trigger", value_name = "SRC/VERSION", help_heading = WHAT)]
    triggers: Vec<Trigger>,
    /// PPA to take packages from (can be repeated)
    #[arg(long = "ppa", value_name = "OWNER/NAME", value_parser = public_ppa, help_heading = SOURCES)]
    ppas: Vec<Ppa>,
    /// Environment variable for the test (can be repeated)
    #[arg(long, value_name = "VAR=VALUE", help_heading = WHAT, hide_short_help = true)]
    env: Vec<EnvVar>,
    /// Take all packages from the proposed pocket, not only the triggers
    #[arg(long, help_heading = SOURCES, hide_short_help = true)]
    all_proposed: bool,
    /// Run only this test of the package
    #[arg(long, value_name = "TEST", help_heading = WHAT, hide_short_help = true)]
    testname: Option<TestName>,
    /// Git branch to take the test from; packages come from the archive
    #[arg(
        long,
        value_name = "URL#BRANCH",
        conflicts_with_all = ["build_git", "test_bzr"],
        help_heading = SOURCES,
        hide_short_help = true
    )]
    test_git: Option<GitSource>,
    /// Git branch to build and test
    #[arg(
        long,
        value_name = "URL#BRANCH",
        conflicts_with = "test_bzr",
        help_heading = SOURCES,
        hide_short_help = true
    )]
    build_git: Option<GitSource>,
    /// Bazaar branch to take the test from; packages come from the archive
    #[arg(long, value_name = "URL", help_heading = SOURCES, hide_short_help = true)]
    test_bzr: Option<BzrSource>,
    #[command(flatten)]
    conf: ConfArgs,
    /// Source package
    #[arg(value_name = "PACKAGE")]
    package: SourcePackage,
}

/// Parses a PPA. Refuses one with a token, which is not needed here, and which every user of this host could see.
fn public_ppa(text: &str) -> Result<Ppa, String> {
    let ppa: Ppa = text.parse().map_err(|error: apt_ci::request::InvalidRequest| error.rule)?;
    match ppa.login() {
        Some(_) => {
            Err("a token must not be given on the command line, which everybody can see; leave it out".to_owned())
        }
        None => Ok(ppa),
    }
}

pub async fn run(args: ExplainArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let configuration = args.conf.load(&site)?;
    for fault in configuration.faults() {
        session.ui.note(format!("warning: {fault}"));
    }
    let settings = configuration.settings();
    let queue = queue(&args, &settings, &site)?;
    let is_served = settings.conf.releases().contains(&queue.release);
    if !is_served && site.architectures(&queue.release).is_none() {
        session.ui.warn(format!(
            "neither [releases] in apt-ci.toml nor worker.conf has {}; no worker would test it",
            queue.release
        ));
    }
    let request = request(args)?;
    let autopkgtest = match Autopkgtest::find(&settings.conf, session.environment.get("PATH")) {
        Ok(found) => found.probe().await?,
        Err(error) => {
            session.ui.note(format!("note: {error}; showing what Debian 12's autopkgtest would be told to do"));
            Autopkgtest::elsewhere()
        }
    };
    let work_folder = work_folder(&site).join("UUID");
    let pocket = site.pockets.of(&queue.release);
    let testbed = testbed(&settings, &queue, &site)?;
    let run = Run {
        settings: &settings,
        autopkgtest: &autopkgtest,
        request: &request,
        queue: &queue,
        pocket: pocket.as_ref(),
        whole_pocket: false,
        work_folder: &work_folder,
        output: &work_folder.join("output.1"),
        testbed: &testbed,
        host_name: &apt_ci::host::name(),
        time: jiff::Timestamp::now(),
    };
    let never_run = settings.never_run(request.package(), &queue.architecture, &queue.release);
    let plan = run.plan();
    let in_context = (!request.parameters().ppas.is_empty()).then_some("ppas");
    let mut facts = vec![
        fact("queue", queue.to_string(), in_context.map(DecisionSource::Request).into_iter().collect()),
        fact(
            "never run",
            if never_run.is_some() { "yes" } else { "no" },
            vec![never_run.clone().unwrap_or(DecisionSource::Default)],
        ),
        container(&request, &queue),
    ];
    match &plan {
        Ok(plan) => facts.extend(plan.decisions.iter().cloned()),
        Err(refusal) => facts.push(fact("refused", refusal.to_string(), vec![DecisionSource::Request("ppas")])),
    }
    if session.ui.is_json {
        return show_json(&plan.ok(), &facts, never_run.is_some(), session);
    }
    let command = plan.as_ref().ok().map(|plan| plan.command.to_string());
    let root = site.root.as_deref();
    if !session.ui.is_terminal {
        // Programs get the command first, in the same three columns.
        facts.splice(0..0, command.map(|command| fact("command", command, Vec::new())));
        show(&facts, root, session)?;
    } else {
        show(&facts, root, session)?;
        if let Some(command) = command {
            session.ui.data("")?;
            session.ui.data(command)?;
        }
    }
    Ok(ExitStatus::Success)
}

/// Returns the tarball of the test's testbed. One that is not built is named instead.
fn testbed(settings: &Settings, queue: &QueueName, site: &Site) -> CommandResult<String> {
    if !settings.conf.uses_testbed() {
        return Ok(String::new());
    }
    let name = ImageName::for_tests(queue);
    let image = ImageStore::new(site.testbeds_dir.clone()).find(&name)?;
    Ok(image.map_or_else(|| format!("(no testbed of {name})"), |image| image.tarball.display().to_string()))
}

fn fact(what: &str, value: impl Into<String>, origins: Vec<DecisionSource>) -> Decision {
    Decision { what: what.to_owned(), value: value.into(), origins }
}

/// Returns the queue of the chosen release and architecture.
fn queue(args: &ExplainArgs, settings: &Settings, site: &Site) -> Result<QueueName, BadInput> {
    let release = match (&args.release, settings.conf.releases()) {
        (Some(given), served) => {
            let known = served.iter().chain(site.releases.value.keys()).map(Release::as_str).collect::<Vec<_>>();
            check("release", given.as_str(), &known)?;
            given.clone()
        }
        (None, [only]) => only.clone(),
        (None, served) => {
            let known: Vec<&Release> =
                if served.is_empty() { site.releases.value.keys().collect() } else { served.iter().collect() };
            match known.as_slice() {
                [only] => (*only).clone(),
                [] => {
                    let message = "no release given, and none is configured".to_owned();
                    return Err(BadInput { message, hint: Some("give a release with -s".to_owned()) });
                }
                several => {
                    let names: Vec<&str> = several.iter().map(|release| release.as_str()).collect();
                    let message = "several releases are served; cannot choose one".to_owned();
                    return Err(BadInput { message, hint: Some(format!("choose one with -s: {}", names.join(", "))) });
                }
            }
        }
    };
    if let Some(given) = &args.architecture {
        let served = settings.conf.architectures().iter();
        let known = served.chain(architectures(site)).map(Architecture::as_str).collect::<Vec<_>>();
        check("architecture", given.as_str(), &known)?;
    }
    let architecture = args.architecture.clone().or_else(|| settings.conf.architectures().first().cloned());
    let architecture = architecture.or_else(host::architecture).ok_or_else(|| BadInput {
        message: "this host's architecture is unknown".to_owned(),
        hint: Some("give an architecture with -a".to_owned()),
    })?;
    let context = if args.ppas.is_empty() { Context::Distribution } else { Context::Ppa };
    Ok(QueueName::new(context, release, architecture))
}

fn request(args: ExplainArgs) -> CommandResult<Request> {
    let sources = [
        args.test_git.map(TestSource::TestGit),
        args.build_git.map(TestSource::BuildGit),
        args.test_bzr.map(TestSource::TestBzr),
    ];
    let parameters = Parameters {
        triggers: args.triggers,
        ppas: args.ppas,
        source: sources.into_iter().flatten().next(),
        env: args.env,
        all_proposed: args.all_proposed,
        testname: args.testname,
        uuid: Some("UUID".parse()?),
        ..Parameters::default()
    };
    Ok(Request::new(args.package, parameters)?)
}

/// Returns the container in which the result would be stored.
fn container(request: &Request, queue: &QueueName) -> Decision {
    let by_ppa = (!request.parameters().ppas.is_empty()).then_some(DecisionSource::Request("ppas"));
    fact(
        RESULT_CONTAINER,
        ResultLocation::of(request, queue).container,
        [DecisionSource::Queue].into_iter().chain(by_ppa).collect(),
    )
}

fn origins(decision: &Decision) -> String {
    let names: Vec<String> = decision.origins.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn show(facts: &[Decision], root: Option<&Path>, session: &Session) -> CommandResult<()> {
    let rows: Vec<Vec<Cell>> = facts
        .iter()
        .map(|decision| {
            let origins = origins(decision);
            let by = Cell::new(below(&origins, root)).for_programs(&origins);
            vec![Cell::new(&decision.what), Cell::new(&decision.value), by]
        })
        .collect();
    const COLUMNS: [Column<'_>; 3] = [
        Column::new("WHAT"),
        // The whole of a long value is in the command line.
        Column::new("VALUE").wrap().least(16),
        Column::new("DECIDED BY").wrap().least(20),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}

fn show_json(plan: &Option<Plan>, facts: &[Decision], never_run: bool, session: &Session) -> CommandResult<ExitStatus> {
    let decisions: Vec<_> = facts
        .iter()
        .map(|decision| {
            let origins: Vec<String> = decision.origins.iter().map(ToString::to_string).collect();
            json!({"what": decision.what, "value": decision.value, "origins": origins})
        })
        .collect();
    let command = plan.as_ref().map(|plan| {
        let program = plan.command.program.display().to_string();
        std::iter::once(program).chain(plan.command.args.iter().cloned()).collect::<Vec<_>>()
    });
    let limits = plan.as_ref().map(|plan| {
        let mut limits: serde_json::Map<_, _> =
            plan.limits.options().into_iter().map(|(name, seconds)| (name.to_owned(), json!(seconds))).collect();
        limits.insert("hard".to_owned(), json!(plan.limits.total().as_secs()));
        limits.insert("per-further-test".to_owned(), json!(plan.limits.per_test().as_secs()));
        limits
    });
    let container = facts.iter().find(|decision| decision.what == RESULT_CONTAINER).map(|decision| &decision.value);
    let refused = facts.iter().find(|decision| decision.what == "refused").map(|decision| &decision.value);
    session.ui.json(&json!({
        "command": command,
        "command-line": plan.as_ref().map(|plan| plan.command.to_string()),
        "limits": limits,
        "container": container,
        "never-run": never_run,
        "refused": refused,
        "decisions": decisions,
    }))?;
    Ok(ExitStatus::Success)
}
