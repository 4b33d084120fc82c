//! Puts a bundle into the store: the log and the artifacts first, result.tar last. It is the commit mark.

use std::path::PathBuf;

use futures_util::future::try_join_all;

use super::containers::Containers;
use super::stop::Stop;
use crate::broker::{BrokerError, Claim};
use crate::request::RequestId;
use crate::result::{Bundle, BundleError, Place, RunId};
use crate::runs;
use crate::store::{Store, StoreError};

/// Why a bundle is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store is away, or does not let us.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request is no longer ours.
    #[error(transparent)]
    Claim(#[from] BrokerError),
    /// The run's name cannot be kept on disk.
    #[error("the run id cannot be kept in the work folder: {0}")]
    Spool(#[from] BundleError),
    /// Somebody removed the bundle from this host's disk.
    #[error("its bundle {} is gone", .0.display())]
    Gone(PathBuf),
    /// It takes longer than whoever stops the worker wants to wait.
    #[error("the worker was told to stop before the result was published")]
    Stopped,
}

impl PublishError {
    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store(error) => error.is_temporary(),
            Self::Claim(_) | Self::Spool(_) | Self::Gone(_) | Self::Stopped => false,
        }
    }
}

/// Publishes the bundle and gives the id of its run; `None` when another worker has published the request's result. Can be called
/// again after an error.
///
/// Run ids grow in the order of publication, because proposed-migration asks only for runs after the newest that it knows. So the
/// id that the bundle got when it was packed a moment ago is given up for a later one, which is kept on disk before anything is stored
/// under it, when a newer run of the same package has been published in the meantime.
pub async fn publish(
    (store, containers): (&Store, &Containers),
    place: &Place,
    bundle: &mut Bundle,
    uuid: &RequestId,
    claim: &mut Claim,
    stop: &Stop,
) -> Result<Option<RunId>, PublishError> {
    // Also before every later attempt: a private container that somebody has opened meanwhile is closed again first.
    containers.ensure(store, place).await?;
    match put(store, place, bundle, uuid, claim, stop).await {
        // Somebody has removed it since it was last looked at.
        Err(PublishError::Store(StoreError::NotFound(_))) if containers.forget(place) => {
            containers.ensure(store, place).await?;
            put(store, place, bundle, uuid, claim, stop).await
        }
        end => end,
    }
}

/// Puts the bundle into a container that is there.
async fn put(
    store: &Store,
    place: &Place,
    bundle: &mut Bundle,
    uuid: &RequestId,
    claim: &mut Claim,
    stop: &Stop,
) -> Result<Option<RunId>, PublishError> {
    let Place { container, path, .. } = place;
    let mut newer = None;
    // What has been published before is looked at below, once. Clocks are rarely so late that an unused id comes before it.
    let unused = bundle.unused_id.take();
    let mut kept = if unused.is_some() { unused.clone() } else { bundle.run_id()? };
    if unused.is_none()
        && let Some(id) = &kept
    {
        if runs::is_complete(store, place, id).await? {
            // It was stored to its end the last time, only we never heard of it. Readers may have seen it: it must stay what it is.
            return Ok(kept);
        }
        newer = runs::published_after(store, place, id).await?;
    }
    loop {
        let id = match kept {
            Some(id) if newer.is_none() => id,
            outdated => {
                let id = RunId::stamp(jiff::Timestamp::now(), newer.as_ref());
                remember(bundle, &id).await?;
                if let Some(outdated) = outdated {
                    withdraw(store, place, bundle, &outdated).await;
                }
                id
            }
        };
        // In any order: nobody looks at them before result.tar is there.
        let attachments = bundle.attachments();
        let uploads = attachments.iter().map(|file| {
            let object = path.object(&id, file.name);
            async move { store.put(container, &object, &file.path, &file.headers).await }
        });
        try_join_all(uploads).await?;
        // The upload may have taken long. Somebody else may hold the request now, or have published a newer run.
        let held = tokio::select! {
            biased;
            held = claim.held() => held,
            () = stop.out_of_patience() => return Err(PublishError::Stopped),
        };
        if let Err(error) = held {
            withdraw(store, place, bundle, &id).await;
            return Err(error.into());
        }
        // Who had the request before us may have gone on with it without knowing that it was not theirs any more; and while our
        // own claim was away, another worker may have taken the request and done it.
        if (claim.redelivered || claim.was_interrupted()) && runs::with_uuid(store, place, uuid).await?.is_some() {
            withdraw(store, place, bundle, &id).await;
            return Ok(None);
        }
        newer = runs::published_after(store, place, &id).await?;
        if newer.is_none() {
            let commit_mark = bundle.commit_mark();
            store.put(container, &path.object(&id, commit_mark.name), &commit_mark.path, &commit_mark.headers).await?;
            return Ok(Some(id));
        }
        kept = Some(id);
    }
}

