//! Keys with which programs act for a workspace: `/v1/api-keys`.
//!
//! Only people make and change keys: these operations take a session, not a key.
use super::openapi::Time;
use crate::domain::api_key::{Scope, Status};
use crate::domain::id::{AccountId, ApiKeyId};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "NewApiKey")]
pub struct NewKey {
    /// 1 to 80 characters.
    pub name: String,
    /// At least one, such as `jobs:read`.
    pub scopes: Vec<String>,
    /// 90 days from now unless given; `null` for never.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub expires_at: Option<Expiry>,
    /// 1 to 3,653, instead of `expires_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<i64>,
    /// Addresses and ranges from which it works; from everywhere if there are none.
    #[serde(deserialize_with = "none_is_empty")]
    #[schemars(with = "Option<Vec<String>>")]
    pub allowed_ips: Vec<String>,
}

/// What is to change; what is not given stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ApiKeyPatch")]
pub struct Patch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
}

/// A new secret for the same key.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ApiKeyRotation")]
pub struct Rotation {
    /// How long the secret before goes on working: 0 to 604,800; a day unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<i64>,
    /// When the key expires from now on: 90 days from now unless given, or never
    /// if it never did; `null` for never.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub expires_at: Option<Expiry>,
    /// 1 to 3,653, instead of `expires_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<i64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ApiKeyFilter")]
pub struct Filter {
    /// 1 to 100; 20 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// `active`, `disabled`, `expired` or `revoked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyList")]
pub struct List {
    pub api_keys: Vec<ApiKey>,
    pub limit: i64,
    pub next_cursor: Option<String>,
    pub has_more: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub status: Status,
    pub scopes: Vec<Scope>,
    pub allowed_ips: Vec<String>,
    /// How people know its secret: the first seven and the last four characters.
    pub prefix: String,
    pub last4: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    pub created_by: Creator,
    /// Never unless given.
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub expires_at: Option<OffsetDateTime>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub disabled_at: Option<OffsetDateTime>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub revoked_at: Option<OffsetDateTime>,
    /// When it got the secret that it has now, if it was rotated.
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub rotated_at: Option<OffsetDateTime>,
    /// Any of its secrets, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Use>,
    /// Secrets from before a rotation that still work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<Previous>,
}

/// Who made a key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyCreator")]
pub struct Creator {
    pub account_id: AccountId,
    pub email: String,
}

/// When and from where something was used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyUse")]
pub struct Use {
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub at: OffsetDateTime,
    pub ip: String,
    /// What the program called itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent: String,
}

/// A secret that a newer one has taken the place of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PreviousApiKey")]
pub struct Previous {
    pub prefix: String,
    pub last4: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub valid_until: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Use>,
}

/// A key with its secret, which is told this once and stored as a hash.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "MadeApiKey")]
pub struct Made {
    /// `jg_…`
    pub key: String,
    #[serde(flatten)]
    pub api_key: ApiKey,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made")
            .field("api_key", &self.api_key)
            .finish_non_exhaustive()
    }
}

/// When a key expires: a time, or `null` for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Expiry(
    #[serde(with = "rfc3339::option")]
    #[schemars(with = "Option<Time>")]
    pub Option<OffsetDateTime>,
);

fn none_is_empty<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

/// Tells `null` from nothing.
fn given<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Expiry>, D::Error> {
    Expiry::deserialize(input).map(Some)
}
