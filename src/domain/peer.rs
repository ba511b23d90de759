//! Who sent a request, and to which of our sites: what the listener learned,
//! left in the request's extensions for everything behind it.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// The address of the client: of the socket, or what a trusted proxy said.
/// An IPv4 address is never written as IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer(pub IpAddr);

impl Peer {
    /// What limits count: one IPv4 address, or an IPv6 /64, which one customer has whole.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        }
    }
}

/// Names one request in the log and, as `x-request-id`, to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which site a request is for, by its `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// Pages and API.
    Portal,
    /// The app at this label of the apps domain, in lower case.
    App(Arc<str>),
}

/// A range of addresses, such as `10.0.0.0/8`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    /// Leading bits that count.
    prefix: u8,
}

impl Net {
    pub const LOOPBACK: [Self; 2] = [
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            prefix: 8,
        },
        Self {
            address: IpAddr::V6(Ipv6Addr::LOCALHOST),
            prefix: 128,
        },
    ];

    /// The range itself, without the bits that do not count.
    #[must_use]
    pub fn base(&self) -> Self {
        let prefix = u32::from(self.prefix);
        // A shift by the full width keeps nothing.
        let address = match self.address {
            IpAddr::V4(net) => {
                let kept = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(net.to_bits() & kept))
            }
            IpAddr::V6(net) => {
                let kept = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(net.to_bits() & kept))
            }
        };
        Self { address, ..*self }
    }

    /// Whether it is one address.
    #[must_use]
    pub const fn is_single(&self) -> bool {
        self.prefix == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether it is written as IPv6 and means IPv4, which no address that arrives does.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        matches!(self.address, IpAddr::V6(net) if net.to_ipv4_mapped().is_some())
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // A shift by the full width is a prefix of nothing: everything matches.
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let differ = net.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let differ = net.to_bits() ^ address.to_bits();
                differ
                    .checked_shr(128 - u32::from(self.prefix))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Not an address and not a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address range")]
pub struct NotANet;

impl FromStr for Net {
    type Err = NotANet;

    fn from_str(text: &str) -> Result<Self, NotANet> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANet)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), str::parse).map_err(|_| NotANet)?;
        if prefix > most {
            return Err(NotANet);
        }
        Ok(Self { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_contains_its_addresses() {
        for (net, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            let parsed: Net = net.parse().unwrap();
            assert_eq!(
                parsed.contains(address.parse().unwrap()),
                inside,
                "{net} {address}"
            );
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "host",
        ] {
            assert_eq!(bad.parse::<Net>(), Err(NotANet), "{bad}");
        }
    }

    #[test]
    fn limits_count_an_ipv6_customer_once() {
        let network = |text: &str| Peer(text.parse().unwrap()).network();
        assert_eq!(
            network("2001:db8:1:2:3::4"),
            network("2001:db8:1:2:ffff::1")
        );
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
