//! Pull requests under test, from a delivery to the last status of its commit.
//!
//! [`intake`] records and queues deliveries. [`withdraw`] removes superseded requests from their queues.
//! [`result_collector`] collects results. [`status_reporter`] reports states to the forge. [`rebuild`] restores tests
//! that are not in the journal. [`user_requests`] takes care of the requests of users. These modules share only the
//! [`journal`], so that each can be killed at any time.

pub mod intake;
pub mod journal;
pub mod keyring;
pub mod rebuild;
pub mod result_collector;
pub mod status_reporter;
pub mod user_requests;
pub mod withdraw;

use jiff::Timestamp;
use url::Url;

use crate::forge::status::{self, State};
use crate::forge::{Commit, Forge, Project};
use crate::request::RequestId;
use crate::request::line::Submission;
use crate::server_url::ServerUrl;

/// A test of a pull request.
#[derive(Debug, Clone, PartialEq)]
pub struct PullTest {
    /// The id of its request.
    pub uuid: RequestId,
    /// The kind of forge.
    pub forge: Forge,
    /// The API of the forge.
    pub api: ServerUrl,
    /// The project.
    pub project: Project,
    /// The number of the pull request.
    pub number: u64,
    /// The commit.
    pub commit: Commit,
    /// The name of its status: see [`status::context`].
    pub context: String,
    /// The request.
    pub submission: Submission,
    /// Time of the request.
    pub created: Timestamp,
    /// Time of the last change of the pull request, if the forge names it; otherwise of the request.
    pub changed: Timestamp,
    /// Its stage.
    pub stage: Stage,
    /// Reason why it is withdrawn; otherwise empty.
    pub reason: String,
    /// The state that the forge should show.
    pub state: State,
    /// The description of the state.
    pub description: String,
    /// The address of further details; empty for the service's own page.
    pub link: String,
    /// The state that the forge shows.
    pub shown: Option<State>,
    /// Number of failed attempts to show the state, in a row.
    pub tries: u32,
    /// Reason why the last attempt failed.
    pub trouble: String,
}

/// Stage of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Recorded, and perhaps not queued.
    Received,
    /// In its queue, or at a worker.
    Queued,
    /// To be removed from its queue, if it is still there.
    Withdrawn,
    /// Ended.
    Ended,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 4] = [Self::Received, Self::Queued, Self::Withdrawn, Self::Ended];

    fn number(self) -> i64 {
        match self {
            Self::Received => 0,
            Self::Queued => 1,
            Self::Withdrawn => 2,
            Self::Ended => 3,
        }
    }

    /// Returns the stage's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Queued => "queued",
            Self::Withdrawn => "withdrawn",
            Self::Ended => "ended",
        }
    }
}

impl PullTest {
    /// Creates a test. None if its request has no id.
    pub fn new(
        forge: Forge,
        api: &ServerUrl,
        project: &Project,
        number: u64,
        commit: &Commit,
        submission: Submission,
        now: Timestamp,
    ) -> Option<Self> {
        Some(Self {
            uuid: submission.request.uuid()?.clone(),
            forge,
            api: api.clone(),
            project: project.clone(),
            number,
            commit: commit.clone(),
            context: status::context(&submission.request, &submission.queue),
            submission,
            created: now,
            changed: now,
            stage: Stage::Received,
            reason: String::new(),
            state: State::Pending,
            description: "queued".to_owned(),
            link: String::new(),
            shown: None,
            tries: 0,
            trouble: String::new(),
        })
    }

    /// Returns its status for the forge.
    pub fn status(&self, service: &ServerUrl) -> status::Status {
        let link = if self.link.is_empty() { page(service, &self.uuid) } else { self.link.clone() };
        status::Status::new(self.context.clone(), self.state, &self.description, Some(link))
    }
}

/// Returns the address of a request's page at the web service.
pub fn page(service: &ServerUrl, uuid: &RequestId) -> String {
    service.below(&["requests", uuid.as_str()]).to_string()
}

/// Returns the request of a page at this web service.
pub fn of_page(service: &ServerUrl, link: &str) -> Option<RequestId> {
    let page = Url::parse(link).ok()?;
    let id = page.path_segments()?.next_back()?.parse().ok()?;
    (page.as_str() == self::page(service, &id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_its_request() {
        let service: ServerUrl = "https://ci.example/x".parse().unwrap();
        let id: RequestId = "ab-1".parse().unwrap();
        assert_eq!(page(&service, &id), "https://ci.example/x/requests/ab-1");
        assert_eq!(of_page(&service, "https://ci.example/x/requests/ab-1"), Some(id));
        for link in
            ["https://ci.example/requests/ab-1", "https://evil/x/requests/ab-1", "x", "https://ci.example/x/requests/"]
        {
            assert_eq!(of_page(&service, link), None, "{link}");
        }
    }
}
