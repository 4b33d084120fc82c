use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::result::{Outcome, PackagePath, RunId, RunOptions, RunSummary};
use crate::runs::{self, Days, FlakyTests, PackageSource, RunFilter, StoredRun};
use crate::store::folder::FolderStore;
use crate::store::{Access, ObjectHeaders};

/// A store in a folder, and an index of it.
struct Scene {
    folder: TempDir,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::Folder(FolderStore::new(&folder.path().join("store")));
        Self { folder, store }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("index.sqlite")
    }

    async fn put(&self, run: &StoredRun) {
        let access = if run.container.starts_with("private-") { Access::Private(vec![]) } else { Access::Public };
        self.store.ensure_container(&run.container, &access).await.unwrap();
        let file = self.folder.path().join("result");
        fs::write(&file, if run.damaged { without_version(run) } else { Vec::new() }).unwrap();
        let listed = if run.damaged { "application/x-tar".to_owned() } else { run.summary.to_content_type() };
        for (name, content_type) in [("log.gz", "text/plain".to_owned()), ("result.tar", listed)] {
            let headers = ObjectHeaders { content_type, content_encoding: None };
            self.store.put(&run.container, &run.object(name), &file, &headers).await.unwrap();
        }
    }

    async fn refresh(&self, index: &Index) -> RefreshSummary {
        let mut all = RefreshSummary::default();
        let mut names: BTreeSet<String> = self.store.containers().await.unwrap().into_iter().collect();
        names.extend(index.containers().unwrap());
        for name in names {
            all.add(index.refresh(&self.store, &name, false, &|_| {}).await.unwrap());
        }
        all
    }
}

