//! Sites: queue, store, releases and workers that belong together. Each setting knows where it comes from.
//!
//! A site is a folder with the file `apt-ci.toml`, usually a git repository. It is the folder that the user names;
//! otherwise the first one from the working directory upwards, the user's own, or the machine's. A flag takes
//! precedence over a variable, a variable over the file, and the file over the built-in default, which needs no server
//! and no file.

mod create;
pub mod credentials;
mod error;
mod exposure;
mod file;
mod folders;
mod hooks;
pub mod host;
mod password;
mod repository;
mod trust;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::archive::Pockets;
use crate::broker::{AmqpUrl, QueueType, QueueUrl};
use crate::environment::Environment;
use crate::excuses::ExcusesLocation;
use crate::launchpad::LaunchpadSettings;
use crate::release::{Architecture, QueueName, Release};
use crate::server_url::{ServerIdentity, ServerUrl};
use crate::store::StoreUrl;
use crate::store::swift::SwiftSettings;
use crate::testbed::AllowedHost;

pub use self::create::{CreatedSite, create};
pub use self::error::{SiteError, shell_word};
use self::file::{LAUNCHPAD_KEYS, SiteFile, Swift, Web, local_to, stored_below};
use self::folders::LocatedSite;
pub use self::folders::{FoundBy, SITE_FILE};
pub use self::trust::{TrustStore, TrustedSite};

/// Default address of the web service, for a reverse proxy on the same machine.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8870);

/// Flags and surroundings that determine the site and its settings.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// `--site`: a folder with `apt-ci.toml`, or that file.
    pub site: Option<&'a Path>,
    /// `--queue`.
    pub queue: Option<&'a str>,
    /// `--store`.
    pub store: Option<&'a str>,
    /// The environment variables.
    pub environment: &'a Environment,
    /// The working directory, an absolute path.
    pub working_dir: &'a Path,
}

/// Origin of a setting. Shown as `default`, `FILE:LINE`, the variable or the flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// A line of a site's file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File { path, line } => f.pad(&format!("{}:{line}", path.display())),
            Self::Variable(name) | Self::Flag(name) => f.pad(name),
        }
    }
}

/// Whether passwords may be sent without TLS to another machine. Its text is `allow` or `refuse`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PlainText {
    /// Passwords are not sent.
    #[default]
    Refuse,
    /// Passwords are sent, because the network is trusted.
    Allow,
}

impl fmt::Display for PlainText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if *self == Self::Allow { "allow" } else { "refuse" })
    }
}

impl std::str::FromStr for PlainText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "allow" => Ok(Self::Allow),
            "refuse" => Ok(Self::Refuse),
            _ => Err("it is \"allow\" or \"refuse\""),
        }
    }
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

/// A setting as text, for people and programs. Secrets are hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSetting {
    /// Its key, with the section: `SECTION.KEY`.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Its origin.
    pub origin: Origin,
}

/// A site with all its settings. Paths are absolute.
#[derive(Debug, Clone)]
pub struct Site {
    /// The site's folder; none without a site.
    pub root: Option<PathBuf>,
    /// The way in which the site was found; none without a site.
    pub found_by: Option<FoundBy>,
    /// The queue. Connect to [`Site::queue_url`], which has the password of `queue-password-file`.
    pub queue: Setting<QueueUrl>,
    /// The store.
    pub store: Setting<StoreUrl>,
    /// The releases under test, with their architectures.
    pub releases: Setting<BTreeMap<Release, Vec<Architecture>>>,
    /// The pockets of the releases.
    pub pockets: Pockets,
    /// The places of the excuses, by release.
    pub excuses: BTreeMap<Release, Setting<ExcusesLocation>>,
    /// The settings for Swift.
    pub swift: SwiftSettings,
    /// The settings for Launchpad.
    pub launchpad: LaunchpadSettings,
    /// The public address of the web service, if it is configured.
    pub web_url: Option<Setting<ServerUrl>>,
    /// The address on which the web service listens.
    pub web_listen: Setting<SocketAddr>,
    allowed_git_hosts: Option<Setting<Vec<AllowedHost>>>,
    /// The workers' configuration: the named one, or `worker.conf` in the site's folder.
    pub worker_conf: Option<Setting<PathBuf>>,
    /// Whether passwords may be sent without TLS to another machine.
    pub plain_text: Setting<PlainText>,
    /// The folder for results that workers of this machine have not published yet.
    pub state_dir: PathBuf,
    /// The folder for indices of stores.
    pub cache_dir: PathBuf,
    /// The folder for the images of isolated testbeds.
    pub testbeds_dir: PathBuf,
    queue_password_file: Option<Setting<PathBuf>>,
    queue_type: Option<Setting<QueueType>>,
    release_origins: BTreeMap<Release, Origin>,
    swift_settings: Swift,
    launchpad_origins: [Origin; LAUNCHPAD_KEYS.len()],
}

