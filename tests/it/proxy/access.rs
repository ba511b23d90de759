//! Who comes in, and how long they may stay.
use super::*;
use junglegrid::domain::app::Phase;
use junglegrid::orchestrator::workers::housekeeping;
use junglegrid::store::apps::find_for_worker;

#[tokio::test]
async fn a_person_opens_an_app_and_uses_it() {
    let (site, app, _double, _server) = running().await;
    let ticket = site.ticket(&app).await;
    let answer = site.redeem(&app, &ticket).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.all("location"), ["/"]);
    assert_eq!(answer.all("cache-control"), ["no-store"]);
    let cookie = answer.all("set-cookie")[0];
    assert!(cookie.starts_with("__Host-jg_app=jga_"), "{cookie}");
    for attribute in [
        "; Path=/",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Secure",
        "; Max-Age=43200",
    ] {
        assert!(cookie.contains(attribute), "{cookie} has no {attribute}");
    }
    assert!(!cookie.contains("Domain"));
    let cookie = cookie.split(';').next().unwrap();
    let home = site.get(&app, cookie, "/").await;
    assert_eq!((home.status.as_u16(), home.text().as_str()), (200, "home"));
    until("the use is noted", async || {
        let mut conn = site.api.state.store().read().await.unwrap();
        let session = find_for_worker(&mut conn, app.id).await.unwrap().unwrap();
        session.last_used_at == Some(site.api.clock.now())
    })
    .await;
}

#[tokio::test]
async fn a_person_lands_where_the_service_is() {
    let site = Site::start().await;
    let double = Double::new();
    let (address, _server) = serve(double.router.clone()).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site
        .launch_as(&token, address, Phase::Running, |manifest| {
            let base = json!({ "path": "/media/" });
            manifest.services[0].base_path = serde_json::from_value(base).unwrap();
        })
        .await;
    let ticket = site.ticket(&app).await;
    let answer = site.redeem(&app, &ticket).await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.all("location"), ["/media/"]);
    let cookie = answer.all("set-cookie")[0];
    assert!(cookie.contains("; Path=/;"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    // It is a place to begin at, and no wall.
    let (seen, _) = super::seen(&site.get(&app, cookie, "/media/").await);
    assert_eq!(seen["uri"], "/media/");
    assert_eq!(site.get(&app, cookie, "/").await.text(), "home");
}

/// P5, P9.
#[tokio::test]
async fn unknown_and_ended_apps_are_static_404s() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let port = site.address.port();
    let mut pages = Vec::new();
    for label in [
        "a".repeat(26),
        "x".into(),
        format!("{}a", &app.label[..25]),
        format!("{}x", app.label),
    ] {
        if label == app.label {
            continue;
        }
        let request = Request::get("/'onload=alert(1)")
            .header("host", format!("{label}.apps.localhost:{port}"))
            .header("accept", "text/html")
            .header("cookie", &cookie)
            .body(Body::empty());
        let answer = site.send(request.unwrap()).await;
        assert_eq!(answer.status, 404, "{label}");
        pages.push(answer.text());
    }
    site.becomes(&app, Phase::Ended).await;
    let request = site
        .inside(&app, &cookie, "/")
        .header("accept", "text/html");
    let answer = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 404);
    pages.push(answer.text());
    assert!(pages.windows(2).all(|two| two[0] == two[1]), "they differ");
    assert!(!pages[0].contains("alert"));
}

/// P5: there is no other way to an app than its own origin.
#[tokio::test]
async fn an_app_is_not_found_below_a_path_of_the_portal() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    site.engine.asked.lock().unwrap().clear();
    for path in [
        "/_jg/launch",
        &format!("/{}/", app.label),
        &format!("/apps/{}/", app.id),
    ] {
        let request = Request::get(path).header("host", site.address.to_string());
        let request = request.header("cookie", &cookie).body(Body::empty());
        let answer = site.send(request.unwrap()).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert!(site.engine.asked.lock().unwrap().is_empty());
}

