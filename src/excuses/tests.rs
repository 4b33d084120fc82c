//! Excuses as proposed-migration writes them.

use proptest::prelude::*;

use super::*;
use crate::release::{Context, Release};
use crate::result::{PackagePath, ProofVerdict, RunOptions, RunSummary};
use crate::runs::StoredRun;

const EXCUSES: &str = "\
generated-date: 2026-11-25 10:00:00.123456
sources:
- excuses:
  - 'Migration status for glibc (2.39-1 to 2.40-1): BLOCKED: Rejected/violates
    migration policy'
  - 'source: not a key'
  is-candidate: false
  item-name: glibc
  maintainer: Somebody
  new-version: 2.40-1+b1~x
  old-version: 2.39-1
  policy_info:
    age:
      age-requirement: 0
      current-age: 3.25
      verdict: PASS
    autopkgtest:
      gzip/1.12-1:
        amd64:
        - REGRESSION
        - https://swift/log.gz
        - https://ci/packages/g/gzip/noble/amd64
        - null
        - request.cgi?release=noble&arch=amd64&package=gzip&trigger=glibc%2F2.40-1%2Bb1~x
        armhf:
        - PASS
        - https://swift/other.gz
        - null
        - null
        - null
      linux/unknown:
        amd64:
        - REGRESSION
        - https://swift/linux.gz
        - null
        - null
        - https://ci.example/request.cgi?release=noble&arch=amd64&package=linux&trigger=glibc%2F2.40-1&trigger=linux-meta%2F6&ppa=o%2Fn&all-proposed=1
      zlib:
        amd64: [RUNNING, 'https://ci/running', null, null, null]
      verdict: REJECTED_PERMANENTLY
    block: {}
  reason:
  - autopkgtest
  source: glibc
- dependencies:
    blocked-by:
    - glibc
  item-name: bash
  new-version: '5.10'
  policy_info:
    autopkgtest:
      gzip/1.12-1:
        amd64:
        - REGRESSION
        - null
        - null
        - null
        - request.cgi?release=noble&arch=amd64&package=gzip&trigger=bash%2F5.10
      verdict: REJECTED_PERMANENTLY
  source: bash
- {item-name: -old, source: old, new-version: '-', policy_info: {age: {current-age: 9}, autopkgtest: {gzip: {amd64: [REGRESSION]}}}}
hints: []
";

/// Returns excuses without PPAs in addresses: tests without an address have none, either.
fn with_one_list_of_ppas() -> String {
    EXCUSES.replace("&ppa=o%2Fn", "")
}

fn manner() -> RetryOptions {
    RetryOptions { release: "noble".parse().unwrap(), proposed: ProposedPackages::Triggers, further: Vec::new() }
}

fn regressions() -> Selection {
    Selection { states: vec![TestState::Regression], ..Selection::default() }
}

fn urls(selection: &Selection, manner: &RetryOptions) -> Vec<String> {
    let selected = selection.read(EXCUSES.as_bytes(), manner).unwrap();
    selected.retries.iter().map(Retry::url).collect()
}

fn fault(text: &str) -> String {
    let read: Result<Vec<_>, _> = Excuses::new(text.as_bytes(), &[TestState::Regression]).collect();
    read.unwrap_err().to_string()
}

#[test]
fn what_is_needed_is_read_and_the_rest_passed_over() {
    let wanted = [TestState::Regression, TestState::Running];
    let all: Vec<Excuse> = Excuses::new(EXCUSES.as_bytes(), &wanted).collect::<Result<_, _>>().unwrap();
    let [glibc, bash, old] = all.as_slice() else { panic!("{all:#?}") };
    assert_eq!((glibc.line, glibc.source.as_str(), glibc.age), (3, "glibc", Some(3.25)));
    assert_eq!(glibc.new_version.as_deref(), Some("2.40-1+b1~x"));
    let tests: Vec<_> = glibc
        .tests
        .iter()
        .map(|test| (test.package.as_str(), test.version.as_deref(), test.architecture.as_str(), test.state.as_str()))
        .collect();
    assert_eq!(
        tests,
        [
            ("gzip", Some("1.12-1"), "amd64", "REGRESSION"),
            ("linux", Some("unknown"), "amd64", "REGRESSION"),
            ("zlib", None, "amd64", "RUNNING"),
        ]
    );
    assert_eq!(glibc.tests[0].log.as_deref(), Some("https://swift/log.gz"));
    assert_eq!((bash.new_version.as_deref(), bash.age), (Some("5.10"), None));
    assert_eq!(bash.blocked_by, ["glibc"]);
    assert_eq!((old.source.as_str(), old.age, old.tests.len()), ("old", Some(9.0), 1));
}

