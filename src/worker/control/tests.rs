//! Operators and other clients at a worker's socket.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::*;
use crate::broker::Settlement;
use crate::request::{Request, RequestId};
use crate::worker::live_status::{LiveStatus, ShutdownPhase, WorkerFacts};
use crate::worker::shutdown::Shutdown;

struct Worker {
    state: TempDir,
    live_status: LiveStatus,
    cancels: CancelRegistry,
    reloads: Arc<AtomicUsize>,
    socket: ControlSocket,
}

fn steering() -> (CommandHandlers, CancelRegistry, Arc<AtomicUsize>) {
    let cancels = CancelRegistry::default();
    let reloads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reloads);
    let reload = move || {
        count.fetch_add(1, Ordering::SeqCst);
        ReloadReport { changed: true, faults: vec!["worker.conf:3: no".to_owned()] }
    };
    (CommandHandlers { cancels: cancels.clone(), reload: Arc::new(reload) }, cancels, reloads)
}

fn live_status() -> LiveStatus {
    let facts = WorkerFacts {
        name: "host:1".to_owned(),
        site: Some("/etc/apt-ci".into()),
        queue: "local:/queue".to_owned(),
        store: "folder:/results".to_owned(),
        queues: Vec::new(),
    };
    LiveStatus::new(facts, 2, Shutdown::default())
}

impl Worker {
    fn start() -> Self {
        Self::start_in(TempDir::new().unwrap(), "")
    }

    fn start_in(state: TempDir, below: &str) -> Self {
        let (steering, cancels, reloads) = steering();
        let live_status = live_status();
        let socket = ControlSocket::open(&folder(&state.path().join(below)), live_status.clone(), steering).unwrap();
        Self { state, live_status, cancels, reloads, socket }
    }

    fn folder(&self) -> PathBuf {
        folder(self.state.path())
    }

    fn path(&self) -> PathBuf {
        self.folder().join(format!("{}.sock", std::process::id()))
    }

    fn client(&self) -> client::LiveWorker {
        client::workers(&self.folder()).unwrap().pop().unwrap()
    }

    /// Returns the worker's answer to these bytes.
    async fn raw(&self, bytes: impl Into<Vec<u8>>) -> String {
        let (path, bytes) = (self.path(), bytes.into());
        let exchange = spawn_blocking(move || {
            let mut stream = UnixStream::connect(path).unwrap();
            // The worker may refuse before it has read everything.
            let _ = stream.write_all(&bytes);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8(answer).unwrap()
        });
        timeout(Duration::from_secs(60), exchange).await.expect("an answer").unwrap()
    }
}

fn request() -> (Request, RequestId) {
    let request = Request::parse(b"gzip").unwrap().with_id();
    let id = request.uuid().unwrap().clone();
    (request, id)
}

#[tokio::test]
async fn an_operator_asks_and_the_worker_obeys() {
    let worker = Worker::start();
    let client = worker.client();
    assert_eq!(client.pid, std::process::id());
    let Reply::Status(status) = client.ask(&Command::Status).await.unwrap() else { panic!("no status") };
    assert_eq!((status.slots.len(), status.told), (2, ShutdownPhase::Serving));

    let reloaded = client.ask(&Command::Reload).await.unwrap();
    let faults = vec!["worker.conf:3: no".to_owned()];
    assert_eq!(reloaded, Reply::Reloaded(ReloadReport { changed: true, faults }));
    assert_eq!(worker.reloads.load(Ordering::SeqCst), 1);

    let stopped = client.ask(&Command::Stop { restart: true }).await.unwrap();
    assert_eq!(stopped, Reply::Stopping { told: ShutdownPhase::Finishing, running: 0 });
    assert!(worker.live_status.stop().finish.is_cancelled() && worker.live_status.stop().wants_restart());
    assert!(!worker.live_status.stop().cancel.is_cancelled());
    let (request, _) = request();
    worker.live_status.slot(2).running(&request, &"debci-sid-amd64".parse().unwrap(), 1);
    let cancelled = client.ask(&Command::CancelAll).await.unwrap();
    assert_eq!(cancelled, Reply::Stopping { told: ShutdownPhase::Cancelling, running: 1 });
    assert!(worker.live_status.stop().cancel.is_cancelled());
}

#[tokio::test]
async fn one_test_is_cancelled_and_no_other() {
    let worker = Worker::start();
    let client = worker.client();
    let [(first, id), (_, other)] = [request(), request()];
    let mut cancel_guard = worker.cancels.register(&id);
    let mut bystander = worker.cancels.register(&other);
    let cancel = Command::Cancel { uuid: id.to_string(), requeue: false };
    let uuid = id.to_string();
    assert_eq!(client.ask(&cancel).await.unwrap(), Reply::Cancelled { uuid: uuid.clone(), requeue: false });
    let Settlement::Dead(reason) = cancel_guard.cancelled().await.verdict() else { panic!("not dead") };
    let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    assert!(reason.starts_with(&format!("cancelled by {me} on ")), "{reason}");
    assert!(timeout(Duration::from_millis(20), bystander.cancelled()).await.is_err());

    // A confirmed cancellation takes effect, also in a slot that checks later.
    assert!(cancel_guard.close().is_some());
    assert!(bystander.close().is_none());
    worker.live_status.slot(1).running(&first, &"debci-sid-amd64".parse().unwrap(), 1);
    let late = client.ask(&cancel).await.unwrap();
    assert_eq!(late, Reply::NotCancelled { uuid: uuid.clone(), too_late: true });
    worker.live_status.slot(1).settled();
    let gone = client.ask(&cancel).await.unwrap();
    assert_eq!(gone, Reply::NotCancelled { uuid, too_late: false });

    let (_, id) = request();
    let back = worker.cancels.register(&id);
    client.ask(&Command::Cancel { uuid: id.to_string(), requeue: true }).await.unwrap();
    assert_eq!(back.close().unwrap().verdict(), Settlement::Return);
}

