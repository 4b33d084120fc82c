//! A project's hook as the site declares it: the tests that its pull requests request.

use url::Url;

use super::event::InvalidEvent;
use super::query::{Query, with_fingerprint};
use super::{Forge, Project, PullRequest, status};
use crate::pattern::{Alphabet, Pattern};
use crate::release::{Architecture, Context, QueueName, Release};
use crate::request::line::Submission;
use crate::request::{
    EnvVar, GitSource, InvalidRequest, PULL_REQUEST, Parameters, Ppa, Request, RequestId, SourcePackage, TestName,
    TestSource,
};
use crate::server_url::ServerUrl;

/// A declared hook.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// The kind of forge.
    pub forge: Forge,
    /// The API of the forge.
    pub api: ServerUrl,
    /// The project.
    pub project: Project,
    /// The release to test on.
    pub release: Release,
    /// The architectures to test on, at least one.
    pub architectures: Vec<Architecture>,
    /// The source package under whose name the results are stored.
    pub package: SourcePackage,
    /// The source to build and test instead of the pull request itself. It finds the pull request through its
    /// environment.
    pub build_git: Option<GitSource>,
    /// PPAs with further packages.
    pub ppas: Vec<Ppa>,
    /// The environment of the tests.
    pub env: Vec<EnvVar>,
    /// Variables that the hook's address may add or set to another value.
    pub env_allowed: Vec<EnvPattern>,
    /// The only test to run, if not all of the package.
    pub testname: Option<TestName>,
    /// Whether a signature with SHA-1 is accepted.
    pub legacy: bool,
}

/// Which values a variable may have: `NAME=PATTERN`, with a shell pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvPattern(Pattern);

impl EnvPattern {
    fn allows(&self, variable: &EnvVar) -> bool {
        self.0.matches(variable.as_str())
    }
}

impl std::fmt::Display for EnvPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for EnvPattern {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        // The name is the variable's own.
        let variable: EnvVar = text.parse().map_err(|error| InvalidRequest { field: "env-allowed", ..error })?;
        if variable.name() == PULL_REQUEST
            || [Forge::GitHub, Forge::GitLab].iter().any(|forge| variable.name() == forge.statuses_variable())
        {
            return Err(InvalidRequest::new("env-allowed", text, "this variable is set from the pull request"));
        }
        let pattern = Pattern::read(text, Alphabet::Text);
        pattern.map(Self).map_err(|why| InvalidRequest::new("env-allowed", text, format!("the pattern {why}")))
    }
}

impl Hook {
    /// Returns the query of the hook's address.
    pub fn query(&self) -> Query {
        Query {
            release: Some(self.release.clone()),
            architectures: self.architectures.clone(),
            package: Some(self.package.clone()),
            ppas: self.ppas.clone(),
            env: self.env.clone(),
            source: self.build_git.clone().map(TestSource::BuildGit),
            testname: self.testname.clone(),
            ..Query::default()
        }
    }

    /// Returns the address that the forge sends to, at this web service.
    pub fn payload_url(&self, service: &ServerUrl) -> String {
        let page = match self.forge {
            Forge::GitHub => "request.cgi",
            Forge::GitLab => "webhooks/gitlab",
        };
        format!("{service}/{page}?{}", self.query())
    }

    /// Returns the hook with the architectures and the environment of a query, if the query is one of this hook.
    ///
    /// The query may name fewer architectures, and another environment where `env_allowed` matches. An empty query
    /// means the hook as it is.
    pub fn for_query(&self, query: &Query) -> Option<Self> {
        if *query == Query::default() {
            return Some(self.clone());
        }
        let mut own = self.query();
        let mut given = query.clone();
        for query in [&mut own, &mut given] {
            query.architectures.clear();
            query.env.clear();
        }
        let knows = |variable: &EnvVar| {
            self.env.contains(variable) || self.env_allowed.iter().any(|pattern| pattern.allows(variable))
        };
        let has_all = self.env.iter().all(|variable| query.env.iter().any(|given| given.name() == variable.name()));
        let is_tested = query.architectures.iter().all(|one| self.architectures.contains(one));
        let is_mine = own == given && has_all && query.env.iter().all(knows) && is_tested;
        (is_mine && !query.architectures.is_empty()).then(|| Self {
            env: query.env.clone(),
            architectures: query.architectures.clone(),
            ..self.clone()
        })
    }

