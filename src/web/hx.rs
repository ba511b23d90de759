//! What htmx says about a request, and how it is answered.
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Redirect, Response};
use axum_htmx::{HxRedirect, HxRequest};
use http::{HeaderName, HeaderValue, header, request::Parts};
use maud::Markup;
use std::convert::Infallible;

/// htmx 4 says `partial` when it will swap into an element of the page, and
/// `full` when it wants a document (history, boosted links).
const REQUEST_TYPE: HeaderName = HeaderName::from_static("hx-request-type");

/// Whether the browser wants a fragment or the whole page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    Page,
    Fragment,
}

impl<S: Send + Sync> FromRequestParts<S> for Wants {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let HxRequest(by_htmx) = HxRequest::from_request_parts(parts, state).await?;
        let partial = parts
            .headers
            .get(REQUEST_TYPE)
            .is_some_and(|kind| kind == "partial");
        Ok(if by_htmx && partial {
            Self::Fragment
        } else {
            Self::Page
        })
    }
}

/// A piece of a page. Never cached, and kept apart from the page at its URL.
#[derive(Debug)]
pub(crate) struct Fragment(pub(crate) Markup);

impl IntoResponse for Fragment {
    fn into_response(self) -> Response {
        let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (headers, self.0).into_response()
    }
}

/// Sends the browser to `path`, which must be one of ours: htmx would follow a
/// 303 by itself and swap what it finds there into the element that asked.
pub(crate) fn redirect(wants: Wants, path: &str) -> Response {
    match wants {
        Wants::Page => Redirect::to(path).into_response(),
        Wants::Fragment => (HxRedirect(path.to_owned()), ()).into_response(),
    }
}
