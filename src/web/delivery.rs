//! Deliveries of forges: verified, parsed, recorded and queued before they are answered.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::{error, info, warn};

use super::reply::Reply;
use super::senders::{LogExtent, Sender};
use super::{BufferedRequest, Service};
use crate::forge::delivery::Delivery;
use crate::forge::event::{self, ClosedPull, Event};
use crate::forge::hook::Hook;
use crate::forge::query::Query;
use crate::forge::signature::{self, Secrets, Signer};
use crate::forge::{Forge, PullRequest};
use crate::pulls::PullTest;
use crate::pulls::intake::Answer;
use crate::pulls::journal::{DeliveryAction, DeliveryRecord};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{EnvVar, Request};
use crate::site::credentials::CredentialsError;

/// A delivery after the checks that need no other service.
struct CheckedDelivery {
    id: String,
    /// The name of its event, for logs.
    event: String,
    proved: Result<VerifiedDelivery, Refusal>,
}

/// A delivery whose sender knows the secret.
struct VerifiedDelivery {
    signer: Signer,
    /// The hooks that it is for, all of one project.
    hooks: Vec<Hook>,
    event: Result<Event, event::InvalidEvent>,
    /// Digest of its body.
    digest: String,
}

/// Processes a delivery.
pub(super) async fn receive(service: &Arc<Service>, forge: Forge, whole: BufferedRequest) -> Reply {
    let begun = Instant::now();
    let sender = whole.sender;
    let checking = Arc::clone(service);
    let Some(checked) = service.compute(move || check(&checking, forge, &whole)).await else {
        return Reply::error(StatusCode::BAD_REQUEST, "a delivery has an event and an id");
    };
    let reply = match checked.proved {
        Ok(proved) => {
            service.senders.note_known(sender, begun);
            act(service, forge, &checked.id, proved)
                .await
                .unwrap_or_else(|reason| refuse(service, forge, &checked.id, &checked.event, sender, reason))
        }
        Err(Refusal::Foreign(reason)) => refuse(service, forge, &checked.id, &checked.event, sender, reason),
        Err(Refusal::Ours(failure)) => {
            error!(%forge, delivery = checked.id, "{failure}");
            Reply::later("this delivery cannot be checked now")
        }
    };
    service.metrics.delivered(forge, reply.status, begun.elapsed());
    reply
}

/// Verifies and parses a delivery, which takes long when it is large. None without an event and an id.
fn check(service: &Service, forge: Forge, whole: &BufferedRequest) -> Option<CheckedDelivery> {
    let header = |name: &str| whole.header(name);
    let delivery = Delivery::new(forge, &header, &whole.body)?;
    let payload = delivery.payload(whole.header("content-type").unwrap_or_default());
    let hooks = service.hook_registry.hooks();
    let proved = verify(&hooks, |hook| service.keyring.secrets(hook), &delivery, &payload, &whole.query);
    let proved = proved.map(|(signer, hooks)| VerifiedDelivery {
        signer,
        hooks,
        event: event::read(forge, delivery.event, &payload),
        digest: digest(delivery.body),
    });
    Some(CheckedDelivery { event: loggable(delivery.event), id: delivery.id, proved })
}

/// Reason why a delivery is refused.
enum Refusal {
    /// Its sender does not know the secret, or no hook matches.
    Foreign(&'static str),
    /// The secret cannot be read.
    Ours(CredentialsError),
}

/// Logs and counts a refusal. The answer is the same for all reasons.
fn refuse(service: &Service, forge: Forge, id: &str, event: &str, sender: Sender, reason: &'static str) -> Reply {
    match service.senders.line(sender, Instant::now()) {
        LogExtent::Whole => warn!(%forge, delivery = id, event, "refused: {reason}"),
        LogExtent::Last => warn!(
            %forge, delivery = id, event, address = %sender,
            "refused: {reason}; further ones from there are not logged for a minute, but counted in the metrics"
        ),
        LogExtent::None => {}
    }
    service.metrics.refused(forge, reason);
    Reply::error(StatusCode::FORBIDDEN, "this delivery is not accepted")
}

/// Returns the part of a foreign text that is logged.
fn loggable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(40).collect()
}