#[test]
fn lists_may_be_indented_and_compressed() {
    let mut indented = String::new();
    let mut within = false;
    for line in EXCUSES.lines() {
        within = (within || line.starts_with("- ")) && !line.starts_with("hints");
        indented.push_str(&format!("{}{line}\n", if within { "    " } else { "" }));
    }
    let read = |text: &[u8]| -> Vec<Excuse> {
        Excuses::new(super::text(text).unwrap(), &[TestState::Regression]).collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(read(indented.as_bytes()), read(EXCUSES.as_bytes()));
    // xz -c of a file with one excuse and nothing else.
    let packed = include_bytes!("one-excuse.yaml.xz");
    assert_eq!(read(packed)[0].source, "glibc");
    let cut: Result<Vec<_>, _> = Excuses::new(super::text(&packed[..packed.len() - 40]).unwrap(), &[]).collect();
    assert!(matches!(cut, Err(ExcusesError::Unreadable { .. })), "{cut:?}");
}

#[test]
fn addresses_are_those_that_others_print() {
    let page = "https://autopkgtest.ubuntu.com/request.cgi?release=noble&arch=amd64&package=gzip";
    let glibc = format!("{page}&trigger=glibc%2F2.40-1%2Bb1~x");
    let linux = "https://ci.example/request.cgi?release=noble&arch=amd64&package=linux\
                 &trigger=glibc%2F2.40-1&trigger=linux-meta%2F6&ppa=o%2Fn&all-proposed=1";
    let bash = format!("{page}&trigger=bash%2F5.10");
    assert_eq!(urls(&regressions(), &manner()), [&glibc, linux, &bash]);
    let group = group(regressions().read(EXCUSES.as_bytes(), &manner()).unwrap().retries);
    let grouped: Vec<String> = group.iter().map(Retry::url).collect();
    assert_eq!(grouped, [&format!("{glibc}&trigger=bash%2F5.10"), linux]);
    let further =
        RetryOptions { further: vec!["dpkg/1.22".parse().unwrap()], proposed: ProposedPackages::All, ..manner() };
    assert_eq!(urls(&regressions(), &further)[0], format!("{glibc}&trigger=dpkg%2F1.22&all-proposed=1"));
    let running = Selection { states: vec![TestState::Running], ..Selection::default() };
    let selected = running.read(with_one_list_of_ppas().as_bytes(), &manner()).unwrap();
    assert_eq!(selected.retries[0].url(), glibc.replace("gzip", "zlib"));
}

#[test]
fn each_condition_leaves_out_what_it_should() {
    let count = |change: fn(&mut Selection)| {
        let mut selection = regressions();
        change(&mut selection);
        let selected = selection.read(with_one_list_of_ppas().as_bytes(), &manner()).unwrap();
        selected.retries.iter().map(|retry| format!("{}<{}", retry.package, retry.triggers[0].package())).collect()
    };
    let check = |change: fn(&mut Selection), expected: &[&str]| {
        let names: Vec<String> = count(change);
        assert_eq!(names, expected);
    };
    check(|_| {}, &["gzip<glibc", "linux<glibc", "gzip<bash"]);
    check(|selection| selection.min_age = Some(3.5), &["gzip<bash"]);
    check(|selection| selection.min_age = Some(3.25), &["gzip<glibc", "linux<glibc", "gzip<bash"]);
    check(|selection| selection.max_age = Some(3.0), &["gzip<bash"]);
    check(|selection| selection.blocks = "glibc".parse().ok(), &["gzip<glibc", "linux<glibc"]);
    check(|selection| selection.blocked_by = "glibc".parse().ok(), &["gzip<bash"]);
    check(|selection| selection.packages = vec!["linux".parse().unwrap()], &["linux<glibc"]);
    check(|selection| selection.architectures = vec!["armhf".parse().unwrap()], &[]);
    check(|selection| selection.only_unknown = true, &["linux<glibc"]);
    check(|selection| selection.states = vec![TestState::Pass], &["gzip<glibc"]);
}

#[test]
fn without_a_version_there_is_no_trigger() {
    let selected = regressions().read(EXCUSES.as_bytes(), &manner()).unwrap();
    assert_eq!(selected.without_trigger, 1, "the removal of old");
    let nothing = RetryOptions { proposed: ProposedPackages::Nothing, ..manner() };
    let selected = regressions().read(EXCUSES.as_bytes(), &nothing).unwrap();
    let triggers: Vec<String> = selected.retries.iter().map(|retry| retry.triggers[0].to_string()).collect();
    assert_eq!((triggers, selected.without_trigger), (vec!["gzip/1.12-1".to_owned()], 2), "asked for once");
}

#[test]
fn a_request_goes_where_its_packages_come_from() {
    let retries = regressions().read(EXCUSES.as_bytes(), &manner()).unwrap().retries;
    let contexts: Vec<Context> = retries.iter().map(|retry| retry.submission(None).unwrap().queue.context).collect();
    assert_eq!(contexts, [Context::Distribution, Context::Ppa, Context::Distribution]);
}

#[test]
fn excuses_of_another_release_are_refused() {
    let other: Release = "jammy".parse().unwrap();
    let selected = regressions().read(EXCUSES.as_bytes(), &RetryOptions { release: other, ..manner() }).unwrap();
    assert!(selected.retries.is_empty());
    let message = "the test of gzip for glibc: its address asks for the release noble, not for jammy".to_owned();
    assert_eq!(selected.odd[0], LineError { line: 20, message });
}

#[test]
fn faults_are_told_with_their_lines() {
    for text in ["", "<!DOCTYPE html>\n<p>\n", "x: 1\n"] {
        assert!(fault(text).contains("no list `sources`"), "{text}: {}", fault(text));
    }
    assert!(fault("sources: {}\n").starts_with("line 1: `sources` is not a list"));
    assert!(fault("sources:\n- item: a\n").starts_with("line 2: this item names no `source`"));
    let broken = fault("sources:\n- reason:\n  - x\n  source: 'a\n");
    assert!(broken.starts_with("line 4: "), "{broken}");
    assert!(fault("sources:\n- source: a\n  - b\n -c\n").starts_with("line "));
    let good: Vec<_> = Excuses::new("sources: []\nx: 1\n".as_bytes(), &[]).collect();
    assert!(good.is_empty());
}

/// Returns an excuse for each of these verdicts of a test on amd64.
fn excuses_with(verdicts: &[&str]) -> String {
    let item = |verdict: &&str| {
        format!(
            "- source: glibc\n  new-version: 2.40-1\n  policy_info:\n    autopkgtest:\n      gzip/1.12-1:\n        amd64: {verdict}\n"
        )
    };
    format!("sources:\n{}", verdicts.iter().map(item).collect::<String>())
}

#[test]
fn odd_entries_are_left_out_and_the_rest_is_read() {
    let address = |query: &str| {
        format!("[REGRESSION, null, null, null, 'request.cgi?release=noble&arch=amd64&package=gzip&{query}']")
    };
    let verdicts = [
        "null",
        "[]",
        "5",
        "[null]",
        "{a: b}",
        "[5, x]",
        &address("trigger=glibc%2F2.40-1&colour=red"),
        &address("trigger=nonsense"),
        &address("trigger=migration-reference%2F0&all-proposed=1"),
        "[REGRESSION, null, null, null, 'https://host/nothing']",
        &address("trigger=glibc%2F2.40-1+b1"),
    ];
    let selected = regressions().read(excuses_with(&verdicts).as_bytes(), &manner()).unwrap();
    let triggers: Vec<String> = selected.retries.iter().map(|retry| retry.triggers[0].to_string()).collect();
    assert_eq!(triggers, ["glibc/2.40-1+b1"], "a `+` that is not escaped is one");
    let lines: Vec<usize> = selected.odd.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, (0..10).map(|item| 7 + 6 * item).collect::<Vec<_>>(), "{:#?}", selected.odd);
    assert!(selected.odd[0].message.contains("gzip on amd64 has no verdict"), "{:?}", selected.odd[0]);
    assert!(selected.odd[6].message.contains("colour"), "{:?}", selected.odd[6]);
    // Also an item that is completely malformed.
    let text = excuses_with(&["[REGRESSION]"])
        .replace("sources:\n", "sources:\n- item: x\n- source: [a\n- source: b\n  policy_info: 5\n");
    let selected = regressions().read(text.as_bytes(), &manner()).unwrap();
    assert_eq!((selected.retries.len(), selected.odd.len()), (1, 3), "{:#?}", selected.odd);
}

