//! Arguments that may hold a password by mistake, so that errors do not quote them.

use std::ffi::OsStr;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// A parser of a value whose errors do not quote it.
pub struct RedactedValue<T>(PhantomData<fn() -> T>);

impl<T> RedactedValue<T> {
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for RedactedValue<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T: FromStr<Err: Display> + Clone + Send + Sync + 'static> TypedValueParser for RedactedValue<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, Error> {
        let wrong = |reason: &dyn Display| {
            let name = argument.map(ToString::to_string).unwrap_or_default();
            Error::raw(ErrorKind::ValueValidation, format!("invalid value for '{name}': {reason}\n")).with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| wrong(&"not UTF-8"))?;
        text.parse().map_err(|error: T::Err| wrong(&error))
    }
}
