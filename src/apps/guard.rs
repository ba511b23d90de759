//! What holds for every answer, and who may change something.
use super::page;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// Pages load what this app itself serves, and nothing else; nobody frames them.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                   connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("../../assets/apps/style.css");
const ICON: &str = include_str!("../../assets/mark.svg");

/// The router with health check and stylesheet, behind the rules for all of them.
pub(super) fn wrap(router: Router) -> Router {
    router
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/style.css", get(|| async { text("text/css", STYLE) }))
        .route("/icon.svg", get(|| async { text("image/svg+xml", ICON) }))
        .fallback(|| async {
            page::refusal(StatusCode::NOT_FOUND, "There is nothing at this address.")
        })
        .layer(from_fn(guard))
}

/// A file of ours.
pub(super) fn text(kind: &'static str, text: &'static str) -> Response {
    let kind = match kind {
        "text/css" => "text/css; charset=utf-8",
        "image/svg+xml" => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn guard(request: Request, next: Next) -> Response {
    let reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if reading || from_here(request.headers()) {
        next.run(request).await
    } else {
        page::refusal(
            StatusCode::FORBIDDEN,
            "This request came from another site, so nothing was changed.",
        )
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`, with which browsers send no Origin with forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether a page of this app sent the request.
fn from_here(headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => origin_is_host(headers),
    }
}

/// Whether the one `Origin` is the site that the one `Host` names.
pub(super) fn origin_is_host(headers: &HeaderMap) -> bool {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    };
    let origin = one(header::ORIGIN).and_then(|origin| {
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
    });
    match (origin, one(header::HOST)) {
        (Some(origin), Some(host)) => !host.is_empty() && origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_same_site_change_something() {
        let table: [(&[(&str, &str)], bool); 9] = [
            (
                &[("host", "a.example:1"), ("origin", "http://a.example:1")],
                true,
            ),
            (
                &[("host", "a.example"), ("origin", "https://A.example")],
                true,
            ),
            (
                &[("host", "a.example"), ("origin", "https://b.example")],
                false,
            ),
            (
                &[("host", "a.example"), ("origin", "http://a.example:2")],
                false,
            ),
            (&[("host", "a.example"), ("origin", "null")], false),
            (&[("host", "a.example")], false),
            (
                &[
                    ("host", "a.example"),
                    ("origin", "null"),
                    ("sec-fetch-site", "same-origin"),
                ],
                true,
            ),
            (
                &[
                    ("host", "a.example"),
                    ("origin", "https://a.example"),
                    ("sec-fetch-site", "same-site"),
                ],
                false,
            ),
            (&[("host", ""), ("origin", "http://")], false),
        ];
        for (pairs, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(from_here(&headers), expected, "{pairs:?}");
        }
    }
}
