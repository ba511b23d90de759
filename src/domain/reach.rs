//! Which addresses of others this installation calls: the public ones, over
//! HTTPS, and what its operator allows besides.
use super::peer::Net;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use url::{Host, Url};

/// Ports that are called on any public host.
const PORTS: [u16; 4] = [80, 443, 8080, 8443];
/// Bytes of a URL.
const LONGEST: usize = 2_048;

/// What may be called although it is not public: hosts by name, wherever they
/// are, and ranges of addresses. Both by plain HTTP and on every port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allow {
    hosts: Vec<String>,
    nets: Vec<Net>,
}

/// Neither a host name nor a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a host name nor a range of addresses")]
pub struct NotAllowable;

impl Allow {
    /// Nothing besides what is public.
    pub const NOTHING: Self = Self {
        hosts: Vec::new(),
        nets: Vec::new(),
    };

    /// This machine: for installations that nobody else reaches.
    #[must_use]
    pub fn this_machine() -> Self {
        Self {
            hosts: vec!["localhost".into()],
            nets: Net::LOOPBACK.to_vec(),
        }
    }

    /// Reads one host name or range, and allows it.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn add(&mut self, item: &str) -> Result<(), NotAllowable> {
        if let Ok(net) = Net::from_str(item) {
            self.nets.push(net);
            return Ok(());
        }
        match Host::parse(item) {
            Ok(Host::Domain(name)) if !item.contains('*') => {
                self.hosts.push(without_dot(&name).to_owned());
                Ok(())
            }
            _ => Err(NotAllowable),
        }
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.nets.is_empty()
    }

    fn names(&self, host: &str) -> bool {
        let host = without_dot(host);
        self.hosts.iter().any(|name| name == host)
    }

    fn covers(&self, address: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(address))
    }

    /// Whether `host`, which resolves to `address`, may be called there.
    #[must_use]
    pub fn lets(&self, host: &str, address: IpAddr) -> bool {
        is_public(address) || self.covers(address) || self.names(host)
    }
}

/// Why a URL is not called, in a sentence for whoever gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("Give a whole URL, such as https://example.com/done.")]
    NoUrl,
    #[error("A URL has 2,048 bytes at most.")]
    Long,
    #[error("Use https. Plain http is for localhost alone.")]
    Plain,
    #[error(
        "Leave user and password out of the URL: callback_auth_token is sent as a bearer token."
    )]
    User,
    #[error("Use one of the ports 443, 8443, 80 and 8080.")]
    Port,
    #[error(
        "This installation does not call addresses of private networks or of its own machine, unless its operator allows it (callback_allow)."
    )]
    Private,
}

/// The URL, as far as it can be judged before its host is looked up.
///
/// # Errors
///
/// If nobody may have it called here.
pub fn check(text: &str, allow: &Allow) -> Result<Url, Refused> {
    if text.len() > LONGEST {
        return Err(Refused::Long);
    }
    if text.chars().any(super::text::is_invisible_order) {
        return Err(Refused::NoUrl);
    }
    let mut url = Url::parse(text).map_err(|_| Refused::NoUrl)?;
    url.set_fragment(None);
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Plain);
    }
    let (opened, local, private) = match url.host().ok_or(Refused::NoUrl)? {
        Host::Domain(name) => {
            let local = is_localhost(name);
            let opened = allow.names(name);
            (opened, local, local && !opened)
        }
        Host::Ipv4(address) => literal(address.into(), allow),
        Host::Ipv6(address) => literal(address.into(), allow),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::User);
    }
    if url.scheme() == "http" && !local && !opened {
        return Err(Refused::Plain);
    }
    if private {
        return Err(Refused::Private);
    }
    let port = url.port_or_known_default().ok_or(Refused::Port)?;
    if !opened && !PORTS.contains(&port) {
        return Err(Refused::Port);
    }
    Ok(url)
}

/// Whether the operator has opened it, whether it is this machine, whether it is out of bounds.
fn literal(address: IpAddr, allow: &Allow) -> (bool, bool, bool) {
    let opened = allow.covers(address) || allow.names(&address.to_string());
    let local = address.to_canonical().is_loopback();
    (opened, local, !opened && !is_public(address))
}

