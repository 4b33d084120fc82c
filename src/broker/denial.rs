//! Permissions that a user lacks at RabbitMQ, and the commands that grant them.

use std::fmt;

/// A kind of permission for a queue or an exchange of RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Create, change and delete it.
    Configure,
    /// Publish to it, and bind it.
    Write,
    /// Take messages from it.
    Read,
}

/// A permission that a user lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Name of the user.
    pub user: String,
    /// Name of the virtual host.
    pub vhost: String,
    /// The resource: `queue 'NAME'` or `exchange 'NAME'`.
    pub resource: String,
    /// The missing permission. RabbitMQ before 3.11 does not name it.
    pub right: Option<Right>,
}

impl Denial {
    /// Parses RabbitMQ's message about a missing permission.
    ///
    /// `ACCESS_REFUSED - [write ]access to exchange 'amq.default' in vhost '/' refused for user 'alice'`
    pub(super) fn from_rabbitmq(text: &str) -> Option<Self> {
        let (before, after) = text.split_once("access to ")?;
        let (resource, after) = after.split_once(" in vhost '")?;
        let (vhost, user) = after.split_once("' refused for user '")?;
        let said = [("configure", Right::Configure), ("write", Right::Write), ("read", Right::Read)];
        let said = said.into_iter().find(|(word, _)| before.trim_end().ends_with(word)).map(|(_, right)| right);
        // The default exchange can neither be read from nor configured.
        let right = said.or_else(|| resource.contains("'amq.default'").then_some(Right::Write));
        let user = user.trim_end_matches('\'').to_owned();
        Some(Self { user, vhost: vhost.to_owned(), resource: resource.to_owned(), right })
    }

    /// Returns an instruction to grant the missing permission.
    ///
    /// `rabbitmqctl` replaces all three patterns of a user at once, so the existing ones have to be given again.
    pub fn hint(&self) -> String {
        let Self { user, vhost, resource, right } = self;
        let name = resource.split_once('\'').map_or(resource.as_str(), |(_, name)| name.trim_end_matches('\''));
        let pattern = match name.starts_with(OUR_NAMES) {
            // The rest of such a name differs each time.
            true => format!("^{}.*", escaped(OUR_NAMES)),
            false => format!("^{}$", escaped(name)),
        };
        let [configure, write, read] = [Right::Configure, Right::Write, Right::Read].map(|one| {
            let present = format!("{}-PATTERN", one.word().to_uppercase());
            let is_missing = right.is_none_or(|right| right == one);
            if is_missing { quoted(&format!("{present}|{pattern}")) } else { present }
        });
        format!(
            "grant it on the broker's host, with the patterns that `rabbitmqctl list_user_permissions {}` shows, \
             ^$ for an empty one: `rabbitmqctl set_permissions -p {} {} {configure} {write} {read}`",
            quoted(user),
            quoted(vhost),
            quoted(user),
        )
    }
}

/// Prefix of our own queues and exchanges.
const OUR_NAMES: &str = "apt-ci.";

/// Reason why a broker that answers does not accept a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exclusion {
    /// The user does not exist, or has another password.
    #[error("the server refuses the user and password (ACCESS_REFUSED)")]
    Login,
    /// The virtual host does not exist.
    #[error("the server has no virtual host '{vhost}'")]
    NoVhost {
        /// Name of the virtual host in the address.
        vhost: String,
    },
    /// The user has no permissions in the virtual host.
    #[error("permission denied: user '{user}' may not use the virtual host '{vhost}'")]
    Vhost {
        /// Name of the user.
        user: String,
        /// Name of the virtual host.
        vhost: String,
    },
}

impl Exclusion {
    /// Parses the message with which RabbitMQ closes a connection that was just opened.
    pub(super) fn from_rabbitmq(text: &str) -> Option<Self> {
        if text.starts_with("ACCESS_REFUSED - Login was refused") {
            return Some(Self::Login);
        }
        let text = text.strip_prefix("NOT_ALLOWED - ")?;
        if let Some(vhost) = text.strip_prefix("vhost ").and_then(|rest| rest.strip_suffix(" not found")) {
            return Some(Self::NoVhost { vhost: vhost.to_owned() });
        }
        let (vhost, user) = text.strip_prefix("access to vhost '")?.split_once("' refused for user '")?;
        // A colon introduces another reason than a missing permission.
        let user = user.strip_suffix('\'').filter(|user| !user.contains("': "))?;
        Some(Self::Vhost { user: user.to_owned(), vhost: vhost.to_owned() })
    }

