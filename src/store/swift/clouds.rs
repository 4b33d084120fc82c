//! OpenStack's own settings files: clouds.yaml, secure.yaml and clouds-public.yaml, in openstacksdk's folders.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::environment::Environment;
use crate::store::StoreError;

/// Contents of one of these files. No `Debug`, because it may have passwords.
#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    clouds: BTreeMap<String, Entry>,
    /// Settings that many clouds have in common, in clouds-public.yaml.
    #[serde(default, rename = "public-clouds")]
    public_clouds: BTreeMap<String, Entry>,
}

/// A cloud's entry in the file. Keys for other services are ignored.
#[derive(Default, Clone, Deserialize)]
struct Entry {
    profile: Option<String>,
    /// An old name for `profile`.
    cloud: Option<String>,
    #[serde(default)]
    auth: BTreeMap<String, Option<String>>,
    #[serde(alias = "auth-type")]
    auth_type: Option<String>,
    #[serde(alias = "region-name")]
    region_name: Option<OneOrMore>,
    regions: Option<Vec<Region>>,
    interface: Option<String>,
    #[serde(alias = "endpoint-type")]
    endpoint_type: Option<String>,
    cacert: Option<String>,
    #[serde(alias = "object-store-endpoint-override")]
    object_store_endpoint_override: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Region {
    Name(String),
    Named { name: String },
}

/// A cloud's settings as plain values: `auth_url`, `username`, `region_name`, … No `Debug`, because it may have
/// passwords.
pub(super) struct Cloud {
    /// The cloud's name in the file.
    pub(super) name: String,
    /// The file, for messages.
    pub(super) file: PathBuf,
    /// Whether the site names the file. If it does, a commit can change the file.
    pub(super) is_of_site: bool,
    values: BTreeMap<String, String>,
}

impl Cloud {
    /// Returns a value; an empty one counts as not set.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets the user's password.
    pub(super) fn set_password(&mut self, password: &SecretString) {
        self.values.insert("password".to_owned(), password.expose_secret().to_owned());
    }

    /// Finds the cloud of this name. The first existing file counts: the one that the environment names, then
    /// `clouds_file`, then the usual ones.
    pub(super) fn find(name: &str, clouds_file: Option<&Path>, environment: &Environment) -> Result<Self, StoreError> {
        let folders = folders(environment);
        let named = |variable: &str, file: Option<&Path>, stem: &str| -> Vec<PathBuf> {
            let first = environment.get(variable).map(PathBuf::from);
            let usual = folders.iter().flat_map(|folder| {
                ["yaml", "yml", "json"].iter().map(move |suffix| folder.join(format!("{stem}.{suffix}")))
            });
            first.into_iter().chain(file.map(Path::to_owned)).chain(usual).collect()
        };
        let places = named("OS_CLIENT_CONFIG_FILE", clouds_file, "clouds");
        let Some((file, mut clouds)) = read_first(&places)? else {
            let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            return Err(StoreError::Misconfigured(format!(
                "no clouds.yaml found for the cloud {name:?}; looked at {}",
                places.join(", ")
            )));
        };
        let Some(mut entry) = clouds.clouds.remove(name) else {
            let known: Vec<&str> = clouds.clouds.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(StoreError::Misconfigured(format!(
                "{} has no cloud {name:?}; the clouds there: {known}",
                file.display()
            )));
        };
        // The site's file decides which server gets the password, so that the user's own passwords must not be used
        // with it.
        let is_of_site = clouds_file.is_some_and(|of_site| *of_site == *file);
        let secure = if is_of_site {
            vec![file.with_file_name("secure.yaml")]
        } else {
            named("OS_CLIENT_SECURE_FILE", None, "secure")
        };
        if let Some((_, mut secure)) = read_first(&secure)?
            && let Some(secret) = secure.clouds.remove(name)
        {
            entry = entry.overlaid(secret);
        }
        if let Some(profile) = entry.profile.clone().or_else(|| entry.cloud.clone())
            && let Some((_, mut public)) = read_first(&named("", None, "clouds-public"))?
            && let Some(common) = public.public_clouds.remove(&profile)
        {
            entry = common.overlaid(entry);
        }
        Ok(Self { name: name.to_owned(), file, is_of_site, values: entry.values() })
    }
}

impl Entry {
    /// Returns this entry, overridden by the values of `over`.
    fn overlaid(mut self, over: Self) -> Self {
        self.auth.extend(over.auth);
        Self {
            profile: over.profile.or(self.profile),
            cloud: over.cloud.or(self.cloud),
            auth: self.auth,
            auth_type: over.auth_type.or(self.auth_type),
            region_name: over.region_name.or(self.region_name),
            regions: over.regions.or(self.regions),
            interface: over.interface.or(self.interface),
            endpoint_type: over.endpoint_type.or(self.endpoint_type),
            cacert: over.cacert.or(self.cacert),
            object_store_endpoint_override: over.object_store_endpoint_override.or(self.object_store_endpoint_override),
        }
    }

