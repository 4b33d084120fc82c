//! Stores from outside: one suite against a folder, Swift with tempauth and Swift with Keystone; then each by itself, and what bad
//! servers do to us ([`server`]).

mod server;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use apt_ci::environment::Environment;
use apt_ci::request::Request;
use apt_ci::result::ResultLocation as ResultPlace;
use apt_ci::store::swift::SwiftSettings;
use apt_ci::store::{Access, Entry, ObjectHeaders, Query, Store, StoreError, StoreUrl};
use testkit::daemon::run;
use testkit::keystone::Keystone;
use testkit::site::until;
use testkit::swift::{Auth, PAGE, Swift, token_of};
use testkit::{Services, Trial, block_on};
use tokio::io::AsyncReadExt;

/// The stores that every test of the suite runs against.
#[derive(Clone, Copy)]
enum Kind {
    Folder,
    TempAuth,
    Keystone,
}

/// A store for one test, and a container of its own in it.
struct Place {
    store: Store,
    container: String,
    /// For files to store.
    files: tempfile::TempDir,
}

/// The tests of this area.
pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    type Test = fn(&Place);
    let suite: [(&str, Test); 8] = [
        ("difficult_names_come_back_as_they_were", difficult_names),
        ("what_is_not_there_is_said_to_be_missing", missing),
        ("a_delimiter_gives_one_row_per_run", one_row_per_run),
        ("a_listing_goes_on_after_its_marker", marker),
        ("a_listing_is_complete_however_many_pages_it_has", many_pages),
        ("content_types_come_back_exactly", content_types),
        ("a_newer_object_replaces_the_older_one_whole", replaced),
        ("containers_are_made_once_and_listed", containers),
    ];
    let mut trials = Vec::new();
    for (kind, name) in [(Kind::Folder, "folder"), (Kind::TempAuth, "swift"), (Kind::Keystone, "keystone")] {
        for (title, test) in suite {
            let services = Arc::clone(services);
            trials.push(Trial::test(format!("store::{name}::{title}"), move || {
                test(&place(&services, kind, title));
                Ok(())
            }));
        }
    }
    type ServerTest = fn(&Swift);
    let both: [(&str, ServerTest); 5] = [
        ("anybody_reads_what_is_public", anonymous),
        ("a_private_containers_readers_grow_in_number_but_never_to_everybody", private_readers),
        ("a_wrong_password_is_refused_at_once_and_not_repeated", wrong_password),
        ("openstacks_own_client_sees_the_same_objects", own_client),
        ("a_file_beyond_swifts_limit_is_refused_before_it_is_sent", too_large),
    ];
    for (keystone, name) in [(false, "swift"), (true, "keystone")] {
        for (title, test) in both {
            let services = Arc::clone(services);
            trials.push(Trial::test(format!("store::{name}::{title}"), move || {
                test(if keystone { services.swift_keystone() } else { services.swift() });
                Ok(())
            }));
        }
    }
    type SingleTest = server::Story;
    let single: [(&str, SingleTest); 8] = [
        ("keystone::a_private_result_is_read_by_its_users_only", private_result),
        ("keystone::a_container_whose_readers_are_not_told_is_not_used", foreign_container),
        ("swift::forgotten_tokens_are_renewed", forgotten_tokens),
        ("keystone::revoked_tokens_are_renewed", revoked_tokens),
        ("keystone::a_cloud_of_clouds_yaml_is_enough", clouds_yaml),
        ("keystone::an_application_credential_is_enough", application_credential),
        ("keystone::a_region_that_is_not_in_the_catalog_is_named", wrong_region),
        ("swift::a_store_that_restarts_is_waited_for_when_bytes_are_at_stake", restarted),
    ];
    for (title, test) in single.into_iter().chain(server::STORIES) {
        let services = Arc::clone(services);
        trials.push(Trial::test(format!("store::{title}"), move || {
            test(&services);
            Ok(())
        }));
    }
    trials
}

fn place(services: &Services, kind: Kind, title: &str) -> Place {
    let store = match kind {
        Kind::Folder => {
            let url = StoreUrl::Folder(services.folder().join("store"));
            Store::open(&url, &SwiftSettings::default(), &Environment::default()).expect("a folder needs no settings")
        }
        Kind::TempAuth => services.swift().store(),
        Kind::Keystone => services.swift_keystone().store(),
    };
    let container = format!("autopkgtest-{}", title.replace('_', "-"));
    block_on(store.ensure_container(&container, &Access::Public)).expect("a new container");
    Place { store, container, files: tempfile::tempdir().expect("a temporary folder") }
}