/// P3, P9.
#[tokio::test]
async fn without_a_pass_nothing_gets_through() {
    let (site, app, _double, _server) = running().await;
    let other = site
        .launch(&app.token, "127.0.0.1:1".parse().unwrap())
        .await;
    let elsewhere = site.enter(&other).await;
    site.engine.asked.lock().unwrap().clear();
    let (bare, good) = (String::new(), site.enter(&app).await);
    let portal = format!("__Host-jg_session={}", app.token);
    let cut = good[..good.len() - 1].to_owned();
    let renamed = good.replace("__Host-jg_app", "jg_app");
    for cookie in [&bare, &elsewhere, &portal, &cut, &renamed] {
        for path in ["/", "/events", "/bytes/65536"] {
            let answer = site.get(&app, cookie, path).await;
            assert_eq!(answer.status, 401, "{path} with {cookie}");
        }
        let (head, _) = site
            .websocket(&site.host(&app), &site.origin(&app), cookie, "/socket")
            .await;
        assert!(head.starts_with("http/1.1 401 "), "{head}");
    }
    let request = Request::get("/'onload=b").header("host", site.host(&app));
    let request = request.header("accept", "text/html").body(Body::empty());
    let page = site.send(request.unwrap()).await;
    assert!(
        page.text()
            .contains(&format!("{}/portal/templates", site.portal()))
    );
    assert!(!page.text().contains("onload") && !page.text().contains(&app.label));
    let csp = page.all("content-security-policy")[0];
    assert!(
        csp.starts_with("default-src 'none'") && !csp.contains("unsafe"),
        "{csp}"
    );
    let all = serde_json::json!({ "scopes": ["jobs:read", "jobs:submit", "jobs:write"] });
    let (key, _) = crate::authorisation::credentials::make(&site.api, &app.token, all).await;
    for token in [&app.token, &key] {
        for (name, value) in [
            ("authorization", format!("Bearer {token}")),
            ("cookie", format!("__Host-jg_app={token}")),
        ] {
            let request = Request::get("/").header("host", site.host(&app));
            let request = request.header(name, value).body(Body::empty());
            assert_eq!(site.send(request.unwrap()).await.status, 401, "{name}");
        }
    }
    assert!(
        site.engine.asked.lock().unwrap().is_empty(),
        "the app was asked"
    );
    assert_eq!(site.get(&app, &good, "/").await.status, 200);
}

/// P6.
#[tokio::test]
async fn a_ticket_is_good_once_for_its_own_app_from_the_portal_and_soon() {
    let (site, app, _double, _server) = running().await;
    let other = site
        .launch(&app.token, "127.0.0.1:1".parse().unwrap())
        .await;
    // Twice.
    let ticket = site.ticket(&app).await;
    assert_eq!(site.redeem(&app, &ticket).await.status, 303);
    assert_eq!(site.redeem(&app, &ticket).await.status, 403);
    // At another app: and it is used up by that.
    let ticket = site.ticket(&app).await;
    assert_eq!(site.redeem(&other, &ticket).await.status, 403);
    assert_eq!(site.redeem(&app, &ticket).await.status, 403);
    // Too late.
    let ticket = site.ticket(&app).await;
    site.api.clock.advance(time::Duration::seconds(31));
    assert_eq!(site.redeem(&app, &ticket).await.status, 403);
    // A pass is no ticket, a ticket is no pass.
    let pass = site.enter(&app).await;
    let token = pass.split_once('=').unwrap().1;
    assert_eq!(site.redeem(&app, token).await.status, 403);
    let ticket = site.ticket(&app).await;
    let cookie = format!("__Host-jg_app={ticket}");
    assert_eq!(site.get(&app, &cookie, "/").await.status, 401);
    // From elsewhere: and it stays good.
    for origin in [
        "https://evil.example",
        "null",
        &site.origin(&app),
        &site.origin(&other),
        "http://127.0.0.1:1",
    ] {
        let request = Request::post("/_jg/launch")
            .header("host", site.host(&app))
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("token={ticket}")));
        assert_eq!(site.send(request.unwrap()).await.status, 403, "{origin}");
    }
    // In the address, or in another form.
    let of = |method: Method, path: &str, kind: &str, body: String| {
        let builder = Request::builder().method(method).uri(path);
        let builder = builder
            .header("host", site.host(&app))
            .header("origin", site.portal());
        builder
            .header("content-type", kind)
            .body(Body::from(body))
            .unwrap()
    };
    let form = "application/x-www-form-urlencoded";
    let query = format!("/_jg/launch?token={ticket}");
    for (request, status) in [
        (of(Method::GET, &query, form, String::new()), 405),
        (
            of(Method::PUT, "/_jg/launch", form, format!("token={ticket}")),
            405,
        ),
        (of(Method::POST, &query, form, String::new()), 400),
        (
            of(
                Method::POST,
                "/_jg/launch",
                "text/plain",
                format!("token={ticket}"),
            ),
            400,
        ),
        (
            of(
                Method::POST,
                "/_jg/launch",
                form,
                format!("token={ticket}&token={ticket}"),
            ),
            400,
        ),
        (
            of(Method::POST, "/_jg/launch", form, "x".repeat(5_000)),
            400,
        ),
        (
            of(
                Method::POST,
                "/_jg/launch/",
                form,
                format!("token={ticket}"),
            ),
            404,
        ),
        (
            of(Method::POST, "/_jg", form, format!("token={ticket}")),
            404,
        ),
    ] {
        let path = request.uri().to_string();
        assert_eq!(site.send(request).await.status, status, "{path}");
    }
    // From the same portal under its other name.
    let request = Request::post("/_jg/launch")
        .header("host", site.host(&app))
        .header(
            "origin",
            format!("http://localhost:{}", site.address.port()),
        )
        .header("content-type", form)
        .body(Body::from(format!("token={ticket}")));
    assert_eq!(site.send(request.unwrap()).await.status, 303);
}