    fn values(self) -> BTreeMap<String, String> {
        // openstacksdk uses the first of several regions, in a list as well as in a comma-separated line.
        let region = match (self.regions, self.region_name) {
            (Some(regions), _) if !regions.is_empty() => regions.into_iter().next().map(|region| match region {
                Region::Name(name) | Region::Named { name } => name,
            }),
            (_, Some(OneOrMore::One(names))) => names.split(',').next().map(|name| name.trim().to_owned()),
            (_, Some(OneOrMore::More(names))) => names.into_iter().next(),
            (_, None) => None,
        };
        let top = [
            ("auth_type", self.auth_type),
            ("region_name", region),
            ("interface", self.interface.or(self.endpoint_type)),
            ("cacert", self.cacert),
            ("storage_url", self.object_store_endpoint_override),
        ];
        let auth = self.auth.into_iter().map(|(key, value)| (key.replace('-', "_"), value));
        let all = auth.chain(top.map(|(key, value)| (key.to_owned(), value)));
        all.filter_map(|(key, value)| value.map(|value| (key, value))).collect()
    }
}

/// Returns the user's and the machine's folders, in openstacksdk's order. The working directory, which openstacksdk
/// searches first, is left out: a stranger's directory could send the passwords of the user's secure.yaml to its own
/// server.
fn folders(environment: &Environment) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(config) = environment.get("XDG_CONFIG_HOME") {
        folders.push(Path::new(config).join("openstack"));
    }
    if let Some(home) = environment.get("HOME") {
        folders.push(Path::new(home).join(".config/openstack"));
    }
    let machine = environment.get("XDG_CONFIG_DIRS").unwrap_or("/etc/xdg");
    folders.extend(
        machine.split(':').filter(|folder| !folder.is_empty()).map(|folder| Path::new(folder).join("openstack")),
    );
    folders.push(PathBuf::from("/etc/openstack"));
    folders
}

/// Reads the first of these files that exists and is readable.
fn read_first(places: &[PathBuf]) -> Result<Option<(PathBuf, File)>, StoreError> {
    for place in places {
        match std::fs::read_to_string(place) {
            Ok(text) => return parse(place, &text).map(|file| Some((place.clone(), file))),
            // openstacksdk, too, ignores a file without permission to read.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
                ) => {}
            Err(source) => return Err(StoreError::Io { action: format!("cannot read {}", place.display()), source }),
        }
    }
    Ok(None)
}

/// Parses a file; JSON is YAML too. The parser's message is left out: it quotes the file, which may have passwords.
fn parse(place: &Path, text: &str) -> Result<File, StoreError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options::<Option<File>>(text, options).map(Option::unwrap_or_default).map_err(|error| {
        let at = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
        StoreError::Misconfigured(format!("{} is not a valid clouds.yaml{}", place.display(), at.unwrap_or_default()))
    })
}
