//! The web service: accepts requests and deliveries of hooks, and keeps the statuses of pull requests up to date.
//!
//! The service speaks plain HTTP, for a reverse proxy with TLS. All of its state is in the journal, the queue, the
//! store and the site, so that it can be killed at any time.

mod background;
mod bearer;
mod bodies;
mod connections;
mod delivery;
mod hook_registry;
mod manual;
mod metrics;
mod page;
mod reply;
mod senders;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::forge::hook::Hook;
use crate::pulls::intake::Intake;
use crate::pulls::journal::Journal;
use crate::pulls::keyring::Keyring;
use crate::release::QueueName;
use crate::server_url::ServerUrl;
use crate::site::Site;
use crate::store::Store;

use self::bodies::{BodyMemory, Reservation};
use self::connections::OpenConnection;
use self::hook_registry::HookRegistry;
use self::metrics::Metrics;
use self::reply::Reply;
use self::senders::{Sender, Senders};

/// Maximum size of a body, in bytes. Deliveries about pull requests have less than a tenth of it.
pub const MAX_BODY_SIZE: usize = 5 << 20;
/// Timeout for the queue's answer to a health check.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for work that has begun, after the service was stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);

/// Everything that the service needs.
pub struct Parts {
    /// The site.
    pub site: Site,
    /// Its hooks, as they were read last.
    pub hooks: Vec<Hook>,
    /// The public address of the service.
    pub url: ServerUrl,
    /// The queue.
    pub broker: Broker,
    /// The store.
    pub store: Store,
    /// The journal of pull requests.
    pub journal: Journal,
    /// The secrets.
    pub keyring: Keyring,
}

/// The service.
struct Service {
    site: Site,
    url: ServerUrl,
    broker: Arc<Broker>,
    store: Store,
    journal: Journal,
    keyring: Arc<Keyring>,
    hook_registry: HookRegistry,
    metrics: Metrics,
    intake: Intake,
    /// Held from the search for duplicates until the new requests are queued.
    submission_lock: Arc<Mutex<()>>,
    /// Memory for bodies.
    bodies: Arc<BodyMemory>,
    /// Known senders and failed attempts.
    senders: Senders,
    /// Permits for computations that block a thread, as many as there are processors.
    compute_permits: Semaphore,
}

impl Service {
    /// Runs a computation on another thread, so that it does not delay other requests.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        // The semaphore is never closed.
        let _place = self.compute_permits.acquire().await;
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            // The task is never aborted, so it has panicked.
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }
}

/// Serves until `stop` is cancelled, and finishes the work that has begun.
pub async fn serve(listener: TcpListener, parts: Parts, stop: CancellationToken) {
    let Parts { site, hooks, url, broker, store, journal, keyring } = parts;
    let broker = Arc::new(broker);
    let (changed, _) = watch::channel(());
    let known: Vec<QueueName> = site.queues();
    let (intake, desk) = Intake::new(journal.clone(), Arc::clone(&broker), known, changed.clone());
    let service = Arc::new(Service {
        hook_registry: HookRegistry::new(site.clone(), hooks),
        submission_lock: Arc::default(),
        bodies: Arc::default(),
        senders: Senders::default(),
        compute_permits: Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)),
        keyring: Arc::new(keyring),
        metrics: Metrics::new(),
        site,
        url,
        broker,
        store,
        journal,
        intake,
    });
    let background = tokio::spawn(background::run(Arc::clone(&service), changed, stop.clone()));
    let desk = tokio::spawn(desk.serve());
    connections::serve(listener, router(service), stop).await;
    // No sender of the intake is left.
    let rest = async {
        // The tasks fail only if they panic.
        let _ = background.await;
        let _ = desk.await;
    };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, rest).await.is_err() {
        tracing::warn!("something takes too long: it is found in the journal and done later");
    }
}

fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/request.cgi", post(request_cgi))
        .route("/webhooks/github", post(request_cgi))
        .route("/webhooks/gitlab", post(request_cgi))
        .route("/requests/{id}", get(page::show))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics::show))
        .fallback(async || Reply::error(StatusCode::NOT_FOUND, "there is no such page"))
        .with_state(service)
}

/// A request with its body.
struct BufferedRequest {
    query: String,
    headers: HeaderMap,
    body: Bytes,
    sender: Sender,
    /// Whether the path begins with `/webhooks/`.
    is_webhook: bool,
    /// Its share of the memory for bodies.
    _reserved: Reservation,
}

impl BufferedRequest {
    /// Returns a header that is a valid string.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    async fn read(service: &Service, request: Request<Body>) -> Result<Self, Reply> {
        let (parts, body) = request.into_parts();
        let connection = parts.extensions.get::<Arc<OpenConnection>>();
        let peer = connection.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |connection| connection.peer);
        let sender = Sender::new(peer, &parts.headers);
        let is_known = service.senders.is_known(sender, Instant::now());
        let announced = parts.headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        let (body, reserved) = bodies::read(&service.bodies, sender, is_known, announced, body).await?;
        connection.into_iter().for_each(|connection| connection.mark_complete());
        Ok(Self {
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            sender,
            is_webhook: parts.uri.path().starts_with("/webhooks/"),
            _reserved: reserved,
        })
    }
}

/// Accepts a delivery of a forge or a request of a user.
async fn request_cgi(State(service): State<Arc<Service>>, request: Request<Body>) -> Reply {
    let whole = match BufferedRequest::read(&service, request).await {
        Ok(whole) => whole,
        Err(reply) => return reply,
    };
    let header = |name: &str| whole.header(name);
    match crate::forge::delivery::Delivery::forge(&header) {
        Some(forge) => delivery::receive(&service, forge, whole).await,
        None if whole.is_webhook => Reply::error(StatusCode::BAD_REQUEST, "this is no delivery of GitHub or GitLab"),
        None => manual::receive(&service, whole).await,
    }
}

/// Reports whether a delivery could be queued now.
async fn health(State(service): State<Arc<Service>>) -> Response {
    let queues = service.site.queues();
    let one = queues.get(..1).unwrap_or_default();
    let asked = async {
        service.broker.existing(one).await?;
        service.broker.takes_messages().await
    };
    match tokio::time::timeout(HEALTH_TIMEOUT, asked).await {
        Ok(Ok(())) => Reply::new(StatusCode::OK, serde_json::json!({"status": "good"})).into_response(),
        Ok(Err(error)) => Reply::error(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        Err(_) => Reply::error(StatusCode::SERVICE_UNAVAILABLE, "the queue does not answer").into_response(),
    }
}