/// P7: where tickets and passes are, they cannot be read off.
#[tokio::test]
async fn tokens_are_stored_as_hashes_and_stand_in_no_address() {
    let (site, app, _double, _server) = running().await;
    let path = format!("/v1/app-sessions/{}/open", app.id);
    let opened = site
        .api
        .call(Method::POST, &path, &app.token, json!({}))
        .await;
    let ticket = opened.text("/token");
    assert!(ticket.starts_with("jgl_") && !opened.text("/url").contains("jgl_"));
    let cookie = site.enter(&app).await;
    let pass = cookie.split_once('=').unwrap().1;
    let mut conn = site.api.state.store().read().await.unwrap();
    let stored: Vec<(String,)> = sqlx::query_as(
        "SELECT token_hash FROM app_tickets UNION SELECT token_hash FROM app_passes",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    assert_eq!(stored.len(), 3);
    for (hash,) in &stored {
        assert!(hash.len() == 64 && !hash.contains(&ticket) && !hash.contains(pass));
    }
    let (_, headers) = seen(&site.get(&app, &cookie, "/look").await);
    assert!(
        headers.iter().all(|(_, value)| !value.contains("jga_")),
        "{headers:?}"
    );
}

#[tokio::test]
async fn an_app_is_opened_only_while_it_is_ready_and_by_its_members() {
    let (site, app, _double, _server) = running().await;
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let starting = site.launch_in(&app.token, nowhere, Phase::Services).await;
    let stopping = site.launch_in(&app.token, nowhere, Phase::Stopping).await;
    let ended = site.launch_in(&app.token, nowhere, Phase::Failed).await;
    for (which, says) in [
        (&starting, "answered its checks"),
        (&stopping, "being stopped"),
        (&ended, "has ended"),
    ] {
        let path = format!("/v1/app-sessions/{}/open", which.id);
        let answer = site
            .api
            .call(Method::POST, &path, &app.token, json!({}))
            .await;
        assert_eq!(answer.status, 409);
        assert_eq!(answer.text("/code"), "NOT_READY");
        assert!(answer.text("/message").contains(says), "{:?}", answer.body);
    }
    let path = format!("/v1/app-sessions/{}/open", app.id);
    let none = json!({"service": "none"});
    assert_eq!(
        site.api
            .call(Method::POST, &path, &app.token, none)
            .await
            .status,
        404
    );
    let stranger = site.api.from("192.0.2.9").sign_up("eve@example.com").await;
    let answer = site
        .api
        .call(Method::POST, &path, &stranger, json!({}))
        .await;
    assert_eq!(answer.status, 404);
    // A ticket outlives neither the session nor the sign-out.
    let ticket = site.ticket(&app).await;
    site.becomes(&app, Phase::Stopping).await;
    assert_eq!(site.redeem(&app, &ticket).await.status, 403);
    let another = site.launch(&app.token, nowhere).await;
    let ticket = site.ticket(&another).await;
    let out = site
        .api
        .call(Method::POST, "/auth/signout", &app.token, Value::Null)
        .await;
    assert_eq!(out.status, 200);
    assert_eq!(site.redeem(&another, &ticket).await.status, 403);
}

/// P10.
#[tokio::test]
async fn access_ends_with_the_pass_the_portal_session_the_membership_and_the_app() {
    let (site, app, _double, _server) = running().await;
    let refused = async |cookie: &str, status: u16| {
        until("it is refused", async || {
            site.get(&app, cookie, "/").await.status == status
        })
        .await;
    };
    // Twelve hours.
    let cookie = site.enter(&app).await;
    assert_eq!(site.get(&app, &cookie, "/").await.status, 200);
    site.api.clock.advance(time::Duration::hours(12));
    assert_eq!(site.get(&app, &cookie, "/").await.status, 401);
    // Membership.
    let cookie = site.enter(&app).await;
    assert_eq!(site.get(&app, &cookie, "/").await.status, 200);
    let run = async |statement: &'static str| {
        let done = site.api.state.store().write(move |conn| {
            Box::pin(async move {
                sqlx::query(statement).execute(conn).await?;
                Ok::<_, junglegrid::store::Error>(())
            })
        });
        done.await.unwrap();
    };
    run("UPDATE memberships SET account = account || 'x' WHERE 0 = 1").await;
    run("CREATE TABLE kept AS SELECT * FROM memberships").await;
    run("DELETE FROM memberships").await;
    refused(&cookie, 401).await;
    let sessions = async || site.api.get("/v1/app-sessions", &app.token).await.status;
    assert_eq!(
        sessions().await,
        401,
        "nor is anything else of the workspace shown"
    );
    run("INSERT INTO memberships SELECT * FROM kept").await;
    assert_eq!(site.get(&app, &cookie, "/").await.status, 200);
    assert_eq!(sessions().await, 200);
    // Sign-out, at once.
    let out = site
        .api
        .call(Method::POST, "/auth/signout", &app.token, Value::Null)
        .await;
    assert_eq!(out.status, 200);
    assert_eq!(site.get(&app, &cookie, "/").await.status, 401);
    // The app itself, at once.
    let token = site.api.from("192.0.2.7").sign_up("bob@example.com").await;
    let (address, _server) = serve(Double::new().router).await;
    let app = site.launch(&token, address).await;
    let cookie = site.enter(&app).await;
    assert_eq!(site.get(&app, &cookie, "/").await.status, 200);
    site.becomes(&app, Phase::Stopping).await;
    assert_eq!(site.get(&app, &cookie, "/").await.status, 503);
    site.becomes(&app, Phase::Ended).await;
    assert_eq!(site.get(&app, &cookie, "/").await.status, 404);
}

