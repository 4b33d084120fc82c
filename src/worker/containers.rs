//! The public containers that this worker has just found to be as they should be: asking for each result would be asking the same
//! again. Private ones are not among them. Somebody may have opened one, and it has to be closed before every result.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::result::{Bundle, Place};
use crate::runs;
use crate::store::{Access, Store, StoreError};

/// So soon, an operator's mistake with a container is mended.
const LASTS: Duration = Duration::from_secs(60);

/// What is known about the store's containers.
#[derive(Default)]
pub struct Containers(Mutex<HashMap<String, Instant>>);

impl Containers {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the container of a result exist and readable for who may read it, unless that was done a moment ago.
    ///
    /// # Errors
    /// When the store refuses or is away.
    pub(super) async fn ensure(&self, store: &Store, place: &Place, bundle: &Bundle) -> Result<(), StoreError> {
        let Place { container, .. } = place;
        if self.known().get(container).is_some_and(|at| at.elapsed() < LASTS) {
            return Ok(());
        }
        let access = access(store, place, bundle).await?;
        store.ensure_container(container, &access).await?;
        if access == Access::Public {
            let mut known = self.known();
            // PPAs come and go: what is known stays small.
            known.retain(|_, at| at.elapsed() < LASTS);
            known.insert(container.clone(), Instant::now());
        }
        Ok(())
    }

    /// Forgets a container that was found missing, and tells whether it had been taken for granted.
    pub(super) fn forget(&self, place: &Place) -> bool {
        self.known().remove(&place.container).is_some()
    }
}

/// Who may read the container of a result, in addition to those who may already.
///
/// A request can name any PPA and any reader. It adds a reader only when the PPA's archive has let its token in, and only to a container
/// without results of another PPA. The result itself is stored in any case.
async fn access(store: &Store, place: &Place, bundle: &Bundle) -> Result<Access, StoreError> {
    let Access::Private(users) = &place.access else { return Ok(place.access.clone()) };
    let ppa = bundle.summary.options.as_ref().and_then(|options| options.ppas.last());
    let is_shared = match ppa {
        Some(ppa) if !users.is_empty() && bundle.is_admitted => {
            runs::holds_other_ppa(store, &place.container, ppa).await?
        }
        _ => false,
    };
    if !users.is_empty() && (is_shared || !bundle.is_admitted) {
        let reason =
            if is_shared { "it holds results of another PPA" } else { "the PPA's archive has not let its token in" };
        tracing::warn!(container = place.container, "the request's readers are not added: {reason}");
        return Ok(Access::Private(Vec::new()));
    }
    Ok(place.access.clone())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::request::Request;
    use crate::result::{Material, RunOptions, pack};
    use crate::store::ObjectHeaders;
    use crate::store::folder::FolderStore;

    #[tokio::test]
    async fn readers_are_added_for_the_same_ppa_and_after_its_archive_has_let_the_token_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::Folder(FolderStore::new(&folder.path().join("store")));
        let output = folder.path().join("output");
        fs::create_dir(&output).unwrap();
        let mut number = 0;
        let mut packed = |ppa: &str, exit_code| {
            number += 1;
            let text = format!(r#"gzip {{"ppas": ["{ppa}"], "swiftuser": "ann"}}"#);
            let request = Request::parse(text.as_bytes()).unwrap();
            let place = Place::of(&request, &"debci-ppa-sid-amd64".parse().unwrap());
            let material = Material::new(&output, &request, exit_code, Duration::ZERO);
            (place, pack(&material, &folder.path().join(number.to_string())).unwrap())
        };
        let ann = Access::Private(vec!["ann".to_owned()]);
        let nobody = Access::Private(Vec::new());
        // autopkgtest was not started: the archive refused the token.
        let (place, refused) = packed("u:wrong@a-b/c", 20);
        assert_eq!(access(&store, &place, &refused).await.unwrap(), nobody);
        fs::write(output.join("log"), "it ran").unwrap();
        let (place, ran) = packed("u:right@a-b/c", 4);
        assert_eq!(access(&store, &place, &ran).await.unwrap(), ann);
        let reopened = Bundle::open(&ran.dir).unwrap().unwrap();
        assert!(reopened.is_admitted);
        store.ensure_container(&place.container, &ann).await.unwrap();
        let mark = ran.commit_mark();
        let object = place.path.object(&"20260101_120000_abcde@".parse().unwrap(), mark.name);
        let headers = ObjectHeaders { content_type: ran.summary.to_content_type(), content_encoding: None };
        assert_eq!(ran.summary.options, Some(RunOptions { ppas: vec!["a-b/c".to_owned()], ..RunOptions::default() }));
        store.put(&place.container, &object, &mark.path, &headers).await.unwrap();
        assert_eq!(access(&store, &place, &ran).await.unwrap(), ann, "the same PPA");
        let (other_place, other) = packed("u:right@a/b-c", 4);
        assert_eq!(other_place.container, place.container);
        assert_eq!(access(&store, &other_place, &other).await.unwrap(), nobody, "another PPA");
    }
}
