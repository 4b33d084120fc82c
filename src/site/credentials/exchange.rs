//! Files in which Ubuntu's web service stores the secrets of GitHub projects.
//!
//! `github-secrets.json`: `{"project": "webhook secret", …}`. `github-status-credentials.txt`: lines
//! `project:user:token`.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::Name;

/// Parses `github-secrets.json`. The error does not quote the text.
///
/// # Errors
/// When the text has another form.
pub fn read_secrets(text: &str) -> Result<Vec<(Name, SecretString)>, String> {
    let secrets: BTreeMap<String, String> = serde_json::from_str(text)
        .map_err(|error| format!("not a JSON object of strings: line {}, column {}", error.line(), error.column()))?;
    let read = |(name, secret): (String, String)| {
        let name: Name = name.parse().map_err(|error| format!("{error}"))?;
        // With an empty secret anyone could sign.
        if secret.is_empty() { Err(format!("the secret of {name} is empty")) } else { Ok((name, secret.into())) }
    };
    secrets.into_iter().map(read).collect()
}

/// Returns the text of `github-secrets.json`.
pub fn write_secrets(secrets: &[(Name, SecretString)]) -> String {
    let map: BTreeMap<&str, &str> =
        secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose_secret())).collect();
    serde_json::to_string_pretty(&map).unwrap_or_default() + "\n"
}

/// Parses `github-status-credentials.txt`: `USER:TOKEN` for each project. The error does not quote the text.
///
/// # Errors
/// When a line has another form.
pub fn read_tokens(text: &str) -> Result<Vec<(Name, SecretString)>, String> {
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = || format!("line {} does not have the form project:user:token", number + 1);
        let (project, rest) = line.split_once(':').ok_or_else(fault)?;
        let (user, token) = rest.split_once(':').ok_or_else(fault)?;
        if user.is_empty() || token.is_empty() {
            return Err(fault());
        }
        tokens.push((project.parse().map_err(|_| fault())?, rest.to_owned().into()));
    }
    Ok(tokens)
}

/// Returns the text of `github-status-credentials.txt`.
pub fn write_tokens(tokens: &[(Name, SecretString)]) -> String {
    tokens.iter().map(|(name, token)| format!("{name}:{}\n", token.expose_secret())).collect()
}
