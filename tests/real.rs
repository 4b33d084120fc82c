//! Real packages' tests through the whole house: requested, queued, run by autopkgtest, stored, and read by the programs that
//! other people use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::files::FileServer;
use testkit::git::Project;
use testkit::site::{TestSite, finish, without_seconds};
use testkit::swift::Swift;
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("gzip_in_an_isolated_testbed", gzip_isolated),
        ("one_test_of_several_and_a_package_built_from_git", isolated),
        ("tests_from_git_pass_fail_and_are_skipped", git_on_host),
        ("an_autopkgtest_that_fetches_no_branches_gets_a_checkout", old_autopkgtest),
        ("a_branch_that_autopkgtest_cannot_fetch_is_not_the_packages_fault", not_fetched),
        ("a_testbed_that_cannot_be_made_is_tried_thrice_and_is_not_the_packages_fault", bad_testbed),
        ("gzip_on_the_embedded_queue_and_store", gzip_embedded),
        ("gzip_on_rabbitmq_and_swift_with_tempauth", |services| gzip_on_servers(services, services.swift())),
        ("gzip_on_rabbitmq_and_swift_with_keystone", |services| gzip_on_servers(services, services.swift_keystone())),
    ];
    stories("real", services, all)
}

/// autopkgtest on this host, as installed.
pub const NULL: &str = "[virt]\nargs = null\n";

/// The null server installs packages on this host, where dpkg lets one do that at a time.
pub static HOST: Mutex<()> = Mutex::new(());

fn gzip_on_host(site: &TestSite) -> Value {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    site.worker_conf(NULL);
    gzip(site, &gzip_of_host())
}

/// Version of gzip's source in Debian 12, which the isolated testbed has.
const BOOKWORM_GZIP: &str = "1.12-1";

/// Version of gzip's source that this host has: the null server tests that one.
pub fn gzip_of_host() -> String {
    output(Command::new("dpkg-query").args(["--show", "--showformat=${source:Version}", "gzip"]))
}

fn gzip(site: &TestSite, version: &str) -> Value {
    let trigger = format!("gzip/{version}");
    site.ok(&["run", "-s", &site.release, "-a", "amd64", "--trigger", &trigger, "gzip"]);
    site.ok(&["worker", "--drain"]);
    let results = site.json(&["results", "gzip"]);
    assert_eq!(results.as_array().map(Vec::len), Some(1), "{results}");
    assert_eq!(results[0]["outcome"], "pass", "{results}");
    assert_eq!(results[0]["triggers"], json!([trigger]));
    // Also on this host itself, whose own packages are what was tested.
    assert_eq!(results[0]["proof"], "proven", "{}", site.ok(&["results", "show", "gzip"]));
    assert!(results[0]["version"].as_str().is_some_and(|version| version.starts_with("1.")), "{results}");
    let log = site.ok(&["log", "gzip"]);
    assert!(log.contains("autopkgtest [") && log.contains("PASS"), "{log}");
    results[0].clone()
}

fn gzip_embedded(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let run = gzip_on_host(&site);
    // The folder has the layout of the container, so that any web server can show it.
    let folder = site.path().join("results").join(run["container"].as_str().expect("a container"));
    let folder = folder.join(run["path"].as_str().expect("a path"));
    for file in ["log.gz", "artifacts.tar.gz", "result.tar"] {
        assert!(folder.join(file).is_file(), "{file} is in {}", folder.display());
    }
    read_result_tar(&folder.join("result.tar"))
}