/// Returns a result of another program that lacks the tested version.
fn without_version(run: &StoredRun) -> Vec<u8> {
    let triggers = run.summary.triggers.iter().flatten().cloned().collect::<Vec<_>>().join(" ");
    let testinfo = serde_json::json!({"custom_environment": [format!("ADT_TEST_TRIGGERS={triggers}")]}).to_string();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [("exitcode", run.summary.exitcode.to_string()), ("testinfo.json", testinfo)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Returns the readable parts of a run whose result lacks the tested version.
fn damaged(mut run: StoredRun) -> StoredRun {
    run.damaged = true;
    let triggers = run.summary.triggers.take();
    let (exitcode, version) = (run.summary.exitcode, "unknown".to_owned());
    run.summary.requester = None;
    run.summary.uuid = None;
    run.summary = RunSummary { exitcode, version, duration: 0, triggers, ..run.summary };
    run.summary.proof = crate::result::ProofVerdict::None;
    run.summary.fallback = false;
    run.summary.options = None;
    run
}

fn run(container: &str, package: &str, id: &str, exitcode: i32) -> StoredRun {
    let (release, _) = crate::result::ResultLocation::of_container(container).unwrap();
    StoredRun {
        container: container.to_owned(),
        path: PackagePath { release, architecture: "amd64".parse().unwrap(), package: package.parse().unwrap() },
        id: id.parse().unwrap(),
        summary: RunSummary {
            exitcode,
            version: "1-1".to_owned(),
            duration: 7,
            triggers: Some(vec!["a/1".to_owned()]),
            requester: Some("me".to_owned()),
            uuid: Some("7e89460a-1234-4321-aaaa-0123456789ab".to_owned()),
            proof: crate::result::ProofVerdict::Proven,
            fallback: true,
            options: Some(RunOptions::default()),
        },
        damaged: false,
    }
}

fn everything(index: &Index, container: &str) -> Vec<StoredRun> {
    let (release, ppa) = crate::result::ResultLocation::of_container(container).unwrap();
    let origin = ppa.map_or(PackageSource::Release, |ppa| PackageSource::Ppa { container: ppa.to_owned(), name: None });
    let question = RunFilter { releases: vec![release], origin, ..RunFilter::default() };
    index.runs(&question, 10_000).unwrap().0
}

#[tokio::test]
async fn it_follows_the_store() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    let (old, new) = ("20260101_120000@", "20260102_120000_abcde@");
    let (gzip, late) = (run("autopkgtest-noble", "gzip", new, 0), run("autopkgtest-noble", "gzip", old, 4));
    let ppa = run("autopkgtest-noble-me-tools", "gzip", new, 0);
    scene.put(&gzip).await;
    scene.put(&ppa).await;
    assert_eq!(scene.refresh(&index).await.added, 2);
    assert_eq!(everything(&index, "autopkgtest-noble"), std::slice::from_ref(&gzip));
    assert_eq!(everything(&index, "autopkgtest-noble-me-tools"), [ppa]);
    assert_eq!(scene.refresh(&index).await, RefreshSummary::default());
    // A late result with an older id.
    scene.put(&late).await;
    let zsh = run("autopkgtest-noble", "zsh", new, 0);
    scene.put(&zsh).await;
    assert_eq!(scene.refresh(&index).await.added, 2);
    assert_eq!(everything(&index, "autopkgtest-noble").len(), 3);
    for gone in [&late, &zsh] {
        for name in ["result.tar", "log.gz"] {
            scene.store.delete(&gone.container, &gone.object(name)).await.unwrap();
        }
    }
    let refreshed = scene.refresh(&index).await;
    assert_eq!((refreshed.added, refreshed.removed), (0, 2));
    assert_eq!(everything(&index, "autopkgtest-noble"), [gzip]);
    // A removed container's runs are removed too.
    fs::remove_dir_all(scene.folder.path().join("store/autopkgtest-noble-me-tools")).unwrap();
    assert_eq!(scene.refresh(&index).await.removed, 1);
    assert_eq!(index.containers().unwrap(), ["autopkgtest-noble"]);
}

#[tokio::test]
async fn results_without_listing_metadata_are_fetched_once_and_damaged_ones_named() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    let broken = run("autopkgtest-noble", "gzip", "20260101_120000@", 0);
    scene.put(&broken).await;
    let file = scene.folder.path().join("result");
    let headers = ObjectHeaders { content_type: "application/x-tar".to_owned(), content_encoding: None };
    scene.store.put(&broken.container, &broken.object("result.tar"), &file, &headers).await.unwrap();
    let refreshed = scene.refresh(&index).await;
    assert_eq!((refreshed.added, refreshed.fetched), (1, 1));
    assert_eq!(refreshed.damaged, ["autopkgtest-noble/noble/amd64/g/gzip/20260101_120000@"]);
    assert!(everything(&index, "autopkgtest-noble")[0].damaged);
    assert_eq!(scene.refresh(&index).await, RefreshSummary::default());
}

#[tokio::test]
async fn what_a_worker_announces_is_there_at_once() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    let first = run("autopkgtest-noble", "gzip", "20260101_120000_abcde@", 0);
    scene.put(&first).await;
    scene.refresh(&index).await;
    let next = run("autopkgtest-noble", "gzip", "20260102_120000_abcde@", 4);
    let message = |run: &StoredRun| {
        serde_json::json!({"container": run.container, "swift_dir": run.path.folder(&run.id), "exitcode": 4})
            .to_string()
    };
    let told = message(&next);
    assert!(!index.add_completed(&scene.store, told.as_bytes()).await.unwrap(), "the store does not show it yet");
    scene.put(&next).await;
    assert!(index.add_completed(&scene.store, told.as_bytes()).await.unwrap());
    assert_eq!(everything(&index, "autopkgtest-noble").len(), 2);
    let elsewhere = run("autopkgtest-sid", "gzip", "20260102_120000_abcde@", 4);
    scene.put(&elsewhere).await;
    for text in [
        message(&elsewhere),
        "{}".to_owned(),
        "no json".to_owned(),
        r#"{"container": "x", "swift_dir": ""}"#.to_owned(),
    ] {
        assert!(index.add_completed(&scene.store, text.as_bytes()).await.unwrap(), "{text}");
    }
    assert_eq!(index.containers().unwrap(), ["autopkgtest-noble"], "it takes over what it knows");
}

