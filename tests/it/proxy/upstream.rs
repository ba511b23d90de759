//! What goes to the app, what comes back, and what happens when it does not.
use super::*;
use crate::site::PATIENCE;
use junglegrid::domain::app::Phase;
use junglegrid::orchestrator::apps::{Gate as _, Question};
use junglegrid::store::apps::find_for_worker;
use std::sync::Mutex;
use std::time::Instant;

/// P1.
#[tokio::test]
async fn the_way_to_an_app_is_the_databases_to_say() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    site.engine.asked.lock().unwrap().clear();
    for path in [
        "/",
        "/:9999/",
        "/@evil.example/",
        "/http://evil.example/",
        "/?port=9999",
        "/%2f%2fevil.example",
        "/127.0.0.1:22",
    ] {
        let answer = site.get(&app, &cookie, path).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    let host = site.host(&app);
    let absolute = format!(
        "GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    let answer = site.raw(absolute.as_bytes()).await;
    assert!(answer.contains("\"uri\":\"/x\""), "{answer}");
    let elsewhere = absolute.replacen(&host, "evil.example", 1);
    assert!(
        site.raw(elsewhere.as_bytes())
            .await
            .starts_with("HTTP/1.1 400 ")
    );
    let asked = site.engine.asked.lock().unwrap().clone();
    assert!(!asked.is_empty());
    assert!(
        asked.iter().all(|way| *way == (app.handle.clone(), 7000)),
        "{asked:?}"
    );
}

/// P2.
#[tokio::test]
async fn the_app_gets_named_headers_only() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let own = site.origin(&app);
    let request = site
        .inside(
            &app,
            &format!("a=1; {cookie}; jg_session=jgs_x; b=2"),
            "/look?q=1",
        )
        .header(
            "cookie",
            "__Host-jg_session=jgs_y; __secure-jg_z=1; =__Host-jg_app=1; c=3",
        )
        .header("authorization", format!("Bearer {}", app.token))
        .header("proxy-authorization", "Basic eDp5")
        .header("accept", "text/plain")
        .header("range", "bytes=0-9")
        .header("x-forwarded-for", "203.0.113.1")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-user", "root")
        .header("x-real-ip", "203.0.113.1")
        .header("forwarded", "for=203.0.113.1")
        .header("x-remote-user", "root")
        .header("x-app-auth", "mine")
        .header("te", "trailers")
        .header("keep-alive", "timeout=5")
        .header("connection", "keep-alive, x-requested-with, if-match")
        .header("x-requested-with", "XMLHttpRequest")
        .header("if-match", "x")
        .header("x-csrftoken", "t")
        .header("origin", &own)
        .header("referer", format!("{own}/page"))
        .body(Body::empty());
    let (request, headers) = seen(&site.send(request.unwrap()).await);
    assert_eq!(request["uri"], "/look?q=1");
    let mut named = names(&headers);
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "accept",
            "cookie",
            "host",
            "origin",
            "range",
            "referer",
            "x-app-auth",
            "x-csrftoken",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
        ]
    );
    assert_eq!(value(&headers, "cookie"), Some("a=1; b=2; c=3"));
    assert_eq!(value(&headers, "host"), Some(site.host(&app).as_str()));
    assert_eq!(
        value(&headers, "x-forwarded-host"),
        Some(site.host(&app).as_str())
    );
    assert_eq!(value(&headers, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(value(&headers, "x-forwarded-proto"), Some("http"));
    let secret = value(&headers, "x-app-auth").unwrap();
    assert!(secret.starts_with("key ") && secret.len() == 52, "{secret}");
    // The app's own token is its own affair; a referrer from elsewhere is not.
    let request = site
        .inside(&app, &cookie, "/look")
        .header("authorization", "Bearer eyJ.app.token")
        .header("referer", format!("{}/portal/jobs", site.portal()));
    let (_, headers) = seen(&site.send(request.body(Body::empty()).unwrap()).await);
    assert_eq!(
        value(&headers, "authorization"),
        Some("Bearer eyJ.app.token")
    );
    assert_eq!(value(&headers, "referer"), None);
    assert_eq!(value(&headers, "cookie"), None);
    for odd in ["X_Forwarded_For: 1", "X.Auth.User: root"] {
        let host = site.host(&app);
        let request =
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n{odd}\r\n\r\n");
        assert!(
            site.raw(request.as_bytes())
                .await
                .starts_with("HTTP/1.1 400 "),
            "{odd}"
        );
    }
}

/// P8.
#[tokio::test]
async fn the_browser_gets_named_headers_only() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\
        Set-Cookie: a=1; Domain=localhost; Path=/x; HttpOnly\r\n\
        Set-Cookie: b=2;domain = .apps.localhost;Secure\r\n\
        Set-Cookie: __Host-jg_app=stolen; Path=/; Secure\r\n\
        Set-Cookie: __hOST-JG_session=evil; Path=/; Secure\r\n\
        Set-Cookie: __Secure-jg=1; Secure\r\n\
        Set-Cookie: =__Host-jg_app=x\r\nSet-Cookie: bare\r\n\
        Strict-Transport-Security: max-age=1\r\nPublic-Key-Pins: x\r\n\
        Clear-Site-Data: \"*\"\r\nService-Worker-Allowed: /\r\nAlt-Svc: h3=\":1\"\r\n\
        Report-To: {}\r\nNEL: {}\r\nX-Accel-Redirect: /etc/passwd\r\nX-Sendfile: /etc/passwd\r\n\
        Server: app\r\nX-Powered-By: app\r\nVia: 1.1 x\r\nUpgrade: h2c\r\n\
        Connection: close, ETag\r\nETag: \"1\"\r\nTrailer: X\r\nProxy-Authenticate: Basic\r\n\
        Content-Security-Policy: default-src 'self'\r\nX-Request-Id: evil\r\n\
        Access-Control-Allow-Origin: *\r\nCache-Control: max-age=5\r\n\
        Referrer-Policy: unsafe-url\r\n\r\nok";
    let site = Site::start().await;
    let (address, _server) = recite(|_| ANSWER.into()).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    let cookie = site.enter(&app).await;
    let answer = site.get(&app, &cookie, "/").await;
    assert_eq!(answer.text(), "ok");
    let mut named: Vec<&str> = answer
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "access-control-allow-origin",
            "cache-control",
            "content-length",
            "content-security-policy",
            "content-type",
            "cross-origin-resource-policy",
            "date",
            "referrer-policy",
            "set-cookie",
            "x-request-id",
            "x-robots-tag",
        ]
    );
    assert_eq!(
        answer.all("set-cookie"),
        ["a=1; Path=/x; HttpOnly", "b=2; Secure"]
    );
    assert_eq!(
        answer.all("content-security-policy"),
        ["default-src 'self'", "frame-ancestors 'self'"]
    );
    assert_eq!(answer.all("referrer-policy"), ["same-origin"]);
    assert_ne!(answer.all("x-request-id"), ["evil"]);
}

