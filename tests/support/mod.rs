//! What the tests stand on: real services, started on demand and stopped with [`Services`].

pub mod proxy;
pub mod rabbitmq;

use std::sync::OnceLock;

use rabbitmq::RabbitMq;
use tempfile::TempDir;

/// Every service that tests share. Each starts when a test first asks for it.
#[derive(Default)]
pub struct Services {
    folder: OnceLock<TempDir>,
    rabbitmq: OnceLock<RabbitMq>,
}

impl Services {
    /// The folder of this test run. It goes away at the end.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.get_or_init(|| TempDir::new().expect("a temporary folder")).path()
    }

    /// A RabbitMQ that no test stops. It allows 20 seconds for an acknowledgement, so that every claim which is held longer
    /// shows that it survives that.
    pub fn rabbitmq(&self) -> &RabbitMq {
        self.rabbitmq.get_or_init(|| RabbitMq::start("consumer_timeout = 20000"))
    }
}
