//! What is inside the encryption: the secret, and what it is for.
//!
//! Anybody who can commit to a site can copy one file's ciphertext into another file, or change the server that a secret
//! is sent to. So kind, name, servers and readers are encrypted together with the secret and checked when it is opened.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::CredentialsError;
use super::entry::{Entry, Name};
use super::kind::Kind;
use super::role::Role;
use crate::server_url::ServerIdentity;

/// What a bound secret begins with. One without it is from before secrets were bound.
const MAGIC: &str = "apt-ci credential 1\n";

/// What a secret is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Binding {
    kind: Kind,
    name: Name,
    server: Option<ServerIdentity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<ServerIdentity>,
    readers: Option<BTreeSet<Role>>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(flatten)]
    binding: Binding,
    secret: String,
}

/// A credential that was opened. Its secret is given out for the server that it is bound to.
#[derive(Debug, Clone)]
pub struct Opened {
    entry: Entry,
    binding: Option<Binding>,
    secret: SecretString,
}

impl Opened {
    /// Reads what the encryption held for the entry of this file.
    pub(super) fn read(entry: Entry, payload: &SecretString) -> Result<Self, CredentialsError> {
        let Some(text) = payload.expose_secret().strip_prefix(MAGIC) else {
            return Ok(Self { entry, binding: None, secret: payload.clone() });
        };
        let of = format!("the {} credential of {}", entry.kind, entry.name);
        // The parser's words could quote the secret.
        let Payload { binding, secret } =
            serde_json::from_str(text).map_err(|_| CredentialsError::Foreign(of.clone(), "damaged text".to_owned()))?;
        if (binding.kind, &binding.name) != (entry.kind, &entry.name) {
            let found = format!("the {} credential of {}", binding.kind, binding.name);
            return Err(CredentialsError::Foreign(of, found));
        }
        if (&binding.server, &binding.service, &binding.readers) != (&entry.server, &entry.service, &entry.readers) {
            return Err(CredentialsError::Foreign(of, "another server or other readers than its file says".to_owned()));
        }
        Ok(Self { entry, binding: Some(binding), secret: secret.into() })
    }

    /// What is to be encrypted for an entry.
    pub(super) fn payload(entry: &Entry, secret: &SecretString) -> SecretString {
        let Entry { kind, name, server, service, readers, .. } = entry.clone();
        let binding = Binding { kind, name, server, service, readers };
        let payload = Payload { binding, secret: secret.expose_secret().to_owned() };
        // Texts can always be written.
        format!("{MAGIC}{}", serde_json::to_string(&payload).unwrap_or_default()).into()
    }

    /// What is to be encrypted to keep this, bound or not. The entry of one that is bound may have got readers.
    pub(super) fn same_payload(&self, entry: &Entry) -> SecretString {
        match self.binding {
            Some(_) => Self::payload(entry, &self.secret),
            None => self.secret.clone(),
        }
    }

    /// What is known about it.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Whether it is bound; otherwise it can only be shown.
    pub fn is_bound(&self) -> bool {
        self.binding.is_some()
    }

    /// The secret, to be sent to this server.
    ///
    /// # Errors
    /// [`CredentialsError::Unbound`], or [`CredentialsError::OtherServer`] when it is bound to another one.
    pub fn for_server(&self, server: &ServerIdentity) -> Result<&SecretString, CredentialsError> {
        let Entry { kind, name, .. } = &self.entry;
        match &self.binding {
            None => Err(CredentialsError::Unbound(*kind, name.clone())),
            Some(Binding { server: Some(bound), .. }) if bound == server => Ok(&self.secret),
            Some(Binding { server: bound, .. }) => Err(CredentialsError::OtherServer {
                kind: *kind,
                name: name.clone(),
                bound: bound.clone().map(Box::new),
                server: Box::new(server.clone()),
            }),
        }
    }

    /// The secret, for this server to have and to send to this web service.
    ///
    /// # Errors
    /// As [`Opened::for_server`], or [`CredentialsError::OtherService`] when the service is another one.
    pub fn for_service(
        &self,
        server: &ServerIdentity,
        service: &ServerIdentity,
    ) -> Result<&SecretString, CredentialsError> {
        let secret = self.for_server(server)?;
        let Entry { kind, name, service: bound, .. } = &self.entry;
        if kind.is_delivered() && bound.as_ref() != Some(service) {
            return Err(CredentialsError::OtherService {
                kind: *kind,
                name: name.clone(),
                bound: bound.clone().map(Box::new),
                service: Box::new(service.clone()),
            });
        }
        Ok(secret)
    }

    /// Whether nothing says yet to which web service it may be sent.
    pub fn needs_service(&self) -> bool {
        self.entry.kind.is_delivered() && self.entry.service.is_none()
    }

    /// The secret, to be compared here and sent nowhere.
    ///
    /// # Errors
    /// [`CredentialsError::Unbound`].
    pub fn for_comparison(&self) -> Result<&SecretString, CredentialsError> {
        let Entry { kind, name, .. } = &self.entry;
        if self.is_bound() { Ok(&self.secret) } else { Err(CredentialsError::Unbound(*kind, name.clone())) }
    }

    /// The secret, for an operator who asks to see it, whatever it is bound to.
    pub fn reveal(&self) -> &SecretString {
        &self.secret
    }
}
