use std::path::PathBuf;

use super::*;
use crate::archive::Pocket;

/// Report of a testbed with noble and its pocket, where zlib is available in two versions.
const PROPOSED: &str = "\
index Packages noble http://h/ubuntu/
index Packages noble-proposed http://h/ubuntu/
version zlib 1.2-1 noble http://h/ubuntu/ 2 1
version zlib 1.3-1 noble-proposed http://h/ubuntu/ 2 1
candidate zlib 1.3-1 2 zlib1g 1.3-1
ships zlib 1.3-1 zlib1g 1.3-1
ships zlib 1.3-1 minizip 1:1.3-1
installed zlib 1.2-1 zlib1g 1.2-1
";

const PPA: &str = "\
index Packages noble http://h/ubuntu/
index Packages noble http://ppa/me/one/ubuntu/
version gzip 1.12-1 noble http://h/ubuntu/ 1 1
version gzip 1.13-1ppa1 noble http://ppa/me/one/ubuntu/ 1 1
candidate gzip 1.13-1ppa1 1 gzip 1.13-1ppa1
";

struct ProveFixture {
    request: Request,
    pocket: Option<Pocket>,
    ppas: Vec<PpaAccess>,
    reports: Vec<Evidence>,
    packages: Vec<(String, String)>,
    has_all_packages: bool,
    source: Option<&'static str>,
    is_read_only: bool,
}

impl ProveFixture {
    fn new(request: &str, reports: &[&str]) -> Self {
        let log = |report: &&str| {
            let lines = report.lines().map(|line| format!("apt-ci-evidence N {line}\n")).collect::<String>();
            format!("apt-ci-evidence N begin\n{lines}apt-ci-evidence N end\n")
        };
        let log: String = reports.iter().map(log).collect();
        let request = Request::parse(request.as_bytes()).unwrap();
        let access = |ppa: &crate::request::Ppa| PpaAccess {
            archive_url: format!("http://ppa/{}/{}/ubuntu", ppa.owner(), ppa.name()),
            ppa: ppa.clone(),
            key: Vec::new(),
        };
        Self {
            ppas: request.parameters().ppas.iter().map(access).collect(),
            request,
            pocket: "noble-proposed".parse().ok(),
            reports: Evidence::read(&mut log.as_bytes(), "N").unwrap(),
            packages: Vec::new(),
            has_all_packages: true,
            source: Some("gzip 1.12-1"),
            is_read_only: false,
        }
    }

    fn installed(mut self, packages: &[(&str, &str)]) -> Self {
        self.packages = packages.iter().map(|(name, version)| (name.to_string(), version.to_string())).collect();
        self
    }

    fn judge(&self) -> Judgement {
        let release = "noble".parse().unwrap();
        let setup = AptSetup::new(&self.request, &release, self.pocket.as_ref(), PathBuf::new(), self.is_read_only);
        let Self { request, ppas, reports, packages, source, has_all_packages, .. } = self;
        let (source, has_all_packages) = (*source, *has_all_packages);
        RunFacts { request, setup: &setup, ppas, reports, packages, has_all_packages, source, is_fallback: false }
            .judge()
    }

    fn said(&self) -> Vec<String> {
        let judged = self.judge();
        let verdict = judged.proof.verdict.as_str().to_owned();
        [verdict].into_iter().chain(judged.proof.items.iter().map(ToString::to_string)).collect()
    }
}

const ZLIB: &str = r#"gzip {"triggers": ["zlib/1.3-1"]}"#;

#[test]
fn a_trigger_that_is_there_and_installed_is_proven() {
    let scene = ProveFixture::new(ZLIB, &[PROPOSED]).installed(&[("zlib1g", "1.3-1"), ("gzip", "1.12-1")]);
    let met = "trigger zlib/1.3-1: met, 1.3-1 from noble-proposed; installed: zlib1g 1.3-1";
    assert_eq!(scene.said(), ["proven", met]);
    // It has migrated meanwhile.
    let migrated = PROPOSED.replace(" noble-proposed ", " noble ");
    let scene = ProveFixture::new(ZLIB, &[&migrated]).installed(&[("minizip", "1:1.3-1")]);
    assert_eq!(scene.said()[1], "trigger zlib/1.3-1: met, 1.3-1 from noble; installed: minizip 1:1.3-1");
    // Nothing of it is installed: it was available, and the test did not need it.
    assert_eq!(
        ProveFixture::new(ZLIB, &[PROPOSED]).said(),
        ["proven", "trigger zlib/1.3-1: met, 1.3-1 from noble-proposed"]
    );
}

#[test]
fn a_trigger_that_is_not_there_is_refuted() {
    let asked = r#"gzip {"triggers": ["zlib/9.9"]}"#;
    let report = PROPOSED.replace("ships zlib 1.3-1 zlib1g 1.3-1\nships zlib 1.3-1 minizip 1:1.3-1\n", "");
    let scene = ProveFixture::new(asked, &[&report]);
    let reason = "trigger zlib/9.9: not met, the newest version in the testbed is 1.3-1 (noble-proposed)";
    assert_eq!(scene.said(), ["refuted", reason]);
    assert!(!scene.judge().is_superseded);
    let unknown = r#"gzip {"triggers": ["libbars/2"]}"#;
    let reason = "trigger libbars/2: not met, the testbed's archives have no version of it";
    assert_eq!(ProveFixture::new(unknown, &[PROPOSED]).said(), ["refuted", reason]);
}

