use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::listed_result::read_result;
use super::*;
use crate::compare::Turn;
use crate::request::Request;
use crate::result::layout::LOG;
use crate::result::{BundleInput, pack};
use crate::store::folder::FolderStore;
use crate::store::{Access, ObjectHeaders};
use crate::verdict::Verdict;

fn path(release: &str, package: &str) -> PackagePath {
    PackagePath {
        release: release.parse().unwrap(),
        architecture: "amd64".parse().unwrap(),
        package: package.parse().unwrap(),
    }
}

/// Returns the location of a package's public results.
fn public(path: &PackagePath) -> ResultLocation {
    ResultLocation { container: container(&path.release), access: Access::Public, path: path.clone() }
}

/// A store in a folder, filled like a worker and other programs do.
struct Scene {
    folder: TempDir,
    store: Store,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::Folder(FolderStore::new(&folder.path().join("store")));
        for container in ["autopkgtest-bookworm", "autopkgtest-sid"] {
            store.ensure_container(container, &Access::Public).await.unwrap();
        }
        Self { folder, store }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let file = self.folder.path().join("file");
        fs::write(&file, bytes).unwrap();
        file
    }

    async fn put(&self, path: &PackagePath, id: &str, file: &str, bytes: &[u8], content_type: &str) {
        let name = path.object(&id.parse().unwrap(), file);
        let headers = ObjectHeaders { content_type: content_type.to_owned(), content_encoding: None };
        self.store.put(&container(&path.release), &name, &self.file(bytes), &headers).await.unwrap();
    }

    /// Publishes a bundle like a worker does.
    async fn publish(&self, path: &PackagePath, id: &str, request: &str) {
        let folder = self.folder.path().join("bundle");
        let request = Request::parse(request.as_bytes()).unwrap();
        let output = self.folder.path().join("no output");
        let material = BundleInput::new(&output, &request, 4, Duration::from_secs(7));
        let bundle = pack(&material, &folder).unwrap();
        for file in bundle.files() {
            let name = path.object(&id.parse().unwrap(), file.name);
            self.store.put(&container(&path.release), &name, &file.path, &file.headers).await.unwrap();
        }
    }
}

