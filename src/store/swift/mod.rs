//! OpenStack Swift.
//!
//! [`account`] combines the settings, [`tempauth`] and [`keystone`] log in, [`session`] keeps the token and sends
//! requests, and [`retry`] repeats attempts whose [`failure`] is transient. This module has the operations of a store.

mod account;
mod acl;
mod auth_token;
mod clouds;
mod failure;
mod keystone;
mod listing;
mod retry;
mod session;
mod source;
mod storage;
mod tempauth;
mod upload;
mod url;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::url::Url;
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use secrecy::SecretString;
use tokio_util::io::StreamReader;
use tracing::{debug, warn};

use self::account::Account;
pub use self::account::{CREDENTIAL_VARIABLES, SwiftLogin, login};
use self::failure::Failure;
use self::retry::with_retries;
use self::session::{Session, SwiftRequest};
use self::upload::Upload;
use super::names::{check_container, check_object};
use super::{Access, ContainerSize, Entry, ObjectHeaders, ObjectReader, Query, StoreError};
use crate::environment::Environment;
use crate::http::{self, AnswerTimeout, Timeouts};
use crate::retry::{LONG, RetryPolicy, SHORT};

/// Timeout for a connection. With a short second attempt, an unreachable store is reported within ten seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Timeout for silence of the store. A whole transfer has no timeout: artifacts may be large and connections slow.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const TIMEOUTS: Timeouts = Timeouts { connect: CONNECT_TIMEOUT, answer: AnswerTimeout::Piece(IDLE_TIMEOUT) };
/// Maximum number of unused connections that stay open.
const MAX_IDLE_CONNECTIONS: usize = 4;
/// Number of objects that are removed with one request. Swift's limit is 10,000; it answers when all are removed.
const BULK_DELETE_SIZE: usize = 1000;
/// Number of concurrent deletions when objects are removed one by one.
const DELETE_CONCURRENCY: usize = 16;
/// Maximum number of attempts to write a list of readers while another client writes it too.
const MAX_ACL_ATTEMPTS: usize = 5;
/// Maximum size of one page of a listing, in bytes. A page of 10,000 names, the usual limit of servers, has at most 64
/// MiB; operators may raise it.
const MAX_PAGE_BYTES: usize = 256 * 1024 * 1024;
const OBJECT_COUNT: HeaderName = HeaderName::from_static("x-container-object-count");
const BYTES_USED: HeaderName = HeaderName::from_static("x-container-bytes-used");
const CONTAINER_READ: HeaderName = HeaderName::from_static("x-container-read");

/// A site's settings for Swift, in addition to the environment's variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SwiftSettings {
    /// The cloud of clouds.yaml to use, unless the environment names one.
    pub cloud: Option<String>,
    /// The path of clouds.yaml, if it is not in one of the usual folders.
    pub clouds_file: Option<PathBuf>,
    /// The region whose endpoint to use from the catalog.
    pub region: Option<String>,
    /// The interface to use from the catalog: `public` (the default), `internal` or `admin`.
    pub interface: Option<String>,
    /// Whether passwords and tokens may be sent without TLS to another machine.
    pub allows_plain_text: bool,
}

/// A Swift account.
pub struct SwiftStore {
    /// Boxed because a client is large, and other kinds of store should not pay for it.
    session: Box<Session>,
}

impl SwiftStore {
    /// Opens the account at `url`, or the one that logging in returns. Reads clouds.yaml if it is configured. Connects
    /// on first use.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] when a setting is missing, with its name.
    pub fn new(
        url: Option<&Url>,
        settings: &SwiftSettings,
        environment: &Environment,
        password: Option<&SecretString>,
    ) -> Result<Self, StoreError> {
        let account = Account::resolve(url, settings, environment, password)?;
        Ok(Self { session: Box::new(Session::new(account)?) })
    }

    /// Returns the storage URL, or the address of the login if only that is known.
    pub fn address(&self) -> String {
        self.session.address()
    }

    /// Returns the URL of an object.
    ///
    /// # Errors
    /// When logging in fails.
    pub async fn locate(&self, container: &str, object: &str) -> Result<String, StoreError> {
        let storage = with_retries(SHORT, || self.session.storage()).await?;
        Ok(format!("{storage}{}", url::path(container, object)))
    }

    /// Returns a text that distinguishes this account, as this user sees it, from others, without a password.
    pub fn identity(&self) -> String {
        self.session.identity()
    }

