//! Refuses what another site makes a browser send here.
//!
//! There is no token in the forms: browsers say where a request comes from, and
//! those too old to say it are refused. `same-site` counts as foreign, because
//! apps that users launch may live on a sibling host.
use super::{Error, Portal};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use url::Url;

pub(super) async fn same_origin(
    State(portal): State<Portal>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let allowed = if request.method().is_safe() {
        may_read(headers)
    } else {
        may_write(headers, &portal)
    };
    if allowed {
        next.run(request).await
    } else {
        Error::CrossSite.into_response()
    }
}

/// Links from anywhere may lead here; images, scripts and frames may not.
fn may_read(headers: &HeaderMap) -> bool {
    let framed = said(headers, "sec-fetch-dest")
        .any(|dest| matches!(dest, b"iframe" | b"frame" | b"embed" | b"object"));
    let foreign =
        said(headers, "sec-fetch-site").any(|site| !matches!(site, b"same-origin" | b"none"));
    let navigates = said(headers, "sec-fetch-mode").all(|mode| mode == b"navigate");
    !framed && (!foreign || navigates)
}

fn may_write(headers: &HeaderMap, portal: &Portal) -> bool {
    let mut sites = said(headers, "sec-fetch-site").peekable();
    if sites.peek().is_some() {
        return sites.all(|site| matches!(site, b"same-origin" | b"none"));
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin
            .to_str()
            .is_ok_and(|origin| is_own(origin, headers, portal)),
        _ => false,
    }
}

/// Whether `origin` is this portal: as it is called in the settings, or as the
/// browser called it in this request.
fn is_own(origin: &str, headers: &HeaderMap, portal: &Portal) -> bool {
    let Ok(origin) = Url::parse(origin) else {
        return false;
    };
    let scheme = if portal.config.secure_cookies {
        "https"
    } else {
        "http"
    };
    let asked = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| Url::parse(&format!("{scheme}://{host}")).ok());
    let own = [Some(&portal.config.public_url), asked.as_ref()];
    // Opaque origins, such as `null` in a sandbox, equal nothing.
    own.into_iter()
        .flatten()
        .any(|own| own.origin() == origin.origin())
}

fn said<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .map(http::HeaderValue::as_bytes)
}
