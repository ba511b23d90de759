//! The kinds of values that settings have, and what each kind allows.
use crate::domain::peer::Net;
use crate::domain::reach::Allow;
use secrecy::SecretString;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;
use url::Url;

/// What runs the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A container daemon if one answers, else the host.
    Auto,
    /// Processes of this machine.
    Host,
}

/// Which images the host engine accepts; it runs none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostImages {
    /// Only the word `host`: nobody believes that an image was used.
    Host,
    Any,
}

/// What the host engine's jobs can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostNetwork {
    None,
    Host,
}

/// A value that a setting does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    name: &'static str,
    value: String,
    allowed: String,
}

impl Invalid {
    pub(super) fn new(name: &'static str, value: &str, allowed: &str) -> Self {
        Self {
            name,
            value: value.into(),
            allowed: allowed.into(),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            allowed,
        } = self;
        write!(
            f,
            "the setting `{name}` cannot be `{value}`: it must be {allowed}"
        )
    }
}

/// The text of one setting; empty if there is none.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) name: &'static str,
    pub(super) text: &'a str,
}

impl Value<'_> {
    pub(super) fn invalid(self, allowed: &str) -> Invalid {
        Invalid::new(self.name, self.text, allowed)
    }

    /// For values that may hold a password: the message must not.
    fn secretly_invalid(self, allowed: &str) -> Invalid {
        Invalid::new(self.name, &super::without_password(self.text), allowed)
    }

    pub(super) fn address(self) -> Result<SocketAddr, Invalid> {
        let named = self
            .text
            .strip_prefix("localhost:")
            .map(|port| format!("127.0.0.1:{port}"));
        let text = named.as_deref().unwrap_or(self.text);
        text.parse()
            .map_err(|_| self.invalid("an address and a port, such as 127.0.0.1:8080 or [::]:8080"))
    }

    pub(super) fn switch(self) -> Result<bool, Invalid> {
        match self.text {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(self.invalid("true or false")),
        }
    }

    pub(super) fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Result<T, Invalid> {
        let chosen = choices.iter().find(|(name, _)| *name == self.text);
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.invalid(&names.join(" or "))
        })
    }

    pub(super) fn whole(self, least: u32, most: u32) -> Result<u32, Invalid> {
        let number = self
            .text
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.invalid(&format!("a whole number from {least} to {most}")))
    }

    /// How many there may be at once: at least one.
    pub(super) fn count(self, most: u16) -> Result<usize, Invalid> {
        let number = self.whole(1, most.into())?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    pub(super) fn slots(self) -> Result<u32, Invalid> {
        if self.text.is_empty() {
            let cpus = available_parallelism().map_or(1, NonZero::get);
            return Ok(u32::try_from(cpus).unwrap_or(u32::MAX));
        }
        self.whole(1, 1024)
    }

    /// `$5.00`, `5`, `0.12` as micro-dollars, without floating point.
    pub(super) fn micro_dollars(self) -> Result<i64, Invalid> {
        parse_dollars(self.text).ok_or_else(|| {
            self.invalid("US dollars from 0 to 1000000 with at most six decimals, such as 5.00")
        })
    }

    /// A URL of a whole site: nothing after the host.
    pub(super) fn origin(self) -> Result<Option<Url>, Invalid> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(self.text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let allowed = "a URL without user, path and query, such as https://grid.example.com";
        url.map(Some).ok_or_else(|| self.secretly_invalid(allowed))
    }

    pub(super) fn domain(self) -> Result<String, Invalid> {
        let domain = self.text.to_ascii_lowercase();
        let label = |label: &str| {
            let letters = label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
            letters
                && (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // One label less than 253, for the app's.
        if domain.len() <= 189 && domain.split('.').all(label) {
            Ok(domain)
        } else {
            Err(self.invalid("a domain without scheme and port, such as apps.example.net"))
        }
    }

    fn items(&self) -> impl Iterator<Item = &str> {
        self.text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
    }

    pub(super) fn nets(self) -> Result<Vec<Net>, Invalid> {
        let nets: Result<_, _> = self.items().map(str::parse).collect();
        nets.map_err(|_| {
            self.invalid("addresses or ranges with commas between, such as 10.0.0.0/8,::1")
        })
    }

    /// Hosts and ranges; the word `none` for none at all.
    pub(super) fn reach(self) -> Result<Option<Allow>, Invalid> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let mut allow = Allow::default();
        if self.text != "none" {
            let all: Result<(), _> = self.items().try_for_each(|item| allow.add(item));
            all.map_err(|_| {
                self.invalid(
                    "none, or host names and ranges with commas between, such as hooks.internal,10.1.0.0/16",
                )
            })?;
        }
        Ok(Some(allow))
    }

    pub(super) fn emails(self) -> Result<Vec<String>, Invalid> {
        let email = |item: &str| {
            let address: lettre::Address = item.parse().ok()?;
            Some(address.to_string().to_lowercase())
        };
        let emails: Option<_> = self.items().map(email).collect();
        emails.ok_or_else(|| self.invalid("e-mail addresses with commas between"))
    }

    pub(super) fn mailbox(self) -> Result<String, Invalid> {
        let mailbox: Result<lettre::message::Mailbox, _> = self.text.parse();
        mailbox.map_err(|_| self.invalid("a sender, such as Jungle Grid <grid@example.com>"))?;
        Ok(self.text.to_owned())
    }

    pub(super) fn smtp(self) -> Result<Option<SecretString>, Invalid> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(self.text).ok();
        if url.is_some_and(|url| matches!(url.scheme(), "smtp" | "smtps") && url.has_host()) {
            Ok(Some(self.text.into()))
        } else {
            Err(self.secretly_invalid("a URL such as smtps://user:password@mail.example.com:465"))
        }
    }

    pub(super) fn database(self, data: &Path) -> Result<SecretString, Invalid> {
        if self.text.is_empty() {
            return Ok(format!("sqlite://{}", data.join("junglegrid.db").display()).into());
        }
        let scheme = self.text.split_once("://").map(|(scheme, _)| scheme);
        match scheme {
            Some("sqlite") => Ok(self.text.into()),
            Some("postgres" | "postgresql")
                if Url::parse(self.text).is_ok_and(|url| url.has_host()) =>
            {
                Ok(self.text.into())
            }
            _ => Err(self.secretly_invalid("sqlite://path or postgres://user:password@host/name")),
        }
    }

    pub(super) fn log_filter(self) -> Result<String, Invalid> {
        let filter: Result<tracing_subscriber::EnvFilter, _> = self.text.parse();
        filter
            .map_err(|_| self.invalid("directives such as info,sqlx=warn,junglegrid::app=debug"))?;
        Ok(self.text.to_owned())
    }
}

