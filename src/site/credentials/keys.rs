//! The private SSH keys of this user or host, which decrypt secrets.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use age::armor::ArmoredReader;
use age::ssh::Identity;
use secrecy::SecretString;

use super::sealed;

/// Maximum size of a decrypted secret with its binding, in bytes. Secrets are lines or keys.
pub(super) const MAX_SIZE: u64 = 128 << 10;
/// Maximum size of a file with a private key, in bytes.
const MAX_KEY_SIZE: u64 = 64 << 10;
/// Maximum number of attempts to enter a passphrase.
const MAX_TRIES: usize = 3;

/// Function that asks for the passphrase of a key's file. None without a terminal.
pub type AskPassphrase = Arc<dyn Fn(&Path) -> Option<SecretString> + Send + Sync>;

/// Files with private keys. Each passphrase is asked for once.
pub struct Keys {
    files: Vec<PathBuf>,
    ask: AskPassphrase,
    unlocked: Mutex<HashMap<PathBuf, Identity>>,
}

impl Keys {
    /// Creates a set of keys. Missing files are skipped.
    pub fn new(files: Vec<PathBuf>, ask: AskPassphrase) -> Self {
        Self { files, ask, unlocked: Mutex::default() }
    }

    /// Decrypts a ciphertext with one of the keys. The error lists the attempts.
    pub(super) fn open(&self, armour: &str) -> Result<SecretString, String> {
        // A single file was named by the user, so it must exist.
        if let [named] = self.files.as_slice()
            && let Err(error) = File::open(named)
        {
            return Err(format!("{}: {error}", named.display()));
        }
        let tags = sealed::tags(armour)?;
        let mut tried = Vec::new();
        let mut locked = Vec::new();
        for file in &self.files {
            let outcome = self.read(file).and_then(|identity| match identity {
                None => Ok(None),
                Some(identity) if !is_for(&identity, &tags) => Err("the secret is not encrypted to it".to_owned()),
                Some(Identity::Encrypted(key)) => {
                    locked.push((file, key));
                    Ok(None)
                }
                Some(identity) => decrypt(armour, &identity).map(Some),
            });
            match outcome {
                Ok(None) => {}
                Ok(Some(secret)) => return Ok(secret),
                Err(reason) => tried.push(format!("{}: {reason}", file.display())),
            }
        }
        // A passphrase is asked for only if no other key decrypts it.
        for (file, key) in locked {
            match self.unlock(file, &key).and_then(|identity| decrypt(armour, &identity)) {
                Ok(secret) => return Ok(secret),
                Err(reason) => tried.push(format!("{}: {reason}", file.display())),
            }
        }
        Err(if tried.is_empty() { "there is none".to_owned() } else { tried.join("; ") })
    }

    /// Reads a key; `None` when the file does not exist or is unreadable for this user.
    fn read(&self, path: &Path) -> Result<Option<Identity>, String> {
        if let Some(identity) = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(Some(identity.clone()));
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.to_string()),
        };
        let name = Some(path.display().to_string());
        match Identity::from_buffer(BufReader::new(file.take(MAX_KEY_SIZE)), name) {
            Ok(Identity::Unsupported(_)) => Err("keys of its type cannot decrypt secrets".to_owned()),
            Ok(identity) => Ok(Some(identity)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn unlock(&self, path: &Path, key: &age::ssh::EncryptedKey) -> Result<Identity, String> {
        for _ in 0..MAX_TRIES {
            let Some(passphrase) = (self.ask)(path) else {
                return Err(
                    "it has a passphrase, which is asked for on a terminal only (ssh-agent cannot decrypt)".to_owned()
                );
            };
            if let Ok(unlocked) = key.decrypt(passphrase) {
                let identity = Identity::from(unlocked);
                let mut known = self.unlocked.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(path.to_owned(), identity.clone());
                return Ok(identity);
            }
        }
        Err("wrong passphrase".to_owned())
    }
}

/// Whether one of the tags is the key's.
fn is_for(identity: &Identity, tags: &[String]) -> bool {
    age::ssh::Recipient::try_from(identity.clone())
        .is_ok_and(|recipient| sealed::tag(&recipient.to_string()).is_some_and(|tag| tags.contains(&tag)))
}

fn decrypt(armour: &str, identity: &Identity) -> Result<SecretString, String> {
    let decryptor =
        age::Decryptor::new_buffered(ArmoredReader::new(armour.as_bytes())).map_err(|error| error.to_string())?;
    let reader =
        decryptor.decrypt(std::iter::once(identity as &dyn age::Identity)).map_err(|error| error.to_string())?;
    let mut secret = String::new();
    reader.take(MAX_SIZE + 1).read_to_string(&mut secret).map_err(|error| error.to_string())?;
    if secret.len() as u64 > MAX_SIZE {
        return Err("it is longer than any secret".to_owned());
    }
    Ok(secret.into())
}
