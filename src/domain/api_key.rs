//! Keys with which programs act for a workspace: what they look like, what they
//! may do and from where.
use crate::domain::peer::Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// The digits of a key.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What every key begins with, and nothing else of ours does.
pub const PREFIX: &str = "jg_";
/// Random digits of a key: 226 bits.
pub const RANDOM_DIGITS: usize = 38;
const CHECK_DIGITS: usize = 6;
const LENGTH: usize = PREFIX.len() + RANDOM_DIGITS + CHECK_DIGITS;

/// Most entries of an allow-list.
const MOST_RANGES: usize = 50;

/// The key with these random digits: `jg_`, the digits, and a checksum by which
/// scanners of secrets and this server know a key from other text.
#[must_use]
pub fn compose(digits: &str) -> String {
    let start = format!("{PREFIX}{digits}");
    let check = checksum(&start);
    start + &check
}

/// Whether `text` can be a key: its shape, and its checksum.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    if text.len() != LENGTH || !text.starts_with(PREFIX) || !text.is_ascii() {
        return false;
    }
    let (start, check) = text.split_at(LENGTH - CHECK_DIGITS);
    let digits = start.as_bytes()[PREFIX.len()..].iter();
    digits.copied().all(|b| b.is_ascii_alphanumeric()) && checksum(start) == check
}

/// How a key is told from others without telling it: its first seven characters.
#[must_use]
pub fn head(key: &str) -> &str {
    key.get(..7).unwrap_or_default()
}

/// And its last four.
#[must_use]
pub fn tail(key: &str) -> &str {
    key.len()
        .checked_sub(4)
        .and_then(|at| key.get(at..))
        .unwrap_or_default()
}

/// The CRC-32 of `text` as six digits of base62.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECK_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

/// Leave to do one kind of thing, under the name that the public contract gives it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Scope {
    #[serde(rename = "jobs:estimate")]
    JobsEstimate,
    #[serde(rename = "jobs:submit")]
    JobsSubmit,
    #[serde(rename = "jobs:write")]
    JobsWrite,
    #[serde(rename = "jobs:read")]
    JobsRead,
    #[serde(rename = "logs:read")]
    LogsRead,
}

impl Scope {
    pub const ALL: [Self; 5] = [
        Self::JobsEstimate,
        Self::JobsSubmit,
        Self::JobsWrite,
        Self::JobsRead,
        Self::LogsRead,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::JobsEstimate => "jobs:estimate",
            Self::JobsSubmit => "jobs:submit",
            Self::JobsWrite => "jobs:write",
            Self::JobsRead => "jobs:read",
            Self::LogsRead => "logs:read",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// What it lets a key do, for people.
    #[must_use]
    pub const fn grants(self) -> &'static str {
        match self {
            Self::JobsEstimate => "Ask what a job or an app would cost. Spends nothing.",
            Self::JobsSubmit => {
                "Submit and cancel jobs, launch and stop apps, upload inputs. Spends credit."
            }
            Self::JobsWrite => {
                "Older name: estimate, submit and cancel, and look at a single job. \
                 It cannot list jobs."
            }
            Self::JobsRead => {
                "List and look at jobs and apps: status, events, logs so far, results."
            }
            Self::LogsRead => "Read what jobs print, also live.",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.split_ascii_whitespace().map(Scope::named).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let bits = scopes.into_iter().map(|scope| 1 << scope as u8);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::name).collect();
        f.write_str(&names.join(" "))
    }
}

/// From where a key may be used; from everywhere if it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowList(Vec<Net>);

impl AllowList {
    /// Reads addresses and ranges as somebody wrote them, each on its own.
    ///
    /// # Errors
    ///
    /// What is wrong with the first that is not right, for people.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut nets: Vec<Net> = Vec::new();
        for entry in entries
            .into_iter()
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let net = range(entry)?;
            if !nets.contains(&net) {
                nets.push(net);
            }
        }
        if nets.len() > MOST_RANGES {
            return Err(format!("Name at most {MOST_RANGES} addresses or ranges."));
        }
        Ok(Self(nets))
    }

    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|net| net.contains(address))
    }

    /// Each as `192.0.2.0/24`, and single addresses as they are.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        let written = |net: &Net| {
            let text = net.to_string();
            match text.split_once('/') {
                Some((address, _)) if net.is_single() => address.to_owned(),
                _ => text,
            }
        };
        self.0.iter().map(written).collect()
    }
}

