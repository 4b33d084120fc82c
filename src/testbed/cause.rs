//! Cause of autopkgtest's end, where its exit code alone does not tell.
//!
//! Versions differ. Up to 5.50, most faults of a testbed end with 16; autopkgtest 6.0 ends with 20 for failing setup
//! commands, downloads, upgrades and time limits, which older versions use for requests that cannot be run. The text of
//! the last error therefore decides. The texts below are those of 5.28, 5.49 and 6.0.

use crate::exit_code::autopkgtest::UNEXPECTED;

/// Mark of autopkgtest's error messages in the log.
const ERROR: &str = "]: ERROR: ";

/// Beginnings of error messages that blame the testbed, an archive or the host.
const TESTBED: [&str; 19] = [
    "testbed failure: ",
    "testbed setup commands failed with status ",
    "testbed boot setup commands failed with status ",
    "timed out on command ",
    "global timeout on command ",
    "failed testbed apt update",
    "failed testbed apt dist-upgrade or autopurge",
    "testbed release required to be known",
    "Could not guess the testbed release",
    "apt failed to download packages",
    "apt repeatedly failed to download packages",
    "can't determine the apt version on the testbed",
    "Failure installing build dependencies on testbed",
    "failed to run perl for parsing dependencies",
    "failed to run: ",
    "failed to get signing key for ",
    "bad json data for PPA ",
    "testbed gave exit status ",
    "testbed auxverb failed with exit code ",
];

/// Messages of git and Breezy when a branch or repository does not exist, or is not public. A retry does not help.
const GONE: [&str; 17] = [
    "couldn't find remote ref",
    "could not find remote branch",
    "not found in upstream",
    "repository not found",
    "' not found",
    "could not read username",
    "authentication failed",
    "access denied or repository not exported",
    "returned error: 401",
    "returned error: 403",
    "returned error: 404",
    "returned error: 410",
    "does not appear to be a git repository",
    "not a git repository",
    "not a branch",
    "unable to checkout working tree",
    "not valid: is this a git repository",
];

/// Messages of git and Breezy when a server is unreachable, or asks to try again later.
const UNREACHABLE: [&str; 8] = [
    "could not resolve host",
    "failed to connect",
    "connection refused",
    "connection timed out",
    "connection reset",
    "returned error: 5",
    "returned error: 429",
    "unexpected disconnect",
];

/// Returns why the testbed, an archive or the host is at fault, according to the end of autopkgtest's log and its
/// summary. Returns `None` when the exit code has its usual meaning. Codes 1 and 16 need no text: they are never a
/// result.
pub fn testbed_fault(exit_code: i32, log: &str, summary: &str) -> Option<String> {
    let said = last_error(log).or_else(|| last_error(summary)).unwrap_or_else(|| summary.trim());
    let is_testbeds = TESTBED.iter().any(|text| said.starts_with(text)) || is_failed_update(said);
    (exit_code == UNEXPECTED && is_testbeds).then(|| last_line(said))
}

/// Returns the last error message of a log, which may have several lines.
fn last_error(text: &str) -> Option<&str> {
    text.rsplit_once(ERROR).map(|(_, message)| message.trim())
}

/// Whether the message is that of autopkgtest 5.28 when the index of an added source or pocket could not be fetched:
/// its own shell script, and the status.
fn is_failed_update(said: &str) -> bool {
    said.contains("apt-get ") && said.contains(" update ") && said.contains("\" failed with status ")
}

fn last_line(text: &str) -> String {
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

/// Whether the last words of git or Breezy mean that the branch or repository does not exist for us, so that only
/// another request can help. An unreachable server comes back.
pub fn is_gone(said: &str) -> bool {
    let said = said.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    says(&GONE) && !says(&UNREACHABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_testbed_is_known_in_each_version() {
        // Endings of 6.0, and of trixie's version when it finds no release.
        for said in [
            "testbed setup commands failed with status 1",
            "timed out on command \"env AUTOPKGTEST_IS_SETUP_COMMAND=1 sh -ec sleep 50\" (kind: install)",
            "failed testbed apt update for autopkgtest-add-apt-sources.list",
            "failed testbed apt update",
            "testbed release required to be known for autopkgtest to run",
            "Could not guess the testbed release, but adding releases or pockets require it",
            "apt failed to download packages",
        ] {
            let log = format!("  0s test bed setup\n  1s autopkgtest [18:16:17]: ERROR: {said}\n");
            assert_eq!(testbed_fault(20, &log, said).as_deref(), Some(said));
            assert_eq!(testbed_fault(20, "", said).as_deref(), Some(said), "without a log");
            assert_eq!(testbed_fault(4, &log, said), None, "a test that prints it");
        }
        let script = "\"sh -ec for retry in 1 2 3; do\n  apt-get --no-list-cleanup \\\n  -o Dir::Etc::sourceparts=/dev/null \\\n  \
                      update 2>&1 && break\ndone\n sh deb http://127.0.0.1/ nosuite main x.list\" failed with status 1";
        let log = format!("autopkgtest [18:18:20]: ERROR: {script}\n");
        let found = testbed_fault(20, &log, script);
        assert!(found.as_deref().is_some_and(|said| said.ends_with("failed with status 1")), "{found:?}");
    }

    #[test]
    fn what_is_the_requests_or_nobodys_fault_stays_a_result() {
        for said in [
            "invalid apt source: nonsense",
            "unexpected error:",
            "cannot read x",
            "\"dpkg --print-architecture\" failed with stderr \"sh: warning\"",
        ] {
            let log = format!("autopkgtest [18:16:17]: ERROR: {said}\n");
            assert_eq!(testbed_fault(20, &log, said), None, "{said}");
        }
        // Output of a test before the end does not count.
        let log = "autopkgtest [1]: ERROR: failed testbed apt update\nautopkgtest [2]: ERROR: unexpected error:\n";
        assert_eq!(testbed_fault(20, log, "quitting: unexpected error, see log"), None);
    }

    #[test]
    fn a_branch_that_is_gone_is_told_from_a_server_that_is_away() {
        for said in [
            "fatal: couldn't find remote ref nobranch",
            "fatal: Remote branch nobranch not found in upstream origin",
            "fatal: repository 'http://127.0.0.1:18999/norep.git/' not found",
            "remote: Repository not found.\nfatal: Authentication failed for 'https://host/x/'",
            "fatal: could not read Username for 'https://host': terminal prompts disabled",
            "fatal: unable to access 'http://host/x/': The requested URL returned error: 403",
            "bzr: ERROR: Not a branch: \"http://host/x/\".",
        ] {
            assert!(is_gone(said), "{said}");
        }
        for said in [
            "fatal: unable to access 'http://127.0.0.1:9/rep.git/': Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect to server",
            "fatal: unable to access 'http://nosuchhost.invalid/norep.git/': Could not resolve host: nosuchhost.invalid",
            "fatal: unable to access 'http://host/x/': The requested URL returned error: 503",
            "fatal: early EOF",
            "it takes longer than 600 s",
            "",
        ] {
            assert!(!is_gone(said), "{said}");
        }
    }
}
