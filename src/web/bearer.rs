//! Who asks: `Authorization: Bearer KEY`.

use crate::pulls::keyring::Keyring;
use crate::site::credentials::{CredentialsError, Name};

/// The user whose key a request has.
pub(super) fn user(keyring: &Keyring, authorization: Option<&str>) -> Result<Option<Name>, CredentialsError> {
    let key = authorization.and_then(|text| {
        let (scheme, key) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    match key.filter(|key| !key.is_empty()) {
        Some(key) => keyring.user_of_key(key),
        None => Ok(None),
    }
}
