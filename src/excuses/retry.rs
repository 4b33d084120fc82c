//! Asking for a test again: as a request for a queue, or as the address of a request.cgi.

use url::form_urlencoded;

use super::{Excuse, ExcusesError, Fault, State, Test};
use crate::release::{Architecture, Context, QueueName, Release};
use crate::request::line::Submission;
use crate::request::{InvalidRequest, Parameters, Ppa, Request, SourcePackage, Text, Trigger};

/// The server of the addresses, unless the excuses name one.
const SERVER: &str = "https://autopkgtest.ubuntu.com/";
const PAGE: &str = "request.cgi";

/// How tests are run again.
#[derive(Debug, Clone)]
pub struct Manner {
    /// The release that the excuses are about.
    pub release: Release,
    /// Which new versions the tests see.
    pub proposed: Proposed,
    /// Triggers beside those of the excuses.
    pub further: Vec<Trigger>,
}

/// Which packages tests take from the proposed pocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposed {
    /// The triggers.
    Triggers,
    /// Everything.
    All,
    /// Nothing new: the tested package itself, in the version that was tested, is the trigger. That gives a new baseline as long as the
    /// proposed pocket has no newer version of it.
    Nothing,
}

/// A test to be run again.
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
    /// What caused the test.
    pub triggers: Vec<Trigger>,
    /// Where else packages come from.
    pub ppas: Vec<Ppa>,
    /// Whether everything comes from the proposed pocket.
    pub all_proposed: bool,
    /// For how many days the new version has been waiting.
    pub age: Option<f64>,
    /// What proposed-migration says about the test.
    pub state: State,
    /// Where the log of its latest run is.
    pub log: Option<String>,
    /// The address of request.cgi.
    page: String,
}

impl Manner {
    /// What runs this test of the excuse again. `None` when the excuses do not tell the version that would be its trigger.
    ///
    /// # Errors
    /// When the excuses name something that cannot be, or are those of another release.
    pub fn retry(&self, excuse: &Excuse, test: &Test) -> Result<Option<Retry>, ExcusesError> {
        let fault = |message: String| {
            let message = format!("the test of {} for {}: {message}", test.package, excuse.source);
            ExcusesError::Malformed(Fault { line: excuse.line, message })
        };
        let invalid = |error: InvalidRequest| fault(error.to_string());
        let package: SourcePackage = test.package.parse().map_err(invalid)?;
        let architecture: Architecture = test.architecture.parse().map_err(|error| fault(format!("{error}")))?;
        let asked = match &test.retry {
            Some(address) => Asked::parse(address).map_err(fault)?,
            None => Asked::default(),
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
        let mut triggers = if self.proposed == Proposed::Nothing {
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
        for further in &self.further {
            if !triggers.contains(further) {
                triggers.push(further.clone());
            }
        }
        let ppas: Result<Vec<Ppa>, _> = asked.ppas.iter().map(|text| text.parse()).collect();
        Ok(Some(Retry {
            package,
            version: test.version.clone(),
            release: self.release.clone(),
            architecture,
            triggers,
            ppas: ppas.map_err(invalid)?,
            all_proposed: asked.all_proposed || self.proposed == Proposed::All,
            age: excuse.age,
            state: test.state,
            log: test.log.clone(),
            page: asked.page.unwrap_or_else(|| format!("{SERVER}{PAGE}")),
        }))
    }
}

/// The version of a package whose test ended before it was known.
pub(super) const UNKNOWN: &str = "unknown";

impl Retry {
    /// The request, and the queue that it belongs into.
    ///
    /// # Errors
    /// When the parameters do not fit together.
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

    /// The queue that its request belongs into.
    pub fn queue(&self) -> QueueName {
        let context = if self.ppas.is_empty() { Context::Distribution } else { Context::Ppa };
        QueueName::new(context, self.release.clone(), self.architecture.clone())
    }

    /// The address that asks for it, with everything in the order that others use.
    pub fn url(&self) -> String {
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
        // Python, which others write their addresses with, leaves the `~` of versions as it is.
        let query = query.finish().replace("%7E", "~");
        format!("{}?{query}", self.page)
    }
}

/// What an address of the excuses asks for.
#[derive(Default)]
struct Asked {
    page: Option<String>,
    release: Option<String>,
    architecture: Option<String>,
    package: Option<String>,
    triggers: Vec<String>,
    ppas: Vec<String>,
    all_proposed: bool,
}

impl Asked {
    fn parse(address: &str) -> Result<Self, String> {
        let (page, query) = address.split_once('?').ok_or("its address asks for nothing")?;
        // Some write only what follows the server.
        let page = if page.contains("://") { page.to_owned() } else { format!("{SERVER}{PAGE}") };
        let mut asked = Self { page: Some(page), ..Self::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "release" => asked.release = Some(value),
                "arch" => asked.architecture = Some(value),
                "package" => asked.package = Some(value),
                "trigger" => asked.triggers.push(value),
                "ppa" => asked.ppas.push(value),
                "all-proposed" => asked.all_proposed = !value.is_empty(),
                // A test without it would be another one.
                other => return Err(format!("its address has the parameter {other:?}, which is not known here")),
            }
        }
        Ok(asked)
    }
}

/// One retry per test and architecture, with all triggers; packages in the order in which they came first, and then architectures. Those
/// that take packages from elsewhere stay apart.
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
            (&other.architecture, &other.ppas, other.all_proposed)
                == (&retry.architecture, &retry.ppas, retry.all_proposed)
        };
        let Some(first) = package.iter_mut().find(same) else {
            package.push(retry);
            continue;
        };
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
