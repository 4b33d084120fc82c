//! Which account, and how to get in: what the environment, clouds.yaml and the site say, put together in the order of
//! OpenStack's own clients.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::SwiftSettings;
use super::clouds::Cloud;
use super::failure::Failure;
use super::keystone::Keystone;
use super::tempauth::TempAuth;
use super::url::shown;
use crate::environment::Environment;
use crate::server_url::{PLAIN_TEXT_HINT, ServerIdentity};
use crate::store::StoreError;

/// An account and the way into it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) login: Login,
    /// The storage URL, if it is named; otherwise the login tells it.
    pub(super) storage: Option<Storage>,
    /// Whether passwords and tokens may be sent without TLS to another machine.
    pub(super) allows_plain_text: bool,
    /// A file with the certificates to trust instead of the system's.
    pub(super) cacert: Option<PathBuf>,
}

/// A storage URL that is named.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) url: Url,
    /// Whether the source of the credentials names that server as well. Otherwise somebody else does, such as the site, and
    /// the token goes there only if the login answers with the same server.
    pub(super) is_of_source: bool,
}

impl Storage {
    /// The storage URL to use after a login that answered with these.
    pub(super) fn chosen<'a>(&'a self, answered: impl IntoIterator<Item = &'a Url>) -> Result<&'a Url, Failure> {
        let server = ServerIdentity::of(&self.url);
        let mut answered = answered.into_iter().peekable();
        let example = answered.peek().map(|url| shown(url)).unwrap_or_default();
        if self.is_of_source || answered.any(|url| ServerIdentity::of(url) == server) {
            return Ok(&self.url);
        }
        Err(Failure::Misconfigured(format!(
            "refusing to send the token to {}: the login's own storage is {example}; write `swift:` alone as the store, or set \
             OS_STORAGE_URL where the credentials are",
            shown(&self.url)
        )))
    }
}

/// How to get in.
#[derive(Debug)]
pub(super) enum Login {
    /// Not at all: only what is public can be read.
    Anonymous,
    /// With a token that somebody else got.
    Token(SecretString),
    TempAuth(TempAuth),
    Keystone(Box<Keystone>),
}

/// Where values come from. The keys are clouds.yaml's; `OS_` and capitals make the variables' names of them.
pub(super) enum Source<'a> {
    Environment(&'a Environment),
    Cloud(&'a Cloud),
}

impl Source<'_> {
    pub(super) fn get(&self, key: &str) -> Option<String> {
        match self {
            Self::Environment(environment) => {
                // swiftclient lets the old variables hold Keystone's values, when the version is said to be Keystone's.
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

    /// The first of these keys that has a value.
    pub(super) fn first(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// What to call a key when talking to people.
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

    /// A value that must be there.
    pub(super) fn need(&self, keys: &[&str], what: &str) -> Result<String, StoreError> {
        self.first(keys).ok_or_else(|| self.missing(keys, what))
    }

    /// A value that must be there and be a URL.
    pub(super) fn need_url(&self, key: &str, what: &str) -> Result<Url, StoreError> {
        parse_url(&self.label(key), &self.need(&[key], what)?)
    }
}

fn variable(key: &str) -> String {
    format!("OS_{}", key.to_ascii_uppercase())
}

/// Reads a URL. What is wrong with it is said without quoting it: it may hold a password.
pub(super) fn parse_url(label: &str, text: &str) -> Result<Url, StoreError> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => Ok(url),
        Ok(_) => Err(StoreError::Misconfigured(format!("{label} is not an http or https URL"))),
        Err(error) => Err(StoreError::Misconfigured(format!("{label} is not a URL: {error}"))),
    }
}

/// The variables with which the environment itself says how to get in. One of them is enough to leave a site's cloud aside.
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

/// Who logs in at Swift, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwiftLogin {
    /// The user, as in `ACCOUNT:USER` with the old variables.
    pub user: String,
    /// The server that gets the password.
    pub server: ServerIdentity,
    /// Whether the same source has a password, or another secret.
    pub has_secret: bool,
}

/// The user that the environment, or clouds.yaml, has log in by name.
///
/// # Errors
/// When clouds.yaml cannot be used, or the address is no URL.
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

/// Whether the environment itself says how to get in.
fn is_given(environment: &Environment) -> bool {
    CREDENTIAL_VARIABLES.iter().any(|variable| environment.get(variable).is_some())
}

/// The cloud of clouds.yaml that is asked for.
fn cloud(settings: &SwiftSettings, environment: &Environment) -> Result<Option<Cloud>, StoreError> {
    // `envvars` is openstacksdk's name for the cloud that the variables themselves describe.
    let asked = environment.get("OS_CLOUD").filter(|cloud| *cloud != "envvars");
    let named = asked.or(settings.cloud.as_deref().filter(|_| !is_given(environment)));
    named.map(|name| Cloud::find(name, settings.clouds_file.as_deref(), environment)).transpose()
}

impl Account {
    /// Puts the settings together.
    pub(super) fn resolve(
        url: Option<&Url>,
        settings: &SwiftSettings,
        environment: &Environment,
        password: Option<&SecretString>,
    ) -> Result<Self, StoreError> {
        let given = is_given(environment);
        let mut cloud = cloud(settings, environment)?;
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
                Some(Storage { url: url.clone(), is_of_source: of_source.as_ref().is_some_and(is_same) })
            }
            (None, Some(url)) => Some(Storage { url, is_of_source: true }),
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
        let cacert = environment.get("OS_CACERT").map(str::to_owned).or_else(|| source.get("cacert"));
        Ok(Self { login, storage, allows_plain_text: settings.allows_plain_text, cacert: cacert.map(PathBuf::from) })
    }
}