    /// Returns the API's address for the statuses of the commit.
    pub fn statuses_url(&self, pull: &PullRequest) -> String {
        match self.forge {
            Forge::GitHub => format!("{}/repos/{}/statuses/{}", self.api, self.project, pull.commit),
            Forge::GitLab => {
                format!("{}/projects/{}/statuses/{}", self.api, self.project.as_str().replace('/', "%2F"), pull.commit)
            }
        }
    }

    /// Returns the requests of a pull request, one for each architecture. Their ids are derived from `delivery`, so
    /// that a delivery that is sent twice is not tested twice.
    ///
    /// # Errors
    /// When the pull request is not one of the hook's project.
    pub fn requests(&self, pull: &PullRequest, delivery: &str) -> Result<Vec<Submission>, InvalidEvent> {
        let source = match &self.build_git {
            Some(source) => source.clone(),
            None => self.own_source(pull)?,
        };
        let mut variables = self.env.clone();
        let set = [(PULL_REQUEST, pull.number.to_string()), (self.forge.statuses_variable(), self.statuses_url(pull))];
        for (name, value) in set {
            variables.retain(|variable| variable.name() != name);
            variables
                .push(format!("{name}={value}").parse().map_err(|error: InvalidRequest| InvalidEvent::new(error))?);
        }
        let parameters = Parameters {
            ppas: self.ppas.clone(),
            source: Some(TestSource::BuildGit(source)),
            env: variables,
            testname: self.testname.clone(),
            from_web: true,
            ..Parameters::default()
        };
        let requests = self.architectures.iter().map(|architecture| {
            let queue = QueueName::new(Context::Upstream, self.release.clone(), architecture.clone());
            let uuid = Some(self.id(delivery, &queue)?);
            let parameters = Parameters { uuid, ..parameters.clone() };
            Ok(Submission { request: Request::new(self.package.clone(), parameters)?, queue })
        });
        requests.collect::<Result<_, InvalidRequest>>().map_err(InvalidEvent::new)
    }

    fn id(&self, delivery: &str, queue: &QueueName) -> Result<RequestId, InvalidRequest> {
        use sha2::{Digest, Sha256};
        let test = self.testname.as_ref().map(TestName::as_str).unwrap_or_default();
        let project = self.project.as_str().to_ascii_lowercase();
        let text = format!("{}\n{}\n{project}\n{delivery}\n{queue}\n{}\n{test}", self.forge, self.api, self.package);
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(Sha256::digest(text)).for_each(|(byte, digest)| *byte = digest);
        uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string().parse()
    }

    /// Returns the source of the pull request's newest commit, which must be in the hook's own project.
    fn own_source(&self, pull: &PullRequest) -> Result<GitSource, InvalidEvent> {
        let host = self.host();
        let is_own = Url::parse(&pull.clone_url).is_ok_and(|url| {
            let path = url.path().trim_start_matches('/');
            url.scheme() == "https"
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
                && self::host(&url) == host
                && self.project.is(path.strip_suffix(".git").unwrap_or(path))
        });
        if !is_own {
            let message = format!("its clone_url is not that of {} at https://{host}", self.project);
            return Err(InvalidEvent::new(message));
        }
        let source = format!("{}#{}", pull.clone_url, self.forge.reference(pull.number));
        source.parse().map_err(|error: InvalidRequest| InvalidEvent::new(error))
    }

    /// Whether a host, and port if it is named, is the one of the project's pages or of the API.
    pub fn is_at(&self, server: &str) -> bool {
        let api = Url::parse(&self.api.to_string()).map(|url| host(&url));
        server == self.host() || api.is_ok_and(|api| server == api)
    }

    /// Returns the host of the project's pages, and the port if the API names one.
    pub fn host(&self) -> String {
        self.forge.host(&self.api)
    }

    /// Returns the queues of the hook's tests.
    pub fn queues(&self) -> impl Iterator<Item = QueueName> {
        let queue = |one: &Architecture| QueueName::new(Context::Upstream, self.release.clone(), one.clone());
        self.architectures.iter().map(queue)
    }

