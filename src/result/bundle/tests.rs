use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use flate2::read::GzDecoder;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// An output folder, a request, and a folder for the bundle.
struct Scene {
    folder: TempDir,
    request: Request,
    exit_code: i32,
    note: Option<&'static str>,
    failures: Vec<Value>,
    secrets: Vec<SecretString>,
}

impl Scene {
    fn new(request: &str) -> Self {
        let request = Request::parse(request.as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, request, exit_code: 0, note: None, failures: Vec::new(), secrets: Vec::new() }
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
        self.pack_within(LIMITS)
    }

    fn pack_within(&self, limits: Limits) -> Result<Bundle, BundleError> {
        let output = self.output("");
        let material = BundleInput::new(&output, &self.request, self.exit_code, Duration::from_millis(12_700));
        let material = BundleInput {
            attempt: 2,
            worker: Some("host-1"),
            failures: &self.failures,
            note: self.note,
            secrets: &self.secrets,
            ..material
        };
        pack_within(&limits, &material, &self.destination())
    }

    fn log(&self) -> String {
        use std::io::Read;
        let mut text = String::new();
        GzDecoder::new(File::open(self.destination().join(LOG)).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    /// Returns the members of an archive as Python's tarfile reads them: name → text, or `-> target`, or the kind.
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
        self.document("testinfo.json")
    }

    fn document(&self, name: &str) -> Value {
        serde_json::from_str(self.members(RESULT)[name].as_str().unwrap()).unwrap()
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
        "apt-ci": {
            "attempt": 2, "uuid": "u-1", "worker": "host-1", "triggers": ["glibc/2.36-9", "zlib/1"], "ppas": [], "failures": [],
            "request": {"triggers": ["glibc/2.36-9", "zlib/1"], "env": ["A=1"], "requester": "alice"},
        },
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
        proof: crate::result::ProofVerdict::None,
        fallback: false,
        options: Some(super::super::RunOptions::default()),
    };
    assert_eq!(bundle.summary, summary);
    assert_eq!(Bundle::open(&bundle.dir).unwrap(), Some(Bundle { unused_id: None, ..bundle }));
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
    fs::remove_file(scene.destination().join(BUNDLE_MANIFEST)).unwrap();
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
    let mut bundle = scene.pack().unwrap();
    assert!(bundle.unused_id.is_some());
    assert_eq!(bundle.run_id().unwrap(), bundle.unused_id);
    let run = RunId::stamp(jiff::Timestamp::UNIX_EPOCH, None);
    bundle.remember_run_id(&run).unwrap();
    assert_eq!(bundle.unused_id, None, "it was not given for nothing");
    let opened = Bundle::open(&bundle.dir).unwrap().unwrap();
    assert_eq!((opened.run_id().unwrap(), opened.unused_id), (Some(run), None));
}

#[test]
fn result_tar_is_published_last_and_a_browser_shows_the_log() {
    let scene = Scene::new("gzip");
    let files = scene.pack().unwrap().files();
    assert_eq!(files.iter().map(|file| file.name).collect::<Vec<_>>(), [LOG, ARTIFACTS, RESULT]);
    let headers = files.iter().map(|file| (file.headers.content_type.as_str(), file.headers.content_encoding));
    let headers: Vec<_> = headers.collect();
    assert_eq!(headers[0], ("text/plain; charset=UTF-8", Some("gzip")));
    assert_eq!(headers[1], ("application/gzip", None));
    let length = fs::metadata(&files[2].path).unwrap().len();
    let listed =
        r#"application/x-tar; exitcode=0; version="unknown"; duration=12; triggers=""; proof=none; tested=archive"#;
    assert_eq!(headers[2].0, format!("{listed}; length={length}"));
    assert!(files.iter().all(|file| file.path.is_file()));
}

#[test]
fn a_full_disk_is_called_a_full_disk() {
    let full = Draft::new(Path::new("/dev")).write("full", |file| file.write_all(&[0; 1 << 20])).unwrap_err();
    assert!(matches!(full, BundleError::DiskFull { .. }), "{full:?}");
    assert!(full.to_string().starts_with("the disk is full: /dev/full cannot be written"), "{full}");
}

#[test]
fn artifacts_that_no_store_takes_are_left_out_and_the_result_is_told_all_the_same() {
    let scene = Scene::new("gzip");
    scene.write("log", "a log\n");
    scene.write("large", "x".repeat(100_000));
    let bundle = scene.pack_within(Limits { archive: 150, ..LIMITS }).unwrap();
    let members = scene.members(ARTIFACTS);
    assert_eq!(members.as_object().unwrap().len(), 1, "{members}");
    assert!(members["left-out"].as_str().unwrap().contains("a store takes at most 150"), "{members}");
    let inventory = &scene.document("manifest.json")["artifacts"];
    assert_eq!((&inventory["kept"]["files"], &inventory["left-out"]["bytes"]), (&json!(0), &json!(100_000)));
    assert_eq!(scene.log(), "a log\n");
    let same = Bundle { unused_id: None, ..bundle };
    assert_eq!(Bundle::open(&scene.destination()).unwrap(), Some(same));
}

#[test]
fn of_too_many_artifacts_the_largest_are_left_out_and_named() {
    let scene = Scene::new("gzip");
    scene.write("log", "a log\n");
    scene.write("summary", "told elsewhere");
    for (name, size) in [("core", 900), ("deep/image", 5000), ("deep/small", 10), ("stdout", 400)] {
        scene.write(name, "x".repeat(size));
    }
    File::create(scene.output("hole")).unwrap().set_len(1 << 40).unwrap();
    let bundle = scene.pack_within(Limits { artifacts: 1400, ..LIMITS }).unwrap();
    let members = scene.members(ARTIFACTS);
    let reason = |size: u64| format!("{size} bytes: of more than 1400 the largest files are left out");
    let mut kept: Vec<&str> = members.as_object().unwrap().keys().map(String::as_str).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["core", "deep", "deep/small", "left-out", "stdout"]);
    let list = format!("deep/image: {}\nhole: {}\n", reason(5000), reason(1 << 40));
    assert_eq!(members["left-out"], list);

