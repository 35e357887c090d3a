//! The body of an answer in parts.

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// Each part leaves as soon as it is there. When this is dropped, whoever makes the parts hears of it.
#[derive(Debug)]
pub(super) struct Events(pub(super) mpsc::Receiver<Bytes>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
