//! A connection that can be watched and cut: bytes pass between a client and a server.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// Passes bytes on, both ways.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Bytes that went from the server to clients.
    bytes: AtomicUsize,
    /// After how many bytes since the last cut all connections are cut, one time each.
    cuts_at: Mutex<VecDeque<usize>>,
    since_cut: AtomicUsize,
    cuts: AtomicUsize,
    cut: broadcast::Sender<()>,
}

impl Proxy {
    /// A proxy in front of the server at `http://address`.
    pub(crate) async fn start(server: &str) -> Proxy {
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            bytes: AtomicUsize::new(0),
            cuts_at: Mutex::default(),
            since_cut: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
            cut: broadcast::channel(16).0,
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut cut = accepting.cut.subscribe();
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let state = Arc::clone(&accepting);
                tokio::spawn(async move {
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::select! {
                        () = pass(from_client, to_server, None) => {}
                        () = pass(from_server, to_client, Some(&state)) => {}
                        _ = cut.recv() => {}
                    }
                });
            }
        });
        Proxy { address, state }
    }

    /// `grpc://host:port`.
    pub(crate) fn uri(&self) -> String {
        format!("grpc://{}", self.address)
    }

    /// How many bytes went to clients.
    pub(crate) fn bytes(&self) -> usize {
        self.state.bytes.load(Ordering::SeqCst)
    }

    /// Cuts every connection once so many bytes have gone to clients from now on, and again after the next number.
    pub(crate) fn cut_after(&self, bytes: &[usize]) {
        self.state.since_cut.store(0, Ordering::SeqCst);
        self.state.cuts_at.lock().unwrap().extend(bytes);
    }

    /// How many times all connections were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, watched: Option<&State>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if watched.is_some_and(|state| state.count(count)) || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

impl State {
    /// Counts bytes; whether all connections are cut now.
    fn count(&self, bytes: usize) -> bool {
        let mut cuts_at = self.cuts_at.lock().unwrap();
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        let since = self.since_cut.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if cuts_at.front().is_none_or(|at| since <= *at) {
            return false;
        }
        cuts_at.pop_front();
        self.since_cut.store(0, Ordering::SeqCst);
        self.cuts.fetch_add(1, Ordering::SeqCst);
        let _ = self.cut.send(());
        true
    }
}