fn gzip_on_servers(services: &Services, swift: &Swift) -> Result<(), Failed> {
    let site = TestSite::on(&services.rabbitmq().url(), "swift:", swift.environment());
    let run = gzip_on_host(&site);
    let container = format!("autopkgtest-{}", site.release);
    let path = run["path"].as_str().expect("a path");
    assert!(path.starts_with(&format!("{}/amd64/g/gzip/", site.release)) && path.ends_with('@'), "{path}");

    let listed = output(Command::new("swift").args(["list", &container]).envs(swift.environment()));
    let objects: Vec<String> =
        ["artifacts.tar.gz", "log.gz", "result.tar"].iter().map(|file| format!("{path}/{file}")).collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), objects);

    // Without credentials, as browsers and proposed-migration do.
    let url = format!("{}/{container}", swift.storage_url());
    let runs = curl(&[&format!("{url}?delimiter=@&prefix={}/amd64/g/gzip/", site.release)]);
    assert_eq!(runs.trim(), path);
    let headers = curl(&["-D", "-", "-o", "/dev/null", &format!("{url}/{path}/log.gz")]).to_lowercase();
    assert!(headers.contains("content-type: text/plain; charset=utf-8"), "{headers}");
    assert!(headers.contains("content-encoding: gzip"), "{headers}");
    let log = curl(&["--compressed", &format!("{url}/{path}/log.gz")]);
    assert!(log.contains("autopkgtest [") && log.contains("PASS"), "{log}");
    let listing: Value = serde_json::from_str(&curl(&[&format!("{url}?format=json&prefix={path}/result.tar")]))?;
    let kind = listing[0]["content_type"].as_str().expect("a content type");
    let triggers = format!("triggers=\"gzip/{}\"", gzip_of_host());
    for part in ["application/x-tar", "exitcode=0", &triggers, "duration=", "uuid="] {
        assert!(kind.contains(part), "{part} in {kind}");
    }
    let file = site.path().join("result.tar");
    curl(&["-o", file.to_str().expect("a path in UTF-8"), &format!("{url}/{path}/result.tar")]);
    read_result_tar(&file)
}

/// Reads result.tar as proposed-migration does: with Python's tarfile, and in need of three members.
fn read_result_tar(file: &Path) -> Result<(), Failed> {
    let script = r#"
import json, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    read = lambda name: tar.extractfile(name).read().decode()
    assert int(read("exitcode").strip()) == 0
    source, version = read("testpkg-version").split()
    assert source == "gzip" and version.startswith("1."), version
    environment = json.loads(read("testinfo.json"))["custom_environment"]
    assert f"ADT_TEST_TRIGGERS=gzip/{sys.argv[2]}" in environment, environment
    assert int(read("duration").strip()) >= 0
    assert "base-files" in read("testbed-packages")
"#;
    output(Command::new("/usr/bin/python3").args(["-c", script]).arg(file).arg(gzip_of_host()));
    Ok(())
}

fn gzip_isolated(services: &Services) -> Result<(), Failed> {
    gzip(&TestSite::local().isolated(&services.testbed().tarball()), BOOKWORM_GZIP);
    Ok(())
}

/// A project, and a web server that has its git repository as plain files.
pub fn project_on_the_web(folder: &Path) -> (Project, FileServer, String) {
    let project = Project::new(folder);
    project.write("debian/tests/greets", "#!/bin/sh\necho \"a pull request's mark is $MARK\"\n");
    project.git(&["checkout", "--quiet", "-b", "proposal"]);
    project.git(&["commit", "--quiet", "--all", "--message", "Says more"]);
    project.publish("HEAD", "refs/pull/7/head");
    project.git(&["checkout", "--quiet", "main"]);
    let server = FileServer::start(folder);
    let url = format!("{}/project.git", server.url());
    (project, server, url)
}

/// Requests for tests of a package, run by one worker. Gives each one's exit code, outcome, and log.
fn run_all(site: &TestSite, slots: &str, requests: &[(&str, Value)]) -> Vec<(i64, String, String)> {
    let line = |(package, parameters): &(&str, Value)| format!("{}:{package} {parameters}\n", site.queue_name());
    let ids = site.submit(&requests.iter().map(line).collect::<String>());
    let worker = site.run(&["worker", "--drain", "--slots", slots]);
    let ended = |id: &String| {
        let run = site.results().into_iter().find(|run| run["uuid"] == **id);
        let run = run.unwrap_or_else(|| panic!("{id} has no result: {worker:#?}"));
        let outcome = run["outcome"].as_str().expect("an outcome").to_owned();
        (run["exitcode"].as_i64().expect("an exit code"), outcome, without_seconds(&site.log_of(&run)))
    };
    ids.iter().map(ended).collect()
}

