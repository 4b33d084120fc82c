//! A received signing key, identified by the fingerprint that is computed from it.

use sha1::{Digest, Sha1};

use super::armor;
use super::error::MalformedKey;
use crate::request::Fingerprint;

/// The public key that signs an archive's indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    packets: Vec<u8>,
    fingerprint: Fingerprint,
}

impl SigningKey {
    /// Parses a key in its text form.
    ///
    /// # Errors
    /// When the text does not have exactly one public key, or has something that does not belong to one.
    pub fn from_armored(text: &str) -> Result<Self, MalformedKey> {
        let packets = armor::unwrap(text)?;
        let fingerprint = fingerprint(&packets)?;
        Ok(Self { packets, fingerprint })
    }

    /// Returns the key in OpenPGP's binary form, which every apt reads: exactly the checked bytes.
    pub fn packets(&self) -> &[u8] {
        &self.packets
    }

    /// Returns the fingerprint, computed from the key.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

/// Tags of a key's packets.
const SIGNATURE: u8 = 2;
const PUBLIC_KEY: u8 = 6;
const TRUST: u8 = 12;
const USER_ID: u8 = 13;
const PUBLIC_SUBKEY: u8 = 14;
const USER_ATTRIBUTE: u8 = 17;

/// Returns the fingerprint of the only primary key in these packets.
fn fingerprint(bytes: &[u8]) -> Result<Fingerprint, MalformedKey> {
    let mut rest = bytes;
    let (tag, key) = packet(&mut rest)?;
    if tag != PUBLIC_KEY {
        return Err(MalformedKey("it does not begin with a public key"));
    }
    while !rest.is_empty() {
        match packet(&mut rest)?.0 {
            PUBLIC_KEY => return Err(MalformedKey("there is more than one key in it")),
            SIGNATURE | TRUST | USER_ID | PUBLIC_SUBKEY | USER_ATTRIBUTE => {}
            _ => return Err(MalformedKey("something in it does not belong to a public key")),
        }
    }
    if key.first() != Some(&4) {
        return Err(MalformedKey("it is not an OpenPGP key of version 4"));
    }
    // Version, time and algorithm come first; without numbers after them it is not a key.
    let length = u16::try_from(key.len()).ok().filter(|length| *length > 6);
    let length = length.ok_or(MalformedKey("its length is impossible"))?;
    let sum = Sha1::new().chain_update([0x99]).chain_update(length.to_be_bytes()).chain_update(key).finalize();
    let digits: String = sum.iter().map(|byte| format!("{byte:02X}")).collect();
    digits.parse().map_err(|_| MalformedKey("it has no fingerprint"))
}

/// Removes the first packet, and returns its tag and body.
fn packet<'a>(rest: &mut &'a [u8]) -> Result<(u8, &'a [u8]), MalformedKey> {
    let cut = MalformedKey("it is cut off");
    let head = take(rest, 1).ok_or(cut)?[0];
    let mut number = |octets: usize| -> Option<usize> {
        take(rest, octets)?.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    let (tag, length) = match (head & 0x80, head & 0x40) {
        (0, _) => return Err(MalformedKey("it does not consist of OpenPGP packets")),
        (_, 0) => {
            let octets = [1, 2, 4].get(usize::from(head & 3));
            // The fourth is "until the end of the file", which no key needs.
            let octets = octets.ok_or(MalformedKey("a packet in it has no length"))?;
            ((head >> 2) & 0x0F, number(*octets))
        }
        _ => {
            let length = match number(1) {
                Some(first @ 192..224) => number(1).map(|second| (first - 192) * 256 + second + 192),
                Some(255) => number(4),
                Some(224..255) => return Err(MalformedKey("a packet in it has no length")),
                first => first,
            };
            (head & 0x3F, length)
        }
    };
    let body = length.and_then(|length| take(rest, length)).ok_or(cut)?;
    Ok((tag, body))
}

fn take<'a>(rest: &mut &'a [u8], octets: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(octets)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::launchpad::armor::tests::{ED25519, RSA2048, wrap};

    /// The fingerprints of these keys, as gpg reports them.
    const ED25519_IS: &str = "E190F6E7C9A80C54874DE47CB181550D2AD9CC98";
    const RSA2048_IS: &str = "27686EE6D6F5065281351925C7640B7BD0780958";

    fn bytes_of(key: &str) -> Vec<u8> {
        armor::unwrap(key).unwrap()
    }

    fn reason(bytes: &[u8]) -> &'static str {
        SigningKey::from_armored(&wrap(bytes)).unwrap_err().0
    }

    /// Returns the size of the first packet's head, in octets, and the length of its body.
    fn first_packet(bytes: &[u8]) -> (usize, usize) {
        let mut rest = bytes;
        let body = packet(&mut rest).unwrap().1.len();
        (bytes.len() - rest.len() - body, body)
    }

    #[test]
    fn the_fingerprint_is_the_one_that_gpg_told() {
        for (key, told) in [(ED25519, ED25519_IS), (RSA2048, RSA2048_IS)] {
            let read = SigningKey::from_armored(key).unwrap();
            assert_eq!(read.fingerprint().as_str(), told);
            assert_eq!(read.packets(), bytes_of(key));
        }
    }

    #[test]
    fn the_newer_form_of_packets_is_read_too() {
        for (key, told) in [(ED25519, ED25519_IS), (RSA2048, RSA2048_IS)] {
            let old = bytes_of(key);
            let (head, length) = first_packet(&old);
            let short = u8::try_from(length).ok().filter(|length| *length < 192).map(|length| vec![length]);
            let middle = (length >= 192).then(|| {
                let [high, low] = u16::try_from(length - 192).unwrap().to_be_bytes();
                vec![192 + high, low]
            });
            let long = [vec![255], u32::try_from(length).unwrap().to_be_bytes().to_vec()].concat();
            for length in [short, middle, Some(long)].into_iter().flatten() {
                let new = [vec![0xC0 | PUBLIC_KEY], length, old[head..].to_vec()].concat();
                assert_eq!(fingerprint(&new).unwrap().as_str(), told);
            }
        }
    }

    #[test]
    fn two_keys_at_once_are_refused() {
        let both = [bytes_of(ED25519), bytes_of(RSA2048)].concat();
        assert_eq!(reason(&both), "there is more than one key in it");
    }

    #[test]
    fn what_is_no_public_key_is_refused_with_the_reason() {
        let key = bytes_of(ED25519);
        assert_eq!(reason(b""), "it is cut off");
        assert_eq!(reason(b"hello"), "it does not consist of OpenPGP packets");
        assert_eq!(reason(&key[..key.len() - 1]), "it is cut off");
        let (head, body) = first_packet(&key);
        assert_eq!(reason(&key[head + body..]), "it does not begin with a public key");
        let secret = [&[0x80 | (5 << 2)], &key[1..]].concat();
        assert_eq!(reason(&secret), "it does not begin with a public key");
        let mut older = key.clone();
        older[head] = 3;
        assert_eq!(reason(&older), "it is not an OpenPGP key of version 4");
        let with_message = [key.as_slice(), &[0x80 | (11 << 2), 1, 0]].concat();
        assert_eq!(reason(&with_message), "something in it does not belong to a public key");
        assert_eq!(reason(&[0x9B, 4]), "a packet in it has no length");
        assert_eq!(reason(&[0xC6, 230, 4]), "a packet in it has no length");
        assert_eq!(reason(&[0x98, 1, 4]), "its length is impossible");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = fingerprint(&bytes);
        }

        #[test]
        fn no_tail_of_a_key_makes_the_reader_panic(
            at in 0..1000_usize, tail in prop::collection::vec(any::<u8>(), 0..40), rsa in any::<bool>(),
        ) {
            let key = bytes_of(if rsa { RSA2048 } else { ED25519 });
            let _ = fingerprint(&[&key[..at.min(key.len())], &tail].concat());
        }

        #[test]
        fn a_key_with_one_other_byte_is_another_key(at in any::<prop::sample::Index>(), by in 1..=255_u8, rsa in any::<bool>()) {
            let (key, told) = if rsa { (RSA2048, RSA2048_IS) } else { (ED25519, ED25519_IS) };
            let mut bytes = bytes_of(key);
            let (head, body) = first_packet(&bytes);
            bytes[head + at.index(body)] ^= by;
            if let Ok(other) = fingerprint(&bytes) {
                prop_assert_ne!(other.as_str(), told);
            }
        }

        #[test]
        fn a_text_with_one_other_byte_is_never_another_key_of_the_same_name(at in any::<prop::sample::Index>(), by in 1..128_u8) {
            let mut text = ED25519.as_bytes().to_vec();
            let at = at.index(text.len());
            text[at] ^= by;
            let text = String::from_utf8(text).unwrap();
            if let Ok(read) = SigningKey::from_armored(&text) {
                // Damage outside of the digits, such as in the empty line, does not change the key.
                prop_assert_eq!(read.fingerprint().as_str() == ED25519_IS, read.packets() == bytes_of(ED25519));
            }
        }
    }
}
