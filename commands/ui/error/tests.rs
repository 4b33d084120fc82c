//! Tests of the conversion of errors: message, hint and exit status.

use std::io;

use apt_ci::broker::BrokerError;
use apt_ci::follow::FollowError;
use apt_ci::index::IndexError;
use apt_ci::site::SiteError;
use apt_ci::site::credentials::CredentialsError;
use apt_ci::store::StoreError;

use super::*;

fn missing_file() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such file")
}

fn no_such_queue() -> BrokerError {
    BrokerError::NoSuchQueue { queue: "debci-noble-amd64".parse().unwrap(), nearest: Vec::new() }
}

fn refused() -> StoreError {
    StoreError::Refused { address: "s".to_owned(), action: "list".to_owned(), reason: "no".to_owned() }
}

#[test]
fn a_cause_that_is_already_quoted_is_not_repeated() {
    let error = SiteError::Io { action: "read a.toml".to_owned(), source: missing_file() };
    let error = CommandError::from(error).context("cannot start");
    assert_eq!(error.chain(), "cannot start: cannot read a.toml: no such file");
    assert_eq!(error.to_string(), "cannot start");
    let error = CommandError::failure("timeout").context("gave up after a timeout").context("gave up");
    assert_eq!(error.chain(), "gave up: gave up after a timeout");
}

#[test]
fn the_alternate_form_has_every_cause() {
    let error = CommandError::from(missing_file()).context("cannot read a.toml").context("cannot start");
    assert_eq!(format!("{error:#}"), "cannot start: cannot read a.toml: no such file");
    assert_eq!(format!("{error}"), "cannot start");
}

#[test]
fn a_wrapped_error_keeps_its_kind_and_hint() {
    let error = CommandError::from(FollowError::Broker(no_such_queue()));
    assert_eq!(error.status(), ExitStatus::BadInput);
    assert!(error.hint().unwrap().starts_with("a queue is created by its first worker"), "{error:?}");
    assert_eq!(error.chain(), "the queue debci-noble-amd64 does not exist");
    let error = CommandError::from(FollowError::Store(refused()));
    assert_eq!(error.status(), ExitStatus::Failure);
    assert!(error.hint().unwrap().starts_with("run `apt-ci config`"), "{error:?}");
}

#[test]
fn an_error_of_the_site_below_credentials_keeps_its_hint_but_is_a_failure() {
    let site = SiteError::Missing { origin: apt_ci::site::Origin::Flag("--site"), path: "/x".into() };
    let hint = site.hint();
    let error = CommandError::from(CredentialsError::Site(site));
    assert_eq!((error.status(), error.hint()), (ExitStatus::Failure, hint.as_deref()));
}

#[test]
fn work_that_had_begun_has_no_hint_about_the_settings() {
    for store in [refused(), StoreError::Misconfigured("no region".to_owned())] {
        let text = store.to_string();
        let error = CommandError::from(IndexError::Store(store));
        assert_eq!((error.status(), error.hint(), error.chain()), (ExitStatus::Failure, None, text));
    }
}

#[test]
fn a_context_keeps_kind_and_hint() {
    let lost: Result<(), _> = Err(NotFound { message: "no test".to_owned(), hint: "look elsewhere" });
    let error = lost.with_context(|| format!("attempt {}", 2)).context("cannot watch").unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.hint(), Some("look elsewhere"));
    assert_eq!(error.chain(), "cannot watch: attempt 2: no test");
    let bad: Result<(), _> = Err(BadInput { message: "no such day".to_owned(), hint: None });
    let error = bad.context("--since").unwrap_err();
    assert_eq!((error.status(), error.hint()), (ExitStatus::BadInput, None));
}

#[test]
fn a_missing_value_becomes_its_description() {
    let error = None::<()>.context("no answer given").unwrap_err();
    assert_eq!((error.status(), error.chain().as_str()), (ExitStatus::Failure, "no answer given"));
}

#[test]
fn only_objects_of_commands_are_not_found() {
    assert!(!CommandError::from(StoreError::NotFound("a container".to_owned())).is_not_found());
    assert!(!CommandError::from(missing_file()).is_not_found());
}

#[test]
fn a_closed_pipe_ends_a_command_well_also_below_other_errors() {
    let closed = || io::Error::new(io::ErrorKind::BrokenPipe, "closed");
    let error = CommandError::from(super::super::unwritable(closed())).context("cannot show the log");
    assert_eq!(error.status(), ExitStatus::Success);
    let below = StoreError::Io { action: "writing".to_owned(), source: closed() };
    assert_eq!(CommandError::from(IndexError::Store(below)).status(), ExitStatus::Success);
}
