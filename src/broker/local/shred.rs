//! Complete deletion from the queue's file: a request for a private PPA has the token of its archive.
//!
//! SQLite overwrites deleted data in the file itself (`secure_delete`), but its write-ahead log keeps earlier pages
//! until it is truncated.

use std::time::Duration;

use super::database::{Db, DbError};
use crate::broker::CONNECT_TIMEOUT;
use crate::request::Request;

/// Timeout for readers in other processes. The next deletion tries again.
const READERS_TIMEOUT: Duration = Duration::from_millis(200);

/// Returns whether a request's text must be deleted completely. A text that is not a request may be anything.
pub(super) fn is_secret(body: &[u8]) -> bool {
    Request::parse(body).map_or(true, |request| request.is_private())
}

impl Db {
    /// Writes the log into the file and truncates it, so that deleted data is gone.
    pub(super) fn shred(&self) {
        match self.cut_log() {
            Ok(true) => {}
            Ok(false) => tracing::debug!("others read the queue's file: its log is cut off later"),
            Err(fault) => tracing::warn!("the queue's log cannot be cut off, and may hold a token: {fault}"),
        }
    }

    fn cut_log(&self) -> Result<bool, DbError> {
        self.connection.busy_timeout(READERS_TIMEOUT)?;
        let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, i64>(0));
        self.connection.busy_timeout(CONNECT_TIMEOUT)?;
        Ok(busy? == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tokio_util::sync::CancellationToken;

    use super::super::LocalBroker;
    use crate::broker::{Broker, MessageState, Selector, Settlement, Wait};
    use crate::release::QueueName;
    use crate::request::line::Submission;

    const TOKEN: &str = "hunter2hunter2hunter2";

    /// Returns the files of the queue that contain the token.
    fn traces(folder: &Path) -> Vec<String> {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files
            .filter(|path| fs::read(path).unwrap().windows(TOKEN.len()).any(|text| text == TOKEN.as_bytes()))
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    #[tokio::test]
    async fn a_private_ppas_token_does_not_stay_in_the_queues_file() {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::Local(LocalBroker::open(folder.path()).await.unwrap());
        // SQLite keeps the log while another program has the file open.
        let _other = LocalBroker::open(folder.path()).await.unwrap();
        let queue: QueueName = "debci-noble-amd64".parse().unwrap();
        let line =
            format!(r#"{queue}:gzip {{"triggers": ["gzip/1"], "ppas": ["me:{TOKEN}@me/private"], "swiftuser": "me"}}"#);
        let submission = Submission::parse_line(&line).unwrap();
        broker.declare(std::slice::from_ref(&queue)).await.unwrap();
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        for settlement in [Settlement::Done, Settlement::Dead("it is bad".to_owned())] {
            let is_dead = matches!(settlement, Settlement::Dead(_));
            broker.submit(std::slice::from_ref(&submission), &[], &mut |_| {}).await.unwrap();
            assert!(!traces(folder.path()).is_empty());
            let claim = slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap().unwrap();
            claim.settle(settlement).await.unwrap();
            assert_eq!(traces(folder.path()).is_empty(), !is_dead, "{:?}", traces(folder.path()));
        }
        let all: Selector = Box::new(|messages| Ok((0..messages.len()).collect()));
        assert_eq!(broker.take_out(&queue, MessageState::Dead, None, all).await.unwrap(), 1);
        assert_eq!(traces(folder.path()), [] as [String; 0]);
    }
}