/// Keeps the id on the disk, which may take its time: the other slots do not wait for it.
async fn remember(bundle: &Bundle, id: &RunId) -> Result<(), BundleError> {
    let (mut bundle, id, dir) = (bundle.clone(), id.clone(), bundle.dir.clone());
    match tokio::task::spawn_blocking(move || bundle.remember_run_id(&id)).await {
        Ok(remembered) => remembered,
        Err(stopped) => Err(BundleError::Io { action: "writing", path: dir, source: std::io::Error::other(stopped) }),
    }
}

/// Removes what was stored under an id that is given up. Without result.tar nobody has seen it as a run; if it stays, it only takes
/// up space.
async fn withdraw(store: &Store, place: &Place, bundle: &Bundle, id: &RunId) {
    let Place { container, path, .. } = place;
    for file in bundle.files() {
        if let Err(error) = store.delete(container, &path.object(id, file.name)).await {
            tracing::warn!("{} is left over in the store: {error}", path.object(id, file.name));
        }
    }
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
    use crate::request::Request;
    use crate::request::line::Submission;
    use crate::result::layout::RESULT;
    use crate::result::{Material, pack};
    use crate::store::folder::FolderStore;

    /// A queue and a store in a folder, and claimed requests for the same package.
    struct Stage {
        folder: TempDir,
        store: Store,
        containers: Containers,
        request: Request,
        place: Place,
    }

    impl Stage {
        fn new() -> Self {
            Self::of(r#"gzip {"triggers": ["gzip/1"]}"#)
        }

        fn of(request: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::Folder(FolderStore::new(&folder.path().join("results")));
            let request = Request::parse(request.as_bytes()).unwrap();
            let place = Place::of(&request, &"debci-sid-amd64".parse().unwrap());
            Self { folder, store, containers: Containers::default(), request, place }
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
            let material = Material::new(&output, request, 0, duration);
            let bundle = pack(&material, &self.folder.path().join(id.as_str())).unwrap();
            (claim, id, bundle)
        }

        async fn publish(&self, (claim, uuid, bundle): &mut (Claim, RequestId, Bundle)) -> Option<RunId> {
            publish((&self.store, &self.containers), &self.place, bundle, uuid, claim, &Stop::default()).await.unwrap()
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
        let stage = Stage::new();
        let mut one = stage.claim().await;
        let first = stage.publish(&mut one).await.unwrap();
        let mut two = stage.claim().await;
        let second = stage.publish(&mut two).await.unwrap();
        assert!(first < second, "{first} {second}");
        // The answer to the first one was lost.
        assert_eq!(stage.publish(&mut one).await, Some(first));
        assert_eq!(stage.folders().len(), 2);
    }

    #[tokio::test]
    async fn an_id_whose_upload_was_interrupted_is_given_up_for_a_later_one() {
        let stage = Stage::new();
        let mut one = stage.claim().await;
        let early = RunId::stamp(jiff::Timestamp::now(), None);
        one.2.remember_run_id(&early).unwrap();
        let mut two = stage.claim().await;
        let newer = stage.publish(&mut two).await.unwrap();
        // The clock of this host is an hour late, and the other one's run is in its future.
        let future = RunId::stamp(jiff::Timestamp::now() + jiff::Span::new().hours(1), Some(&newer));
        let mut other = stage.claim().await;
        other.2.remember_run_id(&future).unwrap();
        assert_eq!(stage.publish(&mut other).await.as_ref(), Some(&future));
        let late = stage.publish(&mut one).await.unwrap();
        assert!(late > future, "{late} {future}");
    }

    #[tokio::test]
    async fn a_host_whose_clock_is_late_gives_up_its_id_too() {
        let stage = Stage::new();
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
        let stage = Stage::new();
        let mut one = stage.claim().await;
        let first = stage.publish(&mut one).await.unwrap();
        // The same request in other hands, with a bundle of its own.
        let (mut claim, _, _) = stage.claim().await;
        claim.redelivered = true;
        let request = one.0.request.as_ref().unwrap();
        let output = stage.folder.path().join("output");
        let material = Material::new(&output, request, 4, Duration::ZERO);
        let bundle = pack(&material, &stage.folder.path().join("other")).unwrap();
        assert_eq!(stage.publish(&mut (claim, one.1, bundle)).await, None);
        assert_eq!(stage.folders(), [first.to_string()]);
    }

    #[tokio::test]
    async fn a_container_that_somebody_removes_is_made_again() {
        let stage = Stage::new();
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
        let stage = Stage::of(&format!("gzip {parameters}"));
        let results = stage.folder.path().join("results");
        let container = results.join("private-autopkgtest-sid-team-hidden");
        // Somebody has made the container before, open to everybody.
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
        // It is looked for where it is, and nowhere else.
        assert!(runs::is_complete(&stage.store, &stage.place, &run).await.unwrap());
        let public = Place::of(&Request::parse(b"gzip").unwrap(), &"debci-sid-amd64".parse().unwrap());
        assert!(!runs::is_complete(&stage.store, &public, &run).await.unwrap());
        assert_eq!(stage.publish(&mut one).await, Some(run), "published once");
    }

    #[tokio::test]
    async fn nothing_of_an_id_that_is_given_up_stays() {
        let stage = Stage::of(r#"gzip {"readable-by": ["bob"]}"#);
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
