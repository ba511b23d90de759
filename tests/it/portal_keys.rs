//! `/portal/api-keys`, over the orchestrator itself.
mod changes;

use crate::authorisation::credentials::make;
use crate::fake::{HOSTILE, Page};
use crate::harness::TestApi;
use axum::body::Body;
use axum::response::IntoResponse as _;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::client::Client;
use junglegrid::domain::api_key::is_well_formed;
use junglegrid::domain::peer::Peer;
use junglegrid::web;
use serde_json::{Value, json};
use time::Duration;
use tower::ServiceExt as _;

const LIST: &str = "/portal/api-keys";
const NEW: &str = "/portal/api-keys/new";

/// Somebody's browser.
struct Browser {
    api: TestApi,
    portal: axum::Router,
    token: String,
}

impl Browser {
    async fn start() -> Self {
        let api = TestApi::start().await;
        let token = api.sign_up("ada@example.org").await;
        let portal = portal(api.router(), &api);
        Self { api, portal, token }
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("sec-fetch-site", "same-origin")
            .header(header::COOKIE, format!("jg_session={}", self.token))
            .extension(Peer([198, 51, 100, 7].into()))
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Page {
        let request = request.body(body).unwrap();
        let response = self.portal.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Page {
            status: parts.status,
            headers: parts.headers,
            html: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn visit(&self, path: &str) -> Page {
        let page = self.send(self.request(Method::GET, path), Body::empty());
        page.await
    }

    async fn see(&self, path: &str) -> Page {
        let page = self.visit(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.html);
        page
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.form(self.request(Method::POST, path), fields).await
    }

    async fn hx_post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.request(Method::POST, path);
        let request = request
            .header("hx-request", "true")
            .header("hx-request-type", "partial");
        self.form(request, fields).await
    }

    async fn form(&self, request: http::request::Builder, fields: &[(&str, &str)]) -> Page {
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = serde_html_form::to_string(fields).unwrap();
        self.send(request, Body::from(body)).await
    }

    /// The name of the form on this page.
    async fn once(&self, path: &str) -> String {
        let page = self.see(path).await;
        page.attributes("[name=once]", "value").remove(0)
    }

    async fn keys(&self) -> Vec<Value> {
        let list = self.api.get("/v1/api-keys", &self.token).await;
        list.body["api_keys"].as_array().unwrap().clone()
    }
}

fn portal(orchestrator: axum::Router, api: &TestApi) -> axum::Router {
    let config = web::Config {
        public_url: "http://grid.example:8080/".parse().unwrap(),
        secure_cookies: false,
        clock: api.clock.clone(),
    };
    web::router(Client::in_process(orchestrator), config)
}

/// What a person fills in who changes little.
fn filled<'a>(once: &'a str, name: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("once", once),
        ("name", name),
        ("preset", "run"),
        ("expires", "90"),
        ("expires_on", ""),
        ("allowed_ips", ""),
    ]
}

