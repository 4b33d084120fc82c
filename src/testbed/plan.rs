//! Plan of a run: autopkgtest's command line, its limits, and the origin of each part of it.

mod sizes;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use self::sizes::{Special, sizes};
use super::apt::{AptSetup, PocketSelection};
use super::autopkgtest::Autopkgtest;
use super::checkout::Checkout;
use super::command_line::CommandLine;
use super::conf;
use super::decision::{Decision, DecisionSource, Refusal};
use super::limits::Limits;
use super::ppa;
use super::settings::Settings;
use super::template::{Template, quote};
use super::variables::Variable;
use crate::archive::{Pocket, has_own_i386};
use crate::environment::Environment;
use crate::release::QueueName;
use crate::request::{Parameters, Request, RequestId, TestSource};

/// Folders in a request's work folder: the keys of its PPAs, and its checkout.
const PPA_FOLDER: &str = "ppas";
const CHECKOUT_FOLDER: &str = "checkout";

/// Option of autopkgtest in worker.conf's extra arguments. It forbids taking more of the pocket than the triggers.
const NO_FALLBACK: &str = "--no-apt-fallback";

/// Run of a request's test, from which its [`Plan`] follows.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// worker.conf and the override files.
    pub settings: &'a Settings,
    /// Program, probed.
    pub autopkgtest: &'a Autopkgtest,
    /// Request to test.
    pub request: &'a Request,
    /// Queue that the request came from.
    pub queue: &'a QueueName,
    /// Pocket of the release.
    pub pocket: Option<&'a Pocket>,
    /// Whether every package of the pocket is taken, because the triggers alone could not be installed.
    pub whole_pocket: bool,
    /// Request's own folder, which only the worker's user can read.
    pub work_folder: &'a Path,
    /// Output folder of autopkgtest, which creates it, or an empty one.
    pub output: &'a Path,
    /// Tarball for `$TESTBED`, which must stay until the test ends. Empty if [`conf::WorkerConf::uses_testbed`] is
    /// false.
    pub testbed: &'a str,
    /// Name of this machine.
    pub host_name: &'a str,
    /// Start of the run.
    pub time: Timestamp,
}

/// Plan of a run: first the look-ups and the checkout, if any, then the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// autopkgtest's command line, without secrets.
    pub command: CommandLine,
    /// Time limits.
    pub limits: Limits,
    /// Setup of apt in the testbed. Its script must be written ([`AptSetup::write`]) before the command is run.
    pub apt: AptSetup,
    /// Whether the test may be run again with the whole pocket when its dependencies cannot be met with the triggers
    /// alone.
    pub allows_fallback: bool,
    /// Folder for the request's PPAs; `None` without PPAs. They must be written ([`ppa::write`]) before the command is
    /// run, and stay until it ends, because a testbed may be reset.
    pub ppa_folder: Option<PathBuf>,
    /// Checkout that must be fetched before the command is run.
    pub checkout: Option<Checkout>,
    /// Decisions and their origins, in the order of the command line.
    pub decisions: Vec<Decision>,
    /// Whether the test runs on this machine itself.
    is_on_this_machine: bool,
}

