//! A test request: the source package to test, the triggers, and the parameters.
//!
//! A [`Request`] is always valid: its parts are checked types, and the rules between them are checked when it is
//! created. [`wire`] parses and formats the message in a queue, [`line`] the lines of a batch.

mod criterion;
mod limits;
pub mod line;
mod parts;
mod ppa;
mod repeated;
mod source;
pub mod wire;

use std::fmt;

use serde_json::{Map, Value};

use crate::release::Context;

pub use criterion::Criterion;
pub use parts::{EnvVar, InvalidRequest, RequestId, SourcePackage, TestName, Text, Trigger, UserName};
pub use ppa::{Fingerprint, Login, Ppa};
pub use repeated::{repeated, superseded};
pub use source::{BzrSource, GitSource};

/// A test request. Read it with [`Request::package`] and [`Request::parameters`]; make one with [`Request::new`].
#[derive(Clone, PartialEq)]
pub struct Request {
    package: SourcePackage,
    parameters: Parameters,
}

/// The parameters of a request, apart from its package.
#[derive(Clone, Default, PartialEq)]
pub struct Parameters {
    /// The uploaded packages, with their versions, that caused the test.
    pub triggers: Vec<Trigger>,
    /// Package archives to take packages from; the last one names the results' container.
    pub ppas: Vec<Ppa>,
    /// The source of the test, if it is not the archive.
    pub source: Option<TestSource>,
    /// Environment variables of the test.
    pub env: Vec<EnvVar>,
    /// Whether everything comes from the proposed pocket, not only the triggers.
    pub all_proposed: bool,
    /// The only test of the package to run.
    pub testname: Option<TestName>,
    /// The only user of the store who may read the result.
    pub swiftuser: Option<UserName>,
    /// Other users who may read the result of a private run on web pages.
    pub readable_by: Vec<UserName>,
    /// The requester.
    pub requester: Option<Text>,
    /// Time of submission: `%Y-%m-%d %H:%M:%S%z`; other programs omit the offset or add fractions of a second.
    pub submit_time: Option<Text>,
    /// The id from the submission to the result.
    pub uuid: Option<RequestId>,
    /// Whether the request came over the web, `"apt-ci-origin": "web"` on the wire: nothing is fetched for it from
    /// servers inside the operator's network.
    pub from_web: bool,
    /// All other parameters, which are kept unchanged.
    pub other: Map<String, Value>,
}

/// The variable with the pull request that a test is for.
pub const PULL_REQUEST: &str = "UPSTREAM_PULL_REQUEST";

impl Parameters {
    /// Returns whether this is the test of a pull request.
    pub fn is_of_pull_request(&self) -> bool {
        self.env.iter().any(|variable| variable.name() == PULL_REQUEST)
    }

    /// Returns the default context, which decides the queue.
    pub fn context(&self) -> Context {
        if self.is_of_pull_request() {
            Context::Upstream
        } else if !self.ppas.is_empty() {
            Context::Ppa
        } else if self.source.is_some() {
            Context::Upstream
        } else {
            Context::Distribution
        }
    }
}

/// Source of a test other than the archive's source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestSource {
    /// A git branch, tested against the archive's binary packages.
    TestGit(GitSource),
    /// A git branch, tested against the binary packages that are built from it.
    BuildGit(GitSource),
    /// A Bazaar branch, tested against the archive's binary packages.
    TestBzr(BzrSource),
}

impl Request {
    /// Creates a request.
    ///
    /// # Errors
    /// When the baseline trigger `migration-reference/0` is not alone, a field is over its limit, or `other` has a
    /// parameter with a field of its own.
    pub fn new(package: SourcePackage, parameters: Parameters) -> Result<Self, InvalidRequest> {
        limits::check(&package, &parameters)?;
        let baseline = parameters.triggers.iter().find(|trigger| trigger.is_baseline());
        if let Some(baseline) = baseline {
            let alone = parameters.triggers.len() == 1 && !parameters.all_proposed && parameters.ppas.is_empty();
            if !alone {
                let rule = "the baseline stands alone: no other trigger, no PPA, no all-proposed";
                return Err(InvalidRequest::new("trigger", baseline.to_string(), rule));
            }
        }
        if let Some(key) = wire::KNOWN_KEYS.iter().find(|key| parameters.other.contains_key(**key)) {
            return Err(InvalidRequest::new("parameter", *key, "is given twice"));
        }
        Ok(Self { package, parameters })
    }

