//! What balancers and gateways say of those behind them: the PROXY protocol, `x-forwarded-for`, `traceparent`.

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, SocketAddr};
use weft_core::{
    model::{Trace, TraceFormats},
    net::{Peers, ProxyError, read_proxy_header},
};

/// The first byte says which: `f`orwarded, `p`roxy, `t`raceparent.
pub fn forwarded(bytes: &[u8]) -> bool {
    match bytes.split_first() {
        Some((b'f', rest)) => hops(rest),
        Some((b't', rest)) => trace(rest),
        Some((_, rest)) => proxy(rest),
        None => false,
    }
}

/// The address at its place, and not a byte read behind the header.
fn proxy(bytes: &[u8]) -> bool {
    let mut left = bytes;
    match read_proxy_header(&mut left).now_or_never().unwrap() {
        Ok(found) => {
            let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
            assert_eq!(bytes.len() - left.len(), 16 + length);
            let is_local = bytes[12] == 0x20;
            let expected: Option<IpAddr> = match bytes[13] {
                _ if is_local => None,
                0x11 => Some(<[u8; 4]>::try_from(&bytes[16..20]).unwrap().into()),
                0x21 => Some(<[u8; 16]>::try_from(&bytes[16..32]).unwrap().into()),
                _ => None,
            };
            assert_eq!(found.map(|address| address.ip()), expected);
        }
        Err(ProxyError::Signature) => assert!(!bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n")),
        Err(ProxyError::Io(_)) => assert!(left.is_empty(), "only what breaks off breaks off"),
        Err(ProxyError::Malformed(_)) => {
            let length = u16::from_be_bytes([bytes[14], bytes[15]]);
            let needed = [(0x11, 12), (0x21, 36)].into_iter().find(|(family, _)| *family == bytes[13]);
            let is_short = needed.is_some_and(|(_, needed)| length < needed);
            assert!(length > 4 << 10 || ![0x20, 0x21].contains(&bytes[12]) || is_short, "it is as it has to be");
        }
    }
    bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n")
}

/// Lines of the header: the client is whom the chain of listed peers names, and nothing that stands left of it matters.
fn hops(bytes: &[u8]) -> bool {
    let peers = Peers::parse(&["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()]).unwrap();
    let (listed, other) = (SocketAddr::from(([10, 0, 0, 1], 7)), SocketAddr::from(([192, 0, 2, 1], 7)));
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { return false };
        headers.append("x-forwarded-for", value);
    }
    assert_eq!(peers.client_of(other, &headers), other, "nobody else speaks for others");
    let client = peers.client_of(listed, &headers);
    let mut more = HeaderMap::new();
    more.append("x-forwarded-for", HeaderValue::from_static("203.0.113.9, 10.3.3.3"));
    more.extend(
        headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|line| (http::header::HeaderName::from_static("x-forwarded-for"), line.clone())),
    );
    if !peers.contains(client.ip()) {
        assert_eq!(peers.client_of(listed, &more), client, "what a client writes itself stands left of what is true");
    }
    client != listed
}

/// A trace goes on only where it is whole; what is passed on is whole always.
fn trace(bytes: &[u8]) -> bool {
    let read = |bytes: &[u8]| {
        let value = HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static("none"));
        let headers = HeaderMap::from_iter([(http::header::HeaderName::from_static("traceparent"), value)]);
        Trace::receive(&headers, TraceFormats::default(), true).trace.context
    };
    let context = read(bytes);
    let passed_on = context.to_string();
    assert_eq!(passed_on.len(), 55);
    assert!(context.trace_id != 0 && context.span_id != 0);
    let again = read(passed_on.as_bytes());
    assert_eq!((again.trace_id, again.sampled), (context.trace_id, context.sampled));
    assert_ne!(again.span_id, context.span_id, "each has a span of its own");
    bytes.windows(32).any(|id| id == format!("{:032x}", context.trace_id).as_bytes())
}
