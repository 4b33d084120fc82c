//! What can be wrong with a site, and what helps.

use std::path::{Path, PathBuf};

use super::Origin;
use crate::server_url::{PLAIN_TEXT_HINT, ServerIdentity};

/// Why a site cannot be used or made. [`SiteError::hint`] says what may help.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Something in `apt-ci.toml` is wrong.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong; values that may hold passwords are left out.
        message: String,
        /// What may help.
        hint: Option<String>,
    },
    /// A flag's or variable's value is wrong.
    #[error("{origin}: {reason}")]
    Value {
        /// The flag or variable.
        origin: Origin,
        /// What is wrong with its value.
        reason: String,
    },
    /// The site that a flag or variable names does not exist.
    #[error("{origin}: no site at {}", path.display())]
    Missing {
        /// The flag or variable.
        origin: Origin,
        /// Where it points.
        path: PathBuf,
    },
    /// The site was only found in the working directory or above it, and its user has not trusted it.
    #[error("the site {} is not trusted{}", path.display(), if *has_another_owner { ": its owner has changed" } else { "" })]
    Untrusted {
        /// The site's folder.
        path: PathBuf,
        /// Whether it was trusted when it had another owner.
        has_another_owner: bool,
    },
    /// Another user could change what this user relies on.
    #[error("{} {reason}", path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Who could change it.
        reason: &'static str,
        /// The command that fixes it.
        hint: Option<String>,
    },
    /// The file with the queue's password cannot be used.
    #[error("the password file {}: {reason}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
        /// What may help, such as the command that mends it.
        hint: Option<String>,
    },
    /// A password would be sent so that everybody on the way can read it.
    #[error("refusing to send a password in plain text to {0}")]
    PlainText(ServerIdentity),
    /// A new site cannot be made there.
    #[error("{} {reason}", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What is there.
        reason: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// A file or folder cannot be used.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried, with the path.
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// git failed.
    #[error("cannot {action}: {}", error.message())]
    Git {
        /// What was tried, with the path.
        action: String,
        /// Why it failed.
        error: git2::Error,
        /// The lock that a git which works, or has died, has left.
        lock: Option<PathBuf>,
    },
}

impl SiteError {
    /// What may help, in words for people.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fault { hint, .. } | Self::PasswordFile { hint, .. } => hint.clone(),
            Self::Missing { path, .. } => Some(format!("run `apt-ci init {}` to create one", shell_word(path))),
            Self::Occupied { hint, .. } => Some((*hint).to_owned()),
            Self::Untrusted { path, .. } => Some(format!(
                "it can name servers that get your passwords and programs that are executed: look at its files, then run `apt-ci site trust {}`; \
                 or use your own site with --site or APT_CI_SITE, or work in another folder",
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

    /// Whether it is about what somebody has written; otherwise something does not work.
    pub fn is_bad_input(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Git { .. })
    }

    pub(super) fn io(action: &str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action: format!("{action} {}", path.display()), source }
    }
}

/// The path as one word of a shell's command line.
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
