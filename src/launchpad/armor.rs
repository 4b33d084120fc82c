//! OpenPGP's text form of a public key: base64 between two lines, with a checksum.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::MalformedKey;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Returns the bytes of the only block in a text. Text before and after it is ignored, as key servers put headings
/// there.
pub(super) fn unwrap(text: &str) -> Result<Vec<u8>, MalformedKey> {
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| *line != BEGIN).skip(1);
    // Headers such as `Version: …` end with an empty line.
    lines.find(|line| line.is_empty()).ok_or(MalformedKey("it is no OpenPGP public key block"))?;
    let (mut digits, mut checksum, mut ended) = (String::new(), None, false);
    for line in lines.by_ref() {
        match line.strip_prefix('=') {
            _ if line == END => {
                ended = true;
                break;
            }
            _ if checksum.is_some() => return Err(MalformedKey("something stands after its checksum")),
            Some(sum) => checksum = Some(sum),
            None => digits.push_str(line),
        }
    }
    if !ended {
        return Err(MalformedKey("its end is missing"));
    }
    if lines.any(|line| line == BEGIN) {
        return Err(MalformedKey("there is more than one key block"));
    }
    let bytes = STANDARD.decode(&digits).map_err(|_| MalformedKey("it is not base64"))?;
    // The checksum is optional in the format, but must be right if present.
    let given = checksum.map(|sum| STANDARD.decode(sum).map_err(|_| MalformedKey("its checksum is not base64")));
    if given.transpose()?.is_some_and(|given| given != crc24(&bytes)) {
        return Err(MalformedKey("its checksum is wrong"));
    }
    Ok(bytes)
}

/// Returns the checksum of the text form: a 24-bit CRC with the polynomial 0x864CFB, initialized with 0xB704CE.
fn crc24(bytes: &[u8]) -> [u8; 3] {
    let mut sum: u32 = 0x00B7_04CE;
    for byte in bytes {
        sum ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            sum <<= 1;
            if sum & 0x0100_0000 != 0 {
                sum ^= 0x0186_4CFB;
            }
        }
    }
    let [_, high, middle, low] = sum.to_be_bytes();
    [high, middle, low]
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Keys that gpg made.
    pub(in super::super) const ED25519: &str = include_str!("test-keys/ed25519.asc");
    pub(in super::super) const RSA2048: &str = include_str!("test-keys/rsa2048.asc");

    const LINE: usize = 64;

    /// Returns the text form of a key.
    pub(in super::super) fn wrap(bytes: &[u8]) -> String {
        let digits = STANDARD.encode(bytes);
        let mut text = format!("{BEGIN}\n\n");
        let mut rest = digits.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(LINE.min(rest.len()));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str(&format!("={}\n{END}\n", STANDARD.encode(crc24(bytes))));
        text
    }

    #[test]
    fn keys_of_gpg_are_read_and_written_as_gpg_does() {
        for key in [ED25519, RSA2048] {
            assert_eq!(wrap(&unwrap(key).unwrap()), key);
        }
    }

    #[test]
    fn headings_and_line_ends_of_key_servers_do_not_matter() {
        let bytes = unwrap(ED25519).unwrap();
        let headed = ED25519.replacen("\n\n", "\nVersion: x 2\nComment: hello\n \n", 1);
        let framed = format!("found one key\n{headed}\nbye");
        assert_eq!(unwrap(&framed).unwrap(), bytes);
        assert_eq!(unwrap(&ED25519.replace('\n', "\r\n")).unwrap(), bytes);
        let without_sum: String = ED25519.lines().filter(|l| !l.starts_with('=')).map(|l| format!("{l}\n")).collect();
        assert_eq!(unwrap(&without_sum).unwrap(), bytes);
    }

    #[test]
    fn what_is_no_single_whole_block_is_refused_with_the_reason() {
        let reason = |text: &str| unwrap(text).unwrap_err().0;
        assert_eq!(reason(""), "it is no OpenPGP public key block");
        assert_eq!(reason("<html>not found</html>"), "it is no OpenPGP public key block");
        assert_eq!(reason(&ED25519.replace(&format!("{END}\n"), "")), "its end is missing");
        assert_eq!(reason(&format!("{ED25519}{RSA2048}")), "there is more than one key block");
        assert_eq!(reason(&ED25519.replacen("\n\nm", "\n\n!", 1)), "it is not base64");
        assert_eq!(reason(&ED25519.replace(END, &format!("AAAA\n{END}"))), "something stands after its checksum");
        let damaged = wrap(b"abc").replace("YWJj", "YWJk");
        assert_eq!(reason(&damaged), "its checksum is wrong");
    }

    proptest! {
        #[test]
        fn bytes_come_back_whole(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = wrap(&bytes);
            prop_assert!(text.lines().all(|line| line.len() <= LINE));
            prop_assert_eq!(unwrap(&text).unwrap(), bytes);
        }

        #[test]
        fn no_text_makes_the_reader_panic(middle in any::<String>(), framed in any::<bool>()) {
            let _ = unwrap(&if framed { format!("{BEGIN}\n\n{middle}\n{END}") } else { middle });
        }
    }
}
