//! Requests of users, with the parameters of `request.cgi` in the URL or in a form.

use std::sync::Arc;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use tracing::{error, info, warn};

use super::reply::Reply;
use super::{BufferedRequest, Service, bearer, delivery};
use crate::duplicates::{self, Duplicate, DuplicateState};
use crate::forge::query::Query;
use crate::pulls::intake::Answer;
use crate::pulls::journal::JournalError;
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{Parameters, Request, RequestId, TestSource, Text};
use crate::site::Site;
use crate::site::credentials::Name;
use crate::submitted::Notes;
use crate::testbed::Border;

/// A user and the requests, or the answer to an invalid request.
type ParsedRequest = Result<(Name, Vec<Submission>), Reply>;

/// Authenticates the user and parses the parameters.
fn read(service: &Service, whole: &BufferedRequest) -> ParsedRequest {
    let user = bearer::user(service, whole.sender, whole.header("authorization"))?;
    let is_form = whole
        .header("content-type")
        .is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    let form = if is_form { std::str::from_utf8(&whole.body).unwrap_or_default() } else { "" };
    let separator = if form.is_empty() || whole.query.is_empty() { "" } else { "&" };
    let query = Query::parse(&format!("{}{separator}{form}", whole.query)).map_err(|error| error.to_string());
    match query.and_then(|query| requests(&query, &service.site)) {
        Ok(requests) => Ok((user, requests)),
        Err(message) => Err(Reply::error(StatusCode::BAD_REQUEST, message)),
    }
}

