//! Accounts and sessions (`/auth`).
use super::openapi::Time;
use crate::domain::account::Role;
use crate::domain::id::{AccountId, WorkspaceId};
use crate::domain::money::Usd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Registration {
    pub email: String,
    /// 8 to 256 bytes.
    pub password: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `user` (the default) or `provider`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// The answer to every well-formed registration, whether or not the address was
/// already in use.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    pub account_id: AccountId,
    pub email: String,
    /// Where the code went, for people.
    pub delivery: Delivery,
}

/// How mail leaves this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    Smtp,
    /// No mail server is configured: mails are files in the data directory.
    Outbox,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Verification {
    pub email: String,
    pub code: String,
    /// From [`Registered`]: with it, only that registration's code is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resend {
    pub email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Credentials {
    pub email: String,
    pub password: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Forgotten {
    pub email: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Reset {
    pub email: String,
    pub code: String,
    pub password: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// The session's bearer token, `jgs_…`.
    pub token: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
    pub account: Account,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    pub id: AccountId,
    pub email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub roles: Vec<Role>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub account: Account,
    pub workspace: Workspace,
    pub role: Role,
    /// Whether this account runs the installation.
    pub operator: bool,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
    /// What the workspace can spend.
    pub balance_usd: Usd,
    /// Jobs that have not ended.
    pub active_jobs: i64,
    /// Apps that have not ended; they count as jobs too.
    #[serde(default)]
    pub active_apps: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
}

/// Done, or will be; the message is for people.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    pub message: String,
}

/// A body that says nothing; anything sent is ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}
