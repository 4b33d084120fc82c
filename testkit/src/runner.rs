//! Runs the stories: records how long each takes, and runs those that fail a second time, one at a time and with nothing else running.
//!
//! A story that fails among others and passes alone is listed as FLAKY. The run passes, but each such story is a defect to fix: either
//! the program or the story depends on how busy the machine is. The second run has services of its own, in which the first one has left
//! nothing. libtest-mimic reports both runs; this module adds what it does not report. That goes to standard error, because standard
//! output may be JSON.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Conclusion, Failed};

use super::Services;

/// Number of stories in the list of the slowest.
const SLOWEST: usize = 10;

/// Maximum number of failed stories that are run again. More failures than this are no accident.
const MAX_RERUNS: usize = 20;

/// File for the times of all stories, as lines of seconds, a tab and the name; the slowest first.
const TIMES: &str = "APT_CI_TEST_TIMES";

thread_local! {
    /// Where this thread has panicked last.
    static PANIC_LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The longest wait of the story that this thread runs.
    static LONGEST_WAIT: Cell<Option<(Duration, String)>> = const { Cell::new(None) };
}

/// A story with a name, which begins with its room.
pub struct Trial {
    name: String,
    run: Box<dyn FnOnce() -> Result<(), Failed> + Send>,
}

impl Trial {
    /// A story under this name.
    pub fn test(name: impl Into<String>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The story for libtest-mimic. How it ends is added to the attempts.
    fn recorded(self, attempts: &Attempts) -> libtest_mimic::Trial {
        let attempts = Arc::clone(attempts);
        libtest_mimic::Trial::test(self.name.clone(), move || self.attempt(&attempts))
    }

    fn attempt(self, attempts: &Attempts) -> Result<(), Failed> {
        LONGEST_WAIT.take();
        let begin = Instant::now();
        let ended = panic::catch_unwind(AssertUnwindSafe(self.run));
        let ended = ended.unwrap_or_else(|payload| Err(describe_panic(&*payload).into()));
        let failure = ended.as_ref().err().map(|failed| failed.message().unwrap_or("no message").to_owned());
        let (time, longest_wait) = (begin.elapsed(), LONGEST_WAIT.take());
        let attempt = Attempt { name: self.name, time, longest_wait, failure };
        attempts.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
        ended
    }
}

/// How one run of a story has ended.
struct Attempt {
    name: String,
    time: Duration,
    longest_wait: Option<(Duration, String)>,
    /// Why it has failed, if it has.
    failure: Option<String>,
}

type Attempts = Arc<Mutex<Vec<Attempt>>>;

/// Notes how long the story of this thread has waited for a condition, for the list of the slowest stories.
pub fn note_wait(time: Duration, what: &str) {
    let longest = LONGEST_WAIT.take().filter(|(longest, _)| *longest >= time);
    LONGEST_WAIT.set(Some(longest.unwrap_or_else(|| (time, what.to_owned()))));
}

/// Runs the stories that the arguments choose, and those that fail a second time. Returns failure if a story has failed twice.
///
/// `stories` makes the stories on these services. The services stop at the end, whatever the stories did.
pub fn run(arguments: &Arguments, stories: fn(&Arc<Services>) -> Vec<Trial>) -> ExitCode {
    note_panic_locations();
    let services = Arc::new(Services::default());
    let (mut conclusion, attempts) = run_once(arguments, stories(&services));
    if arguments.list {
        return conclusion.exit_code();
    }
    let failed: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.failure.is_some()).collect();
    let mut flaky = String::new();
    if (1..=MAX_RERUNS).contains(&failed.len()) {
        say(&format!("Running the stories that failed ({}) again, alone:\n", failed.len()));
        let fresh = Arc::new(services.fresh());
        drop(services);
        let has_failed = |trial: &Trial| failed.iter().any(|attempt| attempt.name == trial.name);
        let again = stories(&fresh).into_iter().filter(has_failed).collect();
        let (second, second_attempts) = run_once(&arguments_for_rerun(arguments), again);
        flaky = describe_flaky(&failed, &second_attempts);
        conclusion = second;
    }
    if let Some(file) = std::env::var_os(TIMES) {
        std::fs::write(&file, times(&attempts)).expect("the file for the times of the stories");
    }
    say(&format!("{}{flaky}", describe_slowest(&attempts)));
    conclusion.exit_code()
}

fn run_once(arguments: &Arguments, trials: Vec<Trial>) -> (Conclusion, Vec<Attempt>) {
    let attempts = Attempts::default();
    let recorded = trials.into_iter().map(|trial| trial.recorded(&attempts)).collect();
    let conclusion = libtest_mimic::run(arguments, recorded);
    let ended = std::mem::take(&mut *attempts.lock().unwrap_or_else(PoisonError::into_inner));
    (conclusion, ended)
}

/// The same output, for stories that are chosen already. The log file of the first run is kept.
fn arguments_for_rerun(arguments: &Arguments) -> Arguments {
    Arguments {
        filter: None,
        exact: false,
        skip: Vec::new(),
        test_threads: Some(1),
        logfile: arguments.logfile.as_ref().map(|file| format!("{file}.again")),
        ..arguments.clone()
    }
}

/// Remembers where each panic happens: a panic's payload does not say it.
fn note_panic_locations() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANIC_LOCATION.set(info.location().map(ToString::to_string));
        usual(info);
    }));
}

fn describe_panic(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    match PANIC_LOCATION.take() {
        Some(location) => format!("test panicked at {location}: {text}"),
        None => format!("test panicked: {text}"),
    }
}

/// Every story that has failed among others and passed alone, with what both runs have told.
fn describe_flaky(failed: &[&Attempt], again: &[Attempt]) -> String {
    let mut flaky = String::new();
    for second in again.iter().filter(|attempt| attempt.failure.is_none()) {
        let first = failed.iter().find(|attempt| attempt.name == second.name);
        let (seconds, failure) = first.map_or((0.0, ""), |first| (first.time.as_secs_f64(), outcome(first)));
        let _ = writeln!(flaky, "---- {} ----\nfirst, after {seconds:.1} s: {failure}", second.name);
        let _ = writeln!(flaky, "alone, after {:.1} s: {}\n", second.time.as_secs_f64(), outcome(second));
    }
    if flaky.is_empty() {
        return flaky;
    }
    format!("FLAKY: these stories failed, and passed when they were run again, alone:\n\n{flaky}")
}

fn outcome(attempt: &Attempt) -> &str {
    attempt.failure.as_deref().unwrap_or("passed")
}

fn slowest_first(attempts: &[Attempt]) -> Vec<&Attempt> {
    let mut sorted: Vec<&Attempt> = attempts.iter().collect();
    sorted.sort_by_key(|attempt| Reverse(attempt.time));
    sorted
}

fn times(attempts: &[Attempt]) -> String {
    let line = |attempt: &Attempt| format!("{:.3}\t{}\n", attempt.time.as_secs_f64(), attempt.name);
    slowest_first(attempts).into_iter().map(line).collect()
}

fn describe_slowest(attempts: &[Attempt]) -> String {
    let mut text = "The slowest stories, each with its longest wait:\n".to_owned();
    for attempt in slowest_first(attempts).into_iter().take(SLOWEST) {
        let _ = write!(text, "{:8.1} s  {}", attempt.time.as_secs_f64(), attempt.name);
        let _ = match &attempt.longest_wait {
            Some((time, what)) => writeln!(text, " ({:.1} s until {what})", time.as_secs_f64()),
            None => writeln!(text),
        };
    }
    text + "\n"
}

fn say(text: &str) {
    // Nobody may be listening.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
