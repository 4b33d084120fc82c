use std::fs;

use super::*;
use crate::testbed::autopkgtest::Abilities;
use crate::testbed::settings::Configuration;
use crate::testbed::variables::{Definition, Definitions};

/// Abilities of an autopkgtest older than 4.0.
const OLD: Abilities =
    Abilities { test_name_option: "--testname", can_clone: false, can_copy: true, can_run_foreign: false };
const FOREIGN: Abilities = Abilities { can_run_foreign: true, ..Abilities::USUAL };

fn settings(conf: &str, lists: &[(&str, &str)]) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.conf");
    let conf = conf.replace("[autopkgtest]", "[autopkgtest]\nper_package_config_dir = .");
    fs::write(&file, conf).unwrap();
    for (name, text) in lists {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let defined: Definitions = ["FLAVOR=m1 small".parse::<Definition>().unwrap()].into_iter().collect();
    let configuration = Configuration::load(&file, defined).unwrap();
    assert_eq!(configuration.faults(), []);
    Settings::clone(&configuration.settings())
}

fn plan(settings: &Settings, abilities: Abilities, queue: &str, request: &str) -> Result<Plan, Refusal> {
    let autopkgtest = Autopkgtest::with(abilities);
    let request = Request::parse(request.as_bytes()).unwrap();
    let queue: QueueName = format!("debci-{queue}").parse().unwrap();
    let pocket = Pocket::default_of(&queue.release);
    let run = Run {
        settings,
        autopkgtest: &autopkgtest,
        request: &request,
        queue: &queue,
        pocket: pocket.as_ref(),
        whole_pocket: false,
        work_folder: Path::new("/w"),
        output: Path::new("/out"),
        testbed: "/srv/testbeds/root.tar",
        host_name: "worker1",
        time: "2026-11-23T08:40:00Z".parse().unwrap(),
    };
    run.plan()
}

/// Returns the command line, without the parts that all have in common.
fn args(settings: &Settings, abilities: Abilities, queue: &str, request: &str) -> String {
    let line = match plan(settings, abilities, queue, request) {
        Ok(plan) => plan.command.to_string(),
        Err(refusal) => return format!("refused: {refusal}"),
    };
    let rest = line.strip_prefix("/usr/bin/autopkgtest --output-dir /out ");
    let rest = rest.unwrap_or_else(|| panic!("{line}"));
    assert!(rest.contains("--setup-commands /w/apt-setup "), "{line}");
    rest.replace("--setup-commands /w/apt-setup ", "")
}

fn times(short: u32, install: u32, test: u32, copy: u32, build: u32) -> String {
    format!(
        "--timeout-short={short} --timeout-install={install} --timeout-test={test} --timeout-copy={copy} --timeout-build={build}"
    )
}

/// Checks the command lines of requests for gzip. In each, `T` stands for the usual time limits.
#[track_caller]
fn check(settings: &Settings, abilities: Abilities, table: &[(&str, &str, &str)]) {
    for (queue, parameters, expected) in table {
        let found = args(settings, abilities, queue, &format!("gzip {parameters}"));
        let found = found.replace(&times(300, 3000, 10_000, 900, 20_000), "T");
        assert_eq!(&found, expected, "{queue}: gzip {parameters}");
    }
}

#[test]
fn a_built_testbed_is_filled_in() {
    let plain = settings("[virt]\nargs = unshare --tarball /x.tar\n", &[]);
    assert!(!plain.conf.uses_testbed());
    let built = settings("[virt]\nargs = unshare --tarball $TESTBED\n", &[]);
    assert!(built.conf.uses_testbed());
    let expected = "--apt-upgrade T gzip -- unshare --tarball /srv/testbeds/root.tar";
    check(&built, Abilities::USUAL, &[("noble-amd64", "", expected)]);
}