/// Returns a result.tar like those of other programs.
fn result(members: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

const OTHER: [(&str, &str); 5] = [
    ("exitcode", "8\n"),
    ("./testpkg-version", "gzip 1.10-4\n"),
    ("duration", "95\n"),
    ("testinfo.json", r#"{"custom_environment": ["X=1", "ADT_TEST_TRIGGERS=glibc/2.31-1 zlib/1"]}"#),
    ("requester", "bob"),
];

#[tokio::test]
async fn runs_of_this_and_of_other_programs_are_listed_together() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    let request = r#"gzip {"triggers": ["zlib/1"], "requester": "alice", "uuid": "u-1"}"#;
    scene.publish(&gzip, "20261123_084000_0a1b2@", request).await;
    scene.put(&gzip, "20210102_030405@", RESULT, &result(&OTHER), "application/x-tar").await;
    // Not complete: without result.tar.
    scene.put(&gzip, "20261123_090000_00000@", LOG, b"", "text/plain").await;
    scene.put(&path("bookworm", "gzip2"), "20250102_030405@", RESULT, &result(&OTHER), "application/x-tar").await;

    let runs = of_package(&scene.store, &gzip).await.unwrap();
    let listed: Vec<(&str, Outcome, &str)> =
        runs.iter().map(|run| (run.id.as_str(), run.outcome(), run.summary.version.as_str())).collect();
    let expected =
        [("20210102_030405@", Outcome::Neutral, "1.10-4"), ("20261123_084000_0a1b2@", Outcome::Fail, "unknown")];
    assert_eq!(listed, expected);
    assert_eq!(runs[0].summary.triggers, Some(vec!["glibc/2.31-1".to_owned(), "zlib/1".to_owned()]));
    assert_eq!(runs[0].summary.requester.as_deref(), Some("bob"));
    let flat = json!({
        "release": "bookworm", "architecture": "amd64", "package": "gzip", "run": "20261123_084000_0a1b2@",
        "path": "bookworm/amd64/g/gzip/20261123_084000_0a1b2@", "container": "autopkgtest-bookworm", "outcome": "fail", "damaged": false, "exitcode": 4,
        "options": {"branch": false, "ppas": [], "all_proposed": false, "testname": null},
        "version": "unknown", "duration": 7, "triggers": ["zlib/1"], "requester": "alice", "uuid": "u-1",
        "proof": "none", "fallback": false,
    });
    assert_eq!(serde_json::to_value(&runs[1]).unwrap(), flat);

    let release = "bookworm".parse().unwrap();
    let ids = |runs: Vec<StoredRun>| runs.iter().map(|run| run.id.to_string()).collect::<Vec<_>>();
    let all = of_release(&scene.store, &release, None).await.unwrap();
    assert_eq!(ids(all), ["20210102_030405@", "20250102_030405@", "20261123_084000_0a1b2@"], "oldest first");
    let armhf = "armhf".parse().unwrap();
    assert_eq!(of_release(&scene.store, &release, Some(&armhf)).await.unwrap(), []);
    assert_eq!(of_package(&scene.store, &path("nowhere", "gzip")).await.unwrap(), [], "a release without a container");
}

#[tokio::test]
async fn only_complete_runs_are_published_after_another() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    let after = async |id: &str| {
        let newest = published_after(&scene.store, &public(&gzip), &id.parse().unwrap()).await;
        newest.unwrap().map(|id| id.to_string())
    };
    let [first, second, third] = ["20261123_084000@", "20261123_084000_0a1b2@", "20261123_090000_00000@"];
    assert_eq!(after(first).await, None);
    for id in [second, third, first] {
        scene.put(&gzip, id, RESULT, b"", "application/x-tar").await;
    }
    scene.put(&gzip, "20261124_000000_00000@", LOG, b"", "text/plain").await;
    scene.put(&path("bookworm", "gzip2"), "20261125_000000_00000@", RESULT, b"", "application/x-tar").await;
    for id in ["20201123_084000@", first, second, "20261123_084000_fffff@"] {
        assert_eq!(after(id).await.as_deref(), Some(third), "after {id}");
    }
    assert_eq!(after(third).await, None);
    assert_eq!(after("20261123_090000_00001@").await, None);
}

