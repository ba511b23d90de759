//! Calls to addresses that users have given: looked up here, checked, and called
//! at the very address that was checked.
use super::roots::Roots;
use crate::domain::reach::{self, Allow};
use crate::domain::text::is_invisible_order;
use http::{HeaderMap, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// For all of a call: looking up, connecting, sending, and the head of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const READ: usize = 8_192;
/// What a receiver says with a refusal is not waited for longer: its status says enough.
const READING: Duration = Duration::from_secs(2);

/// Makes the calls. It follows no redirects, knows no proxy, and keeps no
/// connection: each call is checked anew.
#[derive(Debug, Clone)]
pub struct Caller {
    http: reqwest::Client,
    allow: Arc<Allow>,
    patience: Duration,
}

/// What the other side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The beginning of the body of a refusal, on one line; empty after success.
    pub text: String,
    /// Seconds, if it asks for some.
    pub retry_after: Option<i64>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    #[error("Its address is one that this installation does not call.")]
    Forbidden,
    #[error("Its name could not be looked up.")]
    NoName,
    #[error("No connection could be made.")]
    NoConnection,
    #[error("It did not answer within 10 seconds.")]
    TimedOut,
    #[error("The connection broke.")]
    Broken,
    #[error(
        "Its certificate is not trusted: it was signed by nobody whom this installation knows (ca_certificates)."
    )]
    Untrusted,
    #[error("Its certificate has expired.")]
    Expired,
    #[error("Its certificate is for another name.")]
    OtherName,
    #[error("Its certificate is not valid.")]
    BadCertificate,
    #[error("It does not speak TLS as it should.")]
    NoTls,
}

impl Caller {
    /// Calls public addresses and what `allow` says.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new(allow: Allow) -> reqwest::Result<Self> {
        Self::trusting(allow, &Roots::default())
    }

    /// The same, where `roots` are trusted besides those that the machine trusts.
    ///
    /// # Errors
    ///
    /// As with [`Caller::new`], or if one of the `roots` cannot be used.
    #[expect(clippy::disallowed_methods, reason = "clients are made in this module")]
    pub fn trusting(allow: Allow, roots: &Roots) -> reqwest::Result<Self> {
        // Refused if the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let allow = Arc::new(allow);
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .pool_max_idle_per_host(0)
            .tls_certs_merge(roots.all())
            .dns_resolver(Arc::new(Checked(Arc::clone(&allow))))
            .user_agent(concat!("junglegrid/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            allow,
            patience: PATIENCE,
        })
    }

    /// The same with another patience than 10 seconds for each call.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Posts JSON.
    ///
    /// # Errors
    ///
    /// If the address may not be called or does not answer. An answer is none,
    /// whatever it says.
    pub async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<Answer, Failed> {
        // Addresses that stand in the URL are not looked up, and what was allowed
        // when the URL was given may not be so any more.
        let url: Url = reach::check(url, &self.allow).map_err(|_| Failed::Forbidden)?;
        let call = self.http.post(url).headers(headers).body(body);
        let call = async {
            let mut response = call.send().await.map_err(|error| failed(&error))?;
            let status = response.status();
            let retry_after = response.headers().get(header::RETRY_AFTER);
            let retry_after =
                retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let mut said = Vec::new();
            if !status.is_success() {
                let read = async {
                    while said.len() < READ
                        && let Ok(Some(chunk)) = response.chunk().await
                    {
                        let room = READ - said.len();
                        said.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    }
                };
                let _ = tokio::time::timeout(READING, read).await;
            }
            Ok(Answer {
                status: status.as_u16(),
                text: on_one_line(&said),
                retry_after,
            })
        };
        tokio::time::timeout(self.patience, call)
            .await
            .unwrap_or(Err(Failed::TimedOut))
    }
}

fn on_one_line(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if is_invisible_order(c) { ' ' } else { c })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn failed(error: &reqwest::Error) -> Failed {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(one) = cause {
        if let Some(failed) = one.downcast_ref::<Failed>() {
            return *failed;
        }
        if let Some(error) = one.downcast_ref::<rustls::Error>() {
            return tls(error);
        }
        // What an I/O error is made of is not its source.
        let inside = one.downcast_ref::<std::io::Error>();
        let inside = inside.and_then(std::io::Error::get_ref);
        if let Some(error) = inside.and_then(|error| error.downcast_ref::<rustls::Error>()) {
            return tls(error);
        }
        cause = match inside {
            Some(inside) => Some(inside),
            None => one.source(),
        };
    }
    if error.is_timeout() {
        Failed::TimedOut
    } else if error.is_connect() {
        Failed::NoConnection
    } else {
        Failed::Broken
    }
}

fn tls(error: &rustls::Error) -> Failed {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            Certificate::UnknownIssuer => Failed::Untrusted,
            Certificate::Expired | Certificate::ExpiredContext { .. } => Failed::Expired,
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                Failed::OtherName
            }
            _ => Failed::BadCertificate,
        },
        _ => Failed::NoTls,
    }
}

/// Looks names up and leaves out what may not be called.
#[derive(Debug)]
struct Checked(Arc<Allow>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|_| Failed::NoName)?.collect();
            let none = if found.is_empty() {
                Failed::NoName
            } else {
                Failed::Forbidden
            };
            let called: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| allow.lets(host, address.ip()))
                .collect();
            if called.is_empty() {
                return Err(none.into());
            }
            Ok(Box::new(called.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_called_only_where_it_may_be() {
        let resolve = async |allow: Allow| {
            let checked = Checked(Arc::new(allow));
            let found = checked.resolve("localhost".parse().unwrap()).await;
            found
                .map(Iterator::count)
                .map_err(|error| error.to_string())
        };
        let refused = resolve(Allow::NOTHING).await;
        assert_eq!(refused, Err(Failed::Forbidden.to_string()));
        assert!(resolve(Allow::this_machine()).await.unwrap() > 0);
        let mut nets = Allow::NOTHING;
        nets.add("127.0.0.0/8").unwrap();
        assert_eq!(resolve(nets).await, Ok(1), "the one family that is allowed");
    }

    #[test]
    fn what_a_receiver_says_stays_on_its_line() {
        let said = on_one_line(b"a\r\nb\x1b[31m\tc\xff \xe2\x80\xaed");
        assert_eq!(said, "a b [31m c\u{fffd} d");
    }
}
