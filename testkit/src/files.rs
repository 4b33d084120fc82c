//! A web server for the files of a folder, as apt and git find them.

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fake_server::{Exchange, FakeServer};

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The path, with its query.
    pub target: String,
    /// The status that was answered.
    pub status: u16,
    /// Whether user and password came with it.
    pub with_login: bool,
}

/// A server of a folder's files. It stops when it is dropped.
pub struct FileServer {
    server: FakeServer,
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    logins: Mutex<Vec<(String, String)>>,
    log: Mutex<Vec<Asked>>,
}

impl FileServer {
    /// Serves the files below this folder on a free port of the loopback interface.
    pub fn start(root: &Path) -> Self {
        let shared = Arc::new(Shared { root: root.to_owned(), logins: Mutex::default(), log: Mutex::default() });
        let serving = Arc::clone(&shared);
        Self { server: FakeServer::start(move |exchange| serving.serve(exchange)), shared }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Lets only this user, with this password, have what is below a path such as `/owner/name`.
    pub fn protect(&self, path: &str, user: &str, password: &str) {
        let login = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        self.shared.logins.lock().unwrap_or_else(PoisonError::into_inner).push((format!("{path}/"), login));
    }

    /// Everything that was asked for so far.
    pub fn log(&self) -> Vec<Asked> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn serve(&self, exchange: Exchange) {
        let given = exchange.header("authorization").map(str::to_owned);
        let path = exchange.target.split('?').next().unwrap_or_default();
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = logins.iter().any(|(below, login)| path.starts_with(below) && given.as_ref() != Some(login));
        drop(logins);
        let found = if closed { None } else { self.read(path) };
        // apt and autopkgtest read the words after the number.
        let (status, headers) = match (&found, closed) {
            (Some(_), _) => ("200 OK", ""),
            (None, true) => ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"private\"\r\n"),
            (None, false) => ("404 Not Found", ""),
        };
        let asked = Asked {
            target: exchange.target.clone(),
            status: status[..3].parse().expect("a number"),
            with_login: given.is_some(),
        };
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        exchange.answer_bytes(status, headers, &found.unwrap_or_default());
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let path = percent_encoding::percent_decode_str(path.trim_start_matches('/')).decode_utf8().ok()?;
        let path = Path::new(path.as_ref());
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        inside.then(|| std::fs::read(self.root.join(path)).ok()).flatten()
    }
}