    let manifest = scene.document("manifest.json");
    let stored = |name: &str| fs::metadata(bundle.dir.join(name)).unwrap().len();
    assert_eq!(manifest["files"][LOG], json!({"size": 6, "stored": stored(LOG)}));
    assert_eq!(manifest["files"][ARTIFACTS]["stored"], stored(ARTIFACTS));
    assert!(manifest["files"][ARTIFACTS]["size"].as_u64().unwrap() > 1310);
    assert_eq!(manifest["artifacts"]["kept"], json!({"files": 3, "bytes": 1310}));
    assert_eq!(manifest["artifacts"]["left-out"], json!({"files": 2, "bytes": (1_u64 << 40) + 5000}));
    let largest = json!([
        {"name": "hole", "size": 1_u64 << 40, "left-out": reason(1 << 40)},
        {"name": "deep/image", "size": 5000, "left-out": reason(5000)},
        {"name": "core", "size": 900},
        {"name": "stdout", "size": 400},
        {"name": "deep/small", "size": 10},
    ]);
    assert_eq!(manifest["artifacts"]["largest"], largest);
}

#[test]
fn the_middle_of_an_endless_log_is_left_out() {
    let scene = Scene::new("gzip");
    scene.write("log", "begin\n".to_owned() + &"x\n".repeat(1000) + "the end\n");
    scene.pack_within(Limits { log: (7, 12), ..LIMITS }).unwrap();
    assert_eq!(scene.log(), "begin\n[... 1998 bytes of the log, which has 2014, are left out here ...]\nx\nthe end\n");
    let log = &scene.document("manifest.json")["files"][LOG];
    assert_eq!((&log["left-out"], &log["size"]), (&json!(1998), &json!(scene.log().len())));
}

