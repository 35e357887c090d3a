//! A gRPC server in bare HTTP/2 frames, for answers that no HTTP library would give.

use bytes::{BufMut, Bytes, BytesMut};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, Notify, mpsc},
    task::{JoinHandle, JoinSet},
};

/// One thing that the server does about a call.
#[derive(Debug, Clone)]
pub enum Step {
    /// Response headers: status 200, `application/grpc`, and these.
    Headers(&'static [(&'static str, &'static str)]),
    /// Response headers with this status, and nothing else but these.
    Http(&'static str, &'static [(&'static str, &'static str)]),
    /// Bytes of the body.
    Data(Bytes),
    /// The end of the stream, with these trailers.
    Trailers(&'static [(&'static str, &'static str)]),
    /// The end of the stream, without trailers.
    End,
    /// RST_STREAM with this error code.
    Reset(u32),
    /// GOAWAY: neither this call nor a later one was or will be looked at.
    GoAway,
    /// GOAWAY with ENHANCE_YOUR_CALM: the client has pinged too often, and this call is not looked at.
    Calm,
    /// Bytes that are no frame.
    Garbage(&'static [u8]),
    Pause(Duration),
    /// Until the client has read all that was written.
    Settle,
    /// The connection is closed in an orderly way.
    Close,
    /// The connection is reset (TCP RST).
    Abort,
    /// The connection stays open, and nothing is read or written on it any more.
    Vanish,
}

/// A whole gRPC reply.
pub fn reply(message: &impl prost::Message) -> Vec<Step> {
    vec![Step::Headers(&[]), Step::Data(framed(message)), Step::Trailers(&[("grpc-status", "0")])]
}

/// The message in its gRPC frame.
pub fn framed(message: &impl prost::Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len().try_into().unwrap());
    frame.put_slice(&message);
    frame.freeze()
}

type Script = Arc<dyn Fn(usize) -> Vec<Step> + Send + Sync>;

/// The server. Dropped, it is gone, connections and all.
#[derive(Debug)]
pub struct RawUpstream {
    address: SocketAddr,
    seen: Arc<Seen>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: AtomicUsize,
    resets: AtomicUsize,
}

impl RawUpstream {
    /// On a free port. The nth call (from 0, over all connections) is answered as the script says.
    pub async fn start(script: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (script, counted): (Script, _) = (Arc::new(script), seen.clone());
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(connection(stream, script.clone(), counted.clone()));
            }
        });
        Self { address, seen, serving }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls that have arrived whole.
    pub fn calls(&self) -> usize {
        self.seen.calls.load(SeqCst)
    }