#[tokio::test]
async fn the_list_has_all_its_states() {
    let ada = Browser::start().await;
    let none = ada.see(LIST).await;
    assert_eq!(none.texts("#keys .empty h2"), ["No keys yet"]);
    assert_eq!(none.attributes("#keys .empty a", "href"), [NEW]);
    assert_eq!(none.texts(".rail [aria-current=page]"), ["API keys"]);

    let all = json!({ "scopes": ["jobs:read", "logs:read"] });
    let (key, id) = make(&ada.api, &ada.token, all.clone()).await;
    // Keys of one millisecond have no order.
    ada.api.clock.advance(Duration::SECOND);
    let soon = (ada.api.clock.now() + Duration::days(3))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let brief = json!({ "scopes": ["jobs:write"], "expires_at": soon });
    make(&ada.api, &ada.token, brief).await;
    let used = ada.api.from("203.0.113.9").get("/v1/jobs", &key).await;
    assert_eq!(used.status, 200);
    let list = ada.see(LIST).await;
    assert_eq!(list.header("cache-control"), "no-store");
    let rows = list.texts("#keys tbody tr");
    assert_eq!(rows.len(), 2, "{rows:?}");
    for words in [
        "testjg_",
        "Active",
        "jobs:write",
        "in 3 days",
        "never",
        "ada@example.org",
    ] {
        assert!(rows[0].contains(words), "{words}: {}", rows[0]);
    }
    for words in [
        &key[..7],
        &key[43..],
        "just now from 203.0.113.9",
        "jobs:read logs:read",
    ] {
        assert!(rows[1].contains(words), "{words}: {}", rows[1]);
    }
    assert!(!list.html.contains(&key));
    let links = list.attributes("#keys tbody a", "href");
    assert_eq!(links[1], format!("{LIST}/{id}"));

    let nothing = ada.see(&format!("{LIST}?status=revoked")).await;
    assert_eq!(nothing.texts("#keys .empty h2"), ["No keys match"]);
    assert_eq!(
        nothing.attributes("#status [selected]", "value"),
        ["revoked"]
    );
    let cursor = ada.visit(&format!("{LIST}?cursor=20")).await;
    assert_eq!(cursor.status, 400);
    assert_eq!(
        cursor.texts("#keys .empty h2"),
        ["The keys could not be loaded"]
    );

    for _ in 0..9 {
        make(&ada.api, &ada.token, all.clone()).await;
    }
    let first = ada.see(LIST).await;
    assert_eq!(first.texts("#keys tbody tr").len(), 10);
    let older = first.attributes("[rel=next]", "href").remove(0);
    let rest = ada.see(&older).await;
    assert_eq!(rest.texts("#keys tbody tr").len(), 1);
    assert_eq!(rest.attributes("[rel=first]", "href"), [LIST]);

    // Everything but who is there fails.
    let session = ada.api.router();
    let broken = axum::Router::new()
        .route(
            "/v1/api-keys",
            axum::routing::get(async || (StatusCode::INTERNAL_SERVER_ERROR, "").into_response()),
        )
        .fallback_service(session);
    let broken = Browser {
        portal: portal(broken, &ada.api),
        ..ada
    };
    let failed = broken.visit(LIST).await;
    assert_eq!(failed.status, 502);
    assert_eq!(
        failed.texts("#keys .empty h2"),
        ["The keys could not be loaded"]
    );
    assert_eq!(failed.attributes("#keys .empty a", "href"), [LIST]);
    assert_eq!(failed.texts("h1"), ["API keys"]);
}

#[tokio::test]
async fn the_form_shows_exactly_what_each_task_takes() {
    let ada = Browser::start().await;
    let form = ada.see(NEW).await;
    let tags = |value: &str| {
        let of = format!("label:has([value={value}]) .tag");
        form.texts(&of)
    };
    assert_eq!(
        tags("run"),
        ["jobs:estimate", "jobs:submit", "jobs:read", "logs:read"]
    );
    assert_eq!(tags("watch"), ["jobs:read", "logs:read"]);
    assert_eq!(tags("submit"), ["jobs:estimate", "jobs:submit"]);
    assert_eq!(tags("older"), ["jobs:write"]);
    let older = form.texts("label:has([value=older])").remove(0);
    assert!(
        older.contains("cannot list jobs: that takes jobs:read"),
        "{older}"
    );
    assert_eq!(form.attributes("[name=preset][checked]", "value"), ["run"]);
    assert_eq!(form.attributes("#expires [selected]", "value"), ["90"]);
    assert_eq!(form.attributes("[name=scope]", "value").len(), 5);
    let hint = form.texts("#allowed_ips-hint").remove(0);
    assert!(
        hint.contains("This browser comes from 198.51.100.7"),
        "{hint}"
    );
}

#[tokio::test]
async fn a_key_is_shown_once_with_and_without_htmx() {
    let ada = Browser::start().await;
    let once = ada.once(NEW).await;
    let made = ada.post(LIST, &filled(&once, "nightly")).await;
    assert_eq!(made.status, 200);
    assert_eq!(made.header("cache-control"), "no-store");
    assert!(made.header("location").is_empty());
    let key = made.attributes("#secret", "value").remove(0);
    assert!(is_well_formed(&key), "{key}");
    assert_eq!(made.html.matches(&key).count(), 1);
    assert_eq!(made.attributes("[data-copy='#secret']", "type"), ["button"]);
    assert!(made.texts("#try")[0].contains("http://grid.example:8080/v1/nodes"));
    assert_eq!(ada.api.get("/v1/jobs", &key).await.status, 200);

    // Sent again, as browsers do when the page is loaded anew, later.
    ada.api.clock.advance(Duration::MINUTE);
    let again = ada.post(LIST, &filled(&once, "nightly")).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.texts("#new-key h2"), ["Shown already"]);
    assert!(!again.html.contains(&key));
    assert_eq!(ada.keys().await.len(), 1);

    let once = ada.once(NEW).await;
    let made = ada.hx_post(LIST, &filled(&once, "by htmx")).await;
    assert_eq!(made.status, 200);
    assert!(made.html.starts_with("<section"), "{}", made.html);
    let second = made.attributes("#secret", "value").remove(0);
    assert!(is_well_formed(&second));
    let id = ada.keys().await[0]["id"].as_str().unwrap().to_owned();
    for path in [
        LIST,
        &format!("{LIST}/{id}"),
        NEW,
        &format!("{LIST}/{id}/rotate"),
    ] {
        let page = ada.see(path).await;
        assert!(!page.html.contains(&key[7..43]) && !page.html.contains(&second[7..43]));
    }
}

