//! Settings of a login by their names in clouds.yaml, from the environment or from a cloud.

use url::Url;

use super::clouds::Cloud;
use crate::environment::Environment;
use crate::store::StoreError;

/// Source of values. Keys are those of clouds.yaml; the variables are named `OS_` and the key in capitals.
pub(super) enum Source<'a> {
    Environment(&'a Environment),
    Cloud(&'a Cloud),
}

impl Source<'_> {
    pub(super) fn get(&self, key: &str) -> Option<String> {
        match self {
            Self::Environment(environment) => {
                // swiftclient accepts Keystone's values in the old variables, when the version is Keystone's.
                let old = match key {
                    "auth_url" => "ST_AUTH",
                    "username" => "ST_USER",
                    "password" => "ST_KEY",
                    _ => "",
                };
                environment.get(&variable(key)).or_else(|| environment.get(old)).map(str::to_owned)
            }
            Self::Cloud(cloud) => cloud.get(key).map(str::to_owned),
        }
    }

    /// Returns the first of these keys that has a value.
    pub(super) fn first(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Returns the name of a key for messages.
    pub(super) fn label(&self, key: &str) -> String {
        match self {
            Self::Environment(_) => variable(key),
            Self::Cloud(cloud) => format!("{key} (cloud {} in {})", cloud.name, cloud.file.display()),
        }
    }

    pub(super) fn missing(&self, keys: &[&str], what: &str) -> StoreError {
        let labels: Vec<String> = keys.iter().map(|key| self.label(key)).collect();
        StoreError::Misconfigured(format!("{what}, but {} is not set", labels.join(" or ")))
    }

    /// Returns a required value.
    pub(super) fn need(&self, keys: &[&str], what: &str) -> Result<String, StoreError> {
        self.first(keys).ok_or_else(|| self.missing(keys, what))
    }

    /// Returns a required value that must be a URL.
    pub(super) fn need_url(&self, key: &str, what: &str) -> Result<Url, StoreError> {
        parse_url(&self.label(key), &self.need(&[key], what)?)
    }
}

fn variable(key: &str) -> String {
    format!("OS_{}", key.to_ascii_uppercase())
}

/// Parses a URL. Errors do not quote it, because it may have a password.
pub(super) fn parse_url(label: &str, text: &str) -> Result<Url, StoreError> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => Ok(url),
        Ok(_) => Err(StoreError::Misconfigured(format!("{label} is not an http or https URL"))),
        Err(error) => Err(StoreError::Misconfigured(format!("{label} is not a URL: {error}"))),
    }
}