/// Processes a request.
pub(super) async fn receive(service: &Arc<Service>, whole: BufferedRequest) -> Reply {
    let reading = Arc::clone(service);
    let (user, requests) = match service.compute(move || read(&reading, &whole)).await {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    // One at a time: concurrent duplicates would not see each other.
    let alone = Arc::clone(&service.submission_lock).lock_owned().await;
    // In a separate task, because a client that disconnects must neither leave a queue's messages unreturned nor
    // requests unrecorded.
    let service = Arc::clone(service);
    let asking = tokio::spawn(async move {
        let _alone = alone;
        ask(&service, &user, requests).await.unwrap_or_else(|reply| reply)
    });
    asking.await.unwrap_or_else(|_| Reply::later("the service is stopping"))
}

/// Queues the requests that are not duplicates. An error is the answer when nothing is queued.
async fn ask(service: &Service, user: &Name, requests: Vec<Submission>) -> Result<Reply, Reply> {
    let now = Timestamp::now();
    let requester: Option<Text> = user.as_str().parse().ok();
    let requests: Vec<Submission> = requests
        .into_iter()
        .map(|Submission { queue, request }| {
            let request = requester.iter().fold(request, |request, name| request.with_requester(name));
            Submission { queue, request: request.with_id().with_submit_time(now) }
        })
        .collect();
    let notes = Notes::of(&service.site.state_dir, &service.site.queue.value);
    let duplicates = duplicates(service, &requests, &notes).await?;
    let (mut new, mut already, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for (request, duplicate) in requests.into_iter().zip(duplicates) {
        match duplicate {
            None => new.push(request),
            Some(duplicate) => {
                // Recorded so that its page can be shown to any user who made the same request.
                told.extend(duplicate.uuid.parse::<RequestId>().ok().map(|id| (id, request.clone())));
                let (queue, package) = (&request.queue, request.request.package().as_str());
                let state = duplicate.state.word();
                already.push(json!({"uuid": duplicate.uuid, "queue": queue, "package": package, "state": state}));
            }
        }
    }
    let mut all = delivery::shown(&new);
    all.extend(already);
    queue(service, user, new, &notes, now).await?;
    // Only the pages need this.
    if let Err(failure) = service.journal.note_user_requests(told, now).await {
        error!("{failure}");
    }
    Ok(Reply::new(StatusCode::ACCEPTED, json!({"state": "accepted", "requests": all})))
}

/// Finds duplicates that wait, run or may be queued, as `apt-ci run` does.
async fn duplicates(
    service: &Service,
    requests: &[Submission],
    notes: &Notes,
) -> Result<Vec<Option<Duplicate>>, Reply> {
    let found = duplicates::find(requests, &service.broker, notes).await;
    let mut duplicates = found.map_err(|failure| Reply::later(failure.to_string()))?;
    duplicates::drop_finished(&mut duplicates, requests, Some(&service.store)).await;
    let in_doubt =
        service.journal.unconfirmed_user_requests(Timestamp::MAX).await.map_err(|failure| unusable(&failure))?;
    for (duplicate, Submission { queue, request }) in duplicates.iter_mut().zip(requests) {
        let same = in_doubt.iter().find(|other| other.queue == *queue && other.request.same_test(request));
        if let Some(uuid) = same.and_then(|same| same.request.uuid()).filter(|_| duplicate.is_none()) {
            *duplicate = Some(Duplicate { uuid: uuid.to_string(), state: DuplicateState::Queued });
        }
    }
    Ok(duplicates)
}

/// Records requests and queues them. Those that the broker does not confirm are queued later.
async fn queue(
    service: &Service,
    user: &Name,
    requests: Vec<Submission>,
    notes: &Notes,
    now: Timestamp,
) -> Result<(), Reply> {
    if requests.is_empty() {
        return Ok(());
    }
    let ids: Vec<RequestId> = requests.iter().filter_map(|one| one.request.uuid().cloned()).collect();
    let begun = service.journal.record_user_requests(requests.clone(), now).await;
    begun.map_err(|failure| unusable(&failure))?;
    notes.add_unlisted(&requests, &service.broker).await;
    match service.intake.request(requests).await {
        Answer::Queued(requests) => {
            info!(%user, "queued {} requests", requests.len());
            service.metrics.queued(requests.len());
            // If this cannot be recorded, the background task looks for them.
            if let Err(failure) = service.journal.mark_user_requests_queued(ids).await {
                error!("{failure}");
            }
            Ok(())
        }
        Answer::Unconfirmed(reason) => {
            warn!(%user, "{} requests are looked for later, and queued if they are nowhere: {reason}", ids.len());
            Ok(())
        }
        Answer::Unavailable(reason) => {
            forget(ids, service, notes).await;
            Err(Reply::later(reason))
        }
        // The intake gives these answers to deliveries only.
        Answer::Known | Answer::Unfinished | Answer::Repeated => {
            forget(ids, service, notes).await;
            Err(Reply::later("nothing was queued"))
        }
    }
}

fn unusable(failure: &JournalError) -> Reply {
    error!("{failure}");
    Reply::later("the journal cannot be used")
}

/// Deletes the records of requests that are certainly not queued.
async fn forget(ids: Vec<RequestId>, service: &Service, notes: &Notes) {
    let (notes, noted) = (notes.clone(), ids.clone());
    let _ = tokio::task::spawn_blocking(move || notes.forget(&noted)).await;
    if let Err(failure) = service.journal.forget_user_requests(ids).await {
        error!("{failure}");
    }
}

/// Returns one request for each architecture, by the rules of `apt-ci run`. The error is for the user.
fn requests(query: &Query, site: &Site) -> Result<Vec<Submission>, String> {
    let release = query.release.as_ref().ok_or("release is missing")?;
    let package = query.package.as_ref().ok_or("package is missing")?;
    let configured = site.architectures(release);
    let known = || {
        let names: Vec<&str> = site.releases.value.keys().map(|release| release.as_str()).collect();
        format!("release: {release} is not tested here; known: {}", names.join(", "))
    };
    let configured = configured.ok_or_else(known)?;
    if let Some(unknown) = query.architectures.iter().find(|one| !configured.contains(one)) {
        let names: Vec<&str> = configured.iter().map(|one| one.as_str()).collect();
        return Err(format!("arch: {release} is not tested on {unknown} here; known: {}", names.join(", ")));
    }
    if query.triggers.is_empty() && query.ppas.is_empty() && query.source.is_none() {
        return Err("trigger is missing: give a trigger, ppa, build-git or test-git".to_owned());
    }
    if let Some(TestSource::BuildGit(source) | TestSource::TestGit(source)) = &query.source {
        let border = Border::new(site.allowed_git_hosts());
        border.check(source).map_err(|reason| format!("git: {source} cannot be tested: {reason}"))?;
    }
    let parameters = Parameters {
        triggers: query.triggers.clone(),
        ppas: query.ppas.clone(),
        source: query.source.clone(),
        env: query.env.clone(),
        all_proposed: query.all_proposed,
        testname: query.testname.clone(),
        readable_by: query.readable_by.clone(),
        from_web: true,
        ..Parameters::default()
    };
    let context = parameters.context();
    let architectures = if query.architectures.is_empty() { configured } else { &query.architectures };
    let request = Request::new(package.clone(), parameters).map_err(|error| error.to_string())?;
    site.pockets.check(&request, release).map_err(|error| format!("all-proposed: {error}"))?;
    let submission = |architecture: &crate::release::Architecture| Submission {
        queue: QueueName::new(context, release.clone(), architecture.clone()),
        request: request.clone(),
    };
    Ok(architectures.iter().map(submission).collect())
}
