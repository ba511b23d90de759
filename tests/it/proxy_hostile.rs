//! An app that attacks: the portal, other apps, its own visitors' passes, and what
//! stands between. Each attack is one the proxy has to stop by itself; what a
//! browser would stop in addition is not counted on.
use crate::site::{Answer, App, Site, recite, serve};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, Uri};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio_util::task::AbortOnDropHandle;

/// What did not work, by name.
#[derive(Default)]
struct Foiled(BTreeSet<&'static str>);

impl Foiled {
    /// Notes an attack, provided that it failed.
    fn note(&mut self, attack: &'static str, failed: bool) {
        assert!(failed, "this worked: {attack}");
        assert!(self.0.insert(attack), "{attack} is counted twice");
    }
}

/// Every header and target that any app has been sent.
type Log = Arc<Mutex<Vec<String>>>;

async fn listening(log: Log) -> (SocketAddr, AbortOnDropHandle<()>) {
    let router = Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
        let mut log = log.lock().unwrap();
        log.push(uri.to_string());
        for (name, value) in &headers {
            log.push(format!(
                "{name}: {}",
                String::from_utf8_lossy(value.as_bytes())
            ));
        }
        "caught"
    });
    serve(router).await
}

/// What the browser of someone inside gets from an app that answers these bytes.
async fn bitten(site: &Site, app: &App, cookie: &str, answer: Vec<u8>) -> Answer {
    let (address, _server) = recite(move |_| answer.clone()).await;
    site.engine.lead(&app.handle, address);
    site.get(app, cookie, "/").await
}

fn with(header: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .into()
}

#[tokio::test]
async fn no_attack_of_an_app_works() {
    let site = Site::start().await;
    let token = site.api.sign_up("ada@example.com").await;
    let log = Log::default();
    let (address, _server) = listening(Arc::clone(&log)).await;
    let app = site.launch(&token, address).await;
    let victim_token = site.api.from("192.0.2.8").sign_up("vic@example.com").await;
    let victim = site.launch(&victim_token, address).await;
    let (cookie, victims) = (site.enter(&app).await, site.enter(&victim).await);
    let mut foiled = Foiled::default();

    the_answers(&site, &app, &cookie, &mut foiled).await;
    broken_http(&site, &app, &cookie, &mut foiled).await;
    site.engine.lead(&app.handle, address);
    what_it_sees(&site, &app, &cookie, &log, &mut foiled).await;
    the_portal(&site, &app, &cookie, &mut foiled).await;
    other_apps(&site, &app, &victim, (&cookie, &victims), &mut foiled).await;

    println!("{} attacks, none worked:", foiled.0.len());
    for attack in &foiled.0 {
        println!("  {attack}");
    }
    assert_eq!(foiled.0.len(), 56);
    assert_eq!(site.get(&victim, &victims, "/").await.text(), "caught");
    assert_eq!(site.get(&app, &cookie, "/").await.text(), "caught");
}

/// Headers that would reach beyond the app's own origin.
async fn the_answers(site: &Site, app: &App, cookie: &str, foiled: &mut Foiled) {
    let get = async |header: &str| bitten(site, app, cookie, with(header)).await;
    let tossed = get("Set-Cookie: __Secure-x=1; Domain=localhost; Path=/").await;
    let tossed = tossed.all("set-cookie").join(" ").to_lowercase();
    foiled.note(
        "a cookie for the parent domain",
        !tossed.is_empty() && !tossed.contains("domain"),
    );
    let tossed = get("Set-Cookie: s=1;\tdOmAiN\t=apps.localhost").await;
    let tossed = tossed.all("set-cookie").join(" ").to_lowercase();
    foiled.note(
        "the same, spelt oddly",
        !tossed.is_empty() && !tossed.contains("domain"),
    );
    for (attack, cookie) in [
        (
            "a portal session by cookie",
            "__Host-jg_session=jgs_evil; Path=/; Secure",
        ),
        (
            "a portal session in small letters",
            "__host-jg_session=jgs_evil; Path=/; Secure",
        ),
        ("a pass by cookie", "__Host-jg_app=jga_evil; Path=/; Secure"),
        (
            "a pass by a cookie without a name",
            "=__Host-jg_app=jga_evil; Path=/",
        ),
        (
            "the portal's cookie of an installation without TLS",
            "jg_session=jgs_evil",
        ),
    ] {
        let answer = get(&format!("Set-Cookie: {cookie}")).await;
        foiled.note(
            attack,
            answer.status == 200 && answer.all("set-cookie").is_empty(),
        );
    }
    for (attack, header) in [
        (
            "HSTS for the whole host",
            "Strict-Transport-Security: max-age=9; includeSubDomains",
        ),
        ("clearing what the site stores", "Clear-Site-Data: \"*\""),
        (
            "a service worker above its path",
            "Service-Worker-Allowed: /",
        ),
        ("an alternative service", "Alt-Svc: h3=\"evil.example:443\""),
        ("reports to elsewhere", "Report-To: {\"group\":\"x\"}"),
        (
            "network error logs to elsewhere",
            "NEL: {\"report_to\":\"x\"}",
        ),
        ("key pins", "Public-Key-Pins: pin-sha256=\"x\""),
        ("a file of the front proxy", "X-Accel-Redirect: /etc/passwd"),
        ("a file of the front server", "X-Sendfile: /etc/passwd"),
        ("an upgrade that was not asked for", "Upgrade: h2c"),
        (
            "a proxy's password prompt",
            "Proxy-Authenticate: Basic realm=\"portal\"",
        ),
    ] {
        let name = header.split(':').next().unwrap();
        let answer = get(header).await;
        let gone = answer.status == 200 && !answer.headers.contains_key(name);
        foiled.note(attack, gone);
    }
    let framed = get("Content-Security-Policy: frame-ancestors *").await;
    let policies = framed.all("content-security-policy");
    foiled.note(
        "being framed by others",
        policies.contains(&"frame-ancestors 'self'"),
    );
    let answer = get("Referrer-Policy: unsafe-url").await;
    foiled.note(
        "its address told to others",
        answer.all("referrer-policy") == ["same-origin"],
    );
    let redirect = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:7000/x\r\n\
        Location: http://evil.example/\r\nContent-Length: 0\r\n\r\n";
    let answer = bitten(site, app, cookie, redirect.to_vec()).await;
    foiled.note("two places to go to", answer.all("location").is_empty());
}

