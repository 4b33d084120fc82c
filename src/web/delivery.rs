//! A forge's delivery: proved, read, written down, queued; and only then answered.

use std::time::Instant;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::reply::Reply;
use super::{Service, Whole};
use crate::forge::delivery::Delivery;
use crate::forge::event::{self, Action, Event};
use crate::forge::hook::Hook;
use crate::forge::query::Query;
use crate::forge::signature::{self, Secrets, Signer};
use crate::forge::{Forge, PullRequest, status};
use crate::pulls::PullTest;
use crate::pulls::intake::Answer;
use crate::pulls::journal::{Delivered, Wish};
use crate::request::line::Submission;
use crate::request::{EnvVar, Request};

/// Takes a delivery.
pub(super) async fn receive(service: &Service, forge: Forge, whole: &Whole) -> Reply {
    let begun = Instant::now();
    let header = |name: &str| whole.header(name);
    let Some(delivery) = Delivery::new(forge, &header, &whole.body) else {
        return Reply::error(StatusCode::BAD_REQUEST, "a delivery has an event and an id");
    };
    let payload = delivery.payload(whole.header("content-type").unwrap_or_default());
    let reply = match prove(service, &delivery, &payload, whole) {
        Ok((signer, hooks)) => act(service, &delivery, &payload, signer, &hooks).await,
        Err(reason) => refuse(service, &delivery, reason),
    };
    service.metrics.delivered(forge, reply.status, begun.elapsed());
    reply
}

/// Every refusal looks the same from outside.
fn refuse(service: &Service, delivery: &Delivery<'_>, reason: &str) -> Reply {
    warn!(forge = %delivery.forge, delivery = delivery.id, event = loggable(delivery.event), "refused: {reason}");
    service.metrics.refused(delivery.forge, reason);
    Reply::error(StatusCode::FORBIDDEN, "this delivery is not accepted")
}

/// What the log takes of a text from outside.
fn loggable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(40).collect()
}

/// Finds the hooks that a delivery is for, which are of one project, and checks that it comes from who knows their secret. That takes the same way, and time, when
/// there is no such hook.
fn prove(
    service: &Service,
    delivery: &Delivery<'_>,
    payload: &[u8],
    whole: &Whole,
) -> Result<(Signer, Vec<Hook>), &'static str> {
    let hooks = service.declared.hooks();
    let query = Query::parse(&whole.query).ok();
    let project = delivery.project(payload);
    let hooks: Vec<Hook> = hooks
        .iter()
        .filter(|hook| hook.forge == delivery.forge && project.as_deref().is_some_and(|name| hook.project.is(name)))
        .filter_map(|hook| hook.asked(query.as_ref()?))
        .collect();
    let first = hooks.first();
    let mut failure = None;
    let secrets = match first.map(|hook| service.keyring.secrets(hook)) {
        Some(Ok(secrets)) => secrets,
        Some(Err(error)) => {
            warn!("{error}");
            failure = Some("the hook's secret cannot be opened");
            Secrets::default()
        }
        None => {
            failure = Some("no declared hook has this project and address");
            Secrets::default()
        }
    };
    let legacy = first.is_some_and(|hook| hook.legacy);
    let signer = match delivery.forge {
        Forge::GitHub => signature::github(&secrets, &delivery.proof, delivery.body, legacy),
        Forge::GitLab => signature::gitlab(&secrets, &delivery.proof),
    };
    match (signer, failure) {
        (Some(signer), None) => Ok((signer, hooks)),
        (_, Some(reason)) => Err(reason),
        (None, None) if secrets.current.is_none() && secrets.next.is_none() => Err("the hook has no secret here"),
        (None, None) => Err("the signature is wrong"),
    }
}

