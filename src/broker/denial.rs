//! A permission that a user lacks at RabbitMQ, and the command that grants it.

use std::fmt;

/// What a user of RabbitMQ may do with a queue or an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Make, change and remove it.
    Configure,
    /// Publish to it, and bind it.
    Write,
    /// Take messages from it.
    Read,
}

/// A permission that a user lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The user.
    pub user: String,
    /// The virtual host.
    pub vhost: String,
    /// `queue 'NAME'` or `exchange 'NAME'`.
    pub resource: String,
    /// The missing permission; none when the broker does not say which one it is, as RabbitMQ before 3.11.
    pub right: Option<Right>,
}

impl Denial {
    /// Reads RabbitMQ's words: `ACCESS_REFUSED - [write ]access to exchange 'amq.default' in vhost '/' refused for user 'alice'`.
    pub(super) fn from_rabbitmq(text: &str) -> Option<Self> {
        let (before, after) = text.split_once("access to ")?;
        let (resource, after) = after.split_once(" in vhost '")?;
        let (vhost, user) = after.split_once("' refused for user '")?;
        let said = [("configure", Right::Configure), ("write", Right::Write), ("read", Right::Read)];
        let said = said.into_iter().find(|(word, _)| before.trim_end().ends_with(word)).map(|(_, right)| right);
        // Nobody can read from the default exchange, or configure it.
        let right = said.or_else(|| resource.contains("'amq.default'").then_some(Right::Write));
        let user = user.trim_end_matches('\'').to_owned();
        Some(Self { user, vhost: vhost.to_owned(), resource: resource.to_owned(), right })
    }

    /// How to see the user's permissions and to grant the missing one, as an instruction. `rabbitmqctl` replaces all three patterns of
    /// a user at once, so the two that are there have to be given again.
    pub fn hint(&self) -> String {
        let Self { user, vhost, resource, right } = self;
        let name = resource.split_once('\'').map_or(resource.as_str(), |(_, name)| name.trim_end_matches('\''));
        let pattern = quoted(&format!("^{}$", escaped(name)));
        let [configure, write, read] = [Right::Configure, Right::Write, Right::Read].map(|one| {
            let is_missing = right.is_none_or(|right| right == one);
            if is_missing { pattern.clone() } else { format!("{}-PATTERN", one.word().to_uppercase()) }
        });
        format!(
            "grant it on the broker's host, with the patterns that `rabbitmqctl list_user_permissions {}` shows: \
             `rabbitmqctl set_permissions -p {} {} {configure} {write} {read}`",
            quoted(user),
            quoted(vhost),
            quoted(user),
        )
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

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A name as a regular expression that matches it alone.
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
                    r"`rabbitmqctl set_permissions -p / alice CONFIGURE-PATTERN '^amq\.default$' READ-PATTERN`"
                ),
                "{}",
                denial.hint()
            );
        }
        let unclear =
            "ACCESS_REFUSED - access to queue 'apt-ci.dead.debci-sid-amd64' in vhost 'c i' refused for user 'o'b'";
        let denial = Denial::from_rabbitmq(unclear).unwrap();
        assert_eq!((denial.right, denial.user.as_str()), (None, "o'b"));
        assert!(denial.hint().contains(r"-p 'c i' 'o'\''b' '^apt-ci\.dead\.debci-sid-amd64$' "), "{}", denial.hint());
        let read = "ACCESS_REFUSED - read access to queue 'q' in vhost '/' refused for user 'u'";
        assert_eq!(Denial::from_rabbitmq(read).unwrap().right, Some(Right::Read));
        assert_eq!(Denial::from_rabbitmq("ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"), None);
    }
}
