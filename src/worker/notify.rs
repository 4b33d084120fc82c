//! Notifications for the service manager: the worker is ready, what it does, and that it is alive as long as its slots
//! make progress.
//!
//! The protocol is systemd's sd_notify(3): datagrams with lines `NAME=value` to a socket that the environment names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::live_status::{LiveStatus, SlotActivity, WorkerStatus};
use crate::environment::Environment;

/// Minimum interval between two status lines.
const MIN_STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Number of notifications within the watchdog's timeout.
const NOTIFICATIONS_PER_TIMEOUT: u32 = 4;

/// Maximum number of tests that the status line names.
const MAX_NAMED_TESTS: usize = 8;

/// Service manager that supervises this process.
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

/// Error of a notification.
#[derive(Debug, thiserror::Error)]
#[error("cannot notify the service manager at {address:?}: {source}")]
pub struct NotifyError {
    address: String,
    source: std::io::Error,
}

impl Notifier {
    /// Returns the manager that the environment names, if any: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` with
    /// `WATCHDOG_PID`.
    ///
    /// # Errors
    /// Fails when the kind of its socket is not supported.
    pub fn new(environment: &Environment) -> Result<Option<Self>, NotifyError> {
        let Some(name) = environment.get("NOTIFY_SOCKET") else { return Ok(None) };
        let failed = |source| NotifyError { address: name.to_owned(), source };
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(name),
            _ => Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "it is neither a path nor an abstract name")),
        };
        let address = address.map_err(failed)?;
        let socket = UnixDatagram::unbound().map_err(failed)?;
        // A manager that does not read must not block the slots.
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Some(Self { socket, address, watchdog: watchdog(environment, std::process::id()) }))
    }

    /// Notifies the manager about the worker for as long as it runs. Never returns.
    ///
    /// The worker is ready when every slot has started. The watchdog is fed only while every slot has made progress
    /// within half of the watchdog's timeout.
    pub async fn run(&self, live_status: &LiveStatus) {
        tokio::select! {
            () = self.report(live_status) => {}
            () = self.feed_watchdog(live_status) => {}
        }
    }

    async fn report(&self, live_status: &LiveStatus) {
        let mut changes = live_status.changes();
        let (mut ready, mut stopping) = (false, false);
        let mut said = String::new();
        loop {
            changes.mark_unchanged();
            let mut message = Vec::new();
            if !ready && live_status.is_ready() {
                ready = true;
                message.push("READY=1".to_owned());
            }
            if !stopping && live_status.stop().finish.is_cancelled() {
                stopping = true;
                message.push("STOPPING=1".to_owned());
            }
            let line = status_line(&live_status.status());
            if line != said {
                message.push(format!("STATUS={line}"));
                said = line;
            }
            if !message.is_empty() {
                self.send(&message.join("\n"));
            }
            // The manager waits for the first notification, which is sent without a pause.
            if ready {
                sleep(MIN_STATUS_INTERVAL).await;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { std::future::pending().await },
                () = live_status.stop().finish.cancelled(), if !stopping => {}
            }
        }
    }

    async fn feed_watchdog(&self, live_status: &LiveStatus) {
        let Some(limit) = self.watchdog else { return std::future::pending().await };
        let every = limit / NOTIFICATIONS_PER_TIMEOUT;
        let mut tick = interval_at(Instant::now(), every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            tick.tick().await;
            let stalled = live_status.stalled(limit / 2);
            if stalled.is_empty() {
                told = false;
                self.send("WATCHDOG=1");
            } else if !std::mem::replace(&mut told, true) {
                let slots: Vec<String> = stalled.iter().map(ToString::to_string).collect();
                let slots = slots.join(", ");
                tracing::error!("no progress in slot {slots}: the service manager will take this worker for dead");
            }
        }
    }

    fn send(&self, message: &str) {
        if let Err(error) = self.socket.send_to_addr(message.as_bytes(), &self.address) {
            tracing::debug!("the service manager does not hear: {error}");
        }
    }
}

