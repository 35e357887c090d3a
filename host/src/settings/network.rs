//! A range of addresses, written `"10.0.0.0/8"`.

use super::FromValue;
use std::net::IpAddr;
use toml::de::DeValue;

/// Addresses that begin with the same bits. One address alone is a range too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`. The message says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let wrong = || format!("expected {}, found {text:?}", Self::expected());
        let first: IpAddr = address.parse().map_err(|_| wrong())?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.parse::<u32>()).map_err(|_| wrong())?;
        if bits > all {
            return Err(wrong());
        }
        let network = Self { first, bits };
        if number(first) & !network.mask() != 0 {
            return Err(format!("{text} has bits beyond its first {bits}; expected the first address of the range"));
        }
        Ok(network)
    }

    /// An IPv4 address in IPv6's clothes is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && number(address) & self.mask() == number(self.first)
    }

    /// Every address that there is.
    pub fn is_everything(&self) -> bool {
        self.bits == 0
    }

    fn mask(&self) -> u128 {
        let all = if self.first.is_ipv4() { 32 } else { 128 };
        let ones = if all == 32 { u128::from(u32::MAX) } else { u128::MAX };
        ones.checked_shl(all - self.bits).unwrap_or(0) & ones
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromValue for Network {
    fn expected() -> String {
        "a range of addresses such as \"10.0.0.0/8\"".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        value.as_str().map(Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_own_addresses_and_no_other() {
        let holds = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        for (network, inside) in [
            ("10.0.0.0/8", "10.255.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3"),
            ("192.0.2.7", "192.0.2.7"),
            ("0.0.0.0/0", "203.0.113.9"),
            ("fd00::/8", "fdff::1"),
            ("::/0", "2001:db8::1"),
            ("::1", "::1"),
        ] {
            assert!(holds(network, inside), "{inside} in {network}");
        }
        for (network, outside) in [
            ("10.0.0.0/8", "11.0.0.0"),
            ("10.0.0.0/8", "::a00:1"),
            ("192.0.2.7", "192.0.2.6"),
            ("fd00::/8", "fc00::1"),
            ("0.0.0.0/0", "::1"),
            ("::/0", "127.0.0.1"),
        ] {
            assert!(!holds(network, outside), "{outside} in {network}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/-1", "10.0/8", "fd00::1/8", "gateway", "10.0.0.0/8/8"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
