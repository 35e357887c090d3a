//! Addresses as callers are told apart by them.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// An address of IPv4, or the /64 of one of IPv6: one customer holds at least that much, and can be any address in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet(IpAddr);

impl From<IpAddr> for Subnet {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
            v4 => v4,
        })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_one_subnet() {
        let subnet = |text: &str| Subnet::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(subnet("2001:db8:1:2:3::4"), subnet("2001:db8:1:2:ffff::"));
        assert_ne!(subnet("2001:db8:1:2::"), subnet("2001:db8:1:3::"));
        assert_ne!(subnet("10.0.0.1"), subnet("10.0.0.2"));
        assert_eq!(subnet("::ffff:10.0.0.1"), subnet("10.0.0.1"), "an address of IPv4 in another dress");
        assert_eq!(subnet("2001:db8::7").to_string(), "2001:db8::/64");
    }
}
