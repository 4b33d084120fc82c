//! Client of GitHub's API, version 2022-11-28.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy;
use jiff::Timestamp;
use octocrab::Octocrab;
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Failure, MAX_ANSWER_BYTES, repeated};
use super::error::{ForgeError, ResponseHead};
use super::event::GitHubPull;
use super::remote::{RemoteDelivery, RemoteHook, RemoteStatus, TokenFacts, newest};
use super::status::{State, Status};
use super::{Commit, Project, PullRequest};
use crate::server_url::ServerUrl;

/// Timeout for connecting, and for each read and write. A whole request may take twice as long.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum number of entries per page that GitHub allows.
const PAGE_SIZE: usize = 100;
/// Maximum number of pages that are read. No project has more hooks, and older pull requests are not needed.
const MAX_PAGES: usize = 20;
/// The accepted media types: the API's own, and plain JSON for servers that only know that.
const JSON: &str = "application/vnd.github+json, application/json;q=0.9";
/// The events of a hook. Pushes request no tests, but are part of the agreement with the projects.
const EVENTS: [&str; 2] = ["push", "pull_request"];

/// A client of GitHub.
pub struct GitHub {
    client: Octocrab,
    address: String,
}

#[derive(Deserialize)]
struct Hook {
    id: u64,
    active: bool,
    events: Vec<String>,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: String,
    /// A string or a number.
    #[serde(default)]
    insecure_ssl: Value,
}

#[derive(Deserialize)]
struct Delivery {
    id: u64,
    event: String,
    delivered_at: Option<String>,
    status_code: u16,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Response {
    payload: Option<String>,
}

#[derive(Deserialize)]
struct CommitStatus {
    context: String,
    state: String,
    description: Option<String>,
    target_url: Option<String>,
}

impl From<Hook> for RemoteHook {
    fn from(hook: Hook) -> Self {
        Self {
            id: hook.id,
            url: hook.config.url,
            is_active: hook.active,
            sends_pulls: hook.events.iter().any(|event| event == "pull_request" || event == "*"),
            verifies_certificate: !matches!(&hook.config.insecure_ssl, Value::String(text) if text == "1")
                && hook.config.insecure_ssl != json!(1),
        }
    }
}

fn config(url: &str, secret: &SecretString) -> Value {
    json!({"url": url, "content_type": "json", "insecure_ssl": "0", "secret": secret.expose_secret()})
}

impl GitHub {
    pub(super) fn new(api: &ServerUrl, token: Option<SecretString>) -> Result<Self, ForgeError> {
        let address = api.to_string();
        let unusable = |error: octocrab::Error| unreachable(&address, &error);
        let mut builder = Octocrab::builder()
            .base_uri(address.as_str())
            .map_err(unusable)?
            .set_connect_timeout(Some(TIMEOUT))
            .set_read_timeout(Some(TIMEOUT))
            .set_write_timeout(Some(TIMEOUT))
            .add_header(ACCEPT, JSON.to_owned())
            .add_header(HeaderName::from_static("x-github-api-version"), "2022-11-28".to_owned());
        if let Some(token) = token {
            builder = builder.personal_token(token.expose_secret().to_owned());
        }
        Ok(Self { client: builder.build().map_err(unusable)?, address })
    }

    pub(super) async fn hooks(&self, project: &Project) -> Result<Vec<RemoteHook>, ForgeError> {
        let hooks: Vec<Hook> = self.pages(&format!("/repos/{project}/hooks?"), |_| true).await?;
        Ok(hooks.into_iter().map(RemoteHook::from).collect())
    }

    pub(super) async fn create_hook(
        &self,
        project: &Project,
        url: &str,
        secret: &SecretString,
    ) -> Result<RemoteHook, ForgeError> {
        let body = json!({"name": "web", "active": true, "events": EVENTS, "config": config(url, secret)});
        let hook: Hook = self.request_json(Method::POST, &format!("/repos/{project}/hooks"), Some(&body)).await?;
        Ok(hook.into())
    }

    pub(super) async fn change_hook(
        &self,
        project: &Project,
        id: u64,
        url: &str,
        secret: &SecretString,
    ) -> Result<(), ForgeError> {
        let body = json!({"active": true, "events": EVENTS, "config": config(url, secret)});
        self.request_empty(Method::PATCH, &format!("/repos/{project}/hooks/{id}"), Some(&body)).await
    }