    /// Returns why the hook's address would not express the hook, if that is so.
    pub fn fault(&self) -> Option<String> {
        match Query::parse(&self.query().to_string()) {
            Err(error) => Some(error.to_string()),
            Ok(query) if query == self.query() => None,
            Ok(_) => {
                let rule =
                    "an architecture or PPA is there twice, or a variable's value ends with a space or has a semicolon";
                Some(format!("its address would ask for something else: {rule}"))
            }
        }
    }

    /// Returns the contexts of the tests' statuses, which are the same for every pull request.
    pub fn contexts(&self) -> impl Iterator<Item = String> {
        self.queues().map(|queue| status::context_of(&self.package, self.testname.as_ref(), &queue))
    }

    /// Returns a short description for logs and tables.
    pub fn title(&self) -> String {
        let architectures: Vec<&str> = self.architectures.iter().map(Architecture::as_str).collect();
        let test = self.testname.as_ref().map(|name| format!(", test {name}")).unwrap_or_default();
        format!("{} on {} {}{test}", self.package, self.release, architectures.join(" "))
    }

    /// Whether the tests of two hooks would share a place in the store, or a status.
    pub fn collides(&self, other: &Self) -> bool {
        self.forge == other.forge
            && self.project.is(other.project.as_str())
            && self.release == other.release
            && self.package == other.package
            && self.testname == other.testname
            && self.architectures.iter().any(|architecture| other.architectures.contains(architecture))
    }

    /// Returns the PPAs in a form that can be parsed.
    pub fn ppa_texts(&self) -> Vec<String> {
        self.ppas.iter().map(with_fingerprint).collect()
    }
}