/// Micro-dollars of a decimal text; `None` if it is not an amount from 0 to a million.
fn parse_dollars(text: &str) -> Option<i64> {
    let text = text.strip_prefix('$').unwrap_or(text);
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let decimals: i64 = format!("{decimals:0<6}").parse().ok()?;
    let micros = whole.checked_mul(1_000_000)?.checked_add(decimals)?;
    (micros <= 1_000_000_000_000).then_some(micros)
}

/// The name that `typed` was probably meant to be.
pub(super) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = typed.to_ascii_lowercase().replace('-', "_");
    let distances = names.map(|name| (distance(&plain, name), name));
    distances
        .min()
        .filter(|(distance, name)| *distance * 3 <= name.len())
        .map(|(_, name)| name)
}

/// Letters to insert, remove or replace to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (removed, a) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], removed + 1);
        for (at, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly() {
        for (text, micros) in [
            ("$5.00", Some(5_000_000)),
            ("5", Some(5_000_000)),
            ("0.12", Some(120_000)),
            ("0.000001", Some(1)),
            ("0", Some(0)),
            ("1000000", Some(1_000_000_000_000)),
            ("1000000.000001", None),
            ("0.0000001", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1,50", None),
            ("1.", None),
            (".5", None),
            ("$", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_dollars(text), micros, "{text}");
        }
    }

    #[test]
    fn a_misspelt_name_is_recognised() {
        let names = || ["listen", "public_url", "operators"].into_iter();
        assert_eq!(nearest("public-url", names()), Some("public_url"));
        assert_eq!(nearest("operator", names()), Some("operators"));
        assert_eq!(nearest("lisen", names()), Some("listen"));
        assert_eq!(nearest("colour", names()), None);
    }
}