#[tokio::test]
async fn a_request_that_has_its_result_is_known_by_its_id() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    scene.publish(&gzip, "20261123_084000_0a1b2@", r#"gzip {"uuid": "u-1"}"#).await;
    scene.publish(&gzip, "20261123_084001_0a1b2@", r#"gzip {"uuid": "u-2"}"#).await;
    let run = with_uuid(&scene.store, &public(&gzip), &"u-1".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(run.id.as_str(), "20261123_084000_0a1b2@");
    assert_eq!(with_uuid(&scene.store, &public(&gzip), &"u-3".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn triggers_that_are_too_many_for_the_listing_come_from_the_result() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    let triggers: Vec<String> = (0..400).map(|number| format!("package-{number}/1.{number}")).collect();
    let request = format!("gzip {}", json!({"triggers": triggers, "uuid": "u-1"}));
    scene.publish(&gzip, "20261123_084000_0a1b2@", &request).await;
    let runs = of_package(&scene.store, &gzip).await.unwrap();
    assert_eq!(runs[0].summary.triggers, Some(triggers));
    assert_eq!(runs[0].summary.uuid.as_deref(), Some("u-1"));
}

#[tokio::test]
async fn a_damaged_result_shows_what_is_left_of_it() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    let whole = result(&OTHER);
    let cases: [(&[u8], i32, &str); 4] = [
        (b"", 20, "unknown"),
        (b"not an archive at all", 20, "unknown"),
        (&whole[..1200], 8, "unknown"),
        (&result(&OTHER[..1]), 8, "unknown"),
    ];
    for (bytes, exitcode, version) in cases {
        scene.put(&gzip, "20210102_030405@", RESULT, bytes, "application/x-tar").await;
        let runs = of_package(&scene.store, &gzip).await.unwrap();
        assert!(runs[0].damaged, "{} bytes", bytes.len());
        assert_eq!((runs[0].outcome(), runs[0].is_evidence(), runs[0].decision()), (Outcome::Error, false, None));
        assert_eq!((runs[0].summary.exitcode, runs[0].summary.version.as_str()), (exitcode, version));
    }
}

#[tokio::test]
async fn a_result_that_was_cut_after_it_was_stored_is_damaged() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    scene.publish(&gzip, "20261123_084000_0a1b2@", r#"gzip {"triggers": ["zlib/1"], "uuid": "u-1"}"#).await;
    assert!(!of_package(&scene.store, &gzip).await.unwrap()[0].damaged);
    let stored = scene.folder.path().join("store/autopkgtest-bookworm");
    let stored = stored.join(gzip.object(&"20261123_084000_0a1b2@".parse().unwrap(), RESULT));
    fs::File::options().write(true).open(&stored).unwrap().set_len(1024).unwrap();
    let runs = of_package(&scene.store, &gzip).await.unwrap();
    assert_eq!((runs[0].damaged, runs[0].outcome(), runs[0].is_evidence()), (true, Outcome::Error, false));
    let uuid = "u-1".parse().unwrap();
    assert!(with_uuid(&scene.store, &public(&gzip), &uuid).await.unwrap().unwrap().damaged);
    let mut run = StoredRun { damaged: false, ..runs[0].clone() };
    assert!(!run.check(&scene.store).await.unwrap() && run.damaged);
}

#[tokio::test]
async fn what_a_verdict_names_was_read() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    let whole = result(&[&[("exitcode", "0\n")], &OTHER[1..]].concat());
    let summary = |exitcode: i32| {
        format!(r#"application/x-tar; exitcode={exitcode}; version="1.10-4"; duration=1; triggers="glibc/{exitcode}""#)
    };
    // Older versions did not record the size.
    scene.put(&gzip, "20210101_000000@", RESULT, &whole, &summary(0)).await;
    scene.put(&gzip, "20210102_000000@", RESULT, &whole[..1024], &summary(0)).await;
    scene.put(&gzip, "20210103_000000@", RESULT, &result(&OTHER), &summary(4)).await;
    let mut runs = of_package(&scene.store, &gzip).await.unwrap();
    let failed = runs[2].clone();
    let verdict = Verdict::of(&failed, &runs);
    assert!(verdict.reason.contains("20210102"), "the listing tells no damage: {verdict:?}");
    let turned = Turn::find_read(&mut runs.clone(), &scene.store).await.unwrap();
    assert!(matches!(turned, Some(Turn::Turned { good, .. }) if good.id.as_str() == "20210101_000000@"));
    let verdict = Verdict::of_read(&failed, &mut runs, &scene.store).await.unwrap();
    assert_eq!(verdict.reason, "version 1.10-4 passed in 20210101_000000@");
    assert!(runs[1].damaged && !runs[0].damaged);
}

#[tokio::test]
async fn a_neutral_run_of_a_test_that_does_not_exist_is_known() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    let summary = r#"application/x-tar; exitcode=8; version="1.10-4"; duration=1; triggers=""; tested=archive"#;
    let named = |name: &str| format!("{summary}; testname=\"{name}\"");
    let skipped = result(&[&OTHER[..], &[("summary", "smoke SKIP exit status 77\n")]].concat());
    for (number, (content_type, bytes, missing)) in [
        (named("nope"), &skipped, Some("nope")),
        (named("smoke"), &skipped, None),
        (named("nope"), &result(&OTHER), Some("nope")),
        (summary.to_owned(), &result(&OTHER), None),
        (named("nope").replace("exitcode=8", "exitcode=4"), &skipped, None),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("2021010{}_000000@", number + 1);
        scene.put(&gzip, &id, RESULT, bytes, &content_type).await;
        let runs = of_package(&scene.store, &gzip).await.unwrap();
        let run = runs.last().unwrap();
        assert_eq!(run.missing_test(&scene.store).await.unwrap(), missing, "{content_type}");
        // A single skipped test says nothing about the package.
        let decides = run.outcome() == Outcome::Fail || run.only_test().is_none();
        assert_eq!(run.decision().is_some(), decides, "{content_type}");
    }
}

#[test]
fn a_result_cut_anywhere_is_damaged() {
    let whole = result(&OTHER);
    let gzip = "gzip".parse().unwrap();
    assert!(!read_result(&whole, &gzip).1);
    let end = whole.len() - 1024;
    for length in (0..=end).step_by(128) {
        assert!(read_result(&whole[..length], &gzip).1, "cut after {length} bytes");
    }
}

/// Returns the header of a sparse file that has no bytes and claims to have this size.
fn sparse_header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_size(0);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..7].copy_from_slice(b"summary");
    gnu.set_real_size(size);
    gnu.sparse[0].set_offset(size);
    gnu.sparse[0].set_length(0);
    header.set_cksum();
    header
}

