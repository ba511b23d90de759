//! Headers that are not plain ASCII, or only look like something of ours.
use super::*;
use http::HeaderValue;

/// A page of the app may set such a cookie; browsers send it back as it is.
#[tokio::test]
async fn a_cookie_with_letters_of_any_language_keeps_nobody_out() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let crumbs = format!("name=Zoë; {cookie}; raw=");
    let crumbs = [crumbs.as_bytes(), b"\xff; __Host-jg_x=\xff; last=1"].concat();
    let request = site
        .inside(&app, "", "/look")
        .header("cookie", HeaderValue::from_bytes(&crumbs).unwrap());
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (_, headers) = seen(&answer);
    let kept = "name=Zoë; raw=\u{fffd}; last=1";
    assert_eq!(value(&headers, "cookie"), Some(kept));
}

/// Any host beside the portal's, or port of a loopback, can have the browser send it such.
#[tokio::test]
async fn nor_does_one_keep_anybody_out_of_the_portal() {
    let site = Site::start().await;
    let token = site.api.sign_up("ada@example.com").await;
    let crumbs = format!("name=Zoë; __Host-jg_session={token}; more=ü");
    let request = Request::get("/portal")
        .header("host", site.address.to_string())
        .header(
            "cookie",
            HeaderValue::from_bytes(crumbs.as_bytes()).unwrap(),
        );
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.headers);
}

#[tokio::test]
async fn what_an_app_sets_and_where_it_leads_may_be_in_any_language() {
    let site = Site::start().await;
    let (address, _server) = recite(|_| {
        "HTTP/1.1 302 Found\r\nLocation: /Bücher/ä?q=ö\r\nContent-Length: 0\r\n\
         Set-Cookie: name=Zoë; Path=/ü; Domain=localhost\r\n\
         Set-Cookie: __Host-jg_app=ë; Path=/; Secure\r\n\
         Set-Cookie: näme=1\r\n\r\n"
            .into()
    })
    .await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    let cookie = site.enter(&app).await;
    let answer = site.get(&app, &cookie, "/").await;
    let all = |name: &str| {
        let values = answer.headers.get_all(name).iter();
        let text = values.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap());
        text.collect::<Vec<_>>()
    };
    assert_eq!(answer.status, 302);
    assert_eq!(all("location"), ["/Bücher/ä?q=ö"]);
    assert_eq!(all("set-cookie"), ["name=Zoë; Path=/ü"]);
}

/// An app's own token is made of the same letters as ours, and may hold any of them in a row.
#[tokio::test]
async fn tokens_of_ours_are_known_from_those_of_the_app() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let ask = async |name: &'static str, said: String| {
        let request = site.inside(&app, &cookie, "/look").header(name, said);
        let (_, headers) = seen(&site.send(request.body(Body::empty()).unwrap()).await);
        value(&headers, name).map(str::to_owned)
    };
    let theirs = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJpZCI6Ijg3In0.x0Ojg_8s-Kjgs_Qkjga_Z1jgl_0jgn_9";
    assert_eq!(
        ask("authorization", theirs.into()).await.as_deref(),
        Some(theirs)
    );
    let key = format!("jg_{}", "0aZ9".repeat(11));
    for (name, ours) in [
        ("authorization", format!("Bearer {}", app.token)),
        ("authorization", format!("bearer  {key}")),
        ("authorization", format!("Token token=\"{key}\"")),
        ("x-api-key", key.clone()),
        ("x-api-key", app.token.clone()),
    ] {
        assert_eq!(ask(name, ours.clone()).await, None, "{name}: {ours}");
    }
}

/// What passes was asked for with a pass, and is for whoever has it: a cache that many share
/// would hand it to everybody, long after the app has ended.
#[tokio::test]
async fn no_cache_that_others_share_may_keep_an_answer() {
    let site = Site::start().await;
    let (address, _server) = recite(|head| {
        let says = match head.split(' ').nth(1).unwrap() {
            "/nothing" => "",
            "/public" => "Cache-Control: Public, max-age=60, s-maxage=600\r\n",
            "/lines" => "Cache-Control: max-age=60\r\nCache-Control: S-MaxAge = 5,public\r\n",
            "/named" => "Cache-Control: private=\"set-cookie\", no-cache=\"a, public\"\r\n",
            "/private" => "Cache-Control: PRIVATE, max-age=1\r\n",
            "/none" => "Cache-Control: no-store\r\n",
            other => panic!("{other}"),
        };
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{says}\r\nok").into()
    })
    .await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    let cookie = site.enter(&app).await;
    for (path, says) in [
        ("/nothing", "private"),
        ("/public", "max-age=60, private"),
        ("/lines", "max-age=60, private"),
        (
            "/named",
            "private=\"set-cookie\", no-cache=\"a, public\", private",
        ),
        ("/private", "PRIVATE, max-age=1"),
        ("/none", "no-store"),
    ] {
        let answer = site.get(&app, &cookie, path).await;
        assert_eq!(answer.all("cache-control"), [says], "{path}");
    }
}
