//! OpenStack's identity service, version 3: a password or an application credential yields a token and a catalog.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::auth_token::AuthToken;
use super::failure::Failure;
use super::retry::first_answer;
use super::source::Source;
use super::storage::Storage;
use super::url::shown;
use crate::http;
use crate::server_url::ServerIdentity;
use crate::store::StoreError;

/// Maximum size of the answer to a login, in bytes. The catalog of a large cloud has some hundred kilobytes.
const MAX_LOGIN_BYTES: usize = 4 * 1024 * 1024;

/// A login at Keystone, and the choice of an endpoint in the catalog.
#[derive(Debug)]
pub(super) struct Keystone {
    tokens: Url,
    identity: Identity,
    region: Option<String>,
    interface: String,
}

#[derive(Debug)]
enum Identity {
    Password {
        user: Named,
        password: SecretString,
        project: Named,
    },
    /// A credential with its own scope.
    ApplicationCredential {
        credential: Credential,
        secret: SecretString,
    },
}

#[derive(Debug)]
enum Credential {
    Id(String),
    Name { name: String, user: Named },
}

/// A user or a project.
#[derive(Debug)]
enum Named {
    Id(String),
    Name { name: String, domain: Domain },
}

#[derive(Debug)]
enum Domain {
    Id(String),
    Name(String),
}

#[derive(Deserialize)]
struct Answer {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    expires_at: String,
    #[serde(default)]
    issued_at: String,
    #[serde(default)]
    catalog: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    interface: String,
    region: Option<String>,
    region_id: Option<String>,
    url: String,
}

const HINT: &str = "check user, password, project and their domains, or the application credential";

impl Keystone {
    /// Reads the login from the settings; `kind` is the `auth_type` in them.
    pub(super) fn from_source(
        source: &Source<'_>,
        kind: Option<&str>,
        region: Option<String>,
        interface: Option<String>,
    ) -> Result<Self, StoreError> {
        let what = "to log in at Keystone, a URL, a user, a password and a project are needed";
        let url = source.need_url("auth_url", what)?;
        let credential = source.first(&["application_credential_id", "application_credential_name"]).is_some();
        let identity = if kind == Some("v3applicationcredential")
            || kind.is_none() && credential && source.get("password").is_none()
        {
            application_credential(source)?
        } else {
            let user = user(source, what)?;
            let password = source.need(&["password"], what)?.into();
            let project = named(
                source,
                &["project_id", "tenant_id"],
                &["project_name", "tenant_name"],
                ["project_domain_id", "project_domain_name"],
                what,
            )?;
            Identity::Password { user, password, project }
        };
        Ok(Self { tokens: tokens(source, url)?, identity, region, interface: plain_interface(interface) })
    }

    /// Returns the address of the login, for people.
    pub(super) fn address(&self) -> String {
        shown(&self.tokens).trim_end_matches("/auth/tokens").to_owned()
    }

    /// Returns the server that gets the password.
    pub(super) fn server(&self) -> ServerIdentity {
        ServerIdentity::of(&self.tokens)
    }

    #[cfg(test)]
    pub(super) fn tokens_url(&self) -> &Url {
        &self.tokens
    }

    pub(super) async fn log_in(
        &self,
        client: &reqwest::Client,
        storage: Option<&Storage>,
    ) -> Result<AuthToken, Failure> {
        let address = self.address();
        let response = first_answer(&address, client.post(self.tokens.clone()).json(&self.body()).send()).await?;
        let action = format!("log {} in", self.identity);
        let refused = |reason: &str| Failure::Refused {
            address: address.clone(),
            action: action.clone(),
            reason: reason.to_owned(),
        };
        if !response.status().is_success() {
            let failure = Failure::of_answer(&address, &action, "", HINT, response.status(), response.headers());
            return Err(match failure {
                Failure::NotFound(_) => refused("it answered 404 Not Found; check the URL to log in at (OS_AUTH_URL)"),
                failure => failure,
            });
        }
        let token = response.headers().get("x-subject-token").and_then(|token| token.to_str().ok()).map(str::to_owned);
        let token = token.ok_or_else(|| refused("its answer has no token: is this the URL to log in at?"))?;
        let body = http::read_bytes(response, MAX_LOGIN_BYTES)
            .await
            .map_err(|error| Failure::of_body(&address, &action, error))?;
        // The parser's message could quote the answer, which must not be logged.
        let Answer { token: details } = serde_json::from_slice(&body)
            .map_err(|_| Failure::broken(&address, "its answer to the login cannot be understood"))?;
        let storage = match storage {
            Some(storage) => {
                let of_storage = details.catalog.iter().filter(|service| service.kind == "object-store");
                let urls = of_storage.flat_map(|service| &service.endpoints);
                let urls: Vec<Url> = urls.filter_map(|endpoint| Url::parse(&endpoint.url).ok()).collect();
                storage.chosen(&urls)?.clone()
            }
            None => self.endpoint(&address, &details.catalog)?,
        };
        let lifetime = lifetime(&details.issued_at, &details.expires_at);
        AuthToken::new(&storage, Some(&token), lifetime).ok_or_else(|| refused("its answer has a damaged token"))
    }