/// As python-swiftclient decides: the old variables if all three are there and no version says otherwise, else Keystone's.
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
            // The machine's choice counts most, then the site's, then what is usual for the cloud.
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
mod tests {
    use std::fs;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn resolve(url: Option<&str>, variables: &[(&str, &str)]) -> Result<Account, StoreError> {
        let url = url.map(|url| Url::parse(url).unwrap());
        Account::resolve(url.as_ref(), &SwiftSettings::default(), &environment(variables), None)
    }

    fn complaint(variables: &[(&str, &str)]) -> String {
        match resolve(None, variables) {
            Err(StoreError::Misconfigured(text)) => text,
            other => panic!("not a complaint: {other:?}"),
        }
    }

    #[test]
    fn without_credentials_a_named_account_is_read_as_anybody() {
        let account = resolve(Some("https://s/v1/AUTH_x"), &[]).unwrap();
        assert!(matches!(account.login, Login::Anonymous));
        assert!(complaint(&[]).contains("ST_AUTH"));
    }

    #[test]
    fn the_old_variables_belong_together() {
        let old = [("ST_AUTH", "https://s/auth/v1.0"), ("ST_USER", "t:u"), ("ST_KEY", "k")];
        assert!(matches!(resolve(None, &old).unwrap().login, Login::TempAuth(_)));
        assert!(complaint(&old[..2]).contains("ST_KEY is not set"));
        assert!(complaint(&[("ST_KEY", "k")]).contains("ST_AUTH and ST_USER"));
    }

    #[test]
    fn the_old_variables_can_hold_keystones_values() {
        let mixed = [
            ("ST_AUTH_VERSION", "3"),
            ("ST_AUTH", "https://k/v3"),
            ("ST_USER", "u"),
            ("ST_KEY", "k"),
            ("OS_PROJECT_NAME", "p"),
        ];
        assert!(matches!(resolve(None, &mixed).unwrap().login, Login::Keystone(_)));
    }

    #[test]
    fn what_keystone_needs_is_named() {
        let all = [
            ("OS_AUTH_URL", "https://k:5000"),
            ("OS_USERNAME", "u"),
            ("OS_PASSWORD", "very secret"),
            ("OS_PROJECT_NAME", "p"),
        ];
        assert!(matches!(resolve(None, &all).unwrap().login, Login::Keystone(_)));
        for (left_out, (name, _)) in all.iter().enumerate() {
            let mut rest = all.to_vec();
            rest.remove(left_out);
            let complaint = complaint(&rest);
            assert!(complaint.contains(name), "{name}: {complaint}");
            assert!(!complaint.contains("very secret"));
        }
        let mut typed = all.to_vec();
        typed.push(("OS_AUTH_TYPE", "v3applicationcredential"));
        assert!(complaint(&typed).contains("OS_APPLICATION_CREDENTIAL_ID"));
        typed.pop();
        typed.push(("OS_AUTH_TYPE", "v3kerberos"));
        assert!(complaint(&typed).contains("v3kerberos"));
    }

