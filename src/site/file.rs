//! `apt-ci.toml`, parsed into valid values with their lines. Everything else in it is refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::folders::resolve;
use super::{Origin, PlainText, Setting, SiteError};
use crate::archive::Pocket;
use crate::broker::{QueueType, QueueUrl};
use crate::excuses::ExcusesLocation;
use crate::release::{Architecture, Release};
use crate::server_url::ServerUrl;
use crate::small_file;
use crate::store::StoreUrl;
use crate::testbed::AllowedHost;

/// The keys at the top of the file. The last five are sections.
pub(super) const KEYS: [&str; 11] = [
    "queue",
    "queue-password-file",
    "queue-type",
    "store",
    "worker-conf",
    "plain-text-passwords",
    "releases",
    "excuses",
    "swift",
    "launchpad",
    "web",
];
/// The keys of `[web]`.
pub(super) const WEB_KEYS: [&str; 3] = ["url", "listen", "allowed-git-hosts"];
/// The keys of `[swift]`.
pub(super) const SWIFT_KEYS: [&str; 4] = ["cloud", "clouds-file", "region", "interface"];
/// The keys of `[launchpad]`.
pub(super) const LAUNCHPAD_KEYS: [&str; 4] = ["api", "keyserver", "archive", "private-archive"];
/// The keys of a release's table in `[releases]`.
const RELEASE_KEYS: [&str; 2] = ["architectures", "pocket"];
/// The value of `pocket` for a release without one.
const NO_POCKET: &str = "none";
const INTERFACES: [&str; 3] = ["public", "internal", "admin"];

/// The content of a site's file.
#[derive(Debug, Default)]
pub(super) struct SiteFile {
    pub(super) queue: Option<Setting<QueueUrl>>,
    pub(super) queue_password_file: Option<Setting<PathBuf>>,
    pub(super) queue_type: Option<Setting<QueueType>>,
    pub(super) store: Option<Setting<StoreUrl>>,
    pub(super) worker_conf: Option<Setting<PathBuf>>,
    pub(super) plain_text: Option<Setting<PlainText>>,
    pub(super) releases: Option<Releases>,
    pub(super) excuses: BTreeMap<Release, Setting<ExcusesLocation>>,
    pub(super) swift: Swift,
    pub(super) launchpad: Launchpad,
    pub(super) web: Web,
}

/// The section `[releases]`.
#[derive(Debug)]
pub(super) struct Releases {
    pub(super) origin: Origin,
    pub(super) entries: BTreeMap<Release, Setting<Vec<Architecture>>>,
    /// The pockets that are given; none for a release without one.
    pub(super) pockets: BTreeMap<Release, Option<Pocket>>,
}

/// The section `[swift]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Swift {
    pub(super) cloud: Option<Setting<String>>,
    pub(super) clouds_file: Option<Setting<PathBuf>>,
    pub(super) region: Option<Setting<String>>,
    pub(super) interface: Option<Setting<String>>,
}

/// The section `[launchpad]`.
#[derive(Debug, Default)]
pub(super) struct Launchpad {
    pub(super) api: Option<Setting<ServerUrl>>,
    pub(super) keyserver: Option<Setting<ServerUrl>>,
    pub(super) archive: Option<Setting<ServerUrl>>,
    pub(super) private_archive: Option<Setting<ServerUrl>>,
}

/// The section `[web]`.
#[derive(Debug, Default)]
pub(super) struct Web {
    pub(super) url: Option<Setting<ServerUrl>>,
    pub(super) listen: Option<Setting<SocketAddr>>,
    pub(super) allowed_git_hosts: Option<Setting<Vec<AllowedHost>>>,
}

/// A key and its value, with their offsets in the text.
struct Item<'a> {
    key: &'a str,
    key_at: usize,
    value: &'a DeValue<'a>,
    value_at: usize,
}

struct Reader<'a> {
    path: &'a Path,
    folder: &'a Path,
    text: &'a str,
}

impl SiteFile {
    /// Reads the file at `path`. Its relative paths start at its folder.
    pub(super) fn read(path: &Path) -> Result<Self, SiteError> {
        let io = |error| SiteError::io("read", path, error);
        Self::parse(path, &small_file::read(path).map_err(io)?)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SiteError> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        Reader { path, folder, text }.file()
    }
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn fault(&self, offset: usize, message: impl Into<String>, hint: Option<String>) -> SiteError {
        let (line, column) = self.place(offset);
        SiteError::InvalidFile { path: self.path.to_owned(), line, column, message: message.into(), hint }
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File { path: self.path.to_owned(), line: self.place(offset).0 }
    }