    fn endpoint(&self, address: &str, catalog: &[Service]) -> Result<Url, Failure> {
        let all: Vec<&Endpoint> = catalog
            .iter()
            .filter(|service| service.kind == "object-store")
            .flat_map(|service| &service.endpoints)
            .collect();
        let fits = |endpoint: &&&Endpoint| {
            let region = self.region.as_deref();
            endpoint.interface == self.interface
                && (region.is_none() || endpoint.region.as_deref() == region || endpoint.region_id.as_deref() == region)
        };
        let Some(endpoint) = all.iter().find(fits) else {
            let region = self.region.as_deref().map(|region| format!(" in the region {region}")).unwrap_or_default();
            let there: Vec<String> = all
                .iter()
                .map(|endpoint| {
                    format!("{} in {}", endpoint.interface, endpoint.region.as_deref().unwrap_or("no region"))
                })
                .collect();
            let there = if there.is_empty() { "none at all".to_owned() } else { there.join(", ") };
            return Err(Failure::Misconfigured(format!(
                "the catalog of {address} has no {} object-store endpoint{region}; there is: {there}; \
                 see OS_REGION_NAME and OS_INTERFACE",
                self.interface
            )));
        };
        Url::parse(&endpoint.url).map_err(|error| {
            Failure::Misconfigured(format!("the catalog of {address} has a damaged object-store URL: {error}"))
        })
    }

    fn body(&self) -> Value {
        match &self.identity {
            Identity::Password { user, password, project } => {
                let mut user = user.json();
                user["password"] = json!(password.expose_secret());
                json!({"auth": {
                    "identity": {"methods": ["password"], "password": {"user": user}},
                    "scope": {"project": project.json()},
                }})
            }
            Identity::ApplicationCredential { credential, secret } => {
                let mut credential = match credential {
                    Credential::Id(id) => json!({"id": id}),
                    Credential::Name { name, user } => json!({"name": name, "user": user.json()}),
                };
                credential["secret"] = json!(secret.expose_secret());
                json!({"auth": {"identity": {
                    "methods": ["application_credential"],
                    "application_credential": credential,
                }}})
            }
        }
    }
}

impl Named {
    fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name { name, domain: Domain::Id(id) } => json!({"name": name, "domain": {"id": id}}),
            Self::Name { name, domain: Domain::Name(domain) } => json!({"name": name, "domain": {"name": domain}}),
        }
    }
}

/// Formats who logs in, for messages.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user: Named::Id(name) | Named::Name { name, .. }, .. } => f.write_str(name),
            Self::ApplicationCredential {
                credential: Credential::Id(name) | Credential::Name { name, .. }, ..
            } => {
                write!(f, "the application credential {name}")
            }
        }
    }
}

fn application_credential(source: &Source<'_>) -> Result<Identity, StoreError> {
    let what = "to log in with an application credential, its id (or its name and user) and its secret are needed";
    let secret = source.need(&["application_credential_secret"], what);
    let credential = match (source.get("application_credential_id"), source.get("application_credential_name")) {
        (Some(id), _) => Credential::Id(id),
        (None, Some(name)) => Credential::Name { name, user: user(source, what)? },
        (None, None) => {
            return Err(source.missing(&["application_credential_id", "application_credential_name"], what));
        }
    };
    Ok(Identity::ApplicationCredential { credential, secret: secret?.into() })
}

fn user(source: &Source<'_>, what: &str) -> Result<Named, StoreError> {
    named(source, &["user_id"], &["username"], ["user_domain_id", "user_domain_name"], what)
}

fn named(
    source: &Source<'_>,
    ids: &[&str],
    names: &[&str],
    [domain_id, domain_name]: [&str; 2],
    what: &str,
) -> Result<Named, StoreError> {
    if let Some(id) = source.first(ids) {
        return Ok(Named::Id(id));
    }
    let name = source.need(&[names, ids].concat(), what)?;
    let domain = if let Some(id) = source.get(domain_id) {
        Domain::Id(id)
    } else if let Some(name) = source.get(domain_name) {
        Domain::Name(name)
    } else if let Some(id) = source.first(&["domain_id", "default_domain_id"]) {
        Domain::Id(id)
    } else if let Some(name) = source.first(&["domain_name", "default_domain_name"]) {
        Domain::Name(name)
    } else {
        // Keystone's own domain. Its id stays the same when it is renamed from Default.
        Domain::Id("default".to_owned())
    };
    Ok(Named::Name { name, domain })
}

