//! An HTTP/2 client in bare frames, which keeps none of the rules by itself.

use crate::{
    frames::{ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, frame},
    raw::connect_from,
    wait::soon,
};
use bytes::Bytes;
use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::mpsc,
};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const HEADER_TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The head of an answer. Its status only: the host writes it as an indexed field, or literally.
    Head {
        stream: u32,
        status: Option<u16>,
        ends: bool,
    },
    Data {
        stream: u32,
        bytes: usize,
        ends: bool,
    },
    /// With its error code.
    Reset {
        stream: u32,
        code: u32,
    },
    /// With its error code.
    GoAway(u32),
    Pong,
    Other(u8),
}

/// One connection, of which everything is read that comes.
#[derive(Debug)]
pub struct Attacker {
    write: OwnedWriteHalf,
    frames: mpsc::UnboundedReceiver<Frame>,
}

impl Attacker {
    /// Says hello; streams get a window of this many bytes.
    pub async fn open(address: SocketAddr, window: u32) -> Self {
        Self::greet(TcpStream::connect(address).await.unwrap(), window).await
    }

    /// As [`Attacker::open`], from an address of this machine.
    pub async fn open_from(from: [u8; 4], address: SocketAddr, window: u32) -> Self {
        Self::greet(connect_from(from, address).await, window).await
    }

    async fn greet(stream: TcpStream, window: u32) -> Self {
        stream.set_nodelay(true).unwrap();
        let (mut read, mut write) = stream.into_split();
        // Without a table of headers answers can be read one by one.
        let ours = [(HEADER_TABLE_SIZE, 0), (INITIAL_WINDOW_SIZE, window)];
        let ours: Vec<u8> =
            ours.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        write.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &ours)].concat()).await.unwrap();
        let (sender, frames) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(frame) = next(&mut read).await {
                if sender.send(frame).is_err() {
                    break;
                }
            }
        });
        Self { write, frames }
    }

    /// Whether all could be sent: the host may have closed the connection.
    pub async fn send(&mut self, pieces: impl IntoIterator<Item = Bytes>) -> bool {
        let sending = async {
            for piece in pieces {
                if self.write.write_all(&piece).await.is_err() {
                    return false;
                }
            }
            true
        };
        soon("the host to read, or to close the connection", sending).await
    }

    /// The next frame; `None`: the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        soon("a frame", self.frames.recv()).await
    }

    /// The status of the answer on this stream, or the error code with which the host reset it or ended the connection.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        loop {
            match self.next().await {
                Some(Frame::Head { stream: of, status, .. }) if of == stream => return Outcome::Status(status),
                Some(Frame::Reset { stream: of, code }) if of == stream => return Outcome::Reset(code),
                Some(Frame::GoAway(code)) if code != 0 => return Outcome::Ended(Some(code)),
                Some(_) => {}
                None => return Outcome::Ended(None),
            }
        }
    }

    /// All frames until the host closes the connection.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut came = Vec::new();
        while let Some(frame) = self.next().await {
            came.push(frame);
        }
        came
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Status(Option<u16>),
    Reset(u32),
    Ended(Option<u32>),
}

async fn next(read: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Frame> {
    let mut head = [0; 9];
    read.read_exact(&mut head).await?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let stream = u32::from_be_bytes(stream);
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    read.read_exact(&mut payload).await?;
    let number = |at: usize| payload.get(at..at + 4).map_or(0, |four| u32::from_be_bytes(four.try_into().unwrap()));
    Ok(match kind {
        HEADERS => Frame::Head { stream, status: status(&payload), ends: flags & END_STREAM != 0 },
        DATA => Frame::Data { stream, bytes: payload.len(), ends: flags & END_STREAM != 0 },
        RST_STREAM => Frame::Reset { stream, code: number(0) },
        GOAWAY => Frame::GoAway(number(4)),
        PING if flags & ACK != 0 => Frame::Pong,
        other => Frame::Other(other),
    })
}

/// The first field of a response's head (RFC 7541, appendix A and section 6): an index into the static table, or a literal behind one.
fn status(block: &[u8]) -> Option<u16> {
    // A change of the table's size may stand before it.
    let block = &block[block.iter().take_while(|byte| *byte >> 5 == 1).count()..];
    let known = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [index @ 0x88..=0x8e, ..] => Some(known[usize::from(index - 0x88)]),
        [_, 0x03, digits @ ..] => std::str::from_utf8(digits.get(..3)?).ok()?.parse().ok(),
        // Three digits in Huffman's code: each below 3 has five bits, the others six.
        [_, 0x82 | 0x83, ..] => huffman(&block[2..]),
        _ => None,
    }
}

fn huffman(bytes: &[u8]) -> Option<u16> {
    let bits: u32 = bytes.iter().take(3).fold(0, |bits, byte| bits << 8 | u32::from(*byte))
        << (8 * 3_usize.saturating_sub(bytes.len().min(3)));
    let (mut left, mut number) = (24, 0);
    for _ in 0..3 {
        let five = bits >> (left - 5) & 31;
        let digit = if five < 3 {
            left -= 5;
            five
        } else {
            left -= 6;
            (bits >> left & 63).checked_sub(0x19)? + 3
        };
        number = number * 10 + digit;
    }
    u16::try_from(number).ok()
}

/// The fields of a request, literally, and never remembered.
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            out.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// The head of a request for this path.
pub fn head(method: &str, path: &str) -> Vec<u8> {
    fields(&[(":method", method), (":scheme", "http"), (":authority", "test"), (":path", path)])
}

/// A whole GET.
pub fn get(stream: u32, path: &str) -> Bytes {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", path))
}

/// The beginning of a POST.
pub fn post(stream: u32, path: &str) -> Bytes {
    frame(HEADERS, END_HEADERS, stream, &head("POST", path))
}

/// The head of a GET with this block behind it, as one frame.
pub fn get_with(stream: u32, path: &str, block: &[u8]) -> Bytes {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &[head("GET", path), block.to_vec()].concat())
}

/// The beginning of a POST, with this block behind its head.
pub fn post_with(stream: u32, path: &str, block: &[u8]) -> Bytes {
    frame(HEADERS, END_HEADERS, stream, &[head("POST", path), block.to_vec()].concat())
}

/// A head that goes on in further frames.
pub fn open_head(stream: u32, path: &str) -> Bytes {
    frame(HEADERS, END_STREAM, stream, &head("GET", path))
}

pub fn continuation(stream: u32, block: &[u8]) -> Bytes {
    frame(CONTINUATION, 0, stream, block)
}

pub fn data(stream: u32, bytes: &[u8]) -> Bytes {
    frame(DATA, 0, stream, bytes)
}

pub fn reset(stream: u32) -> Bytes {
    // CANCEL
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

pub fn window(stream: u32, bytes: u32) -> Bytes {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

pub fn ping() -> Bytes {
    frame(PING, 0, 0, &[7; 8])
}

pub fn settings() -> Bytes {
    frame(SETTINGS, 0, 0, &[])
}