impl Site {
    /// Finds the site and reads its settings. A site in the working directory, or above it, must be trusted: see
    /// [`TrustStore`].
    ///
    /// # Errors
    /// When the named site does not exist, the site is not trusted, or its file, a flag or a variable is invalid.
    pub fn find(lookup: &Lookup<'_>) -> Result<Self, SiteError> {
        let located = folders::find(lookup, Path::new(folders::SYSTEM))?;
        if let Some(LocatedSite { file, by: FoundBy::WorkingDir }) = &located {
            TrustStore::of_user(lookup.environment).check(file.parent().unwrap_or(Path::new("/")))?;
        }
        Self::read(lookup, located)
    }

    /// Finds the site and reads its settings to show them. Must not be used to send secrets or execute programs.
    ///
    /// # Errors
    /// When [`Site::find`] fails for another reason than missing trust.
    pub fn inspect(lookup: &Lookup<'_>) -> Result<Self, SiteError> {
        Self::inspect_below(lookup, Path::new(folders::SYSTEM))
    }

    fn inspect_below(lookup: &Lookup<'_>, system: &Path) -> Result<Self, SiteError> {
        Self::read(lookup, folders::find(lookup, system)?)
    }

    fn read(lookup: &Lookup<'_>, located: Option<LocatedSite>) -> Result<Self, SiteError> {
        let path = located.as_ref().map(|located| located.file.as_path());
        let file = path.map(SiteFile::read).transpose()?.unwrap_or_default();
        let root = path.and_then(Path::parent).map(Path::to_owned);
        Ok(Self { found_by: located.map(|located| located.by), ..Self::settle(lookup, root, file)? })
    }

    /// Merges flags, variables, the file and the defaults.
    fn settle(lookup: &Lookup<'_>, root: Option<PathBuf>, file: SiteFile) -> Result<Self, SiteError> {
        let Lookup { environment, working_dir, .. } = lookup;
        let data = folders::data(environment);
        let queue = match overriding(lookup.queue, "--queue", environment, "APT_CI_QUEUE")? {
            Some(Setting { value, origin }) => Setting { value: local_to(working_dir, value), origin },
            None => {
                file.queue.unwrap_or(Setting { value: QueueUrl::Local(data.join("queue")), origin: Origin::Default })
            }
        };
        let store = match overriding(lookup.store, "--store", environment, "APT_CI_STORE")? {
            Some(Setting { value, origin }) => Setting { value: stored_below(working_dir, value), origin },
            None => {
                file.store.unwrap_or(Setting { value: StoreUrl::Folder(data.join("results")), origin: Origin::Default })
            }
        };
        // The password is for the queue in the file, and must not be sent to another one.
        let queue_password_file = file.queue_password_file.filter(|_| matches!(queue.origin, Origin::File { .. }));
        // The type as well is that of the queue in the file.
        let queue_type = file.queue_type.filter(|_| matches!(queue.origin, Origin::File { .. }));
        let mut queue = queue;
        if let (QueueUrl::Amqp(url), Some(queue_type)) = (&queue.value, &queue_type) {
            queue.value = QueueUrl::Amqp(url.clone().with_queue_type(Some(queue_type.value)));
        }
        let mut release_origins = BTreeMap::new();
        let mut pockets = Pockets::default();
        let releases = match file.releases {
            None => Setting { value: host::releases(), origin: Origin::Default },
            Some(section) => {
                pockets = Pockets::new(section.pockets);
                let mut value = BTreeMap::new();
                for (release, setting) in section.entries {
                    release_origins.insert(release.clone(), setting.origin);
                    value.insert(release, setting.value);
                }
                Setting { value, origin: section.origin }
            }
        };
        // Even a broken link or a device counts: without a worker.conf, tests would run on this machine.
        let beside = root.as_ref().map(|root| root.join("worker.conf")).filter(|path| path.symlink_metadata().is_ok());
        let worker_conf = file.worker_conf.or_else(|| beside.map(|value| Setting { value, origin: Origin::Default }));
        let plain_text = overriding(None, "", environment, "APT_CI_PLAIN_TEXT_PASSWORDS")?.or(file.plain_text);
        let plain_text = plain_text.unwrap_or(Setting { value: PlainText::default(), origin: Origin::Default });
        let allows_plain_text = plain_text.value == PlainText::Allow;
        let Swift { cloud, clouds_file, region, interface } = file.swift.clone();
        let swift = SwiftSettings {
            cloud: cloud.map(|setting| setting.value),
            clouds_file: clouds_file.map(|setting| setting.value),
            region: region.map(|setting| setting.value),
            interface: interface.map(|setting| setting.value),
            allows_plain_text,
        };
        let (launchpad, launchpad_origins) = servers(file.launchpad, allows_plain_text);
        let Web { url: web_url, listen, allowed_git_hosts } = file.web;
        let web_listen = listen.unwrap_or(Setting { value: DEFAULT_LISTEN, origin: Origin::Default });
        let state_dir = folders::state(environment);
        let cache_dir = folders::cache(environment);
        let testbeds_dir = data.join("testbeds");
        let swift_settings = file.swift;
        Ok(Self {
            root,
            found_by: None,
            queue,
            store,
            releases,
            pockets,
            excuses: file.excuses,
            swift,
            launchpad,
            web_url,
            web_listen,
            allowed_git_hosts,
            worker_conf,
            plain_text,
            state_dir,
            cache_dir,
            testbeds_dir,
            queue_password_file,
            queue_type,
            release_origins,
            swift_settings,
            launchpad_origins,
        })
    }

