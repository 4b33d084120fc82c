//! Command that repeats a request's test by hand.

use std::path::PathBuf;

use super::apt::PocketSelection;
use super::command_line::CommandLine;
use crate::archive::{Pocket, has_own_i386};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{InvalidRequest, TestSource};

/// Returns the virtual machine of a release under the name that autopkgtest's own tools give it:
/// `autopkgtest-RELEASE-ARCH.img`.
pub fn default_testbed(queue: &QueueName) -> Vec<String> {
    let foreign = !has_own_i386(&queue.release, &queue.architecture);
    let host = if foreign { "amd64" } else { queue.architecture.as_str() };
    vec!["qemu".to_owned(), format!("autopkgtest-{}-{host}.img", queue.release)]
}

/// Returns the command line of a recent autopkgtest that tests the same as a request: packages from the same pockets
/// and PPAs, the same environment, the same source. `pocket` is the release's; `testbed` is the virt server with its
/// arguments.
///
/// # Errors
/// Fails when the request asks for a Bazaar branch, which autopkgtest cannot fetch.
pub fn reproduce(
    submission: &Submission,
    pocket: Option<&Pocket>,
    testbed: &[String],
) -> Result<CommandLine, InvalidRequest> {
    let Submission { queue, request } = submission;
    let parameters = request.parameters();
    let mut args = Vec::new();
    let is_null = testbed.first().is_some_and(|server| server.rsplit('-').next() == Some("null"));
    if is_null && !parameters.ppas.is_empty() {
        let rule = "the null server tests on this machine itself, to which no PPA must be added";
        return Err(InvalidRequest::new("ppas", "", rule));
    }
    if !has_own_i386(&queue.release, &queue.architecture) {
        args.extend(["-a".to_owned(), queue.architecture.to_string()]);
    }
    if !is_null {
        args.push("--apt-upgrade".to_owned());
    }
    // The packages of this machine are not changed.
    if let Some(pocket) = pocket.filter(|_| !is_null) {
        args.extend(from_pocket(submission, pocket));
    }
    args.extend(parameters.ppas.iter().map(|ppa| format!("--add-apt-source=ppa:{}/{}", ppa.owner(), ppa.name())));
    args.extend(parameters.env.iter().map(|variable| format!("--env={variable}")));
    if !parameters.triggers.is_empty() {
        let triggers: Vec<String> = parameters.triggers.iter().map(ToString::to_string).collect();
        args.push(format!("--env=ADT_TEST_TRIGGERS={}", triggers.join(" ")));
    }
    if let Some(name) = &parameters.testname {
        args.push(format!("--test-name={name}"));
    }
    match &parameters.source {
        None => args.push(request.package().to_string()),
        Some(TestSource::TestGit(git)) => args.extend(["--no-built-binaries".to_owned(), git.to_string()]),
        Some(TestSource::BuildGit(git)) => args.push(git.to_string()),
        Some(TestSource::TestBzr(bzr)) => {
            let rule = "autopkgtest fetches no Bazaar branches: fetch it, and name its folder";
            return Err(InvalidRequest::new("test-bzr", bzr.to_string(), rule));
        }
    }
    args.push("--".to_owned());
    args.extend(testbed.iter().cloned());
    Ok(CommandLine { program: PathBuf::from("autopkgtest"), args })
}

/// Returns autopkgtest's own options for packages from a pocket.
fn from_pocket(Submission { queue, request }: &Submission, pocket: &Pocket) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    for trigger in &request.parameters().triggers {
        let source = format!("src:{}", trigger.package());
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    let sources = sources.join(",");
    // A pocket that is named after its release has an option of its own.
    let name = pocket.as_str().strip_prefix(queue.release.as_str()).and_then(|rest| rest.strip_prefix('-'));
    match (PocketSelection::of(request, Some(pocket)), name) {
        (PocketSelection::Nothing(_), _) => Vec::new(),
        (PocketSelection::All(_), Some(name)) => vec![format!("--apt-pocket={name}")],
        (PocketSelection::Triggers, Some(name)) => vec![format!("--apt-pocket={name}={sources}")],
        (PocketSelection::All(_), None) => vec![format!("--add-apt-release={pocket}")],
        (PocketSelection::Triggers, None) => {
            vec![format!("--add-apt-release={pocket}"), format!("--pin-packages={pocket}={sources}")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tests_the_same() {
        let command = |line: &str| {
            let submission = Submission::parse_line(line).unwrap();
            let pocket = Pocket::default_of(&submission.queue.release);
            reproduce(&submission, pocket.as_ref(), &default_testbed(&submission.queue)).unwrap().to_string()
        };
        assert_eq!(
            command(
                r#"debci-noble-amd64:gzip {"triggers": ["glibc/2.39-1", "perl/5-1"], "env": ["A=x y"], "testname": "smoke"}"#
            ),
            "autopkgtest --apt-upgrade --apt-pocket=proposed=src:glibc,src:perl '--env=A=x y' \
             '--env=ADT_TEST_TRIGGERS=glibc/2.39-1 perl/5-1' --test-name=smoke gzip -- qemu autopkgtest-noble-amd64.img"
        );
        assert_eq!(
            command(
                r#"debci-ppa-noble-arm64:gzip {"triggers": ["a/1"], "ppas": ["o/p"], "build-git": "https://h/x#b"}"#
            ),
            "autopkgtest --apt-upgrade --add-apt-source=ppa:o/p --env=ADT_TEST_TRIGGERS=a/1 'https://h/x#b' -- \
             qemu autopkgtest-noble-arm64.img"
        );
        let submission = Submission::parse_line(r#"debci-testing-amd64:gzip {"triggers": ["zlib/1"]}"#).unwrap();
        let pocket: Option<Pocket> = "unstable".parse().ok();
        assert_eq!(
            reproduce(&submission, pocket.as_ref(), &["null".to_owned()]).unwrap().to_string(),
            "autopkgtest --env=ADT_TEST_TRIGGERS=zlib/1 gzip -- null"
        );
        assert_eq!(
            reproduce(&submission, pocket.as_ref(), &["lxd".to_owned()]).unwrap().to_string(),
            "autopkgtest --apt-upgrade --add-apt-release=unstable --pin-packages=unstable=src:zlib \
             --env=ADT_TEST_TRIGGERS=zlib/1 gzip -- lxd"
        );
    }
}
