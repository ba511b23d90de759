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
