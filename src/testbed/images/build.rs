//! Building an image with mmdebstrap, in a user namespace.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::requirements::{find_program, missing};
use super::sources::{Sources, default_mirror};
use super::{Image, ImageError, ImageLock, ImageRecord};
use crate::testbed::{CommandLine, Exit, Process, quote};

const BUILDER: &str = "mmdebstrap";
/// File with the builder's output, in the folder of the build.
const LOG: &str = "log";
/// Time for the builder to remove its root file system when it is stopped.
const GRACE: Duration = Duration::from_secs(30);
/// Packages that every test of autopkgtest needs in its testbed, or installs.
const PACKAGES: &str = "ca-certificates,dpkg-dev";
/// Size of the builder's last words in an error, in characters.
const MAX_REASON: usize = 300;

/// How an image is built.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImageBuild<'a> {
    /// Address of the archive; by default the host's for this distribution, or the distribution's own.
    pub mirror: Option<&'a str>,
    /// Text of `PATH`, in which the builder is looked for.
    pub path_variable: Option<&'a str>,
}

impl ImageBuild<'_> {
    /// Builds an image and makes it the current one. The previous one stays in use until this one is complete. When
    /// `stop` ends first, nothing changes.
    ///
    /// Must be called from a task of the runtime, not from `spawn_blocking`.
    ///
    /// # Errors
    /// [`ImageError::Missing`] when this host lacks something, [`ImageError::Builder`] when the builder fails,
    /// [`ImageError::Stopped`] when it was stopped.
    pub async fn run(&self, lock: &ImageLock, stop: impl Future) -> Result<Image, ImageError> {
        let name = lock.name();
        let requirements = missing(name, self.path_variable);
        let builder = find_program(BUILDER, self.path_variable);
        let Some(program) = builder.filter(|_| requirements.is_empty()) else {
            return Err(ImageError::Missing { requirements });
        };
        let mirror = match self.mirror {
            Some(mirror) => mirror.to_owned(),
            None => default_mirror(name).ok_or_else(|| ImageError::NoMirror { name: name.clone() })?,
        };
        let sources = Sources::of(&name.release, &mirror);
        let folder = lock.begin()?;
        let (inside, text) = sources.file();
        let list = folder.join("sources");
        fs::write(&list, text).map_err(ImageError::at("writing", &list))?;
        let mut args: Vec<String> = ["--mode=unshare", "--variant=apt", "--format=tar"].map(str::to_owned).into();
        args.extend([
            format!("--architectures={}", name.architecture),
            format!("--include={PACKAGES}"),
            "--aptopt=APT::Install-Recommends \"false\"".to_owned(),
            "--aptopt=Acquire::Languages \"none\"".to_owned(),
            "--dpkgopt=force-unsafe-io".to_owned(),
            // mmdebstrap's own file would be a second one with the same sources.
            "--customize-hook=rm -f \"$1\"/etc/apt/sources.list \"$1\"/etc/apt/sources.list.d/*".to_owned(),
            format!("--customize-hook=upload {} {}", quote(&list.to_string_lossy()), inside.display()),
            name.release.to_string(),
            lock.unfinished_tarball().display().to_string(),
        ]);
        args.extend(sources.lines());
        let log = folder.join(LOG);
        let mut builder = Process::start_logged(&CommandLine { program: program.clone(), args }, &folder, &log)?;
        let exit = tokio::select! {
            exit = builder.wait() => exit?,
            _ = stop => {
                builder.terminate(GRACE).await?;
                lock.abandon()?;
                return Err(ImageError::Stopped);
            }
        };
        if exit != Exit::Code(0) {
            return Err(ImageError::Builder { builder: program, reason: last_words(&log, exit), log });
        }
        let tarball = lock.unfinished_tarball();
        let bytes = fs::metadata(&tarball).map_err(ImageError::at("reading", &tarball))?.len();
        for file in [&list, &log] {
            fs::remove_file(file).map_err(ImageError::at("removing", file))?;
        }
        lock.commit(&ImageRecord {
            release: name.release.to_string(),
            architecture: name.architecture.to_string(),
            mirror,
            sources: sources.lines(),
            built: Timestamp::now(),
            bytes,
        })
    }
}

/// Returns the last line that says something, without mmdebstrap's prefixes.
fn last_words(log: &Path, exit: Exit) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let is_telling = |line: &&str| !line.trim().is_empty() && !line.starts_with("I: ");
    // apt's errors say more than the failure that mmdebstrap reports at the end.
    let telling = || text.lines().filter(is_telling);
    let line =
        telling().rfind(|line| line.starts_with("E: ") && !line.contains("failed")).or_else(|| telling().next_back());
    match line {
        Some(line) => line.trim_start_matches("E: ").chars().take(MAX_REASON).collect(),
        None => format!("it ended with {}, and said nothing", exit.exit_code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_apt_is_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let reason = |text: &str| {
            fs::write(&log, text).unwrap();
            last_words(&log, Exit::Code(1))
        };
        assert_eq!(
            reason(
                "I: running apt-get update...\nErr:1 http://m\nE: The repository 'http://m x Release' does not have a \
                    Release file.\nE: apt-get update --error-on=any failed: process exited with 100\nI: cleaning up\n"
            ),
            "The repository 'http://m x Release' does not have a Release file."
        );
        assert_eq!(reason("E: cannot create /x: failed\n"), "cannot create /x: failed");
        assert_eq!(reason("\n"), "it ended with 1, and said nothing");
    }
}
