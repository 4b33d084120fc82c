//! The input of a bundle.

use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::proof::Proof;
use crate::request::Request;

/// Everything that a bundle is made from.
#[derive(Debug, Clone, Copy)]
pub struct BundleInput<'a> {
    /// autopkgtest's output folder; it may be empty or missing.
    pub output: &'a Path,
    /// autopkgtest's exit code.
    pub exit_code: i32,
    /// Duration of the run.
    pub duration: Duration,
    /// The request. The tokens of its PPAs are kept out of the bundle.
    pub request: &'a Request,
    /// Number of the attempt.
    pub attempt: u32,
    /// The name of the worker that ran it.
    pub worker: Option<&'a str>,
    /// Failures of earlier attempts: a list of `{attempt, worker, reason, time}`, copied unchanged.
    pub failures: &'a [Value],
    /// Reason why the test never started or did not end by itself. Appended to the log.
    pub note: Option<&'a str>,
    /// Record of what the testbed had, if there is one.
    pub proof: Option<&'a Proof>,
    /// Other secrets that must not be in the bundle, in addition to the tokens of the request's PPAs.
    pub secrets: &'a [SecretString],
}

impl<'a> BundleInput<'a> {
    /// Returns the input for a first attempt, without any optional part.
    pub fn new(output: &'a Path, request: &'a Request, exit_code: i32, duration: Duration) -> Self {
        let (worker, note) = (None, None);
        Self {
            output,
            exit_code,
            duration,
            request,
            attempt: 1,
            worker,
            failures: &[],
            note,
            proof: None,
            secrets: &[],
        }
    }
}