fn is_localhost(name: &str) -> bool {
    let name = without_dot(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The URL without what may be secret: user, query and fragment.
#[must_use]
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// Host and port: who is called.
#[must_use]
pub fn receiver(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", without_dot(url.host_str().unwrap_or_default()))
}

/// Whether an address is one that anybody on the internet can be reached under.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !RESERVED_V4
            .iter()
            .any(|(net, prefix)| same_v4(address, *net, *prefix)),
        IpAddr::V6(address) => {
            same_v6(address, [0x2000, 0, 0], 3)
                && !RESERVED_V6
                    .iter()
                    .any(|(net, prefix)| same_v6(address, *net, *prefix))
        }
    }
}

/// IANA's special-purpose registry, multicast and what is left of class E.
const RESERVED_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Inside of `2000::/3`, the only range that is public at all: protocol assignments
/// with Teredo, documentation, and 6to4, which hides IPv4 addresses.
const RESERVED_V6: [([u16; 3], u32); 4] = [
    ([0x2001, 0, 0], 23),
    ([0x2001, 0xdb8, 0], 32),
    ([0x2002, 0, 0], 16),
    ([0x3fff, 0, 0], 20),
];

fn same_v4(address: Ipv4Addr, net: [u8; 4], prefix: u32) -> bool {
    (address.to_bits() ^ u32::from_be_bytes(net)) >> (32 - prefix) == 0
}

fn same_v6(address: Ipv6Addr, [a, b, c]: [u16; 3], prefix: u32) -> bool {
    let net = Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
    (address.to_bits() ^ net.to_bits()) >> (128 - prefix) == 0
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nets = self.nets.iter().map(ToString::to_string);
        let all: Vec<String> = self.hosts.iter().cloned().chain(nets).collect();
        f.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "0",
            "0.0.0.0",
            "①②⑦.0.0.1",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[3fff::1]",
            "[5f00::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
        ] {
            let url = format!("https://{host}/x");
            assert_eq!(check(&url, &Allow::NOTHING), Err(Refused::Private), "{url}");
        }
    }

    #[test]
    fn what_is_public_or_allowed_is_called() {
        let mut allow = Allow::this_machine();
        for item in ["hooks.internal", "10.1.0.0/16", "fd00::/8"] {
            allow.add(item).unwrap();
        }
        for url in [
            "https://example.com/a?b=c#d",
            "https://1.1.1.1",
            "https://[2606:4700::1111]:8443/",
            "https://example.com:8080",
            "https://172.32.0.1/",
            "https://100.128.0.1/",
            "http://localhost:3000/x",
            "http://127.0.0.1:9/",
            "http://[::1]:9/",
            "http://hooks.internal:9000/",
            "http://HOOKS.internal./",
            "http://10.1.2.3:81/",
            "https://[fd12::1]:1/",
        ] {
            assert!(
                check(url, &allow).is_ok(),
                "{url}: {:?}",
                check(url, &allow)
            );
        }
        for (url, why) in [
            ("example.com", Refused::NoUrl),
            ("", Refused::NoUrl),
            ("https://", Refused::NoUrl),
            ("ftp://example.com/", Refused::Plain),
            ("file:///etc/passwd", Refused::Plain),
            ("http://example.com/", Refused::Plain),
            ("http://10.2.0.1/", Refused::Plain),
            ("https://10.2.0.1/", Refused::Private),
            ("https://example.com:22/", Refused::Port),
            ("https://a:b@example.com/", Refused::User),
            ("https://a@example.com/", Refused::User),
            ("https://exa\u{202e}mple.com/", Refused::NoUrl),
            ("https://e.com/\r\nX: y", Refused::NoUrl),
        ] {
            assert_eq!(check(url, &allow), Err(why), "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(2_048));
        assert_eq!(check(&long, &allow), Err(Refused::Long));
        for bad in ["10.0.0.0/40", "*.example.com", "a b", ""] {
            assert_eq!(Allow::default().add(bad), Err(NotAllowable), "{bad}");
        }
    }

    #[test]
    fn names_do_not_open_what_they_resolve_to_for_others() {
        let mut allow = Allow::NOTHING;
        allow.add("inside.example").unwrap();
        let private: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(allow.lets("inside.example", private));
        assert!(!allow.lets("outside.example", private));
        assert!(allow.lets("outside.example", "1.1.1.1".parse().unwrap()));
        assert_eq!(
            Allow::this_machine().to_string(),
            "localhost,127.0.0.1/8,::1/128"
        );
    }

    #[test]
    fn nothing_secret_is_shown() {
        let url = Url::parse("https://a:b@example.com/p/q?key=1#x").unwrap();
        assert_eq!(shown(&url), "https://example.com/p/q");
        assert_eq!(receiver(&url), "example.com:443");
    }
}