    #[test]
    fn a_token_needs_no_login() {
        let account = resolve(None, &[("OS_AUTH_TOKEN", "secret"), ("OS_STORAGE_URL", "https://s/v1/AUTH_x")]).unwrap();
        assert!(matches!(account.login, Login::Token(_)));
        assert!(!format!("{account:?}").contains("secret"));
    }

    #[test]
    fn a_token_goes_to_no_server_that_its_source_does_not_name() {
        let token = ("OS_AUTH_TOKEN", "secret");
        let refused = |url: &str, variables: &[(&str, &str)]| match resolve(Some(url), variables) {
            Err(StoreError::Misconfigured(text)) => text,
            other => panic!("not refused: {other:?}"),
        };
        let own = [token, ("OS_STORAGE_URL", "https://s/v1/AUTH_x")];
        assert!(resolve(Some("https://s/v1/AUTH_y"), &own).is_ok());
        assert!(
            refused("https://evil/v1/AUTH_x", &own)
                .contains("refusing to send the token in OS_AUTH_TOKEN to https://evil")
        );
        assert!(refused("https://s/v1/AUTH_x", &[token]).contains("OS_STORAGE_URL"));
        // After a login its answer decides.
        let old = [("ST_AUTH", "https://s/auth/v1.0"), ("ST_USER", "t:u"), ("ST_KEY", "k")];
        let account = resolve(Some("https://evil/v1/AUTH_x"), &old).unwrap();
        let answered = Url::parse("https://s/v1/AUTH_x").unwrap();
        assert!(account.storage.unwrap().chosen([&answered]).is_err());
        let account = resolve(Some("https://s:443/v1/AUTH_other"), &old).unwrap();
        assert_eq!(account.storage.unwrap().chosen([&answered]).unwrap().path(), "/v1/AUTH_other");
    }

    #[test]
    fn a_password_is_not_sent_in_plain_text_unless_the_site_allows_it() {
        let old = [("ST_AUTH", "http://s/auth/v1.0"), ("ST_USER", "t:u"), ("ST_KEY", "k")];
        let newer =
            [("OS_AUTH_URL", "http://k/v3"), ("OS_USERNAME", "u"), ("OS_PASSWORD", "k"), ("OS_PROJECT_NAME", "p")];
        for variables in [&old[..], &newer] {
            assert!(complaint(variables).contains("plain-text-passwords"));
            let settings = SwiftSettings { allows_plain_text: true, ..SwiftSettings::default() };
            assert!(Account::resolve(None, &settings, &environment(variables), None).is_ok());
        }
        assert!(resolve(None, &[("ST_AUTH", "http://127.0.0.1:8080/auth/v1.0"), old[1], old[2]]).is_ok());
    }

    #[test]
    fn a_cloud_of_the_working_directory_does_not_count() {
        // A password of the user's secure.yaml would go to whatever server it names.
        let folder = tempfile::tempdir().unwrap();
        let settings =
            SwiftSettings { clouds_file: Some(folder.path().join("clouds.yaml")), ..SwiftSettings::default() };
        let home = folder.path().join("home");
        fs::create_dir_all(home.join(".config/openstack")).unwrap();
        fs::write(home.join(".config/openstack/secure.yaml"), "clouds: {ci: {auth: {password: very secret}}}\n")
            .unwrap();
        let cloud = "clouds: {ci: {auth: {auth_url: 'https://evil', username: joe, project_name: x}}}\n";
        fs::write(folder.path().join("clouds.yaml"), cloud).unwrap();
        let variables = environment(&[("HOME", home.to_str().unwrap()), ("OS_CLOUD", "ci")]);
        let error = Account::resolve(None, &settings, &variables, None).unwrap_err();
        assert!(error.to_string().contains("password (cloud ci in"), "{error}");
        let error = Account::resolve(None, &SwiftSettings::default(), &variables, None).unwrap_err();
        assert!(error.to_string().contains("there is no clouds.yaml"), "{error}");
        assert!(!error.to_string().contains(" ./clouds.yaml"), "{error}");
    }