#[test]
fn only_one_process_fills_it_and_a_foreign_file_is_made_anew() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    assert!(matches!(Index::fill(&scene.file()), Err(IndexError::Busy(_))));
    assert!(Index::open(&scene.file()).unwrap().is_some());
    drop(index);
    // A process that another test starts at this moment holds a copy of the lock until its exec.
    let mut tries = 0..3000;
    while matches!(Index::fill(&scene.file()), Err(IndexError::Busy(_))) {
        tries.next().expect("the lock goes with its holder");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", scene.file().display()));
    }
    assert!(Index::open(&scene.file()).unwrap().is_none());
    fs::write(scene.file(), "no database at all, but long enough to be taken for one".repeat(100)).unwrap();
    assert!(Index::fill(&scene.file()).unwrap().containers().unwrap().is_empty());
    let other = rusqlite::Connection::open(scene.file()).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    drop(other);
    assert!(Index::open(&scene.file()).unwrap().is_none(), "of another version");
    assert!(Index::fill(&scene.file()).unwrap().containers().unwrap().is_empty());
}

#[test]
fn a_database_of_another_program_is_refused_and_kept() {
    let scene = Scene::new();
    Connection::open(scene.file()).unwrap().execute_batch("CREATE TABLE note (text TEXT)").unwrap();
    let before = fs::read(scene.file()).unwrap();
    for opened in [Index::fill(&scene.file()).map(drop), Index::open(&scene.file()).map(drop)] {
        let error = opened.unwrap_err();
        assert!(matches!(error, IndexError::Foreign(_)), "{error}");
        let expected = "index.sqlite is not an index of apt-ci, but another program's database";
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    assert_eq!(fs::read(scene.file()).unwrap(), before);
}

#[tokio::test]
async fn a_known_result_that_was_cut_counts_no_more() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    let run = run("autopkgtest-noble", "gzip", "20260101_120000_abcde@", 0);
    scene.put(&run).await;
    let file = scene.folder.path().join("result");
    fs::write(&file, vec![0; 2048]).unwrap();
    let content_type = format!("{}; length=2048", run.summary.to_content_type());
    let headers = ObjectHeaders { content_type, content_encoding: None };
    scene.store.put(&run.container, &run.object("result.tar"), &file, &headers).await.unwrap();
    assert_eq!(scene.refresh(&index).await.added, 1);
    let stored = scene.folder.path().join("store").join(&run.container).join(run.object("result.tar"));
    fs::File::options().write(true).open(&stored).unwrap().set_len(1024).unwrap();
    let refreshed = scene.refresh(&index).await;
    assert_eq!((refreshed.damaged.as_slice(), refreshed.fetched), ([run.location()].as_slice(), 0));
    assert!(everything(&index, "autopkgtest-noble")[0].damaged);
    assert_eq!(index.export(&scene.folder.path().join("x.db")).unwrap().results, 0);
    // Reported only once.
    scene.put(&self::run("autopkgtest-noble", "tar", "20260101_120000_abcde@", 0)).await;
    assert!(scene.refresh(&index).await.damaged.is_empty());
}

