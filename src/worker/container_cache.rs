//! Cache of the public containers that exist and are readable, so that they are not checked for each result.
//!
//! Private containers are not cached: a user may have opened one, and it must be closed before every result.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::result::{Bundle, ResultLocation};
use crate::runs;
use crate::store::{Access, Store, StoreError};

/// Lifetime of an entry: mistakes of an operator with a container are fixed within this time.
const CHECK_TTL: Duration = Duration::from_secs(60);

/// Containers that were checked recently.
#[derive(Default)]
pub struct ContainerCache(Mutex<HashMap<String, Instant>>);

impl ContainerCache {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the container of a result exist and readable for its readers, unless it was checked a moment ago.
    ///
    /// # Errors
    /// Fails when the store refuses or is unreachable.
    pub(super) async fn ensure(
        &self,
        store: &Store,
        place: &ResultLocation,
        bundle: &Bundle,
    ) -> Result<(), StoreError> {
        let ResultLocation { container, .. } = place;
        if self.known().get(container).is_some_and(|at| at.elapsed() < CHECK_TTL) {
            return Ok(());
        }
        let access = access(store, place, bundle).await?;
        store.ensure_container(container, &access).await?;
        if access == Access::Public {
            let mut known = self.known();
            // PPAs come and go: forgetting old entries keeps the cache small.
            known.retain(|_, at| at.elapsed() < CHECK_TTL);
            known.insert(container.clone(), Instant::now());
        }
        Ok(())
    }

    /// Forgets a container that was found missing. Returns whether it was in the cache.
    pub(super) fn forget(&self, place: &ResultLocation) -> bool {
        self.known().remove(&place.container).is_some()
    }
}