    /// Returns the queue to connect to, with the password of `queue-password-file`. That is read only now, because
    /// users who only read results may lack access to it.
    ///
    /// # Errors
    /// When the password file cannot be read, or is readable for other users; [`SiteError::PlainText`].
    pub fn queue_url(&self) -> Result<QueueUrl, SiteError> {
        match (&self.queue.value, &self.queue_password_file) {
            (QueueUrl::Amqp(url), Some(file)) => {
                self.queue_url_with(url, &password::read(&file.value, self.root.as_deref())?)
            }
            (QueueUrl::Amqp(url), None) if url.has_password() => {
                self.check_plain_text(url.server())?;
                Ok(self.queue.value.clone())
            }
            (url, _) => Ok(url.clone()),
        }
    }

    /// Returns the queue to connect to, with this password of its user.
    ///
    /// # Errors
    /// [`SiteError::PlainText`], or when the URL names no user.
    pub fn queue_url_with(&self, url: &AmqpUrl, password: &SecretString) -> Result<QueueUrl, SiteError> {
        self.check_plain_text(url.server())?;
        let reason = |error| SiteError::Value { origin: self.queue.origin.clone(), reason: format!("{error}") };
        url.with_password(password).map(QueueUrl::Amqp).map_err(reason)
    }

    /// Refuses a server to which a password would be sent unencrypted.
    fn check_plain_text(&self, server: &ServerIdentity) -> Result<(), SiteError> {
        let is_allowed = server.is_private() || self.plain_text.value == PlainText::Allow;
        if is_allowed { Ok(()) } else { Err(SiteError::PlainText(server.clone())) }
    }

    /// Returns the queues of all releases, architectures and contexts.
    pub fn queues(&self) -> Vec<QueueName> {
        let pairs = self.releases.value.iter().flat_map(|(release, list)| list.iter().map(move |a| (release, a)));
        pairs.flat_map(|(release, architecture)| QueueName::all_contexts(release, architecture)).collect()
    }

    /// Returns the hosts that requests over the web may name for branches although their addresses are not public.
    pub fn allowed_git_hosts(&self) -> Vec<AllowedHost> {
        self.allowed_git_hosts.iter().flat_map(|setting| setting.value.iter().cloned()).collect()
    }

    /// Returns the architectures of a release; none if the site does not have that release.
    pub fn architectures(&self, release: &Release) -> Option<&[Architecture]> {
        self.releases.value.get(release).map(Vec::as_slice)
    }

