//! Client of GitLab's API, version 4.

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::Api;
use super::error::ForgeError;
use super::remote::{RemoteDelivery, RemoteHook, RemoteStatus, TokenFacts, newest};
use super::status::{State, Status};
use super::{Commit, Forge, Project, PullRequest};
use crate::server_url::ServerUrl;

/// Number of entries of a page: the most that GitLab returns.
const PAGE_SIZE: usize = 100;
/// Maximum number of pages that are read.
const MAX_PAGES: usize = 20;

/// A client of GitLab.
pub struct GitLab {
    api: Api,
}

#[derive(Deserialize)]
struct Hook {
    id: u64,
    url: String,
    #[serde(default)]
    merge_requests_events: bool,
    #[serde(default = "yes")]
    enable_ssl_verification: bool,
    #[serde(default)]
    alert_status: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Sent {
    id: u64,
    #[serde(default)]
    trigger: String,
    #[serde(default)]
    response_status: Value,
    #[serde(default)]
    response_body: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
}

#[derive(Deserialize)]
struct Merge {
    iid: u64,
    state: String,
    sha: Option<String>,
    #[serde(default)]
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct TargetProject {
    http_url_to_repo: String,
}

#[derive(Deserialize)]
struct CommitStatus {
    name: String,
    status: String,
    description: Option<String>,
    target_url: Option<String>,
}

impl From<Hook> for RemoteHook {
    fn from(hook: Hook) -> Self {
        Self {
            id: hook.id,
            url: hook.url,
            // GitLab disables hooks that fail too often.
            is_active: hook.alert_status.as_deref().is_none_or(|status| status == "executable"),
            sends_pulls: hook.merge_requests_events,
            verifies_certificate: hook.enable_ssl_verification,
        }
    }
}

/// Reads a merge request. None without commits: there is nothing to test.
fn read(merge: Merge, target: &TargetProject) -> Option<PullRequest> {
    Some(PullRequest {
        number: merge.iid,
        commit: merge.sha?.parse().ok()?,
        is_open: merge.state == "opened",
        updated: merge.updated_at.and_then(|time| time.parse().ok()),
        clone_url: target.http_url_to_repo.clone(),
    })
}

fn hook_body(url: &str, secret: &SecretString) -> Value {
    json!({
        "url": url, "token": secret.expose_secret(), "push_events": true, "merge_requests_events": true,
        "enable_ssl_verification": true,
    })
}

impl GitLab {
    pub(super) fn new(api: &ServerUrl, token: Option<SecretString>) -> Result<Self, ForgeError> {
        let token = token.map(|token| (HeaderName::from_static("private-token"), token));
        Ok(Self { api: Api::new(api, HeaderMap::new(), token)? })
    }

    fn project_url(&self, project: &Project, below: &[&str]) -> Url {
        let mut segments = vec!["projects", project.as_str()];
        segments.extend(below);
        self.api.below(&segments)
    }

    pub(super) async fn hooks(&self, project: &Project) -> Result<Vec<RemoteHook>, ForgeError> {
        let hooks: Vec<Hook> = self.pages(self.project_url(project, &["hooks"])).await?;
        Ok(hooks.into_iter().map(RemoteHook::from).collect())
    }

    pub(super) async fn create_hook(
        &self,
        project: &Project,
        url: &str,
        secret: &SecretString,
    ) -> Result<RemoteHook, ForgeError> {
        let hook: Hook = self
            .request_json(Method::POST, self.project_url(project, &["hooks"]), Some(&hook_body(url, secret)))
            .await?;
        Ok(hook.into())
    }

    pub(super) async fn change_hook(
        &self,
        project: &Project,
        id: u64,
        url: &str,
        secret: &SecretString,
    ) -> Result<(), ForgeError> {
        let address = self.project_url(project, &["hooks", &id.to_string()]);
        self.send(Method::PUT, address, Some(&hook_body(url, secret))).await.map(drop)
    }

    pub(super) async fn remove_hook(&self, project: &Project, id: u64) -> Result<(), ForgeError> {
        self.send(Method::DELETE, self.project_url(project, &["hooks", &id.to_string()]), None).await.map(drop)
    }