fn range(entry: &str) -> Result<Net, String> {
    let shown: String = entry
        .chars()
        .filter(|c| !super::text::is_invisible_order(*c))
        .take(60)
        .collect();
    let net: Net = entry.parse().map_err(|_| {
        format!("“{shown}” is neither an address, such as 203.0.113.7, nor a range, such as 203.0.113.0/24.")
    })?;
    if net.is_mapped() {
        return Err(format!(
            "Write “{shown}” as the IPv4 address that it means."
        ));
    }
    let base = net.base();
    if base != net {
        let address = entry.split('/').next().unwrap_or(entry);
        return Err(format!("“{shown}” means {address} or {base}: write which."));
    }
    Ok(net)
}

/// Whether a key works, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyStatus")]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Active,
    /// Switched off by a person, who can switch it on again.
    Disabled,
    Expired,
    /// For ever.
    Revoked,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Active, Self::Disabled, Self::Expired, Self::Revoked];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_checksum() {
        let key = compose(&"0aZ".repeat(13)[..RANDOM_DIGITS]);
        assert!(is_well_formed(&key), "{key}");
        assert_eq!(key.len(), 47);
        assert_eq!((head(&key), tail(&key)), (&key[..7], &key[43..]));
        for at in 0..key.len() {
            let mut other = key.clone().into_bytes();
            other[at] = if other[at] == b'1' { b'2' } else { b'1' };
            let other = String::from_utf8(other).unwrap();
            assert!(!is_well_formed(&other), "{other}");
        }
        for bad in [
            "",
            "jg_",
            &key[..46],
            &format!("{key}0"),
            &key.replace('Z', "é"),
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    /// Computed with Python's `zlib.crc32`, so that others can check keys, too.
    #[test]
    fn the_checksum_is_the_documented_one() {
        let key = compose(&"0".repeat(RANDOM_DIGITS));
        assert_eq!(key, "jg_0000000000000000000000000000000000000040pyvJ");
    }

    #[test]
    fn scopes_survive_text() {
        for scope in Scope::ALL {
            assert_eq!(Scope::named(scope.name()), Some(scope));
            let json = serde_json::to_string(&scope).unwrap();
            assert_eq!(json, format!("\"{scope}\""));
        }
        let some: Scopes = [Scope::LogsRead, Scope::JobsSubmit, Scope::LogsRead]
            .into_iter()
            .collect();
        assert_eq!(some.to_string(), "jobs:submit logs:read");
        assert_eq!(Scopes::parse(&some.to_string()), Some(some));
        assert!(some.has(Scope::LogsRead) && !some.has(Scope::JobsRead));
        assert_eq!(Scopes::parse("jobs:submit jobs:everything"), None);
        assert_eq!(Scopes::parse(""), Some(Scopes::default()));
    }

    #[test]
    fn an_allow_list_says_what_is_wrong_with_it() {
        let list = AllowList::parse([
            "203.0.113.7",
            " 10.0.0.0/8 ",
            "",
            "10.0.0.0/8",
            "2001:db8::/32",
        ]);
        let list = list.unwrap();
        assert_eq!(
            list.entries(),
            ["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"]
        );
        let allows = |ip: &str| list.allows(ip.parse().unwrap());
        assert!(allows("203.0.113.7") && allows("::ffff:10.9.9.9") && allows("2001:db8::1"));
        assert!(!allows("203.0.113.8") && !allows("2001:db9::1"));
        assert!(AllowList::default().allows([192, 0, 2, 1].into()));
        for (bad, says) in [
            ("10.0.0.1/8", "means 10.0.0.1 or 10.0.0.0/8"),
            ("10.0.0.0/33", "neither an address"),
            ("::ffff:10.0.0.0/104", "as the IPv4 address"),
            ("host\u{202e}.example", "“host.example” is neither"),
        ] {
            let error = AllowList::parse([bad]).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let many: Vec<String> = (0..51).map(|n| format!("10.0.0.{n}")).collect();
        assert!(AllowList::parse(many.iter().map(String::as_str)).is_err());
    }
}
