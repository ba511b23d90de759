//! Who is told of a job's end, and how that goes. Not in the public contract.
use super::openapi::Time;
use crate::domain::id::{JobId, MessageId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Callback {
    pub job_id: JobId,
    /// Without user, query and fragment, which may be secret.
    pub url: String,
    pub state: State,
    /// The same for every attempt, as the receiver sees it; none before the job's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<MessageId>,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// When it was delivered or given up.
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub ended_at: Option<OffsetDateTime>,
    /// Until when one that was given up can be sent again.
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub send_again_until: Option<OffsetDateTime>,
}

impl Callback {
    /// Whether there will be further attempts, or the first.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Armed | State::Waiting)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CallbackState")]
pub enum State {
    /// The job has not ended.
    Armed,
    /// To be delivered, perhaps again.
    Waiting,
    Delivered,
    /// The last attempt has failed.
    Failed,
    /// The receiver has said that it does not want it (410).
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CallbackAttempt")]
pub struct Attempt {
    /// Counts from 1.
    pub number: i64,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub at: OffsetDateTime,
    pub duration_ms: i64,
    /// The HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The beginning of what the receiver said with a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// What the workspace's callbacks are signed with (Standard Webhooks).
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CallbackSecret")]
pub struct Secret {
    /// `whsec_` and base64 of the key.
    pub secret: String,
    /// Counts the workspace's secrets, from 0.
    pub number: i64,
    /// When it took the place of the one before; none for the first.
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub rotated_at: Option<OffsetDateTime>,
    /// Those before it that still sign beside it, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<Previous>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret that a newer one has taken the place of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PreviousCallbackSecret")]
pub struct Previous {
    pub number: i64,
    /// The last four characters of it, without what base64 fills up with.
    pub last4: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub signs_until: OffsetDateTime,
}

/// How a secret is to be replaced.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CallbackSecretRotation")]
pub struct Rotation {
    /// For how long the secrets before go on signing beside the new one: 0 to 604,800,
    /// a day if left out. With 0, none does from the next call on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<i64>,
    /// The number of the secret that is to be replaced: if it is another by now, nothing
    /// happens (409). So a request that is repeated rotates once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<i64>,
}