async fn act(service: &Service, delivery: &Delivery<'_>, payload: &[u8], signer: Signer, hooks: &[Hook]) -> Reply {
    let id = &delivery.id;
    let event = match event::read(delivery.forge, delivery.event, payload) {
        Ok(event) => event,
        Err(error) => {
            warn!(forge = %delivery.forge, delivery = id, "cannot be read: {error}");
            return Reply::error(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
        }
    };
    let done = |mut body: Value, status| {
        body["secret"] = json!(signer);
        Reply::new(status, body)
    };
    let (action, pull) = match event {
        Event::Ping => return done(json!({"state": "pong"}), StatusCode::OK),
        Event::Unrelated(reason) => return done(json!({"state": "ignored", "reason": reason}), StatusCode::OK),
        Event::Pull(action, pull) => (action, pull),
    };
    let wish = match action {
        Action::Test => tests(hooks, &pull, id).map(Wish::Test),
        Action::Close => close(hooks, &pull),
    };
    let wish = match wish {
        Ok(wish) => wish,
        Err(error) => {
            warn!(forge = %delivery.forge, delivery = id, "cannot be tested: {error}");
            return Reply::error(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
        }
    };
    let delivered = Delivered { id: key(delivery, hooks), digest: digest(delivery, hooks), wish };
    match service.intake.deliver(delivered).await {
        Answer::Queued(requests) => {
            info!(forge = %delivery.forge, delivery = id, pull = pull.number, "queued {} requests", requests.len());
            service.metrics.queued(requests.len());
            done(json!({"state": "accepted", "requests": shown(&requests)}), StatusCode::ACCEPTED)
        }
        Answer::Known => done(json!({"state": "known", "reason": "this delivery was taken before"}), StatusCode::OK),
        Answer::Unfinished => Reply::later("this delivery came before; whether it is queued is being found out"),
        Answer::Repeated => refuse(service, delivery, "another delivery had the same content"),
        Answer::Unavailable(reason) => Reply::later(reason),
    }
}

fn tests(hooks: &[Hook], pull: &PullRequest, delivery: &str) -> Result<Vec<PullTest>, event::InvalidEvent> {
    let now = Timestamp::now();
    let mut tests = Vec::new();
    for hook in hooks {
        for Submission { queue, request } in hook.requests(pull, delivery)? {
            let submission = Submission { queue, request: request.submitted_at(now) };
            // Each has its id.
            tests.extend(PullTest::new(
                hook.forge,
                &hook.api,
                &hook.project,
                pull.number,
                &pull.commit,
                submission,
                now,
            ));
        }
    }
    Ok(tests)
}

fn close(hooks: &[Hook], pull: &PullRequest) -> Result<Wish, event::InvalidEvent> {
    let (mut contexts, mut whose) = (Vec::new(), None);
    for hook in hooks {
        // A closed pull request is that of the project all the same; only the contexts matter here.
        let any = PullRequest { clone_url: hook.own_clone_url(), ..pull.clone() };
        for Submission { queue, request } in hook.requests(&any, "")? {
            contexts.push(status::context(&request, &queue));
        }
        whose = Some((hook.forge, hook.project.clone()));
    }
    let (forge, project) = whose.unwrap_or_else(|| unreachable!("a proved delivery has a hook"));
    Ok(Wish::Close { forge, project, number: pull.number, contexts })
}

/// What identifies a delivery. A forge sends the same event to several hooks under one id.
fn key(delivery: &Delivery<'_>, hooks: &[Hook]) -> String {
    format!("{} {} {}", delivery.forge, delivery.id, hash(hooks, b""))
}

/// What is the same when somebody sends a delivery again under another id.
fn digest(delivery: &Delivery<'_>, hooks: &[Hook]) -> String {
    hash(hooks, delivery.body)
}

fn hash(hooks: &[Hook], body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for hook in hooks {
        let env: Vec<&str> = hook.env.iter().map(EnvVar::as_str).collect();
        hash.update(format!("{} {} {} {}\n", hook.api, hook.project, hook.title(), env.join(";")));
    }
    hash.update(body);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Requests as they are answered for.
pub(super) fn shown(requests: &[Submission]) -> Vec<Value> {
    let id = |request: &Request| request.uuid().map(ToString::to_string);
    let one = |one: &Submission| json!({"uuid": id(&one.request), "queue": one.queue, "package": one.request.package().as_str()});
    requests.iter().map(one).collect()
}
