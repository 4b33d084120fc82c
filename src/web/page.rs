//! The page of a request, to which its status links. After the end of the test, it redirects to the log.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use tracing::error;

use super::Service;
use super::reply::Reply;
use crate::pulls::journal::UserRequest;
use crate::pulls::{Stage, user_requests};
use crate::request::RequestId;

/// Shows a request.
pub(super) async fn show(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    let unknown = || Reply::error(StatusCode::NOT_FOUND, "no such request is known here").into_response();
    let Ok(id) = id.parse::<RequestId>() else { return unknown() };
    let test = match service.journal.test(id.clone()).await {
        Ok(Some(test)) => test,
        Ok(None) => return show_user_request(&service, id).await.unwrap_or_else(unknown),
        Err(failure) => {
            error!("{failure}");
            return Reply::later("the journal cannot be read").into_response();
        }
    };
    if test.stage == Stage::Ended && !test.link.is_empty() {
        return Redirect::to(&test.link).into_response();
    }
    let state = if test.stage == Stage::Ended { test.description } else { "queued or running".to_owned() };
    plain(format!(
        "{}\n{} #{}, commit {}\nrequest {} in {}\nsince {}\n{state}\n",
        test.context, test.project, test.number, test.commit, test.uuid, test.submission.queue, test.created
    ))
}

/// Shows a request of a user; none if it is unknown. The page does not search the queues, so it only says whether there
/// is a result.
async fn show_user_request(service: &Service, id: RequestId) -> Option<Response> {
    let asked = match user_requests::find(&service.journal, &service.store, id, Timestamp::now()).await {
        Ok(asked) => asked?,
        Err(failure) => {
            error!("{failure}");
            return Some(Reply::later("what has become of this request cannot be found out now").into_response());
        }
    };
    if !asked.link.is_empty() {
        return Some(Redirect::to(&asked.link).into_response());
    }
    let UserRequest { uuid, queue, package, created, checked, outcome, .. } = asked;
    let state = if outcome.is_empty() { format!("no result as of {checked:.0}") } else { outcome };
    Some(plain(format!("{package}\nrequest {uuid} in {queue}\naccepted {created:.0}\n{state}\n")))
}

fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