#[tokio::test]
async fn redirects_to_the_inside_lead_to_the_apps_origin() {
    let site = Site::start().await;
    let (address, _server) = recite(|head| {
        let to = head.lines().next().unwrap().split(' ').nth(1).unwrap();
        let to = to.strip_prefix("/?to=").unwrap();
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into()
    })
    .await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    let cookie = site.enter(&app).await;
    let own = site.origin(&app);
    for (to, leads) in [
        ("/login", "/login".to_owned()),
        ("http://127.0.0.1:7000/a?b=c", format!("{own}/a?b=c")),
        ("http://localhost:7000", own.clone()),
        ("https://0.0.0.0:7000/a", format!("{own}/a")),
        (
            "http://127.0.0.1:70001/a",
            "http://127.0.0.1:70001/a".into(),
        ),
        (
            "http://localhost:7000.evil.example/",
            "http://localhost:7000.evil.example/".into(),
        ),
        (
            &format!("{}/x", own.replace("http:", "https:")),
            format!("{own}/x"),
        ),
        (
            "https://huggingface.co/login",
            "https://huggingface.co/login".into(),
        ),
    ] {
        let answer = site.get(&app, &cookie, &format!("/?to={to}")).await;
        assert_eq!(answer.status, 302);
        assert_eq!(answer.all("location"), [leads], "{to}");
    }
}