#[tokio::test]
async fn damaged_results_count_nowhere() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    let container = "autopkgtest-noble";
    // This run fails with the trigger with which the damaged one seems to have passed.
    let fails = run(container, "gzip", "20260103_120000_abcde@", 4);
    let mut passed = run(container, "gzip", "20260104_120000_abcde@", 0);
    passed.summary.version = "unknown".to_owned();
    let mut fails_unknown = run(container, "gzip", "20260102_120000_abcde@", 4);
    fails_unknown.summary.version = "unknown".to_owned();
    let runs = [fails_unknown, fails, damaged(passed)];
    for run in &runs {
        scene.put(run).await;
    }
    scene.refresh(&index).await;
    let noble = "noble".parse().unwrap();
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(index.flaky(&noble, None, since).unwrap(), []);
    let counted: usize = index.days(&noble, None, since).unwrap().iter().map(|day| day.count(Outcome::Error)).sum();
    assert_eq!(counted, 1, "shown as an error");
    let outcome =
        |outcome| RunFilter { releases: vec![noble.clone()], outcomes: vec![outcome], ..RunFilter::default() };
    assert_eq!(index.runs(&outcome(Outcome::Pass), 9).unwrap().0, []);
    assert_eq!(index.runs(&outcome(Outcome::Error), 9).unwrap().0, [runs[2].clone()]);
    let file = scene.folder.path().join("autopkgtest.db");
    assert_eq!(index.export(&file).unwrap().results, 2);
}

#[tokio::test]
async fn refuted_results_are_no_evidence_and_stay_in_the_export() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    // A refuted pass for another version would make the failure a flaky one.
    let fails = run("autopkgtest-noble", "gzip", "20260103_120000_abcde@", 4);
    let mut refuted = run("autopkgtest-noble", "gzip", "20260104_120000_abcde@", 0);
    refuted.summary.proof = crate::result::ProofVerdict::Refuted;
    for run in [&fails, &refuted] {
        scene.put(run).await;
    }
    scene.refresh(&index).await;
    let noble = "noble".parse().unwrap();
    assert_eq!(index.flaky(&noble, None, "2026-01-01T00:00:00Z".parse().unwrap()).unwrap(), []);
    let read = everything(&index, "autopkgtest-noble");
    assert!(read.contains(&refuted) && !refuted.is_evidence() && refuted.decision().is_none(), "{read:?}");
    // proposed-migration waits indefinitely for a result that is missing.
    assert_eq!(index.export(&scene.folder.path().join("autopkgtest.db")).unwrap().results, 2);
}