#[test]
fn a_baseline_stays_alone() {
    let address = |trigger: &str| {
        format!(
            "[RUNNING-REFERENCE, null, null, null, 'request.cgi?release=noble&arch=amd64&package=gzip&trigger={trigger}']"
        )
    };
    let text = excuses_with(&[&address("migration-reference%2F0"), &address("glibc%2F2.40-1")]);
    let selection = Selection { states: vec![TestState::RunningReference], ..Selection::default() };
    let manner =
        RetryOptions { further: vec!["dpkg/1.22".parse().unwrap()], proposed: ProposedPackages::All, ..manner() };
    let selected = selection.read(text.as_bytes(), &manner).unwrap();
    assert!(selected.odd.is_empty(), "{:?}", selected.odd);
    let grouped = group(selected.retries);
    let request =
        |retry: &Retry| serde_json::to_string(&retry.submission(None).unwrap().request.public_parameters()).unwrap();
    let requests: Vec<String> = grouped.iter().map(request).collect();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests[0].contains("migration-reference/0") && !requests[0].contains("dpkg"), "{requests:?}");
    assert!(requests[1].contains("dpkg/1.22") && requests[1].contains("all-proposed"), "{requests:?}");
}

#[test]
fn a_test_without_an_address_has_the_ppas_of_the_others() {
    let address = |ppa: &str| {
        format!(
            "[REGRESSION, null, null, null, 'request.cgi?release=noble&arch=amd64&package=gzip&trigger=glibc%2F2.40-1{ppa}']"
        )
    };
    let running = Selection { states: vec![TestState::Running], ..Selection::default() };
    let without = "[RUNNING, 'https://ci/running', null, null, null]";
    let read = |verdicts: &[&str]| running.read(excuses_with(verdicts).as_bytes(), &manner()).unwrap();
    let ppas = |selected: &SelectedRetries| selected.retries.iter().map(|retry| retry.ppas.len()).collect::<Vec<_>>();
    // One verdict in braces, and one that is skipped as unwanted.
    assert_eq!(ppas(&read(&[without, &address("&ppa=o%2Fn&ppa=o%2Fm")])), [2]);
    let list = format!(
        "\n        - REGRESSION\n        - null\n        - null\n        - null\n        - {}",
        address("&ppa=o%2Fn").trim_matches(['[', ']']).rsplit(", ").next().unwrap().trim_matches('\'')
    );
    assert_eq!(ppas(&read(&[without, &list])), [1]);
    assert_eq!(ppas(&read(&[without, &address("")])), [0]);
    let mixed = read(&[without, &address("&ppa=o%2Fn"), &address("")]);
    assert_eq!((ppas(&mixed), mixed.odd.len()), (vec![], 1), "{:?}", mixed.odd);
    assert!(mixed.odd[0].message.contains("PPAs"), "{:?}", mixed.odd);
}

