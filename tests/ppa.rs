//! Requests with PPAs, through the whole program: a fake Launchpad, and archives that are signed with a fresh key.

use std::sync::Arc;

use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::archive::{Archive, PACKAGE, VERSION};
use testkit::daemon::free_port;
use testkit::launchpad::{Away, LaunchpadStandIn};
use testkit::site::{TestSite, without_seconds};
use testkit::testbed::RELEASE;
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("the_package_under_test_comes_from_the_ppa", from_ppa),
        ("a_ppa_that_cannot_be_used_is_refused_before_anything_runs", refused),
        ("servers_that_are_away_are_no_fault_of_the_request", away),
    ];
    stories("ppa", services, all)
}

/// A site whose tests are the stub's, with an isolated testbed as far as it knows.
fn site_with_stub(launchpad: &LaunchpadStandIn, archive: &str) -> TestSite {
    let site = TestSite::local().of_release(RELEASE);
    let checkout = site.path().join("checkout");
    let checkout = checkout.display();
    site.worker_conf(&format!("[autopkgtest]\ncheckout_dir = {checkout}\nretry_delay = 1\n[virt]\nargs = unshare\n"));
    site.configure_further(&launchpad.section(archive));
    site
}

/// A request for the test of the package with that of a PPA.
fn line(ppa: &str) -> String {
    let parameters = json!({"ppas": [ppa], "triggers": [format!("{PACKAGE}/{VERSION}")]});
    format!("debci-ppa-{RELEASE}-amd64:{PACKAGE} {parameters}\n")
}

fn from_ppa(services: &Services) -> Result<(), Failed> {
    let archive = Archive::start();
    archive.publish("owner/name");
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", archive.fingerprint(), archive.key());
    let site = TestSite::local().isolated(&services.testbed().tarball());
    site.configure_further(&launchpad.section(&archive.url()));
    site.submit(&line(&format!("owner/name:{}", archive.fingerprint())));
    let finished = site.run(&["worker", "--drain"]);
    assert!(finished.status.success(), "{finished:#?}");
    let run = run_in(&site, &format!("autopkgtest-{RELEASE}-owner-name"));
    let log = log_in_folder(&site, &run);
    assert_eq!(site.member(&run, "exitcode"), "0\n", "{log}");
    assert_eq!(site.member(&run, "testpkg-version").trim(), format!("{PACKAGE} {VERSION}"), "{log}");
    assert!(log.contains(&format!("\nhello-ppa is {VERSION}\n")), "{log}");
    // Source and binary package were both fetched there; there is no other archive that has them.
    for kind in [".dsc", ".deb"] {
        let fetched = archive.log().iter().any(|asked| asked.target.ends_with(kind) && asked.status == 200);
        assert!(fetched, "{kind} in {:?}", archive.log());
    }
    Ok(())
}

fn refused(_: &Services) -> Result<(), Failed> {
    let archive = Archive::start();
    let launchpad = LaunchpadStandIn::start();
    for ppa in ["owner/name", "owner/empty", "owner/closed"] {
        launchpad.add(ppa, archive.fingerprint(), archive.key());
    }
    archive.publish("owner/name");
    archive.publish_private("owner/closed", "me", "hunter2");
    launchpad.add_private("owner/secret", archive.fingerprint(), archive.key());
    archive.publish_private("owner/secret", "me", "hunter2");
    let key = archive.fingerprint();
    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    let url = archive.url();
    let cases = [
        (
            format!("owner/name:{other}"),
            format!("the PPA owner/name must be {other}, but {} has {key}", launchpad.api()),
        ),
        ("owner/nobody".to_owned(), format!("{} knows no PPA owner/nobody", launchpad.api())),
        ("owner/empty".to_owned(), format!("the PPA owner/empty has nothing for {RELEASE}")),
        ("owner/closed".to_owned(), format!("{url} asks for a token for the PPA owner/closed")),
        (format!("me:hunter3@owner/secret:{key}"), format!("{url} does not accept the token for the PPA owner/secret")),
    ];
    let site = site_with_stub(&launchpad, &url);
    site.submit(&cases.iter().map(|(ppa, _)| line(ppa)).collect::<String>());
    let finished = site.run(&["-vv", "worker", "--drain"]);
    // Who asks for what cannot be had does not keep the worker from serving others.
    assert!(finished.status.success(), "{finished:#?}");
    assert!(!finished.err.contains("hunter"), "{}", finished.err);
    assert_eq!(site.starts(), Vec::<String>::new(), "autopkgtest is not even started");
    for ((_, reason), container) in cases.iter().zip([
        "autopkgtest-bookworm-owner-name",
        "autopkgtest-bookworm-owner-nobody",
        "autopkgtest-bookworm-owner-empty",
        "autopkgtest-bookworm-owner-closed",
        "private-autopkgtest-bookworm-owner-secret",
    ]) {
        let run = run_in(&site, container);
        let log = log_in_folder(&site, &run);
        assert!(log.contains("apt-ci: the test was not run: ") && log.contains(reason), "{reason:?} in {log}");
        assert_eq!(site.member(&run, "exitcode"), "20\n", "{log}");
        assert!(!log.contains("hunter"), "{log}");
    }
    Ok(())
}