impl Place {
    async fn put(&self, object: &str, content: &str, headers: &ObjectHeaders) {
        put(&self.store, self.files.path(), &self.container, object, content, headers).await.expect("stored");
    }

    async fn list(&self, query: Query) -> Vec<Entry> {
        self.store.list(&self.container, &query).await.expect("listed")
    }

    async fn read(&self, object: &str) -> String {
        read(&self.store, &self.container, object).await.expect("read")
    }
}

async fn put(
    store: &Store,
    files: &Path,
    container: &str,
    object: &str,
    content: &str,
    headers: &ObjectHeaders,
) -> Result<(), StoreError> {
    let file = files.join("content");
    fs::write(&file, content).expect("a file");
    store.put(container, object, &file, headers).await
}

async fn read(store: &Store, container: &str, object: &str) -> Result<String, StoreError> {
    let mut text = String::new();
    store.get(container, object).await?.read_to_string(&mut text).await.expect("the whole object");
    Ok(text)
}

fn text() -> ObjectHeaders {
    ObjectHeaders { content_type: "text/plain".into(), content_encoding: None }
}

fn names(entries: Vec<Entry>) -> Vec<String> {
    let name = |entry| match entry {
        Entry::Object(info) => info.name,
        Entry::Prefix(fold) => fold,
    };
    entries.into_iter().map(name).collect()
}

fn prefix(prefix: &str) -> Query {
    Query { prefix: prefix.into(), ..Query::default() }
}

// The suite.

fn difficult_names(place: &Place) {
    let difficult = [
        "bookworm/amd64/libp/libpng/20260101_120000_ab12c@/log.gz",
        "bookworm/amd64/g/g++-12/20260101_120000_ab12c@/a+b~c.d",
        "plain%41/%2e%2e/100%",
        "question?and=amp&hash#semi;colon:comma,",
        "space and\ttab \"quoted\" <tag> \\ | ^ ` { } [ ]",
        "ünïcode/日本語/🦀",
    ];
    block_on(async {
        for name in difficult {
            place.put(name, name, &text()).await;
        }
        for name in difficult {
            assert_eq!(place.read(name).await, name);
            assert_eq!(names(place.list(prefix(name)).await), [name], "a listing of just this one");
        }
        let sorted: BTreeSet<&str> = difficult.into();
        assert_eq!(names(place.list(Query::default()).await), sorted.into_iter().collect::<Vec<_>>());
        for name in difficult {
            place.store.delete(&place.container, name).await.expect("removed");
        }
        assert!(place.list(Query::default()).await.is_empty());

        for name in ["../escape", "a/./b", "a//b", "", "a/"] {
            let file = place.files.path().join("content");
            let result = place.store.put(&place.container, name, &file, &text()).await;
            assert!(matches!(result, Err(StoreError::Refused { .. })), "{name:?}: {result:?}");
        }
    });
}

fn missing(place: &Place) {
    block_on(async {
        let is_missing = |error: StoreError| matches!(error, StoreError::NotFound(_));
        assert!(is_missing(place.store.list("autopkgtest-nowhere", &Query::default()).await.unwrap_err()));
        assert!(is_missing(read(&place.store, "autopkgtest-nowhere", "a").await.unwrap_err()));
        assert!(is_missing(read(&place.store, &place.container, "bookworm/a").await.unwrap_err()));
        let lost = put(&place.store, place.files.path(), "autopkgtest-nowhere", "a", "x", &text()).await;
        assert!(is_missing(lost.unwrap_err()), "a result is not stored in a container that nobody made");
        place.store.delete(&place.container, "bookworm/a").await.expect("nothing to remove is no error");
        assert!(place.list(prefix("bookworm/amd64/")).await.is_empty());
    });
}

async fn three_runs(place: &Place) -> [String; 3] {
    let runs = ["20260101_120000_00001", "20260102_120000_00002", "20260103_120000_00003"]
        .map(|run| format!("bookworm/amd64/g/gzip/{run}@"));
    for run in &runs {
        for file in ["artifacts.tar.gz", "log.gz", "result.tar"] {
            place.put(&format!("{run}/{file}"), "x", &text()).await;
        }
    }
    place.put("bookworm/amd64/g/gzipper/20260101_120000_00001@/result.tar", "x", &text()).await;
    runs
}

