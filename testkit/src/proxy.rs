//! A network that breaks on demand: a TCP proxy in front of a service.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A proxy on a free port. It ends with this value.
pub struct Proxy {
    port: u16,
    whole: Arc<AtomicBool>,
    cut: Arc<Notify>,
    garble: Arc<Notify>,
    holding: Option<Arc<Holding>>,
    task: JoinHandle<()>,
}

/// When a connection is held on which a client sends the text.
#[derive(Clone, Copy)]
pub enum Hold {
    /// Before the server gets it.
    Before,
    /// When the server has it, before the client gets its answer.
    After,
}

/// Holds the next connection on which a client sends a text.
struct Holding {
    text: Vec<u8>,
    /// How often clients have sent the text.
    seen: AtomicUsize,
    next: Mutex<Option<Hold>>,
    held: Notify,
    go_on: Notify,
}

impl Holding {
    /// Whether something is to be held that ends with these bytes. Once only.
    fn take(&self, sent: &[u8]) -> Option<Hold> {
        let seen = sent.windows(self.text.len()).filter(|window| *window == self.text).count();
        self.seen.fetch_add(seen, Ordering::SeqCst);
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take_if(|_| seen > 0)
    }

    /// Passes on what both say, until one of them ends.
    async fn pass_on(&self, client: &mut TcpStream, server: &mut TcpStream) -> std::io::Result<()> {
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
        let (is_held, answers_go_on) = (AtomicBool::new(false), Notify::new());
        let requests = async {
            let (mut sent, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
            loop {
                let count = from_client.read(&mut buffer).await?;
                if count == 0 {
                    return Ok(());
                }
                // The text may come in two pieces.
                sent.drain(..sent.len().saturating_sub(self.text.len() - 1));
                sent.extend_from_slice(&buffer[..count]);
                let hold = self.take(&sent);
                if let Some(Hold::After) = hold {
                    is_held.store(true, Ordering::SeqCst);
                    to_server.write_all(&buffer[..count]).await?;
                }
                if hold.is_some() {
                    self.held.notify_one();
                    self.go_on.notified().await;
                    is_held.store(false, Ordering::SeqCst);
                    answers_go_on.notify_one();
                }
                if !matches!(hold, Some(Hold::After)) {
                    to_server.write_all(&buffer[..count]).await?;
                }
            }
        };
        let answers = async {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let count = from_server.read(&mut buffer).await?;
                if count == 0 {
                    return Ok(());
                }
                while is_held.load(Ordering::SeqCst) {
                    answers_go_on.notified().await;
                }
                to_client.write_all(&buffer[..count]).await?;
            }
        };
        tokio::select! {
            ended = requests => ended,
            ended = answers => ended,
        }
    }
}

/// What no protocol says.
const GARBAGE: [u8; 64] = [0xa5; 64];

impl Proxy {
    /// A proxy to a port of this machine.
    pub async fn to(port: u16) -> Self {
        Self::start(port, None).await
    }

    /// The same, which can hold connections on which a client sends this text.
    pub async fn holding(port: u16, text: &str) -> Self {
        let (next, held, go_on) = (Mutex::default(), Notify::new(), Notify::new());
        let (text, seen) = (text.as_bytes().to_vec(), AtomicUsize::new(0));
        Self::start(port, Some(Arc::new(Holding { text, seen, next, held, go_on }))).await
    }

    async fn start(port: u16, holding: Option<Arc<Holding>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own_port = listener.local_addr().expect("its address").port();
        let (whole, cut, garble) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let task = tokio::spawn(serve(
            listener,
            port,
            Arc::clone(&whole),
            Arc::clone(&cut),
            Arc::clone(&garble),
            holding.clone(),
        ));
        Self { port: own_port, whole, cut, garble, holding, task }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often clients have sent the text.
    pub fn seen(&self) -> usize {
        self.holding.as_ref().expect("a proxy that holds").seen.load(Ordering::SeqCst)
    }

    /// Holds the next connection on which the text is sent.
    pub fn hold(&self, hold: Hold) {
        let holding = self.holding.as_ref().expect("a proxy that holds");
        *holding.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
    }

    /// Waits until that has happened.
    pub async fn held(&self) {
        self.holding.as_ref().expect("a proxy that holds").held.notified().await;
    }

    /// Lets go what is held.
    pub fn go_on(&self) {
        self.holding.as_ref().expect("a proxy that holds").go_on.notify_one();
    }

    /// Breaks all connections, and every new one at once.
    pub fn cut(&self) {
        self.whole.store(false, Ordering::SeqCst);
        self.cut.notify_waiters();
    }

    /// Sends garbage to the client of each connection, which goes on.
    pub fn garble(&self) {
        self.garble.notify_waiters();
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.whole.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    port: u16,
    whole: Arc<AtomicBool>,
    cut: Arc<Notify>,
    garble: Arc<Notify>,
    holding: Option<Arc<Holding>>,
) {
    loop {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let (cut, garble, holding) = (Arc::clone(&cut), Arc::clone(&garble), holding.clone());
        if !whole.load(Ordering::SeqCst) {
            continue;
        }
        tokio::spawn(async move {
            let mut cut = std::pin::pin!(cut.notified());
            let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
            if let Some(holding) = holding {
                tokio::select! {
                    _ = holding.pass_on(&mut client, &mut server) => return,
                    () = &mut cut => return,
                }
            }
            loop {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
                    () = &mut cut => return,
                    () = garble.notified() => if client.write_all(&GARBAGE).await.is_err() { return },
                }
            }
        });
    }
}