/// The package's only run in a container. Those of PPAs and private ones are in no listing for everybody.
pub fn run_in(site: &TestSite, container: &str) -> Value {
    let package = format!("{}/amd64/h/{PACKAGE}", site.release);
    let folder = site.folder_of(&json!({"container": container, "path": package}));
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut runs = entries.map(|entry| entry.expect("a run").file_name());
    let run = runs.next().expect("a run").into_string().expect("a run's id");
    assert!(runs.next().is_none(), "one run in {}", folder.display());
    json!({"container": container, "path": format!("{package}/{run}")})
}

/// The log as it is in the store.
fn log_in_folder(site: &TestSite, run: &Value) -> String {
    let bytes = std::fs::read(site.folder_of(run).join("log.gz")).expect("log.gz");
    without_seconds(&String::from_utf8(crate::privacy::unpacked(&bytes)).expect("text"))
}

fn away(_: &Services) -> Result<(), Failed> {
    let archive = Archive::start();
    archive.publish("owner/name");
    let fake_server = || {
        let launchpad = LaunchpadStandIn::start();
        launchpad.add("owner/name", archive.fingerprint(), archive.key());
        launchpad
    };
    let (silent, well) = (fake_server(), fake_server());
    silent.away(Away::Everything);
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    std::thread::scope(|scope| {
        for (launchpad, address, away) in
            [(&silent, archive.url(), silent.api()), (&well, nowhere.clone(), nowhere.clone())]
        {
            scope.spawn(move || {
                let site = site_with_stub(launchpad, &address);
                site.submit(&line("owner/name"));
                let finished = site.run(&["worker", "--drain"]);
                assert_eq!(site.starts(), Vec::<String>::new(), "{finished:#?}");
                let run = run_in(&site, "autopkgtest-bookworm-owner-name");
                assert_eq!(site.member(&run, "exitcode"), "16\n");
                let reason = format!("{away} cannot be asked about the PPA owner/name: ");
                let log = log_in_folder(&site, &run);
                assert!(log.contains(&reason), "{reason:?} in {log}");
                let testinfo: Value = serde_json::from_str(&site.member(&run, "testinfo.json")).expect("JSON");
                let failures = testinfo["apt-ci"]["failures"].as_array().expect("the earlier failures").clone();
                let reasons: Vec<&str> = failures.iter().filter_map(|failure| failure["reason"].as_str()).collect();
                assert!(reasons.len() == 2 && reasons.iter().all(|said| said.contains(&reason)), "{testinfo}");
            });
        }
    });
    // It is back: the same request is run.
    silent.away(Away::Nothing);
    let site = site_with_stub(&silent, &archive.url());
    site.submit(&line("owner/name"));
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.member(&run_in(&site, "autopkgtest-bookworm-owner-name"), "exitcode"), "0\n");
    assert_eq!(site.starts(), [PACKAGE]);
    Ok(())
}
