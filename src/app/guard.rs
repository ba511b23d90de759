//! What every request passes before a router sees it, and every response after.
//!
//! hyper is liberal: it accepts two `Host` headers or none, `TRACE`, names
//! with underscores that a proxy might read as other names, an authority that
//! differs from `Host`. None of that gets further than here.
mod body;
mod refusal;

pub use body::BodyLimits;
use body::{Limited, Verdict};
use refusal::{Refusal, Speech};

use crate::domain::peer::{Net, Peer, RequestId, Site};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Uri, Version};
use http_body::Body as _;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tower::ServiceExt;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tracing::Instrument;
use url::Url;

/// Longest path and query that is read, in bytes.
const MAX_URI: usize = 8 * 1024;
/// Below this many bytes, compressing costs more than it saves.
const WORTH_COMPRESSING: u64 = 500;
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: [&str; 5] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// What the guard is told about the installation.
#[derive(Clone)]
pub struct Rules {
    pub hosts: Hosts,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted: Vec<Net>,
    /// How large and how slow the body of this request may be.
    pub body: fn(&Site, &Parts) -> BodyLimits,
}

impl Rules {
    /// Nothing trusted, and the default limits for bodies: see [`BodyLimits::of`].
    #[must_use]
    pub fn new(hosts: Hosts) -> Self {
        Self {
            hosts,
            trusted: Vec::new(),
            body: BodyLimits::of,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("hosts", &self.hosts)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

/// The names that this installation answers to.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// `host` or `host:port` in lower case, without the scheme's own port.
    portal: Vec<String>,
    /// What follows an app's label: `.apps.localhost:8080`.
    apps: String,
    secure: bool,
    /// Whether browsers are to come back over https only.
    strict: bool,
}

impl Hosts {
    /// The public URL's host; the address that `listen` really has; with a
    /// loopback or unspecified one also `localhost`, `127.0.0.1` and `[::1]`.
    /// Apps are one label below `apps_domain`, on the public URL's port.
    #[must_use]
    pub fn new(listen: SocketAddr, public: &Url, apps_domain: &str) -> Self {
        let secure = public.scheme() == "https";
        // Whatever else is developed on this machine has that name as well.
        let shared = |domain: &str| domain == "localhost" || domain.ends_with(".localhost");
        let mut hosts = Self {
            portal: Vec::new(),
            apps: String::new(),
            secure,
            strict: secure && !public.domain().is_some_and(shared),
        };
        // The parser of URLs leaves out the scheme's own port, as browsers do.
        let port = public
            .port()
            .map_or(String::new(), |port| format!(":{port}"));
        if let Some(host) = public.host_str() {
            hosts
                .portal
                .push(format!("{host}{port}").to_ascii_lowercase());
        }
        hosts.apps = format!(".{apps_domain}{port}").to_ascii_lowercase();
        let mut names = vec![
            SocketAddr::new(listen.ip(), 0)
                .to_string()
                .trim_end_matches(":0")
                .to_owned(),
        ];
        if listen.ip().is_loopback() || listen.ip().is_unspecified() {
            names.extend(["localhost", "127.0.0.1", "[::1]"].map(String::from));
        }
        for name in names {
            if listen.port() == 80 {
                hosts.portal.push(name.clone());
            }
            hosts.portal.push(format!("{name}:{}", listen.port()));
        }
        hosts
    }

    /// The site of that name, if it is one of ours.
    #[must_use]
    pub fn site(&self, host: &str) -> Option<Site> {
        let host = host.to_ascii_lowercase();
        let own_port = if self.secure { ":443" } else { ":80" };
        let host = host.strip_suffix(own_port).unwrap_or(&host);
        let with_port = |known: &String| known.strip_suffix(own_port).unwrap_or(known) == host;
        if self.portal.iter().any(with_port) {
            return Some(Site::Portal);
        }
        let label = host.strip_suffix(&self.apps)?;
        let letters = label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (letters && (1..=63).contains(&label.len())).then(|| Site::App(label.into()))
    }
}

/// `router` behind the guard.
///
/// Requests arrive there with [`Peer`] (the client, also behind a trusted
/// proxy), [`Site`] and [`RequestId`] in their extensions. A panic inside is
/// answered with 500. Responses of the portal are compressed; those of apps
/// stay as they are, and keep their own headers.
pub fn wrap(router: Router, rules: Rules) -> Router {
    let worth = SizeAbove::new(WORTH_COMPRESSING)
        .and(NotForContentType::SSE)
        .and(NotForContentType::IMAGES)
        // An answer that grows while it is read; the encoder would hold it back.
        .and(
            |_: http::StatusCode, _: http::Version, headers: &HeaderMap, _: &http::Extensions| {
                !headers.contains_key("x-accel-buffering")
            },
        );
    // At zstd's own level 3 the first page, which has the stylesheet in it, is a
    // tenth larger; above 6 little is won for the time.
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Precise(6))
        .compress_when(worth);
    let portal = Router::new()
        .fallback_service(router.clone())
        .layer(compression);
    let guard = Guard {
        rules,
        portal,
        apps: router,
    };
    Router::new().fallback(answer).with_state(Arc::new(guard))
}

struct Guard {
    rules: Rules,
    /// The same router, compressing.
    portal: Router,
    apps: Router,
}

async fn answer(State(guard): State<Arc<Guard>>, mut request: Request) -> Response {
    let started = Instant::now();
    let id = RequestId(format!("{:016x}", rand::random::<u64>()).into());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let speech = Speech::of(&request);
    let span = tracing::info_span!("request", %id, %method, path);
    async move {
        request.headers_mut().remove(REQUEST_ID);
        request.extensions_mut().insert(id.clone());
        let (site, mut response) = match guard.rules.admit(request) {
            Ok((site, request, verdict)) => {
                let response = guard.run(&site, request, &id, speech).await;
                let response = match verdict.refusal() {
                    Some(refusal) if !response.status().is_success() => refusal.answer(speech),
                    _ => response,
                };
                (site, response)
            }
            Err(refusal) => (Site::Portal, refusal.answer(speech)),
        };
        finish(&mut response, &site, &id, guard.rules.hosts.strict);
        let (status, took) = (response.status().as_u16(), started.elapsed());
        if status >= 500 || !method.is_safe() {
            tracing::info!(status, ?took, "answered");
        } else {
            tracing::debug!(status, ?took, "answered");
        }
        response
    }
    .instrument(span)
    .await
}

impl Guard {
    async fn run(&self, site: &Site, request: Request, id: &RequestId, speech: Speech) -> Response {
        let router = match site {
            Site::Portal => self.portal.clone(),
            Site::App(_) => self.apps.clone(),
        };
        // A router cannot be left half-changed: each request has its own clone.
        match AssertUnwindSafe(router.oneshot(request))
            .catch_unwind()
            .await
        {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => {
                tracing::error!("a handler panicked");
                Refusal::panicked(id).answer(speech)
            }
        }
    }
}

impl Rules {
    fn admit(&self, request: Request) -> Result<(Site, Request, Verdict), Refusal> {
        let (mut parts, body) = request.into_parts();
        method(&parts)?;
        target(&parts)?;
        names(&parts.headers)?;
        in_headers(&mut parts)?;
        let site = self.host(&parts)?;
        // The host has been read; what is behind knows paths.
        if parts.uri.authority().is_some()
            && let Some(path) = parts.uri.path_and_query().cloned()
        {
            parts.uri = Uri::from(path);
        }
        framing(&parts)?;
        if site == Site::Portal {
            no_coding(&parts.headers)?;
            own_cookies(&mut parts.headers);
        }
        let limits = (self.body)(&site, &parts);
        let verdict = Verdict::default();
        let body = if body.is_end_stream() {
            body
        } else {
            if body.size_hint().lower() > limits.bytes {
                return Err(Refusal::TOO_LARGE);
            }
            Body::new(Limited::new(body, limits, verdict.clone()))
        };
        let peer = self.client(&parts);
        // Read once, here: nobody behind can believe what is not there.
        for name in FORWARDED {
            parts.headers.remove(name);
        }
        parts.extensions.insert(peer);
        parts.extensions.insert(site.clone());
        Ok((site, Request::from_parts(parts, body), verdict))
    }