#[test]
fn sparse_members_of_a_result_are_damage_and_are_never_expanded() {
    // 16 MiB that claim to be 512 GiB.
    let header = sparse_header(16 << 20);
    let mut bytes = header.as_bytes().repeat(32 << 10);
    bytes.extend(result(&OTHER));
    let (summary, damaged) = read_result(&bytes, &"gzip".parse().unwrap());
    assert_eq!((summary.exitcode, summary.version.as_str(), damaged), (8, "1.10-4", true));
    assert!(recorded_request::testinfo(&bytes).is_some());
}

#[test]
fn files_of_a_result_that_are_too_large_are_passed_over() {
    let large = " ".repeat((4 << 20) + 1);
    let mut members = vec![("manifest.json", large.as_str())];
    members.extend(OTHER);
    let gzip = "gzip".parse().unwrap();
    assert!(!read_result(&result(&members), &gzip).1);
    members[4] = ("testinfo.json", &large);
    assert!(read_result(&result(&members), &gzip).1, "without its testinfo.json it is damaged");
    // A member that claims to be larger than the archive.
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..8].copy_from_slice(b"exitcode");
    header.set_size(1 << 40);
    header.set_cksum();
    let bytes = [header.as_bytes(), result(&OTHER).as_slice()].concat();
    assert!(!members::each(&bytes, |name, _| panic!("{name} is given")));
}

#[tokio::test]
async fn a_result_is_read_beside_everything_else() {
    let scene = Scene::new().await;
    let gzip = path("bookworm", "gzip");
    scene.put(&gzip, "20210102_030405@", RESULT, &result(&OTHER), "application/x-tar").await;
    let object = gzip.object(&"20210102_030405@".parse().unwrap(), RESULT);
    let here = std::thread::current().id();
    let read = |bytes: &[u8]| (bytes.len(), std::thread::current().id());
    let (length, there) = members::fetched(&scene.store, "autopkgtest-bookworm", &object, read).await.unwrap();
    assert_eq!(length, result(&OTHER).len());
    assert_ne!(here, there);
}

#[test]
fn a_result_without_a_version_is_damaged_only_where_proposed_migration_needs_one() {
    let gzip = "gzip".parse().unwrap();
    let testinfo = ("testinfo.json", "{}");
    for (exit_code, version, expected) in [
        ("4", None, ("unknown", false)),
        ("12", None, ("unknown", false)),
        ("20", None, ("unknown", false)),
        ("0", None, ("unknown", true)),
        ("16", None, ("unknown", true)),
        ("0", Some("gzip 1.12-1\n"), ("1.12-1", false)),
        ("0", Some("Only running a subset of the tests"), ("unknown", false)),
        ("0", Some("tar 1.12-1"), ("unknown", false)),
        ("4", Some("gzip"), ("unknown", false)),
        ("4", Some(""), ("unknown", false)),
    ] {
        let members: Vec<(&str, &str)> = [("exitcode", exit_code), testinfo]
            .into_iter()
            .chain(version.map(|text| ("testpkg-version", text)))
            .collect();
        let (summary, damaged) = read_result(&result(&members), &gzip);
        assert_eq!((summary.version.as_str(), damaged), expected, "exit code {exit_code}, {version:?}");
    }
}

