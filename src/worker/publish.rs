//! Publishing of bundles: the log and the artifacts are stored first, result.tar last. It is the commit mark.
//!
//! # Order of run ids
//!
//! A reader such as proposed-migration asks only for runs after the newest one that it knows. The ids of a package's
//! runs must therefore grow in the order in which their result.tar files become visible, whichever slot, worker or host
//! publishes them. Slots of one worker take [turns](super::commit_order). Hosts share no lock, because a lock can be
//! lost while a request to the store is still under way. Instead each publisher reads the listing *after* it has stored
//! its result.tar:
//!
//! - No run with a later id is listed: then none was visible before ours, and no reader has passed it.
//! - A run with a later id is listed: a reader may have passed ours. The result is published again under a new id, and
//!   the former one is removed only after that, so that readers never find less than before.
//!
//! Of several publishers in the middle of that, the one with the latest id is always done. The current id, and those
//! that are to be removed, are on disk before anything is stored under them: the next worker of this host continues
//! where this one died. A worker of another host finds the result by its request, and makes it again if a later id was
//! stored at the same time.
//!
//! Where listings are only eventually consistent, a publisher waits a moment until its own result is listed.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::commit_order::{CommitOrder, CommitTurn};
use super::container_cache::ContainerCache;
use super::shutdown::Shutdown;
use crate::broker::{BrokerError, Claim};
use crate::request::Request;
use crate::result::{Bundle, BundleError, ResultLocation, RunId};
use crate::runs;
use crate::store::{Store, StoreError};

/// Maximum number of checks whether a stored result is listed.
const MAX_LISTING_CHECKS: u32 = 10;

/// Interval between these checks.
const LISTING_CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Destination of a worker's results, with the state that its slots share for publishing.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    /// Store.
    pub store: &'a Store,
    /// Containers that exist.
    pub containers: &'a ContainerCache,
    /// Order in which slots commit results of one package.
    pub turns: &'a CommitOrder,
}

/// Reason for which a bundle is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store is unreachable, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The claim is lost, or the broker failed.
    #[error(transparent)]
    Claim(#[from] BrokerError),
    /// The run id cannot be kept on disk.
    #[error("the run id cannot be kept in the work folder: {0}")]
    Spool(#[from] BundleError),
    /// The bundle was removed from the disk of this host.
    #[error("its bundle {} is gone", .0.display())]
    Gone(PathBuf),
    /// The worker was told to stop, and publishing takes longer than its grace time.
    #[error("the worker was told to stop before the result was published")]
    Stopped,
}

impl PublishError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Claim(_) | Self::Spool(_) | Self::Gone(_) | Self::Stopped => false,
        }
    }
}

/// Publishes the bundle and returns the id of its run, or `None` when another worker has published the request's
/// result. Can be called again after an error.
pub async fn publish(
    to: Destination<'_>,
    place: &ResultLocation,
    bundle: &mut Bundle,
    request: &Request,
    claim: &mut Claim,
    stop: &Shutdown,
) -> Result<Option<RunId>, PublishError> {
    let Destination { store, containers, .. } = to;
    // Checked before every attempt: a private container that was opened meanwhile must be closed again first.
    containers.ensure(store, place, bundle).await?;
    match put(to, place, bundle, request, claim, stop).await {
        // The container was removed since it was last checked.
        Err(PublishError::Store(StoreError::NotFound(_))) if containers.forget(place) => {
            containers.ensure(store, place, bundle).await?;
            put(to, place, bundle, request, claim, stop).await
        }
        end => end,
    }
}

