//! Authentication of users: `Authorization: Bearer KEY`.

use std::time::Instant;

use tracing::{error, warn};

use super::Service;
use super::reply::Reply;
use super::senders::{LogExtent, Sender};
use crate::pulls::keyring::key_digest;
use crate::site::credentials::Name;

/// Returns the user of a request's key. Wrong keys are counted by address, and limited where the address is that of one
/// sender.
pub(super) fn user(service: &Service, sender: Sender, authorization: Option<&str>) -> Result<Name, Reply> {
    let key = authorization.and_then(|text| {
        let (scheme, key) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let Some(key) = key.filter(|key| !key.is_empty()) else { return Err(Reply::unknown_user()) };
    let (digest, now) = (key_digest(key), Instant::now());
    if let Some(wait) = service.senders.must_wait(sender, &digest, now) {
        service.metrics.refused_key("too many from one address");
        return Err(Reply::too_many(wait));
    }
    match service.keyring.user_of_key(key) {
        Ok(Some(user)) => {
            service.senders.note_right_key(digest, now);
            service.senders.note_known(sender, now);
            Ok(user)
        }
        Ok(None) => {
            service.metrics.refused_key("wrong");
            let more = match service.senders.note_wrong_key(sender, &digest, now) {
                LogExtent::None => None,
                LogExtent::Whole => Some(""),
                LogExtent::Last if sender.is_everybody() => Some(
                    "; further ones are counted in the metrics, and not logged for a minute: the server in front of this one does not \
                     tell for whom it asks",
                ),
                LogExtent::Last => {
                    Some("; further ones from there are refused unseen for a minute, and counted in the metrics")
                }
            };
            if let Some(more) = more {
                warn!(address = %sender, "a wrong key was shown{more}");
            }
            Err(Reply::unknown_user())
        }
        Err(failure) => {
            error!("{failure}");
            Err(Reply::later("the keys of users cannot be read"))
        }
    }
}