#[test]
fn each_parameter_alone() {
    let lxd = settings("[virt]\nargs = lxd $RELEASE\n", &[]);
    check(
        &lxd,
        Abilities::USUAL,
        &[
            ("noble-amd64", "", "--apt-upgrade T gzip -- lxd noble"),
            (
                "noble-amd64",
                r#"{"triggers": ["zlib/1"]}"#,
                "--apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T gzip -- lxd noble",
            ),
            // Each source package once, in the order of the triggers.
            (
                "huge-noble-amd64",
                r#"{"triggers": ["zlib/1", "glibc/2", "zlib/2"]}"#,
                "--apt-upgrade '--env=ADT_TEST_TRIGGERS=zlib/1 glibc/2 zlib/2' T \
                 gzip -- lxd noble",
            ),
            ("noble-amd64", r#"{"all-proposed": "1"}"#, "--apt-upgrade T gzip -- lxd noble"),
            ("noble-amd64", r#"{"env": ["A=b c", "D="]}"#, "--apt-upgrade '--env=A=b c' --env=D= T gzip -- lxd noble"),
            ("noble-amd64", r#"{"testname": "upstream"}"#, "--apt-upgrade --test-name=upstream T gzip -- lxd noble"),
            (
                "upstream-noble-amd64",
                r#"{"test-git": "https://host/gzip.git"}"#,
                "--apt-upgrade T --no-built-binaries https://host/gzip.git -- lxd noble",
            ),
            (
                "upstream-noble-amd64",
                r#"{"test-git": "https://host/gzip.git refs/pull/7/head"}"#,
                "--apt-upgrade T --no-built-binaries 'https://host/gzip.git#refs/pull/7/head' -- lxd noble",
            ),
            (
                "upstream-noble-amd64",
                r#"{"build-git": "https://host/gzip.git#main"}"#,
                "--apt-upgrade T 'https://host/gzip.git#main' -- lxd noble",
            ),
            (
                "upstream-noble-amd64",
                r#"{"test-bzr": "lp:gzip"}"#,
                "--apt-upgrade T --no-built-binaries /w/checkout -- lxd noble",
            ),
            // Parameters that autopkgtest does not see.
            (
                "noble-amd64",
                r#"{"swiftuser": "me", "readable-by": ["you"], "requester": "me", "submit-time": "now", "uuid": "x", "y": 1}"#,
                "--apt-upgrade T gzip -- lxd noble",
            ),
        ],
    );
}

#[test]
fn parameters_that_interact() {
    let lxd = settings("[virt]\nargs = lxd\n", &[]);
    let ppa = "--copy /w/ppas/public:/tmp/apt-ci-ppas";
    check(
        &lxd,
        Abilities::USUAL,
        &[
            // The baseline takes nothing from proposed; packages and versions that only look like it do.
            (
                "noble-amd64",
                r#"{"triggers": ["migration-reference/0"]}"#,
                "--apt-upgrade --env=ADT_TEST_TRIGGERS=migration-reference/0 T gzip -- lxd",
            ),
            (
                "noble-amd64",
                r#"{"triggers": ["migration-reference/0.1"]}"#,
                "--apt-upgrade \
                 --env=ADT_TEST_TRIGGERS=migration-reference/0.1 T gzip -- lxd",
            ),
            (
                "noble-amd64",
                r#"{"triggers": ["my-migration-reference/0"]}"#,
                "--apt-upgrade \
                 --env=ADT_TEST_TRIGGERS=my-migration-reference/0 T gzip -- lxd",
            ),
            // All of proposed includes the triggers.
            (
                "noble-amd64",
                r#"{"triggers": ["zlib/1"], "all-proposed": "1"}"#,
                "--apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T gzip -- lxd",
            ),
            // Triggers of a PPA come from there; proposed is taken when it is requested.
            (
                "ppa-noble-amd64",
                r#"{"triggers": ["zlib/1"], "ppas": ["me/one"]}"#,
                &format!("{ppa} --apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T gzip -- lxd"),
            ),
            (
                "ppa-noble-amd64",
                r#"{"triggers": ["zlib/1"], "ppas": ["me/one", "me/two"], "all-proposed": "1"}"#,
                &format!("{ppa} --apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T gzip -- lxd"),
            ),
            // A branch is tested against the release, whatever triggered it.
            (
                "noble-amd64",
                r#"{"triggers": ["zlib/1"], "test-git": "http://h/x"}"#,
                "--apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T --no-built-binaries http://h/x -- lxd",
            ),
            (
                "noble-amd64",
                r#"{"triggers": ["zlib/1"], "build-git": "http://h/x"}"#,
                "--apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T http://h/x -- lxd",
            ),
            (
                "noble-amd64",
                r#"{"triggers": ["zlib/1"], "test-bzr": "lp:x"}"#,
                "--apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T --no-built-binaries /w/checkout -- lxd",
            ),
            (
                "noble-amd64",
                r#"{"all-proposed": "1", "build-git": "http://h/x", "env": ["A=1"], "testname": "t"}"#,
                "--apt-upgrade --env=A=1 --test-name=t T http://h/x -- lxd",
            ),
            (
                "noble-amd64",
                r#"{"ppas": ["me/one"], "test-git": "http://h/x"}"#,
                &format!("{ppa} --apt-upgrade T --no-built-binaries http://h/x -- lxd"),
            ),
            // Debian has no proposed pocket: a trigger is proven against the release, and all of a pocket is refused.
            (
                "sid-amd64",
                r#"{"all-proposed": "1"}"#,
                "refused: sid has no pocket with proposed packages: all-proposed cannot be tested there",
            ),
            ("sid-amd64", r#"{"triggers": ["zlib/1"]}"#, "--apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T gzip -- lxd"),
        ],
    );
}

#[test]
fn this_machine_is_not_changed_by_a_test() {
    let refused = "refused: tests run on this machine itself (virt server null), which gets no other package sources: a request \
                   with a PPA needs another testbed";
    check(
        &Settings::null(),
        Abilities::USUAL,
        &[
            ("bookworm-amd64", "", "T gzip -- null"),
            (
                "noble-amd64",
                r#"{"triggers": ["zlib/1", "glibc/2"], "all-proposed": "1", "env": ["A=b c"], "testname": "upstream"}"#,
                "'--env=A=b c' '--env=ADT_TEST_TRIGGERS=zlib/1 glibc/2' --test-name=upstream T gzip -- null",
            ),
            ("noble-amd64", r#"{"build-git": "http://h/x#b"}"#, "T 'http://h/x#b' -- null"),
            ("noble-amd64", r#"{"ppas": ["me/one"]}"#, refused),
            ("noble-amd64", r#"{"ppas": ["u:t@me/one"], "all-proposed": "1"}"#, refused),
        ],
    );
    // The testbed of this package decides.
    let mixed = settings("[autopkgtest]\n[virt]\nargs = lxd\nvm_args = null\n", &[("vm_packages", "gzip\n")]);
    check(
        &mixed,
        Abilities::USUAL,
        &[("noble-amd64", r#"{"ppas": ["me/one"]}"#, refused), ("noble-amd64", "", "T gzip -- null")],
    );
}

#[test]
fn ppas_are_copied_in_and_no_token_is_on_the_command_line() {
    let lxd = settings("[autopkgtest]\nsetup_command = first\n[virt]\nargs = lxd\n", &[]);
    let files = "--setup-commands first --copy /w/ppas/public:/tmp/apt-ci-ppas --apt-upgrade T gzip -- lxd";
    let login = "ppas --copy /w/ppas/logins:/etc/apt/auth.conf.d/apt-ci-ppas.conf --apt";
    let with_login = files.replace("ppas --apt", login);
    let key = "0123456789ABCDEF0123456789ABCDEF01234567";
    check(
        &lxd,
        Abilities::USUAL,
        &[
            ("ppa-noble-amd64", r#"{"ppas": ["me/one"]}"#, files),
            ("ppa-noble-amd64", &format!(r#"{{"ppas": ["me/one", "me/two:{key}"]}}"#), files),
            ("ppa-noble-amd64", r#"{"ppas": ["user:hunter2@me/two"]}"#, &with_login),
        ],
    );
    let none = Abilities { can_copy: false, ..OLD };
    let refused = "refused: this autopkgtest has no --copy: the PPA's key cannot be brought into the testbed";
    check(&lxd, none, &[("ppa-noble-amd64", r#"{"ppas": ["me/one"]}"#, refused)]);
    // The plan names the folder for the keys.
    let folder = |request: &str| plan(&lxd, Abilities::USUAL, "ppa-noble-amd64", request).unwrap().ppa_folder;
    assert_eq!(folder("gzip"), None);
    assert_eq!(folder(r#"gzip {"ppas": ["me/one"]}"#), Some("/w/ppas".into()));
}

#[test]
fn an_older_autopkgtest_gets_what_it_knows() {
    let lxd = settings("[virt]\nargs = lxd\n", &[]);
    check(
        &lxd,
        OLD,
        &[
            ("noble-amd64", r#"{"testname": "t"}"#, "--apt-upgrade --testname=t T gzip -- lxd"),
            (
                "noble-amd64",
                r#"{"triggers": ["zlib/1"]}"#,
                "--apt-upgrade --env=ADT_TEST_TRIGGERS=zlib/1 T gzip -- lxd",
            ),
            (
                "noble-amd64",
                r#"{"test-git": "http://h/x#b"}"#,
                "--apt-upgrade T --no-built-binaries /w/checkout -- lxd",
            ),
            ("noble-amd64", r#"{"build-git": "http://h/x#b"}"#, "--apt-upgrade T /w/checkout -- lxd"),
        ],
    );
    let checkout = |abilities, parameters: &str| {
        plan(&lxd, abilities, "noble-amd64", &format!("gzip {parameters}")).unwrap().checkout
    };
    let git = r#"{"test-git": "http://h/x#b"}"#;
    assert_eq!(checkout(Abilities::USUAL, git), None);
    let of_the_web = git.replace('{', r#"{"apt-ci-origin": "web", "#);
    assert!(checkout(Abilities::USUAL, &of_the_web).unwrap().from_web, "it is fetched where its address is checked");
    let wanted = checkout(OLD, git).unwrap();
    assert_eq!(wanted.folder, Path::new("/w/checkout"));
    assert!(matches!(wanted.source, TestSource::TestGit(source) if source.to_string() == "http://h/x#b"));
    assert!(checkout(Abilities::USUAL, r#"{"test-bzr": "lp:x"}"#).is_some());
}

#[test]
fn worker_conf_fills_in_what_it_knows_of_the_test() {
    let full = settings(
        "[autopkgtest]\nextra_args = --no-apt-fallback\nsetup_command = echo $RELEASE $HOME\nsetup_command2 = second\n\
         [virt]\npackage_size_default = --ram-size=4096 --cpus=2\n\
         args = qemu $PACKAGESIZE '--name=$PACKAGE of ${ARCHITECTURE}' $HOSTNAME/$TIMESTAMP-$UUID $FLAVOR\n",
        &[],
    );
    let setup = "--no-apt-fallback --setup-commands 'echo sid $HOME' --setup-commands second --apt-upgrade";
    check(
        &full,
        Abilities::USUAL,
        &[(
            "sid-armhf",
            r#"{"uuid": "one"}"#,
            &format!(
                "{setup} T gzip -- qemu --ram-size=4096 --cpus=2 '--name=gzip of armhf' worker1/20261123-084000-one 'm1 small'"
            ),
        )],
    );
    let foreign = settings("[virt]\nargs = lxd $RELEASE/$ARCHITECTURE/$HOSTARCH\n", &[]);
    check(
        &foreign,
        FOREIGN,
        &[
            ("focal-i386", "", "--apt-upgrade T -a i386 gzip -- lxd focal/i386/amd64"),
            ("bionic-i386", "", "--apt-upgrade T gzip -- lxd bionic/i386/i386"),
            ("sid-i386", "", "--apt-upgrade T gzip -- lxd sid/i386/i386"),
        ],
    );
}

#[test]
fn special_packages_get_another_testbed_and_more_time() {
    let conf = "[autopkgtest]\n[virt]\nargs = lxd $PACKAGESIZE\nvm_args = qemu $PACKAGESIZE\npackage_size_default = small\n\
                package_size_big = big\n";
    let line = |lists: &[(&str, &str)], queue: &str| {
        let found = args(&settings(conf, lists), Abilities::USUAL, queue, "gzip");
        found.strip_prefix("--apt-upgrade ").unwrap().to_owned()
    };
    let (big, long, vm) =
        (("big_packages", "gzip\n"), ("long_tests", "gz*/amd64\n"), ("vm_packages", "gzip/all/noble\n"));
    let slow = ["big_packages", "long_tests"].map(|name| (name, "all\n"));
    for (lists, queue, limits, testbed) in [
        (&[][..], "noble-amd64", times(300, 3000, 10_000, 900, 20_000), "lxd small"),
        (&[big], "noble-amd64", times(300, 3000, 20_000, 900, 20_000), "lxd big"),
        (&[long], "noble-amd64", times(300, 3000, 40_000, 900, 40_000), "lxd small"),
        (&[long], "noble-arm64", times(300, 3000, 10_000, 900, 20_000), "lxd small"),
        // The factors of one package are not multiplied with each other, but with a slow architecture's.
        (&[big, long], "noble-amd64", times(300, 3000, 40_000, 900, 40_000), "lxd big"),
        (&[], "noble-riscv64", times(1200, 12_000, 40_000, 3600, 80_000), "lxd small"),
        (&slow, "noble-riscv64", times(1200, 12_000, 160_000, 3600, 160_000), "lxd big"),
        (&[vm, big], "noble-amd64", times(300, 3000, 20_000, 900, 20_000), "qemu big"),
        (&[vm], "jammy-amd64", times(300, 3000, 10_000, 900, 20_000), "lxd small"),
    ] {
        assert_eq!(line(lists, queue), format!("{limits} gzip -- {testbed}"), "{lists:?} on {queue}");
    }
    // Missing settings change nothing: the package is still tested.
    let bare = settings("[autopkgtest]\ntimeout_test = 7\n[virt]\nargs = lxd\n", &[big, vm]);
    let expected = format!("--apt-upgrade {} gzip -- lxd", times(300, 3000, 14, 900, 20_000));
    assert_eq!(args(&bare, Abilities::USUAL, "noble-amd64", "gzip"), expected);
    let plan = plan(&bare, Abilities::USUAL, "noble-amd64", "gzip").unwrap();
    assert_eq!(plan.limits.total().as_secs(), 300 + 3000 + 14 + 900 + 20_000 + 600);
}

#[test]
fn every_part_tells_what_decided_it() {
    let conf = "[autopkgtest]\nextra_args = --x\ntimeout_test = 7\n[virt]\nargs = lxd\nvm_args = qemu\n";
    let settings = settings(conf, &[("long_tests", "# slow\ngzip\n"), ("vm_packages", "zlib\ngz?p\n")]);
    let request = r#"gzip {"triggers": ["zlib/1"], "env": ["A=1"], "testname": "t"}"#;
    let plan = plan(&settings, FOREIGN, "noble-i386", request).unwrap();
    let found: Vec<String> = plan
        .decisions
        .iter()
        .map(|Decision { what, value, origins }| {
            // The folder is a temporary one.
            let name = |origin: &DecisionSource| origin.to_string().rsplit('/').next().unwrap_or_default().to_owned();
            format!("{what} | {value} | {}", origins.iter().map(name).collect::<Vec<_>>().join(" "))
        })
        .collect();
    assert_eq!(
        found,
        [
            "autopkgtest | /usr/bin/autopkgtest | default",
            "extra arguments | --x | worker.conf:3",
            "pocket | noble-proposed | queue",
            "from the pocket | zlib (priority 995; the rest of noble-proposed: 100) | request: triggers",
            "upgrade before the test | --apt-upgrade | default",
            "fallback | the whole pocket, once | worker.conf:3",
            "environment | --env=A=1 | request: env",
            "triggers | --env=ADT_TEST_TRIGGERS=zlib/1 | request: triggers",
            "test | --test-name=t | request: testname",
            "foreign architecture | -a i386 | queue",
            "tests from | gzip | request: package",
            "virt server | qemu | worker.conf:7 vm_packages:2",
            "time limit, short | 300 s | default",
            "time limit, install | 3000 s | default",
            "time limit, test | 28 s = 4 × 7 s | worker.conf:4 long_tests:2",
            "time limit, copy | 900 s | default",
            "time limit, build | 40000 s = 2 × 20000 s | default long_tests:2",
            "hard limit | 44828 s | default",
            "more per further test (up to 99) | 3928 s | default",
        ]
    );
}

#[test]
fn a_token_is_on_no_command_line_and_in_no_explanation() {
    let lxd = settings("[autopkgtest]\nsetup_command = echo $UUID\n[virt]\nargs = lxd $UUID\n", &[]);
    for abilities in [OLD, Abilities::USUAL] {
        let request = r#"gzip {"ppas": ["user:hunter2@me/one", "me/two"], "uuid": "x"}"#;
        let plan = plan(&lxd, abilities, "ppa-noble-amd64", request).unwrap();
        assert!(!format!("{plan:?} {}", plan.command).contains("hunter2"));
    }
}

#[test]
fn a_test_gets_no_credentials_and_a_virt_server_those_of_its_cloud() {
    let names = ["OS_PASSWORD", "ST_KEY", "APT_CI_QUEUE", "PATH", "LANG"];
    let environment = names.map(|name| (name.to_owned(), "x".to_owned())).into_iter().collect();
    let plan = |settings: &Settings| plan(settings, Abilities::USUAL, "noble-amd64", "gzip").unwrap();
    assert_eq!(withheld(&plan(&Settings::null()), &environment), ["APT_CI_QUEUE", "OS_PASSWORD", "ST_KEY"]);
    let cloud = settings("[virt]\nargs = ssh -s nova\n", &[]);
    assert_eq!(withheld(&plan(&cloud), &environment), ["APT_CI_QUEUE", "ST_KEY"]);
}

#[test]
fn what_systemd_tells_the_worker_is_not_for_its_tests() {
    let service = [
        "JOURNAL_STREAM",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "RUST_MIN_STACK",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    ];
    let names = service.into_iter().chain(["PATH", "NOTIFY", "INVOCATION_ID"]);
    let environment = names.map(|name| (name.to_owned(), "x".to_owned())).collect();
    for virt in ["null", "ssh -s nova", "unshare --tarball x.tar"] {
        let settings = settings(&format!("[virt]\nargs = {virt}\n"), &[]);
        let plan = plan(&settings, Abilities::USUAL, "noble-amd64", "gzip").unwrap();
        assert_eq!(withheld(&plan, &environment), service, "{virt}");
    }
}

#[test]
fn a_queue_of_a_foreign_architecture_is_refused_by_versions_without_it() {
    let queue = |name: &str| name.parse::<QueueName>().unwrap();
    let old = Autopkgtest::with(Abilities::read("  --output-dir OUTPUT_DIR\n"));
    let new = Autopkgtest::with(Abilities::read("  -a, --test-architecture ARCH\n       run tests for ARCH\n"));
    let refusal = refused_queue(&old, &queue("debci-noble-i386")).unwrap();
    assert!(refusal.contains("debci-noble-i386") && refusal.contains("5.43"), "{refusal}");
    for (found, name) in [(&old, "debci-noble-amd64"), (&old, "debci-bookworm-i386"), (&new, "debci-noble-i386")] {
        assert_eq!(refused_queue(found, &queue(name)), None, "{name}");
    }
}