    fn host(&self, parts: &Parts) -> Result<Site, Refusal> {
        let mut named = parts.headers.get_all(header::HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            return Err(Refusal::invalid("There must be exactly one Host header."));
        };
        let host = host.to_str().ok().filter(|host| !host.contains('@'));
        let host = host.filter(|host| host.parse::<http::uri::Authority>().is_ok());
        let Some(host) = host else {
            return Err(Refusal::invalid("The Host header is not a host."));
        };
        if let Some(authority) = parts.uri.authority()
            && !authority.as_str().eq_ignore_ascii_case(host)
        {
            return Err(Refusal::invalid(
                "The Host header differs from the request's target.",
            ));
        }
        self.hosts.site(host).ok_or(Refusal::MISDIRECTED)
    }

    /// The right-most hop that is not one of our own proxies.
    fn client(&self, parts: &Parts) -> Peer {
        let direct = parts
            .extensions
            .get()
            .copied()
            .unwrap_or(Peer(Ipv4Addr::UNSPECIFIED.into()));
        let trusted = |address: IpAddr| self.trusted.iter().any(|net| net.contains(address));
        let mut client = direct.0;
        let lines = parts.headers.get_all(FORWARDED_FOR).iter().rev();
        let mut hops = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
        while trusted(client) {
            let Some(hop) = hops.next().and_then(address) else {
                break;
            };
            client = hop;
        }
        Peer(client)
    }
}

/// `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]:1234`.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse()
        .ok()
        .or_else(|| hop.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address| address.to_canonical())
}

