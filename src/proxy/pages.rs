//! What the proxy says itself. Nothing here repeats anything of a request, nor of
//! an app's answer.
use super::Config;
use crate::random;
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// Why a request is not passed on, or its answer not passed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such app, there never was, or it has ended.
    Unknown,
    /// A path that belongs to the proxy.
    Reserved,
    Method,
    /// Not what a launch consists of.
    NotALaunch,
    BadTicket,
    NoPass,
    /// Another site made the browser ask.
    Foreign,
    BadUpgrade,
    /// The service does not say that it uses `WebSockets`.
    NoWebSockets,
    NotReady,
    Busy,
    /// What the app answered is not HTTP, or too much of it.
    Broken,
    /// It was to speak TLS, and does not; what it does instead.
    NoTls(&'static str),
    /// Nobody listens.
    Down,
    Slow,
    Internal,
}

impl Refusal {
    const fn says(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unknown => (
                StatusCode::NOT_FOUND,
                "There is no app here",
                "It may have ended. Apps are launched and opened from the portal.",
            ),
            Self::Reserved => (
                StatusCode::NOT_FOUND,
                "Nothing is here",
                "Addresses below /_jg are not the app's.",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "This address takes launches only",
                "Open the app from its page in the portal.",
            ),
            Self::NotALaunch => (
                StatusCode::BAD_REQUEST,
                "That was not a launch",
                "Open the app from its page in the portal.",
            ),
            Self::BadTicket => (
                StatusCode::FORBIDDEN,
                "This way in has been used or is too old",
                "It is good once, for half a minute. Open the app again from its page in the portal.",
            ),
            Self::NoPass => (
                StatusCode::UNAUTHORIZED,
                "You are not signed in here",
                "Open the app from its page in the portal. If you had it open, you were signed out, or it has been a long time.",
            ),
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                "Another site asked for this",
                "Other sites cannot use your app. Open it from its page in the portal.",
            ),
            Self::BadUpgrade => (
                StatusCode::BAD_REQUEST,
                "That is not a WebSocket",
                "The only other protocol spoken here is WebSocket, version 13.",
            ),
            Self::NoWebSockets => (
                StatusCode::FORBIDDEN,
                "This app does not say that it uses WebSockets",
                "If it does, its template has to say websocket = true.",
            ),
            Self::NotReady => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The app is not ready, or is being stopped",
                "Its page in the portal says what it is doing.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The app has too many connections",
                "Close some of its pages, or try again in a moment.",
            ),
            Self::Broken | Self::NoTls(_) => (
                StatusCode::BAD_GATEWAY,
                "The app gave an answer that cannot be passed on",
                "Try again. If it stays so, its output in the portal may tell why.",
            ),
            Self::Down => (
                StatusCode::BAD_GATEWAY,
                "The app does not answer",
                "It may be restarting. Try again in a moment; its page in the portal says how it is.",
            ),
            Self::Slow => (
                StatusCode::GATEWAY_TIMEOUT,
                "The app took too long to answer",
                "It may be busy. Try again; its page in the portal says how it is.",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong on our side",
                "It has been logged. Please try again.",
            ),
        }
    }

    pub(super) fn answer(self, config: &Config, page: bool) -> Response<Body> {
        let (status, title, advice) = self.says();
        let body = if page {
            draw(title, advice, &config.portal)
        } else {
            format!("{title}. {advice}\n")
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in FIXED {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, CSP.clone());
        let kind = if page {
            "text/html; charset=utf-8"
        } else {
            "text/plain; charset=utf-8"
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        match self {
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            Self::Busy | Self::NotReady | Self::Down => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// Whether whoever asks reads pages; scripts get a line of text.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    accepted.any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("text/html"))
    })
}

const FIXED: [(http::HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (http::HeaderName::from_static("x-robots-tag"), "noindex"),
    (
        http::HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

const STYLE: &str = "body{font:17px/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto;\
padding:0 1.25rem;color:#16241b;background:#f6f8f5}h1{font-size:1.45rem;line-height:1.25}\
a{color:#0b6b3a}@media(prefers-color-scheme:dark){body{color:#e6eee8;background:#0e1512}\
a{color:#5fd08f}}";

static CSP: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = random::base64(&Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// `portal` is an origin from the settings; origins have nothing to escape.
fn draw(title: &str, advice: &str, portal: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>{title} · Jungle Grid</title><style>{STYLE}</style>\
         <main><h1>{title}</h1><p>{advice}</p>\
         <p><a href=\"{portal}/portal/templates\" rel=noreferrer>Go to the portal</a></p></main></html>"
    )
}
