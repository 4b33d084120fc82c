//! Errors of queries to Launchpad and its key server.

use crate::release::Release;
use crate::request::Fingerprint;
use crate::server_url::PLAIN_TEXT_HINT;

/// Reason why data is not a single OpenPGP public key of version 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedKey(pub(super) &'static str);

/// Error of a query about an archive: there is no signing key, or no package.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LaunchpadError {
    /// A server is unreachable or has a temporary failure.
    #[error("{address} cannot be asked about the PPA {ppa}: {reason}")]
    Unreachable {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The server.
        address: String,
        /// The cause.
        reason: String,
    },
    /// A server is unreachable or has a temporary failure, when published versions are queried.
    #[error("cannot query {address} for published versions: {reason}")]
    PublicationsUnreachable {
        /// The server.
        address: String,
        /// The cause.
        reason: String,
    },
    /// Launchpad's answer about the published versions cannot be used.
    #[error("cannot read the published versions from {address}: {reason}")]
    InvalidPublications {
        /// The server.
        address: String,
        /// Description of the error.
        reason: String,
    },
    /// Launchpad does not know the release.
    #[error("{address} has no release {release}")]
    NoRelease {
        /// The server.
        address: String,
        /// The release.
        release: Release,
    },
    /// Launchpad shows no such archive.
    #[error(
        "{address} knows no PPA {ppa} that everybody may see; for a private one, name the fingerprint of its signing key"
    )]
    NoSuchPpa {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The server.
        address: String,
    },
    /// The archive has no signing key yet; Launchpad creates it with the first upload.
    #[error("the PPA {ppa} has no signing key: nothing was ever published in it")]
    NoKey {
        /// The archive, `OWNER/NAME`.
        ppa: String,
    },
    /// The key server does not have the key.
    #[error("{address} has no key with the fingerprint {fingerprint}, which the PPA {ppa} is asked for with")]
    NoSuchKey {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The server.
        address: String,
        /// The requested fingerprint.
        fingerprint: Fingerprint,
    },
    /// The key has another fingerprint than expected.
    #[error("the signing key of the PPA {ppa} must be {expected}, but {address} has {found}")]
    WrongFingerprint {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The server.
        address: String,
        /// The expected fingerprint.
        expected: Fingerprint,
        /// The actual fingerprint.
        found: Fingerprint,
    },
    /// The answer is not a valid key.
    #[error("what {address} has as the signing key of the PPA {ppa} cannot be used: {source}")]
    MalformedKey {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The server.
        address: String,
        /// The reason.
        source: MalformedKey,
    },
    /// A server's answer makes no sense.
    #[error("{address} tells nothing usable about the PPA {ppa}: {reason}")]
    Refused {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The server.
        address: String,
        /// The answer.
        reason: String,
    },
    /// The archive has no packages for a release: apt would fail in the testbed, as if the tested package were at
    /// fault.
    #[error("the PPA {ppa} has nothing for {release}")]
    NothingForRelease {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The release.
        release: Release,
    },
    /// The archive denies access.
    #[error("{address} {} the PPA {ppa}", if *with_token { "does not accept the token for" } else { "asks for a token for" })]
    NoAccess {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The server.
        address: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The token would be sent in plain text.
    #[error("refusing to send the token of the PPA {ppa} in plain text to {address}; {PLAIN_TEXT_HINT}")]
    PlainText {
        /// The archive, `OWNER/NAME`.
        ppa: String,
        /// The server.
        address: String,
    },
    /// The HTTP client cannot be created on this machine.
    #[error("cannot create an HTTP client for Launchpad: {0}")]
    Client(String),
}

impl LaunchpadError {
    /// Returns whether the same query may succeed later. This is the infrastructure's failure, not the request's.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::PublicationsUnreachable { .. })
    }
}
