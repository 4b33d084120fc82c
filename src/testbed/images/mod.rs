//! Images: the bases of isolated testbeds on this host.
//!
//! mmdebstrap builds them. For each test, autopkgtest's server `unshare` makes a testbed of one, as an ordinary user.
//!
//! The user's data folder has a folder for each release and architecture, and in it one for each build:
//!
//! ```text
//! testbeds/noble-amd64/lock              held while an image is built or removed
//! testbeds/noble-amd64/unfinished/       a build that goes on, or did not end
//! testbeds/noble-amd64/2/root.tar        the tarball
//! testbeds/noble-amd64/2/image.json      what is known about it
//! ```
//!
//! The folder with the highest number is the image. It appears there whole, by being renamed. An older one stays as
//! long as a process [holds](Image::hold) it.

mod build;
mod image;
mod requirements;
mod sources;
mod store;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use self::build::ImageBuild;
pub use self::image::{Image, ImageHold, ImageName, ImageRecord};
pub use self::requirements::Requirement;
pub use self::store::{ImageLock, ImageStore};

/// Reason for which an image cannot be built, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Another process builds or removes it.
    #[error("the testbed of {name} is being built or removed by another process")]
    Busy {
        /// Image.
        name: ImageName,
    },
    /// There is no such image.
    #[error("there is no testbed of {name}; `apt-ci testbed build {} -a {}` builds it", name.release, name.architecture)]
    NotBuilt {
        /// Image.
        name: ImageName,
    },
    /// This host lacks something.
    #[error("no testbed can be built here: {}", requirements.iter().map(|one| one.what.as_str()).collect::<Vec<_>>().join("; "))]
    Missing {
        /// Missing things; never empty.
        requirements: Vec<Requirement>,
    },
    /// The release has no known mirror.
    #[error("no mirror is known for the release {name}")]
    NoMirror {
        /// Image.
        name: ImageName,
    },
    /// The builder failed.
    #[error("{builder} failed: {reason}")]
    Builder {
        /// Program.
        builder: PathBuf,
        /// Last words of the program.
        reason: String,
        /// File with all that it printed.
        log: PathBuf,
    },
    /// The build was stopped.
    #[error("the build was stopped; nothing has changed")]
    Stopped,
    /// The system refuses something.
    #[error("{action}: {source}")]
    Io {
        /// Action that failed.
        action: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The builder cannot be started or followed.
    #[error(transparent)]
    Process(#[from] super::TestbedError),
}

impl ImageError {
    /// Returns the error of an action on a path.
    fn at(action: &str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let action = format!("{action} {}", path.display());
        |source| Self::Io { action, source }
    }
}