impl Run<'_> {
    /// Makes the plan for this run from the given values alone: nothing is read, fetched or started.
    ///
    /// # Errors
    /// Fails when the request asks for something that is forbidden here, or that this autopkgtest cannot do.
    pub fn plan(&self) -> Result<Plan, Refusal> {
        let Self { settings, request, queue, .. } = *self;
        let conf = &settings.conf;
        let parameters = request.parameters();
        let special = Special::of(settings, request.package(), queue);
        let (virt_args, virt_origins) = match (&special.vm, &conf.vm_args) {
            (Some(line), Some(vm_args)) => (vm_args, vec![conf.origin("vm_args"), line.clone()]),
            // Another testbed is better than no test for a package that needs a virtual machine.
            _ => (&conf.virt_args, vec![conf.origin("args")]),
        };
        let is_null = conf::is_null(virt_args);
        self.refuse_the_impossible(is_null)?;
        let sizes = sizes(conf, &special, queue);
        let foreign = !has_own_i386(&queue.release, &queue.architecture);
        if let Some(reason) = refused_queue(self.autopkgtest, queue) {
            return Err(Refusal(reason));
        }
        let time = self.time.strftime("%Y%m%d-%H%M%S").to_string();
        let value = |variable| match variable {
            Variable::Release => queue.release.as_str(),
            Variable::Architecture => queue.architecture.as_str(),
            Variable::HostArchitecture if foreign => "amd64",
            Variable::HostArchitecture => queue.architecture.as_str(),
            Variable::Package => request.package().as_str(),
            Variable::PackageSize => sizes.testbed.text.as_str(),
            Variable::Testbed => self.testbed,
            Variable::Timestamp => &time,
            Variable::HostName => self.host_name,
            Variable::Uuid => request.uuid().map(RequestId::as_str).unwrap_or_default(),
        };
        let fill = |templates: &[Template]| {
            let mut words = Vec::new();
            for template in templates {
                // A size often consists of several options.
                if template.is_only(Variable::PackageSize) {
                    words.extend(sizes.testbed.words.iter().cloned());
                } else {
                    words.push(template.fill(value));
                }
            }
            words
        };

        let mut line = CommandBuilder::default();
        let program = self.autopkgtest.program().to_owned();
        line.decide("autopkgtest", program.to_string_lossy(), vec![conf.origin("checkout_dir")]);
        line.args.extend(["--output-dir".to_owned(), self.output.to_string_lossy().into_owned()]);
        if !conf.extra_args.is_empty() {
            line.add("extra arguments", fill(&conf.extra_args), vec![conf.origin("extra_args")]);
        }
        for (key, command) in &conf.setup_commands {
            let words = vec!["--setup-commands".to_owned(), command.fill(value)];
            line.add("setup command", words, vec![conf.origin(key)]);
        }
        let ppa_folder = self.add_ppas(&mut line);
        let apt = self.add_apt_setup(is_null, &mut line);
        if is_null {
            // Tests must not upgrade this machine or give it other package sources.
            if apt.pocket.is_some() {
                line.decide("from the pocket", "nothing", virt_origins.clone());
            }
            line.decide("upgrade before the test", "none", virt_origins.clone());
        } else {
            line.add("upgrade before the test", vec!["--apt-upgrade".to_owned()], vec![DecisionSource::Default]);
        }
        let allows_fallback = !conf.extra_args.iter().any(|word| word.fill(|_| "") == NO_FALLBACK);
        if apt.take == PocketSelection::Triggers && !is_null {
            let value = if allows_fallback { "the whole pocket, once" } else { "none" };
            line.decide("fallback", value, vec![conf.origin("extra_args")]);
        }
        for variable in &parameters.env {
            line.add("environment", vec![format!("--env={variable}")], vec![DecisionSource::Request("env")]);
        }
        if !parameters.triggers.is_empty() {
            let triggers: Vec<String> = parameters.triggers.iter().map(ToString::to_string).collect();
            let words = vec![format!("--env=ADT_TEST_TRIGGERS={}", triggers.join(" "))];
            line.add("triggers", words, vec![DecisionSource::Request("triggers")]);
        }
        if let Some(name) = &parameters.testname {
            let words = vec![format!("{}={name}", self.autopkgtest.abilities.test_name_option)];
            line.add("test", words, vec![DecisionSource::Request("testname")]);
        }
        line.args.extend(sizes.limits.options().iter().map(|(name, seconds)| format!("--timeout-{name}={seconds}")));
        if foreign {
            let words = vec!["-a".to_owned(), queue.architecture.to_string()];
            line.add("foreign architecture", words, vec![DecisionSource::Queue]);
        }
        let checkout = self.add_source(&mut line);
        line.args.push("--".to_owned());
        let words = fill(virt_args);
        line.add("virt server", words, virt_origins);
        line.decisions.extend(sizes.decisions);
        Ok(Plan {
            command: CommandLine { program, args: line.args },
            limits: sizes.limits,
            apt,
            allows_fallback,
            ppa_folder,
            checkout,
            decisions: line.decisions,
            is_on_this_machine: is_null,
        })
    }

    fn refuse_the_impossible(&self, is_null: bool) -> Result<(), Refusal> {
        let parameters = self.request.parameters();
        if parameters.all_proposed && self.pocket.is_none() {
            let release = &self.queue.release;
            let reason = format!("{release} has no pocket with proposed packages: all-proposed cannot be tested there");
            return Err(Refusal(reason));
        }
        let ppas = &parameters.ppas;
        if ppas.is_empty() {
            return Ok(());
        }
        if is_null {
            let reason = "tests run on this machine itself (virt server null), which gets no other package sources: a request \
                          with a PPA needs another testbed";
            return Err(Refusal(reason.to_owned()));
        }
        if !self.autopkgtest.abilities.can_copy {
            let reason = "this autopkgtest has no --copy: the PPA's key cannot be brought into the testbed";
            return Err(Refusal(reason.to_owned()));
        }
        if self.work_folder.to_string_lossy().contains(':') {
            // --copy ends the name of a file at a colon.
            let reason = format!("the work folder {} has a colon in its name", self.work_folder.display());
            return Err(Refusal(format!("{reason}: nothing can be copied from there into the testbed")));
        }
        Ok(())
    }

    /// Adds the PPAs, in their order. Returns the folder to which they must be written.
    fn add_ppas(&self, line: &mut CommandBuilder) -> Option<PathBuf> {
        let ppas = &self.request.parameters().ppas;
        if ppas.is_empty() {
            return None;
        }
        let names: Vec<String> = ppas.iter().map(ToString::to_string).collect();
        let folder = self.work_folder.join(PPA_FOLDER);
        line.args.extend(ppa::arguments(&folder, ppas));
        line.decide("PPAs", names.join(" "), vec![DecisionSource::Request("ppas")]);
        Some(folder)
    }

    /// Adds the script that sets up apt and reports what it has.
    ///
    /// The script comes after the operator's commands, which may change the sources from which it derives the pocket's,
    /// and before the upgrade.
    fn add_apt_setup(&self, is_null: bool, line: &mut CommandBuilder) -> AptSetup {
        let Self { request, queue, pocket, .. } = *self;
        let script = AptSetup::script_in(self.work_folder);
        line.args.extend(["--setup-commands".to_owned(), script.to_string_lossy().into_owned()]);
        let mut apt = AptSetup::new(request, &queue.release, pocket, script, is_null);
        if self.whole_pocket && apt.take == PocketSelection::Triggers {
            apt.take = PocketSelection::All(DecisionSource::Request("triggers"));
        }
        let name = apt.pocket.as_ref().map_or("none", Pocket::as_str);
        line.decide("pocket", name, vec![DecisionSource::Queue]);
        if let Some(pocket) = apt.pocket.as_ref().filter(|_| !is_null) {
            let (value, origin) = match &apt.take {
                PocketSelection::Nothing(origin) => {
                    (format!("nothing (all of {pocket}: priority 100)"), origin.clone())
                }
                PocketSelection::All(origin) => (format!("everything (all of {pocket}: priority 500)"), origin.clone()),
                PocketSelection::Triggers => {
                    let mut names: Vec<&str> = Vec::new();
                    for name in apt.triggers().iter().map(|one| one.package().as_str()) {
                        if !names.contains(&name) {
                            names.push(name);
                        }
                    }
                    let value = format!("{} (priority 995; the rest of {pocket}: 100)", names.join(" "));
                    (value, DecisionSource::Request("triggers"))
                }
            };
            line.decide("from the pocket", value, vec![origin]);
        }
        apt
    }

    /// Adds the source that is tested. Returns the checkout that must be fetched for it.
    fn add_source(&self, line: &mut CommandBuilder) -> Option<Checkout> {
        let Parameters { source, from_web, .. } = self.request.parameters();
        let Some(source) = source else {
            line.add("tests from", vec![self.request.package().to_string()], vec![DecisionSource::Request("package")]);
            return None;
        };
        let (parameter, address, is_built) = match source {
            TestSource::TestGit(git) => ("test-git", git.to_string(), false),
            TestSource::BuildGit(git) => ("build-git", git.to_string(), true),
            TestSource::TestBzr(bzr) => ("test-bzr", bzr.to_string(), false),
        };
        if !is_built {
            line.args.push("--no-built-binaries".to_owned());
        }
        // Branches of requests over the web are always fetched here, where they are restricted to public addresses.
        let clones = self.autopkgtest.abilities.can_clone && !from_web && !matches!(source, TestSource::TestBzr(_));
        if clones {
            line.args.push(address.clone());
            line.decide("tests from", address, vec![DecisionSource::Request(parameter)]);
            return None;
        }
        let folder = self.work_folder.join(CHECKOUT_FOLDER);
        let checkout = Checkout { source: source.clone(), folder, from_web: *from_web };
        line.args.push(checkout.folder.to_string_lossy().into_owned());
        line.decide("tests from", address, vec![DecisionSource::Request(parameter)]);
        let origin = if *from_web { DecisionSource::Request("apt-ci-origin") } else { DecisionSource::Autopkgtest };
        line.decide("checkout", checkout.folder.to_string_lossy(), vec![origin]);
        Some(checkout)
    }
}

