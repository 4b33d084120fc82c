//! Whether a user may do what a worker does.

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};

use super::claim_queue::Shelf;
use super::connection::Live;
use super::fault::Fault;
use super::roll_call::declare_exchange;

/// Makes what a worker makes for a claim, and removes it again.
pub(super) async fn check(live: &Live) -> Result<(), Fault> {
    let claims = Shelf::of_a_new_slot(Vec::new()).take(live).await?;
    let (name, channel) = (claims.name.clone(), claims.channel.clone());
    let removed = live.in_time(async {
        declare_exchange(&channel).await?;
        channel.queue_delete(name.clone(), QueueDeleteOptions::default()).await?;
        // It goes with its queue, unless that was faster.
        channel.exchange_delete(name, ExchangeDeleteOptions::default()).await?;
        Ok(())
    });
    let removed = removed.await;
    claims.close().await;
    removed
}
