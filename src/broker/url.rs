//! Addresses of brokers: `amqp://…`, `amqps://…` or `local:PATH`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::queue_type::QueueType;
use crate::server_url::ServerIdentity;

/// A queue URL that cannot be used. The message does not contain the URL, which may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a queue URL: {0}")]
pub struct InvalidQueueUrl(String);

/// Address of a broker. Its text form and `Debug` never contain the password.
#[derive(Clone)]
pub enum QueueUrl {
    /// RabbitMQ at `amqp://` or `amqps://`.
    Amqp(AmqpUrl),
    /// The embedded broker: an SQLite file in this folder.
    Local(PathBuf),
}

/// An `amqp://` or `amqps://` URL, with its password.
#[derive(Clone)]
pub struct AmqpUrl {
    shown: String,
    server: ServerIdentity,
    full: SecretString,
    queue_type: Option<QueueType>,
}

impl AmqpUrl {
    /// Returns the URL without its password.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the URL with its password, for the connection only.
    pub(super) fn full(&self) -> &str {
        self.full.expose_secret()
    }

    /// Returns the type of the queues there, if the site's configuration says so.
    pub fn queue_type(&self) -> Option<QueueType> {
        self.queue_type
    }

    /// Returns the address with this type of queues, from the site's configuration.
    pub fn with_queue_type(self, queue_type: Option<QueueType>) -> Self {
        Self { queue_type, ..self }
    }

    /// Returns the user in the URL.
    pub fn user(&self) -> Option<String> {
        let url = parse(self.full()).ok()?;
        let user = percent_decode_str(url.username()).decode_utf8().ok()?;
        Some(user.into_owned()).filter(|user| !user.is_empty())
    }

    /// Returns the server in the URL.
    pub fn server(&self) -> &ServerIdentity {
        &self.server
    }

    /// Returns whether the URL contains a password.
    pub fn has_password(&self) -> bool {
        parse(self.full()).is_ok_and(|url| url.password().is_some())
    }

    /// Returns the address with this password.
    ///
    /// # Errors
    /// When the URL has no user.
    pub fn with_password(&self, password: &SecretString) -> Result<Self, InvalidQueueUrl> {
        let mut url = parse(self.full())?;
        if url.username().is_empty() {
            return Err(InvalidQueueUrl("it has a password, but no user".to_owned()));
        }
        let invalid = |()| InvalidQueueUrl("it cannot hold a password".to_owned());
        // The whole password is escaped: a `%` in it would be read as the beginning of an escape.
        let escaped = utf8_percent_encode(password.expose_secret(), NON_ALPHANUMERIC).to_string();
        url.set_password(Some(&escaped)).map_err(invalid)?;
        let (shown, server) = (self.shown.clone(), self.server.clone());
        Ok(Self { shown, server, full: url.as_str().to_owned().into(), queue_type: self.queue_type })
    }
}

const FORMS: &str = "it must begin with amqp://, amqps:// or local:";

fn parse(text: &str) -> Result<url::Url, InvalidQueueUrl> {
    url::Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => InvalidQueueUrl(FORMS.to_owned()),
        other => InvalidQueueUrl(other.to_string()),
    })
}

impl FromStr for QueueUrl {
    type Err = InvalidQueueUrl;

    fn from_str(text: &str) -> Result<Self, InvalidQueueUrl> {
        if let Some(path) = text.strip_prefix("local:") {
            if path.is_empty() {
                return Err(InvalidQueueUrl("local: needs a folder, as in local:/var/lib/apt-ci/queue".to_owned()));
            }
            return Ok(Self::Local(PathBuf::from(path)));
        }
        let url = parse(text)?;
        if !matches!(url.scheme(), "amqp" | "amqps") {
            return Err(InvalidQueueUrl(FORMS.to_owned()));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidQueueUrl("it names no host".to_owned()));
        }
        let mut shown = url.clone();
        // Fails only for URLs without a host.
        let _ = shown.set_password(None);
        let server = ServerIdentity::of(&url);
        Ok(Self::Amqp(AmqpUrl { shown: shown.into(), server, full: String::from(url).into(), queue_type: None }))
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amqp(url) => f.write_str(&url.shown),
            Self::Local(path) => write!(f, "local:{}", path.display()),
        }
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url: QueueUrl = "amqps://worker:hunter2@mq.example/ci".parse().unwrap();
        assert_eq!(url.to_string(), "amqps://worker@mq.example/ci");
        assert!(!format!("{url:?}").contains("hunter2"));
        let error = "http://worker:hunter2@mq.example".parse::<QueueUrl>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