    /// Returns the names of the account's containers, in order.
    ///
    /// # Errors
    /// When the account cannot be listed: anonymous readers cannot.
    pub async fn containers(&self) -> Result<Vec<String>, StoreError> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let marker = names.last().map_or("", String::as_str);
            let ask = SwiftRequest {
                path: url::query(&[("format", "json"), ("marker", marker)]),
                subject: "the account".to_owned(),
                ..plain_request(Method::GET, "", "", "list its containers")
            };
            let page = self.rows(&ask, marker, listing::containers, |name| name).await?;
            if page.is_empty() {
                return Ok(names);
            }
            names.extend(page);
        }
    }

    /// Creates the container if it does not exist, adds these readers to its list, and removes everyone when it has to
    /// be private.
    ///
    /// # Errors
    /// When the store refuses or is unreachable. Also when a container that has to be private belongs to another
    /// account: its list of readers is not visible then.
    pub async fn ensure_container(&self, container: &str, access: &Access) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        let action = format!("make the container {container} readable");
        let refused = |reason| StoreError::Refused { address: self.address(), action: action.clone(), reason };
        let wanted = acl::wanted(access).map_err(refused)?;
        for _ in 0..MAX_ACL_ATTEMPTS {
            let look = plain_request(Method::HEAD, container, "", &format!("look at the container {container}"));
            let (method, existing) = match self.request(LONG, &look).await {
                Ok(response) => (Method::POST, readers(&response)),
                Err(StoreError::NotFound(_)) => (Method::PUT, String::new()),
                Err(error) => return Err(error),
            };
            let mut headers = Vec::new();
            let changed = acl::changed(&existing, &wanted, access);
            let readers = acl::left_out(changed.as_ref().unwrap_or(&existing), &wanted);
            if !readers.is_empty() {
                warn!(container, ?readers, "readers are not added: the list of its readers is full");
            }
            match changed {
                None if method == Method::POST => {
                    if *access == Access::Private(Vec::new()) && existing.is_empty() {
                        // Swift shows the list only to owners. A user who may not write to the container cannot know
                        // that it is empty.
                        self.request(LONG, &plain_request(method, container, "", &action)).await?;
                    }
                    return Ok(());
                }
                // Nobody else may read a new container. Another worker that creates it at the same time may add
                // readers.
                None => {}
                Some(list) => {
                    if *access != Access::Public && acl::is_open(&existing) {
                        warn!(container, "it is private and was readable for everybody: closing it");
                    }
                    debug!(container, list, "writing who may read");
                    let list = HeaderValue::from_bytes(list.as_bytes())
                        .map_err(|_| refused("its list of readers can be no header".to_owned()))?;
                    headers.push((CONTAINER_READ, list));
                }
            }
            self.request(LONG, &SwiftRequest { headers, ..plain_request(method, container, "", &action) }).await?;
            // Swift has no conditional write: check again whether another client wrote a list at the same time.
        }
        Err(refused(format!("its list of readers was still not as written after {MAX_ACL_ATTEMPTS} times")))
    }

    /// Returns all entries that match the query, page by page.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the container does not exist, or when a page is not complete.
    pub async fn list(&self, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let marker = entries.last().map_or(query.marker.as_str(), Entry::name).to_owned();
            let page = self.page(container, &Query { marker, ..query.clone() }).await?;
            if page.is_empty() {
                return Ok(entries);
            }
            entries.extend(page);
        }
    }

    /// Returns the first page of these entries, in the server's page size.
    ///
    /// # Errors
    /// The same as for [`SwiftStore::list`].
    pub async fn page(&self, container: &str, query: &Query) -> Result<Vec<Entry>, StoreError> {
        check_container(&self.address(), container)?;
        let delimiter = query.delimiter.map(String::from).unwrap_or_default();
        // Without a limit: a server refuses one above its own, and its own is the best.
        let parameters = [
            ("format", "json"),
            ("prefix", query.prefix.as_str()),
            ("delimiter", delimiter.as_str()),
            ("marker", query.marker.as_str()),
        ];
        let mut ask = plain_request(Method::GET, container, "", &format!("list {container}"));
        ask.path += &url::query(&parameters);
        self.rows(&ask, &query.marker, listing::objects, Entry::name).await
    }

    /// Returns the number and size of a container's objects; `None` when the server does not tell.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the container does not exist, [`StoreError::Refused`] also when it does not exist
    /// and there are no credentials, or when the store is unreachable.
    pub async fn amount(&self, container: &str) -> Result<Option<ContainerSize>, StoreError> {
        check_container(&self.address(), container)?;
        let ask = plain_request(Method::HEAD, container, "", &format!("look at {container}"));
        let response = self.request(SHORT, &ask).await?;
        let number = |name: HeaderName| response.headers().get(name)?.to_str().ok()?.parse().ok();
        let amount = || Some(ContainerSize { objects: number(OBJECT_COUNT)?, bytes: number(BYTES_USED)? });
        Ok(amount())
    }

    /// Opens an object for reading. Compressed objects arrive compressed. An interrupted transfer ends with an error,
    /// never like a shorter object.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the store is unreachable.
    pub async fn get(&self, container: &str, object: &str) -> Result<ObjectReader, StoreError> {
        check_container(&self.address(), container)?;
        check_object(&self.address(), object)?;
        let ask = plain_request(Method::GET, container, object, &format!("read {container}/{object}"));
        let response = self.request(SHORT, &ask).await?;
        let address = self.address();
        let bytes = response
            .bytes_stream()
            .map_err(move |error| io::Error::other(StoreError::from(Failure::of_client(&address, error))));
        Ok(Box::new(StreamReader::new(Box::pin(bytes))))
    }

    /// Stores a file as an object. Swift shows the new object only after all bytes have arrived with the right
    /// checksum.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the container does not exist; when the file is larger than 5 GiB, Swift's limit;
    /// when the store refuses or stays unreachable.
    pub async fn put(
        &self,
        container: &str,
        object: &str,
        file: &Path,
        headers: &ObjectHeaders,
    ) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        check_object(&self.address(), object)?;
        let action = format!("store {container}/{object}");
        let refused = |reason: &str| StoreError::Refused {
            address: self.address(),
            action: action.clone(),
            reason: reason.to_owned(),
        };
        // One system call on a local disk takes no longer than passing it to another thread.
        let length = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        if length > upload::MAX_OBJECT_BYTES {
            return Err(refused(&format!("the file has {length} bytes, and Swift takes at most 5 GiB")));
        }
        let content_type =
            HeaderValue::from_str(&headers.content_type).map_err(|_| refused("its Content-Type can be no header"))?;
        let mut lines = vec![(CONTENT_TYPE, content_type)];
        if let Some(encoding) = headers.content_encoding {
            lines.push((CONTENT_ENCODING, HeaderValue::from_static(encoding)));
        }
        let upload = Upload::measure(file).await?;
        let subject = container.to_owned();
        let ask = SwiftRequest {
            headers: lines,
            upload: Some(&upload),
            subject,
            ..plain_request(Method::PUT, container, object, &action)
        };
        let knock = self::plain_request(Method::HEAD, container, "", &action);
        let broke = AtomicBool::new(false);
        with_retries(LONG, || async {
            // A server that refuses a token may close the connection while the file is sent, and its answer is lost. An
            // empty request gets this answer, and the token is renewed.
            if broke.swap(false, Ordering::Relaxed) {
                self.session.attempt(&knock).await?;
            }
            let response = self.session.attempt(&ask).await.inspect_err(|_| broke.store(true, Ordering::Relaxed))?;
            let arrived = response.headers().get(ETAG).and_then(|sum| sum.to_str().ok());
            match arrived.map(|sum| sum.trim_matches('"')) {
                Some(sum) if !sum.eq_ignore_ascii_case(&upload.md5) => {
                    Err(Failure::broken(&self.address(), "other bytes arrived than were sent"))
                }
                _ => Ok(()),
            }
        })
        .await
    }

    /// Removes an object. Succeeds if it does not exist.
    ///
    /// # Errors
    /// When the store refuses or is unreachable.
    pub async fn delete(&self, container: &str, object: &str) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        check_object(&self.address(), object)?;
        let ask = plain_request(Method::DELETE, container, object, &format!("remove {container}/{object}"));
        match self.request(SHORT, &ask).await {
            Ok(_) | Err(StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes objects of a container, in any order, many with one request if the server can do that. Succeeds for
    /// objects that do not exist.
    ///
    /// # Errors
    /// When the store refuses or is unreachable; some of the objects may be removed then.
    pub async fn delete_all(&self, container: &str, objects: &[String]) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        for some in objects.chunks(BULK_DELETE_SIZE) {
            if !self.delete_at_once(container, some).await? {
                let removing = stream::iter(some).map(|object| self.delete(container, object));
                removing.buffer_unordered(DELETE_CONCURRENCY).try_collect::<()>().await?;
            }
        }
        Ok(())
    }

    /// Returns `false` when the server has no bulk delete, which is an optional part of Swift.
    async fn delete_at_once(&self, container: &str, objects: &[String]) -> Result<bool, StoreError> {
        /// The answer; its HTTP status is always 200 OK.
        #[derive(serde::Deserialize)]
        struct Answer {
            #[serde(rename = "Response Status")]
            status: String,
            #[serde(rename = "Errors")]
            errors: Vec<Vec<String>>,
        }
        let mut lines = String::new();
        for object in objects {
            check_object(&self.address(), object)?;
            lines.push_str(url::path(container, object).trim_start_matches('/'));
            lines.push('\n');
        }
        let action = format!("remove objects of {container}");
        let ask = SwiftRequest {
            path: "?bulk-delete".to_owned(),
            headers: vec![
                (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
                (ACCEPT, HeaderValue::from_static("application/json")),
            ],
            text: Some(&lines),
            ..plain_request(Method::POST, container, "", &action)
        };
        let answer = match self.request(LONG, &ask).await {
            // Without bulk delete, this is a request to change the account.
            Err(StoreError::Refused { .. }) => return Ok(false),
            other => other?,
        };
        let text = http::read_bytes(answer, MAX_PAGE_BYTES)
            .await
            .map_err(|error| StoreError::from(Failure::of_body(&self.address(), &ask.action, error)))?;
        let Ok(answer) = serde_json::from_slice::<Answer>(&text) else { return Ok(false) };
        match answer.errors.first() {
            None if answer.status.starts_with("200") || answer.status.starts_with("404") => Ok(true),
            // One by one, so that each object that cannot be removed has its own error.
            _ => Ok(false),
        }
    }

    /// Removes an empty container. Succeeds if it does not exist.
    ///
    /// # Errors
    /// When it is not empty, or the store refuses or is unreachable.
    pub async fn delete_container(&self, container: &str) -> Result<(), StoreError> {
        check_container(&self.address(), container)?;
        let ask = plain_request(Method::DELETE, container, "", &format!("remove {container}"));
        match self.request(SHORT, &ask).await {
            Ok(_) | Err(StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn request(&self, policy: RetryPolicy, ask: &SwiftRequest<'_>) -> Result<Response, StoreError> {
        with_retries(policy, || self.session.attempt(ask)).await
    }

    /// Returns one page of a listing. It is read completely in the same attempt, so that an interrupted one is retried.
    /// Its rows must come after `last`: a server that ignores markers would be listed indefinitely.
    async fn rows<T>(
        &self,
        ask: &SwiftRequest<'_>,
        last: &str,
        read: fn(&[u8]) -> Result<Vec<T>, String>,
        name: fn(&T) -> &str,
    ) -> Result<Vec<T>, StoreError> {
        with_retries(SHORT, || async {
            let response = self.session.attempt(ask).await?;
            let address = self.address();
            let page = http::read_bytes(response, MAX_PAGE_BYTES)
                .await
                .map_err(|error| Failure::of_body(&address, &ask.action, error))?;
            let rows = read(&page).map_err(|reason| Failure::broken(&address, reason))?;
            let ahead = rows.iter().map(name);
            if [last].into_iter().filter(|last| !last.is_empty()).chain(ahead).is_sorted_by(|a, b| a < b) {
                Ok(rows)
            } else {
                Err(Failure::broken(&address, "its listing is not in order"))
            }
        })
        .await
    }
}

/// Returns a plain request.
fn plain_request(method: Method, container: &str, object: &str, action: &str) -> SwiftRequest<'static> {
    let subject = if object.is_empty() { container.to_owned() } else { format!("{container}/{object}") };
    let path = url::path(container, object);
    SwiftRequest { method, path, headers: Vec::new(), upload: None, text: None, action: action.to_owned(), subject }
}

/// Returns the container's list of readers, which Swift shows to its owners.
fn readers(response: &Response) -> String {
    let list = response.headers().get(CONTAINER_READ).map(|list| String::from_utf8_lossy(list.as_bytes()).into_owned());
    list.unwrap_or_default()
}
