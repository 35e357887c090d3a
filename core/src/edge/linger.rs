//! The end of a connection of HTTP/1 whose client still sends what nobody wants any more.
//!
//! A connection that is closed while bytes of its client lie unread is reset, and a client that is reset may never see the answer that
//! said why. So what it sends is read and thrown away for a while, until it has read its answer and closes (RFC 9112, section 9.6).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Sleep, sleep},
};

/// For how long.
const LONGEST: Duration = Duration::from_secs(5);
/// And for how many bytes.
const MOST: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
    /// The client has something to send, for all that is known.
    is_sending: bool,
}

impl Linger {
    pub(super) fn new(is_sending: bool) -> Self {
        Self { until: Box::pin(sleep(LONGEST)), left: MOST, is_sending }
    }

    /// Ready once the client is done, or has had its time.
    pub(super) fn poll(&mut self, mut client: Pin<&mut impl AsyncRead>, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; 8 << 10];
        loop {
            let mut bytes = ReadBuf::new(&mut room);
            match client.as_mut().poll_read(cx, &mut bytes) {
                Poll::Ready(Ok(())) if !bytes.filled().is_empty() => {
                    self.is_sending = true;
                    self.left = self.left.saturating_sub(bytes.filled().len());
                    if self.left == 0 {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if self.is_sending => {
                    ready!(self.until.as_mut().poll(cx));
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Ready(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    async fn linger(mut stream: DuplexStream, is_sending: bool) {
        let mut linger = Linger::new(is_sending);
        poll_fn(|cx| linger.poll(Pin::new(&mut stream), cx)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_done_keeps_nobody_waiting() {
        let began = tokio::time::Instant::now();
        let (client, host) = duplex(100);
        linger(host, false).await;
        let (mut gone, host) = duplex(100);
        gone.write_all(b"more").await.unwrap();
        drop(gone);
        linger(host, true).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_goes_on_is_waited_for_within_bounds() {
        let began = tokio::time::Instant::now();
        let (client, host) = duplex(100);
        linger(host, true).await;
        assert_eq!(began.elapsed(), LONGEST, "one that says nothing");
        drop(client);
        let (mut client, host) = duplex(64 << 10);
        let sending = tokio::spawn(async move {
            let mut sent = 0;
            while client.write_all(&[b'x'; 32 << 10]).await.is_ok() {
                sent += 32 << 10;
            }
            sent
        });
        linger(host, true).await;
        assert!(began.elapsed() < 2 * LONGEST);
        assert!((MOST - (64 << 10)..MOST + (128 << 10)).contains(&sending.await.unwrap()), "one that says too much");
    }
}