#[test]
fn debians_addresses_mean_the_new_version() {
    let address = "https://ci.debian.net/api/v1/retry/65535";
    let text = excuses_with(&[&format!("[REGRESSION, null, null, null, '{address}']")]);
    let read = |manner: &RetryOptions| regressions().read(text.as_bytes(), manner).unwrap().retries.remove(0);
    let retry = read(&manner());
    assert_eq!((retry.triggers[0].to_string(), retry.url()), ("glibc/2.40-1".to_owned(), address.to_owned()));
    assert_eq!(retry.submission(None).unwrap().queue.to_string(), "debci-noble-amd64");
    let all = read(&RetryOptions { proposed: ProposedPackages::All, ..manner() });
    assert!(all.url().ends_with("trigger=glibc%2F2.40-1&all-proposed=1"), "that address cannot say so: {}", all.url());
}

#[test]
fn an_xz_bomb_ends_in_an_error() {
    // xz -9 of 200 comments of 100 kB each.
    let packed = include_bytes!("bomb.xz");
    let read: Result<Vec<_>, _> = Excuses::new(super::text_up_to(1 << 20, packed.as_slice()).unwrap(), &[]).collect();
    let error = read.unwrap_err().to_string();
    assert!(error.contains("longer than 1 MiB"), "{error}");
}

#[test]
fn deep_nesting_makes_one_item_odd() {
    let item = |source: &str, verdict: &str| {
        format!(
            "- source: {source}\n  policy_info:\n    autopkgtest:\n      gzip/1:\n        amd64:\n          {verdict}\n"
        )
    };
    let list = "[REGRESSION, null, null, null, null]";
    for deep in ["- ".repeat(100_000), "[".repeat(100_000), "? ".repeat(100_000), "{a: ".repeat(250)] {
        let text = format!("sources:\n{}{}", item("a", &deep), item("b", list));
        let read: Vec<_> = Excuses::new(text.as_bytes(), &[TestState::Regression]).collect();
        assert!(matches!(&read[..], [Err(ExcusesError::OddItem(_)), Ok(_)]), "{:?}", deep.get(..8));
    }
}

