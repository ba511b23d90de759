//! Which protocol is spoken, and who is meant by a request.
use super::*;

#[tokio::test]
async fn who_offers_both_gets_http2_and_others_what_they_know() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    let answer = client.get("/").await;
    assert_eq!(answer.version, Version::HTTP_2);
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (StatusCode::OK, "hello")
    );
    for offered in [&[][..], &[&b"http/1.1"[..]][..]] {
        let stream = connect(&listener.certificate.chain, listener.address, offered).await;
        let agreed = stream.get_ref().1.alpn_protocol();
        assert_eq!(agreed, offered.first().copied());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/")
            .header("host", listener.address.to_string())
            .body(Body::empty());
        let answer = soon("an answer", sender.send_request(request.unwrap())).await;
        let answer = Answer::read(answer.unwrap()).await;
        assert_eq!(answer.version, Version::HTTP_11);
        assert_eq!(answer.text(), "hello");
    }
    // What is not encrypted stays HTTP/1.1.
    let mut plain = TcpStream::connect(listener.address).await.unwrap();
    let said = raw::said(&mut plain, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(said.starts_with(b"HTTP/1.1 400 "), "{said:?}");
}

#[tokio::test]
async fn every_request_is_judged_by_its_own_authority() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    let own = listener.address.to_string();
    let port = listener.address.port();
    let app = format!("x1.apps.localhost:{port}");
    let case = async |authority: &str, hosts: &[&str]| {
        // Without one, only HTTP/1.1 that is passed on has relative targets.
        let target = if authority.is_empty() {
            "/x?y=1".to_owned()
        } else {
            format!("https://{authority}/x?y=1")
        };
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let answer = client.send(request.body(Body::empty()).unwrap()).await;
        (answer.status.as_u16(), answer.text())
    };
    let portal = format!("Portal 127.0.0.1 /x?y=1 [{own}] []");
    let localhost = format!("localhost:{port}");
    for (authority, hosts, status, said) in [
        (own.as_str(), &[][..], 200, portal.as_str()),
        (&own, &[own.as_str()], 200, &portal),
        (
            &app,
            &[],
            200,
            &format!("App(\"x1\") 127.0.0.1 /x?y=1 [{app}] []"),
        ),
        (&own, &[&localhost], 400, "differs"),
        (&own, &[&app], 400, "differs"),
        (&own, &["evil.example"], 400, "differs"),
        (&own, &[&own, &own], 400, "exactly one"),
        (&own, &[""], 400, "not a host"),
        ("", &[], 400, ":authority"),
        ("", &[&own], 400, ":authority"),
        ("evil.example", &[], 421, "does not answer"),
        ("evil.example", &["evil.example"], 421, "does not answer"),
        ("evil.example", &[&own], 400, "differs"),
        ("localhost:1", &[], 421, "does not answer"),
        // And after all of that on this connection:
        (&own, &[], 200, &portal),
    ] {
        let (got, body) = case(authority, hosts).await;
        assert_eq!(got, status, "{authority} {hosts:?}: {body}");
        assert!(body.contains(said), "{authority} {hosts:?}: {body}");
    }
}

#[tokio::test]
async fn what_is_not_for_us_is_refused_as_before() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    for (method, path, header, status) in [
        ("TRACE", "/", ("accept", "*/*"), 405),
        ("BREW", "/", ("accept", "*/*"), 501),
        ("GET", "//evil.example/", ("accept", "*/*"), 400),
        ("GET", "/a/../b", ("accept", "*/*"), 400),
        ("GET", "/%00", ("accept", "*/*"), 400),
        ("GET", "/", ("x_real_ip", "1.2.3.4"), 400),
        ("POST", "/echo", ("expect", "foo"), 417),
        ("POST", "/echo", ("content-encoding", "gzip"), 415),
    ] {
        let request = client
            .request(path)
            .method(method)
            .header(header.0, header.1);
        let answer = client.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{method} {path} {header:?}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers.get("connection"), None);
    }
    let connect = Request::connect("evil.example:443").body(Body::empty());
    assert_eq!(client.send(connect.unwrap()).await.status, 405);
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn crumbs_of_cookies_are_one_header_again() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    let request = client
        .request("/x")
        .header("cookie", "a=1")
        .header("cookie", "b=2; c=3")
        .header("cookie", "d=4")
        .header("x-forwarded-for", "203.0.113.9");
    let answer = client.send(request.body(Body::empty()).unwrap()).await;
    let own = listener.address;
    assert_eq!(
        answer.text(),
        format!("Portal 127.0.0.1 /x [{own}] [a=1; b=2; c=3; d=4]")
    );
}

#[tokio::test]
async fn a_trusted_proxy_says_for_each_request_who_asks() {
    let listener = listen_behind(&["127.0.0.1/32", "10.0.0.0/8"], patient()).await;
    let client = listener.client().await;
    for (said, heard) in [
        (vec!["203.0.113.9"], "203.0.113.9"),
        (vec!["192.0.2.1, 203.0.113.10", "10.1.2.3"], "203.0.113.10"),
        (vec!["nobody"], "127.0.0.1"),
        (vec![], "127.0.0.1"),
    ] {
        let request = said.iter().fold(client.request("/x"), |request, who| {
            request.header("x-forwarded-for", *who)
        });
        let answer = client.send(request.body(Body::empty()).unwrap()).await;
        let text = answer.text();
        assert!(
            text.starts_with(&format!("Portal {heard} /x ")),
            "{said:?}: {text}"
        );
    }
}