/// Stores the bundle in a container that exists.
async fn put(
    to: Destination<'_>,
    place: &ResultLocation,
    bundle: &mut Bundle,
    request: &Request,
    claim: &mut Claim,
    stop: &Shutdown,
) -> Result<Option<RunId>, PublishError> {
    let Destination { store, turns, .. } = to;
    let ResultLocation { container, path, .. } = place;
    let mut newer = None;
    let unused = bundle.unused_id.take();
    let mut kept = if unused.is_some() { unused.clone() } else { bundle.run_id()? };
    if unused.is_some() && !bundle.given_up().is_empty() {
        keep(bundle, kept.as_ref()).await?;
    }
    if unused.is_none()
        && let Some(id) = &kept
    {
        newer = runs::published_after(store, place, id).await?;
        if runs::is_complete(store, place, id).await? {
            // It was completely stored the last time. Without the check that follows, readers may have passed it.
            if newer.is_none() || bundle.is_confirmed(id) {
                return confirm(store, place, bundle, id).await.map(Some);
            }
        }
    }
    // A result.tar whose upload was not confirmed may still arrive.
    let mut may_arrive = unused.is_none() && kept.is_some();
    loop {
        let id = match kept {
            Some(id) if newer.is_none() => id,
            outdated => {
                // A result that readers may have seen stays until its replacement is stored. `confirm` removes it.
                let may_be_seen = std::mem::take(&mut may_arrive);
                if let Some(outdated) = outdated.as_ref().filter(|_| may_be_seen) {
                    bundle.give_up(outdated.clone());
                }
                let id = RunId::stamp(jiff::Timestamp::now(), newer.as_ref());
                keep(bundle, Some(&id)).await?;
                if let Some(outdated) = outdated.filter(|_| !may_be_seen) {
                    discard_partial_upload(store, place, bundle, &outdated).await;
                }
                id
            }
        };
        // The order does not matter: readers look for these files after result.tar exists.
        let attachments = bundle.attachments();
        let uploads = attachments.iter().map(|file| {
            let object = path.object(&id, file.name);
            async move { store.put(container, &object, &file.path, &file.headers).await }
        });
        try_join_all(uploads).await?;
        let mut turn = tokio::select! {
            turn = turns.take(place) => turn,
            () = stop.server_grace_over() => return Err(PublishError::Stopped),
        };
        // The uploads may have taken long. Another worker may hold the request now, or have published a newer run.
        let held = tokio::select! {
            biased;
            held = claim.held() => held,
            () = stop.server_grace_over() => return Err(PublishError::Stopped),
        };
        let done_elsewhere = match &held {
            // The previous holder may have continued without knowing that it had lost the request; and while our claim
            // was interrupted, another worker may have run it.
            Ok(()) if claim.redelivered || claim.was_interrupted() => {
                let ours = |run: &RunId| *run == id || bundle.given_up().contains(run);
                runs::of_request(store, place, request).await?.iter().any(|run| !ours(&run.id))
            }
            _ => false,
        };
        if done_elsewhere {
            // Ids that were given up stay: the publisher of the other result may be giving it up at this moment,
            // because of ours.
            discard_partial_upload(store, place, bundle, &id).await;
            return Ok(None);
        }
        if let Err(lost) = held {
            // The new holder of the request may have found our result, and settled the request because of it.
            if !may_arrive {
                discard_partial_upload(store, place, bundle, &id).await;
            }
            return Err(lost.into());
        }
        newer = newest_after(store, place, &id, &turn).await?;
        if newer.is_none() {
            turn.commit(&id);
            may_arrive = true;
            let commit_mark = bundle.commit_mark();
            store.put(container, &path.object(&id, commit_mark.name), &commit_mark.path, &commit_mark.headers).await?;
            newer = overtaking(store, place, &id).await?;
            if newer.is_none() {
                drop(turn);
                return confirm(store, place, bundle, &id).await.map(Some);
            }
            tracing::info!("{} was overtaken by another run: it gets a new id", path.folder(&id));
        }
        kept = Some(id);
    }
}

/// Returns the newest complete run after this one, of this worker or in the store.
async fn newest_after(
    store: &Store,
    place: &ResultLocation,
    id: &RunId,
    turn: &CommitTurn,
) -> Result<Option<RunId>, StoreError> {
    let listed = runs::published_after(store, place, id).await?;
    Ok(listed.max(turn.newest().filter(|newest| *newest >= id).cloned()))
}

/// Returns the newest complete run after this one, which was just stored. Waits a moment until this one is listed as
/// well.
async fn overtaking(store: &Store, place: &ResultLocation, id: &RunId) -> Result<Option<RunId>, StoreError> {
    for _ in 0..MAX_LISTING_CHECKS {
        let listed = runs::published_from(store, place, id).await?;
        if let Some(newest) = listed.last().filter(|newest| *newest != id) {
            return Ok(Some(newest.clone()));
        }
        if !listed.is_empty() {
            return Ok(None);
        }
        tokio::time::sleep(LISTING_CHECK_INTERVAL).await;
    }
    tracing::warn!("{} is stored, but not listed yet", place.path.folder(id));
    Ok(None)
}

/// Notes that readers cannot have missed the run, and removes what was stored of the bundle under other ids.
async fn confirm(
    store: &Store,
    place: &ResultLocation,
    bundle: &mut Bundle,
    id: &RunId,
) -> Result<RunId, PublishError> {
    bundle.confirm(id)?;
    for outdated in bundle.given_up().iter().filter(|outdated| *outdated != id) {
        remove(store, place, bundle, outdated).await?;
    }
    Ok(id.clone())
}

