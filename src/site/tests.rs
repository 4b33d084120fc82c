//! Sites as their users write and find them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;

use super::create::SKELETON;
use super::file::{KEYS, LAUNCHPAD_KEYS, SWIFT_KEYS};
use super::*;
use crate::testbed::{Definitions, WorkerConf};

/// A machine with a home, a system folder, and a working directory.
struct Machine {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    site: Option<PathBuf>,
    queue: Option<&'static str>,
    store: Option<&'static str>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("work/deep/down")).unwrap();
        let home = ("HOME".to_owned(), folder.path().join("home").display().to_string());
        Self { folder, variables: vec![home], site: None, queue: None, store: None }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn variable(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    fn site_at(&self, folder: &str, text: &str) -> PathBuf {
        let folder = self.path(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("apt-ci.toml"), text).unwrap();
        folder
    }

    fn find(&self) -> Result<Site, SiteError> {
        let environment = self.variables.iter().cloned().collect();
        let working_dir = self.path("work/deep");
        let lookup = Lookup {
            site: self.site.as_deref(),
            queue: self.queue,
            store: self.store,
            environment: &environment,
            working_dir: &working_dir,
        };
        Site::inspect_below(&lookup, &self.path("etc/apt-ci"))
    }

    /// Returns the settings as `KEY VALUE ORIGIN`, without the machine's folder.
    fn shown(&self) -> Vec<String> {
        let here = format!("{}/", self.folder.path().display());
        let shown = self.find().unwrap().settings().into_iter();
        shown.map(|ShownSetting { key, value, origin }| format!("{key} {value} {origin}").replace(&here, "")).collect()
    }

    fn root(&self) -> Option<PathBuf> {
        let root = self.find().unwrap().root?;
        Some(root.strip_prefix(self.folder.path()).unwrap().to_owned())
    }
}

/// Returns the error of a file as `LINE:COLUMN: MESSAGE | HINT`.
fn fault(text: &str) -> String {
    let machine = Machine::new();
    let file = machine.site_at("work", text).join("apt-ci.toml");
    let error = machine.find().unwrap_err();
    let (message, hint) = (error.to_string(), error.hint());
    let place = message.strip_prefix(&format!("{}:", file.display())).expect(&message);
    format!("{place} | {}", hint.unwrap_or_default())
}

#[test]
fn without_any_site_everything_is_local() {
    let machine = Machine::new();
    let shown = machine.shown();
    assert_eq!(shown[0], "queue local:home/.local/share/apt-ci/queue default");
    assert_eq!(shown[1], "store folder:home/.local/share/apt-ci/results default");
    let site = machine.find().unwrap();
    assert_eq!(site.root, None);
    assert_eq!(site.worker_conf, None);
    assert_eq!(site.state_dir, machine.path("home/.local/state/apt-ci"));
    assert_eq!(site.releases, Setting { value: host::releases(), origin: Origin::Default });
    assert_eq!(site.swift, SwiftSettings::default());
    assert_eq!(site.launchpad, LaunchpadSettings::default());
}

#[test]
fn the_users_folders_can_be_elsewhere() {
    let mut machine = Machine::new();
    machine.variable("XDG_DATA_HOME", "/data");
    machine.variable("XDG_STATE_HOME", "relative paths are ignored");
    let site = machine.find().unwrap();
    assert_eq!(site.store.value, StoreUrl::Folder("/data/apt-ci/results".into()));
    assert_eq!(site.state_dir, machine.path("home/.local/state/apt-ci"));

    let service = Machine { variables: Vec::new(), ..Machine::new() };
    let site = service.find().unwrap();
    assert_eq!(site.queue.value.to_string(), "local:/var/lib/apt-ci/queue");
    assert_eq!(site.state_dir, Path::new("/var/lib/apt-ci/state"));
}

#[test]
fn a_site_is_looked_for_from_the_nearest_to_the_farthest() {
    let mut machine = Machine::new();
    machine.site_at("etc/apt-ci", "");
    assert_eq!(machine.root(), Some("etc/apt-ci".into()));
    machine.site_at("home/.config/apt-ci", "");
    assert_eq!(machine.root(), Some("home/.config/apt-ci".into()));
    machine.variable("XDG_CONFIG_HOME", machine.path("config").display().to_string());
    assert_eq!(machine.root(), Some("etc/apt-ci".into()), "the user's folder is elsewhere");
    machine.site_at("config/apt-ci", "");
    assert_eq!(machine.root(), Some("config/apt-ci".into()));
    machine.site_at("work", "");
    assert_eq!(machine.root(), Some("work".into()));
    machine.site_at("work/deep", "");
    assert_eq!(machine.root(), Some("work/deep".into()));
    let named = machine.site_at("named", "");
    machine.variable("APT_CI_SITE", named.display().to_string());
    assert_eq!(machine.root(), Some("named".into()));
    machine.site_at("work/deep/down", "");
    machine.site = Some("down".into());
    assert_eq!(machine.root(), Some("work/deep/down".into()), "relative to the working directory");
    machine.site = Some("./down/apt-ci.toml".into());
    assert_eq!(machine.root(), Some("work/deep/down".into()), "the file itself can be named");
}

#[test]
fn a_named_site_must_exist() {
    let mut machine = Machine::new();
    machine.site_at("work", "");
    machine.variable("APT_CI_SITE", machine.path("nowhere").display().to_string());
    let error = machine.find().unwrap_err();
    let path = machine.path("nowhere");
    assert_eq!(error.to_string(), format!("APT_CI_SITE: no site at {}", path.display()));
    assert_eq!(error.hint().unwrap(), format!("run `apt-ci init {}` to create one", path.display()));
    machine.site = Some("down".into());
    assert!(machine.find().unwrap_err().to_string().starts_with("--site: no site at /"), "an empty folder");
}

#[test]
fn flags_come_before_variables_before_the_file() {
    let mut machine = Machine::new();
    machine.site_at("work", "# The site.\nqueue = \"local:q\"\n\nstore = \"folder:/srv/r\"\n");
    assert_eq!(
        machine.shown()[..2],
        ["queue local:work/q work/apt-ci.toml:2", "store folder:/srv/r work/apt-ci.toml:4"]
    );
    machine.variable("APT_CI_QUEUE", "amqp://me:hunter2@mq.example/ci");
    machine.variable("APT_CI_STORE", "folder:mine");
    assert_eq!(
        machine.shown()[..2],
        ["queue amqp://me@mq.example/ci APT_CI_QUEUE", "store folder:work/deep/mine APT_CI_STORE"]
    );
    machine.queue = Some("local:../q2");
    machine.store = Some("swift:");
    assert_eq!(machine.shown()[..2], ["queue local:work/deep/../q2 --queue", "store swift: --store"]);
}

#[test]
fn a_wrong_flag_or_variable_is_named_without_its_secrets() {
    let mut machine = Machine::new();
    machine.variable("APT_CI_QUEUE", "http://me:hunter2@mq.example");
    let error = machine.find().unwrap_err();
    assert_eq!(error.to_string(), "APT_CI_QUEUE: not a queue URL: it must begin with amqp://, amqps:// or local:");
    assert!(!format!("{error:?}").contains("hunter2"));
    machine.queue = Some("local:q");
    machine.store = Some("s3:bucket");
    assert_eq!(
        machine.find().unwrap_err().to_string(),
        "--store: not a store URL: it must begin with swift: or folder:"
    );
}

const FULL: &str = r#"queue = "amqps://ci@mq.example/ci"
queue-password-file = "secret/password"
store = "swift:https://swift.example/v1/AUTH_ci"
worker-conf = "conf/worker.conf"

[releases]
xenial = ["amd64", "armhf"]
wily = ["amd64"]

[swift]
cloud = "prod"
clouds-file = "clouds.yaml"
region = "r1"
interface = "internal"

[launchpad]
archive = "http://127.0.0.1:8000/ppa/"
api = "https://lp.example/devel"
"#;

#[test]
fn every_setting_knows_its_line() {
    let machine = Machine::new();
    let root = machine.site_at("work", FULL);
    assert_eq!(
        machine.shown(),
        [
            "queue amqps://ci@mq.example/ci work/apt-ci.toml:1",
            "queue-password-file work/secret/password work/apt-ci.toml:2",
            "store swift:https://swift.example/v1/AUTH_ci work/apt-ci.toml:3",
            "worker-conf work/conf/worker.conf work/apt-ci.toml:4",
            "plain-text-passwords refuse default",
            "releases.wily amd64 work/apt-ci.toml:8",
            "releases.xenial amd64 armhf work/apt-ci.toml:7",
            "swift.cloud prod work/apt-ci.toml:11",
            "swift.clouds-file work/clouds.yaml work/apt-ci.toml:12",
            "swift.region r1 work/apt-ci.toml:13",
            "swift.interface internal work/apt-ci.toml:14",
            "launchpad.api https://lp.example/devel work/apt-ci.toml:18",
            "launchpad.keyserver https://keyserver.ubuntu.com default",
            "launchpad.archive http://127.0.0.1:8000/ppa work/apt-ci.toml:17",
            "launchpad.private-archive https://private-ppa.launchpadcontent.net default",
            "web.listen 127.0.0.1:8870 default",
        ]
    );
    let site = machine.find().unwrap();
    assert_eq!(site.swift.clouds_file, Some(root.join("clouds.yaml")));
    assert_eq!(site.releases.origin, Origin::File { path: root.join("apt-ci.toml"), line: 6 });
    assert_eq!(site.queues().len(), 12, "three pairs, four contexts");
    assert!(site.queues().contains(&"debci-huge-xenial-armhf".parse().unwrap()));
    let names = |release: &str| Some(site.architectures(&release.parse().unwrap())?.len());
    assert_eq!((names("xenial"), names("sid")), (Some(2), None));
}

#[test]
fn a_release_may_name_its_pocket() {
    let machine = Machine::new();
    let releases = "[releases]\nnoble = [\"amd64\"]\njammy = { architectures = [\"amd64\"], pocket = \"none\" }\n\
                    testing = { architectures = [\"amd64\", \"arm64\"], pocket = \"unstable\" }\nsid = [\"amd64\"]\n";
    machine.site_at("work", releases);
    let site = machine.find().unwrap();
    let pocket = |release: &str| site.pockets.of(&release.parse().unwrap()).map(|pocket| pocket.to_string());
    assert_eq!(pocket("testing").as_deref(), Some("unstable"));
    assert_eq!(pocket("noble").as_deref(), Some("noble-proposed"));
    assert_eq!((pocket("jammy"), pocket("sid")), (None, None));
    assert_eq!(site.architectures(&"testing".parse().unwrap()).map(<[_]>::len), Some(2));
    let shown = machine.shown();
    assert!(shown.contains(&"releases.testing.pocket unstable work/apt-ci.toml:4".to_owned()), "{shown:?}");
    for (text, message) in [
        ("noble = { pocket = \"x\" }", "`noble` has no architectures"),
        ("noble = { architectures = [\"amd64\"], pocket = \"a b\" }", "`noble`: a pocket is the name of a suite"),
        ("noble = { architectures = [], pocket = \"x\" }", "`noble` has no architectures"),
        ("noble = { architectures = [\"amd64\"], pokcet = \"x\" }", "unknown key `releases.noble.pokcet`"),
    ] {
        let found = fault(&format!("[releases]\n{text}\n"));
        assert!(format!("{found:?}").contains(message), "{message}: {found:?}");
    }
}

#[test]
fn a_worker_conf_beside_the_file_is_used() {
    let machine = Machine::new();
    let root = machine.site_at("work", "");
    assert_eq!(machine.find().unwrap().worker_conf, None);
    fs::write(root.join("worker.conf"), "").unwrap();
    let setting = Setting { value: root.join("worker.conf"), origin: Origin::Default };
    assert_eq!(machine.find().unwrap().worker_conf.as_ref(), Some(&setting));
    // An unreadable one is not skipped: without a worker.conf, tests would run on this machine.
    for target in ["/dev/zero", "missing"] {
        fs::remove_file(root.join("worker.conf")).unwrap();
        std::os::unix::fs::symlink(target, root.join("worker.conf")).unwrap();
        assert_eq!(machine.find().unwrap().worker_conf.as_ref(), Some(&setting), "{target}");
        assert!(WorkerConf::load(&setting.value, &Definitions::default()).is_err(), "{target}");
    }
}

#[test]
fn the_password_is_read_from_a_private_file_and_never_shown() {
    let mut machine = Machine::new();
    let root = machine.site_at("work", FULL);
    let file = root.join("secret/password");
    let refusal = |machine: &Machine| {
        let error = machine.find().expect("the password is not needed to look around").queue_url().unwrap_err();
        (error.to_string(), error.hint())
    };
    let (message, _) = refusal(&machine);
    assert!(message.contains("secret/password: cannot read it: No such file"), "{message}");

    fs::create_dir(root.join("secret")).unwrap();
    fs::write(&file, "hunter2\n").unwrap();
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let (message, hint) = refusal(&machine);
        assert!(message.ends_with("can be read by others than its owner"), "{message}");
        assert_eq!(hint.unwrap(), format!("chmod 600 {}", file.display()));
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let site = machine.find().unwrap();
    let QueueUrl::Amqp(url) = site.queue_url().unwrap() else { panic!("not RabbitMQ") };
    assert!(url.has_password());
    assert_eq!(password::read(&file, None).unwrap().expose_secret(), "hunter2");
    let shown = format!("{} {site:?} {:?}", url.shown(), site.settings());
    assert!(!shown.contains("hunter2"), "{shown}");

    for text in ["", "\n", "two\nlines\n"] {
        fs::write(&file, text).unwrap();
        assert!(refusal(&machine).0.ends_with("contains no password (one line)"));
    }
    machine.queue = Some("amqp://me@other.example");
    machine.find().unwrap().queue_url().expect("the file's password is not for another server, and is not read");
    assert!(!machine.shown().iter().any(|line| line.starts_with("queue-password-file")));
}

#[test]
fn a_password_in_the_url_is_hidden() {
    let machine = Machine::new();
    machine.site_at("work", "queue = \"amqps://ci:hunter2@mq.example/ci\"");
    let site = machine.find().unwrap();
    let shown = format!("{site:?} {:?} {}", site.settings(), site.queue_url().unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_password_file_needs_a_queue_that_it_belongs_to() {
    let with = |queue: &str| fault(&format!("{queue}\nqueue-password-file = \"p\""));
    assert!(with("").starts_with("2:1: `queue-password-file` without `queue`"));
    assert!(with("queue = \"local:q\"").starts_with("2:1: a local queue has no password"));
    assert!(with("queue = \"amqp://mq.example\"").starts_with("2:1: the queue's URL names no user"));
    let twice = with("queue = \"amqp://me:hunter2@mq.example\"");
    assert!(twice.starts_with("2:1: the queue has two passwords") && !twice.contains("hunter2"), "{twice}");
}

#[test]
fn unknown_keys_are_refused_with_the_one_that_was_meant() {
    assert_eq!(fault("quue = \"local:q\""), "1:1: unknown key `quue` | did you mean `queue`?");
    assert_eq!(fault("\n  worker_conf = \"w\""), "2:3: unknown key `worker_conf` | did you mean `worker-conf`?");
    assert_eq!(fault("[release]\nwily = []"), "1:2: unknown key `release` | did you mean `releases`?");
    assert_eq!(fault("[swift]\ncluod = \"x\""), "2:1: unknown key `swift.cluod` | did you mean `cloud`?");
    assert_eq!(
        fault("colour = true"),
        "1:1: unknown key `colour` | known keys here: queue, queue-password-file, queue-type, store, worker-conf, plain-text-passwords, releases, excuses, swift, launchpad, web"
    );
}

#[test]
fn keys_below_a_section_are_told_where_they_belong() {
    let hint = "move it up, before the first [section]";
    assert_eq!(
        fault("[releases]\nwily = [\"amd64\"]\nstore = \"swift:\""),
        format!("3:1: `store` must not be in a section | {hint}")
    );
    assert_eq!(fault("[swift]\nqueue = \"local:q\""), format!("2:1: `queue` must not be in a section | {hint}"));
}

#[test]
fn wrong_types_are_refused() {
    assert_eq!(fault("queue = 5"), "1:9: `queue` must be a text, not a number | write queue = \"local:queue\"");
    assert_eq!(
        fault("store = [\"swift:\"]"),
        "1:9: `store` must be a text, not a list | write store = \"folder:results\""
    );
    assert_eq!(fault("worker-conf = \"\""), "1:15: `worker-conf` is empty | write worker-conf = \"worker.conf\"");
    assert_eq!(
        fault("swift = \"prod\""),
        "1:9: `swift` must be a section, not a text | write [swift] on a line of its own"
    );
    assert_eq!(
        fault("[releases]\nwily = \"amd64\""),
        "2:8: `wily` must be a list of architectures, not a text | write wily = [\"amd64\"]"
    );
    assert_eq!(fault("[releases]\nwily = []"), "2:8: `wily` has no architectures | write wily = [\"amd64\"]");
    assert_eq!(
        fault("[releases]\nwily = [\"amd64\",\n  64]"),
        "3:3: an architecture must be a text, not a number | write \"amd64\""
    );
    assert_eq!(
        fault("[swift]\ninterface = \"pubic\""),
        "2:13: `interface` must be public, internal or admin, not \"pubic\" | did you mean `public`?"
    );
}

#[test]
fn bad_names_and_urls_are_refused_with_their_rule() {
    assert!(fault("[releases]\nWily = [\"amd64\"]").starts_with("2:1: release \"Wily\": a release is lower-case"));
    assert!(fault("[releases]\nwily = [\"amd-64\"]").starts_with("2:9: architecture \"amd-64\": an architecture is"));
    assert!(fault("[releases]\nwily = [\"a\", \"a\"]").starts_with("2:14: a is in this list twice"));
    assert!(fault("[releases]").starts_with("1:2: `[releases]` names no release | remove the section"));
    let url = fault("# ä\nqueue = \"http://me:hunter2@mq.example\"");
    assert!(url.starts_with("2:9: `queue`: not a queue URL: it must begin with amqp://"), "{url}");
    assert!(url.ends_with("| a queue is \"amqps://USER@HOST/VHOST\", \"amqp://…\" or \"local:FOLDER\""), "{url}");
    assert!(!url.contains("hunter2"));
    assert!(
        fault("store = \"swift:ftp://x\"").starts_with("1:9: `store`: not a store URL: swift: must be followed by")
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_place_and_without_its_text() {
    let broken = fault("store = \"swift:\"\nqueue = \"amqp://me:hunter2@mq.example");
    assert!(broken.starts_with("2:") && broken.contains("not TOML: "), "{broken}");
    assert!(!broken.contains("hunter2"), "{broken}");
    assert!(fault("store = \"swift:\"\nstore = \"swift:\"").starts_with("2:1: not TOML: duplicate key"));
    let machine = Machine::new();
    let folder = machine.site_at("work", "");
    fs::write(folder.join("apt-ci.toml"), b"queue = \"\xff\"").unwrap();
    let error = machine.find().unwrap_err().to_string();
    assert!(error.starts_with("cannot read ") && error.contains("UTF-8"), "{error}");
}

/// Returns the template with its settings uncommented.
fn switched_on(template: &str) -> String {
    let setting = |line: &&str| {
        line.strip_prefix('#').is_some_and(|l| l.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
    };
    template.lines().filter(setting).map(|line| format!("{}\n", &line[1..])).collect()
}

#[test]
fn the_template_documents_every_key_and_changes_nothing() {
    let template = SKELETON[0].1;
    let mut machine = Machine::new();
    machine.variables = vec![("HOME".to_owned(), "/home/me".to_owned())];
    let without = machine.find().unwrap();
    machine.site_at("work", template);
    let with = machine.find().unwrap();
    assert_eq!(with.settings(), without.settings(), "untouched, it is the default");

    let all = switched_on(template);
    let table: toml::Table = all.parse().unwrap();
    assert_eq!(table.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), KEYS.into());
    let swift = table["swift"].as_table().unwrap();
    assert_eq!(swift.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), SWIFT_KEYS.into());
    let launchpad = table["launchpad"].as_table().unwrap();
    assert_eq!(launchpad.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(), LAUNCHPAD_KEYS.into());

    // The example of a password file needs another queue; the rest contains the defaults.
    machine.site_at("work", &all.replace("queue-password-file", "#"));
    let explicit = machine.find().unwrap();
    assert_eq!(explicit.queue.value.to_string(), without.queue.value.to_string());
    assert_eq!(explicit.store.value, without.store.value);
    assert_eq!(explicit.worker_conf.unwrap().value, machine.path("work/worker.conf"));
    assert_eq!(explicit.swift.interface.as_deref(), Some("public"));
    assert_eq!(explicit.launchpad, without.launchpad);
}

#[test]
fn excuses_are_a_file_of_the_site_or_an_address() {
    let machine = Machine::new();
    machine.site_at("work", "[excuses]\nwily = \"excuses/wily.yaml\"\nxenial = \"https://h/update_excuses.yaml.xz\"");
    let shown = machine.shown();
    assert!(shown.contains(&"excuses.wily work/excuses/wily.yaml work/apt-ci.toml:2".to_owned()), "{shown:?}");
    assert!(shown.iter().any(|line| line.starts_with("excuses.xenial https://h/update_excuses.yaml.xz ")), "{shown:?}");
    let hint = "excuses are at an \"https://\" or \"http://\" address, or in a file";
    let secret = fault("[excuses]\nwily = \"https://me:hunter2@h/x\"");
    assert_eq!(
        secret,
        format!("2:8: `wily`: not a file or address of excuses: it must not contain a user or password | {hint}")
    );
    assert!(fault("[excuses]\nwily = \"ftp://h/x\"").contains("begin with https:// or http://"));
    assert!(fault("[excuses]\nWily = \"x\"").starts_with("2:1: release \"Wily\""));
    assert_eq!(
        fault("[excuses]\nwily = 5"),
        "2:8: `wily` must be a text, not a number | write wily = \"https://HOST/update_excuses.yaml.xz\""
    );
}

#[test]
fn only_servers_of_the_web_are_launchpads() {
    let forms = "a server is \"https://HOST\" or \"http://HOST\", perhaps with a port and a path";
    assert_eq!(
        fault("[launchpad]\napi = \"https://lp.example\"\narchive = \"ftp://lp.example\""),
        format!("3:11: `archive`: not the address of a server: it must begin with https:// or http:// | {forms}")
    );
    let secret = fault("[launchpad]\nkeyserver = \"https://me:hunter2@keys.example\"");
    assert!(
        secret.starts_with("2:13: `keyserver`: not the address of a server: it must not contain a user"),
        "{secret}"
    );
    assert!(!secret.contains("hunter2"), "{secret}");
    assert_eq!(
        fault("[launchpad]\nkey-server = \"https://keys.example\""),
        "2:1: unknown key `launchpad.key-server` | did you mean `keyserver`?"
    );
    assert_eq!(fault("[launchpad]\napi = 5"), "2:7: `api` must be a text, not a number | write api = \"https://HOST\"");
    assert!(fault("[launchpad]\nstore = \"swift:\"").contains("`store` must not be in a section"));
}

#[test]
fn a_new_site_is_a_repository_that_can_be_used_at_once() {
    let mut machine = Machine::new();
    let root = machine.path("work/new/site");
    let created = create(&root).unwrap();
    assert_eq!(created.root, root);
    for file in &created.files {
        assert!(root.join(file).is_file(), "{}", file.display());
    }
    let repository = git2::Repository::open(&root).unwrap();
    let head = repository.head().unwrap().peel_to_commit().unwrap();
    assert_eq!(head.id().to_string(), created.commit);
    assert_eq!(head.parent_count(), 0);
    assert_eq!(head.tree().unwrap().len(), created.files.len());
    assert!(!head.author().name().unwrap().is_empty() && head.author().email().unwrap().contains('@'));
    assert!(repository.statuses(None).unwrap().is_empty(), "nothing is left to commit");
    fs::write(root.join("queue-password"), "hunter2").unwrap();
    assert!(repository.is_path_ignored("queue-password").unwrap());

    machine.site = Some(root.clone());
    let site = machine.find().unwrap();
    assert_eq!(site.worker_conf.unwrap().value, root.join("worker.conf"));
}

#[test]
fn a_new_site_takes_nobodys_place() {
    let machine = Machine::new();
    let error = |path: &Path| {
        let error = create(path).unwrap_err();
        format!("{error} | {}", error.hint().unwrap_or_default()).replace(&format!("{} ", path.display()), "")
    };
    let site = machine.site_at("work", "queue = \"local:mine\"");
    assert_eq!(error(&site), "is a site already | use it with --site, or name a new folder");
    let full = machine.path("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("notes"), "mine").unwrap();
    assert!(error(&full).starts_with("is not empty | name a new or empty folder"));
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    assert_eq!(error(&full.join("notes")), "is not a folder | name a new or empty folder");
    assert!(error(&full.join("notes/below")).starts_with("cannot make"));
    assert_eq!(fs::read_to_string(full.join("notes")).unwrap(), "mine");
}

#[test]
fn an_empty_folder_becomes_a_site() {
    let machine = Machine::new();
    let folder = machine.path("work/deep/down");
    create(&folder).unwrap();
    assert!(folder.join(".git").is_dir());
}

#[test]
fn a_site_that_cannot_be_finished_leaves_nothing_behind() {
    let machine = Machine::new();
    // Long enough that the site's files fit, but those of git do not.
    let mut folder = machine.path("");
    while folder.as_os_str().len() < 4080 {
        let rest = 4080 - folder.as_os_str().len() - 1;
        folder.push("x".repeat(if rest > 200 { 150 } else { rest }));
    }
    let error = create(&folder).unwrap_err();
    assert!(error.to_string().starts_with("cannot make a git repository in "), "{error}");
    assert!(!folder.exists(), "it was new");

    fs::create_dir_all(&folder).unwrap();
    create(&folder).unwrap_err();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "it was there and empty, and is so again");
}
