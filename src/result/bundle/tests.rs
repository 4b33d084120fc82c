use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// An output folder, a request, and a place for the bundle.
struct Scene {
    folder: TempDir,
    request: Request,
    exit_code: i32,
    note: Option<&'static str>,
}

impl Scene {
    fn new(request: &str) -> Self {
        let request = Request::parse(request.as_bytes()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), request, exit_code: 0, note: None }
    }

    fn output(&self, name: &str) -> PathBuf {
        self.folder.path().join("output").join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.output(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn destination(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn pack(&self) -> Result<Bundle, BundleError> {
        self.pack_within(MOST_ARTIFACTS)
    }

    fn pack_within(&self, most: u64) -> Result<Bundle, BundleError> {
        let material = Material {
            output: &self.output(""),
            exit_code: self.exit_code,
            duration: Duration::from_millis(12_700),
            request: &self.request,
            attempt: 2,
            note: self.note,
        };
        pack_within(most, &material, &self.destination())
    }

    fn log(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(File::open(self.destination().join(LOG)).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    /// The members of an archive as Python's tarfile sees them: name → text, or `-> target`, or the kind.
    fn members(&self, archive: &str) -> Value {
        let script = "
import json, sys, tarfile
members = {}
with tarfile.open(sys.argv[1]) as archive:
    for member in archive:
        if member.isfile():
            data = archive.extractfile(member).read()
            value = data.decode() if len(data) < 5000 else len(data)
        elif member.issym():
            value = '-> ' + member.linkname
        else:
            value = {tarfile.DIRTYPE: 'folder'}.get(member.type, 'other')
        members[ascii(member.name)] = value
print(json.dumps(members))";
        let output =
            Command::new("python3").args(["-c", script]).arg(self.destination().join(archive)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let quoted: Value = serde_json::from_slice(&output.stdout).unwrap();
        let plain = |name: &String| name.trim_matches('\'').to_owned();
        quoted.as_object().unwrap().iter().map(|(name, value)| (plain(name), value.clone())).collect()
    }

    fn testinfo(&self) -> Value {
        serde_json::from_str(self.members(RESULT)["testinfo.json"].as_str().unwrap()).unwrap()
    }
}

const GZIP: &str =
    r#"gzip {"triggers": ["glibc/2.36-9", "zlib/1"], "env": ["A=1"], "requester": "alice", "uuid": "u-1"}"#;

#[test]
fn a_finished_test_becomes_a_result_that_python_reads() {
    let scene = Scene::new(GZIP);
    scene.write("log", "line one\nline two\n");
    scene.write("testpkg-version", "gzip 1.12-1\n");
    scene.write("testinfo.json", r#"{"nproc": "2", "custom_environment": ["A=1", "ADT_TEST_TRIGGERS=stale/1"]}"#);
    scene.write("testbed-packages", "libc6\t2.36-9\n");
    scene.write("summary", "upstream PASS\n");
    scene.write("upstream-stdout", "ok\n");
    scene.write("artifacts/deep/data", "x");
    let bundle = scene.pack().unwrap();

    let members = scene.members(RESULT);
    assert_eq!(members["exitcode"], "0\n");
    assert_eq!(members["testpkg-version"], "gzip 1.12-1\n");
    assert_eq!(members["duration"], "12\n");
    assert_eq!(members["requester"], "alice\n");
    assert_eq!(members["testbed-packages"], "libc6\t2.36-9\n");
    assert_eq!(members["summary"], "upstream PASS\n");
    let testinfo = json!({
        "nproc": "2",
        "custom_environment": ["A=1", "ADT_TEST_TRIGGERS=glibc/2.36-9 zlib/1"],
        "apt-ci": {"attempt": 2, "uuid": "u-1"},
    });
    assert_eq!(scene.testinfo(), testinfo);

    assert_eq!(scene.log(), "line one\nline two\n");
    let artifacts = json!({
        "artifacts": "folder", "artifacts/deep": "folder", "artifacts/deep/data": "x", "upstream-stdout": "ok\n",
    });
    assert_eq!(scene.members(ARTIFACTS), artifacts);

    let summary = RunSummary {
        exitcode: 0,
        version: "1.12-1".to_owned(),
        duration: 12,
        triggers: Some(vec!["glibc/2.36-9".to_owned(), "zlib/1".to_owned()]),
        requester: Some("alice".to_owned()),
        uuid: Some("u-1".to_owned()),
    };
    assert_eq!(bundle.summary, summary);
    assert_eq!(Bundle::open(&bundle.dir).unwrap(), Some(bundle));
}

#[test]
fn a_run_that_never_started_still_has_what_proposed_migration_needs() {
    let mut scene = Scene::new(GZIP);
    scene.exit_code = 16;
    scene.note = Some("autopkgtest is not installed on this worker.");
    let bundle = scene.pack().unwrap();
    let members = scene.members(RESULT);
    assert_eq!(members["exitcode"], "16\n");
    assert_eq!(members["testpkg-version"], "gzip unknown\n");
    assert_eq!(scene.testinfo()["custom_environment"], json!(["A=1", "ADT_TEST_TRIGGERS=glibc/2.36-9 zlib/1"]));
    assert_eq!(scene.log(), "autopkgtest is not installed on this worker.\n");
    assert_eq!(scene.members(ARTIFACTS), json!({}));
    assert_eq!(bundle.summary.version, "unknown");
}

#[test]
fn a_denylisted_package_has_the_version_that_other_programs_expect() {
    let mut scene = Scene::new("gzip");
    scene.exit_code = 99;
    assert_eq!(scene.pack().unwrap().summary.version, "blacklisted");
    assert_eq!(scene.log(), "autopkgtest wrote no log; its exit code is 99.\n");
    assert_eq!(scene.testinfo()["custom_environment"], json!([]));
}

#[test]
fn broken_files_of_a_test_are_replaced_and_kept_as_artifacts() {
    let scene = Scene::new(GZIP);
    scene.write("testinfo.json", "{ half");
    scene.write("testpkg-version", "gzip $(reboot)\n");
    scene.write("log", "cut");
    scene.write("summary", vec![b'x'; 5 << 20]);
    scene.pack().unwrap();
    assert_eq!(scene.testinfo()["custom_environment"], json!(["A=1", "ADT_TEST_TRIGGERS=glibc/2.36-9 zlib/1"]));
    assert_eq!(scene.members(RESULT)["testpkg-version"], "gzip unknown\n");
    assert_eq!(scene.members(RESULT).get("summary"), None, "every reader would have to fetch it");
    let artifacts = json!({"summary": 5 << 20, "testinfo.json": "{ half", "testpkg-version": "gzip $(reboot)\n"});
    assert_eq!(scene.members(ARTIFACTS), artifacts);
}

#[test]
fn links_are_kept_as_links_and_nothing_outside_is_read() {
    let scene = Scene::new("gzip");
    let secret = scene.folder.path().join("secret");
    fs::write(&secret, "TOP SECRET").unwrap();
    fs::create_dir_all(scene.output("")).unwrap();
    for name in ["log", "testinfo.json", "testbed-packages", "stolen"] {
        symlink(&secret, scene.output(name)).unwrap();
    }
    symlink(scene.folder.path(), scene.output("outside")).unwrap();
    scene.pack().unwrap();
    assert!(scene.log().starts_with("autopkgtest's log cannot be read: "), "{}", scene.log());
    for archive in [RESULT, ARTIFACTS] {
        let members = scene.members(archive).to_string();
        assert!(!members.contains("TOP SECRET"), "{members}");
    }
    assert_eq!(scene.members(ARTIFACTS)["stolen"], format!("-> {}", secret.display()));
    assert_eq!(scene.members(ARTIFACTS)["outside"], format!("-> {}", scene.folder.path().display()));
}

#[test]
fn what_cannot_be_kept_is_named() {
    let scene = Scene::new("gzip");
    scene.write("good", "good");
    let _socket = UnixListener::bind(scene.output("socket")).unwrap();
    nix::unistd::mkfifo(&scene.output("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let long = scene.output(&"n".repeat(200)).join("m".repeat(200));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join(std::ffi::OsStr::from_bytes(b"not \xff UTF-8\n")), "odd").unwrap();
    fs::write(scene.output("set-uid"), "").unwrap();
    fs::set_permissions(scene.output("set-uid"), fs::Permissions::from_mode(0o4755)).unwrap();
    scene.pack().unwrap();
    let members = scene.members(ARTIFACTS);
    assert_eq!(members["left-out"], "pipe: a device, pipe or socket\nsocket: a device, pipe or socket\n");
    assert_eq!(members["good"], "good");
    let odd = members.as_object().unwrap().iter().find(|(name, _)| name.contains("UTF-8"));
    assert_eq!(odd.map(|(_, text)| text.clone()), Some(json!("odd")));
}

#[test]
fn the_same_output_gives_the_same_archive() {
    let (one, two) = (Scene::new("gzip"), Scene::new("gzip"));
    for (scene, names) in [(&one, ["a", "b/c", "b-d"]), (&two, ["b-d", "b/c", "a"])] {
        for name in names {
            scene.write(name, name);
            File::open(scene.output(name)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        File::open(scene.output("b")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        scene.pack().unwrap();
    }
    let read = |scene: &Scene| fs::read(scene.destination().join(ARTIFACTS)).unwrap();
    assert!(read(&one) == read(&two));
}

#[test]
fn a_half_made_bundle_is_none_and_a_changed_one_is_damaged() {
    let scene = Scene::new("gzip");
    assert_eq!(Bundle::open(&scene.destination()).unwrap(), None);
    scene.pack().unwrap();
    fs::remove_file(scene.destination().join(MARK)).unwrap();
    assert_eq!(Bundle::open(&scene.destination()).unwrap(), None);
    scene.pack().unwrap();
    fs::write(scene.destination().join(LOG), "").unwrap();
    let error = Bundle::open(&scene.destination()).unwrap_err().to_string();
    assert!(error.contains("log.gz has 0 bytes instead of"), "{error}");
    scene.pack().unwrap();
    assert!(Bundle::open(&scene.destination()).unwrap().is_some());
}

#[test]
fn the_run_id_of_a_publication_is_remembered() {
    let scene = Scene::new("gzip");
    let bundle = scene.pack().unwrap();
    assert_eq!(bundle.run_id().unwrap(), None);
    let run = RunId::stamp(jiff::Timestamp::UNIX_EPOCH, None);
    bundle.remember_run_id(&run).unwrap();
    assert_eq!(Bundle::open(&bundle.dir).unwrap().unwrap().run_id().unwrap(), Some(run));
}

#[test]
fn result_tar_is_published_last_and_a_browser_shows_the_log() {
    let scene = Scene::new("gzip");
    let files = scene.pack().unwrap().files();
    assert_eq!(files.each_ref().map(|file| file.name), [LOG, ARTIFACTS, RESULT]);
    let headers = files.each_ref().map(|file| (file.headers.content_type.as_str(), file.headers.content_encoding));
    assert_eq!(headers[0], ("text/plain; charset=UTF-8", Some("gzip")));
    assert_eq!(headers[1], ("application/gzip", None));
    assert_eq!(headers[2].0, r#"application/x-tar; exitcode=0; version="unknown"; duration=12; triggers="""#);
    assert!(files.iter().all(|file| file.path.is_file()));
}

#[test]
fn a_full_disk_is_called_a_full_disk() {
    let full = write_durably(Path::new("/dev/full"), |file| file.write_all(&[0; 1 << 20])).unwrap_err();
    assert!(matches!(full, BundleError::DiskFull { .. }), "{full:?}");
    assert!(full.to_string().starts_with("the disk is full: /dev/full cannot be written"), "{full}");
}

#[test]
fn artifacts_that_no_store_takes_are_left_out_and_the_result_is_told_all_the_same() {
    let scene = Scene::new("gzip");
    scene.write("log", "a log\n");
    scene.write("large", "x".repeat(100_000));
    let bundle = scene.pack_within(150).unwrap();
    let members = scene.members(ARTIFACTS);
    assert_eq!(members.as_object().unwrap().len(), 1, "{members}");
    assert!(members["left-out"].as_str().unwrap().contains("a store takes at most 150"), "{members}");
    assert_eq!(scene.log(), "a log\n");
    assert_eq!(Bundle::open(&scene.destination()).unwrap(), Some(bundle));
}
