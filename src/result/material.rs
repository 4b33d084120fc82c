//! The input of a bundle.

use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::proof::Proof;
use crate::request::Request;

/// What a bundle is made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// autopkgtest's output folder; it may be empty or missing.
    pub output: &'a Path,
    /// autopkgtest's exit code.
    pub exit_code: i32,
    /// How long the run took.
    pub duration: Duration,
    /// What was asked for. The tokens of its PPAs are kept out of the bundle.
    pub request: &'a Request,
    /// Which attempt it was.
    pub attempt: u32,
    /// The name of the worker that ran it.
    pub worker: Option<&'a str>,
    /// Why earlier attempts came to no result: a list of `{attempt, worker, reason, time}`, kept as it is.
    pub failures: &'a [Value],
    /// Why the test never started, or did not end by itself; it goes into the log.
    pub note: Option<&'a str>,
    /// What the testbed had of what was asked for, if that is known.
    pub proof: Option<&'a Proof>,
    /// What else nobody may read in the bundle, beside the tokens of the request's PPAs.
    pub secrets: &'a [SecretString],
}

impl<'a> Material<'a> {
    /// A first attempt, about which there is nothing else to say.
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