    /// Streams that the client has cancelled.
    pub fn resets(&self) -> usize {
        self.seen.resets.load(SeqCst)
    }
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// How a connection ends before its client closes it.
#[derive(Debug)]
enum Ending {
    Close,
    Abort,
    Vanish,
}

/// What the streams of one connection share.
struct Line {
    write: Mutex<OwnedWriteHalf>,
    pongs: Notify,
}

async fn connection(stream: TcpStream, script: Script, seen: Arc<Seen>) {
    let (mut read, write) = stream.into_split();
    let line = Arc::new(Line { write: Mutex::new(write), pongs: Notify::new() });
    let (sender, mut endings) = mpsc::channel(1);
    let mut streams = JoinSet::new();
    let ending = tokio::select! {
        // The client has gone, or wrote what is no frame.
        _ = read_frames(&mut read, &line, &seen.resets, |stream| {
            let steps = script(seen.calls.fetch_add(1, SeqCst));
            streams.spawn(answer(stream, steps, line.clone(), sender.clone()));
        }) => Ending::Close,
        Some(ending) = endings.recv() => ending,
    };
    match ending {
        Ending::Close => {}
        Ending::Vanish => std::future::pending().await,
        Ending::Abort => {
            streams.shutdown().await;
            read.as_ref().set_zero_linger().unwrap();
            // Without the orderly end that dropping it would be.
            if let Some(line) = Arc::into_inner(line) {
                line.write.into_inner().forget();
            }
        }
    }
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

/// Says for each stream when its request is whole; keeps the connection itself going.
async fn read_frames(
    read: &mut OwnedReadHalf,
    line: &Line,
    resets: &AtomicUsize,
    mut whole: impl FnMut(u32),
) -> io::Result<()> {
    let mut preface = [0; 24];
    read.read_exact(&mut preface).await?;
    write(line, frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        read.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        read.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => write(line, frame(SETTINGS, ACK, 0, &[])).await?,
            PING if flags & ACK == 0 => write(line, frame(PING, ACK, 0, &payload)).await?,
            RST_STREAM => drop(resets.fetch_add(1, SeqCst)),
            PING => line.pongs.notify_one(),
            HEADERS | DATA if flags & END_STREAM != 0 => whole(u32::from_be_bytes(stream)),
            _ => {}
        }
    }
}

/// Does the steps of one call. Without an end among them the stream stays open.
async fn answer(stream: u32, steps: Vec<Step>, line: Arc<Line>, ending: mpsc::Sender<Ending>) {
    for step in steps {
        let bytes = match step {
            Step::Headers(more) => {
                let usual = [(":status", "200"), ("content-type", "application/grpc")];
                frame(HEADERS, END_HEADERS, stream, &fields(usual.iter().chain(more)))
            }
            Step::Http(status, headers) => {
                frame(HEADERS, END_HEADERS, stream, &fields([(":status", status)].iter().chain(headers)))
            }
            Step::Data(bytes) => frame(DATA, 0, stream, &bytes),
            Step::Trailers(trailers) => frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(trailers)),
            Step::End => frame(DATA, END_STREAM, stream, &[]),
            Step::Reset(code) => frame(RST_STREAM, 0, stream, &code.to_be_bytes()),
            Step::GoAway => {
                let (last, no_error) = (stream.saturating_sub(2).to_be_bytes(), 0_u32.to_be_bytes());
                frame(GOAWAY, 0, 0, &[last, no_error].concat())
            }
            Step::Calm => {
                let (last, calm) = (stream.saturating_sub(2).to_be_bytes(), 11_u32.to_be_bytes());
                frame(GOAWAY, 0, 0, &[&last[..], &calm, b"too_many_pings"].concat())
            }
            Step::Garbage(bytes) => Bytes::from_static(bytes),
            Step::Pause(time) => {
                tokio::time::sleep(time).await;
                continue;
            }
            Step::Settle => {
                // The answer to a ping comes when everything before it was read.
                if write(&line, frame(PING, 0, 0, &[0; 8])).await.is_err() {
                    return;
                }
                line.pongs.notified().await;
                continue;
            }
            Step::Close | Step::Abort | Step::Vanish => {
                let how = match step {
                    Step::Close => Ending::Close,
                    Step::Abort => Ending::Abort,
                    _ => Ending::Vanish,
                };
                // Another stream may have ended the connection already.
                let _ = ending.send(how).await;
                return;
            }
        };
        if write(&line, bytes).await.is_err() {
            return;
        }
    }
}

async fn write(line: &Line, bytes: Bytes) -> io::Result<()> {
    line.write.lock().await.write_all(&bytes).await
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(9 + payload.len());
    out.put_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
    out.put_slice(&[kind, flags]);
    out.put_u32(stream);
    out.put_slice(payload);
    out.freeze()
}

/// HPACK without its tables: each field literally.
fn fields<'a>(fields: impl IntoIterator<Item = &'a (&'static str, &'static str)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            // In one byte, which is enough below 127.
            out.push(text.len().try_into().unwrap());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// A port that takes no connection and refuses none: as many wait there already as may.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    /// # Panics
    /// If connections go on being made.
    pub async fn open() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            waiting.push(stream.unwrap());
            assert!(waiting.len() < 1_000, "the queue of {address} has no end");
        }
        Self { address, _listener: listener, _waiting: waiting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
