//! How a service wants to be spoken to.
use super::{Manifest, Service};
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

/// Where on its address an app serves, if not at `/`, and how it is told.
///
/// Every service has an origin of its own, so no app must be moved to a path. This is for
/// those that serve below one anyway: fixed by the app, or told at the start by a variable
/// or by words of the command line. `Open` leads there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasePath {
    /// Such as `/lab` or `/lab/`; told, opened and shown as it is written.
    pub path: String,
    /// The variable that tells the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// What tells it at the end of the command: `--root-path` as two words,
    /// `--ServerApp.base_url=` as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
}

impl BasePath {
    /// The path without the `/` that it may end with.
    #[must_use]
    pub fn bare(&self) -> &str {
        self.path.trim_end_matches('/')
    }

    fn words(&self) -> Vec<String> {
        match &self.flag {
            Some(flag) if flag.ends_with('=') => vec![format!("{flag}{}", self.path)],
            Some(flag) => vec![flag.clone(), self.path.clone()],
            None => Vec::new(),
        }
    }
}

impl Manifest {
    /// Program and arguments, with the flags that tell services where they are.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        let told = self.base_paths().flat_map(BasePath::words);
        self.command.iter().cloned().chain(told).collect()
    }

    /// The variables that tell services where they are.
    pub fn base_path_variables(&self) -> impl Iterator<Item = (String, String)> {
        self.base_paths()
            .filter_map(|base| Some((base.env.clone()?, base.path.clone())))
    }

    fn base_paths(&self) -> impl Iterator<Item = &BasePath> {
        let services = self.services.iter();
        services.filter_map(|service| service.base_path.as_ref())
    }
}

impl Service {
    /// Where `Open` leads.
    #[must_use]
    pub fn landing(&self) -> &str {
        let base = self.base_path.as_ref();
        base.map_or("/", |base| base.path.as_str())
    }
}
