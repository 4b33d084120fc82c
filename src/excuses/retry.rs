//! Requesting a test again: as a request for a queue, or as the address of a request.cgi.

use url::form_urlencoded;

use super::{Excuse, LineError, Test, TestState};
use crate::release::{Architecture, Context, QueueName, Release};
use crate::request::line::Submission;
use crate::request::{InvalidRequest, Parameters, Ppa, Request, SourcePackage, Text, Trigger};

/// The server for addresses, unless the excuses name one.
const SERVER: &str = "https://autopkgtest.ubuntu.com/";
const PAGE: &str = "request.cgi";

/// Options for running tests again.
#[derive(Debug, Clone)]
pub struct RetryOptions {
    /// The release of the excuses.
    pub release: Release,
    /// The new versions that tests use.
    pub proposed: ProposedPackages,
    /// Triggers in addition to those of the excuses.
    pub further: Vec<Trigger>,
}

/// Packages that tests take from the proposed pocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposedPackages {
    /// The triggers.
    Triggers,
    /// Everything.
    All,
    /// Nothing new: the tested package itself, in the tested version, is the trigger. This gives a new baseline as long
    /// as the proposed pocket has no newer version of it.
    Nothing,
}

/// A test to run again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// The tested source package.
    pub package: SourcePackage,
    /// Its version, once there was a result.
    pub version: Option<String>,
    /// The release.
    pub release: Release,
    /// The architecture.
    pub architecture: Architecture,
    /// The causes of the test.
    pub triggers: Vec<Trigger>,
    /// Other sources of packages.
    pub ppas: Vec<Ppa>,
    /// Whether everything comes from the proposed pocket.
    pub all_proposed: bool,
    /// Number of days that the new version has been waiting.
    pub age: Option<f64>,
    /// proposed-migration's state of the test.
    pub state: TestState,
    /// Address of the log of its latest run.
    pub log: Option<String>,
    /// The line of the file with its verdict.
    pub(super) line: usize,
    /// Whether the PPAs came from an address.
    pub(super) has_address: bool,
    page: Page,
}

/// Web page that requests a test.
#[derive(Debug, Clone, PartialEq)]
enum Page {
    /// request.cgi, with all parameters in its query.
    Request(String),
    /// An address that repeats this one test unchanged, as in Debian's excuses.
    Again(String),
}

impl RetryOptions {
    /// Returns the retry for this test of the excuse; `None` when the excuses do not have the version that would be its
    /// trigger.
    ///
    /// # Errors
    /// When the excuses have an invalid name, or this test is of another release.
    pub fn retry(&self, excuse: &Excuse, test: &Test) -> Result<Option<Retry>, LineError> {
        let fault = |message: String| {
            let message = format!("the test of {} for {}: {message}", test.package, excuse.source);
            LineError { line: test.line, message }
        };
        let invalid = |error: InvalidRequest| fault(error.to_string());
        let package: SourcePackage = test.package.parse().map_err(invalid)?;
        let architecture: Architecture = test.architecture.parse().map_err(|error| fault(format!("{error}")))?;
        let asked = match &test.retry {
            Some(address) => AddressParameters::parse(address).map_err(fault)?,
            None => AddressParameters::default(),
        };
        for (what, asked, expected) in [
            ("release", &asked.release, self.release.as_str()),
            ("arch", &asked.architecture, architecture.as_str()),
            ("package", &asked.package, package.as_str()),
        ] {
            if let Some(asked) = asked.as_ref().filter(|asked| *asked != expected) {
                return Err(fault(format!("its address asks for the {what} {asked}, not for {expected}")));
            }
        }
        let trigger = |package: &str, version: Option<&String>| match version.map(String::as_str) {
            None | Some("" | "-") => None,
            Some(version) => Some(format!("{package}/{version}").parse::<Trigger>()),
        };
        let mut triggers = if self.proposed == ProposedPackages::Nothing {
            trigger(&test.package, test.version.as_ref().filter(|version| *version != UNKNOWN)).into_iter().collect()
        } else if !asked.triggers.is_empty() {
            asked.triggers.iter().map(|text| text.parse()).collect()
        } else {
            trigger(&excuse.source, excuse.new_version.as_ref()).into_iter().collect::<Result<Vec<_>, _>>()
        }
        .map_err(invalid)?;
        if triggers.is_empty() {
            return Ok(None);
        }
        // A baseline must be the only trigger.
        let is_baseline = triggers.iter().any(Trigger::is_baseline);
        for further in self.further.iter().filter(|_| !is_baseline) {
            if !triggers.contains(further) {
                triggers.push(further.clone());
            }
        }
        let all_proposed = asked.all_proposed || self.proposed == ProposedPackages::All && !is_baseline;
        let is_as_asked = self.proposed == ProposedPackages::Triggers && self.further.is_empty();
        let page = match (&test.retry, asked.page) {
            (Some(address), None) if is_as_asked => Page::Again(address.clone()),
            (_, page) => Page::Request(page.unwrap_or_else(|| format!("{SERVER}{PAGE}"))),
        };
        let ppas: Result<Vec<Ppa>, _> = asked.ppas.iter().map(|text| text.parse()).collect();
        let retry = Retry {
            package,
            version: test.version.clone(),
            release: self.release.clone(),
            architecture,
            triggers,
            ppas: ppas.map_err(invalid)?,
            all_proposed,
            age: excuse.age,
            state: test.state,
            log: test.log.clone(),
            line: test.line,
            has_address: test.retry.is_some(),
            page,
        };
        // A request that no server would accept is reported here, for this test alone.
        retry.submission(None).map_err(invalid)?;
        Ok(Some(retry))
    }
}

