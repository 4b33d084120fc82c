//! Errors of a site, with hints.

use std::path::{Path, PathBuf};

use super::Origin;
use crate::server_url::{PLAIN_TEXT_HINT, ServerIdentity};

/// Reason why a site cannot be used or created. [`SiteError::hint`] returns what may help.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// `apt-ci.toml`, or another file of the site, is invalid.
    #[error("{}:{line}:{column}: {message}", path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The error, without values that may be passwords.
        message: String,
        /// A hint for the user.
        hint: Option<String>,
    },
    /// The value of a flag or variable is invalid.
    #[error("{origin}: {reason}")]
    Value {
        /// The flag or variable.
        origin: Origin,
        /// The rule that the value breaks.
        reason: String,
    },
    /// The site that a flag or variable names does not exist.
    #[error("{origin}: no site at {}", path.display())]
    Missing {
        /// The flag or variable.
        origin: Origin,
        /// The path in it.
        path: PathBuf,
    },
    /// The site was found in the working directory or above it, and its user has not trusted it.
    #[error("the site {} is not trusted{}", path.display(), if *has_another_owner { ": its owner has changed" } else { "" })]
    Untrusted {
        /// The site's folder.
        path: PathBuf,
        /// Whether it was trusted with another owner.
        has_another_owner: bool,
    },
    /// Another user could change a file or folder that matters.
    #[error("{} {reason}", path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// The danger: another owner, or write access for others.
        reason: &'static str,
        /// The command that fixes it.
        hint: Option<String>,
    },
    /// The file with the queue's password cannot be used.
    #[error("the password file {}: {reason}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
        /// A hint for the user, such as the command that fixes it.
        hint: Option<String>,
    },
    /// A password would be sent unencrypted over the network.
    #[error("refusing to send a password in plain text to {0}")]
    PlainText(ServerIdentity),
    /// A new site cannot be created in the folder.
    #[error("{} {reason}", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// The obstacle there.
        reason: &'static str,
        /// A hint for the user.
        hint: &'static str,
    },
    /// A file or folder cannot be used.
    #[error("cannot {action}: {source}")]
    Io {
        /// The attempted action, with the path.
        action: String,
        /// The cause.
        source: std::io::Error,
    },
    /// git failed.
    #[error("cannot {action}: {}", error.message())]
    Git {
        /// The attempted action, with the path.
        action: String,
        /// The cause.
        error: git2::Error,
        /// The lock of another git process, which may have died.
        lock: Option<PathBuf>,
    },
}

impl SiteError {
    /// Returns a hint for the user.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidFile { hint, .. } | Self::PasswordFile { hint, .. } => hint.clone(),
            Self::Missing { path, .. } => Some(format!("run `apt-ci init {}` to create one", shell_word(path))),
            Self::Occupied { hint, .. } => Some((*hint).to_owned()),
            Self::Untrusted { path, .. } => Some(format!(
                "a site can name servers that get your passwords and programs that are run. Look at its files, then run \
                 `apt-ci site trust {}`; or name your own site with --site",
                shell_word(path)
            )),
            Self::Exposed { hint: Some(hint), .. } => Some(hint.clone()),
            Self::Exposed { hint: None, .. } => {
                Some("a site in such a place is used only when --site or APT_CI_SITE names it; both can name your own as well, or work in another folder".to_owned())
            }
            Self::Git { lock: Some(lock), .. } => {
                Some(format!(
                    "run this again; if it fails again and no git is running there, a killed git left its lock: remove it with \
                     `rm {}`",
                    shell_word(lock)
                ))
            }
            Self::PlainText(_) => Some(PLAIN_TEXT_HINT.to_owned()),
            Self::Value { .. } | Self::Io { .. } | Self::Git { .. } => None,
        }
    }

    /// Whether the cause is a user's input. Otherwise the system failed.
    pub fn is_bad_input(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Git { .. })
    }

    pub(super) fn io(action: &str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action: format!("{action} {}", path.display()), source }
    }
}

/// Returns a path as one word of a shell's command line.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_command_can_be_copied_into_a_shell() {
        assert_eq!(shell_word(Path::new("/etc/apt-ci")), "/etc/apt-ci");
        assert_eq!(shell_word(Path::new("/my site/it's")), r"'/my site/it'\''s'");
    }
}