/// Returns the hooks of a delivery, all of one project, after verifying its signature. Without such a hook, the
/// verification takes the same time.
fn verify(
    hooks: &[Hook],
    secrets_of: impl Fn(&Hook) -> Result<Secrets, CredentialsError>,
    delivery: &Delivery<'_>,
    payload: &[u8],
    query: &str,
) -> Result<(Signer, Vec<Hook>), Refusal> {
    let query = Query::parse(query).ok();
    let project = delivery.project(payload);
    let is_meant = |hook: &&Hook| {
        hook.forge == delivery.forge && project.as_deref().is_some_and(|project| hook.project.is(project))
    };
    let hooks: Vec<Hook> = hooks.iter().filter(is_meant).filter_map(|hook| hook.for_query(query.as_ref()?)).collect();
    let proves = |secrets: &Secrets, legacy: bool| match delivery.forge {
        Forge::GitHub => signature::verify_github(secrets, &delivery.proof, delivery.body, legacy),
        Forge::GitLab => signature::verify_gitlab(secrets, &delivery.proof),
    };
    let Some(first) = hooks.first() else {
        proves(&Secrets::default(), false);
        return Err(Refusal::Foreign("no declared hook has this project and address"));
    };
    let secrets = secrets_of(first).map_err(Refusal::Ours)?;
    let Some(signer) = proves(&secrets, first.legacy) else {
        let has_none = secrets.current.is_none() && secrets.next.is_none();
        let reason = if has_none { "the hook has no secret here" } else { "the signature is wrong" };
        return Err(Refusal::Foreign(reason));
    };
    // Other hooks of the project may have another secret, or require a better signature.
    let mut proved = Vec::with_capacity(hooks.len());
    for hook in hooks {
        if proves(&secrets_of(&hook).map_err(Refusal::Ours)?, hook.legacy).is_some() {
            proved.push(hook);
        }
    }
    Ok((signer, proved))
}

/// Processes a verified delivery. An error is the reason of a refusal.
async fn act(service: &Service, forge: Forge, id: &str, proved: VerifiedDelivery) -> Result<Reply, &'static str> {
    let VerifiedDelivery { signer, hooks, event, digest } = proved;
    let hooks = hooks.as_slice();
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            warn!(%forge, delivery = id, "cannot be read: {error}");
            return Ok(Reply::error(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()));
        }
    };
    // GitLab disables hooks that are answered with errors, so the trouble is part of a successful answer.
    let mut trouble = None;
    if matches!(event, Event::Ping | Event::Unrelated(_))
        && let Some(queue) = missing_queue(service, hooks).await
    {
        error!(%forge, delivery = id, "there is no queue {queue}: has [releases] of apt-ci.toml changed since the start?");
        trouble = Some(format!(
            "there is no queue {queue}; where [releases] has changed, the service is to be started again"
        ));
    }
    let done = |mut body: Value, status| {
        body["secret"] = json!(signer);
        if let Some(trouble) = &trouble {
            body["trouble"] = json!(trouble);
        }
        Ok(Reply::new(status, body))
    };
    let (number, action) = match event {
        Event::Ping => return done(json!({"state": "pong"}), StatusCode::OK),
        Event::Unrelated(reason) => return done(json!({"state": "ignored", "reason": reason}), StatusCode::OK),
        Event::Test(pull) => (pull.number, tests(hooks, &pull, id).map(|tests| Some(DeliveryAction::Test(tests)))),
        Event::Close(pull) => (pull.number, Ok(close(hooks, &pull))),
    };
    let action = match action {
        Ok(Some(action)) => action,
        Ok(None) => return done(json!({"state": "ignored", "reason": "no hook is declared"}), StatusCode::OK),
        Err(error) => {
            warn!(%forge, delivery = id, "cannot be tested: {error}");
            return Ok(Reply::error(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()));
        }
    };
    let delivered = DeliveryRecord { id: key(forge, id, hooks), digest, action };
    match service.intake.deliver(delivered).await {
        Answer::Queued(requests) => {
            info!(%forge, delivery = id, pull = number, "queued {} requests", requests.len());
            service.metrics.queued(requests.len());
            done(json!({"state": "accepted", "requests": shown(&requests)}), StatusCode::ACCEPTED)
        }
        Answer::Known => done(json!({"state": "known", "reason": "this delivery was taken before"}), StatusCode::OK),
        Answer::Unfinished => Ok(Reply::later("this delivery came before; whether it is queued is being found out")),
        Answer::Repeated => Err("another delivery had the same content"),
        Answer::Unavailable(reason) | Answer::Unconfirmed(reason) => Ok(Reply::later(reason)),
    }
}