/// Version of a package whose test ended before it was known.
pub(super) const UNKNOWN: &str = "unknown";

impl Retry {
    /// Returns the request and its queue.
    ///
    /// # Errors
    /// When the parameters contradict each other.
    pub fn submission(&self, requester: Option<&Text>) -> Result<Submission, InvalidRequest> {
        let parameters = Parameters {
            triggers: self.triggers.clone(),
            ppas: self.ppas.clone(),
            all_proposed: self.all_proposed,
            requester: requester.cloned(),
            ..Parameters::default()
        };
        Ok(Submission { queue: self.queue(), request: Request::new(self.package.clone(), parameters)? })
    }

    /// Returns whether it makes a new baseline.
    pub fn is_baseline(&self) -> bool {
        self.triggers.iter().any(Trigger::is_baseline)
    }

    /// Returns the queue of its request.
    pub fn queue(&self) -> QueueName {
        let context = if self.ppas.is_empty() { Context::Distribution } else { Context::Ppa };
        QueueName::new(context, self.release.clone(), self.architecture.clone())
    }

    /// Returns the address that requests it, with the parameters in other programs' order.
    pub fn url(&self) -> String {
        let page = match &self.page {
            Page::Again(address) => return address.clone(),
            Page::Request(page) => page,
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("release", self.release.as_str());
        query.append_pair("arch", self.architecture.as_str());
        query.append_pair("package", self.package.as_str());
        for trigger in &self.triggers {
            query.append_pair("trigger", &trigger.to_string());
        }
        for ppa in &self.ppas {
            query.append_pair("ppa", &ppa.to_string());
        }
        if self.all_proposed {
            query.append_pair("all-proposed", "1");
        }
        // Python, which creates other programs' addresses, does not escape the `~` in versions.
        let query = query.finish().replace("%7E", "~");
        format!("{page}?{query}")
    }

    /// Returns everything that distinguishes it from others.
    pub(super) fn key(&self) -> impl Eq + std::hash::Hash + use<> {
        let triggers: Vec<String> = self.triggers.iter().map(ToString::to_string).collect();
        let ppas: Vec<String> = self.ppas.iter().map(ToString::to_string).collect();
        (self.package.clone(), self.architecture.clone(), triggers, ppas, self.all_proposed)
    }
}

/// The parameters in an address of the excuses.
#[derive(Default)]
struct AddressParameters {
    page: Option<String>,
    release: Option<String>,
    architecture: Option<String>,
    package: Option<String>,
    triggers: Vec<String>,
    ppas: Vec<String>,
    all_proposed: bool,
}

impl AddressParameters {
    fn parse(address: &str) -> Result<Self, String> {
        if is_again(address) {
            return Ok(Self::default());
        }
        let (page, query) = address.split_once('?').ok_or("its address has no parameters")?;
        // Some addresses omit the server.
        let page = if page.contains("://") { page.to_owned() } else { format!("{SERVER}{PAGE}") };
        let mut asked = Self { page: Some(page), ..Self::default() };
        // Names and versions have no blanks: an unescaped `+` means itself.
        let query = query.replace('+', "%2B");
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "release" => asked.release = Some(value),
                "arch" => asked.architecture = Some(value),
                "package" => asked.package = Some(value),
                "trigger" => asked.triggers.push(value),
                "ppa" => asked.ppas.push(value),
                "all-proposed" => asked.all_proposed = !value.is_empty(),
                // Without an unknown parameter, it would be another test.
                other => return Err(format!("its address has the unknown parameter {other:?}")),
            }
        }
        Ok(asked)
    }
}

/// Returns whether an address repeats one test by its number: `…/api/v1/retry/ID`.
fn is_again(address: &str) -> bool {
    address
        .rsplit_once("/api/v1/retry/")
        .is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns the PPAs in a line with the address of a request.cgi.
pub(super) fn ppas_of(line: &str) -> Option<Vec<String>> {
    let (page, query) = line.trim().trim_end_matches(['\'', '"', ']', ',']).split_once('?')?;
    page.ends_with(PAGE).then_some(())?;
    let query = query.replace('+', "%2B");
    let values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "ppa");
    Some(values.map(|(_, value)| value.into_owned()).collect())
}

/// Combines retries of the same package and architecture into one with all triggers. Packages keep the order of their
/// first retry. Retries with other sources of packages, and baselines, stay separate.
pub fn group(retries: Vec<Retry>) -> Vec<Retry> {
    let mut packages: Vec<Vec<Retry>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for retry in retries {
        let place = *places.entry(retry.package.clone()).or_insert(packages.len());
        if place == packages.len() {
            packages.push(Vec::new());
        }
        let Some(package) = packages.get_mut(place) else { continue };
        let same = |other: &&mut Retry| {
            !other.is_baseline()
                && !retry.is_baseline()
                && (&other.architecture, &other.ppas, other.all_proposed)
                    == (&retry.architecture, &retry.ppas, retry.all_proposed)
        };
        let Some(first) = package.iter_mut().find(same) else {
            package.push(retry);
            continue;
        };
        // Such an address would request only one of them.
        if matches!(first.page, Page::Again(_)) {
            first.page = Page::Request(format!("{SERVER}{PAGE}"));
        }
        for trigger in retry.triggers {
            if !first.triggers.contains(&trigger) {
                first.triggers.push(trigger);
            }
        }
        first.version = first.version.take().or(retry.version);
        first.age = first.age.into_iter().chain(retry.age).reduce(f64::max);
    }
    packages.into_iter().flatten().collect()
}