/// Answers that are not what they seem.
async fn broken_http(site: &Site, app: &App, cookie: &str, foiled: &mut Foiled) {
    let get = async |bytes: Vec<u8>| bitten(site, app, cookie, bytes).await;
    let two = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\
        Set-Cookie: __Host-jg_app=x\r\nContent-Length: 4\r\n\r\nevil";
    let answer = get(two.to_vec()).await;
    foiled.note("a second answer behind the first", answer.text() == "ok");
    let (address, _server) = recite(move |_| two.to_vec()).await;
    site.engine.lead(&app.handle, address);
    let host = site.host(app);
    let request = format!("GET /1 HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
    let last = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let both = site.raw(format!("{request}{last}").as_bytes()).await;
    let fine = both.matches("HTTP/1.1 200").count() == 2 && !both.contains("evil");
    foiled.note("poisoning the next answer", fine);
    for (attack, bytes) in [
        (
            "an answer that is no HTTP",
            b"\x00\xff garbage\r\n\r\n".to_vec(),
        ),
        ("HTTP/0.9", b"<script>alert(1)</script>".to_vec()),
        (
            "a head without an end",
            format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(300_000)).into(),
        ),
        (
            "ten thousand headers",
            format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(10_000)).into(),
        ),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\nok".to_vec(),
        ),
        (
            "a header with a line break",
            b"HTTP/1.1 200 OK\r\nContent-Type: a\rSet-Cookie: x=1\r\n\r\nok".to_vec(),
        ),
        (
            "another protocol without being asked",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
              Upgrade: websocket\r\n\r\nevil"
                .to_vec(),
        ),
    ] {
        let answer = get(bytes).await;
        let page = answer.text();
        let fine = answer.status == 502 && !page.contains("alert") && !page.contains("evil");
        foiled.note(attack, fine);
    }
    let mut flood = "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n".repeat(20_000);
    flood.push_str("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let answer = get(flood.into()).await;
    let fine = answer.status == 502 || (answer.status == 200 && answer.text() == "ok");
    foiled.note("a flood of interim answers", fine);
}

/// What an app could learn, or be made to believe, from what it is sent.
async fn what_it_sees(site: &Site, app: &App, cookie: &str, log: &Log, foiled: &mut Foiled) {
    log.lock().unwrap().clear();
    let request = site
        .inside(
            app,
            &format!("{cookie}; __Host-jg_session={}; own=1", app.token),
            "/",
        )
        .header("authorization", format!("Bearer {}", app.token))
        .header("x-forwarded-for", "203.0.113.66")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-user", "root")
        .header("connection", "close, x-app-auth, host, x-forwarded-for")
        .header("referer", format!("{}/portal/secret", site.portal()))
        .body(Body::empty());
    assert_eq!(site.send(request.unwrap()).await.text(), "caught");
    let upgrade = format!(
        "GET /h2c HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        site.host(app)
    );
    let upgraded = site.raw(upgrade.as_bytes()).await;
    let seen = log.lock().unwrap().join("\n");
    let token = cookie.split_once('=').unwrap().1;
    foiled.note(
        "reading the pass",
        !seen.contains(token) && seen.contains("cookie: own=1"),
    );
    foiled.note("reading the portal's token", !seen.contains(&app.token));
    foiled.note("reading where one came from", !seen.contains("secret"));
    foiled.note(
        "a false forwarder",
        !seen.contains("203.0.113.66") && !seen.contains("root"),
    );
    foiled.note("its host being another", !seen.contains("evil.example"));
    let signed = seen.contains("x-app-auth: key ") && seen.contains("x-forwarded-for: 127.0.0.1");
    foiled.note("headers taken off by Connection", signed);
    let plain = upgraded.starts_with("HTTP/1.1 200") && !seen.contains("http2-settings");
    foiled.note("HTTP/2 past the gate", plain && !seen.contains("upgrade:"));
}

