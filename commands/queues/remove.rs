//! `apt-ci queues remove` and `purge`: removes some or all queued requests.

use std::sync::Arc;

use apt_ci::broker::{Message, MessageState};
use apt_ci::release::QueueName;
use apt_ci::request::{Criterion, Request, RequestId};
use apt_ci::site::Site;

use super::removal::{self, Destination, QueueSelection, Removal, RemovalArgs, Rule};
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::redacted_value::RedactedValue;

/// Messages that wait for a worker, or for the end of a delay.
pub const WAITING_PILES: &[MessageState] = &[MessageState::Delayed, MessageState::Ready];

/// Which requests are meant.
#[derive(Default, clap::Args)]
pub struct MatchArgs {
    /// Only requests matching KEY=PATTERN, e.g. `trigger=glibc/*`; with several, all must match
    #[arg(short, long = "match", value_name = "KEY=PATTERN", value_parser = RedactedValue::<Criterion>::new())]
    criteria: Vec<Criterion>,
    /// Only the request with this id (can be repeated)
    #[arg(long = "uuid", value_name = "ID", conflicts_with = "criteria")]
    ids: Vec<RequestId>,
}

impl MatchArgs {
    pub fn is_everything(&self) -> bool {
        self.criteria.is_empty() && self.ids.is_empty()
    }

    /// Returns the given ids, each whole or its beginning.
    pub fn ids(&self) -> Vec<RequestId> {
        self.ids.clone()
    }

    /// Returns the rule that chooses messages, apart from their ids. Messages that are no requests are chosen only if
    /// everything is.
    pub fn rule(self) -> Rule {
        Arc::new(move |messages: &[Message]| {
            let is_meant = |message: &Message| match Request::parse(&message.body) {
                _ if self.is_everything() => true,
                Err(_) => false,
                Ok(request) => self.criteria.iter().all(|criterion| criterion.matches(&request)),
            };
            (0..messages.len()).filter(|place| messages.get(*place).is_some_and(is_meant)).collect()
        })
    }
}

/// Remove queued requests
#[derive(clap::Args)]
#[command(
    // clap's own usage is wider than 80 columns.
    override_usage = "apt-ci queues remove [OPTIONS] --match <KEY=PATTERN> <QUEUE>...",
    // Not to say which would mean everything.
    group = clap::ArgGroup::new("which").required(true).multiple(true).args(["criteria", "ids"]),
    after_help = "\
Keys are package, trigger, ppa, env, testname, git, requester and uuid; in a pattern, * matches any text, ? one character \
and [a-z] one of a set.
Removed requests are first saved to a file; restore them with `apt-ci run --batch FILE`. Workers keep running meanwhile, \
and the remaining requests keep their order.
Piped output is tab-separated: queue, package, triggers, request.

Examples:
  apt-ci queues remove debci-noble-amd64 --match package=gzip --dry-run
  apt-ci queues remove debci-noble-amd64 --match 'trigger=glibc/*' --match package=gzip
  apt-ci queues remove debci-noble-amd64 --uuid 7e89460a-1234-4321-aaaa-0123456789ab --yes"
)]
pub struct RemoveArgs {
    /// Queues to remove requests from
    #[arg(value_name = "QUEUE", required = true)]
    queues: Vec<QueueName>,
    #[command(flatten)]
    meant: MatchArgs,
    #[command(flatten)]
    removal: RemovalArgs,
}

pub async fn remove(args: RemoveArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let removal = Removal {
        queues: QueueSelection::ByUser(args.queues),
        piles: WAITING_PILES,
        is_everything: false,
        ids: args.meant.ids(),
        rule: args.meant.rule(),
        destination: Destination::UndoFile,
        nothing: "No requests match.",
    };
    removal::run(removal, &args.removal, session, site).await
}

/// Remove all queued requests of the named queues
#[derive(clap::Args)]
#[command(after_help = "\
Removed requests are first saved to a file; restore them with `apt-ci run --batch FILE`. Running tests and dead letters \
are not affected.

Examples:
  apt-ci queues purge debci-huge-noble-amd64 --dry-run
  apt-ci queues purge debci-huge-noble-amd64")]
pub struct PurgeArgs {
    /// Queues to remove requests from
    #[arg(value_name = "QUEUE", required = true)]
    queues: Vec<QueueName>,
    #[command(flatten)]
    removal: RemovalArgs,
}

pub async fn purge(args: PurgeArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let removal = Removal {
        queues: QueueSelection::ByUser(args.queues),
        piles: WAITING_PILES,
        is_everything: true,
        ids: Vec::new(),
        rule: MatchArgs::default().rule(),
        destination: Destination::UndoFile,
        nothing: "No requests are queued there.",
    };
    removal::run(removal, &args.removal, session, site).await
}