fn one_row_per_run(place: &Place) {
    block_on(async {
        let runs = three_runs(place).await;
        let query = Query { delimiter: Some('@'), ..prefix("bookworm/amd64/g/gzip/") };
        let rows: Vec<Entry> = runs.iter().cloned().map(Entry::Prefix).collect();
        assert_eq!(place.list(query).await, rows);
        let packages = Query { delimiter: Some('/'), ..prefix("bookworm/amd64/g/") };
        assert_eq!(names(place.list(packages).await), ["bookworm/amd64/g/gzip/", "bookworm/amd64/g/gzipper/"]);
    });
}

fn marker(place: &Place) {
    block_on(async {
        let runs = three_runs(place).await;
        let query = |marker: String| Query { delimiter: Some('@'), marker, ..prefix("bookworm/amd64/g/gzip/") };
        // As proposed-migration asks: with the newest run that it knows, which has no @.
        let bare = runs[1].trim_end_matches('@').to_owned();
        assert_eq!(names(place.list(query(bare)).await), runs[1..]);
        assert_eq!(names(place.list(query(runs[1].clone())).await), runs[2..]);
        assert_eq!(names(place.list(query(format!("{}/result.tar", runs[1]))).await), runs[2..]);
        assert!(place.list(query(runs[2].clone())).await.is_empty());
        let plain = Query { marker: format!("{}/log.gz", runs[2]), ..prefix(&runs[2]) };
        assert_eq!(names(place.list(plain).await), [format!("{}/result.tar", runs[2])]);
    });
}

fn many_pages(place: &Place) {
    block_on(async {
        // Two pages of rows and a bit; once folded, once not.
        let count = 2 * PAGE + 3;
        let mut expected = Vec::new();
        for number in 0..count {
            let name = format!("bookworm/amd64/h/hello/20260101_{number:06}_abcde@/result.tar");
            place.put(&name, "x", &text()).await;
            expected.push(name);
        }
        assert_eq!(names(place.list(Query::default()).await), expected);
        let folded = place.list(Query { delimiter: Some('@'), ..Query::default() }).await;
        let runs: Vec<String> = expected.iter().map(|name| name.replace("/result.tar", "")).collect();
        assert_eq!(names(folded), runs);
        // A listing that ends exactly with a page.
        let exact = Query { marker: expected[count - 1 - PAGE].clone(), ..Query::default() };
        assert_eq!(names(place.list(exact).await), expected[count - PAGE..]);
    });
}

fn content_types(place: &Place) {
    let outcome = "application/x-tar; exitcode=4; version=\"1.2-1\"; duration=12; triggers=\"a/1 b/2+c~d\"; \
                   requester=ann; uuid=6f2c";
    block_on(async {
        let before = jiff::Timestamp::now();
        for (name, content_type, content_encoding) in
            [("result.tar", outcome, None), ("log.gz", "text/plain; charset=UTF-8", Some("gzip"))]
        {
            let headers = ObjectHeaders { content_type: content_type.into(), content_encoding };
            place.put(name, "12345", &headers).await;
        }
        let entries = place.list(Query::default()).await;
        let [Entry::Object(log), Entry::Object(result)] = entries.as_slice() else { panic!("{entries:?}") };
        // Swift leaves out the blanks that mean nothing, and only those.
        let meant = |content_type: &str| match place.store {
            Store::Swift(_) => content_type.replace("; ", ";"),
            Store::Folder(_) => content_type.to_owned(),
        };
        assert_eq!((&*log.name, &*log.content_type), ("log.gz", &*meant("text/plain; charset=UTF-8")));
        assert_eq!((&*result.name, &*result.content_type), ("result.tar", &*meant(outcome)));
        assert_eq!(result.bytes, 5);
        // Whole seconds, by the store's clock.
        let (early, late) =
            (before - jiff::SignedDuration::from_secs(2), jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2));
        assert!((early..=late).contains(&result.modified), "{} is not when it was sent", result.modified);
        // What was stored compressed comes as it was stored.
        assert_eq!(place.read("log.gz").await, "12345");
    });
}

