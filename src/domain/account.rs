//! People: what an e-mail address and a password must look like, and roles.
use serde::{Deserialize, Serialize};

/// What a person does here. One account can hold both; the active one is an
/// attribute of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs workloads.
    #[default]
    User,
    /// Lends machines.
    Provider,
}

impl Role {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Provider => "provider",
        }
    }
}
