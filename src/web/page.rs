//! The page that a status leads to: where a request is, or, when it has ended, on to its log.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use tracing::error;

use super::Service;
use super::reply::Reply;
use crate::pulls::Stage;
use crate::request::RequestId;

/// Shows a request.
pub(super) async fn show(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    let unknown = || Reply::error(StatusCode::NOT_FOUND, "no such request is known here").into_response();
    let Ok(id) = id.parse::<RequestId>() else { return unknown() };
    let test = match service.journal.test(id).await {
        Ok(Some(test)) => test,
        Ok(None) => return unknown(),
        Err(failure) => {
            error!("{failure}");
            return Reply::later("the journal cannot be read").into_response();
        }
    };
    if test.stage == Stage::Ended && !test.link.is_empty() {
        return Redirect::to(&test.link).into_response();
    }
    let state = if test.stage == Stage::Ended { test.description } else { "queued or running".to_owned() };
    let text = format!(
        "{}\n{} #{}, commit {}\nrequest {} in {}\nsince {}\n{state}\n",
        test.context, test.project, test.number, test.commit, test.uuid, test.submission.queue, test.created
    );
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
