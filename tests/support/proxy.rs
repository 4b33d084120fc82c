//! A network that breaks on demand: a TCP proxy in front of a service.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A proxy on a free port. It ends with this value.
pub struct Proxy {
    port: u16,
    whole: Arc<AtomicBool>,
    cut: Arc<Notify>,
    garble: Arc<Notify>,
    task: JoinHandle<()>,
}

/// What no protocol says.
const GARBAGE: [u8; 64] = [0xa5; 64];

impl Proxy {
    /// A proxy to a port of this machine.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own_port = listener.local_addr().expect("its address").port();
        let (whole, cut, garble) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let task = tokio::spawn(serve(listener, port, Arc::clone(&whole), Arc::clone(&cut), Arc::clone(&garble)));
        Self { port: own_port, whole, cut, garble, task }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
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

async fn serve(listener: TcpListener, port: u16, whole: Arc<AtomicBool>, cut: Arc<Notify>, garble: Arc<Notify>) {
    loop {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let (cut, garble) = (Arc::clone(&cut), Arc::clone(&garble));
        if !whole.load(Ordering::SeqCst) {
            continue;
        }
        tokio::spawn(async move {
            let mut cut = std::pin::pin!(cut.notified());
            let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
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
