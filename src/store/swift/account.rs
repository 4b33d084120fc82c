//! The account and its login, from the environment, clouds.yaml and the site, with the precedence of OpenStack's own
//! clients.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::SwiftSettings;
use super::clouds::Cloud;
use super::keystone::Keystone;
use super::source::{Source, parse_url};
use super::storage::Storage;
use super::tempauth::TempAuth;
use super::url::shown;
use crate::environment::Environment;
use crate::server_url::{PLAIN_TEXT_HINT, ServerIdentity};
use crate::store::StoreError;

/// An account and its login.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) login: Login,
    /// The storage URL, if one is configured; otherwise the login returns it.
    pub(super) storage: Option<Storage>,
    /// Whether passwords and tokens may be sent without TLS to another machine.
    pub(super) allows_plain_text: bool,
    /// File with the certificates to trust instead of the system's.
    pub(super) cacert: Option<PathBuf>,
}

/// Kind of login.
#[derive(Debug)]
pub(super) enum Login {
    /// No login: only public containers can be read.
    Anonymous,
    /// A token that another program got.
    Token(SecretString),
    TempAuth(TempAuth),
    Keystone(Box<Keystone>),
}

/// Variables that configure a login in the environment itself. If one of them is set, the site's cloud is ignored.
pub const CREDENTIAL_VARIABLES: [&str; 13] = [
    "ST_AUTH",
    "ST_USER",
    "ST_KEY",
    "OS_AUTH_URL",
    "OS_AUTH_TOKEN",
    "OS_USERNAME",
    "OS_USER_ID",
    "OS_PASSWORD",
    "OS_APPLICATION_CREDENTIAL_ID",
    "OS_APPLICATION_CREDENTIAL_NAME",
    "OS_APPLICATION_CREDENTIAL_SECRET",
    "OS_PROJECT_NAME",
    "OS_PROJECT_ID",
];

/// A user of Swift, and the server that checks the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwiftLogin {
    /// The user, as in `ACCOUNT:USER` with the old variables.
    pub user: String,
    /// The server that gets the password.
    pub server: ServerIdentity,
    /// Whether the same source has a password or another secret.
    pub has_secret: bool,
}

/// Returns the user that the environment or clouds.yaml names.
///
/// # Errors
/// When clouds.yaml cannot be used, or the address is not a URL.
pub fn login(settings: &SwiftSettings, environment: &Environment) -> Result<Option<SwiftLogin>, StoreError> {
    let cloud = cloud(settings, environment)?;
    if cloud.is_none() && !is_given(environment) {
        return Ok(None);
    }
    let source = cloud.as_ref().map_or(Source::Environment(environment), Source::Cloud);
    let (Some(user), Some(address)) = (source.get("username"), source.get("auth_url")) else { return Ok(None) };
    let server = ServerIdentity::of(&parse_url(&source.label("auth_url"), &address)?);
    let secrets = ["password", "auth_token", "token", "application_credential_id", "application_credential_name"];
    Ok(Some(SwiftLogin { user, server, has_secret: source.first(&secrets).is_some() }))
}

/// Returns whether the environment itself configures a login.
fn is_given(environment: &Environment) -> bool {
    CREDENTIAL_VARIABLES.iter().any(|variable| environment.get(variable).is_some())
}

/// Returns the configured cloud of clouds.yaml.
fn cloud(settings: &SwiftSettings, environment: &Environment) -> Result<Option<Cloud>, StoreError> {
    // `envvars` is openstacksdk's name for the cloud that the variables themselves describe.
    let asked = environment.get("OS_CLOUD").filter(|cloud| *cloud != "envvars");
    let named = asked.or(settings.cloud.as_deref().filter(|_| !is_given(environment)));
    named.map(|name| Cloud::find(name, settings.clouds_file.as_deref(), environment)).transpose()
}