/// Returns a missing queue of these hooks, without which none of their tests could be queued.
async fn missing_queue(service: &Service, hooks: &[Hook]) -> Option<QueueName> {
    let known = service.site.queues();
    let needed: Vec<QueueName> = hooks.iter().flat_map(Hook::queues).filter(|queue| !known.contains(queue)).collect();
    if needed.is_empty() {
        return None;
    }
    // Without an answer of the broker, the next pull request shows it.
    let there = service.broker.existing(&needed).await.ok()?;
    needed.into_iter().find(|queue| !there.contains(queue))
}

fn tests(hooks: &[Hook], pull: &PullRequest, delivery: &str) -> Result<Vec<PullTest>, event::InvalidEvent> {
    let now = Timestamp::now();
    let mut tests = Vec::new();
    for hook in hooks {
        for Submission { queue, request } in hook.requests(pull, delivery)? {
            let submission = Submission { queue, request: request.with_submit_time(now) };
            // Every request has an id, so there is a test. Without a time from the forge, the order of arrival counts.
            let test = PullTest::new(hook.forge, &hook.api, &hook.project, pull.number, &pull.commit, submission, now);
            tests.extend(test.map(|test| PullTest { changed: changed(pull.updated, now), ..test }));
        }
    }
    Ok(tests)
}

/// Returns when a pull request changed, in whole seconds, because forges send fractions in some events only.
fn changed(updated: Option<Timestamp>, now: Timestamp) -> Timestamp {
    updated.map_or(now, |updated| Timestamp::from_second(updated.as_second()).unwrap_or(updated))
}

/// Returns the action for a closed pull request; none without a hook.
fn close(hooks: &[Hook], pull: &ClosedPull) -> Option<DeliveryAction> {
    let first = hooks.first()?;
    let contexts = hooks.iter().flat_map(Hook::contexts).collect();
    let (api, project, changed) = (first.api.clone(), first.project.clone(), changed(pull.updated, Timestamp::now()));
    Some(DeliveryAction::Close { forge: first.forge, api, project, number: pull.number, changed, contexts })
}