    /// Returns the source package to test.
    pub fn package(&self) -> &SourcePackage {
        &self.package
    }

    /// Returns the parameters apart from the package.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns the request's id, if it has one: it gets one at its submission, or when a worker claims it.
    pub fn uuid(&self) -> Option<&RequestId> {
        self.parameters.uuid.as_ref()
    }

    /// Returns the request with an id: its own, or else a new random one.
    #[must_use]
    pub fn with_id(mut self) -> Self {
        self.parameters.uuid.get_or_insert_with(RequestId::random);
        self
    }

    /// Returns the request with a new random id instead of its own.
    #[must_use]
    pub fn with_new_id(mut self) -> Self {
        self.parameters.uuid = Some(RequestId::random());
        self
    }

    /// Returns the request with its time of submission, in UTC, unless it has one.
    #[must_use]
    pub fn with_submit_time(mut self, time: jiff::Timestamp) -> Self {
        let text = time.strftime("%Y-%m-%d %H:%M:%S+0000").to_string();
        if self.parameters.submit_time.is_none() {
            self.parameters.submit_time = text.parse().ok();
        }
        self
    }

    /// Returns the request with this requester, unless it names one.
    #[must_use]
    pub fn with_requester(mut self, requester: &Text) -> Self {
        self.parameters.requester.get_or_insert_with(|| requester.clone());
        self
    }

    /// Returns whether another request is for the same test of the same package: all parameters except requester, time,
    /// origin and id are the same.
    pub fn same_test(&self, other: &Self) -> bool {
        self.package == other.package && self.anonymous() == other.anonymous()
    }

    /// Returns the request without requester, time, origin and id: the common part of requests for the same test.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        let parameters =
            Parameters { requester: None, submit_time: None, uuid: None, from_web: false, ..self.parameters.clone() };
        Self { package: self.package.clone(), parameters }
    }

    /// Returns the time of submission, if it is in one of the known forms. A time without an offset is in UTC.
    pub fn submitted(&self) -> Option<jiff::Timestamp> {
        let text = self.parameters.submit_time.as_ref()?.as_str();
        let with_offset =
            jiff::fmt::strtime::parse("%Y-%m-%d %H:%M:%S%.f%z", text).and_then(|time| time.to_timestamp());
        let without = || {
            jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()
        };
        with_offset.ok().or_else(|| without().map(|time| time.timestamp()))
    }

    /// Returns whether the run is private: it is for one user of the store, or uses a private PPA.
    pub fn is_private(&self) -> bool {
        self.parameters.swiftuser.is_some() || self.parameters.ppas.iter().any(|ppa| ppa.login().is_some())
    }

    /// Returns whether this is the baseline: a run of the release alone, to compare others with.
    pub fn is_baseline(&self) -> bool {
        self.parameters.triggers.iter().any(Trigger::is_baseline)
    }
}

/// Shows other parameters without their values, which may be secrets.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("triggers", &self.triggers)
            .field("ppas", &self.ppas)
            .field("source", &self.source)
            .field("env", &self.env)
            .field("all_proposed", &self.all_proposed)
            .field("testname", &self.testname)
            .field("swiftuser", &self.swiftuser)
            .field("readable_by", &self.readable_by)
            .field("requester", &self.requester)
            .field("submit_time", &self.submit_time)
            .field("uuid", &self.uuid)
            .field("from_web", &self.from_web)
            .field("other", &self.other.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("package", &self.package).field("parameters", &self.parameters).finish()
    }
}
