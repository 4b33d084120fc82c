//! The log in three forms: short lines for people at a terminal, all fields and exact times for a file, and entries
//! with fields of their own for the journal, so that `journalctl PACKAGE=gzip` finds them.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use jiff::Zoned;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_writer;
use super::plain::plain;

const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

/// Sends logs to standard error, or to the journal itself if standard error is connected to it. `journal` is the
/// JOURNAL_STREAM of the environment.
pub fn start(quiet: bool, verbose: u8, journal: Option<&str>) {
    // The worker's log is its output; other commands log only faults by default. Libraries are silent: they log errors
    // that are none here, such as a queue that does not exist yet.
    let level = match (quiet, verbose) {
        (true, _) => "off,apt_ci=error",
        (false, 0) => "off,apt_ci=warn,apt_ci::worker=info,apt_ci::web=info,apt_ci::pulls=info",
        (false, 1) => "off,apt_ci=info,apt_ci::worker=debug",
        (false, 2) => "info,apt_ci=debug",
        (false, _) => "debug",
    };
    let mut unheard = None;
    if journal.is_some_and(is_standard_error) {
        match tracing_journald::layer() {
            // Fields keep their names: PACKAGE, UUID. Those of the spans around an event are among them.
            Ok(journal) => {
                let journal = journal.with_field_prefix(None).with_priority_mappings(priorities());
                return tracing_subscriber::registry().with(EnvFilter::new(level)).with(journal).init();
            }
            Err(error) => unheard = Some(error),
        }
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never)
        .with_writer(log_writer::standard_error())
        // Lines that cannot be written are lost; the default would report that on standard error, and panic.
        .log_internal_errors(false);
    if std::io::stderr().is_terminal() && verbose < 2 {
        let fields = debug_fn(|to, field, value| write!(to, "{field}={}", format!("{value:?}").trim_matches('"')));
        log.fmt_fields(fields.delimited(" ")).event_format(PeopleFormat { is_verbose: verbose > 0 }).init();
    } else {
        log.with_target(verbose > 0).init();
    }
    if let Some(error) = unheard {
        tracing::warn!(target: "apt_ci::worker", "the journal gets plain lines only: it cannot be connected to: {error}");
    }
}

/// Returns the journal's priorities for the levels of the log. Everyday events are no `notice`.
fn priorities() -> PriorityMappings {
    PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    }
}

/// Whether standard error is the stream that JOURNAL_STREAM names. Programs inherit the variable even if their output
/// is redirected.
fn is_standard_error(journal: &str) -> bool {
    let stderr = std::io::stderr();
    nix::sys::stat::fstat(stderr.as_fd()).is_ok_and(|file| names(journal, file.st_dev, file.st_ino))
}

/// Whether the text is `DEVICE:INODE` of this file.
fn names(journal: &str, device: u64, inode: u64) -> bool {
    journal.split_once(':').is_some_and(|(one, other)| one.parse() == Ok(device) && other.parse() == Ok(inode))
}

/// Format for people: `14:05:59 gzip starts queue=debci-bookworm-amd64`, with the local time, the event, and the most
/// useful fields.
struct PeopleFormat {
    /// Whether all fields are shown, and not only the most useful ones.
    is_verbose: bool,
}

/// Contents of an event.
#[derive(Default)]
struct EventText {
    message: String,
    package: Option<String>,
    fields: Vec<(&'static str, String)>,
    /// The fields of the spans around it, as they are shown.
    spans: Vec<String>,
}

impl Visit for EventText {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "package" => self.package = Some(value.to_owned()),
            name => self.fields.push((name, value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl<S, N> FormatEvent<S, N> for PeopleFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = EventText::default();
        event.record(&mut said);
        if self.is_verbose {
            // The spans name the test.
            for span in context.event_scope().into_iter().flatten() {
                if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                    said.spans.push(fields.to_string());
                }
            }
        }
        let colours = to.has_ansi_escapes();
        let time = Zoned::now().strftime("%H:%M:%S").to_string();
        to.write_str(&line(said, *event.metadata().level(), &time, self.is_verbose, colours))
    }
}

fn line(said: EventText, level: Level, time: &str, is_verbose: bool, colours: bool) -> String {
    let styled = |style: Style, text: &str| if colours { format!("{style}{text}{style:#}") } else { text.to_owned() };
    let mut line = styled(DIM, time);
    line.push(' ');
    match level {
        Level::ERROR => line.push_str(&styled(RED, "error: ")),
        Level::WARN => line.push_str(&styled(YELLOW, "warning: ")),
        _ => {}
    }
    if let Some(package) = &said.package {
        line.push_str(&format!("{}: ", plain(package)));
    }
    // Messages quote texts of other programs and servers, which must not steer the terminal.
    line.push_str(&plain(&said.message));
    // Most attempts are the first, and a request's id is long.
    let told = |(name, value): &&(&str, String)| match *name {
        "queue" => true,
        "attempt" => value != "1",
        _ => false,
    };
    let mut fields = String::new();
    for (name, value) in said.fields.iter().filter(|field| is_verbose || told(field)) {
        // Writing to a string cannot fail.
        let _ = write!(fields, " {name}={}", plain(value));
    }
    for span in &said.spans {
        let _ = write!(fields, " {}", plain(span));
    }
    line.push_str(&styled(DIM, &fields));
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str, fields: &[(&'static str, &str)]) -> EventText {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        EventText { message: message.to_owned(), fields, ..EventText::default() }
    }

    #[test]
    fn the_journal_is_used_only_where_standard_error_leads_there() {
        assert!(names("8:42", 8, 42));
        for other in ["8:43", "9:42", "8", "", ":", "8:42:1", "8:-42", "0x8:42"] {
            assert!(!names(other, 8, 42), "{other}");
        }
    }

    #[test]
    fn a_person_reads_what_happened_where() {
        let fields = [("queue", "debci-sid-amd64"), ("attempt", "1"), ("uuid", "7e89460a")];
        let starts = || said("gzip starts", &fields);
        assert_eq!(
            line(starts(), Level::INFO, "12:00:01", false, false),
            "12:00:01 gzip starts queue=debci-sid-amd64\n"
        );
        let all = "12:00:01 gzip starts queue=debci-sid-amd64 attempt=1 uuid=7e89460a\n";
        assert_eq!(line(starts(), Level::INFO, "12:00:01", true, false), all);
        let again = said("gzip starts", &[("attempt", "2")]);
        assert_eq!(line(again, Level::INFO, "12:00:01", false, false), "12:00:01 gzip starts attempt=2\n");
    }

    #[test]
    fn faults_stand_out_and_noise_does_not_show() {
        let fault = said("infrastructure failure: no disk", &[("failures", "1")]);
        let shown = line(fault, Level::ERROR, "12:00:01", false, false);
        assert_eq!(shown, "12:00:01 error: infrastructure failure: no disk\n");
        let abandoned = EventText { package: Some("gzip".to_owned()), ..said("abandoned: \u{1b}[2Jgone\n", &[]) };
        let shown = line(abandoned, Level::WARN, "12:00:01", false, false);
        assert_eq!(shown, "12:00:01 warning: gzip: abandoned:  [2Jgone \n");
    }
}