#[test]
fn a_newer_version_supersedes_a_trigger() {
    let asked = r#"gzip {"triggers": ["zlib/1.2.9-1"]}"#;
    let scene = ProveFixture::new(asked, &[&PROPOSED.replace("ships zlib 1.3-1", "ships zlib 1.3-0")]);
    assert!(scene.judge().is_superseded);
    let reason = "trigger zlib/1.2.9-1: not met, superseded: noble-proposed has 1.3-1";
    assert_eq!(scene.said(), ["refuted", reason]);
    // It is still available, but would not be installed.
    let newer = PROPOSED.replace("candidate zlib 1.3-1 2 zlib1g 1.3-1", "candidate zlib 1.4-1 2 zlib1g 1.4-1");
    let scene = ProveFixture::new(ZLIB, &[&newer]);
    assert!(
        scene.judge().is_superseded && scene.said()[1].ends_with("apt installs zlib1g 1.4-1 there"),
        "{:?}",
        scene.said()
    );
}

#[test]
fn a_pocket_that_was_not_set_up_or_pinned_proves_nothing() {
    let older = PROPOSED.replace("candidate zlib 1.3-1 2 zlib1g 1.3-1", "candidate zlib 1.2-1 2 zlib1g 1.2-1");
    let scene = ProveFixture::new(ZLIB, &[&older]);
    assert_eq!(scene.said()[1], "trigger zlib/1.3-1: not met, apt would install zlib1g 1.2-1 instead");
    // A binary package that another source has taken over does not belong to the trigger.
    let taken = format!("{PROPOSED}candidate zlib - 1 minizip 2-1\n");
    assert_eq!(ProveFixture::new(ZLIB, &[&taken]).said()[0], "refuted");
    // The same testbed after a reset had lost it.
    assert_eq!(ProveFixture::new(ZLIB, &[PROPOSED, &older]).said()[0], "refuted");
    assert_eq!(ProveFixture::new(ZLIB, &[PROPOSED, PROPOSED]).said()[0], "proven");
}

#[test]
fn what_stayed_installed_refutes_what_apt_promised() {
    let scene = ProveFixture::new(ZLIB, &[PROPOSED]).installed(&[("zlib1g", "1.2-1")]);
    assert_eq!(scene.said(), ["refuted", "trigger zlib/1.3-1: not met, zlib1g 1.2-1 stayed installed"]);
    assert!(scene.judge().is_held_back);
    // This machine is not upgraded: its installed packages count.
    let scene = ProveFixture { is_read_only: true, ..ProveFixture::new(ZLIB, &[PROPOSED]) };
    assert_eq!(scene.said()[0], "refuted");
    let upgraded = PROPOSED.replace("installed zlib 1.2-1 zlib1g 1.2-1", "installed zlib 1.3-1 zlib1g 1.3-1");
    let scene = ProveFixture { is_read_only: true, ..ProveFixture::new(ZLIB, &[&upgraded]) };
    assert_eq!(scene.said()[0], "proven");
}

#[test]
fn one_test_with_an_older_version_refutes_what_the_others_had() {
    for packages in [[("zlib1g", "1.3-1"), ("zlib1g", "1.2-1")], [("zlib1g", "1.2-1"), ("zlib1g", "1.3-1")]] {
        let scene = ProveFixture::new(ZLIB, &[PROPOSED]).installed(&packages);
        assert_eq!(scene.said(), ["refuted", "trigger zlib/1.3-1: not met, zlib1g 1.2-1 stayed installed"]);
    }
}

#[test]
fn a_list_that_is_cut_proves_nothing_and_still_refutes() {
    let cut = format!("{PROPOSED}cut after 10000 lines\n");
    let current = [("minizip", "1:1.3-1")];
    assert_eq!(ProveFixture::new(ZLIB, &[&cut]).installed(&current).said()[0], "none");
    assert_eq!(ProveFixture::new(ZLIB, &[PROPOSED, &cut]).installed(&current).said()[0], "none");
    assert_eq!(ProveFixture::new(ZLIB, &[&cut]).installed(&[("zlib1g", "1.2-1")]).said()[0], "refuted");
    let scene = ProveFixture { has_all_packages: false, ..ProveFixture::new(ZLIB, &[PROPOSED]).installed(&current) };
    assert_eq!(scene.said()[0], "none");
}

#[test]
fn a_trigger_of_which_apt_would_install_nothing_is_refuted() {
    let unasked = PROPOSED.replace("candidate zlib 1.3-1 2 zlib1g 1.3-1\n", "");
    let reason = "trigger zlib/1.3-1: not met, apt would install none of its binary packages";
    assert_eq!(ProveFixture::new(ZLIB, &[&unasked]).said(), ["refuted", reason]);
}

