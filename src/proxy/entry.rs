//! The way in: a ticket becomes a pass, and a pass is shown with every request.
use super::pages::Refusal;
use super::{Config, Proxy, headers};
use crate::orchestrator::apps::access::{self, Door, LAUNCH_PATH};
use axum::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use std::time::Duration;
use url::{Host, Url};

/// Bytes of a launch's form.
const FORM: usize = 4 * 1024;
const FORM_TAKES: Duration = Duration::from_secs(10);
/// Passes that one request may show.
const PASSES: usize = 4;

impl Config {
    /// `__Host-` makes browsers refuse the cookie from any other host or path, but
    /// they accept it over https or from a loopback name only.
    fn cookie(&self) -> &'static str {
        if self.safe() {
            "__Host-jg_app"
        } else {
            "jg_app"
        }
    }

    fn safe(&self) -> bool {
        let host = self
            .suffix
            .rsplit_once(':')
            .map_or(self.suffix.as_str(), |(host, _)| host);
        self.secure || host.ends_with(".localhost")
    }

    /// Whether it is the portal: as it is called in the settings, or, if that is a
    /// loopback name, by another of those on the same port.
    fn is_portal(&self, origin: &str) -> bool {
        if origin == self.portal {
            return true;
        }
        let (Ok(own), Ok(asked)) = (Url::parse(&self.portal), Url::parse(origin)) else {
            return false;
        };
        loopback(&own)
            && loopback(&asked)
            && own.scheme() == asked.scheme()
            && own.port_or_known_default() == asked.port_or_known_default()
            && asked.origin().ascii_serialization() == origin
    }
}

/// One of the three names that a loopback listener answers to.
fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    }
}

impl Proxy {
    /// Answers a request to the proxy itself.
    pub(super) async fn enter(
        &self,
        door: &Door,
        request: Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let (parts, body) = request.into_parts();
        if parts.uri.path() != LAUNCH_PATH {
            return Err(Refusal::Reserved);
        }
        if parts.method != Method::POST {
            return Err(Refusal::Method);
        }
        let mut origins = parts.headers.get_all(header::ORIGIN).iter();
        let from_portal = match (origins.next(), origins.next()) {
            (Some(origin), None) => origin
                .to_str()
                .is_ok_and(|origin| self.0.config.is_portal(origin)),
            _ => false,
        };
        if !from_portal {
            return Err(Refusal::Foreign);
        }
        let ticket = ticket(&parts, body).await?;
        let redeemed = access::redeem(&self.0.state, &door.origin, &ticket).await;
        let (token, pass) = redeemed.map_err(internal)?.ok_or(Refusal::BadTicket)?;
        self.0.doors.used(pass.session);
        tracing::info!(session = %pass.session, service = pass.service, account = %pass.account, "opened");
        let lasts = (pass.expires_at - self.0.state.clock().now())
            .whole_seconds()
            .max(0);
        let secure = if self.0.config.safe() { "; Secure" } else { "" };
        let cookie = format!(
            "{}={token}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Lax{secure}",
            self.0.config.cookie()
        );
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let headers = response.headers_mut();
        let landing = HeaderValue::try_from(&door.landing).map_err(|_| Refusal::Internal)?;
        headers.insert(header::LOCATION, landing);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        );
        let cookie = HeaderValue::try_from(cookie).map_err(|_| Refusal::Internal)?;
        headers.insert(header::SET_COOKIE, cookie);
        Ok(response)
    }

    /// The token of the pass that is good here, if the request shows one.
    pub(super) async fn shown(
        &self,
        label: &str,
        headers: &HeaderMap,
    ) -> Result<Option<String>, Refusal> {
        let name = self.0.config.cookie();
        for token in headers::cookie(headers, name).take(PASSES) {
            let pass = self.0.doors.pass(label, token).await.map_err(internal)?;
            if pass.is_some() {
                return Ok(Some(token.to_owned()));
            }
        }
        Ok(None)
    }
}

/// The only field of a launch's form.
async fn ticket(parts: &Parts, body: Body) -> Result<String, Refusal> {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::NotALaunch);
    }
    let read = tokio::time::timeout(FORM_TAKES, axum::body::to_bytes(body, FORM)).await;
    let Ok(Ok(form)) = read else {
        return Err(Refusal::NotALaunch);
    };
    let mut tokens = url::form_urlencoded::parse(&form)
        .filter(|(name, _)| name == "token")
        .map(|(_, token)| token.into_owned());
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token),
        _ => Err(Refusal::NotALaunch),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
pub(super) fn internal(error: crate::orchestrator::Error) -> Refusal {
    tracing::error!(error = format!("{error:#}"), "an app cannot be reached");
    Refusal::Internal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_portal_launches() {
        let config = |portal: &str| Config {
            portal: portal.into(),
            suffix: ".apps.localhost:8080".into(),
            secure: false,
        };
        let local = config("http://127.0.0.1:8080");
        for (origin, known) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8081", false),
            ("http://localhost", false),
            ("https://localhost:8080", false),
            ("http://x.localhost:8080", false),
            ("http://x.apps.localhost:8080", false),
            ("http://127.0.0.2:8080", false),
            ("http://127.0.0.1:8080.evil.example", false),
            ("http://user@127.0.0.1:8080", false),
            ("http://127.1:8080", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(local.is_portal(origin), known, "{origin}");
        }
        let public = config("https://grid.example.com");
        assert!(public.is_portal("https://grid.example.com"));
        assert!(!public.is_portal("http://grid.example.com"));
        assert!(!public.is_portal("https://localhost"));
        assert!(!public.is_portal("https://grid.example.com.evil.example"));
    }

    #[test]
    fn the_cookie_is_bound_to_its_host_where_browsers_take_such_a_cookie() {
        for (suffix, secure, name) in [
            (".apps.localhost:8080", false, "__Host-jg_app"),
            (".apps.localhost", false, "__Host-jg_app"),
            (".apps.example.com", true, "__Host-jg_app"),
            (".apps.lan:8080", false, "jg_app"),
            (".notlocalhost:8080", false, "jg_app"),
        ] {
            let config = Config {
                portal: String::new(),
                suffix: suffix.into(),
                secure,
            };
            assert_eq!(config.cookie(), name, "{suffix}");
        }
    }
}
