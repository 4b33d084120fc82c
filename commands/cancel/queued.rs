//! Requests that wait, and how they are taken out of their queues.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use apt_ci::broker::{Broker, BrokerError, Message, Pile, QueueContents};
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::site::Site;
use jiff::Timestamp;

/// A request that no worker has.
pub struct Queued {
    pub request: Request,
    pub queue: QueueName,
    pile: Pile,
}

/// All requests that wait in the site's queues, or wait out a delay.
pub async fn all(broker: &Broker, site: &Site) -> anyhow::Result<Vec<Queued>> {
    let mut found = Vec::new();
    for state in broker.inspect(&site.queues()).await? {
        // Most queues are empty most of the time.
        if state.ready + state.delayed == 0 {
            continue;
        }
        let queue = state.queue;
        let QueueContents { ready, delayed, .. } = match broker.contents(&queue, usize::MAX).await {
            // Somebody deleted it meanwhile.
            Err(BrokerError::NoSuchQueue { .. }) => continue,
            other => other?,
        };
        for (bodies, pile) in [(ready, Pile::Ready), (delayed, Pile::Delayed)] {
            let requests = bodies.iter().filter_map(|body| Request::parse(body).ok());
            found.extend(requests.map(|request| Queued { request, queue: queue.clone(), pile }));
        }
    }
    Ok(found)
}

/// Where what is taken out is written down, one file per call of the program, so that `apt-ci run --batch` puts it back.
#[derive(Clone)]
pub struct Record(PathBuf);

impl Record {
    pub fn of_now(site: &Site) -> Self {
        let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
        Self(site.state_dir.join("cancelled").join(format!("{time}-{}.requests", std::process::id())))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a request down; it is on the disk when this returns. For its owner alone: it may hold tokens.
    fn add(&self, queue: &QueueName, request: &Request) -> io::Result<()> {
        let folder = self.0.parent().ok_or(io::ErrorKind::NotFound)?;
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.0)?;
        writeln!(file, "{queue}:{}", request.to_wire().replacen('\n', " ", 1))?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    }
}

/// Takes a request out of its queue, once it is written down. False when it is not there any more.
pub async fn take_out(broker: &Broker, queued: &Queued, record: &Record) -> anyhow::Result<bool> {
    let Queued { request, queue, pile } = queued;
    let (request, record, of) = (request.clone(), record.clone(), queue.clone());
    let choice = move |messages: &[Message]| {
        let id = |message: &Message| Request::parse(&message.body).ok().and_then(|other| other.uuid().cloned());
        let places = messages.iter().enumerate().filter(|(_, message)| id(message).as_ref() == request.uuid());
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        if !places.is_empty() {
            record.add(&of, &request)?;
        }
        Ok(places)
    };
    let taken = broker.take_out(queue, *pile, None, Box::new(choice)).await?;
    Ok(taken > 0)
}
