//! Apps that want to be called by a name of their own.
use super::*;
use axum::extract::Request as Asked;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use http::StatusCode;
use junglegrid::domain::app::Phase;
use junglegrid::domain::template::HostPolicy;
use junglegrid::orchestrator::apps::{Gate as _, Question};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const INSIDE: &str = "http://localhost:7000";

/// Answers nobody but pages of `http://localhost:7000`.
async fn strict(asked: Asked, next: Next) -> axum::response::Response {
    let headers = asked.headers();
    let all = |name: &str| {
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
        values
    };
    let host = all("host") == ["localhost:7000"];
    let origin = matches!(all("origin")[..], [] | [INSIDE]);
    let referer = all("referer")
        .iter()
        .all(|from| from.starts_with("http://localhost:7000/"));
    if host && origin && referer {
        return next.run(asked).await;
    }
    StatusCode::FORBIDDEN.into_response()
}

fn narrow() -> Router {
    let login = async || {
        (
            StatusCode::FOUND,
            [
                ("location", "http://localhost:7000/home?a=1"),
                ("set-cookie", "a=1; Domain=localhost; Path=/"),
            ],
        )
    };
    Router::new()
        .route("/login", get(login))
        .route("/socket", any(echo_socket))
        .fallback(mirror)
        .layer(from_fn(strict))
}

#[tokio::test]
async fn an_app_that_knows_localhost_only_is_called_so() {
    let site = Site::start().await;
    let (address, _server) = serve(narrow()).await;
    let token = site.api.sign_up("ada@example.com").await;
    let localhost = |manifest: &mut junglegrid::domain::template::Manifest| {
        manifest.services[0].host_policy = HostPolicy::Localhost;
    };
    let app = site
        .launch_as(&token, address, Phase::Running, localhost)
        .await;
    let (cookie, own) = (site.enter(&app).await, site.origin(&app));
    let request = site
        .inside(&app, &cookie, "/page")
        .header("origin", &own)
        .header("referer", format!("{own}/from?b=2"))
        .body(Body::from("x"));
    let mut request = request.unwrap();
    *request.method_mut() = Method::POST;
    let (_, headers) = seen(&site.send(request).await);
    assert_eq!(value(&headers, "host"), Some("localhost:7000"));
    assert_eq!(value(&headers, "origin"), Some(INSIDE));
    assert_eq!(
        value(&headers, "referer"),
        Some("http://localhost:7000/from?b=2")
    );
    let host = site.host(&app);
    assert_eq!(value(&headers, "x-forwarded-host"), Some(host.as_str()));
    assert_eq!(value(&headers, "x-forwarded-proto"), Some("http"));

    let login = site.get(&app, &cookie, "/login").await;
    assert_eq!(login.status, 302);
    assert_eq!(login.all("location"), [format!("{own}/home?a=1")]);
    assert_eq!(login.all("set-cookie"), ["a=1; Path=/"]);

    let (head, mut socket) = site.websocket(&host, &own, &cookie, "/socket").await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    socket.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    socket.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");

    let question = Question {
        method: Method::GET,
        path: "/ready".into(),
        body: Bytes::new(),
        patience: crate::site::PATIENCE,
    };
    let ready = site.proxy.probe(&app.label, question).await.unwrap();
    assert_eq!(ready.status, 200);

    // What a page of the app inside would say is not what a browser says.
    site.engine.asked.lock().unwrap().clear();
    for origin in [INSIDE, "http://localhost", &site.portal(), "null"] {
        let request = site
            .inside(&app, &cookie, "/page")
            .header("origin", origin)
            .body(Body::from("x"));
        let mut request = request.unwrap();
        *request.method_mut() = Method::POST;
        assert_eq!(site.send(request).await.status, 403, "{origin}");
        let (head, _) = site.websocket(&host, origin, &cookie, "/socket").await;
        assert!(head.starts_with("http/1.1 403 "), "{origin}: {head}");
    }
    assert!(
        site.engine.asked.lock().unwrap().is_empty(),
        "the app was asked"
    );

    // The same app under its public name would answer nobody.
    let token = site.api.from("192.0.2.7").sign_up("bob@example.com").await;
    let public = site.launch(&token, address).await;
    let cookie = site.enter(&public).await;
    assert_eq!(site.get(&public, &cookie, "/page").await.status, 403);
}
