//! The way out: the only constructors of clients that reach other machines.
pub mod mail;
pub mod reach;
pub mod roots;

use roots::Roots;
use std::time::Duration;

/// A client for outbound HTTP. It follows no redirects, uses no proxy from the
/// environment, and gives up after 15 seconds.
///
/// # Errors
///
/// If the machine's certificates cannot be read.
pub fn http() -> reqwest::Result<reqwest::Client> {
    http_trusting(&Roots::default())
}

/// The same, where `roots` are trusted besides those that the machine trusts.
///
/// # Errors
///
/// As with [`http()`], or if one of the `roots` cannot be used.
pub fn http_trusting(roots: &Roots) -> reqwest::Result<reqwest::Client> {
    builder(roots).timeout(Duration::from_secs(15)).build()
}

/// The same for the orchestrator that a portal is for: what streams there and back takes
/// as long as it takes, so only the calls themselves have an end (see `client`). A
/// machine that has vanished is noticed by its silence.
///
/// # Errors
///
/// As with [`http_trusting`].
pub fn orchestrator(roots: &Roots) -> reqwest::Result<reqwest::Client> {
    builder(roots)
        // It closes idle connections after a minute.
        .pool_idle_timeout(Duration::from_secs(30))
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_keepalive_interval(Duration::from_secs(15))
        .tcp_keepalive_retries(2)
        .tcp_user_timeout(Duration::from_mins(1))
        .build()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn builder(roots: &Roots) -> reqwest::ClientBuilder {
    // Refused if the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_certs_merge(roots.all())
        .user_agent(concat!("junglegrid/", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_client_can_be_made_and_made_again() {
        assert!(super::http().is_ok() && super::http().is_ok());
        assert!(super::orchestrator(&super::Roots::default()).is_ok());
    }
}
