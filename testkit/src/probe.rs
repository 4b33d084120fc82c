//! The queue and the results of a site, asked through the library over one connection: a story that polls starts no program each time.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use apt_ci::broker::{Broker, QueueState, QueueUrl};
use apt_ci::release::{QueueName, Release};
use apt_ci::runs;
use apt_ci::store::swift::SwiftSettings;
use apt_ci::store::{Store, StoreUrl};
use tokio::runtime::Runtime;

/// Timeout for one question. A server that is stopped or frozen is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the servers of a site. It is made when something is asked first.
pub struct Probe {
    queue: QueueUrl,
    broker: OnceLock<Broker>,
    store: Store,
    runtime: Runtime,
}

impl Probe {
    /// A probe of the site in this folder, with these addresses and variables.
    pub fn new(site: &Path, queue: &str, store: &str, variables: &[(String, String)]) -> Self {
        let absolute = |address: &str, scheme: &str| match address.strip_prefix(scheme) {
            Some(folder) => format!("{scheme}{}", site.join(folder).display()),
            None => address.to_owned(),
        };
        let queue = absolute(queue, "local:").parse().expect("a queue URL");
        let store: StoreUrl = absolute(store, "folder:").parse().expect("a store URL");
        let environment = variables.iter().cloned().collect();
        let store = Store::open(&store, &SwiftSettings::default(), &environment).expect("complete settings");
        // Its own thread keeps the connection alive between two questions.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { queue, broker: OnceLock::new(), store, runtime: runtime.expect("a runtime") }
    }

    /// The state of a queue; `None` when it does not exist, or when its server does not answer.
    pub fn queue(&self, name: &str) -> Option<QueueState> {
        let name: QueueName = name.parse().expect("a queue's name");
        self.within_timeout(async {
            let broker = match self.broker.get() {
                Some(broker) => broker,
                None => {
                    let broker = Broker::connect(&self.queue).await.ok()?;
                    self.broker.get_or_init(|| broker)
                }
            };
            broker.inspect(&[name]).await.ok()?.pop()
        })
    }

    /// The ids of the requests of a release that have results, sorted; `None` when the store does not answer.
    pub fn results(&self, release: &str) -> Option<Vec<String>> {
        let release: Release = release.parse().expect("a release");
        self.within_timeout(async {
            let runs = runs::of_release(&self.store, &release, None).await.ok()?;
            let mut ids: Vec<String> = runs.into_iter().filter_map(|run| run.summary.uuid).collect();
            ids.sort();
            Some(ids)
        })
    }

    fn within_timeout<T>(&self, question: impl Future<Output = Option<T>>) -> Option<T> {
        self.runtime.block_on(async { tokio::time::timeout(ANSWER_TIMEOUT, question).await.ok().flatten() })
    }
}