impl Account {
    /// Combines the settings.
    pub(super) fn resolve(
        url: Option<&Url>,
        settings: &SwiftSettings,
        environment: &Environment,
        password: Option<&SecretString>,
    ) -> Result<Self, StoreError> {
        let given = is_given(environment);
        let mut cloud = cloud(settings, environment)?;
        // A sealed password is bound to its server. The site's file can be changed by a commit, so that it must not
        // decide which server gets the token, or which certificates are valid.
        let is_led = password.is_some() && cloud.as_ref().is_some_and(|cloud| cloud.is_of_site);
        let with_password;
        let environment = match (password, &mut cloud) {
            (None, _) => environment,
            (Some(password), Some(cloud)) => {
                cloud.set_password(password);
                environment
            }
            (Some(password), None) => {
                let is_old = environment.get("OS_AUTH_URL").is_none();
                with_password = environment.with(if is_old { "ST_KEY" } else { "OS_PASSWORD" }, password);
                &with_password
            }
        };
        let source = cloud.as_ref().map_or(Source::Environment(environment), Source::Cloud);
        let of_source =
            source.get("storage_url").map(|text| parse_url(&source.label("storage_url"), &text)).transpose()?;
        let storage = match (url, of_source) {
            (Some(url), of_source) => {
                let is_same = |own: &Url| ServerIdentity::of(own) == ServerIdentity::of(url);
                Some(Storage { url: url.clone(), is_of_source: !is_led && of_source.as_ref().is_some_and(is_same) })
            }
            (None, Some(url)) => Some(Storage { url, is_of_source: !is_led }),
            (None, None) => None,
        };
        let login = if cloud.is_some() {
            from_source(&source, settings, environment, storage.is_some())?
        } else if given {
            from_environment(settings, environment, storage.is_some())?
        } else if storage.is_some() {
            Login::Anonymous
        } else {
            return Err(StoreError::Misconfigured(
                "the store swift: needs credentials: set OS_CLOUD, or OS_AUTH_URL with what belongs to it, or ST_AUTH, \
                 ST_USER and ST_KEY; to read what is public, name the storage URL, as in swift:https://HOST/v1/AUTH_x"
                    .to_owned(),
            ));
        };
        if let (Login::Token(_), Some(Storage { url, is_of_source: false })) = (&login, &storage) {
            return Err(StoreError::Misconfigured(format!(
                "refusing to send the token in {} to {}: {} does not name that server",
                source.label("auth_token"),
                shown(url),
                source.label("storage_url"),
            )));
        }
        let server = match &login {
            Login::TempAuth(login) => Some(login.server()),
            Login::Keystone(login) => Some(login.server()),
            Login::Anonymous | Login::Token(_) => None,
        };
        if let Some(server) = server.filter(|server| !server.is_private() && !settings.allows_plain_text) {
            return Err(StoreError::Misconfigured(format!(
                "refusing to send a password in plain text to {server}; {PLAIN_TEXT_HINT}"
            )));
        }
        let cacert = match (environment.get("OS_CACERT"), source.get("cacert")) {
            (Some(own), _) => Some(own.to_owned()),
            (None, Some(_)) if is_led => {
                return Err(StoreError::Misconfigured(format!(
                    "refusing to trust the certificates in {}: whoever can commit to the site could read the password with \
                     them; set OS_CACERT, or use a clouds.yaml of your own",
                    source.label("cacert")
                )));
            }
            (None, named) => named,
        };
        Ok(Self { login, storage, allows_plain_text: settings.allows_plain_text, cacert: cacert.map(PathBuf::from) })
    }
}

/// Follows python-swiftclient: the old variables if all three are set and no version contradicts, otherwise Keystone's.
fn from_environment(settings: &SwiftSettings, environment: &Environment, storage: bool) -> Result<Login, StoreError> {
    let version = ["ST_AUTH_VERSION", "OS_AUTH_VERSION", "OS_IDENTITY_API_VERSION"]
        .iter()
        .find_map(|variable| environment.get(variable));
    let keystone = matches!(version, Some("2" | "2.0" | "3" | "3.0"));
    let old = ["ST_AUTH", "ST_USER", "ST_KEY"];
    let newer = environment.get("OS_AUTH_URL").is_some() || environment.get("OS_AUTH_TOKEN").is_some();
    match old.map(|variable| environment.get(variable)) {
        [Some(url), Some(user), Some(key)] if !keystone => {
            Ok(Login::TempAuth(TempAuth::new(parse_url("ST_AUTH", url)?, user.to_owned(), key.into())))
        }
        values if !keystone && !newer && values.iter().any(Option::is_some) => {
            let missing: Vec<&str> = old.into_iter().filter(|variable| environment.get(variable).is_none()).collect();
            Err(StoreError::Misconfigured(format!(
                "ST_AUTH, ST_USER and ST_KEY belong together, but {} is not set",
                missing.join(" and ")
            )))
        }
        _ => from_source(&Source::Environment(environment), settings, environment, storage),
    }
}

fn from_source(
    source: &Source<'_>,
    settings: &SwiftSettings,
    environment: &Environment,
    storage: bool,
) -> Result<Login, StoreError> {
    let kind = source.get("auth_type");
    if let Some(token) = source.first(&["auth_token", "token"])
        && storage
    {
        return Ok(Login::Token(token.into()));
    }
    match kind.as_deref() {
        Some("v1password") => {
            let what = "v1password needs a URL, a user and a password";
            let url = source.need_url("auth_url", what)?;
            let user = source.need(&["username"], what)?;
            let key = source.need(&["password"], what)?;
            Ok(Login::TempAuth(TempAuth::new(url, user, key.into())))
        }
        None | Some("password" | "v3password" | "v3applicationcredential") => {
            // The environment's choice takes precedence over the site's, and that over the cloud's.
            let region = environment.get("OS_REGION_NAME").map(str::to_owned);
            let region = region.or_else(|| settings.region.clone()).or_else(|| source.get("region_name"));
            let interface = ["OS_INTERFACE", "OS_ENDPOINT_TYPE"].iter().find_map(|name| environment.get(name));
            let interface = interface.map(str::to_owned).or_else(|| settings.interface.clone());
            let interface = interface.or_else(|| source.get("interface"));
            Ok(Login::Keystone(Box::new(Keystone::from_source(source, kind.as_deref(), region, interface)?)))
        }
        Some("none") => Ok(Login::Anonymous),
        Some(other) => Err(StoreError::Misconfigured(format!(
            "{} is {other:?}; known are password, v3password, v3applicationcredential and v1password",
            source.label("auth_type")
        ))),
    }
}

#[cfg(test)]
mod tests;
