//! Input of secrets: from a hidden prompt, a file or standard input, never from an argument.

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal, Read};
use std::path::Path;

use secrecy::SecretString;

use super::error::{BadInput, CommandError, CommandResult, ErrorContext as _};

/// Maximum size of a secret, in bytes.
const MAX_SECRET_SIZE: u64 = 64 << 10;
/// Maximum size of a file with secrets or keys, in bytes.
const MAX_FILE_SIZE: u64 = 4 << 20;

/// Refuses a private key among the arguments of `credentials`, before anything repeats it in a message.
pub fn refuse_private_keys(arguments: impl IntoIterator<Item = OsString>) -> Result<(), BadInput> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_key = |text: &str| text.contains("PRIVATE KEY-----") || text == "-----BEGIN";
    let is_meant = arguments.iter().any(|argument| argument == "credentials");
    if !(is_meant && arguments.iter().any(|argument| is_key(&argument.to_string_lossy()))) {
        return Ok(());
    }
    let message = "an argument is a private key, which must stay secret: give the public key, from the file with \
                   the same name and the ending .pub";
    let hint = "replace that key: other users of this machine may have seen it in the process list, \
                and the shell history may keep it";
    Err(BadInput { message: message.to_owned(), hint: Some(hint.to_owned()) })
}

/// Returns a new random secret of 64 hexadecimal digits.
pub fn random() -> SecretString {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()).into()
}

/// Reads a secret from a file, a hidden prompt, or standard input.
pub async fn read(file: Option<&Path>, what: &str) -> CommandResult<SecretString> {
    let text = match file {
        Some(path) => read_text(path)?,
        None if std::io::stdin().is_terminal() => {
            if !std::io::stderr().is_terminal() {
                let message = "cannot ask for the secret: standard error is not a terminal".to_owned();
                let hint = Some("give the secret on standard input or with --file".to_owned());
                return Err(BadInput { message, hint }.into());
            }
            super::ask::secret(what.to_owned()).await?
        }
        None => {
            let mut text = String::new();
            std::io::stdin().take(MAX_SECRET_SIZE + 1).read_to_string(&mut text).context("cannot read the secret")?;
            text
        }
    };
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() {
        let hint = Some("type it, or give it on standard input or with --file".to_owned());
        return Err(BadInput { message: "the secret is empty".to_owned(), hint }.into());
    }
    if secret.len() as u64 > MAX_SECRET_SIZE {
        return Err(BadInput { message: "the secret is longer than 64 KiB".to_owned(), hint: None }.into());
    }
    Ok(secret.to_owned().into())
}

/// Returns the text of a file that the user has named, at most 4 MiB. It may be a pipe, as from another program.
pub fn read_text(path: &Path) -> CommandResult<String> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        let length = std::fs::File::open(path)?.take(MAX_FILE_SIZE + 1).read_to_string(&mut text)?;
        if length as u64 > MAX_FILE_SIZE {
            return Err(std::io::Error::new(ErrorKind::FileTooLarge, "it is longer than 4 MiB"));
        }
        Ok(text)
    };
    read().map_err(|error| CommandError::of_named_file(error, path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = read_text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(format!("{error:#}"), "cannot read /dev/zero: it is longer than 4 MiB");
    }

    #[test]
    fn a_private_key_among_the_arguments_is_refused_and_not_repeated() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----";
        let call = |last: &str| refuse_private_keys(["credentials", "recipients", "add", last].map(OsString::from));
        for argument in [key.to_owned(), format!("--role={key}")] {
            let error = call(&argument).unwrap_err();
            assert!(error.message.contains(".pub") && !format!("{error:?}").contains("b3Blbn"), "{error:?}");
        }
        // As words, when it was not quoted.
        assert!(call("-----BEGIN").is_err());
        call("ssh-ed25519 AAAA ann@example").unwrap();
        refuse_private_keys(["run", "--env", key].map(OsString::from)).unwrap();
    }
}
