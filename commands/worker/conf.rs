//! Options for the testbed's configuration, for every subcommand that reads it.

use std::path::{Path, PathBuf};

use apt_ci::site::Site;
use apt_ci::testbed::{Configuration, Definition, Definitions};

use crate::ui::error::{CommandError, CommandResult};

/// The testbed's configuration.
#[derive(clap::Args)]
pub struct ConfArgs {
    /// Testbed configuration [default: the site's worker.conf]
    #[arg(
        short,
        long = "config",
        value_name = "FILE",
        help_heading = "Testbed",
        long_help = "Testbed configuration [default: the site's worker.conf; without it, tests run on this host with `null`]"
    )]
    config: Option<PathBuf>,
    /// Define $KEY for worker.conf (can be repeated)
    #[arg(long = "variable", value_name = "KEY=VALUE", help_heading = "Testbed", hide_short_help = true)]
    variables: Vec<Definition>,
}

impl ConfArgs {
    /// Returns the path of worker.conf, if there is one.
    pub fn file<'a>(&'a self, site: &'a Site) -> Option<&'a Path> {
        self.config.as_deref().or(site.worker_conf.as_ref().map(|setting| setting.value.as_path()))
    }

    /// Returns the first of these options that is on the command line.
    pub fn first_given(&self) -> Option<&'static str> {
        match self {
            Self { config: Some(_), .. } => Some("--config"),
            Self { variables, .. } if !variables.is_empty() => Some("--variable"),
            Self { .. } => None,
        }
    }

    /// Returns the variables from the command line.
    pub fn definitions(&self) -> Definitions {
        self.variables.iter().cloned().collect()
    }

    /// Refuses a file on the command line that does not exist.
    ///
    /// # Errors
    /// When it cannot be found.
    pub fn check_named(&self) -> CommandResult<()> {
        match &self.config {
            Some(file) => match file.metadata() {
                Ok(_) => Ok(()),
                Err(error) => Err(CommandError::of_named_file(error, file.display())),
            },
            None => Ok(()),
        }
    }

    /// Reads worker.conf, or returns the default if there is none.
    pub fn load(&self, site: &Site) -> CommandResult<Configuration> {
        self.check_named()?;
        match self.file(site) {
            Some(file) => Ok(Configuration::load(file, self.definitions())?),
            None => Ok(Configuration::null()),
        }
    }
}
