//! Panics of one slot, which must not end the other slots of the worker.
//!
//! Unwinding drops what the work owned, so that claims, locks and processes are released. State that slots share does
//! not rely on the poisoning of locks.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::request::Request;
use crate::result::Redactor;

/// Maximum length of a message, in characters.
const MAX_MESSAGE: usize = 500;

/// A panic that was caught. Its message may hold secrets of the request.
pub(super) struct Panic(String);

/// Does the work, and returns its panic as an error.
pub(super) async fn catch<F: Future>(work: F) -> Result<F::Output, Panic> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|payload| Panic(message(payload.as_ref())))
}

impl Panic {
    /// Logs the panic, and returns it as the reason of a failure. Both are without the secrets of the request.
    pub(super) fn report(&self, request: Option<&Request>) -> String {
        let message = match request {
            Some(request) => Redactor::new(request, &[]).text(&self.0).into_owned(),
            None => self.0.clone(),
        };
        let line = |c: char| if c.is_control() { ' ' } else { c };
        let message: String = message.chars().take(MAX_MESSAGE).map(line).collect();
        let package = request.map(|request| tracing::field::display(request.package()));
        let uuid = request.and_then(Request::uuid).map(tracing::field::display);
        tracing::error!(package, uuid, "the worker panicked: {message}");
        format!("the worker panicked: {message}")
    }
}

/// Returns the message of a panic. Payloads other than text have none.
fn message(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "no message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_returned_with_its_message() {
        assert_eq!(catch(async { 7 }).await.ok(), Some(7));
        async fn fail(number: u8) {
            match number {
                1 => panic!("a text"),
                2 => panic!("a number: {number}"),
                _ => std::panic::resume_unwind(Box::new(number)),
            }
        }
        for (number, expected) in [(1, "a text"), (2, "a number: 2"), (3, "no message")] {
            let Panic(message) = catch(fail(number)).await.unwrap_err();
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn a_reason_has_no_secrets_and_is_one_short_line() {
        let request = Request::parse(br#"gzip {"ppas": ["bob:TOKEN123@bob/secret"]}"#).unwrap();
        let panic = Panic(format!("TOKEN123 is\nin the way{}", "!".repeat(2 * MAX_MESSAGE)));
        let reason = panic.report(Some(&request));
        assert!(!reason.contains("TOKEN123") && !reason.contains('\n'), "{reason}");
        assert!(reason.starts_with("the worker panicked: ") && reason.contains(" is in the way!"), "{reason}");
        assert!(reason.chars().count() <= "the worker panicked: ".len() + MAX_MESSAGE);
    }
}
