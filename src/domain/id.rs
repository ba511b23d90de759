//! Prefixed, time-ordered identifiers such as `job_0198c1f2…`.
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Cow, fmt, str::FromStr};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a `{prefix}_…` id")]
pub struct NotAnId {
    prefix: &'static str,
}

/// What all ids have in common.
pub trait Id: Copy + fmt::Display + FromStr<Err = NotAnId> {
    /// The id made at `now` out of `random` bits (a `UUIDv7`).
    fn at(now: OffsetDateTime, random: [u8; 10]) -> Self;
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// No id stands before this one in an order of ids, and none behind the other.
            pub const MIN: Self = Self(Uuid::nil());
            pub const MAX: Self = Self(Uuid::max());
        }

        impl Id for $name {
            fn at(now: OffsetDateTime, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            /// Reads exactly the form that `Display` writes.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32 && !hex.bytes().any(|b| b.is_ascii_uppercase()))
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(NotAnId { prefix: $prefix })
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": concat!("^", $prefix, "_[0-9a-f]{32}$") })
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                String::deserialize(input)?.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

id! {
    /// One person.
    AccountId = "acct";
    /// What owns jobs, money, keys and credentials.
    WorkspaceId = "ws";
    /// One signed-in browser or terminal.
    SessionId = "sess";
    /// One code sent by mail.
    ChallengeId = "otp";
    /// One mail to be sent.
    MailId = "mail";
    /// One submitted workload.
    JobId = "job";
    /// One price quotation.
    EstimateId = "est";
    /// One job being described.
    DraftId = "draft";
    /// One launched app.
    AppSessionId = "ts";
    /// One API key, whatever its secret is at the time.
    ApiKeyId = "key";
    /// One file that somebody uploads for jobs.
    InputId = "in";
    /// One file that a job has left.
    ArtifactId = "art";
    /// One message to a receiver, the same for every attempt to deliver it.
    MessageId = "msg";
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn ids_sort_by_time_and_survive_text() {
        let early = JobId::at(datetime!(2026-11-23 12:00 UTC), [0xff; 10]);
        let late = JobId::at(datetime!(2026-11-23 12:00:01 UTC), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(late.to_string().parse(), Ok(late));
        assert!("job_XYZ".parse::<JobId>().is_err());
        assert!(late.to_string().to_uppercase().parse::<JobId>().is_err());
        assert!(late.to_string().parse::<DraftId>().is_err());
    }
}
