//! Percent-encoding of texts in the parameters of a Content-Type.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str};

/// Characters that some proxies or parsers of header parameters change or misread.
pub(super) const QUOTED: &AsciiSet = &CONTROLS.add(b'"').add(b'\\').add(b';').add(b',').add(b'%');
/// [`QUOTED`] for one word of a list that is separated by spaces.
pub(super) const WORD: &AsciiSet = &QUOTED.add(b' ');

/// Returns the text without percent-encoding.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
