//! A connection's bytes on their way, and what its activity learns from them. And a body, handed over in pieces.

use super::{
    activity::{Activity, UnderWay},
    framing::{Came, Framing},
    held::Holding,
    linger::Linger,
};
use crate::net::Incoming;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Pieces of a body on HTTP/2: what a client without a window can make the host hold for one stream.
const SMALL: usize = 16 << 10;
/// Pieces on HTTP/1, where there is one body at a time. Small enough that each that is taken is a sign of a client that reads.
const LARGE: usize = 64 << 10;

/// A stream that leaves its marks.
#[derive(Debug)]
pub(super) struct Tracked {
    inner: Incoming,
    activity: Arc<Activity>,
    begin: Begin,
    /// The client has sent all that it will.
    has_ended: bool,
    /// The client is told that the host says no more.
    linger: Option<Linger>,
}

/// What the first bytes say.
#[derive(Debug)]
enum Begin {
    Http1,
    /// So it is, or may still be.
    Http2(Framing),
}

impl Tracked {
    pub(super) fn new(inner: Incoming, activity: Arc<Activity>) -> Self {
        Self { inner, activity, begin: Begin::Http2(Framing::default()), has_ended: false, linger: None }
    }

    fn came(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Begin::Http2(framing) = &mut self.begin {
            let came = framing.follow(bytes);
            if came != Came::Other {
                self.activity.frames(framing.is_http2(), came);
                return;
            }
            self.activity.no_frames();
            self.begin = Begin::Http1;
        }
        self.activity.arriving();
    }

    fn went(&self, result: &Poll<io::Result<usize>>, offered: usize) {
        match result {
            Poll::Ready(Ok(count)) => self.activity.wrote(Some(*count), offered),
            Poll::Pending => self.activity.wrote(None, offered),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl AsyncRead for Tracked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (before, room) = (buf.filled().len(), buf.remaining());
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        this.has_ended |= buf.filled().len() == before && room > 0;
        this.came(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.went(&result, buf.len());
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.went(&result, bufs.iter().map(|buf| buf.len()).sum());
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_flush(cx);
        if result.is_pending() {
            this.activity.wrote(None, 0);
        }
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            let result = Pin::new(&mut this.inner).poll_shutdown(cx);
            if result.is_pending() {
                this.activity.wrote(None, 0);
            }
            ready!(result)?;
        }
        if !this.has_ended && matches!(this.begin, Begin::Http1) {
            let linger = this.linger.get_or_insert_with(|| Linger::new(this.activity.is_unfinished()));
            ready!(linger.poll(Pin::new(&mut this.inner), cx));
            this.has_ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// A request's body, which tells whether it has come to its end.
#[derive(Debug)]
pub(super) struct Arriving {
    inner: hyper::body::Incoming,
    activity: Arc<Activity>,
    is_whole: bool,
}

impl Arriving {
    pub(super) fn new(inner: hyper::body::Incoming, activity: Arc<Activity>) -> Self {
        Self { is_whole: inner.is_end_stream(), inner, activity }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        this.is_whole |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.is_whole && !self.inner.is_end_stream() {
            self.activity.unfinished();
        }
    }
}

/// An answer's body in pieces: the next one is handed over when the client has room for it, which is the progress that is watched.
#[derive(Debug)]
pub(super) struct Paced {
    inner: Body,
    rest: Bytes,
    piece: usize,
    under_way: UnderWay,
    holding: Option<Arc<Holding>>,
}

impl Paced {
    pub(super) fn new(
        inner: Body,
        version: http::Version,
        mut under_way: UnderWay,
        holding: Option<Arc<Holding>>,
    ) -> Self {
        let many_at_once = version == http::Version::HTTP_2;
        if many_at_once {
            under_way.watch_body();
        }
        Self { inner, rest: Bytes::new(), piece: if many_at_once { SMALL } else { LARGE }, under_way, holding }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        this.under_way.progress();
        if let Some(holding) = &this.holding {
            holding.moved();
        }
        if this.rest.is_empty() {
            let mut next = this.inner.frame();
            match Pin::new(&mut next).poll(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Poll::Ready(ended) => return Poll::Ready(ended),
                // An answer in parts, whose next part is not there yet.
                Poll::Pending => {
                    this.under_way.rests();
                    return Poll::Pending;
                }
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(this.piece));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        match hint.exact() {
            Some(exact) => hint.set_exact(exact + rest),
            None => hint.set_lower(hint.lower() + rest),
        }
        hint
    }
}