/// Returns the host of a URL, and the port if it is named.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook() -> Hook {
        Hook {
            forge: Forge::GitHub,
            api: Forge::GitHub.api(),
            project: "systemd/systemd".parse().unwrap(),
            release: "xenial".parse().unwrap(),
            architectures: vec!["i386".parse().unwrap(), "amd64".parse().unwrap()],
            package: "systemd-upstream".parse().unwrap(),
            build_git: None,
            ppas: vec!["upstream-systemd-ci/systemd-ci".parse().unwrap()],
            env: vec!["TEST_UPSTREAM=1".parse().unwrap(), "CFLAGS=-O0".parse().unwrap()],
            env_allowed: vec!["CFLAGS=-O*".parse().unwrap(), "EXTRA=yes".parse().unwrap()],
            testname: None,
            legacy: false,
        }
    }

    fn pull(clone_url: &str) -> PullRequest {
        let commit = "6dcb09b5b57875f334f61aebed695e2e4193db5e".parse().unwrap();
        PullRequest { number: 7, commit, is_open: true, updated: None, clone_url: clone_url.to_owned() }
    }

    #[test]
    fn the_address_is_escaped_as_github_wants_it() {
        let mut hook = hook();
        hook.build_git = Some("https://github.com/systemd/systemd-ci.git#ubuntu-ci".parse().unwrap());
        let service = "https://ci.example.org".parse().unwrap();
        assert_eq!(
            hook.payload_url(&service),
            "https://ci.example.org/request.cgi?release=xenial&arch=i386&arch=amd64&\
             build-git=https%3A%2F%2Fgithub.com%2Fsystemd%2Fsystemd-ci.git%23ubuntu-ci&package=systemd-upstream&\
             ppa=upstream-systemd-ci%2Fsystemd-ci&env=TEST_UPSTREAM%3D1%3BCFLAGS%3D-O0"
        );
    }

    #[test]
    fn an_address_may_differ_only_where_the_hook_allows_it() {
        let hook = hook();
        let env = |change: &dyn Fn(&mut Query)| {
            let mut query = hook.query();
            change(&mut query);
            hook.for_query(&Query::parse(&query.to_string()).unwrap()).map(|hook| hook.env)
        };
        assert_eq!(env(&|_| {}), Some(hook.env.clone()));
        assert!(env(&|query| query.architectures.reverse()).is_some());
        assert!(env(&|query| query.env[1] = "CFLAGS=-O2".parse().unwrap()).is_some());
        assert!(env(&|query| query.env.push("EXTRA=yes".parse().unwrap())).is_some());
        assert!(env(&|query| query.env[1] = "CFLAGS=-fplugin=x".parse().unwrap()).is_none());
        assert!(env(&|query| query.env.push("LD_PRELOAD=/x".parse().unwrap())).is_none());
        assert!(env(&|query| query.env.clear()).is_none());
        assert!(env(&|query| query.ppas.clear()).is_none());
        assert!(env(&|query| query.all_proposed = true).is_none());
        assert!(env(&|query| query.release = "noble".parse().ok()).is_none());
        assert_eq!(hook.for_query(&Query::default()), Some(hook.clone()));
        let one = Query { architectures: vec!["amd64".parse().unwrap()], ..hook.query() };
        assert_eq!(hook.for_query(&one).unwrap().architectures, one.architectures);
        let other = Query { architectures: vec!["riscv64".parse().unwrap()], ..hook.query() };
        assert_eq!(hook.for_query(&other), None);
        assert_eq!(hook.for_query(&Query { architectures: Vec::new(), ..hook.query() }), None);
    }

    #[test]
    fn a_pull_request_becomes_a_request_for_each_architecture() {
        let hook = hook();
        let requests = hook.requests(&pull("https://github.com/systemd/systemd.git"), "guid-1").unwrap();
        let queues: Vec<String> = requests.iter().map(|one| one.queue.to_string()).collect();
        assert_eq!(queues, ["debci-upstream-xenial-i386", "debci-upstream-xenial-amd64"]);
        let wire = requests[0].request.to_wire();
        for part in [
            "\"UPSTREAM_PULL_REQUEST=7\"",
            "\"GITHUB_STATUSES_URL=https://api.github.com/repos/systemd/systemd/statuses/6dcb09b5b57875f334f61aebed695e2e4193db5e\"",
            "\"build-git\":\"https://github.com/systemd/systemd.git#refs/pull/7/head\"",
            "\"TEST_UPSTREAM=1\"",
            "\"apt-ci-origin\":\"web\"",
        ] {
            assert!(wire.contains(part), "{wire}");
        }
        let again = hook.requests(&pull("https://github.com/systemd/systemd.git"), "guid-1").unwrap();
        assert_eq!(again, requests, "the same delivery makes the same ids");
        assert_ne!(requests[0].request.uuid(), requests[1].request.uuid());
        let other = hook.requests(&pull("https://github.com/systemd/systemd.git"), "guid-2").unwrap();
        assert_ne!(other[0].request.uuid(), requests[0].request.uuid());
    }

    #[test]
    fn code_from_elsewhere_is_not_tested() {
        let hook = hook();
        for url in [
            "http://github.com/systemd/systemd.git",
            "https://github.com.evil.example/systemd/systemd.git",
            "https://evil.example/systemd/systemd.git",
            "https://github.com/evil/systemd.git",
            "https://me:secret@github.com/systemd/systemd.git",
            "https://github.com/systemd/systemd.git?x",
            "https://github.com/systemd/systemd.git#x",
            "ext::sh -c x",
            "",
        ] {
            let error = hook.requests(&pull(url), "guid").unwrap_err().to_string();
            assert_eq!(error, "its clone_url is not that of systemd/systemd at https://github.com");
        }
    }

    #[test]
    fn what_a_pull_request_sets_cannot_be_allowed() {
        assert!("UPSTREAM_PULL_REQUEST=*".parse::<EnvPattern>().is_err());
        assert!("GITHUB_STATUSES_URL=*".parse::<EnvPattern>().is_err());
        assert!("NAME".parse::<EnvPattern>().is_err());
    }

    #[test]
    fn values_are_allowed_by_shell_patterns() {
        let allows =
            |pattern: &str, variable: &str| pattern.parse::<EnvPattern>().unwrap().allows(&variable.parse().unwrap());
        assert!(allows("CFLAGS=-O[0-3]", "CFLAGS=-O2") && !allows("CFLAGS=-O[0-3]", "CFLAGS=-Os"));
        assert!(allows("A=b?", "A=bc") && !allows("A=b[?]", "A=bc") && allows("A=b[?]", "A=b?"));
        assert!(!allows("A=*", "B=1") && !allows("A=b", "A=bc"));
        let error = "A=[".parse::<EnvPattern>().unwrap_err().to_string();
        assert_eq!(error, r#"env-allowed "A=[": the pattern has a [ without its ]"#);
    }
}