    pub(super) async fn remove_hook(&self, project: &Project, id: u64) -> Result<(), ForgeError> {
        self.request_empty(Method::DELETE, &format!("/repos/{project}/hooks/{id}"), None::<&()>).await
    }

    pub(super) async fn ping(&self, project: &Project, id: u64) -> Result<(), ForgeError> {
        self.request_empty(Method::POST, &format!("/repos/{project}/hooks/{id}/pings"), None::<&()>).await
    }

    pub(super) async fn last_delivery(&self, project: &Project, id: u64) -> Result<Option<RemoteDelivery>, ForgeError> {
        let path = format!("/repos/{project}/hooks/{id}/deliveries");
        let deliveries: Vec<Delivery> =
            self.request_json(Method::GET, &format!("{path}?per_page=1"), None::<&()>).await?;
        let Some(last) = deliveries.into_iter().next() else { return Ok(None) };
        // The list contains no answers.
        let whole: Delivery = self.request_json(Method::GET, &format!("{path}/{}", last.id), None::<&()>).await?;
        Ok(Some(RemoteDelivery {
            id: whole.id,
            event: whole.event,
            at: whole.delivered_at.and_then(|time| time.parse().ok()),
            status: Some(whole.status_code).filter(|status| *status > 0),
            answer: whole.response.and_then(|response| response.payload).unwrap_or_default(),
        }))
    }

    pub(super) async fn pull(&self, project: &Project, number: u64) -> Result<PullRequest, ForgeError> {
        let path = format!("/repos/{project}/pulls/{number}");
        let pull: GitHubPull = self.request_json(Method::GET, &path, None::<&()>).await?;
        pull.try_into().map_err(|error| self.unexpected(&path, &error))
    }

    pub(super) async fn pulls_since(
        &self,
        project: &Project,
        since: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        let path = format!("/repos/{project}/pulls?state=all&sort=updated&direction=desc&");
        let is_new = |pull: &GitHubPull| pull.updated().is_none_or(|time| time >= since);
        let listed: Vec<GitHubPull> = self.pages(&path, is_new).await?;
        let pulls = listed.into_iter().filter(is_new).map(GitHubPull::try_into);
        pulls.collect::<Result<_, _>>().map_err(|error| self.unexpected(&path, &error))
    }

    pub(super) async fn statuses(&self, project: &Project, commit: &Commit) -> Result<Vec<RemoteStatus>, ForgeError> {
        let all: Vec<CommitStatus> =
            self.pages(&format!("/repos/{project}/commits/{commit}/statuses?"), |_| true).await?;
        let shown = all.into_iter().filter_map(|status| {
            Some(RemoteStatus {
                state: State::read(&status.state)?,
                context: status.context,
                description: status.description.unwrap_or_default(),
                link: status.target_url,
            })
        });
        Ok(newest(shown.collect()))
    }

    pub(super) async fn set_status(
        &self,
        project: &Project,
        commit: &Commit,
        status: &Status,
    ) -> Result<(), ForgeError> {
        let mut body = json!({
            "state": status.state.as_str(), "context": status.context, "description": status.description,
        });
        if let Some(link) = &status.link {
            body["target_url"] = json!(link);
        }
        self.request_empty(Method::POST, &format!("/repos/{project}/statuses/{commit}"), Some(&body)).await
    }

    pub(super) async fn token(&self) -> Result<TokenFacts, ForgeError> {
        #[derive(Deserialize)]
        struct User {
            login: String,
        }
        let (headers, text) = self.send(Method::GET, "/user", None::<&()>).await?;
        let user: User = serde_json::from_str(&text).map_err(|error| self.unexpected("/user", &error))?;
        // Fine-grained tokens have no scopes.
        let scopes = headers.get("x-oauth-scopes").and_then(|scopes| scopes.to_str().ok());
        let list =
            |text: &str| text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
        Ok(TokenFacts { login: Some(user.login), scopes: scopes.map(list) })
    }