#[test]
fn many_small_items_end_in_an_error() {
    let item = "- source: gzip\n  item-name: gzip\n";
    let text = format!("sources:\n{}", item.repeat(10));
    let most = FileLimits { items: 10, lines: 21, kept: 10 * item.len() };
    let read =
        |bounds| Excuses::within(bounds, text.as_bytes(), &[TestState::Regression]).collect::<Result<Vec<_>, _>>();
    assert_eq!(read(most).unwrap().len(), 10);
    for (bounds, expected) in [
        (FileLimits { items: 9, ..most }, "line 20: more than 9 items are too many for excuses"),
        (FileLimits { lines: 20, ..most }, "line 21: more than 20 lines are too many for excuses"),
        (FileLimits { kept: 319, ..most }, "line 21: more than 319 bytes that tell of tests are too many for excuses"),
    ] {
        assert_eq!(read(bounds).unwrap_err().to_string(), expected);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Excuses::new(bytes.as_slice(), &[TestState::Regression]).collect::<Vec<_>>();
    }

    #[test]
    fn no_damaged_file_makes_the_reader_panic(at in 0..EXCUSES.len(), text in "[\\PC\n\t -:'\\[\\]{}]{0,8}", cut in 0..40_usize) {
        let (before, after) = EXCUSES.split_at(at);
        let damaged = format!("{before}{text}{}", after.get(cut..).unwrap_or_default());
        let lines = damaged.lines().count() + 1;
        for excuse in Excuses::new(damaged.as_bytes(), &[TestState::Regression, TestState::Pass]) {
            if let Err(ExcusesError::Malformed(LineError { line, .. }) | ExcusesError::OddItem(LineError { line, .. })) = &excuse {
                prop_assert!((1..=lines).contains(line), "line {line} of {lines}");
            }
        }
        let _ = regressions().read(damaged.as_bytes(), &manner());
    }
}

/// Returns a result of gzip with one trigger.
fn result(number: usize, trigger: &str, exitcode: i32, proof: ProofVerdict) -> StoredRun {
    StoredRun {
        container: "autopkgtest-noble".to_owned(),
        path: PackagePath {
            release: "noble".parse().unwrap(),
            architecture: "amd64".parse().unwrap(),
            package: "gzip".parse().unwrap(),
        },
        id: format!("20260101_0000{number:02}@").parse().unwrap(),
        summary: RunSummary {
            exitcode,
            version: "1.12-1".to_owned(),
            duration: 1,
            triggers: Some(vec![trigger.to_owned()]),
            requester: None,
            uuid: None,
            proof,
            fallback: false,
            options: Some(RunOptions::default()),
        },
        damaged: false,
    }
}

#[test]
fn the_newest_result_tells_whether_the_infrastructure_failed() {
    use ProofVerdict::{None, Proven, Refuted};
    const GLIBC: &str = "glibc/2.40-1+b1~x";
    let selected = regressions().read(EXCUSES.as_bytes(), &manner()).unwrap();
    let is_gzip = |retry: &&Retry| {
        retry.package.as_str() == "gzip" && retry.triggers.iter().any(|trigger| trigger.to_string() == GLIBC)
    };
    let retry = selected.retries.iter().find(is_gzip).unwrap();
    let damaged = |run: StoredRun| StoredRun { damaged: true, ..run };
    let of_branch = |mut run: StoredRun| {
        run.summary.options = Some(RunOptions { branch: true, ..RunOptions::default() });
        run
    };
    let fail = || result(0, GLIBC, 4, Proven);
    for (expected, runs) in [
        (false, vec![]),
        (false, vec![fail()]),
        (true, vec![fail(), result(1, GLIBC, 16, None)]),
        // A mirror or a PPA was unreachable: the testbed lacked something that was requested.
        (true, vec![fail(), result(1, GLIBC, 16, Refuted)]),
        (true, vec![fail(), result(1, GLIBC, 0, Refuted)]),
        (false, vec![result(0, GLIBC, 16, Refuted), result(1, GLIBC, 4, Proven)]),
        (false, vec![fail(), damaged(result(1, GLIBC, 16, None))]),
        (false, vec![fail(), of_branch(result(1, GLIBC, 16, None))]),
        (false, vec![fail(), result(1, "zlib/1", 16, None)]),
    ] {
        assert_eq!(is_infrastructure(retry, &runs), expected, "{runs:#?}");
    }
}