    /// Returns an instruction to fix it.
    pub fn hint(&self) -> String {
        let source = "run `apt-ci config` to see where the address is configured";
        match self {
            Self::Login => format!("check user and password; {source}"),
            Self::NoVhost { vhost } => format!(
                "on the broker's host, run `rabbitmqctl list_vhosts` to list the virtual hosts or `rabbitmqctl \
                 add_vhost {}` to create it; {source}",
                quoted(vhost)
            ),
            Self::Vhost { user, vhost } => format!(
                "grant the user all permissions there, on the broker's host: `rabbitmqctl set_permissions -p {} {} \
                 '.*' '.*' '.*'`; docs/reference/rabbitmq.md has narrower patterns for workers",
                quoted(vhost),
                quoted(user)
            ),
        }
    }
}

impl Right {
    fn word(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, vhost, resource, right } = self;
        let right = right.map_or("configure, write or read", Right::word);
        write!(
            f,
            "permission denied: user '{user}' lacks the {right} permission for {resource} in virtual host '{vhost}'"
        )
    }
}

/// Quotes a word for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns a regular expression that matches this name only.
fn escaped(name: &str) -> String {
    name.chars().flat_map(|c| (!c.is_ascii_alphanumeric() && c != '-').then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_words_are_understood() {
        let old = "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'alice'";
        let new = "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'alice'";
        for text in [old, new] {
            let denial = Denial::from_rabbitmq(text).unwrap();
            assert_eq!(
                denial.to_string(),
                "permission denied: user 'alice' lacks the write permission for exchange 'amq.default' in virtual host '/'"
            );
            assert!(
                denial.hint().ends_with(
                    r"`rabbitmqctl set_permissions -p / alice CONFIGURE-PATTERN 'WRITE-PATTERN|^amq\.default$' READ-PATTERN`"
                ),
                "{}",
                denial.hint()
            );
        }
        let unclear =
            "ACCESS_REFUSED - access to queue 'apt-ci.dead.debci-sid-amd64' in vhost 'c i' refused for user 'o'b'";
        let denial = Denial::from_rabbitmq(unclear).unwrap();
        assert_eq!((denial.right, denial.user.as_str()), (None, "o'b"));
        assert!(denial.hint().contains(r"-p 'c i' 'o'\''b' 'CONFIGURE-PATTERN|^apt-ci\..*' "), "{}", denial.hint());
        let read = "ACCESS_REFUSED - read access to queue 'q' in vhost '/' refused for user 'u'";
        assert_eq!(Denial::from_rabbitmq(read).unwrap().right, Some(Right::Read));
        assert_eq!(Denial::from_rabbitmq("ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"), None);
    }

    #[test]
    fn what_keeps_a_user_out_is_told_apart() {
        let login = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.";
        assert_eq!(Exclusion::from_rabbitmq(login), Some(Exclusion::Login));
        let missing = Exclusion::from_rabbitmq("NOT_ALLOWED - vhost no host not found").unwrap();
        assert!(missing.hint().contains("`rabbitmqctl add_vhost 'no host'`"), "{}", missing.hint());
        let refused =
            Exclusion::from_rabbitmq("NOT_ALLOWED - access to vhost 'ci' refused for user 'nowrite'").unwrap();
        assert_eq!(refused.to_string(), "permission denied: user 'nowrite' may not use the virtual host 'ci'");
        let command = "`rabbitmqctl set_permissions -p ci nowrite '.*' '.*' '.*'`";
        assert!(refused.hint().contains(command), "{}", refused.hint());
        let full = "NOT_ALLOWED - access to vhost 'ci' refused for user 'u': connection limit (10) is reached";
        for other in ["Connection refused (os error 111)", full, ""] {
            assert_eq!(Exclusion::from_rabbitmq(other), None, "{other}");
        }
    }
}
