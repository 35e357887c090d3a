//! `HOST:PORT`, as people and registries write it.

use super::{Nonsense, Reached};
use http::Uri;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The URI of an instance. IPv6 stands in brackets; without them only where it is clear which part is the port.
pub(super) fn uri(scheme: &str, text: &str) -> Result<Uri, String> {
    let (host, port) = split(text)?;
    let is_odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'));
    if host.is_empty() {
        return Err("there is no host".to_owned());
    }
    if host.contains(is_odd) || host.len() > 255 {
        return Err("that is no host name or address".to_owned());
    }
    let uri = format!("{scheme}://{host}:{port}").parse::<Uri>().map_err(|error| error.to_string())?;
    match uri.port_u16() {
        Some(found) if found == port && uri.path() == "/" => Ok(uri),
        _ => Err("that is no host and port".to_owned()),
    }
}

/// The same of an address that is one.
pub(super) fn of(scheme: &str, ip: IpAddr, port: u16) -> Result<Uri, String> {
    if ip.is_unspecified() {
        return Err(format!("{ip} is nobody's address"));
    }
    uri(scheme, &SocketAddr::new(ip, port).to_string())
}

/// As a registry tells of an instance: `10.0.0.1:9000`.
pub(super) fn of_instance(reached: Reached, text: &str) -> Result<Uri, (Nonsense, String)> {
    let wrong = |reason| (Nonsense::Address, format!("address {text:?}: {reason}"));
    let uri = uri(reached.scheme(), text).map_err(wrong)?;
    match uri.host() {
        Some("0.0.0.0" | "[::]") => Err((Nonsense::Address, format!("address {text:?} is nobody's"))),
        _ => Ok(uri),
    }
}

/// As kratos writes it, with what is spoken there: `grpc://10.0.0.1:9000`; with TLS `grpcs://…`, or `grpc://…?isSecure=true` of older
/// ones. `OtherProtocol`: this backend speaks something else.
pub(super) fn of_url(reached: Reached, endpoint: &str) -> Result<Uri, (Nonsense, String)> {
    let unreadable = || (Nonsense::Address, format!("endpoint {endpoint:?}: expected SCHEME://HOST:PORT"));
    let (scheme, rest) = endpoint.split_once("://").ok_or_else(unreadable)?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let plain = if reached.rest { "http" } else { "grpc" };
    let is_ours = scheme == plain || scheme.strip_suffix('s') == Some(plain);
    let is_secure = scheme != plain || query.split('&').any(|option| option.eq_ignore_ascii_case("isSecure=true"));
    if !is_ours || is_secure != reached.tls {
        let wanted = if reached.tls { format!("{plain} over TLS") } else { format!("{plain} without TLS") };
        return Err((Nonsense::OtherProtocol, format!("endpoint {endpoint:?}: this backend speaks {wanted}")));
    }
    of_instance(reached, place.strip_suffix('/').unwrap_or(place))
}

/// Host, in brackets where it has colons, and port.
fn split(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').ok_or("there is no port")?;
    let number = port.parse::<u16>().ok().filter(|number| *number > 0 && port.bytes().all(|b| b.is_ascii_digit()));
    let number = number.ok_or_else(|| format!("{port:?} is no port from 1 to 65535"))?;
    if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.strip_suffix(']').ok_or("the bracket does not end")?;
        let ip: Ipv6Addr = inside.parse().map_err(|_| format!("{inside:?} is no IPv6 address"))?;
        return Ok((format!("[{ip}]"), number));
    }
    if host.contains(':') {
        let ip: Ipv6Addr = host.parse().map_err(|_| format!("{host:?} is no IPv6 address"))?;
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err("it is an IPv6 address without brackets, and where its port begins can't be told".to_owned());
        }
        return Ok((format!("[{ip}]"), number));
    }
    Ok((host.to_owned(), number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_they_are_written_and_nonsense_is_told_apart() {
        let good = [
            ("10.0.0.1:80", "http://10.0.0.1:80/"),
            ("films.example:50051", "http://films.example:50051/"),
            ("films_2.example:1", "http://films_2.example:1/"),
            ("[::1]:65535", "http://[::1]:65535/"),
            ("[FE80::1]:9000", "http://[fe80::1]:9000/"),
            ("2001:db8:0:0:0:0:0:1:9000", "http://[2001:db8::1]:9000/"),
        ];
        for (text, expected) in good {
            assert_eq!(uri("http", text).unwrap().to_string(), expected, "{text}");
        }
        let bad = [
            "",
            ":",
            ":80",
            "host",
            "host:",
            "host:0",
            "host:99999",
            "host:-1",
            "host:+1",
            "host: 80",
            "a b:80",
            "[::1:80",
            "[::1]",
            "::1:80",
            "[x]:80",
            "[fe80::1%eth0]:80",
            "user@host:80",
            "host/path:80",
            "host:80/path",
            "http://host:80",
            "a,b:80",
            "\u{0}:80",
            "ü:80",
            "host?x:80",
            "a:b:80",
            "[]:80",
            "]:80",
        ];
        for text in bad {
            assert!(uri("http", text).is_err(), "{text:?} is {:?}", uri("http", text));
        }
        assert!(uri("http", &format!("{}:80", "a".repeat(300))).is_err());
        assert!(of("http", "0.0.0.0".parse().unwrap(), 80).is_err());
        assert_eq!(of("https", "::1".parse().unwrap(), 80).unwrap().to_string(), "https://[::1]:80/");
    }
}
