//! Checks that a user has the permissions of a worker.

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};

use super::claim_queue::Shelf;
use super::connection::Live;
use super::fault::Fault;
use super::roll_call::declare_exchange;

/// Creates the objects that a worker needs for a claim, and deletes them.
pub(super) async fn check(live: &Live) -> Result<(), Fault> {
    let claims = Shelf::of_a_new_slot(Vec::new()).take(live).await?;
    let (name, channel) = (claims.name.clone(), claims.channel.clone());
    let removed = live.in_time(async {
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
