//! The session of a subcommand: the global options, the environment, and the site that they lead to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use apt_ci::broker::{Broker, BrokerError, QueueState, QueueUrl};
use apt_ci::environment::Environment;
use apt_ci::release::QueueName;
use apt_ci::site::credentials::{Credentials, CredentialsError, Keys, Kind, Recipient};
use apt_ci::site::{Lookup, Origin, Site, SiteError, TrustStore};
use apt_ci::store::{Store, StoreUrl, swift};
use secrecy::SecretString;

use crate::ui::error::{BadInput, CommandResult, ErrorContext as _};
use crate::ui::{ColorChoice, Ui, ask};

/// Hint for what a site would configure, where there is none.
pub const NO_SITE_HINT: &str = "run `apt-ci init DIR` to create a site, or name one with --site";

/// Options that every subcommand takes.
#[derive(clap::Args)]
pub struct GlobalArgs {
    /// Site directory [default: APT_CI_SITE, or searched upwards from here]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options", hide_short_help = true)]
    site: Option<PathBuf>,
    /// amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site's]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options", hide_short_help = true)]
    queue: Option<String>,
    /// swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site's]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options", hide_short_help = true)]
    store: Option<String>,
    /// Print JSON, the stable format for programs
    #[arg(long, global = true, help_heading = "Global options", hide_short_help = true)]
    json: bool,
    /// Do not print notes or progress
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Global options",
        hide_short_help = true
    )]
    quiet: bool,
    /// Increase verbosity (can be repeated)
    #[arg(
        short,
        long,
        global = true,
        action = clap::ArgAction::Count,
        help_heading = "Global options",
        hide_short_help = true
    )]
    verbose: u8,
    /// When to use colours: always, never, or auto (the default; honours NO_COLOR)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "WHEN",
        help_heading = "Global options",
        hide_short_help = true
    )]
    color: ColorChoice,
    /// Print help (-h: a summary)
    // Not clap's own, which would be in a group of its own.
    #[arg(
        id = "help",
        short = 'h',
        long = "help",
        global = true,
        action = clap::ArgAction::Help,
        help_heading = "Global options",
        hide_short_help = true
    )]
    _help: Option<bool>,
}

/// Global options, environment and output of this call of the program.
pub struct Session {
    /// Output to the user.
    pub ui: Ui,
    /// The environment, read once.
    pub environment: Environment,
    global: GlobalArgs,
}

impl Session {
    /// Reads the environment and sets up output.
    pub fn new(global: GlobalArgs) -> Self {
        let environment: Environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let journal = environment.get("JOURNAL_STREAM");
        let ui = Ui::new(global.color, global.json, global.quiet, global.verbose, journal);
        Self { ui, environment, global }
    }

    /// Returns the site that the options, the environment and the working directory lead to. A site that was only found
    /// has to be trusted.
    pub fn site(&self) -> CommandResult<Site> {
        self.lookup(Site::find)
    }

    /// Returns that site whether it is trusted or not, only to show its settings.
    pub fn inspected_site(&self) -> CommandResult<Site> {
        self.lookup(Site::inspect)
    }