/// Returns the id of a delivery in the journal. A forge sends the same event to several hooks under one id.
fn key(forge: Forge, id: &str, hooks: &[Hook]) -> String {
    let asked = hooks.iter().map(|hook| {
        let env: Vec<&str> = hook.env.iter().map(EnvVar::as_str).collect();
        format!("{} {} {} {}\n", hook.api, hook.project, hook.title(), env.join(";"))
    });
    format!("{forge} {id} {}", digest(asked.collect::<String>().as_bytes()))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns requests in the form of an answer.
pub(super) fn shown(requests: &[Submission]) -> Vec<Value> {
    let id = |request: &Request| request.uuid().map(ToString::to_string);
    let one = |one: &Submission| json!({"uuid": id(&one.request), "queue": one.queue, "package": one.request.package().as_str()});
    requests.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::*;

    const SECRET: &str = "the secret of the hook";

    fn hook() -> Hook {
        Hook {
            forge: Forge::GitHub,
            api: Forge::GitHub.api(),
            project: "me/thing".parse().unwrap(),
            release: "noble".parse().unwrap(),
            architectures: vec!["amd64".parse().unwrap()],
            package: "thing".parse().unwrap(),
            build_git: None,
            ppas: Vec::new(),
            env: vec!["A=1".parse().unwrap()],
            env_allowed: Vec::new(),
            testname: None,
            legacy: true,
        }
    }

    fn payload() -> String {
        json!({
            "action": "opened", "number": 7,
            "pull_request": {
                "number": 7, "state": "open", "head": {"sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e"},
                "base": {"repo": {"clone_url": "https://github.com/me/thing.git"}},
            },
            "repository": {"full_name": "me/thing"},
        })
        .to_string()
    }

    /// The parts of a delivery over HTTP.
    #[derive(Debug, Clone, PartialEq)]
    struct Wire {
        query: String,
        event: String,
        signature: String,
        old_signature: Option<String>,
        body: Vec<u8>,
        content_type: String,
    }

    fn good() -> Wire {
        static GOOD: std::sync::LazyLock<Wire> = std::sync::LazyLock::new(make_good);
        GOOD.clone()
    }

    fn make_good() -> Wire {
        let body = payload().into_bytes();
        Wire {
            query: hook().query().to_string(),
            event: "pull_request".to_owned(),
            signature: signature::sign(&SECRET.to_owned().into(), &body),
            old_signature: None,
            body,
            content_type: "application/json".to_owned(),
        }
    }

    /// Returns the tests of a delivery; none if it is refused.
    fn take(wire: &Wire) -> Option<Result<Vec<PullTest>, event::InvalidEvent>> {
        let header = |name: &str| match name {
            "x-github-event" => Some(wire.event.as_str()),
            "x-github-delivery" => Some("guid"),
            "x-hub-signature-256" => Some(wire.signature.as_str()),
            "x-hub-signature" => wire.old_signature.as_deref(),
            _ => None,
        };
        let delivery = Delivery::new(Forge::GitHub, &header, &wire.body)?;
        let payload = delivery.payload(&wire.content_type);
        let secrets = |_: &Hook| Ok(Secrets { current: Some(SECRET.to_owned().into()), next: None });
        static HOOKS: std::sync::LazyLock<[Hook; 1]> = std::sync::LazyLock::new(|| [hook()]);
        let (_, hooks) = verify(&*HOOKS, secrets, &delivery, &payload, &wire.query).ok()?;
        Some(match event::read(Forge::GitHub, &wire.event, &payload) {
            Ok(Event::Test(pull)) => tests(&hooks, &pull, &delivery.id),
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(error),
        })
    }

    /// Changes of a valid delivery.
    fn mutated() -> impl Strategy<Value = Wire> {
        let bytes = (any::<prop::sample::Index>(), any::<u8>());
        let flips = prop::collection::vec(bytes, 1..4).prop_map(|flips| {
            let mut wire = good();
            for (place, byte) in flips {
                let place = place.index(wire.body.len());
                wire.body[place] = byte;
            }
            wire
        });
        let cut = any::<prop::sample::Index>().prop_map(|length| {
            let mut wire = good();
            wire.body.truncate(length.index(wire.body.len()));
            wire
        });
        let signatures = prop_oneof![
            any::<String>(),
            "sha256=[0-9a-fA-F]{0,66}",
            "(sha1|sha256|SHA256)=[0-9a-f]{40,64}",
            Just(String::new())
        ];
        let signed = (signatures, any::<Option<String>>()).prop_map(|(signature, old_signature)| Wire {
            signature,
            old_signature,
            ..good()
        });
        let query = any::<String>().prop_map(|query| Wire { query, ..good() });
        let event = any::<String>().prop_map(|event| Wire { event, ..good() });
        let whole =
            (any::<Vec<u8>>(), "[a-z/-]{0,40}").prop_map(|(body, content_type)| Wire { body, content_type, ..good() });
        prop_oneof![6 => flips, 1 => cut, 3 => signed, 2 => query, 1 => event, 2 => whole]
    }

    #[test]
    fn a_good_delivery_asks_for_its_test() {
        let tests = take(&good()).unwrap().unwrap();
        assert_eq!(tests[0].context, "autopkgtest/thing/noble/amd64");
        assert_eq!(take(&Wire { query: String::new(), ..good() }).unwrap().unwrap().len(), 1);
    }

    #[test]
    fn of_thousands_of_changed_deliveries_none_with_a_bad_signature_is_taken() {
        // 10,000, and 100,000 in `make test-long`.
        let cases = Config::default().cases.saturating_mul(40);
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let property = |wire: Wire| {
            let original = good();
            let is_signed = wire.body == original.body && wire.signature.eq_ignore_ascii_case(&original.signature);
            if let Some(asked) = take(&wire) {
                prop_assert!(is_signed, "taken: {wire:?}");
                // The hook declares what a signed body requests; headers and query cannot change it.
                for test in asked.into_iter().flatten() {
                    prop_assert_eq!(test.context, "autopkgtest/thing/noble/amd64");
                    let env: Vec<String> =
                        test.submission.request.parameters().env.iter().map(ToString::to_string).collect();
                    prop_assert_eq!(&env[..2], ["A=1", "UPSTREAM_PULL_REQUEST=7"]);
                }
            }
            Ok(())
        };
        if let Err(failure) = runner.run(&mutated(), property) {
            panic!("{failure}");
        }
    }
}
