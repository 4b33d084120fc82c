//! A server that does what a test tells it: for faults that no real server makes on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A request whose head has been read.
pub struct Exchange {
    /// The method.
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
}

impl Exchange {
    /// A header by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The length of the body that was announced.
    pub fn length(&self) -> usize {
        self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
    }

    /// Reads that many bytes of the body.
    pub fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut body = vec![0; bytes];
        self.stream.read_exact(&mut body).expect("the client sends what it announced");
        body
    }

    /// Answers whole, with these headers (each ends its line).
    pub fn answer(self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        self.answer_raw(&format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"));
    }

    /// Answers whole, with a body that need not be text.
    pub fn answer_bytes(mut self, status: &str, headers: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        let stream = self.stream.get_mut();
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    }

    /// Answers with exactly these bytes, and closes the line.
    pub fn answer_raw(mut self, bytes: &str) {
        // The client may have gone already; that is its own affair.
        let _ = self.stream.get_mut().write_all(bytes.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes());
    }
}

/// The server. It stops when it is dropped.
pub struct FakeServer {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// Starts it: every request goes to `serve`, each in a thread of its own.
    pub fn start(serve: impl Fn(Exchange) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (stop, serve) = (Arc::new(AtomicBool::new(false)), Arc::new(serve));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    if let Some(exchange) = accept(stream) {
                        serve(exchange);
                    }
                });
            }
        });
        Self { port, stop, thread: Some(thread) }
    }

    /// A server that takes every request and answers none, as long as it is there.
    pub fn silent() -> Self {
        let held = Mutex::new(Vec::new());
        Self::start(move |exchange| held.lock().unwrap_or_else(PoisonError::into_inner).push(exchange))
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(stream: TcpStream) -> Option<Exchange> {
    let mut stream = BufReader::new(stream);
    let mut line = || -> Option<String> {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some(Exchange { method, target, headers, stream })
}
