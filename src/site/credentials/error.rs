//! Errors of credentials.

use std::path::PathBuf;

use super::entry::{Entry, Name};
use super::kind::Kind;
use crate::server_url::ServerIdentity;
use crate::site::SiteError;

/// Error about credentials. No text contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There is no site.
    #[error("credentials belong to a site, but no site was found")]
    NoSite,
    /// Other users can read a file with secrets.
    #[error("{} can be read by others than its owner", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// The command that fixes it.
        hint: String,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// A symbolic link in the place of a file or folder of credentials.
    #[error("{} is a symbolic link, which could lead anywhere", .0.display())]
    Link(PathBuf),
    /// An unencrypted secret in a folder that git tracks.
    #[error("{} contains an unencrypted secret, in a folder that git tracks", .0.display())]
    Clear(PathBuf),
    /// A file contains the ciphertext of another credential.
    #[error("the file of {0} contains {1}: it was copied or changed")]
    Foreign(String, String),
    /// A secret of an older version, which is bound to no purpose.
    #[error("the {0} credential of {1} is not bound to a server yet")]
    Unbound(Kind, Name),
    /// The secret is bound to another server than the one that would get it.
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
    /// The secret is bound to another web service than the one to which the forge would send it.
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
    /// The server that may get the secret is unknown.
    #[error("the server of the {0} credential of {1} is unknown")]
    NoServer(Kind, Name),
    /// The secret would get a purpose that the user has neither given nor confirmed; a commit may have changed it.
    #[error(
        "the {} credential of {} would be for {}, which you have not confirmed{}",
        entry.kind, entry.name, entry.purpose(),
        before.as_ref().map_or(String::new(), |before| format!("; you have stored it for {before}"))
    )]
    Unagreed {
        /// The entry that would be stored.
        entry: Box<Entry>,
        /// The purpose that the user has confirmed before.
        before: Option<String>,
        /// Whether the entry exists.
        is_there: bool,
    },
    /// The roles that need the secret are unknown.
    #[error("the roles that need the {0} credential of {1} are unknown")]
    NoReaders(Kind, Name),
    /// Keys that the user has not confirmed could decrypt the secret.
    #[error("keys that are not confirmed yet could decrypt what is stored: {}", .0.join("; "))]
    Unconfirmed(Vec<String>),
    /// The list of recipients is missing, so that secrets would be stored unencrypted where they were encrypted.
    #[error(
        "{} names no recipient, but secrets of this site were encrypted; refusing to store a secret unencrypted",
        .0.display()
    )]
    NoRecipients(PathBuf),
    /// No key of the user can decrypt the secret.
    #[error("no SSH key here can decrypt the secret of {0}: {1}")]
    Sealed(String, String),
    /// No key of the user could decrypt the secrets afterwards.
    #[error("no SSH key here could decrypt the secrets afterwards: {0}")]
    Unopenable(String),
    /// A key that age cannot encrypt to.
    #[error("not a key that secrets can be encrypted to: {0}")]
    Recipient(String),
    /// Without this recipient, no operator would be left.
    #[error("{0} is the last operator: without it, nobody could decrypt all secrets, or they would be unencrypted")]
    LastRecipient(String),
    /// Several keys have this comment.
    #[error("several recipients are called {0}")]
    Ambiguous(String),
    /// The entry does not exist.
    #[error("there is no {0}")]
    Missing(String),
    /// The recipient does not exist.
    #[error("unknown recipient {0:?}")]
    NoRecipient(String),
    /// git failed.
    #[error(transparent)]
    Site(#[from] SiteError),
}