fn replaced(place: &Place) {
    block_on(async {
        place.put("a/b", &"old ".repeat(10_000), &text()).await;
        let newer = ObjectHeaders { content_type: "text/html".into(), content_encoding: None };
        place.put("a/b", "new", &newer).await;
        assert_eq!(place.read("a/b").await, "new");
        let entries = place.list(Query::default()).await;
        let [Entry::Object(info)] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!((info.bytes, info.content_type.as_str()), (3, "text/html"));
        place.put("empty", "", &text()).await;
        assert_eq!(place.read("empty").await, "");
    });
}

fn containers(place: &Place) {
    block_on(async {
        // More than a page of them: the account's listing has pages too.
        let more: Vec<String> = (0..PAGE).map(|number| format!("autopkgtest-container-{number:02}")).collect();
        for container in &more {
            place.store.ensure_container(container, &Access::Public).await.expect("made");
        }
        place.put("kept", "kept", &text()).await;
        place.store.ensure_container(&place.container, &Access::Public).await.expect("there already");
        assert_eq!(place.read("kept").await, "kept");
        let listed = place.store.containers().await.expect("listed");
        assert!(listed.is_sorted());
        assert!(more.iter().chain([&place.container]).all(|container| listed.contains(container)), "{listed:?}");
        let odd = place.store.ensure_container("a/b", &Access::Public).await;
        assert!(matches!(odd, Err(StoreError::Refused { .. })), "{odd:?}");
    });
}

// Against Swift with either way to log in.

fn ensure(store: &Store, container: &str, access: Access) {
    block_on(store.ensure_container(container, &access)).expect("a container");
}

fn anonymous(swift: &Swift) {
    let files = tempfile::tempdir().unwrap();
    let store = swift.store();
    ensure(&store, "autopkgtest-anybody", Access::Public);
    ensure(&store, "private-autopkgtest-anybody", Access::Private(vec!["ann".into()]));
    let object = "bookworm/amd64/g/gzip/20260101_120000_00001@/log.gz";
    let log = ObjectHeaders { content_type: "text/plain; charset=UTF-8".into(), content_encoding: Some("gzip") };
    block_on(async {
        for container in ["autopkgtest-anybody", "private-autopkgtest-anybody"] {
            put(&store, files.path(), container, object, "the log", &log).await.expect("stored");
        }
        let anybody = swift.anonymous();
        let runs = Query { delimiter: Some('@'), ..Query::default() };
        let listed = anybody.list("autopkgtest-anybody", &runs).await.expect("public listing");
        assert_eq!(names(listed), ["bookworm/amd64/g/gzip/20260101_120000_00001@"]);
        assert_eq!(read(&anybody, "autopkgtest-anybody", object).await.expect("public"), "the log");

        // A browser gets a text that it can unpack by itself.
        let url = format!("{}/autopkgtest-anybody/{}", swift.storage_url(), object.replace('@', "%40"));
        let response = reqwest::get(url).await.expect("an answer");
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert_eq!(response.headers()["content-type"], "text/plain; charset=UTF-8");

        for refused in [
            anybody.list("private-autopkgtest-anybody", &Query::default()).await.map(drop),
            read(&anybody, "private-autopkgtest-anybody", object).await.map(drop),
            anybody.containers().await.map(drop),
            put(&anybody, files.path(), "autopkgtest-anybody", "a", "x", &text()).await,
        ] {
            let error = refused.expect_err("not for anybody");
            assert!(matches!(error, StoreError::Refused { .. }), "{error}");
            assert!(error.to_string().contains("without credentials"), "{error}");
        }
    });
}

/// What the container's owner sees on its list of readers.
async fn read_acl(swift: &Swift, token: &str, container: &str) -> String {
    let url = format!("{}/{container}", swift.storage_url());
    let response = reqwest::Client::new().head(url).header("x-auth-token", token).send().await.expect("an answer");
    assert!(response.status().is_success(), "{container}: {}", response.status());
    response.headers().get("x-container-read").map_or("", |list| list.to_str().expect("ASCII")).to_owned()
}

/// What an operator does by hand.
fn write_acl(swift: &Swift, token: &str, container: &str, list: &str) {
    block_on(async {
        let url = format!("{}/{container}", swift.storage_url());
        let ask = reqwest::Client::new().post(url).header("x-auth-token", token).header("x-container-read", list);
        let status = ask.send().await.expect("an answer").status();
        assert!(status.is_success(), "{list}: {status}");
    });
}

