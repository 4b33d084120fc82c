//! A network that breaks on demand: a TCP proxy in front of a service.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A proxy on a free port. It ends with this value.
pub struct Proxy {
    port: u16,
    whole: Arc<AtomicBool>,
    cut: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to a port of this machine.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own_port = listener.local_addr().expect("its address").port();
        let (whole, cut) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
        let task = tokio::spawn(serve(listener, port, Arc::clone(&whole), Arc::clone(&cut)));
        Self { port: own_port, whole, cut, task }
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

async fn serve(listener: TcpListener, port: u16, whole: Arc<AtomicBool>, cut: Arc<Notify>) {
    loop {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let cut = Arc::clone(&cut);
        if !whole.load(Ordering::SeqCst) {
            continue;
        }
        tokio::spawn(async move {
            let notified = cut.notified();
            let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                () = notified => {}
            }
        });
    }
}
