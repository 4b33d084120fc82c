//! Sites, their configuration, and the files that are generated for shells.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::Failed;
use testkit::site::{TestSite, finish};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_new_site_is_a_git_repository_that_works", new_site),
        ("a_site_is_not_made_over_something_else", no_overwriting),
        ("every_value_tells_where_it_comes_from", origins),
        ("config_names_the_credentials_and_hides_them", credentials),
        ("a_fault_in_the_configuration_is_named_with_its_line", faults),
        ("the_completions_are_up_to_date", completions),
    ];
    stories("sites", services, all)
}

fn new_site(_: &Services) -> Result<(), Failed> {
    let home = TestSite::local();
    let printed = home.ok(&["init", "my-site"]);
    let root = home.path().join("my-site");
    assert_eq!(fs::canonicalize(printed.trim())?, fs::canonicalize(&root)?);
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&root).args(["-c", "safe.directory=*"]).args(arguments);
        finish(command).out
    };
    assert_eq!(git(&["log", "--format=%s"]).lines().count(), 1);
    assert_eq!(git(&["status", "--porcelain"]), "", "everything is committed");
    let site = root.to_str().expect("a path in UTF-8");
    let settings = home.ok(&["--site", site, "config"]);
    assert!(settings.contains("queue\tlocal:"), "{settings}");
    // What to do next can be copied into a shell.
    let spaced = home.run(&["init", "two words"]);
    assert!(spaced.err.contains("`apt-ci --site 'two words' config`"), "{}", spaced.err);
    // It can be used as it is.
    home.ok(&["--site", site, "queues"]);
    Ok(())
}

fn no_overwriting(_: &Services) -> Result<(), Failed> {
    let home = TestSite::local();
    fs::create_dir(home.path().join("full"))?;
    fs::write(home.path().join("full/file"), "precious")?;
    for folder in [".", "full"] {
        let finished = home.run(&["init", folder]);
        assert_eq!(finished.status.code(), Some(2), "{finished:#?}");
        assert!(finished.err.starts_with("error: "), "{}", finished.err);
    }
    assert_eq!(fs::read_dir(home.path().join("full"))?.count(), 1);
    assert_eq!(fs::read_to_string(home.path().join("full/file"))?, "precious");
    Ok(())
}

fn origins(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let file = site.path().join("apt-ci.toml");
    site.configure("amqp://ci:hunter2@mq.example/", "folder:results");
    let origin = |arguments: &[&str], key: &str| {
        let out = site.ok(arguments);
        assert!(!out.contains("hunter2"), "the password is hidden: {out}");
        let line = out.lines().find(|line| line.starts_with(&format!("{key}\t"))).expect("the setting").to_owned();
        line.rsplit('\t').next().expect("an origin").to_owned()
    };
    assert_eq!(origin(&["config"], "queue"), format!("{}:1", file.display()));
    assert_eq!(origin(&["config"], "store"), format!("{}:2", file.display()));
    assert_eq!(origin(&["config", "--store", "swift:"], "store"), "--store");
    let mut command = site.command(&["config"]);
    command.env("APT_CI_QUEUE", "local:elsewhere");
    let out = finish(command).out;
    assert!(out.contains("/elsewhere\tAPT_CI_QUEUE\n"), "{out}");
    Ok(())
}

fn credentials(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.configure("amqp://ci:hunter2@mq.example/", "swift:https://swift.example/v1/AUTH_x");
    let shown = |variables: &[(&str, &str)]| {
        let mut command = site.command(&["config"]);
        command.envs(variables.iter().copied());
        let out = finish(command).out;
        assert!(!out.contains("hunter2"), "{out}");
        assert!(out.starts_with(&format!("site\t{}\tworking directory\n", site.path().display())), "{out}");
        assert!(out.contains("\nqueue-password\tin the URL, hidden\t"), "{out}");
        assert!(out.contains("/home/.local/state/apt-ci/work\tdefault\n"), "{out}");
        let line = out.lines().find(|line| line.starts_with("store-credentials\t")).expect("the credentials");
        line.trim_start_matches("store-credentials\t").to_owned()
    };
    assert_eq!(shown(&[]), "none: what is public can be read\tdefault");
    let old = [("ST_KEY", "hunter2"), ("ST_USER", "test:tester"), ("ST_AUTH", "http://swift.example/auth/v1.0")];
    assert_eq!(shown(&old), "ST_AUTH ST_USER ST_KEY\tenvironment");
    assert_eq!(shown(&[("OS_CLOUD", "ci"), ("OS_PASSWORD", "hunter2")]), "the cloud ci of clouds.yaml\tOS_CLOUD");
    assert_eq!(shown(&[("OS_CLOUD", "envvars"), ("OS_PASSWORD", "hunter2")]), "OS_PASSWORD\tenvironment");
    Ok(())
}

fn faults(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let file = site.path().join("apt-ci.toml");
    for (text, line, message) in [
        ("queue = \"local:q\"\nstroe = \"swift:\"\n", 2, "store"),
        ("queue = \"http://x\"\n", 1, "amqps://"),
        ("queue = \"local:q\"\n\nstore = 7\n", 3, "`store` must be a text"),
        ("[releases]\nXenial = [\"amd64\"]\n", 2, "release"),
        ("[releases]\nxenial = [\"AMD64\"]\n", 2, "architecture"),
        ("queue = \"local:q\nstore = 1\n", 1, ""),
    ] {
        fs::write(&file, text)?;
        let finished = site.run(&["queues"]);
        assert_eq!(finished.status.code(), Some(2), "{text}: {finished:#?}");
        assert!(finished.err.contains(&format!("{}:{line}", file.display())), "{text}: {}", finished.err);
        assert!(finished.err.contains(message), "{text}: {}", finished.err);
    }
    let finished = site.run(&["--site", "nowhere", "queues"]);
    assert_eq!(finished.status.code(), Some(2), "{finished:#?}");
    assert!(finished.err.contains("nowhere"), "{}", finished.err);
    Ok(())
}

fn completions(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    for (shell, file) in [("bash", "apt-ci.bash"), ("zsh", "_apt-ci"), ("fish", "apt-ci.fish")] {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/completions/").to_owned() + file;
        let checked_in = fs::read_to_string(&path)?;
        assert!(
            site.ok(&["completions", shell]) == checked_in,
            "{path} is not what the program prints: build it again"
        );
    }
    Ok(())
}
