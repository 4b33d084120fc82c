//! Asking the store: from the index and straight; and what readers and programs get ([`readers`]).

mod readers;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use apt_ci::store::{Access, ObjectHeaders};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::fake_server::FakeServer;
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, block_on, stories};

use crate::terminal::answering;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("every_condition_chooses_and_the_index_answers_as_a_folder_does", |_| conditions(TestSite::local())),
        ("every_condition_chooses_and_the_index_answers_as_swift_does", |services| conditions(services.site())),
        ("every_condition_chooses_and_the_index_answers_as_swift_with_keystone_does", |services| {
            conditions(TestSite::on("local:queue", "swift:", services.swift_keystone().environment()))
        }),
        ("everything_about_a_run_is_told", shown),
        ("the_log_of_a_single_test_is_shown", sections),
        ("artifacts_are_unpacked_to_a_folder", artifacts),
        ("who_broke_it_is_found", blame),
        ("an_index_that_is_killed_goes_on_and_tells_what_a_rebuild_tells", killed),
        ("a_store_that_fails_makes_no_half_index", failing),
        ("a_damaged_index_keeps_nobody_from_the_store", damaged),
        ("an_index_from_before_the_first_result_hides_none", empty_index),
        ("private_results_are_for_who_may_read_them", private),
        ("an_index_that_follows_has_a_result_at_once", follows),
        ("who_reads_without_a_site_needs_only_the_stores_address", anonymous),
        ("pythons_sqlite_reads_the_exported_database", exported),
        ("old_runs_are_removed_and_the_newest_stay", expired),
        ("a_release_is_dropped_after_its_name_was_typed", dropped),
        ("versions_are_compared_as_dpkg_compares_them", versions),
    ];
    let mut trials = stories("results", services, all);
    trials.extend(readers::trials(services));
    trials
}

/// A site on each kind of store.
fn both(services: &Services) -> [TestSite; 2] {
    [TestSite::local(), services.site()]
}

fn ask(site: &TestSite, package: &str, trigger: &str, further: &[&str]) {
    let begin = ["run", "-q", "-s", &site.release, "--trigger", trigger];
    site.ok(&[&begin[..], further, &[package]].concat());
}

/// Runs what waits. A worker whose testbed fails says so with its exit code.
fn work(site: &TestSite) {
    site.run(&["worker", "--drain", "-q"]);
}

/// A history of runs, in the order in which they end.
fn history(site: &TestSite) {
    site.worker_options("retry_delay = 0");
    for (package, trigger, further) in [
        ("gzip", "glibc/1", &["--requester", "jane"][..]),
        ("gzip", "glibc/2", &["--env", "STUB_EXIT=4"]),
        ("gzip", "glibc/2", &["--force"]),
        ("tar", "perl/5", &["--env", "STUB_EXIT=8"]),
        ("tar", "glibc/2", &["--env", "STUB_EXIT=16"]),
    ] {
        ask(site, package, trigger, further);
        work(site);
    }
}

fn packages(out: &str) -> Vec<(String, String)> {
    out.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            (fields[0].to_owned(), fields[1].to_owned())
        })
        .collect()
}