/// Returns who may read the container of a result, in addition to its present readers.
///
/// A request can name any PPA and any reader. It adds a reader only when the PPA's archive has accepted its token, and
/// only to a container without results of another PPA. The result itself is stored in any case.
async fn access(store: &Store, place: &ResultLocation, bundle: &Bundle) -> Result<Access, StoreError> {
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
            if is_shared { "it holds results of another PPA" } else { "the PPA's archive has not let the request in" };
        tracing::warn!(container = place.container, "the request's readers are not added: {reason}");
        return Ok(Access::Private(Vec::new()));
    }
    Ok(place.access.clone())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::request::Request;
    use crate::result::{BundleInput, RunOptions, pack};
    use crate::store::ObjectHeaders;
    use crate::store::folder::FolderStore;

    /// A private container with published results.
    struct ContainerFixture {
        folder: TempDir,
        store: Store,
        bundles: usize,
    }

    impl ContainerFixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::Folder(FolderStore::new(&folder.path().join("store")));
            fs::create_dir(folder.path().join("output")).unwrap();
            Self { folder, store, bundles: 0 }
        }

        fn starts_autopkgtest(&self) {
            fs::write(self.folder.path().join("output/log"), "it ran").unwrap();
        }

        fn packed(&mut self, ppas: &str, exit_code: i32) -> (ResultLocation, Bundle) {
            self.bundles += 1;
            let text = format!(r#"gzip {{"ppas": [{ppas}], "swiftuser": "ann"}}"#);
            let request = Request::parse(text.as_bytes()).unwrap();
            let place = ResultLocation::of(&request, &"debci-ppa-sid-amd64".parse().unwrap());
            let output = self.folder.path().join("output");
            let material = BundleInput::new(&output, &request, exit_code, Duration::ZERO);
            (place, pack(&material, &self.folder.path().join(self.bundles.to_string())).unwrap())
        }

        /// Stores a result, with its own listing or with another one.
        async fn publish(&self, place: &ResultLocation, bundle: &Bundle, listing: Option<&str>) {
            self.store.ensure_container(&place.container, &Access::Private(Vec::new())).await.unwrap();
            let mark = bundle.commit_mark();
            let object = place.path.object(&"20260101_120000_abcde@".parse().unwrap(), mark.name);
            let content_type = listing.map_or(mark.headers.content_type, str::to_owned);
            let headers = ObjectHeaders { content_type, content_encoding: None };
            self.store.put(&place.container, &object, &mark.path, &headers).await.unwrap();
        }
    }

    fn ann() -> Access {
        Access::Private(vec!["ann".to_owned()])
    }

    const NOBODY: Access = Access::Private(Vec::new());

    #[tokio::test]
    async fn readers_are_added_for_the_same_ppa_and_after_its_archive_has_let_the_token_in() {
        let mut scene = ContainerFixture::new();
        // autopkgtest was not started: the archive refused the token.
        let (place, refused) = scene.packed(r#""u:wrong@a-b/c""#, 20);
        assert_eq!(access(&scene.store, &place, &refused).await.unwrap(), NOBODY);
        scene.starts_autopkgtest();
        let (place, ran) = scene.packed(r#""u:right@a-b/c""#, 4);
        assert_eq!(access(&scene.store, &place, &ran).await.unwrap(), ann());
        let reopened = Bundle::open(&ran.dir).unwrap().unwrap();
        assert!(reopened.is_admitted);
        assert_eq!(ran.summary.options, Some(RunOptions { ppas: vec!["a-b/c".to_owned()], ..RunOptions::default() }));
        scene.publish(&place, &ran, None).await;
        assert_eq!(access(&scene.store, &place, &ran).await.unwrap(), ann(), "the same PPA");
        let (other_place, other) = scene.packed(r#""u:right@a/b-c""#, 4);
        assert_eq!(other_place.container, place.container);
        assert_eq!(access(&scene.store, &other_place, &other).await.unwrap(), NOBODY, "another PPA");
    }

    #[tokio::test]
    async fn who_names_a_private_ppa_without_a_token_reads_none_of_its_results() {
        let mut scene = ContainerFixture::new();
        let (place, refused) = scene.packed(r#""team/secret""#, 20);
        assert_eq!(place.container, "private-autopkgtest-sid-team-secret");
        assert_eq!(access(&scene.store, &place, &refused).await.unwrap(), NOBODY);
        // After the death of a worker, and in a bundle of a version that did not check.
        let reopened = Bundle::open(&refused.dir).unwrap().unwrap();
        assert_eq!(access(&scene.store, &place, &reopened).await.unwrap(), NOBODY);
        let mark = refused.dir.join("bundle.json");
        let older = fs::read_to_string(&mark).unwrap().replace(r#","admitted":false"#, "");
        assert!(!older.contains("admitted"), "{older}");
        fs::write(&mark, older).unwrap();
        let reopened = Bundle::open(&refused.dir).unwrap().unwrap();
        assert_eq!(access(&scene.store, &place, &reopened).await.unwrap(), NOBODY);
        // A private run without PPAs needs no archive, and a public archive accepts everybody.
        let (place, alone) = scene.packed("", 20);
        assert_eq!(access(&scene.store, &place, &alone).await.unwrap(), ann());
        scene.starts_autopkgtest();
        let (place, public) = scene.packed(r#""team/public""#, 0);
        assert_eq!(access(&scene.store, &place, &public).await.unwrap(), ann());
    }

    #[tokio::test]
    async fn a_result_whose_listing_does_not_tell_its_ppa_is_asked_itself() {
        const OLDER: &str = "application/x-tar; exitcode=0; version=\"1\"; duration=1; triggers=\"\"";
        for (stored, listing, is_same) in [
            (r#""u:right@a-b/c""#, Some(OLDER), true),
            (r#""u:right@a-b/c""#, Some("application/x-tar"), true),
            (r#""u:right@a/b-c""#, Some(OLDER), false),
            (r#""u:right@a/b-c""#, Some("application/x-tar"), false),
        ] {
            let mut scene = ContainerFixture::new();
            scene.starts_autopkgtest();
            let (place, bundle) = scene.packed(stored, 0);
            scene.publish(&place, &bundle, listing).await;
            let (place, mine) = scene.packed(r#""u:right@a-b/c""#, 0);
            let expected = if is_same { ann() } else { NOBODY };
            assert_eq!(access(&scene.store, &place, &mine).await.unwrap(), expected, "{stored} {listing:?}");
            // An unreadable result may be of any PPA.
            let (_, damaged) = scene.packed(stored, 0);
            fs::write(damaged.dir.join("result.tar"), "").unwrap();
            scene.publish(&place, &damaged, listing).await;
            assert_eq!(access(&scene.store, &place, &mine).await.unwrap(), NOBODY, "{stored} {listing:?}");
        }
        // The options are too long for a listing.
        let mut scene = ContainerFixture::new();
        scene.starts_autopkgtest();
        let many: String = (0..19).map(|number| format!(r#""{}/n{number}", "#, "long".repeat(20))).collect();
        let (place, bundle) = scene.packed(&format!(r#"{many}"u:right@a/b-c""#), 0);
        assert!(!bundle.commit_mark().headers.content_type.contains("ppas"));
        scene.publish(&place, &bundle, None).await;
        let (place, mine) = scene.packed(r#""u:right@a-b/c""#, 0);
        assert_eq!(access(&scene.store, &place, &mine).await.unwrap(), NOBODY);
    }

    #[tokio::test]
    async fn a_container_that_only_one_ppa_can_have_needs_no_look() {
        let mut scene = ContainerFixture::new();
        scene.starts_autopkgtest();
        let (place, bundle) = scene.packed(r#""u:right@team/secret""#, 0);
        scene.publish(&place, &bundle, Some("application/x-tar; exitcode=0; version=\"1\"; duration=1")).await;
        fs::write(bundle.dir.join("result.tar"), "").unwrap();
        assert_eq!(access(&scene.store, &place, &bundle).await.unwrap(), ann());
    }
}
