//! `apt-ci serve`: the web service.

use std::net::SocketAddr;

use apt_ci::pulls::journal::Journal;
use apt_ci::pulls::keyring::Keyring;
use apt_ci::web::{self, Parts};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::session::Session;
use crate::ui::error::{CommandResult, ErrorContext as _};
use crate::ui::exit::ExitStatus;

/// Run the web service for test requests and for GitHub and GitLab webhooks
#[derive(clap::Args)]
#[command(after_help = "\
POST /request.cgi        test requests, as with `apt-ci run`, for holders of an API key
                         (`apt-ci credentials set api-key USER --generate`);
                         webhook deliveries whose URLs have the same parameters
POST /webhooks/github    GitHub deliveries without parameters: all tests declared for the project
POST /webhooks/gitlab    GitLab deliveries, likewise
GET  /requests/ID        status of a request, or redirect to its log
GET  /healthz            200 if requests can be queued, otherwise 503
GET  /metrics            metrics for Prometheus

It serves plain HTTP; TLS needs a reverse proxy. Its public URL is `url` in the section [web] of apt-ci.toml.
SIGTERM or Ctrl-C: finish open requests, then exit. It can be killed at any time without losing anything.

Examples:
  apt-ci serve --listen 127.0.0.1:8870
  curl -H 'Authorization: Bearer KEY' -d 'release=noble&arch=amd64&package=gzip&trigger=glibc/2.39-1' https://HOST/request.cgi")]
pub struct ServeArgs {
    /// Address to listen on (port 0: a free one) [default: the site's, else 127.0.0.1:8870]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be ADDRESS:PORT, such as 127.0.0.1:8870".to_owned())
}

pub async fn run(args: ServeArgs, session: &Session) -> CommandResult<ExitStatus> {
    let stop = stop_on_signals()?;
    let site = session.site()?;
    let credentials = session.credentials(&site)?;
    let hooks = site.hooks()?;
    for hook in &hooks {
        let known = site.architectures(&hook.release).unwrap_or_default();
        if let Some(other) = hook.architectures.iter().find(|one| !known.contains(one)) {
            // The other hooks work without it.
            session.ui.log_warning(format!(
                "the hook of {} asks for {} on {other}, which is not in [releases] of apt-ci.toml: it cannot be queued",
                hook.project, hook.release
            ));
        }
    }
    let journal = Journal::open(&Journal::path(&site.state_dir))?;
    let store = session.store(&site)?;
    let broker = session.broker(&site).await?;
    broker.declare(&site.queues()).await?;
    let address = args.listen.unwrap_or(site.web_listen.value);
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let url = match &site.web_url {
        Some(url) => url.value.clone(),
        None => {
            session.ui.log_warning("`url` is not set in section [web] of apt-ci.toml; links work only on this machine");
            format!("http://{address}").parse()?
        }
    };
    // Through the log, which does not block when nothing reads it.
    session.ui.log_note(format!("Listening on http://{address} for {url}."));
    let parts = Parts { site, hooks, url, broker, store, journal, keyring: Keyring::new(credentials) };
    web::serve(listener, parts, stop).await;
    Ok(ExitStatus::Success)
}

fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(target: "apt_ci::web", "stopping: what has come in is answered first");
        told.cancel();
    });
    Ok(stop)
}
