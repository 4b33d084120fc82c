//! Percent-encoding of texts in the parameters of a Content-Type.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str};

/// Characters that some proxy or parser of header parameters changes or misreads.
pub(super) const QUOTED: &AsciiSet = &CONTROLS.add(b'"').add(b'\\').add(b';').add(b',').add(b'%');
/// The same for one word of a list whose words are separated by spaces.
pub(super) const WORD: &AsciiSet = &QUOTED.add(b' ');

/// Returns the text without percent-encoding.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
