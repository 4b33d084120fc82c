//! Queued requests, and their removal from the queues.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use apt_ci::broker::{Broker, BrokerError, LocatedRequest, Message, MessageState, Opaque, RequestPlace, Snapshot};
use apt_ci::release::QueueName;
use apt_ci::request::{Request, RequestId};
use apt_ci::site::Site;

use crate::session::inspect;
use crate::ui::error::{CommandError, CommandResult};
use crate::undo_file::UndoFile;

/// A request that no worker has.
pub struct QueuedRequest {
    pub request: Request,
    pub queue: QueueName,
    pile: MessageState,
}

/// Returns the ready and delayed requests of the site's queues. If a queue cannot be listed, also returns why, for the
/// first such queue.
pub async fn all(broker: &Broker, site: &Site) -> CommandResult<(Vec<QueuedRequest>, Option<Opaque>)> {
    let mut snapshot = Snapshot::default();
    snapshot.add_queues(broker, &inspect(broker, &site.queues(), site).await?).await?;
    let queued = |located: &LocatedRequest| {
        let pile = match located.place {
            RequestPlace::Queued { .. } => MessageState::Ready,
            RequestPlace::Delayed => MessageState::Delayed,
            RequestPlace::Running(_) | RequestPlace::Dead { .. } => return None,
        };
        Some(QueuedRequest { request: located.request.clone(), queue: located.queue.clone(), pile })
    };
    let found = snapshot.requests().iter().filter_map(queued).collect();
    Ok((found, snapshot.hidden().values().next().cloned()))
}

/// Removes requests from their queues after saving them. Each queue is searched once for all of its requests. Returns
/// the ids of the removed requests, also before a failure; the others are no longer there.
pub async fn take_out(
    broker: &Broker,
    queued: &[&QueuedRequest],
    record: &UndoFile,
) -> (HashSet<RequestId>, CommandResult<()>) {
    let mut wanted: BTreeMap<(&QueueName, bool), HashSet<RequestId>> = BTreeMap::new();
    for QueuedRequest { request, queue, pile } in queued {
        let id = request.uuid().cloned();
        if *pile == MessageState::Delayed {
            wanted.entry((queue, false)).or_default().extend(id.clone());
        }
        // A delay may end meanwhile, so ready requests come second.
        wanted.entry((queue, true)).or_default().extend(id);
    }
    let mut taken = HashSet::new();
    for ((queue, is_ready), ids) in wanted {
        let found = Arc::new(Mutex::new(HashSet::new()));
        let (told, file, of) = (Arc::clone(&found), record.clone(), queue.clone());
        let choice = move |messages: &[Message]| {
            let (mut places, mut bodies, mut here) = (Vec::new(), Vec::new(), HashSet::new());
            for (place, message) in messages.iter().enumerate() {
                let id = Request::parse(&message.body).ok().and_then(|request| request.uuid().cloned());
                if let Some(id) = id.filter(|id| ids.contains(id)) {
                    places.push(place);
                    // Copies are removed, too, but not saved: they would be restored as further requests.
                    if here.insert(id) {
                        bodies.push(message.body.as_slice());
                    }
                }
            }
            file.add(&of, &bodies)?;
            told.lock().unwrap_or_else(PoisonError::into_inner).extend(here);
            Ok(places)
        };
        let pile = if is_ready { MessageState::Ready } else { MessageState::Delayed };
        match broker.take_out(queue, pile, None, Box::new(choice)).await {
            // The queue was deleted meanwhile.
            Ok(_) | Err(BrokerError::NoSuchQueue { .. }) => {
                taken.extend(std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner)));
            }
            Err(error) => {
                let path = record.path();
                let recorded = path
                    .exists()
                    .then(|| format!("some requests recorded in {} may still be in {queue}", path.display()));
                let context = recorded.unwrap_or_else(|| format!("in queue {queue}"));
                return (taken, Err(CommandError::from(error).context(context)));
            }
        }
    }
    (taken, Ok(()))
}