#[test]
fn a_damaged_file_is_set_aside_by_who_fills_it() {
    let scene = Scene::new();
    let copies = || {
        let names = fs::read_dir(scene.file().parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().contains(".damaged-") && name.to_string_lossy().ends_with('Z'))
            .count()
    };
    let damage = |_: &mut Connection| Err::<(), _>(sqlite::damage("for the test"));
    fs::create_dir_all(scene.file().parent().unwrap()).unwrap();
    fs::write(scene.file(), "no database at all, but long enough to be taken for one".repeat(100)).unwrap();
    assert!(Index::open(&scene.file()).unwrap().is_none(), "a reader goes without it");
    let index = Index::fill(&scene.file()).unwrap();
    assert_eq!(copies(), 1);
    // Damage that appears only later.
    assert!(index.with(damage).is_err());
    assert_eq!((copies(), index.containers().unwrap().len()), (2, 0));
    // A reader cannot replace the file, but reports the damage to the process that can.
    let reader = Index::open(&scene.file()).unwrap().unwrap();
    assert!(reader.with(damage).is_err());
    drop((reader, index));
    let mut tries = 0..3000;
    let filled = loop {
        match Index::fill(&scene.file()) {
            Err(IndexError::Busy(_)) => tries.next().expect("the lock goes with its holder"),
            filled => break filled,
        };
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!((copies(), filled.unwrap().containers().unwrap().len()), (3, 0));
    assert!(Index::open(&scene.file()).unwrap().is_some());
}

fn some_runs() -> impl Strategy<Value = Vec<StoredRun>> {
    let one = (
        prop_oneof![Just("autopkgtest-noble"), Just("autopkgtest-sid"), Just("autopkgtest-noble-me-tools")],
        prop_oneof![Just("gzip"), Just("libpng")],
        1..5_u8,
        0..3_u8,
        prop_oneof![Just(0), Just(4), Just(8), Just(16), Just(20), Just(77), Just(99)],
        prop_oneof![Just("a/1"), Just("a/2 b/1"), Just("ab/1"), Just("")],
        proptest::option::of(Just("me")),
        (proptest::bool::weighted(0.2), proptest::bool::weighted(0.2), proptest::option::of(0..3_usize)),
    );
    /// Whether it is damaged, whether it is from a branch, and its PPAs.
    type Options = (bool, bool, Option<usize>);
    let run = |(container, package, day, second, exitcode, triggers, requester, (is_damaged, branch, ppa)): (
        &str,
        &str,
        u8,
        u8,
        i32,
        &str,
        Option<&str>,
        Options,
    )| {
        let mut run = run(container, package, &format!("202601{day:02}_00000{second}_abcde@"), exitcode);
        run.summary.triggers = Some(triggers.split_whitespace().map(str::to_owned).collect());
        run.summary.requester = requester.map(str::to_owned);
        // Some older listings do not have the options, which distinguish PPAs with the same container.
        let ppas = [vec![], vec!["me/tools".to_owned()], vec!["me/tools".to_owned(), "me-tools/x".to_owned()]];
        let known = |ppa: usize| RunOptions { branch, ppas: ppas[ppa].clone(), ..RunOptions::default() };
        run.summary.options = ppa
            .map(known)
            .or_else(|| Some(RunOptions::default()).filter(|_| triggers.is_empty() || container.ends_with("tools")));
        if is_damaged && !matches!(exitcode, 4 | 20) { damaged(run) } else { run }
    };
    proptest::collection::vec(one.prop_map(run), 0..25)
}

fn questions() -> impl Strategy<Value = RunFilter> {
    let day = |day: Option<u8>| day.map(|day| format!("2026-01-{day:02}T00:00:01Z").parse().unwrap());
    (
        prop_oneof![
            Just(PackageSource::Release),
            Just(PackageSource::ppa("me", "tools")),
            Just(PackageSource::Ppa { container: "me-tools".to_owned(), name: None })
        ],
        proptest::option::of(prop_oneof![Just("gzip"), Just("nothing")]),
        proptest::option::of(prop_oneof![Just("a"), Just("a/1"), Just("b")]),
        proptest::option::of(Just("me".to_owned())),
        proptest::collection::vec(proptest::sample::select(Outcome::ALL.to_vec()), 0..3),
        (proptest::option::of(1..5_u8), proptest::option::of(1..5_u8)),
        any::<bool>(),
    )
        .prop_map(move |(origin, package, trigger, requester, outcomes, (since, until), latest)| RunFilter {
            origin,
            package: package.map(|package| package.parse().unwrap()),
            releases: vec!["noble".parse().unwrap(), "sid".parse().unwrap()],
            architecture: None,
            trigger: trigger.map(|trigger| trigger.parse().unwrap()),
            requester,
            outcomes,
            since: day(since),
            until: day(until),
            latest,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// An index and a store return the same runs.
    #[test]
    fn an_index_answers_as_the_store_does(runs in some_runs(), questions in proptest::collection::vec(questions(), 8), limit in 0..6_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let scene = Scene::new();
            for run in &runs {
                scene.put(run).await;
            }
            let index = Index::fill(&scene.file()).unwrap();
            scene.refresh(&index).await;
            for question in questions {
                let mut all = Vec::new();
                for release in &question.releases {
                    for container in question.origin.containers(release) {
                        all.extend(runs::in_container(&scene.store, &container, release, &question, limit).await.unwrap());
                    }
                }
                let mut expected = question.apply(all);
                let more = expected.len() > limit;
                expected.truncate(limit);
                prop_assert_eq!(index.runs(&question, limit).unwrap(), (expected, more), "{:?}", question);
            }
            let since = "2026-01-02T00:00:00Z".parse().unwrap();
            for release in ["noble", "sid"] {
                let release: crate::release::Release = release.parse().unwrap();
                let all = runs::of_release(&scene.store, &release, None).await.unwrap();
                let all: Vec<StoredRun> = all.into_iter().filter(|run| run.id.published() >= since).collect();
                prop_assert_eq!(index.days(&release, None, since).unwrap(), Days::of(&all));
                prop_assert_eq!(index.flaky(&release, None, since).unwrap(), FlakyTests::of(&all));
            }
            for run in &runs {
                let id: &RunId = &run.id;
                prop_assert!(index.with_id(id.as_str()).unwrap().iter().any(|found| found.path == run.path));
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn the_database_of_other_programs_is_written() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    let mut all = run("autopkgtest-noble", "gzip", "20260103_120000_abcde@", 0);
    let testname = Some("smoke".to_owned());
    all.summary.options = Some(RunOptions { all_proposed: true, testname, ..RunOptions::default() });
    let mut branch = run("autopkgtest-noble", "gzip", "20260104_120000_abcde@", 0);
    branch.summary.options = Some(RunOptions { branch: true, ..RunOptions::default() });
    branch.summary.version = "9-1".to_owned();
    // It ended before the version was known, and proposed-migration waits for it all the same.
    let mut broken = run("autopkgtest-noble", "gzip", "20260105_120000_abcde@", 20);
    broken.summary.version = "unknown".to_owned();
    for run in [
        all,
        branch,
        broken,
        run("autopkgtest-noble", "gzip", "20260101_120000_abcde@", 0),
        run("autopkgtest-noble", "gzip", "20260102_120000_abcde@", 4),
        run("autopkgtest-noble-me-tools", "gzip", "20260103_120000_abcde@", 0),
        run("private-autopkgtest-noble", "secret", "20260103_120000_abcde@", 0),
    ] {
        scene.put(&run).await;
    }
    scene.refresh(&index).await;
    let file = scene.folder.path().join("autopkgtest.db");
    let exported = index.export(&file).unwrap();
    assert_eq!(exported.results, 5);
    // proposed-migration compares the whole text with the digest.
    assert_eq!(fs::read_to_string(&exported.checksum_file).unwrap(), exported.sha256);
    let database = rusqlite::Connection::open(&file).unwrap();
    let count = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM test WHERE package = 'gzip' AND release = 'noble' AND arch = 'amd64'"), 1);
    assert_eq!(count("SELECT count(*) FROM test"), 1, "nothing private, and nothing of PPAs");
    assert_eq!(
        count(
            "SELECT count(*) FROM result WHERE run_id = '20260102_120000_abcde@' AND exitcode = 4 AND triggers = 'a/1'"
        ),
        1
    );
    let text = |sql: &str| -> String { database.query_row(sql, [], |row| row.get(0)).unwrap() };
    let env = "SELECT group_concat(run_id || ':' || env) FROM result WHERE env <> ''";
    assert_eq!(text(env), "20260103_120000_abcde@:all-proposed=1,testname=smoke");
    assert_eq!(text("SELECT triggers || '.' FROM result WHERE run_id = '20260104_120000_abcde@'"), ".");
    assert_eq!(count("SELECT exitcode FROM result WHERE version = 'unknown' AND triggers = 'a/1'"), 20);
    assert_eq!(count("SELECT count(*) FROM pragma_index_list('result') WHERE name = 'result_requester_idx'"), 1);
    let current =
        "SELECT release || ' ' || pocket || ' ' || component || ' ' || package || ' ' || version FROM current_version";
    assert_eq!(text(current), "noble   gzip 1-1", "a branch's version is not the archive's");
    // Nothing else remains in the folder.
    let files = fs::read_dir(scene.folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("autopkgtest.db"));
    assert_eq!(files.count(), 2);
}

#[tokio::test]
async fn what_a_killed_export_leaves_is_gone_after_the_next() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    scene.put(&run("autopkgtest-noble", "gzip", "20260101_120000_abcde@", 0)).await;
    scene.refresh(&index).await;
    let folder = scene.folder.path().join("www");
    fs::create_dir(&folder).unwrap();
    for left in ["autopkgtest.db.new", "autopkgtest.db.sha256.new"] {
        fs::write(folder.join(left), "half").unwrap();
    }
    let exported = index.export(&folder.join("autopkgtest.db")).unwrap();
    assert_eq!(exported.results, 1);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["autopkgtest.db", "autopkgtest.db.sha256"]);
}

#[tokio::test]
async fn the_latest_is_chosen_before_its_outcome_and_never_from_a_branch() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    let container = "autopkgtest-noble";
    let fails = run(container, "gzip", "20260101_120000_abcde@", 4);
    let passes = run(container, "gzip", "20260102_120000_abcde@", 0);
    let mut branch = run(container, "gzip", "20260103_120000_abcde@", 4);
    branch.summary.options = Some(RunOptions { branch: true, ..RunOptions::default() });
    let mut cut = run(container, "gzip", "20260104_120000_abcde@", 0);
    cut.summary.version = "unknown".to_owned();
    let tar = run(container, "tar", "20260101_130000_abcde@", 4);
    for run in [&fails, &passes, &branch, &damaged(cut), &tar] {
        scene.put(run).await;
    }
    scene.refresh(&index).await;
    let release: crate::release::Release = "noble".parse().unwrap();
    for (outcomes, limit, expected) in [
        (vec![], 9, vec![&passes, &tar]),
        (vec![], 1, vec![&passes]),
        (vec![Outcome::Fail], 9, vec![&tar]),
        (vec![Outcome::Error, Outcome::Pass], 9, vec![&passes]),
    ] {
        let question = RunFilter { releases: vec![release.clone()], latest: true, outcomes, ..RunFilter::default() };
        let expected: Vec<StoredRun> = expected.into_iter().cloned().collect();
        assert_eq!(index.runs(&question, limit).unwrap().0, expected, "{question:?}");
        let listed = runs::in_container(&scene.store, container, &release, &question, limit).await.unwrap();
        let mut listed = question.apply(listed);
        listed.truncate(limit);
        assert_eq!(listed, expected, "{question:?}");
    }
}

#[tokio::test]
async fn ppas_that_share_a_container_are_told_apart() {
    let scene = Scene::new();
    let index = Index::fill(&scene.file()).unwrap();
    let of = |package: &str, ppa: &str| {
        let mut run = run("autopkgtest-noble-a-b-c", package, "20260101_120000_abcde@", 0);
        run.summary.options = Some(RunOptions { ppas: vec![ppa.to_owned()], ..RunOptions::default() });
        run
    };
    let (one, other) = (of("gzip", "a-b/c"), of("tar", "a/b-c"));
    // Another program's result does not record its PPA.
    let mut unknown = of("zsh", "");
    unknown.summary.options = None;
    for run in [&one, &other, &unknown] {
        scene.put(run).await;
    }
    scene.refresh(&index).await;
    let release: crate::release::Release = "noble".parse().unwrap();
    for (owner, name, expected) in [("a-b", "c", &one), ("a", "b-c", &other)] {
        let question = RunFilter {
            origin: PackageSource::ppa(owner, name),
            releases: vec![release.clone()],
            ..RunFilter::default()
        };
        let packages =
            |runs: Vec<StoredRun>| runs.into_iter().map(|run| run.path.package.to_string()).collect::<Vec<_>>();
        let found = packages(index.runs(&question, 9).unwrap().0);
        assert!(found.contains(&expected.path.package.to_string()), "{found:?}");
        assert_eq!(found.len(), 2, "{found:?}");
        let listed = runs::in_container(&scene.store, "autopkgtest-noble-a-b-c", &release, &question, 0).await.unwrap();
        assert_eq!(packages(question.apply(listed)), found);
    }
    assert_eq!(PackageSource::of(&one), PackageSource::ppa("a-b", "c"));
}
