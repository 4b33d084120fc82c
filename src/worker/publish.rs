//! Puts a bundle into the store: the log and the artifacts first, result.tar last. It is the commit mark.

use super::stop::Stop;
use crate::broker::{BrokerError, Claim};
use crate::result::layout::container;
use crate::result::{Bundle, BundleError, PackagePath, RunId};
use crate::runs;
use crate::store::{Access, Store, StoreError};

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
    /// It takes longer than whoever stops the worker wants to wait.
    #[error("the worker was told to stop before the result was published")]
    Stopped,
}

impl PublishError {
    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store(error) => error.is_temporary(),
            Self::Claim(_) | Self::Spool(_) | Self::Stopped => false,
        }
    }
}

/// Publishes the bundle and gives the id of its run. Can be called again after an error.
///
/// Run ids grow in the order of publication, because proposed-migration asks only for runs after the newest that it knows. So the
/// id is stamped here, kept on disk before anything is stored under it, and given up for a later one when a newer run of the same
/// package has been published in the meantime.
pub async fn publish(
    store: &Store,
    path: &PackagePath,
    bundle: &Bundle,
    claim: &mut Claim,
    stop: &Stop,
) -> Result<RunId, PublishError> {
    let container = container(&path.release);
    store.ensure_container(&container, &Access::Public).await?;
    let mut kept = bundle.run_id()?;
    loop {
        let id = match kept {
            Some(id) if !runs::published_after(store, path, &id).await? => id,
            outdated => {
                let newest = runs::newest_id(store, path).await?;
                let id = RunId::stamp(jiff::Timestamp::now(), newest.as_ref());
                bundle.remember_run_id(&id)?;
                if let Some(outdated) = outdated {
                    withdraw(store, path, bundle, &outdated).await;
                }
                id
            }
        };
        let [others @ .., commit_mark] = &bundle.files();
        for file in others {
            store.put(&container, &path.object(&id, file.name), &file.path, &file.headers).await?;
        }
        // The upload may have taken long. Somebody else may hold the request now, or have published a newer run.
        tokio::select! {
            biased;
            held = claim.held() => held?,
            () = stop.out_of_patience() => return Err(PublishError::Stopped),
        }
        if !runs::published_after(store, path, &id).await? {
            store.put(&container, &path.object(&id, commit_mark.name), &commit_mark.path, &commit_mark.headers).await?;
            return Ok(id);
        }
        kept = Some(id);
    }
}

/// Removes what was stored under an id that is given up. Without result.tar nobody has seen it as a run; if it stays, it only takes
/// up space.
async fn withdraw(store: &Store, path: &PackagePath, bundle: &Bundle, id: &RunId) {
    let container = container(&path.release);
    for file in bundle.files() {
        if let Err(error) = store.delete(&container, &path.object(id, file.name)).await {
            tracing::warn!("{} is left over in the store: {error}", path.object(id, file.name));
        }
    }
}