#[tokio::test]
async fn a_run_is_found_by_whatever_names_it() {
    let scene = Scene::new().await;
    let gzip = path("sid", "gzip");
    scene.publish(&gzip, "20261123_084000_0a1b2@", "gzip").await;
    let releases = ["bookworm".parse().unwrap(), "sid".parse().unwrap()];
    for text in [
        "sid/amd64/g/gzip/20261123_084000_0a1b2@",
        "sid/amd64/g/gzip/20261123_084000_0a1b2@/",
        " /sid/amd64/g/gzip/20261123_084000_0a1b2@/log.gz\n",
        "autopkgtest-sid/sid/amd64/g/gzip/20261123_084000_0a1b2@",
        "https://objects.example.com/v1/AUTH_x/autopkgtest-sid/sid/amd64/g/gzip/20261123_084000_0a1b2%40/log.gz?x#y",
        "folder:/srv/results/autopkgtest-sid/sid/amd64/g/gzip/20261123_084000_0a1b2@/result.tar",
        "20261123_084000_0a1b2@",
        "20261123_084000_0a1b2",
    ] {
        let run = find(&scene.store, &releases, text).await.unwrap();
        assert_eq!(
            run.into_iter().map(|run| (run.container, run.path)).collect::<Vec<_>>(),
            [("autopkgtest-sid".to_owned(), gzip.clone())],
            "{text}"
        );
    }
    for text in [
        "",
        "gzip",
        "sid/amd64/g/gzip/20261123_084001_0a1b2@",
        "sid/amd64/x/gzip/20261123_084000_0a1b2@",
        "gzip/20261123_084000_0a1b2@",
        "autopkgtest-other/sid/amd64/g/gzip/20261123_084000_0a1b2@",
        "20261123_084000@",
    ] {
        assert_eq!(find(&scene.store, &releases, text).await.unwrap(), [], "{text}");
    }
    // An old id is only a time: several runs may have it.
    for package in ["gzip", "tar"] {
        scene.put(&path("sid", package), "20210102_030405@", RESULT, &result(&OTHER), "application/x-tar").await;
    }
    assert_eq!(find(&scene.store, &releases, "20210102_030405@").await.unwrap().len(), 2);
}

proptest! {
    #[test]
    fn no_result_and_no_place_makes_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            at in 0usize..3000, byte in any::<u8>(), text in "\\PC*|[a-z0-9_@/%]{0,60}") {
        let gzip = "gzip".parse().unwrap();
        let _ = read_result(&bytes, &gzip);
        let mut archive = result(&OTHER);
        if let Some(changed) = archive.get_mut(at) {
            *changed = byte;
        }
        let _ = read_result(&archive, &gzip);
        let _ = RunRef::parse(&text);
    }
}

#[tokio::test]
async fn a_run_with_packages_from_a_ppa_is_found_by_its_id() {
    let scene = Scene::new().await;
    let releases = ["bookworm".parse().unwrap(), "sid".parse().unwrap()];
    let path = path("sid", "gzip");
    scene.publish(&path, "20260101_000000_00001@", "gzip\n{\"triggers\": [\"a/1\"]}").await;
    let (of_ppa, private, elsewhere) =
        ("autopkgtest-sid-me-ppa", "private-autopkgtest-sid-me-ppa", "autopkgtest-noble-me-ppa");
    for (container, id) in
        [(of_ppa, "20260101_000000_00002@"), (private, "20260101_000000_00003@"), (elsewhere, "20260101_000000_00004@")]
    {
        scene.store.ensure_container(container, &Access::Public).await.unwrap();
        let headers =
            ObjectHeaders { content_type: "application/x-tar; exitcode=0".to_owned(), content_encoding: None };
        let name = path.object(&id.parse().unwrap(), RESULT);
        scene.store.put(container, &name, &scene.file(&result(&[("exitcode", "0\n")])), &headers).await.unwrap();
    }
    let found = async |text: &str| -> Vec<String> {
        find(&scene.store, &releases, text).await.unwrap().into_iter().map(|run| run.container).collect()
    };
    assert_eq!(found("20260101_000000_00001@").await, ["autopkgtest-sid"]);
    for text in ["20260101_000000_00002@", "sid/amd64/g/gzip/20260101_000000_00002@"] {
        assert_eq!(found(text).await, [of_ppa], "{text}");
    }
    assert_eq!(found("20260101_000000_00003@").await, [private]);
    assert_eq!(found("20260101_000000_00004@").await, [] as [&str; 0], "of a release that is not meant");
}
