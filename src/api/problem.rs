//! The body of every error answer.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a request was refused. The same code and message stand nested and at the
/// top level, because clients read either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    pub error: Detail,
    pub code: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ProblemDetail")]
pub struct Detail {
    /// Stable and machine-readable, such as `NOT_FOUND`.
    pub code: String,
    /// For people: what is wrong and what to do.
    pub message: String,
    /// Messages per field of the request body.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl Problem {
    #[must_use]
    pub fn new(code: &str, message: &str, fields: BTreeMap<String, String>) -> Self {
        Self {
            error: Detail {
                code: code.to_owned(),
                message: message.to_owned(),
                fields,
            },
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    /// What is wrong with `field`, if anything is.
    #[must_use]
    pub fn field(&self, field: &str) -> Option<&str> {
        self.error.fields.get(field).map(String::as_str)
    }
}
