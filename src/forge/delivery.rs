//! Deliveries: what a forge sends to a hook's address.

use percent_encoding::percent_decode;
use sha2::{Digest, Sha256};

use super::signature::Proof;
use super::{Forge, event};

/// Lookup of a request's headers, by lower-case name.
pub type Header<'f, 'a> = &'f (dyn Fn(&str) -> Option<&'a str> + 'f);

/// A delivery as received. Nothing in it can be trusted before its proof is verified.
pub struct Delivery<'a> {
    /// The forge that its headers name.
    pub forge: Forge,
    /// Its id, which is the same when it is sent again. At most 100 printable ASCII characters.
    pub id: String,
    /// The name of the event.
    pub event: &'a str,
    /// Its signatures or token.
    pub proof: Proof<'a>,
    /// The bytes that were signed.
    pub body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// Returns the forge that the headers of a request name.
    pub fn forge(header: Header<'_, '_>) -> Option<Forge> {
        if header("x-github-event").is_some() {
            Some(Forge::GitHub)
        } else {
            header("x-gitlab-event").map(|_| Forge::GitLab)
        }
    }

    /// Reads a delivery. None without an event and a valid id.
    pub fn new(forge: Forge, header: Header<'_, 'a>, body: &'a [u8]) -> Option<Self> {
        let (event, id) = match forge {
            Forge::GitHub => (header("x-github-event")?, header("x-github-delivery")?.to_owned()),
            Forge::GitLab => (header("x-gitlab-event")?, gitlab_id(header, body)?),
        };
        let is_good = !id.is_empty() && id.len() <= 100 && id.chars().all(|c| c.is_ascii_graphic());
        let proof = Proof {
            sha256: header("x-hub-signature-256"),
            sha1: header("x-hub-signature"),
            token: header("x-gitlab-token"),
        };
        is_good.then_some(Self { forge, id, event, proof, body })
    }

    /// Returns the payload: the body, or, from GitHub's hooks with the content type of a form, its field `payload`.
    pub fn payload(&self, content_type: &str) -> Vec<u8> {
        if !content_type.trim().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
            return self.body.to_vec();
        }
        let field = self.body.split(|byte| *byte == b'&').find_map(|field| field.strip_prefix(b"payload="));
        let spaced: Vec<u8> =
            field.unwrap_or_default().iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).collect()
    }

    /// Returns the project that a payload names.
    pub fn project(&self, payload: &[u8]) -> Option<String> {
        event::project(self.forge, payload)
    }
}

/// Returns the id of a delivery from GitLab. Older versions send no key of a delivery, only an id that an event shares
/// with the events that it causes; with a digest of the body it is unique.
fn gitlab_id(header: Header<'_, '_>, body: &[u8]) -> Option<String> {
    if let Some(key) = header("idempotency-key") {
        return Some(key.to_owned());
    }
    let digest: String = Sha256::digest(body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{}-{digest}", header("x-gitlab-event-uuid")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery<'a>(headers: &'a [(&'a str, &'a str)], body: &'a [u8]) -> Option<Delivery<'a>> {
        let header = move |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        Delivery::new(Delivery::forge(&header)?, &header, body)
    }

    #[test]
    fn both_forges_are_recognised() {
        let github = delivery(&[("x-github-event", "ping"), ("x-github-delivery", "g-1")], b"{}").unwrap();
        assert_eq!((github.forge, github.event, github.id.as_str()), (Forge::GitHub, "ping", "g-1"));
        let gitlab =
            delivery(&[("x-gitlab-event", "Push Hook"), ("x-gitlab-event-uuid", "u"), ("x-gitlab-token", "t")], b"");
        let gitlab = gitlab.unwrap();
        assert!(gitlab.proof.token == Some("t") && gitlab.id.starts_with("u-"), "{}", gitlab.id);
        assert!(delivery(&[("x-github-event", "ping")], b"").is_none());
        assert!(delivery(&[("x-github-event", "ping"), ("x-github-delivery", "a b")], b"").is_none());
        assert!(delivery(&[], b"").is_none());
    }

    #[test]
    fn a_form_holds_the_payload_in_a_field() {
        let headers = [("x-github-event", "ping"), ("x-github-delivery", "g")];
        let form = delivery(&headers, b"x=1&payload=%7B%22zen%22%3A+%22a%2Bb%22%7D").unwrap();
        assert_eq!(form.payload("application/x-www-form-urlencoded"), br#"{"zen": "a+b"}"#);
        assert_eq!(delivery(&headers, b"{}").unwrap().payload("application/json; charset=utf-8"), b"{}");
        assert_eq!(delivery(&headers, b"x=1").unwrap().payload("application/x-www-form-urlencoded"), b"");
    }
}