/// Returns the timeout after which the manager takes the process for dead; `None` when it does not watch the process.
fn watchdog(environment: &Environment, pid: u32) -> Option<Duration> {
    // Without a process id, the variables apply to every process that has them.
    let meant = environment.get("WATCHDOG_PID").is_none_or(|meant| meant.parse() == Ok(pid));
    let time = Duration::from_micros(environment.get("WATCHDOG_USEC").filter(|_| meant)?.parse().ok()?);
    (!time.is_zero()).then_some(time)
}

/// Returns the activity of the worker in one line, which `systemctl status` shows.
fn status_line(worker: &WorkerStatus) -> String {
    let (mut waiting, mut paused, mut probing) = (0, 0, 0);
    let mut tests = Vec::new();
    for slot in &worker.slots {
        match &slot.state {
            SlotActivity::Running(test) => {
                tests.push(format!("{} ({}/{})", test.package, test.release, test.architecture))
            }
            SlotActivity::Paused(_) => paused += 1,
            SlotActivity::Probing => probing += 1,
            SlotActivity::Starting | SlotActivity::Waiting => waiting += 1,
            SlotActivity::Ended => {}
        }
    }
    let mut parts = Vec::new();
    if !tests.is_empty() {
        let further = tests.len().saturating_sub(MAX_NAMED_TESTS);
        tests.truncate(MAX_NAMED_TESTS);
        let more = if further > 0 { format!(" and {further} more") } else { String::new() };
        parts.push(format!("testing {}{more}", tests.join(", ")));
    }
    if waiting > 0 {
        parts.push(format!("{waiting} of {} slots waiting", worker.slots.len()));
    }
    if probing > 0 {
        parts.push(format!("{probing} probing after failures"));
    }
    if paused > 0 {
        parts.push(format!("{paused} paused after failures"));
    }
    let told = match worker.told {
        super::live_status::ShutdownPhase::Serving => "",
        super::live_status::ShutdownPhase::Finishing => "finishing: ",
        super::live_status::ShutdownPhase::Cancelling => "cancelling: ",
    };
    if parts.is_empty() {
        parts.push("nothing runs".to_owned());
    }
    format!("{told}{}", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::super::live_status::WorkerFacts;
    use super::super::shutdown::Shutdown;
    use super::*;
    use crate::request::Request;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn live_status(slots: usize) -> LiveStatus {
        let facts = WorkerFacts {
            name: "host:1".to_owned(),
            site: None,
            queue: "local:/queue".to_owned(),
            store: "folder:/results".to_owned(),
            queues: Vec::new(),
        };
        LiveStatus::new(facts, slots, Shutdown::default())
    }

    fn run(slot: &super::super::live_status::SlotReporter, text: &str) {
        let request = Request::parse(text.as_bytes()).unwrap().with_id();
        slot.running(&request, &"debci-sid-amd64".parse().unwrap(), 1);
    }

    struct Manager {
        socket: tokio::net::UnixDatagram,
        folder: tempfile::TempDir,
    }

    impl Manager {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
            socket.set_nonblocking(true).unwrap();
            Self { socket: tokio::net::UnixDatagram::from_std(socket).unwrap(), folder }
        }

        fn notifier(&self, watchdog: &str) -> Notifier {
            let path = self.folder.path().join("notify");
            let pid = std::process::id().to_string();
            let variables =
                [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", watchdog), ("WATCHDOG_PID", &pid)];
            Notifier::new(&environment(&variables)).unwrap().unwrap()
        }

        /// Waits for a message with this line; a minute is for a busy machine.
        async fn hears(&self, wanted: &str) {
            let listen = async {
                let mut buffer = vec![0; 4096];
                loop {
                    let length = self.socket.recv(&mut buffer).await.unwrap();
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    if text.lines().any(|line| line == wanted) {
                        return;
                    }
                }
            };
            let heard = tokio::time::timeout(Duration::from_secs(60), listen).await;
            assert!(heard.is_ok(), "{wanted} never came");
        }

        /// Discards the messages that have come so far, without waiting. Returns their number.
        fn forget(&self) -> usize {
            let mut buffer = vec![0; 4096];
            let mut count = 0;
            while self.socket.try_recv(&mut buffer).is_ok() {
                count += 1;
            }
            count
        }
    }

    #[tokio::test]
    async fn the_manager_hears_when_the_worker_is_ready_what_it_does_and_when_it_ends() {
        let manager = Manager::new();
        let notifier = manager.notifier("");
        let live_status = live_status(2);
        let work = async {
            manager.hears("STATUS=2 of 2 slots waiting").await;
            live_status.slot(1).waiting();
            assert_eq!(manager.forget(), 0, "one slot is not ready yet");
            live_status.slot(2).waiting();
            manager.hears("READY=1").await;
            run(&live_status.slot(1), "gzip");
            run(&live_status.slot(2), r#"hidden {"swiftuser": "alice"}"#);
            manager.hears("STATUS=testing gzip (sid/amd64), private-test (sid/amd64)").await;
            live_status.slot(2).failed("no testbed");
            live_status.slot(2).paused(Duration::from_secs(60));
            manager.hears("STATUS=testing gzip (sid/amd64); 1 paused after failures").await;
            live_status.stop().ask_to_finish(false);
            manager.hears("STOPPING=1").await;
            live_status.slot(1).ended();
            live_status.slot(2).ended();
            manager.hears("STATUS=finishing: nothing runs").await;
        };
        tokio::select! {
            () = notifier.run(&live_status) => panic!("it goes on for as long as the worker"),
            () = work => {}
        }
    }

    #[tokio::test]
    async fn a_slot_that_makes_no_progress_stops_the_watchdogs_food() {
        let manager = Manager::new();
        let limit = Duration::from_millis(800);
        let notifier = manager.notifier("800000");
        let live_status = live_status(2);
        live_status.slot(1).waiting();
        let work = async {
            manager.hears("WATCHDOG=1").await;
            // The progress of the other slot does not help.
            while live_status.stalled(limit / 2) != [2] {
                live_status.slot(1).progress();
                sleep(Duration::from_millis(5)).await;
            }
            manager.forget();
            let silent = tokio::time::timeout(limit * 2, manager.hears("WATCHDOG=1")).await;
            assert!(silent.is_err(), "the worker was not alive");
            let feeding = async {
                loop {
                    live_status.slot(1).progress();
                    live_status.slot(2).progress();
                    sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::select! {
                () = feeding => {}
                () = manager.hears("WATCHDOG=1") => {}
            }
        };
        tokio::select! {
            () = notifier.run(&live_status) => panic!("it goes on for as long as the worker"),
            () = work => {}
        }
    }

    #[test]
    fn only_a_watchdog_that_means_this_process_is_fed() {
        let watched = |variables: &[(&str, &str)]| watchdog(&environment(variables), 42);
        assert_eq!(watched(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "42")]), Some(Duration::from_secs(3)));
        assert_eq!(watched(&[("WATCHDOG_USEC", "3000000")]), Some(Duration::from_secs(3)));
        assert_eq!(watched(&[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "43")]), None);
        assert_eq!(watched(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(watched(&[("WATCHDOG_USEC", "soon")]), None);
        assert_eq!(watched(&[]), None);
    }

    #[test]
    fn a_manager_may_listen_at_an_abstract_name_and_there_may_be_none() {
        let name = format!("apt-ci-test-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::new(&environment(&[("NOTIFY_SOCKET", &format!("@{name}"))])).unwrap().unwrap();
        notifier.send("READY=1");
        let mut buffer = [0; 100];
        let length = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1");
        assert!(Notifier::new(&environment(&[])).unwrap().is_none());
        let error = Notifier::new(&environment(&[("NOTIFY_SOCKET", "vsock:2:1234")])).err().unwrap().to_string();
        assert!(error.contains("\"vsock:2:1234\""), "{error}");
        // A manager that is gone is ignored.
        drop(manager);
        notifier.send("WATCHDOG=1");
    }

    #[test]
    fn the_status_line_stays_a_line() {
        let live_status = live_status(20);
        for number in 1..=20 {
            run(&live_status.slot(number), &format!("package{number}"));
        }
        let line = status_line(&live_status.status());
        assert!(line.ends_with("package8 (sid/amd64) and 12 more"), "{line}");
    }
}
