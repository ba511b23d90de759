//! Apps behind the proxy, for browsers that speak HTTP/2 with it.
use super::*;
use crate::site;
use serde_json::{Value, json};

/// Tells what arrived, as HTTP/1.1 knows it.
async fn tell(request: Request<Body>) -> String {
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let (version, uri) = (request.version(), request.uri().to_string());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = format!("{:?}", Sha256::digest(&body));
    json!({ "version": format!("{version:?}"), "uri": uri, "headers": headers, "body": body })
        .to_string()
}

fn app() -> Router {
    let event = || {
        let lines = futures_util::stream::once(async { Bytes::from_static(b"data: 1\n\n") })
            .chain(futures_util::stream::pending())
            .map(Ok::<_, Infallible>);
        let kind = [("content-type", "text/event-stream")];
        std::future::ready((kind, Body::from_stream(lines)))
    };
    let odd = [
        ("connection", "keep-alive, x-gradio-hop"),
        ("keep-alive", "timeout=5"),
        ("x-gradio-hop", "1"),
        ("set-cookie", "theme=dark; Path=/"),
        ("etag", "\"1\""),
    ];
    Router::new()
        .route("/events", get(event))
        .route("/odd", get(async move || (odd, "odd")))
        .fallback(tell)
}

/// Of what the app was told.
fn named<'a>(told: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = told["headers"].as_array().unwrap().iter();
    headers
        .filter(|pair| pair[0] == name)
        .map(|pair| pair[1].as_str().unwrap())
        .collect()
}

#[expect(clippy::too_many_lines, reason = "one visit")]
#[tokio::test]
async fn an_app_gets_plain_http_1_and_its_browser_http_2() {
    let certificate = Certificate::new();
    let site = site::Site::over_tls(certificate.tls()).await;
    let (address, _server) = site::serve(app()).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    let other = {
        let token = site.api.sign_up("bob@example.com").await;
        site.launch(&token, address).await
    };
    let client = Client::new(&certificate.chain, site.address).await;
    let own = site.origin(&app);
    let at = |path: &str| Request::builder().uri(format!("{own}{path}"));

    let ticket = site.ticket(&app).await;
    let enter = |origin: &str| {
        let request = at("/_jg/launch")
            .method("POST")
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("token={ticket}")));
        client.send(request.unwrap())
    };
    // From the portal, as it is called over TLS, and from nowhere else.
    let plain = format!("http://{}", site.address);
    assert_eq!(enter(&plain).await.status, 403);
    let entered = enter(&site.portal()).await;
    assert_eq!(entered.status, 303, "{}", entered.text());
    let cookie = entered.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-jg_app=") && cookie.contains("; Secure"));
    let cookie = cookie.split(';').next().unwrap();

    let body = vec![b'z'; 3_000_000];
    let sum = format!("{:?}", Sha256::digest(&body));
    let request = at("/api?q=1")
        .method("POST")
        .header("origin", &own)
        .header("cookie", "a=1")
        .header("cookie", cookie)
        .header("cookie", "b=2")
        .header("te", "trailers")
        .header("x-forwarded-for", "203.0.113.1")
        .header("accept", "text/plain")
        .body(Body::from(body));
    let told = client.send(request.unwrap()).await;
    assert_eq!(
        (told.status, told.version),
        (StatusCode::OK, Version::HTTP_2)
    );
    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(told["version"], "HTTP/1.1");
    assert_eq!(told["uri"], "/api?q=1");
    assert_eq!(told["body"], sum);
    let host = site.host(&app);
    for (name, values) in [
        ("host", vec![host.as_str()]),
        ("cookie", vec!["a=1; b=2"]),
        ("content-length", vec!["3000000"]),
        ("transfer-encoding", vec![]),
        ("te", vec![]),
        ("x-forwarded-for", vec!["127.0.0.1"]),
        ("x-forwarded-proto", vec!["https"]),
        ("x-forwarded-host", vec![&host]),
        ("origin", vec![&own]),
    ] {
        assert_eq!(named(&told, name), values, "{name}");
    }

    let odd = at("/odd").header("cookie", cookie).body(Body::empty());
    let odd = client.send(odd.unwrap()).await;
    assert_eq!(odd.text(), "odd");
    for name in [
        "connection",
        "keep-alive",
        "x-gradio-hop",
        "transfer-encoding",
    ] {
        assert_eq!(odd.headers.get(name), None, "{name}");
    }
    assert_eq!(odd.headers["set-cookie"], "theme=dark; Path=/");
    assert_eq!(odd.headers["etag"], "\"1\"");
    let foreign = at("/api")
        .method("POST")
        .header("origin", site.portal())
        .header("cookie", cookie)
        .body(Body::empty());
    assert_eq!(client.send(foreign.unwrap()).await.status, 403);

    // Under one certificate browsers use one connection for all: who is meant, each
    // request says, and a pass for one app opens no other.
    let elsewhere = format!("{}/api", site.origin(&other));
    let elsewhere = Request::get(elsewhere).header("cookie", cookie);
    let elsewhere = client.send(elsewhere.body(Body::empty()).unwrap()).await;
    assert_ne!(elsewhere.status, 200, "{}", elsewhere.text());
    let portal = client.get("/login").await;
    assert_eq!(portal.status, 200);
    assert!(portal.headers.contains_key("x-content-type-options"));
    let events = at("/events").header("cookie", cookie).body(Body::empty());
    let mut events = client.open(events.unwrap()).await.unwrap().into_body();
    let first = soon("an event", events.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "data: 1\n\n");
    // A WebSocket is nothing that this connection can become.
    let socket = at("/socket")
        .header("cookie", cookie)
        .header("origin", &own)
        .header("upgrade", "websocket")
        .body(Body::empty());
    assert!(
        client
            .open(socket.unwrap())
            .await
            .is_ok_and(|answer| answer.status() != 101)
    );
    site.shutdown.cancel();
    let end = soon("the end of the events", events.frame()).await;
    assert!(end.is_none_or(|frame| frame.is_err()));
}
