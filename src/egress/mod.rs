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
/// As with [`http`], or if one of the `roots` cannot be used.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn http_trusting(roots: &Roots) -> reqwest::Result<reqwest::Client> {
    // Refused if the process has a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(15))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_certs_merge(roots.all())
        .user_agent(concat!("junglegrid/", env!("CARGO_PKG_VERSION")))
        .build()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_client_can_be_made_and_made_again() {
        assert!(super::http().is_ok() && super::http().is_ok());
    }
}
