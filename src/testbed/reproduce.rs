//! The command that repeats a request's test by hand.

use std::path::PathBuf;

use super::CommandLine;
use super::command::is_foreign;
use super::command::proposed::Wanted;
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{InvalidRequest, TestSource};

/// What autopkgtest's own tools call a virtual machine of a release: they make `autopkgtest-RELEASE-ARCH.img`.
pub fn default_testbed(queue: &QueueName) -> Vec<String> {
    let foreign = is_foreign(&queue.release, &queue.architecture);
    let host = if foreign { "amd64" } else { queue.architecture.as_str() };
    vec!["qemu".to_owned(), format!("autopkgtest-{}-{host}.img", queue.release)]
}

/// The command line of a recent autopkgtest that tests the same as a request: packages from the same pockets and PPAs, the same
/// environment, the same source. `testbed` is the virt server with its arguments.
///
/// # Errors
/// When it asks for a Bazaar branch, which autopkgtest cannot fetch.
pub fn reproduce(submission: &Submission, testbed: &[String]) -> Result<CommandLine, InvalidRequest> {
    let Submission { queue, request } = submission;
    let parameters = request.parameters();
    let mut args = Vec::new();
    let is_null = testbed.first().is_some_and(|server| server.rsplit('-').next() == Some("null"));
    if is_null && !parameters.ppas.is_empty() {
        let rule = "the null server tests on this machine itself, to which no PPA must be added";
        return Err(InvalidRequest::new("ppas", "", rule));
    }
    if is_foreign(&queue.release, &queue.architecture) {
        args.extend(["-a".to_owned(), queue.architecture.to_string()]);
    }
    if !is_null {
        args.push("--apt-upgrade".to_owned());
    }
    match Wanted::of(request, &queue.release) {
        Wanted::Nothing(_) => {}
        // This machine's packages stay as they are.
        _ if is_null => {}
        Wanted::Everything => args.push("--apt-pocket=proposed".to_owned()),
        Wanted::Sources(sources) => args.push(format!("--apt-pocket=proposed={}", sources.join(","))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tests_the_same() {
        let command = |line: &str| {
            let submission = Submission::parse_line(line).unwrap();
            reproduce(&submission, &default_testbed(&submission.queue)).unwrap().to_string()
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
    }
}
