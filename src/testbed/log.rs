//! (types first)

use std::io;
use std::path::PathBuf;

/// A log that grows.
#[derive(Debug)]
pub struct LiveLog {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl LiveLog {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        unimplemented!()
    }

    pub fn tail(&mut self) -> io::Result<String> {
        unimplemented!()
    }
}
