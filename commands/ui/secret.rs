//! Secrets that come in: from a hidden prompt, a file or standard input, never from an argument.

use std::io::{IsTerminal, Read};
use std::path::Path;

use anyhow::Context as _;
use secrecy::SecretString;

use super::error::BadInput;

/// More than any secret has, in bytes.
const LIMIT: u64 = 64 << 10;

/// A new one: 64 hexadecimal digits.
pub fn random() -> SecretString {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()).into()
}

/// Reads a secret from a file, a hidden prompt, or standard input.
pub async fn read(file: Option<&Path>, what: &str) -> anyhow::Result<SecretString> {
    let text = match file {
        Some(path) => read_text(path)?,
        None if std::io::stdin().is_terminal() => {
            if !std::io::stderr().is_terminal() {
                let message = "nobody can be asked, because standard error is no terminal".to_owned();
                let hint = Some("give the secret on standard input or with --file".to_owned());
                return Err(BadInput { message, hint }.into());
            }
            super::ask::secret(what.to_owned()).await?
        }
        None => {
            let mut text = String::new();
            std::io::stdin().take(LIMIT + 1).read_to_string(&mut text).context("the secret cannot be read")?;
            text
        }
    };
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        let hint = Some("type it, or give it on standard input or with --file".to_owned());
        return Err(BadInput { message: "the secret is empty".to_owned(), hint }.into());
    }
    if secret.len() as u64 > LIMIT {
        return Err(BadInput { message: "the secret is longer than 64 KiB".to_owned(), hint: None }.into());
    }
    Ok(secret.to_owned().into())
}

/// A file's text.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
