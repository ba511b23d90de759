//! Which headers pass, in either direction. Everything that is not named here
//! stays behind: a header that nobody has thought of cannot do harm.
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, request::Parts};
use std::net::IpAddr;

/// An app's own origin, as browsers call it.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) scheme: &'static str,
    /// With the port, where the scheme's own is not meant.
    pub(super) host: String,
}

impl Origin {
    fn is(&self, value: &HeaderValue) -> bool {
        value
            .to_str()
            .is_ok_and(|value| self.rest(value) == Some(""))
    }

    /// An address below it.
    fn with(&self, rest: &str) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{}://{}{rest}", self.scheme, self.host)).ok()
    }

    /// What follows this origin in an address below it.
    fn rest<'a>(&self, address: &'a str) -> Option<&'a str> {
        let rest = address.strip_prefix(self.scheme)?.strip_prefix("://")?;
        let rest = rest.strip_prefix(self.host.as_str())?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
    }
}

/// How browsers call an app, and how it is told that it is called.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) own: Origin,
    pub(super) inside: Origin,
}

/// Request headers that pass as they are. Names end in `*` for all that begin so.
const UP: &[&str] = &[
    "accept",
    "accept-*",
    "access-control-request-*",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-type",
    "dnt",
    "if-*",
    "last-event-id",
    "pragma",
    "priority",
    "range",
    "save-data",
    "sec-ch-*",
    "sec-fetch-*",
    "sec-gpc",
    "upgrade-insecure-requests",
    "user-agent",
    // What frameworks send from their own pages.
    "authorization",
    "comfy-user",
    "hx-*",
    "tus-resumable",
    "upload-*",
    "x-api-key",
    "x-csrf-token",
    "x-csrftoken",
    "x-gradio-*",
    "x-requested-with",
    "x-stainless-*",
    "x-xsrf-token",
    "x-xsrftoken",
];

/// Response headers that pass as they are.
const DOWN: &[&str] = &[
    "accept-ranges",
    "access-control-*",
    "age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "cross-origin-*",
    "date",
    "etag",
    "expires",
    "last-modified",
    "link",
    "permissions-policy",
    "pragma",
    "retry-after",
    "server-timing",
    "sourcemap",
    "timing-allow-origin",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-ua-compatible",
    // What frameworks read in their own pages. `x-accel-buffering` is for a
    // front proxy, and the only one of its kind that is harmless there.
    "hx-*",
    "tus-*",
    "upload-*",
    "x-accel-buffering",
    "x-gradio-*",
    "x-ratelimit-*",
    "x-xsrf-token",
];

/// Only while a WebSocket is being opened.
const WEBSOCKET_UP: &[&str] = &[
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
];
const WEBSOCKET_DOWN: &[&str] = &[
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
];

/// Where programs put a key besides `Authorization`.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn listed(list: &[&str], name: &HeaderName) -> bool {
    let name = name.as_str();
    // `_` and `.` become `-` on the way into some apps.
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain
        && list.iter().any(|known| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *known,
        })
}

/// Names that the `Connection` header calls its own: they are for the next hop only.
fn for_this_hop(headers: &HeaderMap) -> Vec<Vec<u8>> {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .collect()
}