#[tokio::test]
async fn bodies_and_methods_arrive_as_they_were_sent() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let mut request = site
            .inside(&app, &cookie, "/x")
            .header("expect", "100-continue")
            .header("content-type", "application/json")
            .body(Body::from("{\"a\":1}"))
            .unwrap();
        *request.method_mut() = method.clone();
        let (arrived, headers) = seen(&site.send(request).await);
        assert_eq!(
            (&arrived["method"], &arrived["body"]),
            (&json!(method.as_str()), &json!("{\"a\":1}"))
        );
        assert_eq!(value(&headers, "content-length"), Some("7"));
        assert_eq!(value(&headers, "expect"), None);
    }
    let (arrived, headers) = seen(&site.get(&app, &cookie, "/x").await);
    assert_eq!(arrived["body"], "");
    assert!(
        value(&headers, "content-length").is_none()
            && value(&headers, "transfer-encoding").is_none()
    );
    let mut request = site
        .inside(&app, &cookie, "/large")
        .body(Body::empty())
        .unwrap();
    *request.method_mut() = Method::HEAD;
    let answer = site.send(request).await;
    assert_eq!(
        (answer.all("content-length"), answer.body.len()),
        (vec!["100000"], 0)
    );
    let answer = site.get(&app, &cookie, "/large").await;
    assert_eq!(
        (answer.all("content-length"), answer.body.len()),
        (vec!["100000"], 100_000)
    );
    assert!(answer.headers.get("content-encoding").is_none());
    assert_eq!(site.get(&app, &cookie, "/empty").await.status, 204);
}

#[tokio::test]
async fn connections_are_used_again_and_survive_a_restart_of_the_app() {
    let (site, app, double, server) = running().await;
    let cookie = site.enter(&app).await;
    for _ in 0..20 {
        assert_eq!(site.get(&app, &cookie, "/").await.status, 200);
    }
    let opened = site.engine.connections.load(Ordering::Relaxed);
    assert!(opened < 20, "{opened} connections for 20 requests");
    drop(server);
    let (address, _server) = serve(double.router.clone()).await;
    site.engine.lead(&app.handle, address);
    for _ in 0..3 {
        assert_eq!(site.get(&app, &cookie, "/").await.status, 200);
    }
    let mut request = site
        .inside(&app, &cookie, "/x")
        .body(Body::from("once"))
        .unwrap();
    *request.method_mut() = Method::POST;
    assert_eq!(site.send(request).await.status, 200);
}

/// Sends for twice as long as is waited for an answer. `false` if the machine stood
/// still for so long that this says nothing.
async fn long_upload(
    site: &Site,
    app: &App,
    cookie: &str,
    double: &Double,
    first_byte: Duration,
) -> bool {
    let begun = Instant::now();
    let sent = Arc::new(AtomicUsize::new(0));
    // When the last piece was taken, and the longest time between two.
    let pace = Arc::new(Mutex::new((begun, Duration::ZERO)));
    let (count, pieces) = (Arc::clone(&sent), Arc::clone(&pace));
    let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
    let more = std::iter::from_fn(move || {
        let mut pace = pieces.lock().unwrap();
        *pace = (Instant::now(), pace.1.max(pace.0.elapsed()));
        let more = begun.elapsed() < first_byte * 2;
        more.then(|| {
            count.fetch_add(chunk.len(), Ordering::Relaxed);
            Ok::<_, Infallible>(chunk.clone())
        })
    });
    let chunks = futures_util::stream::iter(more);
    let mut request = site
        .inside(app, cookie, "/upload")
        .body(Body::from_stream(chunks))
        .unwrap();
    *request.method_mut() = Method::POST;
    double.moved.store(0, Ordering::Relaxed);
    let answer = site.send(request).await;
    let (last, longest) = *pace.lock().unwrap();
    if answer.status == 504 && longest.max(last.elapsed()) >= first_byte / 2 {
        return false;
    }
    let sent = sent.load(Ordering::Relaxed).to_string();
    assert_eq!((answer.status.as_u16(), answer.text()), (200, sent));
    true
}

