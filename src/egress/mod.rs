//! The way out: the only constructors of clients that reach other machines.
pub mod mail;
pub mod reach;

use std::time::Duration;

/// A client for outbound HTTP. It follows no redirects, uses no proxy from the
/// environment, and gives up after 15 seconds.
///
/// # Errors
///
/// If the machine's certificates cannot be read.
pub fn http() -> reqwest::Result<reqwest::Client> {
    builder().timeout(Duration::from_secs(15)).build()
}

/// The same for the orchestrator that a portal is for: what streams there and back takes
/// as long as it takes, so only the calls themselves have an end (see `client`). A
/// machine that has vanished is noticed by its silence.
///
/// # Errors
///
/// If the machine's certificates cannot be read.
pub fn orchestrator() -> reqwest::Result<reqwest::Client> {
    builder()
        // It closes idle connections after a minute.
        .pool_idle_timeout(Duration::from_secs(30))
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_keepalive_interval(Duration::from_secs(15))
        .tcp_keepalive_retries(2)
        .tcp_user_timeout(Duration::from_mins(1))
        .build()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn builder() -> reqwest::ClientBuilder {
    // Refused if the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("junglegrid/", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_client_can_be_made_and_made_again() {
        assert!(super::http().is_ok() && super::http().is_ok());
        assert!(super::orchestrator().is_ok());
    }
}
