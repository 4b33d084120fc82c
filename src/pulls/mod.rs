//! Pull requests under test: from a delivery, which is written down before it is queued, to the last status of its commit.
//!
//! [`intake`] takes deliveries and queues their requests; [`withdraw`] takes out of the queues what a newer commit makes needless;
//! [`watch`] finds out how tests end; [`show`] tells the forge; [`rebuild`] finds again what this machine has forgotten; [`asked`] takes
//! care of what users have asked for by hand. They meet in the [`journal`] and nowhere else, so that each can die at any time.

pub mod asked;
pub mod intake;
pub mod journal;
pub mod keyring;
pub mod rebuild;
pub mod show;
pub mod watch;
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
    /// Its request's id.
    pub uuid: RequestId,
    /// Which forge.
    pub forge: Forge,
    /// The API of its server.
    pub api: ServerUrl,
    /// The project.
    pub project: Project,
    /// The pull request.
    pub number: u64,
    /// The commit.
    pub commit: Commit,
    /// Whose status it is: see [`status::context`].
    pub context: String,
    /// The request.
    pub submission: Submission,
    /// When it was asked for.
    pub created: Timestamp,
    /// When the pull request last changed, as far as that was told; otherwise when the test was asked for.
    pub changed: Timestamp,
    /// How far it is.
    pub stage: Stage,
    /// Why it is to be taken out of its queue; empty otherwise.
    pub reason: String,
    /// What the forge is to show.
    pub state: State,
    /// The same in words.
    pub description: String,
    /// Where to read more; empty as long as that is the service's own page.
    pub link: String,
    /// What the forge shows.
    pub shown: Option<State>,
    /// How often in a row it was not taken.
    pub tries: u32,
    /// Why it was not taken last.
    pub trouble: String,
}

/// How far a test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is written down. Whether it is queued is not known.
    Received,
    /// The broker has it, or a worker.
    Queued,
    /// It is to be taken out of its queue, if it is there still.
    Withdrawn,
    /// It has ended.
    Ended,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 4] = [Self::Received, Self::Queued, Self::Withdrawn, Self::Ended];

    fn number(self) -> i64 {
        match self {
            Self::Received => 0,
            Self::Queued => 1,
            Self::Withdrawn => 2,
            Self::Ended => 3,
        }
    }

    /// In a word.
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
    /// A new test.
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

    /// What its status says.
    pub fn status(&self, service: &ServerUrl) -> status::Status {
        let link = if self.link.is_empty() { page(service, &self.uuid) } else { self.link.clone() };
        status::Status::new(self.context.clone(), self.state, &self.description, Some(link))
    }
}

/// The page of a request, at the web service.
pub fn page(service: &ServerUrl, uuid: &RequestId) -> String {
    service.below(&["requests", uuid.as_str()]).to_string()
}

/// The request whose page this is, at this service.
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