    fn setting<T>(&self, item: &Item<'_>, value: T) -> Setting<T> {
        Setting { value, origin: self.origin(item.key_at) }
    }

    fn file(&self) -> Result<SiteFile, SiteError> {
        // Only the error's message, because its full text quotes the line, which may contain a password.
        let table = DeTable::parse(self.text).map_err(|error| {
            self.fault(error.span().map_or(0, |span| span.start), format!("not TOML: {}", error.message()), None)
        })?;
        let mut file = SiteFile::default();
        for item in items(table.get_ref()) {
            match item.key {
                "queue" => {
                    let url = self.url(&item, self.text_of(&item, "local:queue")?.parse())?;
                    file.queue = Some(self.setting(&item, local_to(self.folder, url)));
                }
                "queue-password-file" => file.queue_password_file = Some(self.path_of(&item, "queue-password")?),
                "queue-type" => {
                    let parsed = self.text_of(&item, "quorum")?.parse::<QueueType>();
                    let queue_type = parsed.map_err(|error| self.fault(item.value_at, error.to_string(), None))?;
                    file.queue_type = Some(self.setting(&item, queue_type));
                }
                "store" => {
                    let url = self.url(&item, self.text_of(&item, "folder:results")?.parse())?;
                    file.store = Some(self.setting(&item, stored_below(self.folder, url)));
                }
                "worker-conf" => file.worker_conf = Some(self.path_of(&item, "worker.conf")?),
                "plain-text-passwords" => {
                    let value = self
                        .text_of(&item, "refuse")?
                        .parse()
                        .map_err(|error| self.fault(item.value_at, format!("`plain-text-passwords`: {error}"), None))?;
                    file.plain_text = Some(self.setting(&item, value));
                }
                "releases" => file.releases = Some(self.releases(&item)?),
                "excuses" => file.excuses = self.excuses(&item)?,
                "swift" => file.swift = self.swift(&item)?,
                "launchpad" => file.launchpad = self.launchpad(&item)?,
                "web" => file.web = self.web(&item)?,
                _ => return Err(self.unknown(&item, &KEYS, "")),
            }
        }
        self.check_password(&table, &file)?;
        Ok(file)
    }

    /// Checks that a password file has a queue whose URL has a user and no password.
    fn check_password(&self, table: &Spanned<DeTable<'_>>, file: &SiteFile) -> Result<(), SiteError> {
        let Some(key) = table.get_ref().keys().find(|key| key.get_ref().as_ref() == "queue-password-file") else {
            return Ok(());
        };
        let fault = |message: &str, hint: &str| Err(self.fault(key.span().start, message, Some(hint.to_owned())));
        match file.queue.as_ref().map(|queue| &queue.value) {
            None => fault(
                "`queue-password-file` without `queue`",
                "add the queue that it belongs to: queue = \"amqps://…\"",
            ),
            Some(QueueUrl::Local(_)) => fault("a local queue has no password", "remove this line"),
            Some(QueueUrl::Amqp(url)) if url.has_password() => {
                fault("the queue has two passwords: here and in its URL", "take the one in the URL out")
            }
            Some(QueueUrl::Amqp(url)) if url.with_password(&String::new().into()).is_err() => {
                fault("the queue's URL names no user for the password", "write amqps://USER@HOST")
            }
            Some(QueueUrl::Amqp(_)) => Ok(()),
        }
    }

    fn releases(&self, section: &Item<'_>) -> Result<Releases, SiteError> {
        let (mut entries, mut pockets) = (BTreeMap::new(), BTreeMap::new());
        for item in items(self.section(section)?) {
            if let Some(fault) = self.misplaced(&item) {
                return Err(fault);
            }
            let release: Release =
                item.key.parse().map_err(|error| self.fault(item.key_at, format!("{error}"), None))?;
            let architectures = match item.value.as_table() {
                None => self.architectures(&release, &item)?,
                Some(table) => {
                    let (architectures, pocket) = self.release_table(&release, &item, table)?;
                    pockets.extend(pocket.map(|pocket| (release.clone(), pocket)));
                    architectures
                }
            };
            entries.insert(release, self.setting(&item, architectures));
        }
        if entries.is_empty() {
            let hint = "remove the section to test this host's release alone, or write bookworm = [\"amd64\"]";
            return Err(self.fault(section.key_at, "`[releases]` names no release", Some(hint.to_owned())));
        }
        Ok(Releases { origin: self.origin(section.key_at), entries, pockets })
    }