/// Removes what was stored under an id that is not needed, and logs what the store refuses to remove.
async fn discard_partial_upload(store: &Store, place: &ResultLocation, bundle: &Bundle, id: &RunId) {
    if let Err(error) = remove(store, place, bundle, id).await {
        tracing::warn!("{} is left over in the store: {error}", place.path.folder(id));
    }
}

/// Keeps the id on disk, in another thread: the other slots do not wait for it.
async fn keep(bundle: &mut Bundle, id: Option<&RunId>) -> Result<(), BundleError> {
    let Some(id) = id.cloned() else { return Ok(()) };
    let (mut copy, dir) = (bundle.clone(), bundle.dir.clone());
    match tokio::task::spawn_blocking(move || copy.remember_run_id(&id)).await {
        Ok(remembered) => remembered,
        Err(stopped) => Err(BundleError::Io { action: "writing", path: dir, source: std::io::Error::other(stopped) }),
    }
}

/// Removes what was stored under an id that is given up: result.tar first, so that no reader finds a run without its
/// log.
async fn remove(store: &Store, place: &ResultLocation, bundle: &Bundle, id: &RunId) -> Result<(), StoreError> {
    let ResultLocation { container, path, .. } = place;
    for file in bundle.files().iter().rev() {
        store.delete(container, &path.object(id, file.name)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use tempfile::TempDir;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::broker::{Broker, QueueUrl, Wait};
    use crate::release::QueueName;
    use crate::request::RequestId;
    use crate::request::line::Submission;
    use crate::result::layout::RESULT;
    use crate::result::{BundleInput, pack};
    use crate::store::folder::FolderStore;

    /// A queue and a store in a folder, with claimed requests for the same package.
    struct PublishFixture {
        folder: TempDir,
        store: Store,
        containers: ContainerCache,
        turns: CommitOrder,
        request: Request,
        place: ResultLocation,
    }

    impl PublishFixture {
        fn new() -> Self {
            Self::of(r#"gzip {"triggers": ["gzip/1"]}"#)
        }

        fn of(request: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::Folder(FolderStore::new(&folder.path().join("results")));
            let request = Request::parse(request.as_bytes()).unwrap();
            let place = ResultLocation::of(&request, &"debci-sid-amd64".parse().unwrap());
            let (containers, turns) = (ContainerCache::default(), CommitOrder::default());
            Self { folder, store, containers, turns, request, place }
        }

        async fn claim(&self) -> (Claim, RequestId, Bundle) {
            let broker = Broker::connect(&QueueUrl::Local(self.folder.path().join("queue"))).await.unwrap();
            let queue: QueueName = "debci-sid-amd64".parse().unwrap();
            let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
            let request = self.request.clone();
            broker.submit(&[Submission { queue, request }], &[], &mut |_| {}).await.unwrap();
            let claim = slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap().unwrap();
            let request = claim.request.as_ref().unwrap();
            let id = request.uuid().unwrap().clone();
            let output = self.folder.path().join("output");
            let duration = Duration::from_secs(1);
            let material = BundleInput::new(&output, request, 0, duration);
            let bundle = pack(&material, &self.folder.path().join(id.as_str())).unwrap();
            (claim, id, bundle)
        }

        async fn publish(&self, (claim, _, bundle): &mut (Claim, RequestId, Bundle)) -> Option<RunId> {
            let request = claim.request.as_ref().unwrap().clone();
            let Self { store, containers, turns, .. } = self;
            let to = Destination { store, containers, turns };
            publish(to, &self.place, bundle, &request, claim, &Shutdown::default()).await.unwrap()
        }

        fn folders(&self) -> Vec<String> {
            let all = self.folder.path().join("results").join(&self.place.container).join(self.place.path.prefix());
            let names = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path());
            let complete = names.filter(|run| run.join(RESULT).exists());
            complete.map(|run| run.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        }
    }

    #[tokio::test]
    async fn a_result_that_was_stored_unheard_stays_when_a_newer_one_follows() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        let first = stage.publish(&mut one).await.unwrap();
        let mut two = stage.claim().await;
        let second = stage.publish(&mut two).await.unwrap();
        assert!(first < second, "{first} {second}");
        // The response to the first upload was lost.
        assert_eq!(stage.publish(&mut one).await, Some(first));
        assert_eq!(stage.folders().len(), 2);
    }

    #[tokio::test]
    async fn a_result_that_was_stored_unheard_and_overtaken_gets_a_later_id() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        let early = one.2.run_id().unwrap().unwrap();
        // Its worker died after it had stored everything, before it could check for others.
        stage.store.ensure_container(&stage.place.container, &stage.place.access).await.unwrap();
        for file in one.2.files() {
            let name = stage.place.path.object(&early, file.name);
            stage.store.put(&stage.place.container, &name, &file.path, &file.headers).await.unwrap();
        }
        one.2 = Bundle::open(&one.2.dir).unwrap().unwrap();
        let mut two = stage.claim().await;
        let second = stage.publish(&mut two).await.unwrap();
        let late = stage.publish(&mut one).await.unwrap();
        assert!(late > second && second > early, "{late} {second} {early}");
        let mut left = stage.folders();
        left.sort();
        assert_eq!(left, [second.to_string(), late.to_string()], "the former one is gone");
        // From now on it stays.
        let mut three = stage.claim().await;
        stage.publish(&mut three).await.unwrap();
        one.2 = Bundle::open(&one.2.dir).unwrap().unwrap();
        assert_eq!(stage.publish(&mut one).await, Some(late));
    }

    #[tokio::test]
    async fn a_confirmed_result_stays_whoever_takes_it_for_overtaken() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        let first = stage.publish(&mut one).await.unwrap();
        let mut two = stage.claim().await;
        let second = stage.publish(&mut two).await.unwrap();
        // Its worker died before it could settle, and the next one sees a later run that was stored at about the same
        // time.
        one.2 = Bundle::open(&one.2.dir).unwrap().unwrap();
        one.2.give_up(first.clone());
        assert_eq!(stage.publish(&mut one).await.as_ref(), Some(&first));
        let mut left = stage.folders();
        left.sort();
        assert_eq!(left, [first.to_string(), second.to_string()]);
    }

    #[tokio::test]
    async fn an_upload_that_arrives_late_is_not_taken_for_another_workers() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        one.0.redelivered = true;
        let id = one.2.run_id().unwrap().unwrap();
        stage.store.ensure_container(&stage.place.container, &stage.place.access).await.unwrap();
        for file in one.2.files() {
            let name = stage.place.path.object(&id, file.name);
            stage.store.put(&stage.place.container, &name, &file.path, &file.headers).await.unwrap();
        }
        assert_eq!(stage.publish(&mut one).await.as_ref(), Some(&id));
        assert_eq!(stage.folders(), [id.to_string()]);
    }

    #[tokio::test]
    async fn an_id_under_which_a_result_may_still_arrive_is_remembered() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        let early = one.2.run_id().unwrap().unwrap();
        let obstacle = stage.folder.path().join("results").join(&stage.place.container);
        let obstacle = obstacle.join(stage.place.path.object(&early, RESULT));
        fs::create_dir_all(&obstacle).unwrap();
        let (claim, _, bundle) = &mut one;
        let request = claim.request.as_ref().unwrap().clone();
        let PublishFixture { store, containers, turns, place, .. } = &stage;
        let to = Destination { store, containers, turns };
        publish(to, place, bundle, &request, claim, &Shutdown::default()).await.unwrap_err();
        fs::remove_dir(&obstacle).unwrap();
        let late = stage.publish(&mut one).await.unwrap();
        assert!(late > early);
        let reopened = Bundle::open(&one.2.dir).unwrap().unwrap();
        assert_eq!(reopened.given_up(), [early], "whatever arrives under it is removed");
    }

    #[tokio::test]
    async fn a_publication_that_dies_while_it_moves_leaves_one_result() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        stage.store.ensure_container(&stage.place.container, &stage.place.access).await.unwrap();
        let (old, new) = (one.2.run_id().unwrap().unwrap(), RunId::stamp(jiff::Timestamp::now(), None));
        one.2.give_up(old.clone());
        one.2.remember_run_id(&new).unwrap();
        // It died after it had stored the second one, and again before.
        for ids in [&[&old, &new][..], &[&old]] {
            for (id, file) in ids.iter().flat_map(|id| one.2.files().into_iter().map(move |file| (id, file))) {
                let name = stage.place.path.object(id, file.name);
                stage.store.put(&stage.place.container, &name, &file.path, &file.headers).await.unwrap();
            }
            one.2 = Bundle::open(&one.2.dir).unwrap().unwrap();
            assert_eq!(stage.publish(&mut one).await.as_ref(), Some(&new));
            assert_eq!(stage.folders(), [new.to_string()]);
            stage.store.delete(&stage.place.container, &stage.place.path.object(&new, RESULT)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_reader_that_asks_for_what_came_after_the_newest_misses_no_run() {
        let stage = PublishFixture::new();
        let mut workers = Vec::new();
        for _ in 0..4 {
            let (mut slots, turns) = (Vec::new(), CommitOrder::default());
            for _ in 0..2 {
                slots.push([stage.claim().await, stage.claim().await, stage.claim().await]);
            }
            workers.push((slots, turns));
        }
        let done = CancellationToken::new();
        let publishing = async {
            let all = workers.into_iter().map(|(slots, turns)| {
                let stage = &stage;
                async move {
                    let slots = slots.into_iter().map(|claims| async {
                        for (mut claim, _, mut bundle) in claims {
                            let to = Destination { store: &stage.store, containers: &stage.containers, turns: &turns };
                            let request = claim.request.as_ref().unwrap().clone();
                            let (place, stop) = (&stage.place, Shutdown::default());
                            publish(to, place, &mut bundle, &request, &mut claim, &stop).await.unwrap().unwrap();
                        }
                    });
                    futures_util::future::join_all(slots).await;
                }
            });
            futures_util::future::join_all(all).await;
            done.cancel();
        };
        let reading = async {
            let mut seen = std::collections::BTreeSet::<RunId>::new();
            loop {
                let last = done.is_cancelled();
                let newest = seen.last().cloned();
                let new = match &newest {
                    Some(newest) => runs::published_from(&stage.store, &stage.place, newest).await.unwrap(),
                    None => runs::published_from(&stage.store, &stage.place, &"20000101_000000@".parse().unwrap())
                        .await
                        .unwrap(),
                };
                seen.extend(new);
                if last {
                    return seen;
                }
            }
        };
        let ((), seen) = tokio::join!(publishing, reading);
        let published: Vec<RunId> = stage.folders().iter().map(|id| id.parse().unwrap()).collect();
        assert_eq!(published.len(), 24);
        let missed: Vec<_> = published.iter().filter(|id| !seen.contains(*id)).collect();
        assert!(missed.is_empty(), "{missed:?}");
        let latest = published.iter().max().unwrap().published();
        assert!(latest <= jiff::Timestamp::now(), "no id is in the future: {latest}");
    }

    #[tokio::test]
    async fn an_id_whose_upload_was_interrupted_is_given_up_for_a_later_one() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        let early = RunId::stamp(jiff::Timestamp::now(), None);
        one.2.remember_run_id(&early).unwrap();
        let mut two = stage.claim().await;
        let newer = stage.publish(&mut two).await.unwrap();
        // The clock of this host is an hour late, so that the other run is in its future.
        let future = RunId::stamp(jiff::Timestamp::now() + jiff::Span::new().hours(1), Some(&newer));
        let mut other = stage.claim().await;
        other.2.remember_run_id(&future).unwrap();
        assert_eq!(stage.publish(&mut other).await.as_ref(), Some(&future));
        let late = stage.publish(&mut one).await.unwrap();
        assert!(late > future, "{late} {future}");
    }

    #[tokio::test]
    async fn a_host_whose_clock_is_late_gives_up_its_id_too() {
        let stage = PublishFixture::new();
        let mut other = stage.claim().await;
        let future = RunId::stamp(jiff::Timestamp::now() + jiff::Span::new().hours(1), None);
        other.2.remember_run_id(&future).unwrap();
        stage.publish(&mut other).await.unwrap();
        let mut one = stage.claim().await;
        let late = stage.publish(&mut one).await.unwrap();
        assert!(late > future, "{late} {future}");
        assert_eq!(one.2.run_id().unwrap().as_ref(), Some(&late));
        let all = stage.folder.path().join("results").join(&stage.place.container).join(stage.place.path.prefix());
        let folders = fs::read_dir(all).unwrap().map(|folder| folder.unwrap().path());
        let filled = folders.filter(|folder| fs::read_dir(folder).unwrap().next().is_some());
        assert_eq!(filled.count(), 2, "nothing of the id that was given up stays");
    }

    #[tokio::test]
    async fn a_request_that_was_done_meanwhile_gets_no_second_result() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        let first = stage.publish(&mut one).await.unwrap();
        // Another holder of the same request, with its own bundle.
        let (mut claim, _, _) = stage.claim().await;
        claim.redelivered = true;
        let request = one.0.request.as_ref().unwrap().clone();
        let output = stage.folder.path().join("output");
        let material = BundleInput::new(&output, &request, 4, Duration::ZERO);
        let bundle = pack(&material, &stage.folder.path().join("other")).unwrap();
        claim.request = Ok(request.clone());
        let mut again = (claim, one.1, bundle);
        assert_eq!(stage.publish(&mut again).await, None);
        assert_eq!(stage.folders(), [first.to_string()]);
        // Another request with the same id gets its own result.
        let text = format!(r#"gzip {{"triggers": ["gzip/2"], "uuid": "{}"}}"#, again.1);
        let other = Request::parse(text.as_bytes()).unwrap();
        let material = BundleInput::new(&output, &other, 4, Duration::ZERO);
        again.2 = pack(&material, &stage.folder.path().join("third")).unwrap();
        assert!(again.2.is_of(&other) && !again.2.is_of(&request));
        again.0.request = Ok(other);
        let second = stage.publish(&mut again).await.unwrap();
        assert_eq!(stage.folders().len(), 2);
        assert!(second > first);
    }

    #[tokio::test]
    async fn a_container_that_somebody_removes_is_made_again() {
        let stage = PublishFixture::new();
        let mut one = stage.claim().await;
        stage.publish(&mut one).await.unwrap();
        fs::remove_dir_all(stage.folder.path().join("results").join(&stage.place.container)).unwrap();
        let mut two = stage.claim().await;
        let second = stage.publish(&mut two).await.unwrap();
        assert_eq!(stage.folders(), [second.to_string()]);
    }

    #[tokio::test]
    async fn a_private_result_is_published_behind_a_closed_door() {
        use std::os::unix::fs::PermissionsExt;
        let parameters = r#"{"ppas": ["u:hunter2@team/hidden"], "swiftuser": "ann", "readable-by": ["bob"]}"#;
        let stage = PublishFixture::of(&format!("gzip {parameters}"));
        let results = stage.folder.path().join("results");
        let container = results.join("private-autopkgtest-sid-team-hidden");
        // The container was created before, readable for everybody.
        fs::create_dir_all(&container).unwrap();
        fs::set_permissions(&container, fs::Permissions::from_mode(0o755)).unwrap();
        let mut one = stage.claim().await;
        let run = stage.publish(&mut one).await.unwrap();
        assert_eq!(fs::metadata(&container).unwrap().permissions().mode() & 0o777, 0o700);
        let folder = container.join(stage.place.path.folder(&run));
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["artifacts.tar.gz", "log.gz", "readable-by", "result.tar"]);
        assert_eq!(fs::read_to_string(folder.join("readable-by")).unwrap(), "bob\n");
        let known = runs::with_uuid(&stage.store, &stage.place, &one.1).await.unwrap().unwrap();
        assert_eq!((known.id, known.container), (run.clone(), stage.place.container.clone()));
        // It is found in its container, and in no other.
        assert!(runs::is_complete(&stage.store, &stage.place, &run).await.unwrap());
        let public = ResultLocation::of(&Request::parse(b"gzip").unwrap(), &"debci-sid-amd64".parse().unwrap());
        assert!(!runs::is_complete(&stage.store, &public, &run).await.unwrap());
        assert_eq!(stage.publish(&mut one).await, Some(run), "published once");
    }

    #[tokio::test]
    async fn nothing_of_an_id_that_is_given_up_stays() {
        let stage = PublishFixture::of(r#"gzip {"readable-by": ["bob"]}"#);
        let mut one = stage.claim().await;
        let early = RunId::stamp(jiff::Timestamp::now() - jiff::Span::new().seconds(10), None);
        one.2.remember_run_id(&early).unwrap();
        for file in one.2.attachments() {
            stage.store.ensure_container(&stage.place.container, &stage.place.access).await.unwrap();
            let name = stage.place.path.object(&early, file.name);
            stage.store.put(&stage.place.container, &name, &file.path, &file.headers).await.unwrap();
        }
        let mut two = stage.claim().await;
        stage.publish(&mut two).await.unwrap();
        let late = stage.publish(&mut one).await.unwrap();
        assert!(late > early);
        let query = crate::store::Query { prefix: stage.place.path.folder(&early), ..Default::default() };
        assert_eq!(stage.store.list(&stage.place.container, &query).await.unwrap(), []);
    }
}
