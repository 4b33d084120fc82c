//! Files and addresses of excuses.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use futures_util::TryStreamExt;
use reqwest::redirect::Policy;
use tokio_util::io::{StreamReader, SyncIoBridge};
use url::Url;

use super::ExcusesError;
use crate::http::{AnswerTimeout, Timeouts, client_builder};

/// Timeout for a connection, and for each further piece of an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUTS: Timeouts = Timeouts { connect: IDLE_TIMEOUT, answer: AnswerTimeout::Piece(IDLE_TIMEOUT) };

/// A file or address that excuses are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExcusesLocation {
    /// A local file.
    File(PathBuf),
    /// An address on the web.
    Web(Url),
}

/// Reason why a text is not a file or address. The text is left out, because it may have a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a file or address of excuses: {0}")]
pub struct InvalidExcusesLocation(&'static str);

impl FromStr for ExcusesLocation {
    type Err = InvalidExcusesLocation;

    fn from_str(text: &str) -> Result<Self, InvalidExcusesLocation> {
        if !text.contains("://") {
            return if text.is_empty() {
                Err(InvalidExcusesLocation("it is empty"))
            } else {
                Ok(Self::File(text.into()))
            };
        }
        let url = Url::parse(text).map_err(|_| InvalidExcusesLocation("it is not a URL"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidExcusesLocation("an address must begin with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidExcusesLocation("it must not contain a user or password"));
        }
        Ok(Self::Web(url))
    }
}

impl fmt::Display for ExcusesLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.pad(&path.display().to_string()),
            Self::Web(url) => f.pad(url.as_str()),
        }
    }
}

impl ExcusesLocation {
    /// Opens the file or address. Data from the web is read while it arrives, by a thread that may block.
    ///
    /// # Errors
    /// When the file cannot be opened, or the server does not return it.
    pub async fn open(&self) -> Result<Box<dyn Read + Send>, ExcusesError> {
        let url = match self {
            Self::File(path) => {
                return match std::fs::File::open(path) {
                    Ok(file) => Ok(Box::new(file)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ExcusesError::NoFile(error)),
                    Err(error) => Err(ExcusesError::Unopened(error.to_string())),
                };
            }
            Self::Web(url) => url,
        };
        let failed = |error: reqwest::Error| ExcusesError::Unopened(TIMEOUTS.reason(error));
        let client = client_builder(&TIMEOUTS, Policy::default()).build().map_err(failed)?;
        let response = client.get(url.clone()).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(ExcusesError::Unopened(format!("the server answered {}", response.status())));
        }
        let bytes = response.bytes_stream().map_err(|error| io::Error::other(TIMEOUTS.reason(error)));
        Ok(Box::new(SyncIoBridge::new(StreamReader::new(bytes))))
    }
}