    /// Returns every setting that has a value, in the order of the file.
    pub fn settings(&self) -> Vec<ShownSetting> {
        let mut shown = Vec::new();
        let mut show = |key: &str, value: String, origin: &Origin| {
            shown.push(ShownSetting { key: key.to_owned(), value, origin: origin.clone() });
        };
        show("queue", self.queue.value.to_string(), &self.queue.origin);
        let path = |path: &Setting<PathBuf>| path.value.display().to_string();
        if let Some(file) = &self.queue_password_file {
            show("queue-password-file", path(file), &file.origin);
        }
        if let Some(queue_type) = &self.queue_type {
            show("queue-type", queue_type.value.to_string(), &queue_type.origin);
        }
        show("store", self.store.value.to_string(), &self.store.origin);
        if let Some(file) = &self.worker_conf {
            show("worker-conf", path(file), &file.origin);
        }
        show("plain-text-passwords", self.plain_text.value.to_string(), &self.plain_text.origin);
        for (release, architectures) in &self.releases.value {
            let names: Vec<_> = architectures.iter().map(Architecture::as_str).collect();
            let origin = self.release_origins.get(release).unwrap_or(&self.releases.origin);
            show(&format!("releases.{release}"), names.join(" "), origin);
            if let Some(pocket) = self.pockets.named(release) {
                show(&format!("releases.{release}.pocket"), pocket.to_owned(), origin);
            }
        }
        for (release, Setting { value, origin }) in &self.excuses {
            show(&format!("excuses.{release}"), value.to_string(), origin);
        }
        let Swift { cloud, clouds_file, region, interface } = &self.swift_settings;
        if let Some(cloud) = cloud {
            show("swift.cloud", cloud.value.clone(), &cloud.origin);
        }
        if let Some(file) = clouds_file {
            show("swift.clouds-file", path(file), &file.origin);
        }
        if let Some(region) = region {
            show("swift.region", region.value.clone(), &region.origin);
        }
        if let Some(interface) = interface {
            show("swift.interface", interface.value.clone(), &interface.origin);
        }
        let LaunchpadSettings { api, keyserver, archive, private_archive, .. } = &self.launchpad;
        let servers = [api, keyserver, archive, private_archive].into_iter().zip(&self.launchpad_origins);
        for (key, (server, origin)) in LAUNCHPAD_KEYS.iter().zip(servers) {
            show(&format!("launchpad.{key}"), server.to_string(), origin);
        }
        if let Some(url) = &self.web_url {
            show("web.url", url.value.to_string(), &url.origin);
        }
        show("web.listen", self.web_listen.value.to_string(), &self.web_listen.origin);
        if let Some(Setting { value, origin }) = &self.allowed_git_hosts {
            let hosts: Vec<String> = value.iter().map(ToString::to_string).collect();
            show("web.allowed-git-hosts", hosts.join(" "), origin);
        }
        shown
    }
}

/// Returns Launchpad's servers and their origins, in the order of the keys.
fn servers(file: file::Launchpad, allows_plain_text: bool) -> (LaunchpadSettings, [Origin; LAUNCHPAD_KEYS.len()]) {
    let default = LaunchpadSettings::default();
    let or = |setting: Option<Setting<ServerUrl>>, value| setting.unwrap_or(Setting { value, origin: Origin::Default });
    let api = or(file.api, default.api);
    let keyserver = or(file.keyserver, default.keyserver);
    let archive = or(file.archive, default.archive);
    let private_archive = or(file.private_archive, default.private_archive);
    let settings = LaunchpadSettings {
        api: api.value,
        keyserver: keyserver.value,
        archive: archive.value,
        private_archive: private_archive.value,
        allows_plain_text,
    };
    (settings, [api.origin, keyserver.origin, archive.origin, private_archive.origin])
}

/// Parses the value of a flag, or else of a variable, which takes precedence over the file.
fn overriding<T: std::str::FromStr<Err: fmt::Display>>(
    flag: Option<&str>,
    flag_name: &'static str,
    environment: &Environment,
    variable: &'static str,
) -> Result<Option<Setting<T>>, SiteError> {
    let given = flag.map(|text| (text, Origin::Flag(flag_name)));
    let given = given.or_else(|| environment.get(variable).map(|text| (text, Origin::Variable(variable))));
    let Some((text, origin)) = given else { return Ok(None) };
    match text.parse() {
        Ok(value) => Ok(Some(Setting { value, origin })),
        Err(error) => Err(SiteError::Value { origin, reason: format!("{error}") }),
    }
}

#[cfg(test)]
mod tests;