fn git_on_host(_: &Services) -> Result<(), Failed> {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let site = TestSite::local();
    site.worker_conf(NULL);
    let web = tempfile::tempdir()?;
    let (_project, _server, url) = project_on_the_web(web.path());
    let requests = [
        ("hello-git", json!({"test-git": url, "testname": "greets", "env": ["MARK=apricot"]})),
        ("hello-git", json!({"test-git": format!("{url}#refs/pull/7/head"), "testname": "greets"})),
        ("hello-git", json!({"test-git": format!("{url} main"), "testname": "fails"})),
        ("hello-git", json!({"test-git": url, "testname": "skips"})),
    ];
    let ends = run_all(&site, "1", &requests);
    let codes: Vec<(i64, &str)> = ends.iter().map(|(code, outcome, _)| (*code, outcome.as_str())).collect();
    assert_eq!(codes, [(0, "pass"), (0, "pass"), (4, "fail"), (8, "neutral")], "{ends:#?}");
    for ((_, _, log), expected) in ends.iter().zip([
        "\nthe mark is apricot\n",
        "\na pull request's mark is \n",
        "\nthis goes wrong\n",
        "SKIP exit status 77",
    ]) {
        assert!(log.contains(expected), "{expected:?}: {log}");
        // autopkgtest itself has fetched it.
        assert!(log.contains(&format!("git-source {url}")), "{log}");
    }
    assert!(!ends[0].2.contains("this goes wrong"), "only the test that was asked for: {}", ends[0].2);
    Ok(())
}

/// The installed autopkgtest, which says that it is one from before it could fetch branches, and refuses to.
const OLD: &str = r#"#!/bin/sh
case "$*" in
    *--help*) autopkgtest --help | grep -v 'url#branch' ;;
    *://*) echo "autopkgtest: error: not a valid test package" >&2; exit 20 ;;
    *) exec autopkgtest "$@" ;;
esac
"#;

fn old_autopkgtest(_: &Services) -> Result<(), Failed> {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let site = TestSite::local();
    let runner = site.path().join("checkout/runner/autopkgtest");
    fs::write(&runner, OLD)?;
    fs::set_permissions(&runner, fs::Permissions::from_mode(0o755))?;
    let web = tempfile::tempdir()?;
    let (_project, _server, url) = project_on_the_web(web.path());
    let greets = |url: &str| json!({"test-git": url, "testname": "greets", "env": ["MARK=quince"]});
    let nowhere = format!("{url}#no-such-branch");
    let requests = [
        ("hello-git", greets(&url)),
        ("hello-git", greets(&format!("{url}#refs/pull/7/head"))),
        ("hello-git", greets(&nowhere)),
    ];
    let ends = run_all(&site, "1", &requests);
    let codes: Vec<i64> = ends.iter().map(|(code, ..)| *code).collect();
    assert_eq!(codes, [0, 0, 20], "a branch that is not there is the request's fault: {ends:#?}");
    for ((_, _, log), expected) in ends.iter().zip(["\nthe mark is quince\n", "\na pull request's mark is quince\n"]) {
        assert!(log.contains(expected) && log.contains("-tree "), "{expected:?}: {log}");
    }
    assert!(ends[2].2.contains(&format!("{nowhere} cannot be fetched")), "{}", ends[2].2);
    Ok(())
}

/// What autopkgtest 5.28 says and does when git finds no such branch; it itself needs twenty seconds for that.
const NOT_FETCHED: &str = r#"#!/bin/sh
case "$*" in
    *--help*) autopkgtest --help; exit ;;
esac
mkdir -p "$2"
echo 'badpkg: rules extract failed with exit code 128' > "$2/summary"
# fetched: echo 'hello-git 1.0' > "$2/testpkg-version"
cat > "$2/log" <<END
autopkgtest [12:00:00]: @@@@@@@@@@@@@@@@@@@@ git-source http://127.0.0.1/project.git#no-such-branch
Cloning into 'project'...
fatal: couldn't find remote ref no-such-branch
autopkgtest [12:00:16]: ERROR: erroneous package: rules extract failed with exit code 128
blame: http://127.0.0.1/project.git#no-such-branch
badpkg: rules extract failed with exit code 128
END
exit 12
"#;