fn method(parts: &Parts) -> Result<(), Refusal> {
    match &parts.method {
        known if METHODS.contains(known) => Ok(()),
        &Method::TRACE | &Method::CONNECT => Err(Refusal::METHOD),
        _ => Err(Refusal::UNKNOWN_METHOD),
    }
}

fn target(parts: &Parts) -> Result<(), Refusal> {
    let path = parts.uri.path();
    let query = parts.uri.query().map_or(0, str::len);
    if path.len() + query > MAX_URI {
        return Err(Refusal::URI_TOO_LONG);
    }
    if parts
        .uri
        .scheme_str()
        .is_some_and(|scheme| scheme != "http" && scheme != "https")
    {
        return Err(Refusal::invalid(
            "The target's scheme is not http or https.",
        ));
    }
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(Refusal::invalid("The path must begin with one slash."));
    }
    let Some(plain) = decoded(path) else {
        return Err(Refusal::invalid("The path has a broken escape."));
    };
    if plain.iter().any(u8::is_ascii_control) {
        return Err(Refusal::invalid("The path contains a control character."));
    }
    if plain
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .any(|segment| segment == b"..")
    {
        return Err(Refusal::invalid("The path leads upwards."));
    }
    Ok(())
}

/// `path` without its percent escapes; `None` if one is broken.
fn decoded(path: &str) -> Option<Vec<u8>> {
    let mut bytes = path.bytes();
    let mut plain = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    Some(plain)
}

/// A proxy may read `X_Real_IP` as `X-Real-IP`; names of letters, digits and
/// hyphens mean the same to all.
fn names(headers: &HeaderMap) -> Result<(), Refusal> {
    let plain = |name: &HeaderName| {
        name.as_str()
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if headers.keys().all(plain) {
        Ok(())
    } else {
        Err(Refusal::invalid(
            "Header names consist of letters, digits and hyphens.",
        ))
    }
}

/// What HTTP/2 has other ways to say, as HTTP/1.1 says it: nobody behind has to
/// know both.
fn in_headers(parts: &mut Parts) -> Result<(), Refusal> {
    if parts.version != Version::HTTP_2 {
        return Ok(());
    }
    let Some(authority) = parts.uri.authority() else {
        return Err(Refusal::invalid("There must be an :authority."));
    };
    if !parts.headers.contains_key(header::HOST) {
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| Refusal::invalid("The :authority is not a host."))?;
        parts.headers.insert(header::HOST, host);
    }
    let cookies = parts.headers.get_all(header::COOKIE).iter();
    let crumbs: Vec<&[u8]> = cookies.map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookies) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        parts.headers.insert(header::COOKIE, cookies);
    }
    Ok(())
}

fn framing(parts: &Parts) -> Result<(), Refusal> {
    let headers = &parts.headers;
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let plain = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        if !plain
            || parts.version != Version::HTTP_11
            || headers.contains_key(header::CONTENT_LENGTH)
        {
            return Err(Refusal::invalid("The only transfer coding is chunked."));
        }
    }
    let expected = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !headers.get_all(header::EXPECT).iter().all(expected) {
        return Err(Refusal::EXPECTATION);
    }
    Ok(())
}

/// We decode no bodies: a small one could become a large one.
fn no_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        Ok(())
    } else {
        Err(Refusal::CODING)
    }
}

/// Leaves out cookies that are not ASCII: none of them is the portal's. Hosts beside it, and
/// whatever else listens on a loopback, can have browsers send it such, and a line with one in
/// it would not be read at all.
fn own_cookies(headers: &mut HeaderMap) {
    let readable = |line: &HeaderValue| line.to_str().is_ok();
    if headers.get_all(header::COOKIE).iter().all(readable) {
        return;
    }
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let kept: Vec<&[u8]> = pairs
        .map(<[u8]>::trim_ascii)
        .filter(|pair| pair.is_ascii())
        .collect();
    let kept = HeaderValue::from_bytes(&kept.join(&b"; "[..]));
    headers.remove(header::COOKIE);
    if let Ok(kept) = kept {
        headers.insert(header::COOKIE, kept);
    }
}

/// Headers that a response has unless it says otherwise.
const DEFAULTS: [(HeaderName, HeaderValue); 6] = [
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ),
];

fn finish(response: &mut Response, site: &Site, id: &RequestId, strict: bool) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    if *site != Site::Portal {
        return;
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(value);
    }
    if strict {
        headers
            .entry(header::STRICT_TRANSPORT_SECURITY)
            .or_insert(HeaderValue::from_static(
                "max-age=63072000; includeSubDomains",
            ));
    }
}

#[cfg(test)]
mod tests;
