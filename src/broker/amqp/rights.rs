//! Checks that a user has the permissions of a worker.

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};

use super::claim_queue::ClaimQueuePool;
use super::connection::Connection;
use super::error::AmqpError;
use super::query_responder::declare_exchange;

/// Creates the objects that a worker needs for a claim, and deletes them.
pub(super) async fn check(connection: &Connection) -> Result<(), AmqpError> {
    let claims = ClaimQueuePool::of_a_new_slot(Vec::new()).take(connection).await?;
    let (name, channel) = (claims.name.clone(), claims.channel.clone());
    let removed = connection.with_timeout(async {
        declare_exchange(&channel).await?;
        channel.queue_delete(name.clone(), QueueDeleteOptions::default()).await?;
        // The exchange is deleted with its queue, or here if that takes longer.
        channel.exchange_delete(name, ExchangeDeleteOptions::default()).await?;
        Ok(())
    });
    let removed = removed.await;
    claims.close().await;
    removed
}
