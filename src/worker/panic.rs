//! Panics of one slot's work, which must not end the other slots of the worker.
//!
//! Guarded are the check of the host, a job, and the probe of a slot. Registering for queues and taking a request from
//! them are not: a panic there ends the worker, and the broker gives its requests to others.
//!
//! Unwinding drops what the work owned, so that claims, locks and processes are released. State that slots share does
//! not rely on the poisoning of locks.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

use crate::request::Request;
use crate::result::Redactor;

/// Maximum length of a message, in characters.
const MAX_MESSAGE: usize = 500;

thread_local! {
    /// Whether this thread is doing work whose panic is caught.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
    /// Place of the last panic that was caught on this thread, as FILE:LINE:COLUMN.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that was caught. Its message may hold secrets of the request.
pub(super) struct Panic {
    message: String,
    place: Option<String>,
}

/// Does the work, and returns its panic as an error. Nothing prints the panic's message before it is reported.
pub(super) async fn catch<F: Future>(work: F) -> Result<F::Output, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !note_place(panic) {
                others(panic)
            }
        }));
    });
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        // The work is polled by one thread at a time, and other tasks of this thread are not guarded.
        let is_nested = IS_GUARDED.replace(true);
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        IS_GUARDED.set(is_nested);
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(Panic { message: message(payload.as_ref()), place: PLACE.take() })),
        }
    })
    .await
}

/// Remembers where guarded work has panicked. Returns false for other panics.
fn note_place(panic: &PanicHookInfo<'_>) -> bool {
    let is_guarded = IS_GUARDED.get();
    if is_guarded {
        PLACE.set(panic.location().map(ToString::to_string));
    }
    is_guarded
}

impl Panic {
    /// Logs the panic, and returns it as the reason of a failure. Both are without the secrets of the request.
    pub(super) fn report(&self, request: Option<&Request>) -> String {
        let message = match request {
            Some(request) => Redactor::new(request, &[]).text(&self.message).into_owned(),
            None => self.message.clone(),
        };
        let line = |c: char| if c.is_control() { ' ' } else { c };
        let message: String = message.chars().take(MAX_MESSAGE).map(line).collect();
        let package = request.map(|request| tracing::field::display(request.package()));
        let uuid = request.and_then(Request::uuid).map(tracing::field::display);
        tracing::error!(package, uuid, place = self.place, "the worker panicked: {message}");
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
            let panic = catch(fail(number)).await.unwrap_err();
            assert_eq!(panic.message, expected);
            // A resumed panic has passed the hook before.
            let is_here = panic.place.is_some_and(|place| place.starts_with("src/worker/panic.rs:"));
            assert_eq!(is_here, number != 3);
        }
    }

    #[tokio::test]
    async fn only_panics_of_guarded_work_are_kept_from_the_other_hook() {
        let guarded = async {
            assert!(IS_GUARDED.get());
            assert!(catch(async { panic!("within") }).await.is_err());
            assert!(IS_GUARDED.get(), "the outer work is still guarded");
            tokio::task::yield_now().await;
            assert!(IS_GUARDED.get());
        };
        let other = async { assert!(!IS_GUARDED.get(), "another task of this thread") };
        let (caught, ()) = tokio::join!(catch(guarded), other);
        assert!(caught.is_ok() && !IS_GUARDED.get());
    }

    #[test]
    fn a_reason_has_no_secrets_and_is_one_short_line() {
        let request = Request::parse(br#"gzip {"ppas": ["bob:TOKEN123@bob/secret"]}"#).unwrap();
        let message = format!("TOKEN123 is\nin the way{}", "!".repeat(2 * MAX_MESSAGE));
        let panic = Panic { message, place: None };
        let reason = panic.report(Some(&request));
        assert!(!reason.contains("TOKEN123") && !reason.contains('\n'), "{reason}");
        assert!(reason.starts_with("the worker panicked: ") && reason.contains(" is in the way!"), "{reason}");
        assert!(reason.chars().count() <= "the worker panicked: ".len() + MAX_MESSAGE);
    }
}
