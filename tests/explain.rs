//! What an operator learns before anything runs: how a package would be tested and why, and what is wrong with the configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::Failed;
use serde_json::json;
use testkit::site::{TestSite, finish};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("an_operator_asks_why_a_test_has_so_much_time", why_so_long),
        ("a_developer_asks_what_a_ppa_changes", what_a_ppa_changes),
        ("a_developer_asks_on_a_laptop_without_autopkgtest", on_a_laptop),
        ("a_program_reads_the_explanation", for_programs),
        ("the_explained_command_line_is_the_one_that_runs", explained_is_run),
        ("a_strict_umask_does_not_reach_the_testbed", strict_umask),
        ("an_operator_checks_a_configuration_before_it_is_used", check),
        ("a_host_without_its_programs_is_told_what_to_install", check_host),
        ("a_typing_error_in_never_run_skips_no_test", typing_error),
        ("an_operators_variables_reach_the_virt_server", variables),
    ];
    stories("explain", services, all)
}

/// A site whose virt server is a fake that is never started, with these lists of packages.
fn site(virt: &str, lists: &[(&str, &str)]) -> TestSite {
    let site = TestSite::local();
    let programs = site.path().join("checkout/virt");
    fs::create_dir_all(&programs).expect("a folder");
    for server in ["lxd", "qemu"] {
        let program = programs.join(format!("autopkgtest-virt-{server}"));
        fs::write(&program, "#!/bin/sh\n").expect("a virt server");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    site.worker_conf(&format!(
        "[autopkgtest]\ncheckout_dir = checkout\nper_package_config_dir = lists\n[virt]\n{virt}\n"
    ));
    fs::create_dir(site.path().join("lists")).expect("a folder");
    for (name, text) in lists {
        fs::write(site.path().join("lists").join(name), text).expect("a list");
    }
    site
}

/// The value, and what decided it, of one line of an explanation.
#[track_caller]
fn line<'t>(explanation: &'t str, what: &str) -> (&'t str, &'t str) {
    let found = explanation.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix('\t')?.split_once('\t'));
    found.unwrap_or_else(|| panic!("{what} in {explanation}"))
}

fn why_so_long(_: &Services) -> Result<(), Failed> {
    let site = site(
        "args = lxd $RELEASE $PACKAGESIZE\npackage_size_default = small\npackage_size_big = big",
        &[
            ("long_tests", "# Boots five machines.\nlinux*/amd64\n"),
            ("big_packages", "zlib\nlinux\n"),
            ("never_run", "linux/armhf\n"),
        ],
    );
    let explained = site.ok(&["worker", "explain", "-a", "amd64", "linux"]);
    let at = |file: &str| site.path().join(file).display().to_string();
    assert_eq!(
        line(&explained, "time limit, test"),
        ("40000 s = 4 × 10000 s", format!("default, {}:2", at("lists/long_tests")).as_str())
    );
    let size = format!("{}:7, {}:2", at("worker.conf"), at("lists/big_packages"));
    assert_eq!(line(&explained, "testbed size"), ("big", size.as_str()));
    assert_eq!(line(&explained, "hard limit").0, format!("{} s", 300 + 3000 + 40_000 + 900 + 40_000 + 600));
    assert_eq!(line(&explained, "never run"), ("no", "default"));
    assert_eq!(line(&explained, "result container").0, format!("autopkgtest-{}", site.release));
    let command = line(&explained, "command").0;
    assert!(
        command.starts_with(&format!("{}/checkout/runner/autopkgtest --output-dir ", site.path().display())),
        "{command}"
    );
    assert!(command.ends_with(&format!(" linux -- lxd {} big", site.release)), "{command}");
    let never = site.ok(&["worker", "explain", "-a", "armhf", "linux"]);
    assert_eq!(line(&never, "never run"), ("yes", format!("{}:1", at("lists/never_run")).as_str()));
    Ok(())
}

fn what_a_ppa_changes(_: &Services) -> Result<(), Failed> {
    let site = site("args = lxd", &[]);
    let trigger = ["worker", "explain", "-s", "noble", "--trigger", "zlib/1", "gzip"];
    let plain = site.ok(&trigger);
    assert_eq!(line(&plain, "pocket"), ("noble-proposed", "queue"));
    let pinned = "zlib (priority 995; the rest of noble-proposed: 100)";
    assert_eq!(line(&plain, "from the pocket"), (pinned, "request: triggers"));
    assert_eq!(line(&plain, "fallback"), ("the whole pocket, once", "default"));
    assert_eq!(line(&plain, "queue").0.rsplit_once('-').map(|(queue, _)| queue), Some("debci-noble"));
    let unknown = site.run(&["worker", "explain", "-s", "etch", "gzip"]);
    assert!(unknown.status.success() && unknown.err.contains("no worker would test it"), "{unknown:#?}");
    let known = site.run(&["worker", "explain", "-s", &site.release, "gzip"]);
    assert!(!known.err.contains("no worker would test it"), "{known:#?}");
    let with_ppa = site.ok(&[&trigger[..], &["--ppa", "me/one", "--ppa", "me/two"]].concat());
    let nothing = "nothing (all of noble-proposed: priority 100)";
    assert_eq!(line(&with_ppa, "from the pocket"), (nothing, "request: ppas"));
    assert_eq!(line(&with_ppa, "PPAs"), ("me/one me/two", "request: ppas"));
    assert_eq!(line(&with_ppa, "result container").0, "autopkgtest-noble-me-two");
    assert!(line(&with_ppa, "queue").0.starts_with("debci-ppa-noble-"), "{with_ppa}");
    // What is impossible is explained, too.
    let null = TestSite::local();
    let refused = null.ok(&["worker", "explain", "--ppa", "me/one", "gzip"]);
    assert!(line(&refused, "refused").0.contains("gets no other package sources"), "{refused}");
    // A token is not wanted, and not repeated.
    let token = site.run(&["worker", "explain", "--ppa", "me:hunter2@me/one", "gzip"]);
    assert_eq!(token.status.code(), Some(2), "{token:#?}");
    assert!(token.err.contains("must not be given on the command line"), "{}", token.err);
    Ok(())
}

