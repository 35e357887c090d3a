//! The end of a listener, by which nobody is lost who was let in.
//!
//! The system lets clients in before anybody accepts them, and they may have sent a request by then. Where the listener is closed at that
//! moment they are reset, and can't know whether it was seen: a gateway must not send a POST again. So for a moment before its end the
//! listener begins no more connections. The first packet of a new one is dropped; its client sends it again a second later, and is refused
//! then, having sent nothing. Those that are half made meanwhile come to be made, and are accepted.

use std::time::Duration;
use tokio::net::TcpListener;

/// For how long. A handshake that has begun takes one round trip, and gateways are near; and whoever begins one meanwhile waits a second.
pub(super) const MOMENT: Duration = Duration::from_millis(10);

/// From now on no connection begins here, and those that have begun may be accepted still. Elsewhere than on Linux nothing of it happens.
#[cfg(target_os = "linux")]
pub(super) fn begin_no_more(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};
    // Classic BPF, run on the TCP header of what comes for the listener: load the flags; are they with SYN? drop it; else take it whole.
    const FLAGS: u32 = 13;
    const SYN: u32 = 2;
    let program = [
        SockFilter::new(0x30, 0, 0, FLAGS),
        SockFilter::new(0x45, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&program) {
        tracing::debug!("connections that begin as the listener ends may be reset: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn begin_no_more(_: &TcpListener) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::{net::TcpStream, time::timeout};

    #[tokio::test]
    async fn who_was_let_in_is_accepted_and_who_comes_after_is_refused_when_the_listener_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let before = TcpStream::connect(address).await.unwrap();
        begin_no_more(&listener);
        let mut after = std::pin::pin!(TcpStream::connect(address));
        assert!(timeout(Duration::from_millis(50), &mut after).await.is_err(), "neither let in nor refused");
        let (_, accepted) = listener.accept().await.unwrap();
        assert_eq!(accepted, before.local_addr().unwrap());
        assert!(timeout(Duration::from_millis(50), listener.accept()).await.is_err());
        drop(listener);
        let refused = after.await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
