//! Why the orchestrator says no, and how that looks on the wire.
use crate::api::Problem;
use crate::domain::id::{AccountId, ApiKeyId, AppSessionId};
use crate::store;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use std::collections::BTreeMap;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No valid bearer token.
    #[error("Authentication is required: send a valid bearer token.")]
    Unauthorized,
    /// The address is unknown or the password is wrong; which, is not said.
    #[error("That e-mail and password do not match.")]
    BadCredentials,
    /// An API key that is one of ours and does not work; says why.
    #[error("{0}")]
    KeyRefused(&'static str),
    /// The right password for an address that is not proven yet.
    #[error("This e-mail address is not verified yet. Enter the code that we mailed to it.")]
    Unverified { account: AccountId },
    /// Known who, but not allowed; says why.
    #[error("{message}")]
    Forbidden { code: &'static str, message: String },
    /// Another workspace's things are as missing as things that never were.
    #[error("{0}")]
    NotFound(String),
    #[error("This address does not take that method.")]
    MethodNotAllowed,
    /// The request as a whole makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// Messages per field of the body.
    #[error("{message}")]
    Invalid {
        message: String,
        fields: BTreeMap<String, String>,
    },
    /// It cannot be done now, or not any more.
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// The workspace has a session of this template that has not ended.
    #[error("{message}")]
    AlreadyRunning {
        session: AppSessionId,
        message: String,
    },
    /// This request has made a secret before, which is told once.
    #[error("{message}")]
    AlreadyShown { key: ApiKeyId, message: String },
    /// The job can never run here.
    #[error("{message}")]
    Unprocessable {
        code: String,
        message: String,
        fields: BTreeMap<String, String>,
    },
    #[error("{0}")]
    InsufficientFunds(String),
    /// A file is too large, its address has stopped working, or the like.
    #[error("{message}")]
    Coded {
        status: StatusCode,
        code: &'static str,
        message: String,
    },
    /// A job cannot be given a file.
    #[error("{message}")]
    File {
        status: StatusCode,
        code: &'static str,
        message: String,
        fields: BTreeMap<String, String>,
    },
    #[error("{message}")]
    TooMany {
        message: String,
        retry_after_seconds: i64,
    },
    /// For now; trying again later may work.
    #[error("{0}")]
    Unavailable(String),
    /// Ours, not the caller's: logged in full, told in brief.
    #[error("Something went wrong on our side. It has been logged; please try again.")]
    Internal(#[source] anyhow::Error),
}

impl Error {
    /// What is wrong with one field.
    pub(super) fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let fields = BTreeMap::from([(field.to_owned(), message.clone())]);
        Self::Invalid { message, fields }
    }

    fn answer(&self) -> (StatusCode, &str) {
        match self {
            Self::Unauthorized | Self::KeyRefused(_) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::BadCredentials => (StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS"),
            Self::Unverified { .. } => (StatusCode::FORBIDDEN, "EMAIL_NOT_VERIFIED"),
            Self::Forbidden { code, .. } => (StatusCode::FORBIDDEN, code),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::BadRequest(_) | Self::Invalid { .. } => {
                (StatusCode::BAD_REQUEST, "INVALID_REQUEST")
            }
            Self::Conflict { code, .. } => (StatusCode::CONFLICT, code),
            Self::AlreadyShown { .. } => (StatusCode::CONFLICT, "ALREADY_SHOWN"),
            Self::AlreadyRunning { .. } => (StatusCode::CONFLICT, "ALREADY_RUNNING"),
            Self::Unprocessable { code, .. } => (StatusCode::UNPROCESSABLE_ENTITY, code),
            Self::Coded { status, code, .. } | Self::File { status, code, .. } => (*status, code),
            Self::InsufficientFunds(_) => (StatusCode::PAYMENT_REQUIRED, "INSUFFICIENT_FUNDS"),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        }
    }

    fn problem(&self) -> Problem {
        let fields = match self {
            Self::Invalid { fields, .. }
            | Self::Unprocessable { fields, .. }
            | Self::File { fields, .. } => fields.clone(),
            Self::Unverified { account } => {
                BTreeMap::from([("account_id".to_owned(), account.to_string())])
            }
            Self::AlreadyRunning { session, .. } => {
                BTreeMap::from([("session_id".to_owned(), session.to_string())])
            }
            Self::AlreadyShown { key, .. } => {
                BTreeMap::from([("key_id".to_owned(), key.to_string())])
            }
            _ => BTreeMap::new(),
        };
        Problem::new(self.answer().1, &self.to_string(), fields)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        store::Error::from(error).into()
    }
}

impl Error {
    /// The same, with `"ok": false` for the clients of `/v1/mcp`.
    pub(super) fn into_enveloped_response(self) -> Response {
        #[derive(serde::Serialize)]
        struct Enveloped {
            ok: bool,
            #[serde(flatten)]
            problem: Problem,
        }
        let problem = self.problem();
        self.respond(Json(Enveloped { ok: false, problem }))
    }

    fn respond(self, body: impl IntoResponse) -> Response {
        if let Self::Internal(cause) = &self {
            tracing::error!(error = format!("{cause:#}"), "request failed");
        }
        let mut response = (self.answer().0, body).into_response();
        // What is refused or missing now may be there in a moment, and nobody else's.
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match &self {
            Self::Unauthorized | Self::KeyRefused(_) | Self::BadCredentials => {
                let scheme = HeaderValue::from_static("Bearer");
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, scheme);
            }
            Self::TooMany {
                retry_after_seconds,
                ..
            } => {
                let seconds = HeaderValue::from((*retry_after_seconds).max(1));
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = self.problem();
        self.respond(Json(problem))
    }
}