fn on_a_laptop(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_conf("[virt]\nargs = lxd\n");
    let mut command = site.command(&["worker", "explain", "--testname", "smoke", "gzip"]);
    command.env("PATH", "/nowhere");
    let explained = finish(command);
    assert!(explained.status.success(), "{explained:#?}");
    assert!(explained.err.contains("note: autopkgtest is not installed"), "{}", explained.err);
    assert!(line(&explained.out, "command").0.starts_with("/usr/bin/autopkgtest --output-dir "), "{}", explained.out);
    assert_eq!(line(&explained.out, "test"), ("--test-name=smoke", "request: testname"));
    // Which of several releases is meant is not guessed.
    site.configure_with("local:queue", "folder:results", 1);
    let unclear = site.run(&["worker", "explain", "gzip"]);
    assert_eq!(unclear.status.code(), Some(2), "{unclear:#?}");
    assert!(unclear.err.contains("choose one with -s: ") && unclear.err.contains(&site.release), "{}", unclear.err);
    Ok(())
}

fn for_programs(_: &Services) -> Result<(), Failed> {
    // Neither the broker nor the store is asked.
    let site = site("args = lxd", &[("never_run", "gzip\n")]);
    site.configure("amqp://nobody@127.0.0.1:1/x", "swift:http://127.0.0.1:1/v1/AUTH_x");
    let explained = site.json(&["worker", "explain", "-s", "noble", "-a", "i386", "--env", "A=b c", "gzip"]);
    let command: Vec<&str> =
        explained["command"].as_array().expect("words").iter().filter_map(|word| word.as_str()).collect();
    assert!(command.contains(&"--env=A=b c"), "{command:?}");
    assert!(command.ends_with(&["-a", "i386", "gzip", "--", "lxd"]), "{command:?}");
    assert_eq!(explained["never-run"], true);
    assert_eq!(explained["container"], "autopkgtest-noble");
    assert_eq!(explained["limits"]["test"], 10_000);
    assert_eq!(explained["limits"]["hard"], 34_800);
    assert_eq!(explained["limits"]["per-further-test"], 13_900);
    assert_eq!(explained["refused"], json!(null));
    let foreign = json!({"what": "foreign architecture", "value": "-a i386", "origins": ["queue"]});
    assert!(explained["decisions"].as_array().expect("a list").contains(&foreign), "{explained}");
    Ok(())
}

fn explained_is_run(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let told = site.path().join("told");
    let stub = site.path().join("checkout/runner/autopkgtest");
    let script = fs::read_to_string(&stub)?;
    // The stub tells how it was called, each word on a line of its own.
    let telling = format!("#!/bin/sh\n[ \"$1\" = --help ] || printf '%s\\n' \"$0\" \"$@\" > {}\n", told.display());
    fs::write(&stub, script.replacen("#!/bin/sh\n", &telling, 1))?;
    let id = site.request("gzip", &["A=b c"]);
    let explained =
        site.json(&["worker", "explain", "-a", "amd64", "--trigger", "trigger/1", "--env", "A=b c", "gzip"]);
    site.ok(&["worker", "--drain"]);
    let run: Vec<String> = fs::read_to_string(told)?.lines().map(str::to_owned).collect();
    let words = explained["command"].as_array().expect("words").iter().filter_map(|word| word.as_str());
    let words: Vec<String> = words.map(|word| word.replace("/UUID/", &format!("/{id}/"))).collect();
    assert_eq!(words, run);
    Ok(())
}