/// Requests that the app's page has its visitor's browser send to the portal, with
/// the portal's cookie, as browsers do between sibling hosts.
async fn the_portal(site: &Site, app: &App, cookie: &str, foiled: &mut Foiled) {
    let session = format!("__Host-jg_session={}", app.token);
    let portal = site.address.to_string();
    let post = async |lines: &[(&str, &str)]| {
        let mut request = Request::post("/logout")
            .header("host", &portal)
            .header("cookie", &session)
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        site.send(request.body(Body::empty()).unwrap()).await
    };
    let origin = site.origin(app);
    let answer = post(&[("origin", &origin)]).await;
    foiled.note("a form sent to the portal", answer.status == 403);
    let answer = post(&[("sec-fetch-site", "same-site"), ("origin", &origin)]).await;
    foiled.note("the same from a sibling host", answer.status == 403);
    let path = format!("/v1/app-sessions/{}/open", app.id);
    let request = Request::post(path)
        .header("host", &portal)
        .header("cookie", &session);
    let request = request
        .header("origin", &origin)
        .body(Body::from(json!({}).to_string()));
    let answer = site.send(request.unwrap()).await;
    foiled.note("the API by cookie", answer.status == 401);
    let (head, _) = site.websocket(&portal, &origin, &session, "/v1/jobs").await;
    foiled.note(
        "a WebSocket to the portal",
        head.starts_with("http/1.1 401"),
    );
    let request = Request::get("/portal")
        .header("host", &portal)
        .header("cookie", cookie);
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    let out = answer.status == 303 && answer.all("location")[0].starts_with("/login");
    foiled.note("a pass shown to the portal", out);
    let still = site.api.get("/auth/session", &app.token).await;
    assert_eq!(still.status, 200, "the visitor was signed out");
}

/// Ways into another person's app.
async fn other_apps(
    site: &Site,
    app: &App,
    victim: &App,
    (cookie, victims): (&str, &str),
    foiled: &mut Foiled,
) {
    site.engine.asked.lock().unwrap().clear();
    let answer = site.get(victim, cookie, "/").await;
    foiled.note("its own pass at another app", answer.status == 401);
    let both = format!("{cookie}; {cookie}");
    let answer = site.get(victim, &both, "/").await;
    foiled.note("its own pass twice", answer.status == 401);
    let (host, origin) = (site.host(victim), site.origin(app));
    let (head, _) = site.websocket(&host, &origin, victims, "/").await;
    foiled.note(
        "a WebSocket to another app",
        head.starts_with("http/1.1 403"),
    );
    let send = async |lines: &[(&str, &str)], method: &str| {
        let mut request = site.inside(victim, victims, "/delete").method(method);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        site.send(request.body(Body::empty()).unwrap()).await.status
    };
    let status = send(&[("origin", &origin)], "POST").await;
    foiled.note("a form sent to another app", status == 403);
    let sibling = [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "no-cors"),
    ];
    let status = send(&sibling, "GET").await;
    foiled.note("an image of another app", status == 403);
    let framing = [
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "iframe"),
    ];
    foiled.note("framing another app", send(&framing, "GET").await == 403);
    let own = site.host(app);
    for (attack, target, hosts) in [
        ("two hosts", "/", format!("Host: {own}\r\nHost: {host}")),
        (
            "another host in the target",
            &*format!("http://{host}/"),
            format!("Host: {own}"),
        ),
    ] {
        let request = format!(
            "GET {target} HTTP/1.1\r\n{hosts}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
        );
        let answer = site.raw(request.as_bytes()).await;
        foiled.note(attack, answer.starts_with("HTTP/1.1 400"));
    }
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {own}\r\nX-Forwarded-Host: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    site.raw(request.as_bytes()).await;
    let asked = site.engine.asked.lock().unwrap().clone();
    let own_only = asked.iter().all(|(handle, _)| *handle == app.handle);
    foiled.note("another host by forwarding", own_only);
    let ticket = site.ticket(app).await;
    let request = Request::post("/_jg/launch")
        .header("host", &host)
        .header("origin", &origin)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(format!("token={ticket}")));
    let answer = site.send(request.unwrap()).await;
    let kept_out = answer.status == 403 && answer.all("set-cookie").is_empty();
    foiled.note("signing a visitor in as another", kept_out);
    for (attack, path) in [
        ("a launch by another path", "/_jg/../_jg/launch"),
        ("a launch by an encoded path", "/_jg/%2e%2e/_jg/launch"),
        ("a launch by two slashes", "//_jg/launch"),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {own}\r\nOrigin: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            site.portal()
        );
        let answer = site.raw(request.as_bytes()).await;
        foiled.note(attack, answer.starts_with("HTTP/1.1 400"));
    }
}
