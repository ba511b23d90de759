//! Files compiled into the binary, served under names that change with them.
//! `assets/build.rs` makes the table; each file is there in every coding.
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// A year: another content would have another name.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// The icon's name is fixed, so it may be a day old.
const A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");

/// One file of the table.
#[derive(Debug)]
struct File {
    name: &'static str,
    path: &'static str,
    kind: &'static str,
    /// Smallest first, which is also the order of preference; the plain one last.
    codings: [Coded; 4],
}

#[derive(Debug)]
struct Coded {
    coding: &'static str,
    etag: &'static str,
    bytes: &'static [u8],
}

impl File {
    fn plain(&self) -> &Coded {
        &self.codings[3]
    }

    /// The coding that the client likes most, and among equals the smallest.
    fn negotiate(&self, headers: &HeaderMap) -> &Coded {
        let offers = self.codings.iter().filter_map(|coded| {
            let weight = weight(headers, coded.coding)?;
            Some((weight, coded))
        });
        // `max_by_key` keeps the last of equals, so the preferred one must come last.
        let best = offers.rev().max_by_key(|(weight, _)| *weight);
        best.map_or(self.plain(), |(_, coded)| coded)
    }
}

/// How much the client wants `coding`, in thousandths; `None` if it does not.
///
/// What is sent plain although another coding was offered ranks last, unless
/// the client gave it a weight of its own.
fn weight(headers: &HeaderMap, coding: &str) -> Option<u16> {
    let mut wildcard = None;
    let listed = headers.get_all(header::ACCEPT_ENCODING);
    let items = listed.iter().filter_map(|value| value.to_str().ok());
    for item in items.flat_map(|value| value.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1000, thousandths);
        if name.eq_ignore_ascii_case(coding) {
            return (weight > 0).then_some(weight);
        }
        if name == "*" {
            wildcard = Some(weight);
        }
    }
    match wildcard {
        _ if coding == "identity" => Some(0),
        Some(weight) if weight > 0 => Some(weight),
        _ => None,
    }
}

/// `0.5` as 500. What is not a weight counts as a refusal.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 {
        return 0;
    }
    let whole: Option<u16> = whole.parse().ok();
    let fraction: Option<u16> = format!("{fraction:0<3}").parse().ok();
    match (whole, fraction) {
        (Some(0), Some(fraction)) => fraction,
        (Some(1), Some(0)) => 1000,
        _ => 0,
    }
}

fn file(name: &str) -> &'static File {
    FILES
        .iter()
        .find(|file| file.name == name)
        .unwrap_or_else(|| panic!("no asset named {name}"))
}

/// The path that `name` (such as `app.js`) is served from.
///
/// # Panics
///
/// If there is no such file; a test renders every page, so none gets out.
#[must_use]
pub fn url(name: &str) -> &'static str {
    file(name).path
}

/// The stylesheet's text, to put inside a first page; see [`STYLE_CSP_HASH`].
///
/// # Panics
///
/// Never: the build made it from a string.
#[must_use]
pub fn stylesheet() -> &'static str {
    std::str::from_utf8(file("jungle.css").plain().bytes).expect("the build made it from a string")
}

/// `/assets/…` and `/favicon.ico`, for anyone, for any origin's cache.
pub fn routes() -> Router {
    Router::new()
        .route("/assets/{name}", get(named))
        .route("/favicon.ico", get(icon))
}

async fn named(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let path = |file: &&File| file.path.strip_prefix("/assets/") == Some(&name);
    match FILES.iter().find(path) {
        Some(file) => answer(file, &headers, FOREVER),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn icon(headers: HeaderMap) -> Response {
    answer(file("mark.svg"), &headers, A_DAY)
}

fn answer(file: &'static File, request: &HeaderMap, cache: HeaderValue) -> Response {
    let coded = file.negotiate(request);
    let mut response = if known(request, coded.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(Bytes::from_static(coded.bytes)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
        if coded.coding != "identity" {
            headers.insert(
                header::CONTENT_ENCODING,
                HeaderValue::from_static(coded.coding),
            );
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, cache);
    headers.insert(header::ETAG, HeaderValue::from_static(coded.etag));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Whether the client has this very representation.
fn known(headers: &HeaderMap, etag: &str) -> bool {
    let listed = headers.get_all(header::IF_NONE_MATCH);
    let mut tags = listed
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}

/// The build script's, tested here because build scripts cannot be.
#[cfg(test)]
#[path = "../../assets/minify.rs"]
mod minify;

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
        file("app.js").negotiate(&headers).coding
    }

    #[test]
    fn the_smallest_wanted_coding_wins() {
        assert_eq!(
            file("app.js").negotiate(&HeaderMap::new()).coding,
            "identity"
        );
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, zstd", "zstd"),
            ("gzip", "gzip"),
            ("GZIP", "gzip"),
            ("*", "br"),
            ("*;q=0", "identity"),
            ("br;q=0, *", "zstd"),
            ("br;q=0.2, gzip;q=0.8", "gzip"),
            ("gzip;q=0.001", "gzip"),
            ("identity, gzip;q=0.5", "identity"),
            ("br;q=0", "identity"),
            ("br;q=1.5", "identity"),
            ("deflate", "identity"),
            ("", "identity"),
        ] {
            assert_eq!(chosen(accept), coding, "{accept}");
        }
    }

    #[test]
    fn the_style_sheet_keeps_what_white_space_means() {
        for (source, small) in [
            ("a { b : c ; }", "a{b :c}"),
            ("a :hover > b , c { }", "a :hover>b,c{}"),
            ("x { inset: calc( 1px + 2px ) }", "x{inset:calc(1px + 2px)}"),
            ("x { y: calc(1px - -2px) }", "x{y:calc(1px - -2px)}"),
            (
                "x::before { content: \" ; } \" / '' }",
                "x::before{content:\" ; } \"/''}",
            ),
            (
                "x { content: \"\\\" /* no */\" }",
                "x{content:\"\\\" /* no */\"}",
            ),
            ("a/* b */c { }", "a c{}"),
            ("@media (a: b) and (c) { }", "@media (a:b) and (c){}"),
            ("x { b: c !important; }", "x{b:c!important}"),
            (
                "x { b: url( a b.svg ) no-repeat }",
                "x{b:url( a b.svg ) no-repeat}",
            ),
            ("a + b ~ c { }", "a + b ~ c{}"),
            (":is(a, b) :not(c) { }", ":is(a,b) :not(c){}"),
        ] {
            assert_eq!(minify::css(source), small);
        }
    }

    #[test]
    fn the_script_loses_only_indentation_and_comments() {
        assert_eq!(minify::js("// no\n  a // b\n\n  c"), "a // b\nc\n");
    }
}