#[tokio::test]
async fn nothing_typed_is_lost_to_a_mistake() {
    let ada = Browser::start().await;
    let once = ada.once(NEW).await;
    let typed = [
        ("once", &*once),
        ("name", ""),
        ("preset", "exactly"),
        ("scope", "jobs:read"),
        ("scope", "logs:read"),
        ("expires", "date"),
        ("expires_on", "someday"),
        ("allowed_ips", "203.0.113.7, 10.0.0.1/8"),
    ];
    for page in [
        ada.post(LIST, &typed).await,
        ada.hx_post(LIST, &typed).await,
    ] {
        assert_eq!(page.status, 422);
        assert_eq!(
            page.attributes("[name=preset][checked]", "value"),
            ["exactly"]
        );
        assert_eq!(
            page.attributes("[name=scope][checked]", "value"),
            ["jobs:read", "logs:read"]
        );
        assert_eq!(page.attributes("#expires [selected]", "value"), ["date"]);
        assert_eq!(page.attributes("#expires_on", "value"), ["someday"]);
        assert_eq!(page.texts("#allowed_ips"), ["203.0.113.7, 10.0.0.1/8"]);
        assert_eq!(page.texts("#name-error").len(), 1);
        assert_eq!(page.texts("#expires_on-error").len(), 1);
        assert!(page.texts("#allowed_ips-error")[0].contains("10.0.0.0/8"));
        assert_eq!(
            page.attributes("[role=alert] a", "href"),
            ["#name", "#expires_on", "#allowed_ips"]
        );
    }
    let typed = [
        ("once", &*once),
        ("name", "a\u{202e}b"),
        ("preset", "watch"),
        ("expires", "date"),
        ("expires_on", "2026-01-01"),
        ("allowed_ips", "203.0.113.7"),
    ];
    let page = ada.post(LIST, &typed).await;
    assert_eq!(page.status, 422);
    let wrong = page.texts(".err");
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(page.texts("#expires_on-error")[0].contains("future"));
    assert!(page.texts("#name-error")[0].contains("direction"));
    assert_eq!(page.attributes("#name", "value"), ["a\u{202e}b"]);

    // A tick beside another task would be ignored, so it is asked about.
    let mut both = filled(&once, "both");
    both.push(("scope", "jobs:write"));
    let page = ada.post(LIST, &both).await;
    assert_eq!(page.status, 422);
    assert!(page.texts("#scopes-error")[0].contains("Exactly these"));
    let mut nothing = filled(&once, "nothing");
    nothing[2] = ("preset", "exactly");
    assert!(ada.post(LIST, &nothing).await.texts("#scopes-error")[0].contains("at least one"));
    let mut neither = filled(&once, "neither");
    neither[4] = ("expires_on", "2027-01-01");
    assert_eq!(
        ada.post(LIST, &neither)
            .await
            .texts("#expires_on-error")
            .len(),
        1
    );
    assert_eq!(ada.keys().await.len(), 0, "nothing was made");

    let mut right = filled(&once, "right");
    right[3] = ("expires", "date");
    right[4] = ("expires_on", "2027-01-31");
    right[5] = ("allowed_ips", "203.0.113.7 ;10.0.0.0/8,\r\n2001:db8::/32");
    assert_eq!(ada.post(LIST, &right).await.status, 200);
    let key = ada.keys().await.remove(0);
    assert_eq!(key["expires_at"], "2027-02-01T00:00:00Z");
    assert_eq!(
        key["allowed_ips"],
        json!(["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"])
    );
}

