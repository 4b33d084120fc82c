//! What the tests and benchmarks stand on: real services, started on demand and stopped with [`Services`].
//!
//! README.md says how to write a story.

#![allow(clippy::disallowed_methods, reason = "tests ask services on this machine, and set no proxies")]

pub mod archive;
pub mod broker_pool;
pub mod daemon;
pub mod examples;
pub mod fake_server;
pub mod files;
pub mod forge;
pub mod git;
pub mod host;
pub mod keystone;
pub mod launchpad;
pub mod pocket;
pub mod prism;
pub mod probe;
pub mod proxy;
pub mod rabbitmq;
pub mod runner;
pub mod site;
pub mod swift;
pub mod testbed;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use libtest_mimic::Failed;
use tempfile::TempDir;

use self::broker_pool::{BrokerPool, PrivateRabbitMq};
use self::keystone::Keystone;
use self::rabbitmq::RabbitMq;
pub use self::runner::Trial;
use self::site::TestSite;
use self::swift::{Auth, Swift};
use self::testbed::Testbed;

/// The program under test.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Names the program under test, once, before the first site. Only tests and benchmarks know where cargo has built it.
pub fn set_program(path: &str) {
    PROGRAM.set(path.into()).expect("the program is named once");
}

/// The program under test.
pub fn program() -> &'static Path {
    PROGRAM.get().expect("set_program has named the program")
}

/// What a test does: a story that a user could tell.
pub type Story = fn(&Services) -> Result<(), Failed>;

/// The stories of an area as tests.
pub fn stories(area: &str, services: &Arc<Services>, stories: &[(&str, Story)]) -> Vec<Trial> {
    let trial = |(name, story): &(&str, Story)| {
        let (services, story) = (Arc::clone(services), *story);
        Trial::test(format!("{area}::{name}"), move || story(&services))
    };
    stories.iter().map(trial).collect()
}

/// Every service that tests share. Each starts when a test first asks for it. They stop in the order of the fields, and
/// their folder goes last.
#[derive(Default)]
pub struct Services {
    swift: OnceLock<Swift>,
    swift_keystone: OnceLock<Swift>,
    keystone: OnceLock<Keystone>,
    folder: OnceLock<TempDir>,
    rabbitmq: OnceLock<RabbitMq>,
    private_brokers: Arc<BrokerPool>,
    testbed: Arc<OnceLock<Testbed>>,
}

impl Services {
    /// Services of their own, in which no story has left anything. A testbed that is made already is used again: stories only read it.
    pub fn fresh(&self) -> Self {
        Self { testbed: Arc::clone(&self.testbed), ..Self::default() }
    }

    /// The folder of this test run. It goes away at the end.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.get_or_init(|| TempDir::new().expect("a temporary folder")).path()
    }

    /// A RabbitMQ that no test stops. It allows 20 seconds for an acknowledgement, so that every claim which is held longer
    /// shows that it survives that. Stories that run at the same time have virtual hosts of their own.
    pub fn rabbitmq(&self) -> &RabbitMq {
        self.rabbitmq.get_or_init(|| RabbitMq::start_shared("consumer_timeout = 20000"))
    }

    /// A RabbitMQ that the story has for itself, to stop, kill, freeze or block it. It holds nothing.
    pub fn private_rabbitmq(&self) -> PrivateRabbitMq {
        self.private_brokers.take()
    }

    /// A Swift whose users log in at its own proxy (tempauth).
    pub fn swift(&self) -> &Swift {
        self.swift.get_or_init(|| Swift::start(&self.folder().join("swift"), &Auth::TempAuth))
    }

    /// A Swift whose users log in at [`Services::keystone`].
    pub fn swift_keystone(&self) -> &Swift {
        self.swift_keystone
            .get_or_init(|| Swift::start(&self.folder().join("swift-keystone"), &Auth::Keystone(self.keystone())))
    }

    /// A site on the shared RabbitMQ and Swift.
    pub fn site(&self) -> TestSite {
        TestSite::on(&self.rabbitmq().url(), "swift:", self.swift().environment())
    }

    /// A site on RabbitMQ whose results are in a folder, where a test can read them.
    pub fn site_with_folder(&self) -> TestSite {
        TestSite::on(&self.rabbitmq().url(), "folder:results", Vec::new())
    }

    /// An isolated testbed of Debian 12.
    pub fn testbed(&self) -> &Testbed {
        self.testbed.get_or_init(Testbed::make)
    }

    /// A Keystone.
    pub fn keystone(&self) -> &Keystone {
        self.keystone.get_or_init(|| Keystone::start(&self.folder().join("keystone")))
    }
}

/// Runs to its end what waits for the network. A runtime of its own each time: nothing lives on after a test.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