fn private_readers(swift: &Swift) {
    let files = tempfile::tempdir().unwrap();
    let container = "private-autopkgtest-readers";
    let token = swift.token();
    let store = swift.store();
    let acl = || block_on(read_acl(swift, &token, container));
    let stranger_reads = || block_on(read(&swift.anonymous(), container, "o"));
    ensure(&store, container, Access::Private(vec![]));
    assert_eq!(acl(), "", "a private archive without a user of the store");
    ensure(&store, container, Access::Private(vec!["ann".into()]));
    assert_eq!(acl(), "*:ann");
    ensure(&store, container, Access::Private(vec!["bob".into(), "cid".into()]));
    assert_eq!(acl(), "*:ann,*:bob,*:cid");
    ensure(&store, container, Access::Private(vec!["ann".into()]));
    ensure(&store, container, Access::Private(vec![]));
    assert_eq!(acl(), "*:ann,*:bob,*:cid");
    block_on(put(&store, files.path(), container, "o", "secret", &text())).expect("stored");
    assert!(matches!(stranger_reads(), Err(StoreError::Refused { .. })));

    // Somebody opens it; the next private run closes it again before it stores anything.
    for (mistake, access, left) in [
        (".r:*,.rlistings", vec![], ""),
        ("*:ann,.r:*,.rlistings", vec!["bob".into()], "*:ann,*:bob"),
        ("*:ann,.rlistings,.r:.example.com,.r:*", vec![], "*:ann"),
    ] {
        write_acl(swift, &token, container, mistake);
        until("it is open", || stranger_reads().is_ok());
        ensure(&store, container, Access::Private(access));
        assert_eq!(acl(), left);
        until("it is closed", || matches!(stranger_reads(), Err(StoreError::Refused { .. })));
    }
    let sneaky = block_on(store.ensure_container(container, &Access::Private(vec!["x,.r:*".into()])));
    assert!(matches!(sneaky, Err(StoreError::Refused { .. })), "{sneaky:?}");
}

/// The place of a private request's results.
fn private_place(parameters: &str) -> ResultPlace {
    let request = Request::parse(format!("gzip {parameters}").as_bytes()).expect("a request");
    ResultPlace::of(&request, &"debci-ppa-noble-amd64".parse().expect("a queue"))
}

