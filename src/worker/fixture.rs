//! A worker for unit tests, with an embedded queue and a store in a folder. It never runs autopkgtest: gzip is on the
//! list `never_run`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::control::CancelRegistry;
use super::live_config::{LiveConfig, Queues};
use super::live_status::{LiveStatus, WorkerFacts};
use super::shutdown::Shutdown;
use super::{AutopkgtestCache, CommitOrder, ContainerCache, Worker};
use crate::archive::Pockets;
use crate::broker::{Broker, Claim, QueueUrl, Slot, Wait};
use crate::environment::Environment;
use crate::launchpad::{Launchpad, LaunchpadSettings};
use crate::release::QueueName;
use crate::request::Request;
use crate::request::line::Submission;
use crate::store::Store;
use crate::store::folder::FolderStore;
use crate::testbed::images::ImageStore;
use crate::testbed::{Border, Configuration, Definitions};

/// Everything outside of a worker that it works with.
pub(super) struct Host {
    pub(super) folder: TempDir,
    pub(super) broker: Broker,
    pub(super) store: Store,
    pub(super) stop: Shutdown,
    launchpad: Launchpad,
    environment: Environment,
}

impl Host {
    pub(super) async fn new() -> Self {
        // HTTP clients need a default provider, which the program installs at its start.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        for name in ["autopkgtest", "autopkgtest-virt-null"] {
            let program = folder.path().join(name);
            fs::write(&program, "#!/bin/sh\necho --output-dir\n").unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(folder.path().join("never_run"), "gzip\n").unwrap();
        let environment = [("PATH".to_owned(), folder.path().display().to_string())].into_iter().collect();
        let host = Self {
            broker: Broker::connect(&QueueUrl::Local(folder.path().join("queue"))).await.unwrap(),
            store: Store::Folder(FolderStore::new(&folder.path().join("results"))),
            stop: Shutdown::default(),
            launchpad: Launchpad::new(LaunchpadSettings::default()).unwrap(),
            environment,
            folder,
        };
        host.configure(0);
        host
    }

    /// Writes a worker.conf with this delay, in seconds.
    pub(super) fn configure(&self, retry_delay: u32) {
        let text =
            format!("[autopkgtest]\nper_package_config_dir = .\nretry_delay = {retry_delay}\n[virt]\nargs = null\n");
        fs::write(self.conf(), text).unwrap();
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("worker.conf")
    }

    /// Returns a worker with one slot, which serves the queues that the function returns.
    pub(super) fn worker(&self, queues: Box<Queues>) -> Worker<'_> {
        let facts = WorkerFacts {
            name: "host".to_owned(),
            site: None,
            queue: "local:/queue".to_owned(),
            store: "folder:/results".to_owned(),
            queues: Vec::new(),
        };
        let live_status = LiveStatus::new(facts, 1, self.stop.clone());
        let configuration = Configuration::load(&self.conf(), Definitions::default()).unwrap();
        let live_config = LiveConfig::new(configuration, queues, live_status.clone()).unwrap();
        Worker {
            name: "host".to_owned(),
            slots: 1,
            broker: &self.broker,
            store: &self.store,
            launchpad: &self.launchpad,
            pockets: Pockets::default(),
            live_config: Arc::new(live_config),
            live_status,
            cancels: CancelRegistry::default(),
            work_folder: self.folder.path().join("work"),
            images: ImageStore::new(self.folder.path().join("testbeds")),
            environment: &self.environment,
            border: Border::new([]),
            autopkgtest_cache: AutopkgtestCache::default(),
            containers: ContainerCache::default(),
            turns: CommitOrder::default(),
        }
    }

    pub(super) async fn submit(&self, request: &str) {
        self.broker.declare(&[queue()]).await.unwrap();
        let request = Request::parse(request.as_bytes()).unwrap();
        self.broker.submit(&[Submission { queue: queue(), request }], &[], &mut |_| {}).await.unwrap();
    }

    pub(super) async fn slot(&self) -> Slot {
        self.broker.slot(vec![queue()]).await.unwrap()
    }
}

pub(super) fn queue() -> QueueName {
    "debci-sid-amd64".parse().unwrap()
}

/// Claims the next request, and waits out its delay.
pub(super) async fn claim(slot: &mut Slot) -> Claim {
    slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap().expect("a request")
}