fn conditions(site: TestSite) -> Result<(), Failed> {
    history(&site);
    /// Options, and the outcomes and packages that come out.
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
    let cases: &[Case<'_>] = &[
        (&["gzip"], &[("pass", "gzip"), ("fail", "gzip"), ("pass", "gzip")]),
        (&["gzip", "--latest"], &[("pass", "gzip")]),
        // A package that failed before its latest run passed is not one that fails.
        (&["gzip", "--latest", "--outcome", "fail"], &[]),
        (&["--trigger", "glibc"], &[("tmpfail", "tar"), ("pass", "gzip"), ("fail", "gzip"), ("pass", "gzip")]),
        (&["--trigger", "glibc/2", "--outcome", "fail,tmpfail"], &[("tmpfail", "tar"), ("fail", "gzip")]),
        (&["--requester", "jane"], &[("pass", "gzip")]),
        (&["--latest"], &[("tmpfail", "tar"), ("pass", "gzip")]),
        (&["--outcome", "neutral", "--since", "1h"], &[("neutral", "tar")]),
        (&["--until", "1h"], &[]),
        (&["-a", "arm64"], &[]),
        (&["--ppa", "me/tools"], &[]),
    ];
    for index in [false, true] {
        if index {
            site.ok(&["index"]);
        }
        for (options, expected) in cases {
            let found = packages(&site.ok(&[&["results", "--limit", "100"], *options].concat()));
            let expected: Vec<(String, String)> =
                expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(found, expected, "{options:?}, index: {index}");
        }
        let matrix = site.ok(&["results", "gzip", "--matrix"]);
        assert!(matrix.starts_with(&format!("{}\tamd64\tpass\t1.0-1\t", site.release)), "{matrix}");
        let flaky = site.json(&["results", "flaky"]);
        assert_eq!((&flaky[0]["package"], &flaky[0]["rate"]), (&json!("gzip"), &json!(0.5)), "{flaky}");
        assert_eq!(flaky.as_array().map(Vec::len), Some(1));
        let days = site.json(&["results", "stats"]);
        let runs: u64 = days.as_array().expect("days").iter().map(|day| day["runs"].as_u64().expect("runs")).sum();
        assert_eq!(runs, 5, "{days}");
        assert!(site.ok(&["results", "stats", "--plot"]).contains("5 runs, 1 failed, testbed 20.0 %"));
    }
    // A newer result than the index has is shown all the same.
    ask(&site, "dpkg", "glibc/3", &[]);
    work(&site);
    until("the index is not believed any more", || site.ok(&["results", "dpkg"]).lines().count() == 1);
    for wrong in
        [&["results", "--outcome", "bad"][..], &["results", "--trigger", "a b"], &["results", "--since", "soon"]]
    {
        assert_eq!(site.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    Ok(())
}

fn shown(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let env = ["--env", "STUB_TESTS=smoke,bad-one", "--env", "STUB_EXIT=4"];
    ask(&site, "gzip", "glibc/2", &env);
    work(&site);
    let run = site.json(&["results", "show", "gzip"]);
    assert_eq!((&run["outcome"], &run["verdict"]["meaning"]), (&json!("fail"), &json!("always-failed")), "{run}");
    assert_eq!(run["tests"][1]["details"], "non-zero exit status 1");
    assert_eq!(run["packages"]["base-files"], "12");
    let told = site.ok(&["results", "show", "gzip"]);
    for part in [
        "fail",
        "not proven: the result does not record",
        "always failed: it has not passed before",
        "glibc/2",
        "bad-one",
        "FAIL",
        "log.gz",
        "reproduce",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let id = run["run"].as_str().expect("an id");
    let command = site.ok(&["results", "show", id, "--reproduce", "--testbed", "lxd x"]);
    let begin = "autopkgtest --apt-upgrade --env=STUB_";
    assert!(command.starts_with(begin) && command.ends_with(" gzip -- lxd x\n"), "{command}");
    // A URL of its log is as good as its id.
    let url = run["log"].as_str().expect("an address");
    assert_eq!(site.json(&["results", "show", url])["run"], id);
    let missing = site.run(&["results", "show", "20200101_000000@"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.err.contains("has no run"), "{}", missing.err);
    Ok(())
}

fn sections(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        ask(&site, "gzip", "glibc/2", &["--env", "STUB_TESTS=smoke,bad-one", "--env", "STUB_EXIT=4"]);
        work(&site);
        let failed = site.ok(&["log", "gzip", "--failed"]);
        assert!(failed.starts_with("autopkgtest [11:22:33]: test bad-one: preparing testbed\n"), "{failed}");
        assert!(failed.ends_with("bad-one              FAIL non-zero exit status 1\n"), "{failed}");
        let one = site.ok(&["log", "gzip", "--test", "smoke"]);
        assert!(one.contains("the output of smoke") && !one.contains("bad-one"), "{one}");
        let missing = site.run(&["log", "gzip", "--test", "nothing"]);
        assert_eq!(missing.status.code(), Some(1));
        assert!(missing.err.contains("its tests are smoke, bad-one"), "{}", missing.err);
        ask(&site, "tar", "glibc/2", &[]);
        work(&site);
        let none = site.run(&["log", "tar", "--failed"]);
        assert!(
            none.status.success() && none.out.is_empty() && none.err.contains("failed; the outcome is pass."),
            "{none:#?}"
        );
    }
    Ok(())
}

fn artifacts(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        ask(&site, "gzip", "glibc/2", &["--env", "STUB_SIZE=5"]);
        work(&site);
        let list = site.ok(&["artifacts", "gzip", "--list"]);
        assert!(list.lines().any(|line| line.ends_with("artifact\t5120\t")), "{list}");
        let folder = site.path().join("unpacked");
        let folder = folder.to_str().expect("a path in UTF-8");
        let unpacked = site.run(&["artifacts", "gzip", "-o", folder]);
        assert!(unpacked.status.success() && unpacked.err.contains("Unpacked"), "{unpacked:#?}");
        assert_eq!(fs::metadata(Path::new(folder).join("artifact"))?.len(), 5120);
        let again = site.run(&["artifacts", "gzip", "-o", folder]);
        assert_eq!(again.status.code(), Some(1));
        assert!(again.err.contains("not empty"), "{}", again.err);
        // A run without artifacts leaves no folder.
        ask(&site, "bare", "glibc/2", &[]);
        work(&site);
        let none = site.path().join("none");
        let bare = site.run(&["artifacts", "bare", "-o", none.to_str().expect("a path in UTF-8")]);
        assert!(bare.status.success() && bare.err.contains("no artifacts besides its log"), "{bare:#?}");
        assert!(!none.exists());
        let small = site.run(&["artifacts", "gzip", "--list", "--limit", "0"]);
        assert!(small.err.contains("more than 0 bytes"), "{small:#?}");
    }
    Ok(())
}

fn blame(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        site.worker_options("retry_delay = 0");
        let tests = ["--env", "STUB_TESTS=smoke,upstream"];
        let turned = ["--env", "STUB_TESTS=smoke,bad-one", "--env", "STUB_EXIT=4"];
        ask(&site, "gzip", "glibc/1", &[&tests[..], &["--env", "STUB_PACKAGES=libc6=1.9,same=1"]].concat());
        work(&site);
        let nothing = site.run(&["results", "blame", "gzip"]);
        assert_eq!(nothing.status.code(), Some(1));
        assert!(nothing.err.contains("gzip passes"), "{}", nothing.err);
        ask(&site, "gzip", "glibc/2", &["--env", "STUB_EXIT=16"]);
        work(&site);
        for _ in 0..2 {
            let packages = ["--env", "STUB_PACKAGES=libc6=1.10,same=1,new=3"];
            ask(&site, "gzip", "glibc/2", &[&turned[..], &packages].concat());
            work(&site);
        }
        let found = site.json(&["results", "blame", "gzip", "-a", "amd64"]);
        assert_eq!((&found["failures"], &found["before"]["outcome"]), (&json!(2), &json!("pass")), "{found}");
        assert_eq!(found["triggers_after"], json!(["glibc/2"]));
        assert_eq!(found["verdict"]["meaning"], "regression", "{found}");
        let changes: BTreeMap<&str, &str> = found["packages"]
            .as_array()
            .expect("packages")
            .iter()
            .map(|change| (change["package"].as_str().expect("a name"), change["change"].as_str().expect("a word")))
            .collect();
        assert_eq!(changes, BTreeMap::from([("libc6", "upgraded"), ("new", "added")]));
        let out = site.ok(&["results", "blame", "gzip"]);
        assert!(out.contains("trigger\tglibc\t1\t2\n") && out.contains("package\tlibc6\t1.9\t1.10\n"), "{out}");
        assert!(out.contains("test\tbad-one\t\tFAIL non-zero exit status 1\n"), "{out}");
        let (before, after) = (&found["before"]["run"], &found["after"]["run"]);
        let diff = site.ok(&["results", "diff", before.as_str().expect("an id"), after.as_str().expect("an id")]);
        assert_eq!(diff, out);
    }
    Ok(())
}

/// Stores results as other programs do, many at a time.
fn foreign(services: &Services, site: &TestSite, count: usize) -> usize {
    let script = r#"
import io, json, os, sys, tarfile
from swiftclient import Connection
release, count = sys.argv[1], int(sys.argv[2])
swift = Connection(os.environ["ST_AUTH"], os.environ["ST_USER"], os.environ["ST_KEY"])
container = "autopkgtest-" + release
swift.put_container(container, headers={"X-Container-Read": ".r:*,.rlistings"})
for number in range(count):
    package = ["gzip", "libpng", "zsh"][number % 3]
    prefix = package[:4] if package.startswith("lib") else package[0]
    run = "%s/amd64/%s/%s/20260101_00%02d%02d%s@" % (release, prefix, package, number // 60, number % 60, "" if number % 2 else "_abcde")
    out = io.BytesIO()
    tar = tarfile.open(fileobj=out, mode="w")
    members = {"exitcode": "%d\n" % [0, 4, 16][number % 3], "testpkg-version": "%s 1-%d\n" % (package, number),
               "duration": "7\n", "testinfo.json": json.dumps({"custom_environment": ["ADT_TEST_TRIGGERS=a/1 b/%d" % number]})}
    if number % 5 == 0:
        del members["testpkg-version"]
    for name, text in members.items():
        info = tarfile.TarInfo(name)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    tar.close()
    data = out.getvalue()
    if number % 7 == 0:
        data = data[:700]
    swift.put_object(container, run + "/log.gz", b"log", content_type="text/plain")
    if number % 11 != 10:
        swift.put_object(container, run + "/result.tar", data, content_type="application/x-tar")
"#;
    let status = Command::new("/usr/bin/python3")
        .args(["-c", script, &site.release, &count.to_string()])
        .envs(services.swift().environment())
        .status();
    assert!(status.expect("python3").success());
    (0..count).filter(|number| number % 11 != 10).count()
}

/// What the index tells.
fn told(site: &TestSite) -> Vec<Value> {
    let mut runs = site.json(&["results", "--limit", "100000"]).as_array().expect("a list").clone();
    runs.sort_by_key(ToString::to_string);
    runs
}

fn killed(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    let complete = foreign(services, &site, 240);
    let straight = told(&site);
    assert_eq!(straight.len(), complete);
    let index = || {
        let mut command = site.command(&["index", "-s", &site.release]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("apt-ci")
    };
    // At different moments: each is killed a little later, when so much has been written.
    let folder = site.path().join("home/.cache/apt-ci/index");
    let size = || {
        let files = fs::read_dir(&folder).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum::<u64>()
    };
    for round in 0..10 {
        let mut child = index();
        let begin = size();
        while child.try_wait()?.is_none() && size() < begin + round * 2_000 {
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        let _ = child.kill();
        child.wait()?;
    }
    let finished = site.run(&["index", "-s", &site.release]);
    assert!(finished.status.success(), "{finished:#?}");
    let resumed = told(&site);
    assert_eq!(resumed, straight);
    assert!(resumed.iter().any(|run| run["damaged"] == true));
    let rebuilt = site.run(&["index", "-s", &site.release, "--rebuild"]);
    assert!(rebuilt.err.contains("is damaged"), "{rebuilt:#?}");
    let fields: Vec<&str> = rebuilt.out.trim_end().split('\t').collect();
    assert_eq!(fields[1..4], [complete.to_string().as_str(), "0", complete.to_string().as_str()]);
    assert_eq!(told(&site), resumed);
    let nothing = site.ok(&["index", "-s", &site.release]);
    assert!(nothing.ends_with("\t0\t0\t0\t0\n"), "{nothing}");
    Ok(())
}

/// Two pages of a listing, of which the second is not always to be had.
fn failing(_: &Services) -> Result<(), Failed> {
    /// What the second page is.
    #[derive(Clone, Copy, PartialEq)]
    enum Second {
        Whole,
        Cut,
        Unavailable,
    }
    let second = Arc::new(Mutex::new(Second::Whole));
    let (now, slow) = (Arc::clone(&second), Arc::new(Mutex::new(false)));
    let is_slow = Arc::clone(&slow);
    let site = TestSite::local();
    let release = site.release.clone();
    let server = FakeServer::start(move |exchange| {
        let marker =
            exchange.target.split('&').find_map(|part| part.strip_prefix("marker=")).unwrap_or_default().to_owned();
        let row = |package: &str| {
            format!(
                r#"{{"name": "{release}/amd64/{}/{package}/20260101_000000_abcde@/result.tar", "bytes": 1, "last_modified": "2026-01-01T00:00:00", "content_type": "application/x-tar; exitcode=0; version=\"1\"; duration=1; triggers=\"a/1\""}}"#,
                &package[..1]
            )
        };
        // Not a wait for anything: a server that takes its time.
        if *is_slow.lock().expect("a flag") {
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        let state = *now.lock().expect("a state");
        match (exchange.method.as_str(), marker.as_str()) {
            ("HEAD", _) => {
                exchange.answer("204 No Content", "X-Container-Object-Count: 3\r\nX-Container-Bytes-Used: 3\r\n", "")
            }
            _ if exchange.target.starts_with("/v1/AUTH_x?") => exchange.answer("401 Unauthorized", "", ""),
            (_, "") => exchange.answer("200 OK", "", &format!("[{}, {}]", row("apt"), row("dpkg"))),
            (_, marker) if marker.contains("apt") => exchange.answer("200 OK", "", &format!("[{}]", row("dpkg"))),
            (_, marker) if marker.contains("gzip") => exchange.answer("200 OK", "", "[]"),
            _ if state == Second::Whole => exchange.answer("200 OK", "", &format!("[{}]", row("gzip"))),
            _ if state == Second::Unavailable => exchange.answer("503 Service Unavailable", "", ""),
            _ => exchange.answer_raw(&format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{}", row("gzip"))),
        }
    });
    site.configure("local:queue", &format!("swift:{}/v1/AUTH_x", server.url()));
    for state in [Second::Cut, Second::Unavailable] {
        *second.lock().expect("a state") = state;
        let failed = site.run(&["index"]);
        assert_eq!((failed.status.code(), failed.out.as_str()), (Some(1), ""), "{failed:#?}");
        assert!(failed.err.contains("is incomplete (`apt-ci index` continues)"), "{}", failed.err);
        let asked = site.run(&["results"]);
        assert_eq!((asked.status.code(), asked.out.as_str()), (Some(1), ""), "half an index is none: {asked:#?}");
    }
    *second.lock().expect("a state") = Second::Whole;
    *slow.lock().expect("a flag") = true;
    site.ok(&["index"]);
    assert_eq!(packages(&site.ok(&["results"])).len(), 3);
    Ok(())
}

/// Overwrites all pages of a table and its indexes in a database.
fn damage(database: &Path, table: &str) -> Result<(), Failed> {
    let connection = rusqlite::Connection::open(database)?;
    let size: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let mut roots = connection.prepare("SELECT rootpage FROM sqlite_schema WHERE tbl_name = ?")?;
    let pages: Vec<u64> = roots.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let file = fs::File::options().write(true).open(database)?;
    for page in pages {
        file.write_all_at(&vec![0xff; usize::try_from(size)?], (page - 1) * size)?;
    }
    Ok(())
}

fn damaged(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    history(&site);
    let questions: [&[&str]; 5] =
        [&["results"], &["results", "stats"], &["results", "flaky"], &["results", "blame", "gzip"], &["log", "gzip"]];
    let right = questions.map(|question| site.run(question));
    assert!(right.iter().all(|answer| answer.status.code().is_some_and(|code| code < 2)), "{right:#?}");
    for table in ["container", "run"] {
        let filled = site.run(&["index"]);
        assert!(filled.status.success(), "it is made again: {filled:#?}");
        damage(&index_of(&site), table)?;
        for (question, right) in questions.iter().zip(&right) {
            let asked = site.run(question);
            assert_eq!((asked.status.code(), &asked.out), (right.status.code(), &right.out), "{table}: {asked:#?}");
            assert!(asked.err.contains("querying the store"), "{table}: {asked:#?}");
        }
    }
    Ok(())
}

fn empty_index(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        let (queue, store) = site.addresses();
        site.configure_with(queue, store, 1);
        site.ok(&["index"]);
        ask(&site, "gzip", "gzip/1", &[]);
        work(&site);
        let shown: [(&[&str], &str); 3] =
            [(&["results"], "gzip"), (&["results", "show", "gzip"], "gzip"), (&["results", "stats"], "\t1\t1\t")];
        for (question, expected) in shown {
            let answer = site.run(question);
            assert!(answer.status.success() && answer.out.contains(expected), "{question:?}: {answer:#?}");
        }
    }
    Ok(())
}

/// The file of a site's index.
fn index_of(site: &TestSite) -> PathBuf {
    let files = fs::read_dir(site.path().join("home/.cache/apt-ci/index")).expect("the folder of indexes");
    let mut paths = files.flatten().map(|file| file.path());
    paths.find(|path| path.extension().is_some_and(|end| end == "sqlite")).expect("an index")
}

fn private(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    let release = &site.release;
    let container = format!("private-autopkgtest-{release}-me-tools");
    let store = services.swift().store();
    let file = site.path().join("result");
    fs::write(&file, "")?;
    let headers = ObjectHeaders {
        content_type: r#"application/x-tar; exitcode=4; version="1-1"; duration=3; triggers="a/1"; tested=archive; ppas="me/tools""#.to_owned(),
        content_encoding: None,
    };
    let name = format!("{release}/amd64/g/gzip/20260101_000000_abcde@/result.tar");
    block_on(async {
        store.ensure_container(&container, &Access::Private(vec![])).await.expect("a container");
        store.put(&container, &name, &file, &headers).await.expect("stored");
    });
    for index in [false, true] {
        if index {
            let told = site.ok(&["index", "-s", release]);
            assert_eq!(told, format!("{container}\t1\t0\t0\t0\n"));
        }
        assert_eq!(packages(&site.ok(&["results", "--ppa", "me/tools"])).len(), 1, "index: {index}");
        assert!(site.ok(&["results"]).is_empty(), "not among those of the release");
        let url = format!("swift:{}", services.swift().storage_url());
        let mut others = site.command(&["results", "--ppa", "ppa:me/tools", "-s", release, "--store", &url]);
        others.env_remove("ST_USER").env_remove("ST_KEY").env_remove("ST_AUTH");
        let output = others.output()?;
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
    let token = site.run(&["results", "--ppa", "u:hunter2@me/tools"]);
    assert_eq!(token.status.code(), Some(2));
    assert!(!token.err.contains("hunter2"), "{}", token.err);
    Ok(())
}

fn follows(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    ask(&site, "gzip", "glibc/1", &[]);
    work(&site);
    let following = site.start(&["index", "-s", &site.release, "--follow"]);
    until("it follows", || following.stderr().contains("Following"));
    let busy = site.run(&["index"]);
    assert_eq!(busy.status.code(), Some(1));
    assert!(busy.err.contains("another process is updating the index"), "{}", busy.err);
    let file = index_of(&site);
    let count = || -> i64 {
        let database = rusqlite::Connection::open(&file).expect("the index");
        database.query_row("SELECT count(*) FROM run", [], |row| row.get(0)).expect("a number")
    };
    let mut asked = 1;
    until("what is announced is taken over", || {
        // Announcements from before it listened are not heard, and need not be: everything is listed then.
        asked += 1;
        ask(&site, "gzip", &format!("glibc/{asked}"), &[]);
        work(&site);
        count() >= 2
    });
    following.signal(nix::sys::signal::Signal::SIGINT);
    Ok(())
}

fn anonymous(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    history(&site);
    let address = services.swift().storage_url();
    let home = tempfile::TempDir::new()?;
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apt-ci"));
        command.args(arguments).arg("--store").arg(format!("swift:{address}")).env_clear();
        command.env("HOME", home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let output = command.current_dir(home.path()).output().expect("apt-ci");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {err}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), err)
    };
    let release = site.release.as_str();
    assert_eq!(run(&["results", "gzip", "-s", release]).0.lines().count(), 3);
    assert_eq!(run(&["results", "-s", release]).0.lines().count(), 5);
    assert!(run(&["log", "gzip", "-s", release]).0.contains("starting gzip"));
    let (out, _) = run(&["index", "-s", release]);
    assert_eq!(out, format!("autopkgtest-{release}\t5\t0\t0\t0\n"));
    assert_eq!(run(&["results", "gzip", "-s", release]).0.lines().count(), 3);
    assert!(run(&["results", "show", "gzip", "-s", release]).0.contains("pass"));
    Ok(())
}

fn exported(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    foreign(services, &site, 60);
    let missing = site.run(&["index", "export", "autopkgtest.db"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.err.contains("no index of") && missing.err.contains("apt-ci index"), "{}", missing.err);
    site.ok(&["index", "-s", &site.release]);
    let file = site.path().join("autopkgtest.db");
    site.ok(&["index", "export", file.to_str().expect("a path in UTF-8")]);
    let script = "
import hashlib, json, sqlite3, sys
expected = open(sys.argv[1] + '.sha256').read()
assert hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest() == expected
db = sqlite3.connect(sys.argv[1])
rows = db.execute('SELECT release, arch, package, run_id, version, triggers, duration, exitcode, requester FROM result JOIN test ON test.id = result.test_id')
print(json.dumps([list(row) for row in rows]))
";
    let output = Command::new("/usr/bin/python3").args(["-c", script]).arg(&file).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut rows: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    rows.retain(|row| row[0] == site.release.as_str());
    rows.sort_by_key(ToString::to_string);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut expected: Vec<Value> = told(&site)
        .iter()
        // Proposed-migration ignores what it cannot read.
        .filter(|run| run["damaged"] == false)
        .map(|run| {
            let triggers: Vec<String> = run["triggers"].as_array().expect("triggers").iter().map(text).collect();
            json!([
                run["release"],
                run["architecture"],
                run["package"],
                run["run"],
                run["version"],
                triggers.join(" "),
                run["duration"],
                run["exitcode"],
                text(&run["requester"]),
            ])
        })
        .collect();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(rows, expected);
    Ok(())
}

fn expired(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        history(&site);
        let release = site.release.as_str();
        let expire = ["results", "expire", "-s", release, "--older-than", "0s", "--keep-latest", "1"];
        let planned = site.ok(&[&expire[..], &["--dry-run"]].concat());
        assert!(planned.starts_with(&format!("autopkgtest-{release}\t3\t")), "{planned}");
        assert_eq!(site.results().len(), 5);
        let unasked = site.run(&expire);
        assert_eq!(unasked.status.code(), Some(2));
        assert!(unasked.err.contains(&format!("--confirm {release}")), "{}", unasked.err);
        let wrong = site.run(&[&expire[..], &["--confirm", "other"]].concat());
        assert_eq!(wrong.status.code(), Some(2));
        assert_eq!(site.results().len(), 5);
        let newest = packages(&site.ok(&["results", "--latest"]));
        site.ok(&[&expire[..], &["--confirm", release]].concat());
        assert_eq!(packages(&site.ok(&["results"])), newest);
        let again = site.run(&[&expire[..], &["--confirm", release]].concat());
        assert!(again.status.success() && again.err.contains("Nothing to remove"), "{again:#?}");
        let kept = site.run(&["results", "expire", "-s", release, "--older-than", "1d", "--keep-latest", "0", "-n"]);
        assert!(kept.err.contains("Nothing to remove"), "{kept:#?}");
    }
    Ok(())
}

fn dropped(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        history(&site);
        let release = site.release.clone();
        let missing = site.run(&["results", "drop-release", "nothing", "--confirm", "nothing"]);
        assert_eq!(missing.status.code(), Some(1), "{missing:#?}");
        let drop = ["results", "drop-release", &release];
        let type_name = |said: &str| answering(&site, &format!("type {release}"), &format!("{said}\n"), &drop);
        let (shown, code) = type_name("y");
        assert_eq!(code, Some(1), "{shown}");
        assert_eq!(site.results().len(), 5);
        let (shown, code) = type_name(&release);
        assert!(code == Some(0) && shown.contains("Removed 5 runs"), "{shown}");
        assert!(site.results().is_empty());
        let gone = site.run(&["results", "drop-release", &release, "--confirm", &release]);
        assert!(gone.err.contains("has no containers"), "{gone:#?}");
    }
    Ok(())
}

/// Versions that look alike, made by a generator of our own: the same ones every time.
fn versions(_: &Services) -> Result<(), Failed> {
    const PARTS: [&str; 20] = [
        "0", "1", "2", "9", "10", "09", "a", "b", "Z", "~", "~~", "+", "-", ".", "rc", "ubuntu", "1:", "dfsg",
        "deb12u1", "~bpo",
    ];
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("a small number") % below
    };
    let mut version = || {
        let mut text = format!("{}", random(3));
        for _ in 0..random(6) {
            let part = PARTS[random(PARTS.len())];
            // An epoch stands at the beginning, and nothing ends with a hyphen.
            if part == "1:" {
                text = if text.contains(':') { text } else { format!("1:{text}") };
            } else {
                text.push_str(part);
            }
        }
        text.trim_end_matches('-').to_owned()
    };
    let pairs: Vec<(String, String)> = (0..5_000).map(|_| (version(), version())).collect();
    let mut script = String::new();
    for (a, b) in &pairs {
        script.push_str(&format!("if dpkg --compare-versions '{a}' lt '{b}'; then echo lt; elif dpkg --compare-versions '{a}' eq '{b}'; then echo eq; else echo gt; fi\n"));
    }
    let mut shell = Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut input = shell.stdin.take().expect("its input");
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut input, script.as_bytes()));
    let output = shell.wait_with_output()?;
    writing.join().expect("a writer")?;
    let answers = String::from_utf8(output.stdout)?;
    assert_eq!(answers.lines().count(), pairs.len());
    for ((a, b), answer) in pairs.iter().zip(answers.lines()) {
        let ours = match apt_ci::compare::compare_versions(a, b) {
            std::cmp::Ordering::Less => "lt",
            std::cmp::Ordering::Equal => "eq",
            std::cmp::Ordering::Greater => "gt",
        };
        assert_eq!(ours, answer, "{a} and {b}");
    }
    Ok(())
}