    pub(super) async fn ping(&self, project: &Project, id: u64) -> Result<(), ForgeError> {
        let address = self.project_url(project, &["hooks", &id.to_string(), "test", "push_events"]);
        match self.send(Method::POST, address, None).await {
            // GitLab reports the receiver's error here; it is in the list of deliveries as well.
            Err(ForgeError::Refused { status: 422, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    pub(super) async fn last_delivery(&self, project: &Project, id: u64) -> Result<Option<RemoteDelivery>, ForgeError> {
        let mut address = self.project_url(project, &["hooks", &id.to_string(), "events"]);
        address.query_pairs_mut().append_pair("per_page", "1");
        let sent: Vec<Sent> = match self.request_json(Method::GET, address, None).await {
            // Versions before 17.3 have no list of deliveries.
            Err(ForgeError::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        Ok(sent.into_iter().next().map(|sent| {
            let status = sent.response_status.as_str().map_or_else(|| sent.response_status.to_string(), str::to_owned);
            RemoteDelivery {
                id: sent.id,
                event: sent.trigger,
                at: sent.created_at.and_then(|time| time.parse().ok()),
                status: status.parse().ok(),
                answer: sent.response_body.unwrap_or_default(),
            }
        }))
    }

    pub(super) async fn pull(&self, project: &Project, number: u64) -> Result<PullRequest, ForgeError> {
        let address = self.project_url(project, &["merge_requests", &number.to_string()]);
        let merge: Merge = self.request_json(Method::GET, address, None).await?;
        let target: TargetProject =
            self.request_json(Method::GET, self.api.below(&["projects", project.as_str()]), None).await?;
        read(merge, &target).ok_or_else(|| self.unexpected(&format!("!{number}"), &"it has no commit"))
    }

    pub(super) async fn pulls_since(
        &self,
        project: &Project,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let mut address = self.project_url(project, &["merge_requests"]);
        address.query_pairs_mut().extend_pairs([
            ("state", "all"),
            ("order_by", "updated_at"),
            ("sort", "desc"),
            ("updated_after", &since.to_string()),
        ]);
        let merges: Vec<Merge> = self.pages(address).await?;
        if merges.is_empty() {
            return Ok(Vec::new());
        }
        let target: TargetProject =
            self.request_json(Method::GET, self.api.below(&["projects", project.as_str()]), None).await?;
        Ok(merges.into_iter().filter_map(|merge| read(merge, &target)).collect())
    }

    pub(super) async fn statuses(&self, project: &Project, commit: &Commit) -> Result<Vec<RemoteStatus>, ForgeError> {
        let mut address = self.project_url(project, &["repository", "commits", commit.as_str(), "statuses"]);
        address.query_pairs_mut().extend_pairs([("all", "true"), ("order_by", "id"), ("sort", "desc")]);
        let all: Vec<CommitStatus> = self.pages(address).await?;
        let shown = all.into_iter().filter_map(|status| {
            Some(RemoteStatus {
                state: State::read(&status.status)?,
                context: status.name,
                description: status.description.unwrap_or_default(),
                link: status.target_url,
            })
        });
        Ok(newest(shown.collect()))
    }

    pub(super) async fn set_status(
        &self,
        project: &Project,
        number: u64,
        commit: &Commit,
        status: &Status,
    ) -> Result<(), ForgeError> {
        let mut body = json!({
            "state": status.state.gitlab(), "name": status.context, "description": status.description,
        });
        if let Some(link) = &status.link {
            body["target_url"] = json!(link);
        }
        let address = self.project_url(project, &["statuses", commit.as_str()]);
        let sent = match self.send(Method::POST, address.clone(), Some(&body)).await {
            // A fork's commit is on no branch of the project: GitLab needs the reference.
            Err(ForgeError::NotFound { .. }) => {
                body["ref"] = json!(Forge::GitLab.reference(number));
                self.send(Method::POST, address, Some(&body)).await
            }
            other => other,
        };
        match sent {
            // The status has this state already: the answer to an earlier attempt was lost.
            Err(ForgeError::Refused { status: 400, message, .. }) if message.contains("Cannot transition status") => {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    pub(super) async fn token(&self) -> Result<TokenFacts, ForgeError> {
        #[derive(Deserialize)]
        struct Token {
            scopes: Vec<String>,
        }
        let token: Token =
            self.request_json(Method::GET, self.api.below(&["personal_access_tokens", "self"]), None).await?;
        Ok(TokenFacts { login: None, scopes: Some(token.scopes) })
    }

    async fn pages<T: DeserializeOwned>(&self, address: Url) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let mut address = address.clone();
            address.query_pairs_mut().extend_pairs([("per_page", PAGE_SIZE.to_string()), ("page", page.to_string())]);
            let some: Vec<T> = self.request_json(Method::GET, address, None).await?;
            let is_last = some.len() < PAGE_SIZE;
            all.extend(some);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    async fn request_json<T: DeserializeOwned>(
        &self,
        method: Method,
        address: Url,
        body: Option<&Value>,
    ) -> Result<T, ForgeError> {
        let what = address.path().to_owned();
        let text = self.send(method, address, body).await?;
        serde_json::from_str(&text).map_err(|error| self.unexpected(&what, &error))
    }

    async fn send(&self, method: Method, address: Url, body: Option<&Value>) -> Result<String, ForgeError> {
        let what = address.path().trim_start_matches('/').to_owned();
        self.api.send(method, address, body, &what).await.map(|(_, text)| text)
    }

    fn unexpected(&self, what: &str, error: &dyn std::fmt::Display) -> ForgeError {
        ForgeError::Unexpected { address: self.api.address(), what: what.to_owned(), reason: error.to_string() }
    }
}
