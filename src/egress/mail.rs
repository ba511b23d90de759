//! Mail: by SMTP, or into a directory where none is configured.
use crate::domain::id::MailId;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::format_description;
use url::{Host, Url};

/// Where mails go.
#[derive(Debug, Clone)]
pub struct Postbox {
    from: Mailbox,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    /// A file per mail, and a line in the log.
    Outbox(PathBuf),
}

/// A mail that leaves.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub id: MailId,
    pub to: String,
    pub subject: String,
    /// Plain text.
    pub body: String,
    pub at: OffsetDateTime,
}

/// Why a mail has not left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// Trying again later may work.
    #[error("{0}")]
    ForNow(String),
    /// Trying again would fail again.
    #[error("{0}")]
    ForGood(String),
}

/// What is wrong with the settings for mail.
#[derive(Debug, thiserror::Error)]
pub enum Misconfigured {
    #[error("the mail server must be given as smtp://host or smtps://host, not as {0}")]
    Url(String),
    #[error("mails cannot be sent from {0:?}: that is not an address such as grid@example.org")]
    From(String),
    #[error("the mail server cannot be reached safely")]
    Tls(#[from] lettre::transport::smtp::Error),
}

impl Postbox {
    /// Sends by SMTP: `smtps://` speaks TLS from the beginning, `smtp://` insists
    /// on STARTTLS, except to this machine, where mail may travel in the clear.
    /// `from` is the sender, such as `Jungle Grid <grid@example.org>`. To be called
    /// inside a Tokio runtime.
    pub fn smtp(url: &str, from: &str) -> Result<Self, Misconfigured> {
        type Transport = AsyncSmtpTransport<Tokio1Executor>;
        // Not the URL itself: it may hold a password.
        let wrong = || Misconfigured::Url(url.split("://").next().unwrap_or_default().to_owned());
        let parsed = Url::parse(url).map_err(|_| wrong())?;
        let host = parsed
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(wrong)?;
        let mut transport = match parsed.scheme() {
            "smtps" => Transport::relay(host)?,
            "smtp" if is_loopback(host) => {
                Transport::builder_dangerous(host.trim_matches(['[', ']']))
            }
            "smtp" => Transport::starttls_relay(host)?,
            _ => return Err(wrong()),
        };
        if let Some(port) = parsed.port() {
            transport = transport.port(port);
        }
        if !parsed.username().is_empty() {
            let user = percent_decoded(parsed.username()).ok_or_else(wrong)?;
            let password = percent_decoded(parsed.password().unwrap_or_default());
            transport = transport.credentials(Credentials::new(user, password.ok_or_else(wrong)?));
        }
        let transport = transport
            .timeout(Some(Duration::from_secs(10)))
            .pool_config(PoolConfig::new().max_size(4))
            .build();
        Ok(Self {
            from: sender(from)?,
            way: Way::Smtp(transport),
        })
    }

    /// Writes each mail into `dir`, readable for the owner alone, and says in the
    /// log what it says: the way to the code where there is no mail server.
    pub fn outbox(dir: &Path, from: &str) -> Result<Self, Misconfigured> {
        Ok(Self {
            from: sender(from)?,
            way: Way::Outbox(dir.to_owned()),
        })
    }

    /// Sends a mail, once.
    pub async fn send(&self, mail: &Outgoing) -> Result<(), Failed> {
        let message = self.message(mail)?;
        match &self.way {
            Way::Smtp(transport) => match transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) if error.is_permanent() => Err(Failed::ForGood(chain(&error))),
                Err(error) => Err(Failed::ForNow(chain(&error))),
            },
            Way::Outbox(dir) => {
                let path = dir.join(file_name(mail));
                let text = message.formatted();
                let written = tokio::task::spawn_blocking(move || write(&path, &text)).await;
                match written {
                    Ok(Ok(path)) => {
                        announce(mail, &path);
                        Ok(())
                    }
                    Ok(Err(error)) => Err(Failed::ForNow(format!("the outbox failed: {error}"))),
                    Err(error) => Err(Failed::ForNow(error.to_string())),
                }
            }
        }
    }

    fn message(&self, mail: &Outgoing) -> Result<Message, Failed> {
        let to = mail
            .to
            .parse()
            .map_err(|error| Failed::ForGood(format!("not an address: {error}")))?;
        let domain = self.from.email.domain();
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&mail.subject)
            .date(mail.at.into())
            .message_id(Some(format!("<{}@{domain}>", mail.id)))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.body.clone())
            .map_err(|error| Failed::ForGood(error.to_string()))
    }
}

fn sender(from: &str) -> Result<Mailbox, Misconfigured> {
    from.parse()
        .map_err(|_| Misconfigured::From(from.to_owned()))
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Host::Ipv4(ip)) => ip.is_loopback(),
        Ok(Host::Ipv6(ip)) => ip.is_loopback(),
        Err(_) => false,
    }
}

/// Undoes `%40` and the like in a user name or password.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Sorts by time, and is the same if the mail is sent again.
fn file_name(mail: &Outgoing) -> String {
    let time = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = mail.at.format(&time).unwrap_or_default();
    format!("{time}-{}.eml", mail.id)
}

fn write(path: &Path, text: &[u8]) -> std::io::Result<PathBuf> {
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text)?;
    file.sync_all()?;
    Ok(path.to_owned())
}

/// So that a developer sees the code in the terminal.
fn announce(mail: &Outgoing, path: &Path) {
    let code = code_in(&mail.body).unwrap_or_default();
    tracing::info!(
        to = mail.to,
        subject = mail.subject,
        code,
        file = %path.display(),
        "no mail server is configured; this mail is in the outbox"
    );
}

/// The line that is a code.
fn code_in(body: &str) -> Option<&str> {
    body.lines()
        .find(|line| line.len() == 6 && line.bytes().all(|digit| digit.is_ascii_digit()))
}

/// An error with its causes: lettre keeps the server's words in them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Keeps holiday notices from being sent back (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The pool of connections wants a runtime to clean up after it.
    #[tokio::test]
    async fn only_safe_ways_to_a_mail_server_are_taken() {
        let from = "Jungle Grid <grid@example.org>";
        for url in [
            "smtp://mail.example.org",
            "smtps://user%40example.org:p%3Aw@mail.example.org:465",
            "smtp://127.0.0.1:2525",
            "smtp://localhost:2525",
        ] {
            assert!(Postbox::smtp(url, from).is_ok(), "{url}");
        }
        for url in [
            "",
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtp:///x",
        ] {
            let error = Postbox::smtp(url, from).unwrap_err();
            assert!(matches!(error, Misconfigured::Url(_)), "{url}");
        }
        let secret = Postbox::smtp("http://user:secret@mail.example.org", from).unwrap_err();
        assert!(!format!("{secret} {secret:?}").contains("secret"));
        assert!(Postbox::smtp("smtp://localhost", "nobody").is_err());
        assert!(
            is_loopback("[::1]") && is_loopback("127.8.9.1") && !is_loopback("127.example.org")
        );
        assert_eq!(percent_decoded("a%40b%2").as_deref(), None);
        assert_eq!(percent_decoded("a%40b").as_deref(), Some("a@b"));
    }

    #[test]
    fn the_code_is_found_on_its_line() {
        assert_eq!(
            code_in("Hello 123456\n\n654321\n\n10 minutes"),
            Some("654321")
        );
        assert_eq!(code_in("Hello"), None);
    }
}
