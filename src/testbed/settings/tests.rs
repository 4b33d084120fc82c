use std::fs;

use tempfile::TempDir;

use super::*;

struct Host {
    folder: TempDir,
}

impl Host {
    fn new(conf: &str) -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        host.write("worker.conf", conf);
        host
    }

    /// Replaces a file as an editor does, or creates it.
    fn write(&self, name: &str, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.folder.path().join(name)).unwrap();
    }

    fn load(&self) -> Configuration {
        Configuration::load(&self.folder.path().join("worker.conf"), Definitions::default()).unwrap()
    }

    fn lint(&self) -> Vec<String> {
        told(&lint(&self.folder.path().join("worker.conf"), &Definitions::default()))
    }
}

fn told(faults: &[ConfError]) -> Vec<String> {
    let name = |fault: &ConfError| fault.file.file_name().unwrap().to_string_lossy().into_owned();
    faults
        .iter()
        .map(|fault| format!("{}:{}: {}", name(fault), fault.line.unwrap_or_default(), fault.message))
        .collect()
}

const CONF: &str = "[autopkgtest]\nper_package_config_dir = .\n[virt]\nargs = lxd\n";

fn never_runs(configuration: &Configuration, package: &str) -> bool {
    let [architecture, release] = ["amd64", "noble"];
    configuration
        .settings()
        .never_run(&package.parse().unwrap(), &architecture.parse().unwrap(), &release.parse().unwrap())
        .is_some()
}

#[test]
fn changes_count_from_the_next_look_on() {
    let host = Host::new(CONF);
    let mut configuration = host.load();
    assert!(!never_runs(&configuration, "gzip"));
    let before = configuration.settings();
    assert_eq!(configuration.refresh(), []);
    assert!(Arc::ptr_eq(&before, &configuration.settings()), "nothing is read again for nothing");

    host.write("never_run", "gzip\n");
    assert!(!never_runs(&configuration, "gzip"), "only when it is looked at");
    assert_eq!(configuration.refresh(), []);
    assert!(never_runs(&configuration, "gzip"));
    assert!(before.overrides.first(ListName::NeverRun).is_none(), "a test keeps what it began with");

    host.write("never_run", "zlib\n");
    configuration.refresh();
    assert!(!never_runs(&configuration, "gzip") && never_runs(&configuration, "zlib"));
    fs::remove_file(host.folder.path().join("never_run")).unwrap();
    configuration.refresh();
    assert!(!never_runs(&configuration, "zlib"));

    host.write("worker.conf", &CONF.replace("lxd", "null"));
    configuration.refresh();
    assert!(configuration.settings().conf.is_null());
    // Other lists: another folder.
    fs::create_dir(host.folder.path().join("lists")).unwrap();
    host.write("worker.conf", &CONF.replace("= .", "= lists"));
    configuration.refresh();
    host.write("lists/never_run", "bash\n");
    configuration.refresh();
    assert!(never_runs(&configuration, "bash"));
}

#[test]
fn a_change_of_the_same_length_is_seen() {
    let host = Host::new(CONF);
    host.write("never_run", "gzip\n");
    let mut configuration = host.load();
    for number in 0..200 {
        let (there, gone) = if number % 2 == 0 { ("zlib", "gzip") } else { ("gzip", "zlib") };
        host.write("never_run", &format!("{there}\n"));
        configuration.refresh();
        assert!(never_runs(&configuration, there) && !never_runs(&configuration, gone), "change {number}");
    }
}

#[test]
fn a_fault_in_worker_conf_leaves_the_former_in_force_and_is_told_of_once() {
    let host = Host::new(CONF);
    let mut configuration = host.load();
    let former = configuration.settings();
    host.write("worker.conf", "[virt]\nargz = lxd\n");
    let faults = configuration.refresh();
    assert_eq!(
        told(&faults),
        [
            "worker.conf:2: unknown key argz in [virt]",
            "worker.conf:0: [virt] args is missing: the virt server and its options"
        ]
    );
    assert_eq!(configuration.faults(), faults);
    assert_eq!(configuration.refresh(), []);
    assert_eq!(*configuration.settings(), *former);
    // The lists of the previous one are still checked.
    host.write("never_run", "gzip\n");
    assert_eq!(configuration.refresh(), []);
    assert!(never_runs(&configuration, "gzip"));
    fs::remove_file(host.folder.path().join("worker.conf")).unwrap();
    let faults = configuration.refresh();
    assert!(faults[0].to_string().contains("worker.conf: cannot read it: No such file"), "{faults:?}");
    assert_eq!(configuration.refresh(), []);
    host.write("worker.conf", CONF);
    assert_eq!(configuration.refresh(), []);
    assert_eq!(configuration.faults(), []);
}

#[test]
fn a_fault_in_a_list_is_told_of_once_for_each_change_and_skips_no_test() {
    let host = Host::new(CONF);
    host.write("never_run", "gzip bzip2\nzlib\n");
    let mut configuration = host.load();
    assert_eq!(configuration.faults().len(), 1);
    assert!(!never_runs(&configuration, "gzip") && !never_runs(&configuration, "bzip2"));
    assert!(never_runs(&configuration, "zlib"));
    assert_eq!(configuration.refresh(), [], "it was told of when it was loaded");
    // Another list changes: there are no new faults of this one.
    host.write("long_tests", "a b\n");
    let news = configuration.refresh();
    assert!(news.len() == 1 && news[0].file.ends_with("long_tests"), "{news:?}");
    host.write("never_run", "\ngzip bzip2\n");
    let news = configuration.refresh();
    assert!(news.len() == 1 && news[0].file.ends_with("never_run") && news[0].line == Some(2), "{news:?}");
    assert!(!never_runs(&configuration, "zlib"));
}

#[test]
fn without_a_file_nothing_ever_changes() {
    let mut configuration = Configuration::null();
    assert_eq!(configuration.refresh(), []);
    assert_eq!(*configuration.settings(), Settings::null());
}

#[test]
fn a_lint_tells_everything_at_once() {
    let host =
        Host::new("[autopkgtest]\nper_package_config_dir = .\nretry_delay = x\n[virt]\nargs = qemu $PACKAGESIZE\n");
    host.write("never_run", "a b\n");
    host.write("vm_packages", "# none\nc\n");
    host.write("big_packages", "d\n");
    assert_eq!(
        host.lint(),
        [
            "worker.conf:3: retry_delay must be a number of seconds from 0 to 31622400, not \"x\"",
            "worker.conf:5: args uses $PACKAGESIZE, which has no value",
            "never_run:1: there are several words on the line: PACKAGE[/ARCHITECTURE[/RELEASE]]; the line is ignored",
            "vm_packages:2: vm_packages: worker.conf has no vm_args, so these packages run in the same testbed as all others",
            "big_packages:1: big_packages: worker.conf has no package_size_big, so these packages get a testbed of the usual size",
        ]
    );
    host.write(
        "worker.conf",
        "[autopkgtest]\nper_package_config_dir = .\n[virt]\nargs = qemu $PACKAGESIZE\nvm_args = qemu\npackage_size_default = a\n\
         package_size_big = b\n",
    );
    host.write("never_run", "");
    assert_eq!(host.lint(), [""; 0]);
}
