//! What can be wrong with credentials.

use std::path::PathBuf;

use super::entry::{Entry, Name};
use super::kind::Kind;
use crate::server_url::ServerIdentity;
use crate::site::SiteError;

/// What can go wrong with credentials. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Nobody has made a site.
    #[error("credentials belong to a site, but no site was found")]
    NoSite,
    /// Others can read a file with secrets.
    #[error("{} can be read by others than its owner", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// The command that mends it.
        hint: String,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A symbolic link where a file or folder of credentials must be.
    #[error("{} is a symbolic link, which could lead anywhere", .0.display())]
    Link(PathBuf),
    /// A secret in clear in a folder that git knows.
    #[error("{} contains an unencrypted secret, in a folder that git tracks", .0.display())]
    Clear(PathBuf),
    /// A file holds what was encrypted for something else.
    #[error("the file of {0} contains {1}: it was copied or changed")]
    Foreign(String, String),
    /// A secret from before secrets were bound to what they are for.
    #[error("the {0} credential of {1} is not bound to a server yet")]
    Unbound(Kind, Name),
    /// A secret is bound to another server than the one that would get it.
    #[error(
        "the {kind} credential of {name} is for {}, not for {server}",
        bound.as_ref().map_or("no server".to_owned(), ToString::to_string)
    )]
    OtherServer {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: Name,
        /// The server that it is bound to.
        bound: Option<Box<ServerIdentity>>,
        /// The server that would get it.
        server: Box<ServerIdentity>,
    },
    /// A secret is bound to another web service than the one that a forge would send it to.
    #[error(
        "the {kind} credential of {name} is for {}, not for {service}",
        bound.as_ref().map_or("no web service yet".to_owned(), |bound| format!("the web service at {bound}"))
    )]
    OtherService {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: Name,
        /// The service that it is bound to.
        bound: Option<Box<ServerIdentity>>,
        /// The service that would get it.
        service: Box<ServerIdentity>,
    },
    /// Nothing says which server may get a secret.
    #[error("the server of the {0} credential of {1} is unknown")]
    NoServer(Kind, Name),
    /// A secret would get a purpose that this user has neither said nor confirmed: a commit may have changed it.
    #[error(
        "the {} credential of {} would be for {}, which you have not confirmed{}",
        entry.kind, entry.name, entry.purpose(),
        before.as_ref().map_or(String::new(), |before| format!("; you have stored it for {before}"))
    )]
    Unagreed {
        /// What would be stored.
        entry: Box<Entry>,
        /// What this user has confirmed before.
        before: Option<String>,
        /// Whether there is such an entry.
        is_there: bool,
    },
    /// Nothing says which roles need a secret.
    #[error("the roles that need the {0} credential of {1} are unknown")]
    NoReaders(Kind, Name),
    /// Keys that this user has not confirmed would open what is encrypted.
    #[error("keys that are not confirmed yet could decrypt what is stored: {}", .0.join("; "))]
    Unconfirmed(Vec<String>),
    /// The list of recipients is gone: secrets would be in clear where they were encrypted.
    #[error(
        "{} names no recipient, but secrets of this site were encrypted; refusing to store a secret unencrypted",
        .0.display()
    )]
    NoRecipients(PathBuf),
    /// No key of this user opens the secret.
    #[error("no SSH key here can decrypt the secret of {0}: {1}")]
    Sealed(String, String),
    /// Nobody here could open the secrets any more.
    #[error("no SSH key here could decrypt the secrets afterwards: {0}")]
    Unopenable(String),
    /// A key that secrets cannot be encrypted to.
    #[error("not a key that secrets can be encrypted to: {0}")]
    Recipient(String),
    /// Without it, secrets would be in clear.
    #[error("{0} is the last operator: without it, nobody could decrypt all secrets, or they would be unencrypted")]
    LastRecipient(String),
    /// Several keys have this comment.
    #[error("several recipients are called {0}")]
    Ambiguous(String),
    /// There is no such entry.
    #[error("there is no {0}")]
    Missing(String),
    /// There is no such recipient.
    #[error("unknown recipient {0:?}")]
    NoRecipient(String),
    /// git failed.
    #[error(transparent)]
    Site(#[from] SiteError),
}