#[tokio::test]
async fn a_form_that_is_not_this_sessions_makes_nothing() {
    let ada = Browser::start().await;
    let eve = Browser {
        token: ada.api.sign_up("eve@example.org").await,
        api: ada.api.from("192.0.2.9"),
        portal: ada.portal.clone(),
    };
    let (key, id) = make(&ada.api, &ada.token, json!({ "scopes": ["jobs:read"] })).await;
    let good = ada.once(NEW).await;
    let mut cut = good.clone();
    cut.pop();
    let wrong = [
        eve.once(NEW).await,
        cut,
        format!("{good}0"),
        "é".repeat(20),
        String::new(),
    ];
    let rotate = format!("{LIST}/{id}/rotate");
    for once in &wrong {
        let page = ada.post(LIST, &filled(once, "forged")).await;
        assert_eq!(page.status, 422, "{once}");
        assert!(page.texts("[role=alert]")[0].contains("another sign-in"));
        assert_eq!(page.attributes("#name", "value"), ["forged"]);
        let mut fields = filled(once, "");
        fields.push(("overlap", "0"));
        assert_eq!(ada.post(&rotate, &fields).await.status, 422);
    }
    assert_eq!(ada.keys().await.len(), 1);
    assert_eq!(ada.api.get("/v1/jobs", &key).await.status, 200);
    // What the page answers with is a form that works.
    let page = ada.post(LIST, &filled(&wrong[0], "second try")).await;
    let once = page.attributes("[name=once]", "value").remove(0);
    assert_eq!(
        ada.post(LIST, &filled(&once, "second try")).await.status,
        200
    );
    assert_eq!(ada.keys().await.len(), 2);
}

#[tokio::test]
async fn pages_are_for_people_and_for_their_own_workspace() {
    let mut ada = Browser::start().await;
    let (key, id) = make(&ada.api, &ada.token, json!({ "scopes": ["jobs:read"] })).await;
    let paths = [
        LIST.to_owned(),
        NEW.to_owned(),
        format!("{LIST}/{id}"),
        format!("{LIST}/{id}/rotate"),
        format!("{LIST}/{id}/disable"),
        format!("{LIST}/{id}/revoke"),
        "/portal".into(),
        "/portal/jobs".into(),
    ];
    for path in &paths {
        assert_eq!(ada.visit(path).await.status, 200, "{path}");
    }
    let eve = ada.api.sign_up("eve@example.org").await;
    for token in [eve, key, String::new()] {
        let known = token.starts_with("jgs_");
        ada.token = token;
        for path in paths.iter().filter(|path| !known || path.contains(&id)) {
            let page = ada.visit(path).await;
            if known {
                assert_eq!(page.status, 404, "{path}");
                continue;
            }
            assert_eq!(page.status, 303, "{path}");
            assert!(page.header("location").starts_with("/login"), "{path}");
        }
    }
    for bad in ["key_1", "job_00000000000000000000000000000000", "%ff"] {
        assert_ne!(ada.visit(&format!("{LIST}/{bad}")).await.status, 200);
    }
}

#[tokio::test]
async fn what_people_and_programs_call_themselves_is_inert() {
    let ada = Browser::start().await;
    // The API takes no such name; what is in the database may be older.
    let (key, id) = make(&ada.api, &ada.token, json!({ "scopes": ["jobs:read"] })).await;
    let request = Request::get("/v1/jobs")
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty());
    let mut request = request.unwrap();
    request.extensions_mut().insert(junglegrid::api::Origin {
        ip: [203, 0, 113, 9].into(),
        agent: HOSTILE.into(),
    });
    let used = ada.api.router().oneshot(request).await.unwrap();
    assert_eq!(used.status(), 200);
    let write = ada
        .api
        .state
        .store()
        .write::<_, junglegrid::store::Error, _>(|conn| {
            Box::pin(async move {
                let rename = sqlx::query("UPDATE api_keys SET name = $1").bind(HOSTILE);
                rename.execute(conn).await?;
                Ok(())
            })
        });
    write.await.unwrap();
    for path in ["", "/rotate", "/disable", "/revoke"] {
        let page = ada.see(&format!("{LIST}/{id}{path}")).await;
        page.assert_inert();
        assert!(page.html.contains("&lt;script&gt;"), "{path}");
    }
    ada.see(LIST).await.assert_inert();
    let done = ada.post(&format!("{LIST}/{id}/disable"), &[]).await;
    assert_eq!(done.status, 303);
}