fn private_result(services: &Services) {
    let swift = services.swift_keystone();
    let files = tempfile::tempdir().unwrap();
    let store = swift.store();
    let [ann, bob] =
        ["ann-reader", "bob-reader"].map(|name| swift.open("swift:", &services.keystone().add_guest(name)));
    let archive = r#""ppas": ["u:t@keystone/private"]"#;
    let for_ann = private_place(&format!(r#"{{"swiftuser": "ann-reader", {archive}}}"#));
    let container = for_ann.container.as_str();
    assert_eq!(container, "private-autopkgtest-noble-keystone-private");
    let object = for_ann.path.object(&"20261123_084000_0a1b2@".parse().expect("a run"), "result.tar");
    let refused = |error: StoreError| matches!(error, StoreError::Refused { .. });
    ensure(&store, container, for_ann.access.clone());
    block_on(async {
        put(&store, files.path(), container, &object, "secret", &text()).await.expect("stored");
        assert_eq!(read(&ann, container, &object).await.expect("her own result"), "secret");
        // Swift's objects are listed and read by the same right.
        assert_eq!(names(ann.list(container, &prefix("noble/amd64/")).await.expect("her results")), [object.as_str()]);
        for stranger in [&bob, &swift.anonymous()] {
            assert!(refused(read(stranger, container, &object).await.expect_err("a stranger")));
            assert!(refused(stranger.list(container, &Query::default()).await.expect_err("a stranger")));
        }
        assert!(refused(put(&ann, files.path(), container, "x", "x", &text()).await.expect_err("she only reads")));
    });
    let for_bob = private_place(&format!(r#"{{"swiftuser": "bob-reader", {archive}}}"#));
    assert_eq!(for_bob.container, container);
    ensure(&store, container, for_bob.access);
    for reader in [&ann, &bob] {
        until("both read", || block_on(read(reader, container, &object)).is_ok());
    }
    // A private archive alone lets nobody in.
    let nobody = private_place(r#"{"ppas": ["u:t@keystone/nobody"]}"#);
    ensure(&store, &nobody.container, nobody.access);
    block_on(put(&store, files.path(), &nobody.container, &object, "secret", &text())).expect("stored");
    for stranger in [&ann, &bob, &swift.anonymous()] {
        assert!(refused(block_on(read(stranger, &nobody.container, &object)).expect_err("a stranger")));
    }
}

fn foreign_container(services: &Services) {
    let swift = services.swift_keystone();
    let container = "private-autopkgtest-foreign";
    let store = swift.store();
    ensure(&store, container, Access::Public);
    let guest = swift.open("swift:", &services.keystone().add_guest("writer"));
    // As an operator would let a worker with another account write, who is then not told who may read.
    block_on(async {
        let url = format!("{}/{container}", swift.storage_url());
        let ask = reqwest::Client::new().post(url).header("x-auth-token", swift.token());
        let ask = ask.header("x-container-write", "*:writer").header("x-container-read", ".r:*,.rlistings,*:writer");
        assert!(ask.send().await.expect("an answer").status().is_success());
        let files = tempfile::tempdir().unwrap();
        put(&guest, files.path(), container, "o", "x", &text()).await.expect("the guest may write");
        let error = guest.ensure_container(container, &Access::Private(vec![])).await.expect_err("it is public");
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    });
}

fn wrong_password(swift: &Swift) {
    let wrong = "wrong-password-1234";
    let mut variables = swift.environment();
    for (name, value) in &mut variables {
        if matches!(name.as_str(), "ST_KEY" | "OS_PASSWORD") {
            *value = wrong.to_owned();
        }
    }
    let store = swift.open("swift:", &variables);
    let error = block_on(store.list("autopkgtest-any", &Query::default())).expect_err("a wrong password");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(!error.is_transient());
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(wrong), "{shown}");
    assert!(shown.contains("check") && shown.contains("log "), "{shown}");
}

fn own_client(swift: &Swift) {
    let files = tempfile::tempdir().unwrap();
    let store = swift.store();
    let container = "autopkgtest-own-client";
    ensure(&store, container, Access::Public);
    let objects = ["bookworm/amd64/g/g++-12/20260101_120000_ab12c@/log.gz", "bookworm/plain%41?~"];
    for object in objects {
        block_on(put(&store, files.path(), container, object, object, &text())).expect("stored");
    }
    let listed = run(Command::new("swift")
        .env_clear()
        .envs(swift.environment())
        .env("PATH", "/usr/bin:/bin")
        .args(["list", container]));
    assert_eq!(listed.lines().collect::<Vec<_>>(), objects);
}

fn too_large(swift: &Swift) {
    let files = tempfile::tempdir().unwrap();
    let store = swift.store();
    ensure(&store, "autopkgtest-too-large", Access::Public);
    let file = files.path().join("large");
    // A hole takes no room.
    fs::File::create(&file).and_then(|file| file.set_len((5 << 30) + 1)).expect("a sparse file");
    let error = block_on(store.put("autopkgtest-too-large", "a", &file, &text())).expect_err("too large");
    assert!(error.to_string().contains("5 GiB"), "{error}");
    assert!(!error.is_transient());
}

// Tokens and settings.

fn forgotten_tokens(services: &Services) {
    let mut swift = Swift::start(&services.folder().join("swift-forgetful"), &Auth::TempAuth);
    let store = swift.store();
    ensure(&store, "autopkgtest-c", Access::Public);
    let old = swift.token();
    swift.forget_tokens();
    wait_until_refused(&swift, &old);
    store_with_a_new_token(&store, "autopkgtest-c");
}

fn revoked_tokens(services: &Services) {
    let swift = services.swift_keystone();
    let (user_id, variables) = services.keystone().add_user("revoked");
    let store = swift.open("swift:", &variables);
    ensure(&store, "autopkgtest-revoked", Access::Public);
    let old = token_of(&variables);
    services.keystone().revoke_tokens(&user_id);
    wait_until_refused(swift, &old);
    // Keystone counts in seconds: what it gives out in the second of the revocation is revoked too.
    until("a new token is good", || status(swift, &token_of(&variables)) == 204);
    store_with_a_new_token(&store, "autopkgtest-revoked");
}

/// A server remembers for a moment that a token was good: asks until it no longer does.
fn wait_until_refused(swift: &Swift, token: &str) {
    until("the old token is refused", || status(swift, token) == 401);
}

/// What the account answers to this token.
fn status(swift: &Swift, token: &str) -> u16 {
    let request = reqwest::Client::new().head(swift.storage_url()).header("x-auth-token", token);
    block_on(request.send()).expect("an answer").status().as_u16()
}

fn store_with_a_new_token(store: &Store, container: &str) {
    let files = tempfile::tempdir().unwrap();
    block_on(put(store, files.path(), container, "a", "x", &text())).expect("stored with a new token");
    assert_eq!(block_on(read(store, container, "a")).expect("read"), "x");
}

fn clouds_yaml(services: &Services) {
    let swift = services.swift_keystone();
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/openstack");
    fs::create_dir_all(&folder).unwrap();
    let cloud = format!(
        "clouds:\n  ci:\n    auth:\n      auth_url: {}\n      username: {}\n      project_name: {}\n      \
         user_domain_name: Default\n      project_domain_name: Default\n    region_name: RegionOne\n    \
         identity_api_version: 3\n",
        services.keystone().url(),
        Keystone::USER,
        Keystone::PROJECT
    );
    fs::write(folder.join("clouds.yaml"), cloud).unwrap();
    let secret = format!("clouds:\n  ci:\n    auth:\n      password: {}\n", Keystone::PASSWORD);
    fs::write(folder.join("secure.yaml"), secret).unwrap();
    let home = ("HOME".to_owned(), home.path().display().to_string());

    let by_variable = swift.open("swift:", &[home.clone(), ("OS_CLOUD".to_owned(), "ci".to_owned())]);
    ensure(&by_variable, "autopkgtest-clouds", Access::Public);
    let settings = SwiftSettings { cloud: Some("ci".into()), ..SwiftSettings::default() };
    let by_site = Store::open(&StoreUrl::Swift(None), &settings, &[home].into_iter().collect()).expect("complete");
    assert!(block_on(by_site.containers()).expect("listed").contains(&"autopkgtest-clouds".to_owned()));
}

fn application_credential(services: &Services) {
    let swift = services.swift_keystone();
    let (id, secret) = services.keystone().application_credential("worker-on-host-1");
    let variables = |secret: &str| {
        [
            ("OS_AUTH_TYPE", "v3applicationcredential"),
            ("OS_AUTH_URL", &format!("{}/v3", services.keystone().url())),
            ("OS_APPLICATION_CREDENTIAL_ID", &id),
            ("OS_APPLICATION_CREDENTIAL_SECRET", secret),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let store = swift.open("swift:", &variables(&secret));
    ensure(&store, "autopkgtest-credential", Access::Public);
    assert!(block_on(store.containers()).expect("listed").contains(&"autopkgtest-credential".to_owned()));
    let store = swift.open("swift:", &variables("wrong-secret-99"));
    let error = block_on(store.containers()).expect_err("a wrong secret");
    assert!(matches!(error, StoreError::Refused { .. }) && !error.to_string().contains("wrong-secret-99"), "{error}");
}

fn wrong_region(services: &Services) {
    let swift = services.swift_keystone();
    let mut variables = swift.environment();
    variables.retain(|(name, _)| name != "OS_REGION_NAME");
    variables.push(("OS_REGION_NAME".to_owned(), "Atlantis".to_owned()));
    let error = block_on(swift.open("swift:", &variables).containers()).expect_err("no such region");
    assert!(matches!(error, StoreError::Misconfigured(_)), "{error}");
    assert!(error.to_string().contains("Atlantis") && error.to_string().contains("RegionOne"), "{error}");
}

// Outages.

fn restarted(services: &Services) {
    let mut swift = Swift::start(&services.folder().join("swift-restarting"), &Auth::TempAuth);
    let store = swift.store();
    ensure(&store, "autopkgtest-c", Access::Public);
    swift.stop();
    // In the proxy's place somebody takes a part of the bytes and goes away.
    let dying = TcpListener::bind((Ipv4Addr::LOCALHOST, swift.port())).expect("the proxy's port is free");
    let content = "bytes ".repeat(1 << 20);
    let sent = content.clone();
    let upload = std::thread::spawn(move || {
        let files = tempfile::tempdir().unwrap();
        block_on(put(&store, files.path(), "autopkgtest-c", "a", &sent, &text()))
    });
    let (mut stream, _) = dying.accept().expect("the upload begins");
    stream.read_exact(&mut vec![0; 100_000]).expect("a part of it");
    drop((stream, dying));
    swift.restart();
    upload.join().expect("no panic").expect("stored once the store was back");
    assert_eq!(block_on(read(&swift.store(), "autopkgtest-c", "a")).expect("read"), content);
}