/// What is too old to be of use is thrown away, and nothing else is.
#[tokio::test]
async fn old_tickets_and_passes_are_swept() {
    let (site, app, _double, _server) = running().await;
    let rows = async || {
        let mut conn = site.api.state.store().read().await.unwrap();
        let counts: (i64, i64) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM app_tickets), (SELECT COUNT(*) FROM app_passes)",
        )
        .fetch_one(&mut *conn)
        .await
        .unwrap();
        counts
    };
    let sweep = async || {
        let tasks = tokio_util::task::TaskTracker::new();
        let swept = housekeeping::tick(&site.api.state, &tasks).await;
        swept.unwrap();
    };
    let first = site.enter(&app).await;
    let unused = site.ticket(&app).await;
    assert_eq!(rows().await, (2, 1));
    site.api.clock.advance(time::Duration::seconds(20));
    sweep().await;
    assert_eq!(rows().await, (2, 1), "they are still good");
    assert_eq!(site.redeem(&app, &unused).await.status, 303);
    let last = site.ticket(&app).await;
    site.api.clock.advance(time::Duration::seconds(20));
    sweep().await;
    // Two tickets have expired; the passes last for half a day.
    assert_eq!(rows().await, (1, 2));
    let second = site.redeem(&app, &last).await;
    assert_eq!(second.status, 303);
    let second = second.all("set-cookie")[0]
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    // Before the first pass ends, and after the second has.
    for (seconds, left, statuses) in [(43_150, 3, [200, 200]), (35, 1, [401, 200])] {
        site.api.clock.advance(time::Duration::seconds(seconds));
        sweep().await;
        assert_eq!(rows().await, (0, left));
        let first = site.get(&app, &first, "/").await.status;
        let second = site.get(&app, &second, "/").await.status;
        assert_eq!([first.as_u16(), second.as_u16()], statuses);
    }
}
