//! A TCP proxy that does to connections what networks do: it is slow, cuts, loses, and sends in pieces.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What happens to all that goes through, in both directions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toxics {
    /// Each piece comes so much later.
    pub latency: Duration,
    /// Nothing comes through any more, and nobody is told: it waits until that is over.
    pub blackhole: bool,
    /// Connections are cut, and new ones as soon as they come.
    pub reset: bool,
    /// Bytes a second.
    pub bandwidth: Option<usize>,
    /// Pieces have no more bytes than that, each in a packet of its own.
    pub slicer: Option<usize>,
}

/// Stands in front of somebody, on a free port.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct State {
    toxics: Toxics,
    /// How often all connections were cut.
    cuts: u64,
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl TcpProxy {
    pub async fn start(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State::default());
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                tokio::spawn(carry(client, behind, seen.clone()));
            }
        });
        Self { address, state, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on.
    pub fn set(&self, toxics: Toxics) {
        self.state.send_modify(|state| state.toxics = toxics);
    }

    /// All is well.
    pub fn heal(&self) {
        self.set(Toxics::default());
    }

    /// Cuts all connections that there are, once.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

async fn carry(mut client: TcpStream, behind: SocketAddr, state: watch::Receiver<State>) {
    let cuts = state.borrow().cuts;
    let mut cut = state.clone();
    if let Ok(mut server) = TcpStream::connect(behind).await {
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let both = async {
            tokio::join!(pour(from_client, to_server, state.clone()), pour(from_server, to_client, state.clone()))
        };
        tokio::select! {
            _ = both => return,
            _ = cut.wait_for(|state| state.toxics.reset || state.cuts > cuts) => {}
        }
        let _ = server.set_zero_linger();
    }
    // Closed, it sends RST and not FIN.
    let _ = client.set_zero_linger();
}

async fn pour(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut state: watch::Receiver<State>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let most = state.borrow().toxics.slicer.unwrap_or(buffer.len()).clamp(1, buffer.len());
        let read = match from.read(&mut buffer[..most]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        let Toxics { latency, bandwidth, .. } = state.borrow().toxics.clone();
        let pause = bandwidth
            .map_or(latency, |a_second| latency + Duration::from_secs_f64(read as f64 / a_second.max(1) as f64));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let is_open = state.wait_for(|state| !state.toxics.blackhole).await.is_ok();
        if !is_open || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