#[tokio::test]
async fn hostile_clients_are_answered_or_hung_up_on_and_disturb_nobody() {
    let worker = Worker::start();
    // The maximum number of clients, all of them silent: the next one waits until they are disconnected.
    let silent: Vec<UnixStream> = (0..16).map(|_| UnixStream::connect(worker.path()).unwrap()).collect();
    let mut half = UnixStream::connect(worker.path()).unwrap();
    half.write_all(b"{\"command\":").unwrap();
    let answer = worker.raw("GET / HTTP/1.1\n").await;
    assert!(answer.starts_with(r#"{"message":"the line is no JSON: "#) && answer.ends_with('\n'), "{answer}");
    assert!(worker.raw(vec![b'x'; 1 << 20]).await.contains("at most 4096 bytes"));
    assert!(worker.raw([0xff, 0, 0xfe, b'\n']).await.contains("\"reply\":\"error\""));
    assert!(worker.raw("[".repeat(4000) + "\n").await.contains("\"reply\":\"error\""));
    assert_eq!(worker.raw("").await.len(), 0, "who sends nothing gets nothing");
    drop((silent, half));
    assert!(matches!(worker.client().ask(&Command::Status).await, Ok(Reply::Status(_))));
    assert!(!worker.live_status.stop().finish.is_cancelled());
}

#[tokio::test]
async fn only_the_owner_may_come_near() {
    let state = TempDir::new().unwrap();
    // The folder was created with permissions for others.
    fs::create_dir(folder(state.path())).unwrap();
    fs::set_permissions(folder(state.path()), fs::Permissions::from_mode(0o777)).unwrap();
    let worker = Worker::start_in(state, "");
    let mode = |path: PathBuf| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(worker.folder()), mode(worker.path())), (0o700, 0o600));
    assert_eq!(fs::read_dir(worker.folder()).unwrap().count(), 1, "nothing else is left there");
}

#[tokio::test]
async fn what_dead_workers_leave_is_recognised() {
    let state = TempDir::new().unwrap();
    let folder = folder(state.path());
    fs::create_dir(&folder).unwrap();
    // Their listeners are closed, as those of killed processes.
    for name in ["1.sock", "4000000.sock"] {
        drop(UnixListener::bind(folder.join(name)).unwrap());
    }
    fs::write(folder.join("notes.txt"), "not ours").unwrap();
    assert!(client::workers(&folder).unwrap().is_empty());
    assert!(!folder.join("1.sock").exists() && !folder.join("4000000.sock").exists());
    drop(UnixListener::bind(folder.join("1.sock")).unwrap());
    drop(UnixListener::bind(folder.join(format!("{}.sock", std::process::id()))).unwrap());
    let worker = Worker::start_in(state, "");
    assert_eq!(client::workers(&folder).unwrap().len(), 1);
    assert!(!folder.join("1.sock").exists() && folder.join("notes.txt").exists());
    // A second worker with our process id is in another container, and keeps its socket.
    let (steering, ..) = steering();
    let error = ControlSocket::open(&folder, live_status(), steering).err().unwrap().to_string();
    assert!(error.contains("uses it already"), "{error}");
    let client = worker.client();
    drop(worker.socket);
    assert!(!folder.join(format!("{}.sock", std::process::id())).exists());
    assert!(matches!(client.ask(&Command::Status).await, Err(ControlError::Ended { .. })));
    assert!(client::workers(&folder.join("not/there")).unwrap().is_empty());
}

#[tokio::test]
async fn a_folder_with_a_very_long_name_serves_as_well() {
    let state = TempDir::new().unwrap();
    let long = "very-long".repeat(15);
    let worker = Worker::start_in(state, &long);
    let folder = folder(&worker.state.path().join(&long));
    let client = client::workers(&folder).unwrap().pop().expect("it is found");
    assert!(matches!(client.ask(&Command::Status).await, Ok(Reply::Status(_))));
    drop(worker.socket);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[tokio::test]
async fn whoever_waits_for_a_worker_learns_when_its_process_has_ended() {
    let state = TempDir::new().unwrap();
    let folder = folder(state.path());
    fs::create_dir(&folder).unwrap();
    let mut child = tokio::process::Command::new("sleep").arg("600").kill_on_drop(true).spawn().unwrap();
    let _listener = UnixListener::bind(folder.join(format!("{}.sock", child.id().unwrap()))).unwrap();
    let client = client::workers(&folder).unwrap().pop().unwrap();
    assert!(timeout(Duration::from_millis(200), client.ended()).await.is_err(), "it runs");
    child.start_kill().unwrap();
    // A zombie counts as ended.
    timeout(Duration::from_secs(60), client.ended()).await.expect("it has ended");
    child.wait().await.unwrap();
    timeout(Duration::from_secs(60), client.ended()).await.expect("it is gone");
}