fn strict_umask(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let told = site.path().join("told");
    let stub = site.path().join("checkout/runner/autopkgtest");
    let script = fs::read_to_string(&stub)?;
    fs::write(&stub, script.replacen("#!/bin/sh\n", &format!("#!/bin/sh\numask > {}\n", told.display()), 1))?;
    site.request("gzip", &[]);
    let worker = site.command(&["worker", "--drain"]);
    let mut strict = Command::new("sh");
    strict.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(worker.get_program()).args(worker.get_args());
    strict.env_clear().envs(worker.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strict.current_dir(site.path());
    let finished = finish(strict);
    assert!(finished.status.success(), "{finished:#?}");
    assert_eq!(fs::read_to_string(told)?, "0022\n");
    Ok(())
}

fn check(_: &Services) -> Result<(), Failed> {
    let site = site(
        "args = lxd $PACKAGESIZE\npackage_size_default = small\npackage_size_big = big",
        &[("never_run", "gzip # hangs\n")],
    );
    let good = site.ok(&["worker", "check"]);
    assert_eq!(good.lines().count(), 1, "{good}");
    assert!(good.contains("worker.conf: no faults; autopkgtest is "), "{good}");
    assert!(good.contains(" and the store folder:") && good.trim_end().ends_with(" can be used"), "{good}");
    let bad = site.path().join("bad.conf");
    fs::write(
        &bad,
        "[autopkgtest]\ncheckout_dir = checkout\nper_package_config_dir = lists\nretry_delay = soon\n[virt]\nargs = lxdd\n\
         arguments = x\n",
    )?;
    fs::write(site.path().join("lists/never_run"), "gzip\nbash dash\n")?;
    fs::write(site.path().join("lists/vm_packages"), "systemd\n")?;
    for name in ["long_test", "README"] {
        fs::write(site.path().join("lists").join(name), "systemd\n")?;
    }
    for command in [&["worker", "check", "-c", "nothing"][..], &["worker", "explain", "-c", "nothing", "gzip"]] {
        let missing = site.run(command);
        assert_eq!(missing.status.code(), Some(2), "{missing:#?}");
        assert!(missing.err.starts_with("error: cannot read nothing: No such file or directory"), "{missing:#?}");
    }
    let shown = site.run(&["worker", "check", "-c", "bad.conf"]);
    assert_eq!(shown.status.code(), Some(1), "{shown:#?}");
    let places: Vec<&str> = shown.out.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        places,
        ["bad.conf:4", "bad.conf:7", "lists/never_run:2", "lists/long_test", "lists/vm_packages:1", "bad.conf:6"],
        "{}",
        shown.out
    );
    assert!(shown.out.contains("there is no virt server lxdd"), "{}", shown.out);
    assert!(shown.err.contains("did you mean long_tests?"), "{}", shown.err);
    let listed = site.run(&["worker", "check", "-c", "bad.conf", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out)?;
    assert_eq!(listed["faults"].as_array().map(Vec::len), Some(6), "{listed}");
    assert_eq!(listed["faults"][0]["line"], 4);
    // A worker does not start with it.
    let served = site.run(&["worker", "--drain", "-c", "bad.conf"]);
    assert_eq!(served.status.code(), Some(2), "{served:#?}");
    assert!(served.err.contains("bad.conf:4: retry_delay"), "{}", served.err);
    Ok(())
}

fn check_host(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_conf("[virt]\nargs = lxd\nvm_args = qemu\n");
    let mut command = site.command(&["worker", "check"]);
    command.env("PATH", "/nowhere");
    let shown = finish(command);
    assert_eq!(shown.status.code(), Some(1), "{shown:#?}");
    let faults: Vec<&str> = shown.out.lines().collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].starts_with("autopkgtest is not installed"), "{faults:?}");
    assert!(
        faults[1].ends_with("worker.conf:2: there is no virt server lxd: autopkgtest-virt-lxd is not installed"),
        "{faults:?}"
    );
    assert!(
        faults[2].ends_with("worker.conf:3: there is no virt server qemu: autopkgtest-virt-qemu is not installed"),
        "{faults:?}"
    );
    assert!(shown.err.contains("apt install autopkgtest"), "{}", shown.err);
    Ok(())
}

fn typing_error(_: &Services) -> Result<(), Failed> {
    let site = site("args = lxd", &[("never_run", "gzip bash\n*//noble\n[a-z\n")]);
    let explained = site.run(&["worker", "explain", "gzip"]);
    assert_eq!(line(&explained.out, "never run"), ("no", "default"));
    let warnings: Vec<&str> = explained.err.lines().filter(|line| line.contains("the line is ignored")).collect();
    assert_eq!(warnings.len(), 3, "{}", explained.err);
    Ok(())
}

fn variables(_: &Services) -> Result<(), Failed> {
    let site = site("args = lxd --remote $REMOTE $HOSTNAME/$UUID", &[]);
    let mistyped = site.run(&["worker", "explain", "gzip"]);
    assert_eq!(mistyped.status.code(), Some(2), "{mistyped:#?}");
    assert!(mistyped.err.contains("unknown variable $REMOTE"), "{}", mistyped.err);
    let explained = site.ok(&["worker", "explain", "--variable", "REMOTE=two words", "gzip"]);
    let (server, _) = line(&explained, "virt server");
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
    assert_eq!(server, format!("lxd --remote 'two words' {}/UUID", host.trim()));
    let own = site.run(&["worker", "check", "--variable", "RELEASE=x"]);
    assert_eq!(own.status.code(), Some(2), "{own:#?}");
    Ok(())
}
