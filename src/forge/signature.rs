//! Verification that a delivery comes from a sender that knows the hook's secret.
//!
//! GitHub signs the raw body with HMAC: `X-Hub-Signature-256: sha256=HEX`, and for old receivers
//! `X-Hub-Signature: sha1=HEX`. GitLab sends the secret itself: `X-Gitlab-Token`. The time that the verification takes
//! depends neither on a secret nor on whether there is one.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::Sha256;

/// The secrets of a hook: two while they are rotated.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The secret in use.
    pub current: Option<SecretString>,
    /// The secret that will replace it.
    pub next: Option<SecretString>,
}

/// The secret with which a delivery was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signer {
    /// The secret in use.
    Current,
    /// The secret that will replace it.
    Next,
}

/// The signatures and the token of a delivery.
#[derive(Clone, Copy, Default)]
pub struct Proof<'a> {
    /// `X-Hub-Signature-256`.
    pub sha256: Option<&'a str>,
    /// `X-Hub-Signature`.
    pub sha1: Option<&'a str>,
    /// `X-Gitlab-Token`.
    pub token: Option<&'a str>,
}

/// Returns the signature of a body for `X-Hub-Signature-256`.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let mut mac = keyed::<Hmac<Sha256>>(secret.expose_secret().as_bytes());
    mac.update(body);
    let code = mac.finalize().into_bytes();
    format!("sha256={}", code.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Returns the secret with which GitHub has signed this body. A signature with SHA-1 counts only when `legacy` is true.
pub fn verify_github(secrets: &Secrets, proof: &Proof<'_>, body: &[u8], legacy: bool) -> Option<Signer> {
    let good = |secret: &SecretString| {
        let secret = secret.expose_secret().as_bytes();
        let new = proof.sha256.is_some_and(|text| verify::<Hmac<Sha256>>(secret, body, text, "sha256="));
        new || (legacy && proof.sha1.is_some_and(|text| verify::<Hmac<Sha1>>(secret, body, text, "sha1=")))
    };
    matching_secret(secrets, good)
}

/// Returns the secret that GitLab has sent.
pub fn verify_gitlab(secrets: &Secrets, proof: &Proof<'_>) -> Option<Signer> {
    let token = proof.token.unwrap_or_default();
    let good = |secret: &SecretString| is_same(secret.expose_secret(), token) && !token.is_empty();
    matching_secret(secrets, good)
}

/// Whether two texts are equal, in a time that does not depend on their content.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    // The codes are compared, because they have the same length, unlike the texts.
    let code = |text: &str| {
        let mut mac = keyed::<Hmac<Sha256>>(b"compare");
        mac.update(text.as_bytes());
        mac
    };
    code(one).verify(&code(other).finalize().into_bytes()).is_ok()
}

/// Returns the secret for which `good` is true. Both are always tried, with a random secret in the place of a missing
/// one.
fn matching_secret(secrets: &Secrets, good: impl Fn(&SecretString) -> bool) -> Option<Signer> {
    let unknown = || SecretString::from(uuid::Uuid::new_v4().to_string());
    let try_one = |secret: &Option<SecretString>| {
        let good = good(secret.as_ref().unwrap_or(&unknown()));
        good && secret.as_ref().is_some_and(|secret| !secret.expose_secret().is_empty())
    };
    let (next, current) = (try_one(&secrets.next), try_one(&secrets.current));
    if next { Some(Signer::Next) } else { current.then_some(Signer::Current) }
}

fn verify<M: Mac + KeyInit>(secret: &[u8], body: &[u8], text: &str, prefix: &str) -> bool {
    let mut mac = keyed::<M>(secret);
    mac.update(body);
    // A malformed signature takes the same time.
    let given = text.strip_prefix(prefix).and_then(from_hex).unwrap_or_default();
    mac.verify_slice(&given).is_ok()
}

fn keyed<M: KeyInit>(secret: &[u8]) -> M {
    M::new_from_slice(secret).expect("HMAC takes keys of every length")
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| digit.try_into().ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(current: &str, next: Option<&str>) -> Secrets {
        Secrets { current: Some(current.to_owned().into()), next: next.map(|text| text.to_owned().into()) }
    }

    /// The example in GitHub's documentation.
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_documented_example_is_right() {
        let secrets = secrets("It's a Secret to Everybody", None);
        let proof = Proof { sha256: Some(SIGNATURE), ..Proof::default() };
        assert_eq!(verify_github(&secrets, &proof, b"Hello, World!", false), Some(Signer::Current));
        assert_eq!(verify_github(&secrets, &proof, b"Hello, World?", false), None);
        assert_eq!(sign(&secrets.current.unwrap(), b"Hello, World!"), SIGNATURE);
    }

    #[test]
    fn the_old_signature_counts_only_where_it_is_declared() {
        // A code of the right length that does not match.
        let secrets = secrets("key", None);
        let proof = Proof { sha1: Some("sha1=27154e4b3a45f7a68b9f6ef4f0ec7d4b8aae4b5c"), ..Proof::default() };
        assert_eq!(verify_github(&secrets, &proof, b"x", true), None, "a wrong one");
        let mut mac = keyed::<Hmac<Sha1>>(b"key");
        mac.update(b"x");
        let code: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("sha1={code}");
        let proof = Proof { sha1: Some(&text), ..Proof::default() };
        assert_eq!(verify_github(&secrets, &proof, b"x", true), Some(Signer::Current));
        assert_eq!(verify_github(&secrets, &proof, b"x", false), None);
    }

    #[test]
    fn two_secrets_are_good_while_they_are_exchanged() {
        let two = secrets("old", Some("new"));
        for (secret, signer) in [("old", Signer::Current), ("new", Signer::Next)] {
            let signature = sign(&secret.to_owned().into(), b"body");
            let proof = Proof { sha256: Some(&signature), ..Proof::default() };
            assert_eq!(verify_github(&two, &proof, b"body", false), Some(signer));
            let proof = Proof { token: Some(secret), ..Proof::default() };
            assert_eq!(verify_gitlab(&two, &proof), Some(signer));
        }
    }

    #[test]
    fn no_secret_and_an_empty_one_are_never_right() {
        for secrets in [Secrets::default(), secrets("", Some(""))] {
            let signature = sign(&String::new().into(), b"body");
            for text in [signature.as_str(), "", "sha256=", "sha256=zz", "sha256=é"] {
                let proof = Proof { sha256: Some(text), sha1: Some(text), token: Some("") };
                assert_eq!(verify_github(&secrets, &proof, b"body", true), None);
                assert_eq!(verify_gitlab(&secrets, &proof), None);
            }
        }
    }
}
