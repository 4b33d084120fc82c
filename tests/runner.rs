//! The runner of the stories itself: this program is started again, with a few stories that end as they are told to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed};
use tempfile::TempDir;
use testkit::site::{Finished, finish};
use testkit::{Services, Story, Trial, runner, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_story_that_passes_when_it_is_run_again_is_listed_as_flaky", flaky),
        ("a_story_that_fails_twice_fails_the_run", failed_twice),
        ("times_of_all_stories_are_written_down", times),
        ("stories_are_listed_and_chosen_as_usual", chosen),
    ];
    stories("runner", services, all)
}

/// Folder of a run of the example. It has a file for each story that has run already.
const EXAMPLE: &str = "APT_CI_TEST_RUNNER_EXAMPLE";

/// The example's end, if this process shall run it.
pub fn become_example() -> Option<ExitCode> {
    example_folder().map(|_| runner::run(&Arguments::from_args(), example))
}

fn example_folder() -> Option<PathBuf> {
    std::env::var_os(EXAMPLE).map(PathBuf::from)
}

/// Whether a story of the example runs for the first time.
fn is_first(name: &str) -> bool {
    fs::File::create_new(example_folder().expect("the example's folder").join(name)).is_ok()
}

fn example(_: &Arc<Services>) -> Vec<Trial> {
    let fails_once = || if is_first("fails-once") { Err("the first time".into()) } else { Ok(()) };
    let panics_once = || {
        assert!(!is_first("panics-once"), "only the first time");
        Ok(())
    };
    let fails_twice = || if is_first("fails-twice") { Err("at first".into()) } else { Err("and then".into()) };
    vec![
        Trial::test("example::passes", || Ok(())),
        Trial::test("example::fails_once", fails_once),
        Trial::test("example::panics_once", panics_once),
        Trial::test("example::fails_twice", fails_twice),
    ]
}

/// Runs the example with these arguments.
fn run(folder: &Path, arguments: &[&str]) -> Finished {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(arguments).env(EXAMPLE, folder).env("APT_CI_TEST_TIMES", folder.join("times"));
    finish(command)
}

fn flaky(_: &Services) -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let finished = run(folder.path(), &["_once"]);
    assert!(finished.status.success(), "{finished:#?}");
    let (_, list) = finished.err.split_once("FLAKY: ").expect("a list");
    for said in ["---- example::fails_once ----\nfirst, after ", " s: the first time\nalone, after ", " s: passed\n"] {
        assert!(list.contains(said), "{said}: {list}");
    }
    assert!(list.contains("test panicked at tests/runner.rs:") && list.contains("only the first time"), "{list}");
    assert!(
        finished.out.contains("0 passed; 2 failed") && finished.out.contains("2 passed; 0 failed"),
        "{finished:#?}"
    );
    Ok(())
}

fn failed_twice(_: &Services) -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let finished = run(folder.path(), &[]);
    assert_eq!(finished.status.code(), Some(101), "{finished:#?}");
    let (_, list) = finished.err.split_once("FLAKY: ").expect("a list");
    assert!(list.contains("fails_once") && !list.contains("fails_twice"), "{list}");
    assert!(finished.out.contains("at first") && finished.out.contains("and then"), "{finished:#?}");
    Ok(())
}

fn times(_: &Services) -> Result<(), Failed> {
    let folder = TempDir::new()?;
    run(folder.path(), &[]);
    let written = fs::read_to_string(folder.path().join("times"))?;
    let line = |line: &str| {
        let (seconds, name) = line.split_once('\t').expect("two columns");
        assert!(seconds.parse::<f64>().is_ok(), "{line}");
        name.to_owned()
    };
    let mut names: Vec<String> = written.lines().map(line).collect();
    names.sort();
    assert_eq!(names, ["fails_once", "fails_twice", "panics_once", "passes"].map(|name| format!("example::{name}")));
    Ok(())
}

fn chosen(_: &Services) -> Result<(), Failed> {
    let folder = TempDir::new()?;
    let listed = run(folder.path(), &["--list"]);
    assert_eq!(listed.out.lines().filter(|line| line.ends_with(": test")).count(), 4, "{listed:#?}");
    let one = run(folder.path(), &["--exact", "example::passes", "--test-threads", "1"]);
    assert!(one.status.success() && one.out.contains("1 passed; 0 failed"), "{one:#?}");
    assert!(one.err.contains("The slowest stories") && one.err.contains("example::passes"), "{one:#?}");
    let rest = run(folder.path(), &["--skip", "once", "--skip", "twice"]);
    assert!(rest.status.success() && rest.out.contains("1 passed; 0 failed"), "{rest:#?}");
    Ok(())
}