/// Returns `…/v3/auth/tokens`, whether or not the URL names the version.
fn tokens(source: &Source<'_>, mut url: Url) -> Result<Url, StoreError> {
    let path = url.path().trim_end_matches('/').to_owned();
    let path = match path.rsplit('/').next() {
        Some("v3") => path,
        Some("v2.0") => {
            return Err(StoreError::Misconfigured(format!(
                "{} names version 2 of Keystone, which is gone: write /v3, or no version at all",
                source.label("auth_url")
            )));
        }
        _ => format!("{path}/v3"),
    };
    url.set_path(&format!("{path}/auth/tokens"));
    url.set_query(None);
    Ok(url)
}

/// Returns the lifetime of a token. Both times are the server's: the local clock may be wrong.
fn lifetime(begin: &str, end: &str) -> Option<Duration> {
    let (begin, end): (Timestamp, Timestamp) = (begin.parse().ok()?, end.parse().ok()?);
    Duration::try_from(end.duration_since(begin)).ok()
}

/// Returns the interface in its newer spelling: `public` for `publicURL`.
fn plain_interface(interface: Option<String>) -> String {
    let interface = interface.unwrap_or_else(|| "public".to_owned());
    interface.strip_suffix("URL").map_or(interface.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn keystone(variables: &[(&str, &str)]) -> Keystone {
        let environment: Environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let source = Source::Environment(&environment);
        let kind = source.get("auth_type");
        let interface = source.first(&["interface", "endpoint_type"]);
        Keystone::from_source(&source, kind.as_deref(), source.get("region_name"), interface).unwrap()
    }

    #[test]
    fn the_version_may_be_named_or_not() {
        for (given, address) in [
            ("http://k:5000", "http://k:5000/v3"),
            ("http://k:5000/", "http://k:5000/v3"),
            ("http://k:5000/v3/", "http://k:5000/v3"),
            ("http://joe:x@k/identity?x", "http://k/identity/v3"),
        ] {
            let keystone = keystone(&[
                ("OS_AUTH_URL", given),
                ("OS_USERNAME", "u"),
                ("OS_PASSWORD", "p"),
                ("OS_PROJECT_NAME", "p"),
            ]);
            assert_eq!(keystone.address(), address);
            assert!(keystone.tokens.path().ends_with("/v3/auth/tokens"));
        }
    }

    #[test]
    fn a_password_is_sent_with_user_project_and_domains() {
        let keystone = keystone(&[
            ("OS_AUTH_URL", "http://k"),
            ("OS_USERNAME", "u"),
            ("OS_USER_DOMAIN_NAME", "People"),
            ("OS_PASSWORD", "p"),
            ("OS_TENANT_NAME", "ci"),
        ]);
        assert_eq!(
            keystone.body(),
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user":
                    {"name": "u", "domain": {"name": "People"}, "password": "p"}}},
                "scope": {"project": {"name": "ci", "domain": {"id": "default"}}},
            }})
        );
    }

    #[test]
    fn an_application_credential_is_scoped_by_itself() {
        let by_name = keystone(&[
            ("OS_AUTH_URL", "http://k"),
            ("OS_AUTH_TYPE", "v3applicationcredential"),
            ("OS_APPLICATION_CREDENTIAL_NAME", "worker"),
            ("OS_APPLICATION_CREDENTIAL_SECRET", "s"),
            ("OS_USER_ID", "u1"),
        ]);
        assert_eq!(
            by_name.body()["auth"],
            json!({"identity": {"methods": ["application_credential"], "application_credential":
                {"name": "worker", "user": {"id": "u1"}, "secret": "s"}}})
        );
    }

    #[test]
    fn the_endpoint_fits_region_and_interface() {
        let catalog: Vec<Service> = serde_json::from_value(json!([
            {"type": "image", "endpoints": [{"interface": "public", "region": "north", "url": "http://image"}]},
            {"type": "object-store", "endpoints": [
                {"interface": "admin", "region": "north", "region_id": "north", "url": "http://admin"},
                {"interface": "public", "region": "north", "region_id": "north", "url": "http://north/v1/AUTH_1"},
                {"interface": "public", "region": "south", "region_id": "south", "url": "http://south/v1/AUTH_1"},
            ]},
        ]))
        .unwrap();
        let base = [("OS_AUTH_URL", "http://k"), ("OS_USERNAME", "u"), ("OS_PASSWORD", "p"), ("OS_PROJECT_ID", "1")];
        let endpoint =
            |more: &[(&str, &str)]| keystone(&[&base, more].concat()).endpoint("k", &catalog).map_err(StoreError::from);
        assert_eq!(endpoint(&[]).unwrap().as_str(), "http://north/v1/AUTH_1");
        assert_eq!(endpoint(&[("OS_REGION_NAME", "south")]).unwrap().as_str(), "http://south/v1/AUTH_1");
        assert_eq!(endpoint(&[("OS_ENDPOINT_TYPE", "adminURL")]).unwrap().as_str(), "http://admin/");
        let error = endpoint(&[("OS_REGION_NAME", "west")]).unwrap_err().to_string();
        assert!(error.contains("region west") && error.contains("public in south"), "{error}");
    }
}