#[test]
fn a_source_without_binaries_here_is_met_by_the_source_alone() {
    let only_source = "index Sources noble http://h/ubuntu/\nversion zlib 1.3-1 noble-proposed http://h/ubuntu/ 0 1\n";
    assert_eq!(
        ProveFixture::new(ZLIB, &[only_source]).said(),
        ["proven", "trigger zlib/1.3-1: met, 1.3-1 from noble-proposed"]
    );
    // An older version has some, which would be tested instead.
    let not_built =
        format!("{only_source}version zlib 1.2-1 noble http://h/ubuntu/ 2 1\ncandidate zlib 1.2-1 2 zlib1g 1.2-1\n");
    let reason = "trigger zlib/1.3-1: not met, it has no binary packages for this architecture yet";
    assert_eq!(ProveFixture::new(ZLIB, &[&not_built]).said(), ["refuted", reason]);
}

#[test]
fn a_ppa_is_met_when_its_index_was_read_and_its_packages_are_tested() {
    let request = r#"gzip {"ppas": ["me/one"]}"#;
    let met = "PPA me/one: met, gzip 1.13-1ppa1 from http://ppa/me/one/ubuntu";
    assert_eq!(ProveFixture::new(request, &[PPA]).said(), ["proven", met]);
    let unread = ProveFixture::new(request, &[&PPA.replace("index Packages noble http://ppa/me/one/ubuntu/\n", "")]);
    assert_eq!(unread.said(), ["refuted", "PPA me/one: not met, its index was not read"]);
    let newer = PPA.replace("candidate gzip 1.13-1ppa1 1 gzip 1.13-1ppa1", "candidate gzip 1.14-1 1 gzip 1.14-1");
    let newer = ProveFixture::new(request, &[&newer]);
    assert!(newer.judge().is_superseded, "{:?}", newer.said());
    // The second of two PPAs has a newer version of it.
    let two = format!(
        "{}index Packages noble http://ppa/me/two/ubuntu/\nversion gzip 1.13-1ppa2 noble http://ppa/me/two/ubuntu/ 1 1\n",
        PPA.replace("candidate gzip 1.13-1ppa1 1 gzip 1.13-1ppa1", "candidate gzip 1.13-1ppa2 1 gzip 1.13-1ppa2")
    );
    assert_eq!(ProveFixture::new(r#"gzip {"ppas": ["me/one", "me/two"]}"#, &[&two]).said()[0], "proven");
}

#[test]
fn a_setup_that_failed_refutes_what_it_was_for() {
    let scene = ProveFixture::new(r#"gzip {"ppas": ["me/one"]}"#, &["error apt-get update: E: 404  Not Found"]);
    assert_eq!(scene.said(), ["refuted", "PPA me/one: not met, apt-get update: E: 404  Not Found"]);
    // Only the release was requested: there is nothing to refute, and nothing is proven.
    let scene = ProveFixture::new("gzip", &["error apt-get update: E: no route"]);
    assert_eq!(scene.said(), ["none"]);
    assert_eq!(scene.judge().setup_error.as_deref(), Some("apt-get update: E: no route"));
}

#[test]
fn the_release_a_baseline_a_pocket_and_a_branch() {
    assert_eq!(ProveFixture::new("gzip", &[PROPOSED]).said(), ["proven"]);
    let baseline = r#"gzip {"triggers": ["migration-reference/0"]}"#;
    let said = ProveFixture::new(baseline, &[PROPOSED]).said();
    assert_eq!(said, ["proven", "baseline migration-reference/0: met, nothing of noble-proposed"]);
    let all = r#"gzip {"all-proposed": "1"}"#;
    assert_eq!(
        ProveFixture::new(all, &[PROPOSED]).said(),
        ["proven", "pocket noble-proposed: met from http://h/ubuntu/"]
    );
    let said = ProveFixture::new(all, &[PPA]).said();
    assert_eq!(said, ["refuted", "pocket noble-proposed: not met, its index was not read"]);
    // The triggers of a branch's test are not tested.
    let branch = r#"gzip {"test-git": "http://h/x#b", "triggers": ["zlib/77"]}"#;
    assert_eq!(ProveFixture::new(branch, &[PPA]).said(), ["proven", "branch http://h/x#b: met, gzip 1.12-1"]);
    let not_cloned = ProveFixture { source: None, ..ProveFixture::new(branch, &[PPA]) };
    assert_eq!(not_cloned.said()[0], "none");
}

#[test]
fn without_a_report_nothing_is_proven_or_refuted() {
    assert_eq!(ProveFixture::new(ZLIB, &[]).said(), ["none"]);
    assert_eq!(ProveFixture::new(ZLIB, &["absent"]).said(), ["none"]);
    let mut cut = ProveFixture::new(ZLIB, &[PROPOSED]);
    cut.reports[0].is_complete = false;
    assert_eq!(cut.said(), ["none"]);
}