#[test]
fn who_may_read_a_result_is_published_beside_it() {
    let scene = Scene::new(r#"gzip {"swiftuser": "ann", "readable-by": ["bob", "cid"]}"#);
    let bundle = scene.pack().unwrap();
    let files = bundle.files();
    assert_eq!(files.iter().map(|file| file.name).collect::<Vec<_>>(), [LOG, ARTIFACTS, READABLE_BY, RESULT]);
    assert_eq!(fs::read_to_string(&files[2].path).unwrap(), "bob\ncid\n");
    assert_eq!(files[2].headers.content_type, "text/plain; charset=UTF-8");
    assert_eq!(scene.members(RESULT).get(READABLE_BY), None, "it stays on its own");
    assert_eq!(scene.document("manifest.json")["files"][READABLE_BY], json!({"size": 8, "stored": 8}));
    assert_eq!(Bundle::open(&bundle.dir).unwrap(), Some(Bundle { unused_id: None, ..bundle }));
    fs::remove_file(scene.destination().join(READABLE_BY)).unwrap();
    assert!(Bundle::open(&scene.destination()).is_err(), "a result that everybody is kept from");
}

#[test]
fn a_bundle_of_three_files_that_an_older_version_has_written_is_opened() {
    let scene = Scene::new("gzip");
    let bundle = scene.pack().unwrap();
    let size = |name: &str| fs::metadata(bundle.dir.join(name)).unwrap().len();
    let summary = serde_json::to_value(&bundle.summary).unwrap();
    let sizes = json!({"log": size(LOG), "artifacts": size(ARTIFACTS), "result": size(RESULT)});
    let mark = json!({"summary": summary, "sizes": sizes}).to_string();
    fs::write(bundle.dir.join(BUNDLE_MANIFEST), mark).unwrap();
    let opened = Bundle::open(&bundle.dir).unwrap().unwrap();
    assert!(!opened.is_of(&scene.request), "it does not tell whose result it is");
    assert_eq!(opened, Bundle { unused_id: None, request: None, ..bundle });
}

#[test]
fn no_file_of_a_bundle_holds_a_token() {
    const TOKEN: &str = "Se~ret+Token=1";
    // base64 of `user:Se~ret+Token=1`
    const LOGIN: &str = "dXNlcjpTZX5yZXQrVG9rZW49MQ";
    let mut scene = Scene::new(&format!(
        r#"gzip {{"triggers": ["glibc/2.36"], "ppas": ["user:{TOKEN}@team/hidden"], "env": ["KEY={TOKEN}"], "uuid": "u-1",
            "requester": "ann {TOKEN}"}}"#
    ));
    let text =
        format!("deb https://user:{TOKEN}@host/ x\nAuthorization: Basic {LOGIN}==\nSe~ret%2bToken%3D1 other-secret\n");
    for name in ["log", "summary", "testbed-packages", "artifacts/apt/sources.list", &format!("a-{TOKEN}/b-{LOGIN}")] {
        scene.write(name, &text);
    }
    let mut large = "x".repeat(200_000).into_bytes();
    let at = 65_536 - 5;
    large[at..at + TOKEN.len()].copy_from_slice(TOKEN.as_bytes());
    scene.write("large", &large);
    scene.write(
        "testinfo.json",
        json!({"apt": {TOKEN: [text]}, "custom_environment": [format!("KEY={TOKEN}")]}).to_string(),
    );
    scene.write("testpkg-version", format!("gzip 1{TOKEN}"));
    symlink(format!("/nowhere/{TOKEN}"), scene.output("link")).unwrap();
    let _socket = UnixListener::bind(scene.output(&format!("socket-{TOKEN}"))).unwrap();
    scene.note = Some("curl https://user:Se~ret+Token=1@host/ failed; other-secret");
    scene.failures = vec![json!({"attempt": 1, "worker": "host-2", "reason": format!("403: {TOKEN}"), "time": "now"})];
    scene.secrets = vec!["other-secret".into()];
    let bundle = scene.pack().unwrap();

    let log = scene.log();
    let stars = "*".repeat(TOKEN.len());
    assert!(
        log.starts_with(&format!("deb https://user:{stars}@host/ x\nAuthorization: Basic {}==\n", "*".repeat(26))),
        "{log}"
    );
    let own = &scene.testinfo()["apt-ci"];
    assert_eq!(
        (&own["ppas"], &own["uuid"], &own["triggers"]),
        (&json!(["team/hidden"]), &json!("u-1"), &json!(["glibc/2.36"]))
    );
    assert_eq!(own["failures"][0]["reason"], format!("403: {stars}"));
    assert_eq!((&own["request"]["env"], &own["secrets-left-out"]), (&json!([format!("KEY={stars}")]), &json!(true)));
    let mut places = vec![log, format!("{bundle:?}"), fs::read_to_string(bundle.dir.join(BUNDLE_MANIFEST)).unwrap()];
    for archive in [RESULT, ARTIFACTS] {
        places.push(scene.members(archive).to_string());
    }
    let script = "import sys, tarfile; print([tarfile.open(sys.argv[1]).extractfile('large').read()])";
    let large = Command::new("python3").args(["-c", script]).arg(bundle.dir.join(ARTIFACTS)).output().unwrap();
    places.push(String::from_utf8(large.stdout).unwrap());
    assert!(places[5].contains(&format!("x{stars}x")));
    places.extend(bundle.files().iter().map(|file| file.headers.content_type.clone()));
    // Also the compressed archives: their headers contain names.
    for name in fs::read_dir(&bundle.dir).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&name).unwrap();
        if name.extension().is_some_and(|extension| extension == "gz") {
            let mut unpacked = Vec::new();
            std::io::Read::read_to_end(&mut GzDecoder::new(bytes.as_slice()), &mut unpacked).unwrap();
            bytes = unpacked;
        }
        places.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    for place in places {
        for secret in [TOKEN, LOGIN, "%2bToken", "other-secret"] {
            assert!(!place.contains(secret), "{secret} in {place}");
        }
    }
}
