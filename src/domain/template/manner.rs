//! How a service wants to be spoken to.
use serde::{Deserialize, Serialize};

/// Under which name an app is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostPolicy {
    /// As browsers call it: `Host` passes unchanged. Apps that compare it with
    /// `Origin` find both the same.
    #[default]
    Public,
    /// As `localhost` with its port: for apps that refuse every other `Host` and
    /// cannot be told better. `Origin` and `Referer` of its own pages are rewritten to
    /// match, and where a redirect leads back; `X-Forwarded-Host` says how browsers
    /// call it. Who may ask is judged by what the browser said.
    Localhost,
}

/// What is spoken on a service's port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    #[default]
    Http,
    /// HTTP inside TLS, for apps that speak nothing else. Their certificates are not
    /// verified: an app makes its own, and nobody is between it and the proxy.
    Https,
}

impl Scheme {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that addresses leave out.
    #[must_use]
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}