    /// Returns the entries of a list's pages, as long as `goes_on` is true for a page's last entry. `path` ends where
    /// further parameters can be added.
    async fn pages<T: DeserializeOwned>(&self, path: &str, goes_on: impl Fn(&T) -> bool) -> Result<Vec<T>, ForgeError> {
        let mut all: Vec<T> = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("{path}per_page={PAGE_SIZE}&page={page}");
            let some: Vec<T> = self.request_json(Method::GET, &path, None::<&()>).await?;
            let is_last = some.len() < PAGE_SIZE;
            all.extend(some);
            if is_last || !all.last().is_some_and(&goes_on) {
                break;
            }
        }
        Ok(all)
    }

    async fn request_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<T, ForgeError> {
        let (_, text) = self.send(method, path, body).await?;
        serde_json::from_str(&text).map_err(|error| self.unexpected(path, &error))
    }

    async fn request_empty(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<(), ForgeError> {
        self.send(method, path, body).await.map(drop)
    }

    /// Sends a request, and returns the headers and the text of a successful answer.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<(HeaderMap, String), ForgeError> {
        repeated(&method, what(path), || self.attempt(&method, path, body)).await
    }

    /// Sends a request once.
    ///
    /// octocrab's typed calls are not used: a new hook would have fields that GitHub's description of the API refuses,
    /// and the scopes of a token are in a header, which its answers leave out.
    async fn attempt(
        &self,
        method: &Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<(HeaderMap, String), Failure> {
        let failed = |error: octocrab::Error| self.failed(path, &error);
        let client = &self.client;
        let exchange = async {
            let response = match *method {
                Method::GET => client._get(path).await,
                Method::POST => client._post(path, body).await,
                Method::PATCH => client._patch(path, body).await,
                Method::DELETE => client._delete(path, body).await,
                _ => return Err(Failure::from(self.unexpected(path, &format!("{method} is not used")))),
            };
            let response = response.map_err(failed)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| match error.downcast::<octocrab::Error>() {
                Ok(error) => self.failed(path, &error),
                Err(error) => Failure::from(self.unexpected(path, &error)),
            })?;
            Ok::<_, Failure>((status, headers, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        };
        let late = || Failure {
            error: ForgeError::Unreachable {
                address: self.address.clone(),
                reason: format!("it has not answered for {} seconds", 2 * TIMEOUT.as_secs()),
            },
            is_connecting: true,
        };
        let (status, headers, text) = tokio::time::timeout(2 * TIMEOUT, exchange).await.map_err(|_| late())??;
        if status.is_success() {
            return Ok((headers, text));
        }
        Err(ResponseHead::read(status, &headers).error(&self.address, what(path), &text).into())
    }

    /// Tells failures of the network, which may be transient, from others.
    fn failed(&self, path: &str, error: &octocrab::Error) -> Failure {
        if !matches!(error, octocrab::Error::Service { .. } | octocrab::Error::Hyper { .. }) {
            return self.unexpected(path, error).into();
        }
        Failure { error: unreachable(&self.address, error), is_connecting: is_connecting(error) }
    }

    fn unexpected(&self, path: &str, error: &dyn std::fmt::Display) -> ForgeError {
        ForgeError::Unexpected { address: self.address.clone(), what: what(path).to_owned(), reason: error.to_string() }
    }
}

fn what(path: &str) -> &str {
    path.split('?').next().unwrap_or(path).trim_start_matches('/')
}

fn unreachable(address: &str, error: &octocrab::Error) -> ForgeError {
    ForgeError::Unreachable { address: address.to_owned(), reason: crate::http::innermost(error) }
}

/// Whether no connection was made.
fn is_connecting(error: &(dyn std::error::Error + 'static)) -> bool {
    let client = |error: &(dyn std::error::Error + 'static)| {
        error.downcast_ref::<legacy::Error>().map(legacy::Error::is_connect)
    };
    std::iter::successors(Some(error), |error| error.source()).find_map(client).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_does_not_listen_counts_as_no_connection() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let github = GitHub::new(&address.parse().unwrap(), None).unwrap();
        let failure = github.attempt(&Method::GET, "/repos/a/b/hooks", None::<&()>).await.unwrap_err();
        assert!(failure.is_connecting, "{:?}", failure.error);
        assert!(matches!(failure.error, ForgeError::Unreachable { .. }), "{:?}", failure.error);
        let failure = github.attempt(&Method::GET, "/a b", None::<&()>).await.unwrap_err();
        assert!(matches!(failure.error, ForgeError::Unexpected { .. }), "{:?}", failure.error);
    }
}