fn not_fetched(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let runner = site.path().join("checkout/runner/autopkgtest");
    let branch = json!({"test-git": "http://127.0.0.1/project.git#no-such-branch"});
    // The same words from a package that was fetched, or that is the archive's, are its own.
    let away = "unable to access 'http://127.0.0.1/project.git/': Failed to connect to 127.0.0.1 port 80 after 0 ms";
    let away = NOT_FETCHED.replace("couldn't find remote ref no-such-branch", away);
    let known = away.replace("# fetched: ", "");
    // A branch that is not there is the request's fault, at once: no result of the package.
    let cases = [
        (away.as_str(), branch.clone(), 16),
        (known.as_str(), branch.clone(), 12),
        (&away, json!({}), 12),
        (NOT_FETCHED, branch, 20),
    ];
    for (script, parameters, expected) in cases {
        fs::write(&runner, script)?;
        let ends = run_all(&site, "1", &[("hello-git", parameters)]);
        let [(code, _, log)] = ends.as_slice() else { panic!("one result") };
        assert_eq!(*code, expected, "{log}");
        for (reason, code) in [("unable to access", 16), ("couldn't find remote ref", 20)] {
            let reason = format!("cannot be fetched in the testbed: fatal: {reason}");
            assert_eq!(log.contains(&reason), expected == code, "{log}");
        }
    }
    Ok(())
}

fn isolated(services: &Services) -> Result<(), Failed> {
    let site = TestSite::local().isolated(&services.testbed().tarball());
    let web = tempfile::tempdir()?;
    let (_project, _server, url) = project_on_the_web(web.path());
    let requests = [
        ("hello-git", json!({"build-git": url, "testname": "installed"})),
        // It has two tests; the other one, `upstream-tests`, needs longer.
        ("hello", json!({"triggers": ["hello/2.10-3"], "testname": "command1"})),
    ];
    let ends = run_all(&site, "2", &requests);
    for (code, _, log) in &ends {
        assert_eq!(*code, 0, "{log}");
    }
    let [(_, _, built), (_, _, hello)] = ends.as_slice() else { panic!("two results") };
    assert!(built.contains("dpkg-buildpackage") && built.contains("\nbuilt from git\n"), "{built}");
    assert!(hello.contains("\nHello, world!\n") && !hello.contains("upstream-tests"), "{hello}");
    Ok(())
}

fn bad_testbed(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let tarball = site.path().join("broken.tar");
    fs::write(&tarball, "This was to be a tarball.\n")?;
    let site = site.isolated(&tarball);
    let [id] = <[String; 1]>::try_from(site.submit(&format!("{}:gzip\n", site.queue_name()))).expect("one request");
    let finished = site.run(&["worker", "--drain"]);
    // The worker cannot know that another tarball would be better: it says that it is not well.
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    let run = site.result_of(&id);
    assert_eq!((&run["exitcode"], &run["outcome"]), (&json!(16), &json!("tmpfail")), "{run}");
    let testinfo: Value = serde_json::from_str(&site.member(&run, "testinfo.json"))?;
    assert_eq!(testinfo["apt-ci"]["attempt"], json!(3), "{testinfo}");
    let failures = testinfo["apt-ci"]["failures"].as_array().expect("the earlier failures").clone();
    assert_eq!(failures.len(), 2, "{testinfo}");
    for failure in failures {
        let reason = failure["reason"].as_str().expect("a reason");
        assert!(reason.starts_with("the testbed of gzip failed: autopkgtest ended with 16: "), "{reason}");
    }
    Ok(())
}

fn curl(arguments: &[&str]) -> String {
    output(Command::new("curl").args(["--silent", "--show-error", "--fail"]).args(arguments))
}

#[track_caller]
fn output(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let finished = finish(std::mem::replace(command, Command::new("true")));
    assert!(finished.status.success(), "{shown}: {finished:#?}");
    finished.out
}