/// Command line under construction, with its decisions.
#[derive(Default)]
struct CommandBuilder {
    args: Vec<String>,
    decisions: Vec<Decision>,
}

impl CommandBuilder {
    fn decide(&mut self, what: &str, value: impl Into<String>, origins: Vec<DecisionSource>) {
        self.decisions.push(Decision { what: what.to_owned(), value: value.into(), origins });
    }

    fn add(&mut self, what: &str, words: Vec<String>, origins: Vec<DecisionSource>) {
        let shown: Vec<String> = words.iter().map(|word| quote(word)).collect();
        self.decide(what, shown.join(" "), origins);
        self.args.extend(words);
    }
}

/// Variables of systemd's service protocols, with which a test could report in the worker's name, write into its
/// journal stream, or take its sockets; and the size of this program's stacks.
const SERVICE_VARIABLES: [&str; 5] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "RUST_MIN_STACK"];

/// Returns the variables of the worker's environment that are withheld from a test, which is a program of others: the
/// credentials of the store and the queue, and those for the service alone.
///
/// A virt server that rents machines from a cloud needs the `OS_…` ones, and keeps them from the programs inside the
/// machine; the null server runs the test on this machine.
pub fn withheld<'e>(plan: &Plan, environment: &'e Environment) -> Vec<&'e str> {
    let prefixes: &[&str] =
        if plan.is_on_this_machine { &["ST_", "APT_CI_", "LISTEN_", "OS_"] } else { &["ST_", "APT_CI_", "LISTEN_"] };
    let is_withheld =
        |name: &&str| SERVICE_VARIABLES.contains(name) || prefixes.iter().any(|prefix| name.starts_with(prefix));
    environment.names().filter(is_withheld).collect()
}

/// Returns why this autopkgtest cannot run any test from this queue, if that is so.
pub fn refused_queue(autopkgtest: &Autopkgtest, queue: &QueueName) -> Option<String> {
    let is_refused = !has_own_i386(&queue.release, &queue.architecture) && !autopkgtest.abilities.can_run_foreign;
    is_refused.then(|| {
        let (program, architecture) = (autopkgtest.program().display(), &queue.architecture);
        format!("{program} cannot test the foreign architecture {architecture} of {queue}: it is older than 5.43")
    })
}

#[cfg(test)]
mod tests;