    #[test]
    fn a_user_without_a_password_gets_the_one_that_is_found_elsewhere() {
        let password = SecretString::from("verysecret".to_owned());
        let settings = SwiftSettings::default();
        let old = [("ST_AUTH", "https://s/auth/v1.0"), ("ST_USER", "t:u")];
        let newer = [("OS_AUTH_URL", "https://k:5000/v3"), ("OS_USERNAME", "u"), ("OS_PROJECT_NAME", "p")];
        for (variables, user, server) in [(&old[..], "t:u", "https://s"), (&newer, "u", "https://k:5000")] {
            let variables = environment(variables);
            let known = login(&settings, &variables).unwrap().unwrap();
            assert_eq!((known.user.as_str(), known.server.to_string().as_str()), (user, server));
            assert!(!known.has_secret && Account::resolve(None, &settings, &variables, None).is_err());
            let account = Account::resolve(None, &settings, &variables, Some(&password)).unwrap();
            assert!(matches!(account.login, Login::TempAuth(_) | Login::Keystone(_)));
            assert!(!format!("{account:?}").contains("verysecret"));
        }
        let whole = environment(&[old[0], old[1], ("ST_KEY", "k")]);
        assert!(login(&settings, &whole).unwrap().unwrap().has_secret);
        assert_eq!(login(&settings, &environment(&[])).unwrap(), None);
    }

    #[test]
    fn nothing_shows_passwords() {
        let account = resolve(
            None,
            &[
                ("OS_AUTH_URL", "https://k"),
                ("OS_USERNAME", "u"),
                ("OS_PASSWORD", "verysecret"),
                ("OS_PROJECT_NAME", "p"),
            ],
        );
        assert!(!format!("{account:?}").contains("verysecret"));
        let account = resolve(None, &[("ST_AUTH", "https://s"), ("ST_USER", "u"), ("ST_KEY", "verysecret")]);
        assert!(!format!("{account:?}").contains("verysecret"));
    }

    #[test]
    fn a_cloud_comes_from_the_users_files() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/openstack");
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("clouds.yaml"),
            "clouds:\n  ci:\n    profile: shared\n    auth:\n      username: joe\n      project_name: 12345\n    \
             regions: [{name: north}, south]\n  other: {}\n",
        )
        .unwrap();
        fs::write(folder.join("secure.yaml"), "clouds: {ci: {auth: {password: very secret}}}\n").unwrap();
        fs::write(
            folder.join("clouds-public.yaml"),
            "public-clouds: {shared: {auth: {auth_url: 'https://k.example/identity', username: nobody}}}\n",
        )
        .unwrap();
        let home = home.path().to_str().unwrap();
        let account = resolve(None, &[("HOME", home), ("OS_CLOUD", "ci"), ("OS_CACERT", "/ca.pem")]).unwrap();
        let Login::Keystone(keystone) = &account.login else { panic!("{account:?}") };
        let shown = format!("{keystone:?}");
        for expected in ["https://k.example/identity/v3/auth/tokens", "joe", "12345", "north"] {
            assert!(shown.contains(expected) || keystone.tokens_url().as_str() == expected, "{expected}: {shown}");
        }
        assert!(!shown.contains("very secret"));
        assert_eq!(account.cacert, Some(PathBuf::from("/ca.pem")));

        assert!(complaint(&[("HOME", home), ("OS_CLOUD", "CI")]).contains("ci, other"));
        assert!(complaint(&[("HOME", home), ("OS_CLOUD", "other")]).contains("auth_url (cloud other in"));
        assert!(complaint(&[("HOME", "/nonexistent"), ("OS_CLOUD", "ci")]).contains("/nonexistent/.config/openstack"));

        // The variables describe another way in; the site's own choice of a cloud gives way.
        let settings = SwiftSettings { cloud: Some("ci".into()), ..SwiftSettings::default() };
        let old = [("HOME", home), ("ST_AUTH", "https://s"), ("ST_USER", "u"), ("ST_KEY", "k")];
        let account = Account::resolve(None, &settings, &environment(&old), None).unwrap();
        assert!(matches!(account.login, Login::TempAuth(_)));
        let account = Account::resolve(None, &settings, &environment(&old[..1]), None).unwrap();
        assert!(matches!(account.login, Login::Keystone(_)));
    }

    #[test]
    fn a_damaged_file_is_named_but_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        for text in [
            "clouds:\n  ci:\n    auth: verysecret\n",
            "clouds: {ci: {auth: {password: [verysecret]}}}",
            "a: 'verysecret",
        ] {
            fs::write(&file, text).unwrap();
            let complaint = complaint(&[("OS_CLOUD", "ci"), ("OS_CLIENT_CONFIG_FILE", file.to_str().unwrap())]);
            assert!(complaint.contains("c.yaml") && !complaint.contains("verysecret"), "{complaint}");
        }
    }
}
