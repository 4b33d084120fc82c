//! Real packages' tests through the whole house: requested, queued, run by autopkgtest, stored, and read by the programs that
//! other people use.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::support::site::{TestSite, finish};
use crate::support::swift::Swift;
use crate::support::{Services, Story, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("gzip_in_an_isolated_testbed", gzip_isolated),
        ("gzip_on_the_embedded_queue_and_store", gzip_embedded),
        ("gzip_on_rabbitmq_and_swift_with_tempauth", |services| gzip_on_servers(services, services.swift())),
        ("gzip_on_rabbitmq_and_swift_with_keystone", |services| gzip_on_servers(services, services.swift_keystone())),
    ];
    stories("real", services, all)
}

/// autopkgtest on this host, as installed.
const NULL: &str = "[virt]\nargs = null\n";

/// The null server installs packages on this host, where dpkg lets one do that at a time.
static HOST: Mutex<()> = Mutex::new(());

fn gzip_on_host(site: &TestSite) -> Value {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    site.worker_conf(NULL);
    gzip(site)
}

fn gzip(site: &TestSite) -> Value {
    site.ok(&["run", "-s", &site.release, "-a", "amd64", "--trigger", "gzip/1.12-1", "gzip"]);
    site.ok(&["worker", "--drain"]);
    let results = site.json(&["results", "gzip"]);
    assert_eq!(results.as_array().map(Vec::len), Some(1), "{results}");
    assert_eq!(results[0]["outcome"], "pass", "{results}");
    assert_eq!(results[0]["triggers"], serde_json::json!(["gzip/1.12-1"]));
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
    for part in ["application/x-tar", "exitcode=0", "triggers=\"gzip/1.12-1\"", "duration=", "uuid="] {
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
    assert "ADT_TEST_TRIGGERS=gzip/1.12-1" in environment, environment
    assert int(read("duration").strip()) >= 0
    assert "base-files" in read("testbed-packages")
"#;
    output(Command::new("/usr/bin/python3").args(["-c", script]).arg(file));
    Ok(())
}

fn gzip_isolated(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("bookworm");
    let tarball = site.path().join("bookworm.tar");
    // autopkgtest fetches the package's source inside the testbed.
    let sources = r#"--customize-hook=sed -i -n 'p;s/^deb /deb-src /p' "$1/etc/apt/sources.list""#;
    output(Command::new("mmdebstrap").args(["--quiet", "--variant=apt", sources, "bookworm"]).arg(&tarball));
    site.worker_conf(&format!("[virt]\nargs = unshare --tarball {}\n", tarball.display()));
    // The testbed is made in a user namespace: by an ordinary user, who has a range of user ids.
    let site = site.of_ordinary_user();
    gzip(&site);
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
