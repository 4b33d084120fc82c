//! Requests to a forge's API: when both forges' are repeated, and the client for GitLab's.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::error::{ForgeError, ResponseHead};
use crate::http::{self, AnswerTimeout, ReadError, Timeouts, client_builder};
use crate::retry::{ClassifyFailure, RetryPolicy, SHORT, Transient, retry};
use crate::server_url::ServerUrl;

const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(15), answer: AnswerTimeout::Whole(Duration::from_secs(30)) };

/// Maximum size of an answer. A page of a hundred hooks or pull requests has about one MiB.
pub(super) const MAX_ANSWER_BYTES: usize = 32 << 20;

/// Writes are not repeated where a repetition would do something else.
const ONCE: RetryPolicy = RetryPolicy { max_retries: Some(0), ..SHORT };

/// GitLab's API.
pub(super) struct Api {
    client: Client,
    address: ServerUrl,
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ForgeError,
    /// Whether there was no connection, or no answer on it in time.
    pub(super) is_connecting: bool,
}

impl From<ForgeError> for Failure {
    fn from(error: ForgeError) -> Self {
        Self { error, is_connecting: false }
    }
}

impl ClassifyFailure for Failure {
    fn transient(&self) -> Option<Transient> {
        let after = self.error.after();
        // A forge that asks for a long pause is not asked before it is over: GitHub counts that against the client.
        let is_soon = after.is_none_or(|after| after <= SHORT.max_delay);
        (self.error.is_transient() && is_soon).then_some(Transient { is_connecting: self.is_connecting, after })
    }
}

/// Makes attempts at a request until one succeeds or fails for good. Requests that would do something else a second
/// time are made once. `what` names the request's subject in the log.
pub(super) async fn repeated<T, F: Future<Output = Result<T, Failure>>>(
    method: &Method,
    what: &str,
    attempt: impl Fn() -> F,
) -> Result<T, ForgeError> {
    // PATCH changes only settings of hooks here, and writes each of them whole.
    let is_repeatable = [Method::GET, Method::PUT, Method::PATCH].contains(method);
    let policy = if is_repeatable { SHORT } else { ONCE };
    let log = |failure: &Failure, delay: Duration| {
        tracing::debug!(%method, what, error = %failure.error, ?delay, "trying again");
    };
    retry(&policy, attempt, log).await.map_err(|failure| failure.error)
}

impl Api {
    /// The API at an address. `headers`, and the token in its header, are sent with every request.
    pub(super) fn new(
        address: &ServerUrl,
        mut headers: HeaderMap,
        token: Option<(HeaderName, SecretString)>,
    ) -> Result<Self, ForgeError> {
        if let Some((name, token)) = token {
            let mut value = HeaderValue::from_str(token.expose_secret()).map_err(|_| ForgeError::MalformedToken)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        // The token goes to no other server.
        let client = client_builder(&TIMEOUTS, Policy::none()).default_headers(headers).build();
        let client = client.map_err(|error| ForgeError::Unreachable {
            address: address.to_string(),
            reason: TIMEOUTS.reason(error),
        })?;
        Ok(Self { client, address: address.clone() })
    }

    /// Returns the address as text.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Returns the URL below the API with these path segments, each percent-encoded.
    pub(super) fn below(&self, segments: &[&str]) -> Url {
        self.address.below(segments)
    }

    /// Sends a request, and returns the headers and the text of a successful answer. Requests that can be repeated
    /// without another effect are tried again after transient failures. `what` names their subject in errors.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<&(impl Serialize + ?Sized)>,
        what: &str,
    ) -> Result<(HeaderMap, String), ForgeError> {
        repeated(&method, what, || self.attempt(method.clone(), url.clone(), body, what)).await
    }

    async fn attempt(
        &self,
        method: Method,
        url: Url,
        body: Option<&(impl Serialize + ?Sized)>,
        what: &str,
    ) -> Result<(HeaderMap, String), Failure> {
        let unreachable = |error: reqwest::Error| Failure {
            is_connecting: error.is_connect() || error.is_timeout(),
            error: ForgeError::Unreachable { address: self.address(), reason: TIMEOUTS.reason(error) },
        };
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = match http::read_text(response, MAX_ANSWER_BYTES).await {
            Ok(text) => text,
            Err(ReadError::Client(error)) => return Err(unreachable(error)),
            Err(error) => {
                let (address, what, reason) = (self.address(), what.to_owned(), error.to_string());
                return Err(ForgeError::Unexpected { address, what, reason }.into());
            }
        };
        if status.is_success() {
            return Ok((headers, text));
        }
        Err(ResponseHead::read(status, &headers).error(&self.address(), what, &text).into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers each connection with the next of these answers. Returns the address, and in the end the requests.
    fn serve(answers: &'static [&'static str]) -> (ServerUrl, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/api", listener.local_addr().unwrap()).parse().unwrap();
        let serving = thread::spawn(move || {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut bytes = [0; 4096];
                let length = stream.read(&mut bytes).unwrap();
                requests.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                let head = format!("HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}");
                stream.write_all(head.as_bytes()).unwrap();
            }
            requests
        });
        (address, serving)
    }

    async fn send(api: &Api, method: Method) -> Result<(HeaderMap, String), ForgeError> {
        api.send(method, api.below(&["hooks"]), None::<&()>, "hooks").await
    }

    fn api(address: &ServerUrl) -> Api {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let token = (HeaderName::from_static("private-token"), "s3cret".to_owned().into());
        Api::new(address, HeaderMap::new(), Some(token)).unwrap()
    }

    #[tokio::test]
    async fn reads_are_repeated_after_transient_failures() {
        let (address, serving) = serve(&["503 Unavailable", "429 Slow Down\r\nRetry-After: 0", "200 OK"]);
        assert_eq!(send(&api(&address), Method::GET).await.unwrap().1, "{}");
        let requests = serving.join().unwrap();
        assert!(requests.iter().all(|request| request.starts_with("GET /api/hooks ") && request.contains("s3cret")));
        assert_eq!(requests.len(), 3);
    }

    #[tokio::test]
    async fn writes_final_failures_and_long_pauses_are_reported_at_once() {
        for (method, answer, reason) in [
            (Method::POST, "503 Unavailable", "answered 503"),
            (Method::DELETE, "503 Unavailable", "answered 503"),
            (Method::GET, "404 Not Found", "has no hooks"),
            (Method::GET, "503 Unavailable\r\nRetry-After: 600", "answered 503"),
            (Method::GET, "429 Slow Down\r\nRetry-After: 600", "no more requests for 600 seconds"),
        ] {
            let (address, serving) = serve(Box::leak(Box::new([answer])));
            let error = send(&api(&address), method).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            serving.join().unwrap();
        }
    }
}