    /// Reads a release in the form of a table: its architectures, and its pocket if there is one.
    fn release_table<'i>(
        &self,
        release: &Release,
        item: &Item<'i>,
        table: &'i DeTable<'i>,
    ) -> Result<(Vec<Architecture>, Option<Option<Pocket>>), SiteError> {
        let (mut architectures, mut pocket) = (None, None);
        for part in items(table) {
            match part.key {
                "architectures" => architectures = Some(self.architectures(release, &part)?),
                "pocket" => {
                    let text = self.text_of(&part, &format!("{release}-proposed"))?;
                    let named = (text != NO_POCKET).then(|| text.parse::<Pocket>()).transpose();
                    pocket = Some(named.map_err(|error| {
                        let hint = format!("write pocket = \"{release}-proposed\", or \"{NO_POCKET}\"");
                        self.fault(part.value_at, format!("`{release}`: {error}"), Some(hint))
                    })?);
                }
                _ => return Err(self.unknown(&part, &RELEASE_KEYS, &format!("releases.{release}."))),
            }
        }
        let architectures = architectures.ok_or_else(|| {
            let hint = format!("write {release} = {{ architectures = [\"amd64\"] }}");
            self.fault(item.value_at, format!("`{release}` has no architectures"), Some(hint))
        })?;
        Ok((architectures, pocket))
    }

    fn architectures(&self, release: &Release, item: &Item<'_>) -> Result<Vec<Architecture>, SiteError> {
        let hint = || Some(format!("write {release} = [\"amd64\"]"));
        let Some(list) = item.value.as_array() else {
            let message = format!("`{release}` must be a list of architectures, not {}", with_article(item.value));
            return Err(self.fault(item.value_at, message, hint()));
        };
        if list.is_empty() {
            return Err(self.fault(item.value_at, format!("`{release}` has no architectures"), hint()));
        }
        let mut architectures = Vec::new();
        for value in list.iter() {
            let at = value.span().start;
            let Some(name) = value.get_ref().as_str() else {
                let message = format!("an architecture must be a text, not {}", with_article(value.get_ref()));
                return Err(self.fault(at, message, Some("write \"amd64\"".to_owned())));
            };
            let architecture: Architecture = name.parse().map_err(|error| self.fault(at, format!("{error}"), None))?;
            if architectures.contains(&architecture) {
                return Err(self.fault(at, format!("{architecture} is in this list twice"), None));
            }
            architectures.push(architecture);
        }
        Ok(architectures)
    }

    fn excuses(&self, section: &Item<'_>) -> Result<BTreeMap<Release, Setting<ExcusesLocation>>, SiteError> {
        let mut places = BTreeMap::new();
        for item in items(self.section(section)?) {
            if let Some(fault) = self.misplaced(&item) {
                return Err(fault);
            }
            let release: Release =
                item.key.parse().map_err(|error| self.fault(item.key_at, format!("{error}"), None))?;
            let example = "https://HOST/update_excuses.yaml.xz";
            let place: ExcusesLocation = self.text_of(&item, example)?.parse().map_err(|error| {
                let hint = "excuses are at an \"https://\" or \"http://\" address, or in a file";
                self.fault(item.value_at, format!("`{release}`: {error}"), Some(hint.to_owned()))
            })?;
            let place = match place {
                ExcusesLocation::File(path) => ExcusesLocation::File(resolve(self.folder, &path)),
                ExcusesLocation::Web(url) => ExcusesLocation::Web(url),
            };
            places.insert(release, self.setting(&item, place));
        }
        Ok(places)
    }

    fn swift(&self, section: &Item<'_>) -> Result<Swift, SiteError> {
        let mut swift = Swift::default();
        for item in items(self.section(section)?) {
            let text = |example| self.text_of(&item, example).map(|text| Some(self.setting(&item, text.to_owned())));
            match item.key {
                "cloud" => swift.cloud = text("openstack")?,
                "clouds-file" => swift.clouds_file = Some(self.path_of(&item, "clouds.yaml")?),
                "region" => swift.region = text("region-1")?,
                "interface" => {
                    swift.interface = text("public")?;
                    let given = swift.interface.as_ref().map_or("", |setting| &setting.value);
                    if !INTERFACES.contains(&given) {
                        let message = format!("`interface` must be public, internal or admin, not {given:?}");
                        return Err(self.fault(item.value_at, message, did_you_mean(given, &INTERFACES)));
                    }
                }
                _ => return Err(self.misplaced(&item).unwrap_or_else(|| self.unknown(&item, &SWIFT_KEYS, "swift."))),
            }
        }
        Ok(swift)
    }

    fn launchpad(&self, section: &Item<'_>) -> Result<Launchpad, SiteError> {
        let mut launchpad = Launchpad::default();
        for item in items(self.section(section)?) {
            let server = match item.key {
                "api" => &mut launchpad.api,
                "keyserver" => &mut launchpad.keyserver,
                "archive" => &mut launchpad.archive,
                "private-archive" => &mut launchpad.private_archive,
                _ => {
                    let unknown = || self.unknown(&item, &LAUNCHPAD_KEYS, "launchpad.");
                    return Err(self.misplaced(&item).unwrap_or_else(unknown));
                }
            };
            let url = self.url(&item, self.text_of(&item, "https://HOST")?.parse())?;
            *server = Some(self.setting(&item, url));
        }
        Ok(launchpad)
    }

    fn web(&self, section: &Item<'_>) -> Result<Web, SiteError> {
        let mut web = Web::default();
        for item in items(self.section(section)?) {
            match item.key {
                "url" => {
                    let url = self.url(&item, self.text_of(&item, "https://HOST")?.parse())?;
                    web.url = Some(self.setting(&item, url));
                }
                "listen" => {
                    let text = self.text_of(&item, "127.0.0.1:8870")?;
                    let address = text.parse().map_err(|_| {
                        let hint = "write listen = \"127.0.0.1:8870\", or \"[::]:8870\" for every network";
                        self.fault(item.value_at, "`listen` must be an address and a port", Some(hint.to_owned()))
                    })?;
                    web.listen = Some(self.setting(&item, address));
                }
                "allowed-git-hosts" => web.allowed_git_hosts = Some(self.hosts(&item)?),
                _ => return Err(self.misplaced(&item).unwrap_or_else(|| self.unknown(&item, &WEB_KEYS, "web."))),
            }
        }
        Ok(web)
    }

    fn hosts(&self, item: &Item<'_>) -> Result<Setting<Vec<AllowedHost>>, SiteError> {
        let hint = || Some("write allowed-git-hosts = [\"git.internal\", \"10.0.0.5:8080\"]".to_owned());
        let Some(list) = item.value.as_array() else {
            let message = format!("`allowed-git-hosts` must be a list of hosts, not {}", with_article(item.value));
            return Err(self.fault(item.value_at, message, hint()));
        };
        let mut hosts = Vec::new();
        for value in list.iter() {
            let text = value.get_ref().as_str().unwrap_or_default();
            let host = text.parse().map_err(|error: String| self.fault(value.span().start, error, hint()))?;
            hosts.push(host);
        }
        Ok(self.setting(item, hosts))
    }

    fn section<'i>(&self, item: &Item<'i>) -> Result<&'i DeTable<'i>, SiteError> {
        item.value.as_table().ok_or_else(|| {
            let Item { key, value, .. } = item;
            let message = format!("`{key}` must be a section, not {}", with_article(value));
            self.fault(item.value_at, message, Some(format!("write [{key}] on a line of its own")))
        })
    }

    /// Returns a string that is not empty.
    fn text_of<'i>(&self, item: &Item<'i>, example: &str) -> Result<&'i str, SiteError> {
        let key = item.key;
        let hint = || Some(format!("write {key} = \"{example}\""));
        match item.value.as_str() {
            Some("") => Err(self.fault(item.value_at, format!("`{key}` is empty"), hint())),
            Some(text) => Ok(text),
            None => {
                let message = format!("`{key}` must be a text, not {}", with_article(item.value));
                Err(self.fault(item.value_at, message, hint()))
            }
        }
    }

    fn path_of(&self, item: &Item<'_>, example: &str) -> Result<Setting<PathBuf>, SiteError> {
        let text = self.text_of(item, example)?;
        Ok(self.setting(item, resolve(self.folder, Path::new(text))))
    }

    fn url<T>(&self, item: &Item<'_>, parsed: Result<T, impl std::fmt::Display>) -> Result<T, SiteError> {
        parsed.map_err(|error| {
            let forms = match item.key {
                "queue" => "a queue is \"amqps://USER@HOST/VHOST\", \"amqp://…\" or \"local:FOLDER\"",
                "store" => "a store is \"swift:\", \"swift:https://HOST/v1/AUTH_x\" or \"folder:FOLDER\"",
                _ => "a server is \"https://HOST\" or \"http://HOST\", perhaps with a port and a path",
            };
            self.fault(item.value_at, format!("`{}`: {error}", item.key), Some(forms.to_owned()))
        })
    }

    fn unknown(&self, item: &Item<'_>, known: &[&str], section: &str) -> SiteError {
        let hint = did_you_mean(item.key, known).or_else(|| Some(format!("known keys here: {}", known.join(", "))));
        self.fault(item.key_at, format!("unknown key `{section}{}`", item.key), hint)
    }

    /// Returns the error for a top-level key in a section: in TOML everything below a heading belongs to it, which is
    /// easily overlooked.
    fn misplaced(&self, item: &Item<'_>) -> Option<SiteError> {
        let belongs_at_top = KEYS.contains(&item.key) && item.value.is_str();
        let hint = "move it up, before the first [section]";
        belongs_at_top
            .then(|| self.fault(item.key_at, format!("`{}` must not be in a section", item.key), Some(hint.to_owned())))
    }
}

