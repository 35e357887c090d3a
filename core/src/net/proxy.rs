//! The PROXY protocol, version 2: who is behind a connection that a balancer passes on
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, section 2.2).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};
use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Addresses and what balancers add to them; the protocol allows for 64 KiB, and nobody needs it.
const LONGEST: usize = 4 << 10;

/// Why a connection does not begin as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("the connection broke off in its PROXY header: {0}")]
    Io(#[from] io::Error),
    #[error("the connection does not begin with a PROXY header of version 2")]
    Signature,
    #[error("the PROXY header is {0}")]
    Malformed(&'static str),
}

/// Reads the header, and nothing behind it. `None`: the balancer speaks for itself (a health check).
pub async fn read_proxy_header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, ProxyError> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let [signature @ .., kind, family, high, low] = head;
    if signature != SIGNATURE {
        return Err(ProxyError::Signature);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST {
        return Err(ProxyError::Malformed("too long"));
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match kind {
        0x20 => Ok(None),
        0x21 => source(family, &rest),
        _ => Err(ProxyError::Malformed("of an unknown version or command")),
    }
}

/// The first of the two addresses; families other than TCP over IP have none that could be used.
fn source(family: u8, rest: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let short = ProxyError::Malformed("too short for its addresses");
    match family {
        0x11 => {
            let (Some(ip), Some(port)) = (rest.first_chunk::<4>(), rest.get(8..10)) else { return Err(short) };
            Ok(Some(address(Ipv4Addr::from(*ip).into(), port)))
        }
        0x21 => {
            let (Some(ip), Some(port)) = (rest.first_chunk::<16>(), rest.get(32..34)) else { return Err(short) };
            Ok(Some(address(Ipv6Addr::from(*ip).into(), port)))
        }
        _ => Ok(None),
    }
}

fn address(ip: IpAddr, port: &[u8]) -> SocketAddr {
    SocketAddr::new(ip, port.iter().fold(0, |port, byte| port << 8 | u16::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[kind, family], &length, rest].concat()
    }

    async fn read(bytes: &[u8]) -> Result<(Option<String>, usize), String> {
        let mut stream = bytes;
        let found = read_proxy_header(&mut stream).await.map_err(|error| error.to_string())?;
        Ok((found.map(|address| address.to_string()), stream.len()))
    }

    #[tokio::test]
    async fn the_address_is_read_and_what_follows_is_left() {
        let v4 = [1, 2, 3, 4, 9, 9, 9, 9, 0x10, 0x01, 0, 80, 3, 0, 1, 0];
        let bytes = [header(0x21, 0x11, &v4), b"GET /".to_vec()].concat();
        assert_eq!(read(&bytes).await.unwrap(), (Some("1.2.3.4:4097".into()), 5));
        let mut v6 = [0; 36];
        v6[15] = 1;
        v6[33] = 7;
        assert_eq!(read(&header(0x21, 0x21, &v6)).await.unwrap(), (Some("[::1]:7".into()), 0));
        assert_eq!(read(&header(0x20, 0, &[])).await.unwrap(), (None, 0), "a health check");
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        assert!(read(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap_err().contains("does not begin"));
        assert!(read(&header(0x21, 0x11, &[1, 2, 3])).await.unwrap_err().contains("too short"));
        assert!(read(&header(0x11, 0x11, &[0; 12])).await.unwrap_err().contains("unknown version"));
        assert!(read(&header(0x21, 0x11, &[0; 5000])).await.unwrap_err().contains("too long"));
        assert!(read(&header(0x21, 0x11, &[0; 12])[..20]).await.unwrap_err().contains("broke off"));
    }
}
