//! `apt-ci github retry`: tests a pull request again, as if the forge had sent it.

use std::time::Duration;

use apt_ci::forge::hook::Hook;
use apt_ci::forge::{Forge, PullName, PullRequest, signature};
use apt_ci::http::{AnswerTimeout, Timeouts, client_builder, read_text};
use apt_ci::request::line::Submission;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::access::{self, HookArgs, TokenFile};
use super::secrets;
use crate::session::Session;
use crate::submit::{QUEUED, SubmitArgs, submit};
use crate::ui::error::{BadInput, CommandResult, ErrorContext as _, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::short_id::ShortIds;
use crate::ui::table::{self, Cell};

/// Timeout for the service's answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUTS: Timeouts = Timeouts { connect: TIMEOUT, answer: AnswerTimeout::Whole(TIMEOUT) };
/// Maximum size of the service's answer.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Re-test a pull request
///
/// Asks the forge for the newest commit, and sends the service the event that the forge would send. Prints one line per
/// request: queue, package, request id.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github retry OWNER/REPO#7")]
pub struct RetryArgs {
    /// URL of the pull request, or OWNER/REPO#NUMBER
    #[arg(value_name = "PULL-REQUEST")]
    pull: PullName,
    #[command(flatten)]
    chosen: HookArgs,
    /// Queue the requests directly, without the service
    #[arg(long)]
    direct: bool,
    #[command(flatten)]
    submit: SubmitArgs,
    #[command(flatten)]
    token: TokenFile,
}

pub async fn run(forge: Forge, args: RetryArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let keyring = access::keyring(session, &site)?;
    let credentials = keyring.credentials();
    let hooks = access::hooks_of_pull(forge, &args.pull, &args.chosen, &args.token, &site)?;
    let hooks: Vec<Hook> = hooks.into_iter().map(|hook| narrowed(hook, &args.chosen)).collect();
    let Some(first) = hooks.first() else { return Ok(ExitStatus::Success) };
    let token = match args.token.given(forge, &first.api, session)? {
        Some(token) => Some(token),
        None => keyring.token(forge, &first.api, &first.project, &first.package)?,
    };
    let pull = access::client(first, token)?.pull(&first.project, args.pull.number).await?;
    if !pull.is_open {
        session.ui.warn(format!("{} #{} is closed", first.project, pull.number));
    }
    if args.direct {
        let nonce = uuid::Uuid::new_v4().to_string();
        let mut submissions = Vec::new();
        for hook in &hooks {
            let now = Timestamp::now();
            let requests = hook.requests(&pull, &nonce).context("cannot test the pull request")?;
            submissions.extend(
                requests.into_iter().map(|one| Submission { request: one.request.with_submit_time(now), ..one }),
            );
        }
        return submit(submissions, &args.submit, session, &site).await;
    }
    if args.submit.needs_queue() {
        let message = "--force and --wait need access to the queue and work only with --direct".to_owned();
        return Err(BadInput { message, hint: Some("add --direct".to_owned()) }.into());
    }
    let service = access::service(&site)?;
    if forge == Forge::GitLab && !service.is_private() {
        let message = format!("refusing to send the hook's secret to {service} without TLS");
        let hint =
            "set its https:// address in apt-ci.toml, or use --direct to queue the requests without it".to_owned();
        return Err(BadInput { message, hint: Some(hint) }.into());
    }
    let mut answers = Vec::new();
    for hook in &hooks {
        let secret = secrets::of(hook, &service, credentials)?.ok_or_else(|| OperationFailed {
            message: format!("no secret for {}", hook.project),
            hint: "run `apt-ci credentials list` to list the credentials, or `apt-ci github sync` (or \
                 gitlab) to create a secret and set it at the forge"
                .into(),
        })?;
        let answer = match deliver(hook, &hook.payload_url(&service), &pull, &secret).await {
            Ok(answer) => answer,
            Err(error) => {
                // Requests that are already queued are reported in any case.
                if !answers.is_empty() {
                    show(&answers, session)?;
                }
                return Err(error);
            }
        };
        answers.push(answer);
    }
    if requests(&answers).next().is_none() {
        session.ui.note("Nothing was queued: this commit is already queued.");
    }
    show(&answers, session)?;
    Ok(ExitStatus::Success)
}

/// Returns the requests that the service names in its answers.
fn requests(answers: &[Value]) -> impl Iterator<Item = &Value> {
    answers.iter().filter_map(|answer| answer.get("requests")?.as_array()).flatten()
}

fn show(answers: &[Value], session: &Session) -> CommandResult<()> {
    if session.ui.is_json {
        return session.ui.json(&answers);
    }
    let text = |request: &Value, key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let ids: Vec<String> = requests(answers).map(|request| text(request, "uuid")).collect();
    let short = ShortIds::of(ids.iter().map(String::as_str));
    let rows: Vec<Vec<Cell>> = requests(answers)
        .zip(&ids)
        .map(|(request, id)| {
            vec![Cell::new(text(request, "queue")), Cell::new(text(request, "package")), short.cell(id)]
        })
        .collect();
    table::print(&session.ui, &QUEUED, &rows)
}

fn narrowed(hook: Hook, chosen: &HookArgs) -> Hook {
    let mut hook = hook;
    hook.architectures.retain(|one| chosen.architectures.is_empty() || chosen.architectures.contains(one));
    hook
}

/// Sends the service a signed event. Returns its answer.
async fn deliver(hook: &Hook, url: &str, pull: &PullRequest, secret: &SecretString) -> CommandResult<Value> {
    let id = uuid::Uuid::new_v4().to_string();
    let body = payload(hook, pull, &id).to_string();
    // The secret does not follow redirects.
    let client = client_builder(&TIMEOUTS, reqwest::redirect::Policy::none()).build()?;
    let request = client.post(url).header("content-type", "application/json");
    let request = match hook.forge {
        Forge::GitHub => request
            .header("x-github-event", "pull_request")
            .header("x-github-delivery", &id)
            .header("x-hub-signature-256", signature::sign(secret, body.as_bytes())),
        Forge::GitLab => request
            .header("x-gitlab-event", "Merge Request Hook")
            .header("x-gitlab-event-uuid", &id)
            .header("x-gitlab-token", secret.expose_secret()),
    };
    let response = request.body(body).send().await.map_err(|error| OperationFailed {
        message: format!("cannot reach the service at {}: {}", host(url), TIMEOUTS.reason(error)),
        hint: "check that `apt-ci serve` is running there, or use --direct to queue the requests without it".into(),
    })?;
    let status = response.status();
    let text = read_text(response, MAX_ANSWER_BYTES).await.unwrap_or_default();
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(answer);
    }
    let reason = answer.get("error").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
    Err(OperationFailed {
        message: format!("the service at {} answered {}: {reason}", host(url), status.as_u16()),
        hint: "see its log for details, or use --direct to queue the requests without it".into(),
    }
    .into())
}

fn host(url: &str) -> &str {
    url.split("/request.cgi").next().and_then(|url| url.split("/webhooks/").next()).unwrap_or(url)
}

/// Returns what the service reads of the event that the forge would send, and a nonce, so that no two events are the
/// same.
fn payload(hook: &Hook, pull: &PullRequest, nonce: &str) -> Value {
    match hook.forge {
        Forge::GitHub => json!({
            "action": "synchronize",
            "number": pull.number,
            "pull_request": {
                "number": pull.number,
                "state": if pull.is_open { "open" } else { "closed" },
                "updated_at": pull.updated,
                "head": {"sha": pull.commit},
                "base": {"repo": {"full_name": hook.project, "clone_url": pull.clone_url}},
            },
            "repository": {"full_name": hook.project, "clone_url": pull.clone_url},
            "apt-ci-retry": nonce,
        }),
        Forge::GitLab => json!({
            "object_kind": "merge_request",
            "project": {"path_with_namespace": hook.project, "git_http_url": pull.clone_url},
            "object_attributes": {
                "iid": pull.number, "action": "reopen", "updated_at": pull.updated, "last_commit": {"id": pull.commit},
            },
            "apt-ci-retry": nonce,
        }),
    }
}