fn pass(from: &HeaderMap, lists: &[&[&str]]) -> HeaderMap {
    let hop = for_this_hop(from);
    let mut passed = HeaderMap::with_capacity(from.len() + 8);
    for (name, value) in from {
        let wanted = lists.iter().any(|list| listed(list, name));
        if wanted && !hop.iter().any(|own| own == name.as_str().as_bytes()) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// The headers of a request as the app gets them.
pub(super) fn up(
    from: &HeaderMap,
    names: &Names,
    client: IpAddr,
    inject: &[(HeaderName, HeaderValue)],
    websocket: bool,
) -> HeaderMap {
    let lists: &[&[&str]] = if websocket {
        &[UP, WEBSOCKET_UP]
    } else {
        &[UP]
    };
    let mut to = pass(from, lists);
    for name in [header::AUTHORIZATION, API_KEY] {
        if to.get_all(&name).iter().any(bears_token) {
            to.remove(name);
        }
    }
    let Names { own, inside } = names;
    for name in [header::ORIGIN, header::REFERER] {
        let said = from.get(&name).and_then(|said| said.to_str().ok());
        let below = said.and_then(|address| own.rest(address));
        let below = below.filter(|rest| rest.is_empty() || name != header::ORIGIN);
        if let Some(told) = below.and_then(|rest| inside.with(rest)) {
            to.insert(name, told);
        }
    }
    if let Some(cookies) = cookies(from) {
        to.insert(header::COOKIE, cookies);
    }
    let forwarded = [
        (header::HOST, inside.host.as_str()),
        (HeaderName::from_static("x-forwarded-host"), &own.host),
        (HeaderName::from_static("x-forwarded-proto"), own.scheme),
        (
            HeaderName::from_static("x-forwarded-for"),
            &client.to_string(),
        ),
    ];
    for (name, value) in forwarded {
        if let Ok(value) = HeaderValue::from_str(value) {
            to.insert(name, value);
        }
    }
    if websocket {
        to.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        to.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    for (name, value) in inject {
        to.insert(name, value.clone());
    }
    to
}

/// Whether a token of ours is in it: at the beginning of a word, because the words of an app's
/// own tokens are of the same letters, in any order.
fn bears_token(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let between = |byte: u8| byte.is_ascii_whitespace() || b",;:=\"'".contains(&byte);
    bytes.split(|byte| between(*byte)).any(|word| {
        [&b"jg_"[..], b"jgs_", b"jgn_", b"jgl_", b"jga_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
    })
}

/// Whether a cookie of this name is ours, in the portal or here.
fn ours(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    [&b"__host-jg"[..], b"__secure-jg", b"jg_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Cookies as they are sent. What is in those of an app is its own affair: a page may set any
/// letter of any language.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(header::COOKIE).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
}

/// The app's cookies, without ours.
fn cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    let mine = |pair: &[u8]| {
        let mut parts = pair.split(|byte| *byte == b'=');
        parts.any(|part| ours(part.trim_ascii()))
    };
    let kept: Vec<&[u8]> = pairs(headers).filter(|pair| !mine(pair)).collect();
    if kept.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok()
}

/// Every value of the cookie of this name: a browser that was tricked sends several.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    pairs(headers).filter_map(move |pair| {
        let (found, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        (found == name).then_some(value)
    })
}

/// The headers of an answer as the browser gets them.
pub(super) fn down(from: &HeaderMap, names: &Names, port: u16, websocket: bool) -> HeaderMap {
    let lists: &[&[&str]] = if websocket {
        &[DOWN, WEBSOCKET_DOWN]
    } else {
        &[DOWN]
    };
    let mut to = pass(from, lists);
    for cookie in from.get_all(header::SET_COOKIE) {
        if let Some(cookie) = set_cookie(cookie) {
            to.append(header::SET_COOKIE, cookie);
        }
    }
    let mut locations = from.get_all(header::LOCATION).iter();
    if let (Some(location), None) = (locations.next(), locations.next()) {
        to.insert(header::LOCATION, moved(location, names, port));
    }
    if let Some(keeping) = for_one_reader(&to) {
        to.insert(header::CACHE_CONTROL, keeping);
    }
    // A policy of its own beside the app's: both hold. The app may frame itself.
    to.append(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("frame-ancestors 'self'"),
    );
    to.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    to.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    to.entry("cross-origin-resource-policy")
        .or_insert(HeaderValue::from_static("same-origin"));
    if websocket {
        to.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        to.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    to
}

/// `Cache-Control` as the app says it, but for the reader alone: whatever it calls public was
/// asked for with a pass, which no cache between knows of.
fn for_one_reader(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines = headers.get_all(header::CACHE_CONTROL).iter();
    let said = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let name = |said: &[u8]| {
        let mut parts = said.split(|byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        name.to_ascii_lowercase()
    };
    let mut kept: Vec<&[u8]> = said
        .map(<[u8]>::trim_ascii)
        .filter(|said| !said.is_empty())
        .filter(|said| !matches!(&name(said)[..], b"public" | b"s-maxage"))
        .collect();
    // `private="a"` is about that header only.
    let alone = |said: &&[u8]| {
        said.eq_ignore_ascii_case(b"private") || said.eq_ignore_ascii_case(b"no-store")
    };
    if !kept.iter().any(alone) {
        kept.push(b"private");
    }
    HeaderValue::from_bytes(&kept.join(&b", "[..])).ok()
}

/// A cookie for this host only, whatever the app wants; `None` for one that looks
/// like ours. A cookie without a name is sent back as its bare value, which could
/// read like one.
fn set_cookie(value: &HeaderValue) -> Option<HeaderValue> {
    let mut parts = value.as_bytes().split(|byte| *byte == b';');
    let first = parts.next()?;
    let (name, content) = first.split_at(first.iter().position(|byte| *byte == b'=')?);
    let (name, content) = (name.trim_ascii(), content[1..].trim_ascii());
    let token = |b: u8| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&b);
    if name.is_empty() || !name.iter().copied().all(token) || ours(name) {
        return None;
    }
    let mut kept = [name, b"=", content].concat();
    for attribute in parts.map(<[u8]>::trim_ascii) {
        let key = attribute.split(|byte| *byte == b'=').next();
        let key = key.unwrap_or_default().trim_ascii();
        if !key.eq_ignore_ascii_case(b"domain") && !attribute.is_empty() {
            kept.extend_from_slice(b"; ");
            kept.extend_from_slice(attribute);
        }
    }
    HeaderValue::from_bytes(&kept).ok()
}

/// Where a redirect leads: what the app calls itself inside becomes its origin.
fn moved(location: &HeaderValue, names: &Names, port: u16) -> HeaderValue {
    let Names { own, inside: told } = names;
    let said = location.as_bytes();
    let below = |host: &str| {
        let rest = ["http://", "https://", "//"]
            .iter()
            .find_map(|scheme| said.strip_prefix(scheme.as_bytes()));
        let rest = rest?.strip_prefix(host.as_bytes())?;
        let ends = rest
            .first()
            .is_none_or(|next| matches!(next, b'/' | b'?' | b'#'));
        ends.then_some(rest)
    };
    let inside = ["127.0.0.1", "localhost", "0.0.0.0", "[::1]"];
    let known = inside
        .iter()
        .find_map(|host| below(&format!("{host}:{port}")));
    let known = known.or_else(|| below(&own.host));
    known
        .or_else(|| below(&told.host))
        .and_then(|rest| {
            let start = format!("{}://{}", own.scheme, own.host);
            HeaderValue::from_bytes(&[start.as_bytes(), rest].concat()).ok()
        })
        .unwrap_or_else(|| location.clone())
}

/// Whether a page of another origin made the browser send this. Links from
/// anywhere may lead here; nothing else may, as apps can be on sibling hosts,
/// whose requests carry even `SameSite=Strict` cookies.
pub(super) fn foreign(parts: &Parts, own: &Origin) -> bool {
    let said = |name: &str| {
        parts
            .headers
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
    };
    let mut sites = said("sec-fetch-site").peekable();
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    if sites.peek().is_some() {
        let elsewhere = sites.any(|site| !matches!(site, b"same-origin" | b"none"));
        let link = said("sec-fetch-mode").all(|mode| mode == b"navigate")
            && said("sec-fetch-dest").all(|dest| dest == b"document");
        return elsewhere && !(reads && link);
    }
    let mut origins = parts.headers.get_all(header::ORIGIN).iter();
    origins.any(|origin| !own.is(origin))
}

/// Whether the page that opens a WebSocket is the app's own: browsers send
/// `Origin` with each, and no `Sec-Fetch-Site`.
pub(super) fn from_own_page(headers: &HeaderMap, own: &Origin) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    matches!((origins.next(), origins.next()), (Some(origin), None) if own.is(origin))
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
