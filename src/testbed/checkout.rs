//! The checkout of a branch that autopkgtest does not fetch itself.

use std::path::PathBuf;

use crate::request::TestSource;

/// A branch, and the folder that it has to be fetched into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The branch.
    pub source: TestSource,
    /// The folder. It is made anew.
    pub folder: PathBuf,
}
