//! What is taken out of queues is written down before, one file per call of the program, so that `apt-ci run --batch` puts it back.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::request::line::Submission;
use apt_ci::site::Site;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;

/// A file of requests below the site's state folder, made with its first line. For its owner alone: it may hold tokens.
#[derive(Clone)]
pub struct Record {
    requests: PathBuf,
    others: PathBuf,
}

impl Record {
    /// A record in this folder of the state folder, named after the time.
    pub fn of_now(site: &Site, folder: &str) -> Self {
        let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let stem = site.state_dir.join(folder).join(format!("{time}-{}", std::process::id()));
        Self { requests: stem.with_extension("requests"), others: stem.with_extension("no-requests") }
    }

    /// The file that `apt-ci run --batch` reads.
    pub fn path(&self) -> &Path {
        &self.requests
    }

    /// The file of messages that were no requests: lines of JSON, each with the queue and the message in Base64.
    pub fn others(&self) -> &Path {
        &self.others
    }

    /// Writes messages of a queue down; they are on the disk when this returns.
    pub fn add(&self, queue: &QueueName, bodies: &[&[u8]]) -> io::Result<()> {
        let (mut requests, mut others) = (String::new(), String::new());
        for body in bodies {
            match Request::parse(body) {
                Ok(request) => {
                    requests.push_str(&Submission { queue: queue.clone(), request }.to_line());
                    requests.push('\n');
                }
                Err(_) => {
                    let line = json!({"queue": queue, "message": STANDARD.encode(body)});
                    others.push_str(&format!("{line}\n"));
                }
            }
        }
        append(&self.requests, &requests)?;
        append(&self.others, &others)
    }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("{} cannot be written: {error}", file.display()));
    let folder = file.parent().ok_or(io::ErrorKind::NotFound)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let write = || {
        let mut open = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        File::open(folder)?.sync_all()
    };
    write().map_err(failed)
}
