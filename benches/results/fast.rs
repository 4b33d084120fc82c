//! A server that speaks as much of Swift's protocol as reading needs, at the maximum speed of this machine.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use percent_encoding::percent_decode_str;

/// Containers with objects.
pub trait Contents: Send + Sync + 'static {
    /// Returns the number and the total size of a container's objects; `None` when there is no such container.
    fn amount(&self, container: &str) -> Option<(usize, usize)>;
    /// Returns the page of a listing that comes after `marker`, as JSON.
    fn page(&self, container: &str, prefix: &str, marker: &str) -> String;
    /// Returns an object.
    fn object(&self, container: &str, name: &str) -> Option<&[u8]>;
}

/// A server that runs until the process ends.
pub struct FastServer {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl FastServer {
    pub fn start(contents: impl Contents) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (contents, requests) = (Arc::new(contents), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (contents, count) = (Arc::clone(&contents), Arc::clone(&count));
                std::thread::spawn(move || serve(stream, &*contents, &count));
            }
        });
        Self { port, requests }
    }

    /// Returns the URL of the account.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/AUTH_x", self.port)
    }

    /// Returns the number of requests since the last call.
    pub fn requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

fn serve(stream: TcpStream, contents: &dyn Contents, count: &AtomicUsize) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = BufWriter::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).ok()?;
        }
        count.fetch_add(1, Ordering::Relaxed);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let rest = path.strip_prefix("/v1/AUTH_x")?.trim_start_matches('/');
        let (container, object) = rest.split_once('/').unwrap_or((rest, ""));
        let value = |name: &str| {
            let found = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            percent_decode_str(found.unwrap_or_default()).decode_utf8_lossy().into_owned()
        };
        let page;
        let (status, headers, body): (&str, String, &[u8]) = match (method.as_str(), contents.amount(container)) {
            (_, None) if container.is_empty() => ("401 Unauthorized", String::new(), b""),
            (_, None) => ("404 Not Found", String::new(), b""),
            ("HEAD", Some((objects, bytes))) => (
                "204 No Content",
                format!("X-Container-Object-Count: {objects}\r\nX-Container-Bytes-Used: {bytes}\r\n"),
                b"",
            ),
            (_, Some(_)) if object.is_empty() => {
                page = contents.page(container, &value("prefix"), &value("marker"));
                ("200 OK", String::new(), page.as_bytes())
            }
            (_, Some(_)) => match contents.object(container, object) {
                Some(bytes) => ("200 OK", String::new(), bytes),
                None => ("404 Not Found", String::new(), b""),
            },
        };
        let length =
            if status.starts_with("204") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        write!(writer, "HTTP/1.1 {status}\r\n{headers}{length}\r\n").ok()?;
        writer.write_all(body).ok()?;
        writer.flush().ok()?;
    }
}