/// Returns the items of a table in the order of the text, so that the first error is reported.
fn items<'a>(table: &'a DeTable<'a>) -> Vec<Item<'a>> {
    let mut items: Vec<_> = table
        .iter()
        .map(|(key, value)| Item {
            key: key.get_ref(),
            key_at: key.span().start,
            value: value.get_ref(),
            value_at: value.span().start,
        })
        .collect();
    items.sort_by_key(|item| item.key_at);
    items
}

fn did_you_mean(given: &str, known: &[&str]) -> Option<String> {
    let given = given.to_lowercase().replace('_', "-");
    let distance = |name: &str| strsim::damerau_levenshtein(&given, name);
    let nearest = known.iter().min_by_key(|name| distance(name))?;
    (distance(nearest) <= (nearest.len() / 3).max(1)).then(|| format!("did you mean `{nearest}`?"))
}

fn with_article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// Returns the queue; the folder of a local one is relative to `base`.
pub(super) fn local_to(base: &Path, url: QueueUrl) -> QueueUrl {
    match url {
        QueueUrl::Local(path) => QueueUrl::Local(resolve(base, &path)),
        QueueUrl::Amqp(url) => QueueUrl::Amqp(url),
    }
}

/// Returns the store; a folder is relative to `base`.
pub(super) fn stored_below(base: &Path, url: StoreUrl) -> StoreUrl {
    match url {
        StoreUrl::Folder(path) => StoreUrl::Folder(resolve(base, &path)),
        StoreUrl::Swift(url) => StoreUrl::Swift(url),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = SiteFile::parse(Path::new("/site/apt-ci.toml"), &text);
        }

        #[test]
        fn a_fault_is_on_a_line_of_the_file(
            lines in prop::collection::vec(
                "(|\\[(releases|swift|launchpad|x)\\]|#é|(queue|store|wily|cloud|api|ü) = (5|\"é\"|\"local:é\"|\\[\"amd64\"\\]|\\{ a = 1 \\}|\"))",
                0..8,
            ),
        ) {
            let text = lines.join("\n");
            if let Err(SiteError::InvalidFile { line, column, .. }) = SiteFile::parse(Path::new("/site/apt-ci.toml"), &text) {
                prop_assert!((1..=lines.len().max(1)).contains(&line), "{text:?}: line {line}");
                let length = lines.get(line - 1).map_or(0, |line| line.chars().count());
                prop_assert!((1..=length + 1).contains(&column), "{text:?}: column {column}");
            }
        }
    }
}