#[tokio::test]
async fn an_app_that_does_not_answer_is_excused() {
    let first_byte = Duration::from_secs(1);
    let limits = Limits {
        connect: Duration::from_millis(300),
        first_byte,
        connections: 2,
        ..Limits::default()
    };
    let site = Site::with(limits).await;
    let double = Double::new();
    let (address, _server) = serve(double.router.clone()).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    let cookie = site.enter(&app).await;
    let slow = site.get(&app, &cookie, "/never").await;
    assert_eq!(slow.status, 504);
    assert!(slow.text().contains("too long"), "{}", slow.text());
    // An upload is waited for while it goes on; its answer is then due.
    double.gate.add_permits(100);
    while !long_upload(&site, &app, &cookie, &double, first_byte).await {}
    // Streams hold connections; the cap is the app's own.
    let stream = async || {
        let request = site.inside(&app, &cookie, "/events").body(Body::empty());
        site.open(request.unwrap()).await
    };
    let first = stream().await;
    let second = stream().await;
    assert_eq!(
        (first.status().as_u16(), second.status().as_u16()),
        (200, 200)
    );
    assert_eq!(site.get(&app, &cookie, "/").await.status, 503);
    drop((first, second));
    until("a connection is free", async || {
        site.get(&app, &cookie, "/").await.status == 200
    })
    .await;
    site.engine.stuck.store(true, Ordering::Relaxed);
    let token = site.api.from("192.0.2.7").sign_up("bob@example.com").await;
    let stuck = site.launch(&token, address).await;
    let cookie = site.enter(&stuck).await;
    assert_eq!(site.get(&stuck, &cookie, "/").await.status, 504);
    site.engine.stuck.store(false, Ordering::Relaxed);
    site.engine
        .lead(&stuck.handle, "127.0.0.1:1".parse().unwrap());
    let down = site.get(&stuck, &cookie, "/").await;
    assert_eq!(down.status, 502);
    assert!(!down.text().contains("127.0.0.1:1"), "{}", down.text());
}

#[tokio::test]
async fn checks_take_the_same_way_without_a_pass() {
    let (site, app, _double, server) = running().await;
    let ask_for = async |patience: Duration, app: &App, path: &str, body: &'static str| {
        let question = Question {
            method: if body.is_empty() {
                Method::GET
            } else {
                Method::POST
            },
            path: path.into(),
            body: Bytes::from_static(body.as_bytes()),
            patience,
        };
        site.proxy.probe(&app.label, question).await
    };
    let ask =
        async |app: &App, path: &str, body: &'static str| ask_for(PATIENCE, app, path, body).await;
    let starting = site
        .launch_in(&app.token, "127.0.0.1:1".parse().unwrap(), Phase::Services)
        .await;
    assert_eq!(
        ask(&starting, "/", "").await.unwrap_err(),
        "connection refused"
    );
    let answer = ask(&app, "/ready", "{\"a\":1}").await.unwrap();
    assert_eq!(answer.status, 200);
    let arrived: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(arrived["body"], "{\"a\":1}");
    let headers: Vec<(String, String)> =
        serde_json::from_value(arrived["headers"].clone()).unwrap();
    assert_eq!(value(&headers, "host"), Some(site.host(&app).as_str()));
    assert_eq!(value(&headers, "content-type"), Some("application/json"));
    assert!(value(&headers, "x-app-auth").is_some());
    assert_eq!(
        ask(&app, "/bytes/200000000", "").await.unwrap().body.len(),
        64 * 1024
    );
    assert_eq!(
        ask_for(Duration::from_millis(500), &app, "/never", "")
            .await
            .unwrap_err(),
        "no answer within 0 s"
    );
    assert_eq!(
        ask(&app, "not a path", "").await.unwrap_err(),
        "the path to ask for is not one"
    );
    drop(server);
    let mut conn = site.api.state.store().read().await.unwrap();
    let session = find_for_worker(&mut conn, app.id).await.unwrap().unwrap();
    assert_eq!(session.last_used_at, None, "a check is no use");
}
