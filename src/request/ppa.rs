//! A personal package archive that a test takes packages from: `[USER:TOKEN@]OWNER/NAME[:FINGERPRINT]`.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use super::InvalidRequest;
use super::parts::is_word;

/// A package archive (PPA). It is shown as `OWNER/NAME`, without its token.
#[derive(Clone)]
pub struct Ppa {
    owner: String,
    name: String,
    login: Option<Login>,
    fingerprint: Option<Fingerprint>,
}

/// Credentials for a private archive.
#[derive(Clone)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The archive's token for this user.
    pub token: SecretString,
}

/// The fingerprint of an OpenPGP key: 40 hexadecimal digits, in capitals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Ppa {
    /// Returns the user or team that owns the archive.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Returns the archive's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the credentials. An archive with credentials is private.
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Returns the expected fingerprint of the archive's signing key.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref()
    }

    /// Returns the wire form, with the token.
    pub(super) fn to_wire(&self) -> String {
        let login = match &self.login {
            Some(Login { user, token }) => format!("{user}:{}@", token.expose_secret()),
            None => String::new(),
        };
        let fingerprint = self.fingerprint.as_ref().map(|fingerprint| format!(":{fingerprint}")).unwrap_or_default();
        format!("{login}{}/{}{fingerprint}", self.owner, self.name)
    }
}

impl PartialEq for Ppa {
    fn eq(&self, other: &Self) -> bool {
        self.to_wire() == other.to_wire()
    }
}

impl fmt::Display for Ppa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl fmt::Debug for Ppa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ppa({self}{})", if self.login.is_some() { ", private" } else { "" })
    }
}

impl FromStr for Ppa {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        // A text that may have a token is not quoted.
        let quoted = if text.contains('@') { "" } else { text };
        let invalid = |rule: &str| InvalidRequest::new("ppas", quoted, rule);
        let (login, archive) = match text.rsplit_once('@') {
            None => (None, text),
            Some((login, archive)) => {
                let (user, token) = login
                    .split_once(':')
                    .filter(|(user, token)| is_word(user, "._+-") && is_token(token))
                    .ok_or_else(|| {
                        invalid("before the @ of a private PPA stand USER:TOKEN, of letters, digits and . _ ~ + = -")
                    })?;
                (Some(Login { user: user.to_owned(), token: token.into() }), archive)
            }
        };
        let (archive, fingerprint) = match archive.split_once(':') {
            None => (archive, None),
            Some((archive, fingerprint)) => {
                let rule = "the fingerprint of a PPA's key is 40 hexadecimal digits";
                (archive, Some(fingerprint.parse().map_err(|_| invalid(rule))?))
            }
        };
        let (owner, name) = archive
            .split_once('/')
            .filter(|(owner, name)| is_name(owner) && is_name(name))
            .ok_or_else(|| {
                invalid(
                    "a PPA must have the form OWNER/NAME, each of at most 80 letters, digits and . + -, optionally with :FINGERPRINT",
                )
            })?;
        Ok(Self { owner: owner.to_owned(), name: name.to_owned(), login, fingerprint })
    }
}

/// Returns whether a text can be an owner or a name. Both are part of a container's name, whose length stores limit.
fn is_name(text: &str) -> bool {
    is_word(text, ".+-") && text.len() <= 80
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._~+=-".contains(c))
}

impl Fingerprint {
    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Accepts `0x` before the digits, and lower case.
impl FromStr for Fingerprint {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(digits.to_ascii_uppercase()))
        } else {
            Err(InvalidRequest::new("fingerprint", text, "must be 40 hexadecimal digits"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_written_back() {
        let key = "0123456789ABCDEF0123456789ABCDEF01234567";
        for text in ["pitti/systemd", "ci-train-ppa-service/landing-001", "u.x:t0ken~=@o/n", "o+x/n.y"] {
            for text in [text.to_owned(), format!("{text}:{key}")] {
                assert_eq!(text.parse::<Ppa>().unwrap().to_wire(), text);
            }
        }
        let private: Ppa = format!("user:hunter2@owner/name:0x{}", key.to_lowercase()).parse().unwrap();
        assert_eq!((private.owner(), private.name()), ("owner", "name"));
        assert_eq!(private.fingerprint().unwrap().as_str(), key);
        let login = private.login().unwrap();
        assert_eq!((login.user.as_str(), login.token.expose_secret()), ("user", "hunter2"));
    }

    #[test]
    fn what_is_no_ppa_is_refused_without_telling_a_token() {
        for text in ["", "owner", "owner/", "/name", "a/b/c", "a/b:123", "ppa:a/b", "a b/c", "../x", "a/b'", "-a/b"] {
            let message = text.parse::<Ppa>().unwrap_err().to_string();
            let shown = if text.is_empty() { String::new() } else { format!(" {text:?}") };
            assert!(message.starts_with(&format!("ppas{shown}: ")), "{message}");
        }
        assert!(format!("o/{}", "n".repeat(81)).parse::<Ppa>().is_err());
        for text in
            ["user:hunter2@owner", "user:hun ter2@a/b", "hunter2@a/b", ":hunter2@a/b", "u:hunter2\"@a/b", "u:@a/b"]
        {
            let message = text.parse::<Ppa>().unwrap_err().to_string();
            assert!(!message.contains("hun"), "{message}");
        }
        let private: Ppa = "user:hunter2@owner/name".parse().unwrap();
        assert!(!format!("{private} {private:?} {:?}", private.login().map(|login| &login.token)).contains("hunter2"));
    }
}
