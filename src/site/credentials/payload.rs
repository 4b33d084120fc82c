//! The encrypted part of a credential: the secret and its purpose.
//!
//! Anyone who can commit to a site can copy a ciphertext into another file, or change the server that a secret is sent
//! to. Therefore kind, name, servers and readers are encrypted together with the secret, and checked when it is opened.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::CredentialsError;
use super::entry::{Entry, Name};
use super::kind::Kind;
use super::role::Role;
use crate::server_url::ServerIdentity;

/// Prefix of a bound secret. Secrets of older versions do not have it.
const MAGIC: &str = "apt-ci credential 1\n";

/// The purpose to which a secret is bound.
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

/// An opened credential, which returns its secret only for its server.
#[derive(Debug, Clone)]
pub struct OpenedCredential {
    entry: Entry,
    binding: Option<Binding>,
    secret: SecretString,
}

impl OpenedCredential {
    /// Reads the decrypted content of an entry's file.
    pub(super) fn read(entry: Entry, payload: &SecretString) -> Result<Self, CredentialsError> {
        let Some(text) = payload.expose_secret().strip_prefix(MAGIC) else {
            return Ok(Self { entry, binding: None, secret: payload.clone() });
        };
        let of = format!("the {} credential of {}", entry.kind, entry.name);
        // The parser's message could quote the secret.
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

    /// Returns the text to encrypt for an entry.
    pub(super) fn payload(entry: &Entry, secret: &SecretString) -> SecretString {
        let Entry { kind, name, server, service, readers, .. } = entry.clone();
        let binding = Binding { kind, name, server, service, readers };
        let payload = Payload { binding, secret: secret.expose_secret().to_owned() };
        // Serialization of strings cannot fail.
        format!("{MAGIC}{}", serde_json::to_string(&payload).unwrap_or_default()).into()
    }

    /// Returns the text to encrypt again, bound or not. The entry of a bound one may have got readers.
    pub(super) fn same_payload(&self, entry: &Entry) -> SecretString {
        match self.binding {
            Some(_) => Self::payload(entry, &self.secret),
            None => self.secret.clone(),
        }
    }

    /// Returns the entry.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Whether it is bound. Otherwise it can only be shown.
    pub fn is_bound(&self) -> bool {
        self.binding.is_some()
    }

    /// Returns the secret for sending it to a server.
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

    /// Returns the secret for a server that sends it to a web service.
    ///
    /// # Errors
    /// When [`OpenedCredential::for_server`] fails, or [`CredentialsError::OtherService`] for another service.
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

    /// Whether the web service to which it may be sent is unknown.
    pub fn needs_service(&self) -> bool {
        self.entry.kind.is_delivered() && self.entry.service.is_none()
    }

    /// Returns the secret for a comparison on this machine.
    ///
    /// # Errors
    /// [`CredentialsError::Unbound`].
    pub fn for_comparison(&self) -> Result<&SecretString, CredentialsError> {
        let Entry { kind, name, .. } = &self.entry;
        if self.is_bound() { Ok(&self.secret) } else { Err(CredentialsError::Unbound(*kind, name.clone())) }
    }

    /// Returns the secret for an operator, whatever it is bound to.
    pub fn reveal(&self) -> &SecretString {
        &self.secret
    }
}