    fn lookup(&self, find: impl FnOnce(&Lookup<'_>) -> Result<Site, SiteError>) -> CommandResult<Site> {
        let working_dir = std::env::current_dir().context("cannot get the working directory")?;
        Ok(find(&Lookup {
            site: self.global.site.as_deref(),
            queue: self.global.queue.as_deref(),
            store: self.global.store.as_deref(),
            environment: &self.environment,
            working_dir: &working_dir,
        })?)
    }

    /// Prepares TLS for servers other than queue and store.
    pub fn use_one_tls_provider(&self) {
        use_one_tls_provider();
    }

    /// Connects to the site's queue.
    pub async fn broker(&self, site: &Site) -> CommandResult<Broker> {
        use_one_tls_provider();
        Ok(Broker::connect(&self.queue_url(site)?).await?)
    }

    /// Returns the address of the queue with its password: from the file that the site names, or else from the site's
    /// credentials, if that password is for this server.
    fn queue_url(&self, site: &Site) -> CommandResult<QueueUrl> {
        let url = site.queue_url()?;
        let QueueUrl::Amqp(amqp) = &url else { return Ok(url) };
        let Some(user) = amqp.user().filter(|_| !amqp.has_password() && site.root.is_some()) else { return Ok(url) };
        let Ok(user) = user.parse() else { return Ok(url) };
        let is_sites_own = matches!(site.queue.origin, Origin::File { .. });
        match self.credentials(site)?.get_for(Kind::Queue, &user, amqp.server()) {
            Ok(Some(password)) => Ok(site.queue_url_with(amqp, &password)?),
            Ok(None) => Ok(url),
            // A queue that the user names gets no password of the site.
            Err(CredentialsError::OtherServer { .. }) if !is_sites_own => Ok(url),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the site's credentials, as far as this user can decrypt them.
    pub fn credentials(&self, site: &Site) -> CommandResult<Credentials> {
        let files = match self.environment.get("APT_CI_IDENTITY") {
            Some(file) => vec![PathBuf::from(file)],
            None => {
                let home = self.environment.get("HOME").map(|home| Path::new(home).join(".ssh"));
                let own = home.into_iter().flat_map(|ssh| ["id_ed25519", "id_rsa"].map(|name| ssh.join(name)));
                let host = ["ssh_host_ed25519_key", "ssh_host_rsa_key"].map(|name| Path::new("/etc/ssh").join(name));
                own.chain(host).collect()
            }
        };
        let keys = Keys::new(files, Arc::new(ask::passphrase));
        Ok(Credentials::of(site, keys, TrustStore::of_user(&self.environment))?)
    }

    /// Returns the site's credentials for a command that encrypts some, once every recipient is confirmed.
    pub async fn credentials_to_change(&self, site: &Site) -> CommandResult<Credentials> {
        let credentials = self.credentials(site)?;
        self.confirm_recipients(&credentials).await?;
        Ok(credentials)
    }

    /// Asks the user to confirm recipients that are not confirmed yet, such as those of a pulled commit.
    ///
    /// # Errors
    /// When there are some and the user cannot be asked, or declines.
    pub async fn confirm_recipients(&self, credentials: &Credentials) -> CommandResult<()> {
        self.confirm(credentials, credentials.unconfirmed()?).await
    }

    /// Asks the user to confirm recipients other than the one that is being added.
    pub async fn confirm_others(&self, credentials: &Credentials, added: &Recipient) -> CommandResult<()> {
        let mut missing = credentials.unconfirmed()?;
        missing.retain(|recipient| !recipient.is_same(added));
        self.confirm(credentials, missing).await
    }

    async fn confirm(&self, credentials: &Credentials, missing: Vec<Recipient>) -> CommandResult<()> {
        if !missing.is_empty() {
            let lines: Vec<String> = missing.iter().map(Recipient::line).collect();
            if ask::require_terminal().is_err() {
                return Err(CredentialsError::Unconfirmed(lines).into());
            }
            self.ui.note("These keys could decrypt what is stored, and you have not confirmed them:");
            for line in &lines {
                self.ui.note(format!("  {line}"));
            }
            if !ask::confirm("Encrypt secrets to them?".to_owned()).await? {
                return Err(CredentialsError::Unconfirmed(lines).into());
            }
            credentials.confirm(&missing)?;
        }
        let all = credentials.untold_without_role()?;
        if !all.is_empty() {
            self.ui.warn(
                "a key without a role can decrypt every secret; give each of these keys a role (operator, web or \
                 worker:HOST):",
            );
            for one in all {
                self.ui.note(format!("  apt-ci credentials recipients add '{}' --role ROLE", one.key_line()));
            }
        }
        Ok(())
    }

    /// Opens the site's store.
    pub fn store(&self, site: &Site) -> CommandResult<Store> {
        use_one_tls_provider();
        if let StoreUrl::Folder(folder) = &site.store.value
            && folder.exists()
            && !folder.is_dir()
        {
            let message = format!("the store {} is not a folder", folder.display());
            return Err(BadInput {
                message,
                hint: Some(format!("the store is set by {}; run `apt-ci config` to check it", site.store.origin)),
            }
            .into());
        }
        let password = match &site.store.value {
            StoreUrl::Swift(_) => self.swift_password(site)?,
            StoreUrl::Folder(_) => None,
        };
        Ok(Store::open_with(&site.store.value, &site.swift, &self.environment, password.as_ref())?)
    }
}

impl Session {
    /// Returns the password for Swift from the site's credentials, if the login has no secret yet.
    fn swift_password(&self, site: &Site) -> CommandResult<Option<SecretString>> {
        let Some(login) = swift::login(&site.swift, &self.environment)?.filter(|login| !login.has_secret) else {
            return Ok(None);
        };
        let (Ok(user), true) = (login.user.parse(), site.root.is_some()) else { return Ok(None) };
        Ok(self.credentials(site)?.get_for(Kind::Swift, &user, &login.server)?)
    }
}

/// Chooses the cryptography of the TLS library that AMQP and HTTP share, once for the process.
fn use_one_tls_provider() {
    // Further calls fail, and change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Returns the states of the site's queues. Queues of its [releases] may be created for that; without [releases], none
/// is.
pub async fn inspect(broker: &Broker, queues: &[QueueName], site: &Site) -> Result<Vec<QueueState>, BrokerError> {
    broker.inspect_site(queues, site.releases.origin != Origin::Default).await
}
