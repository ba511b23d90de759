//! API keys as their owners and the programs that hold them see them.
mod at_once;
mod streams;

use crate::authorisation::credentials::{make, post};
use crate::harness::{TestApi, on_each_database};
use axum::body::Body;
use http::{Method, Request};
use junglegrid::domain::api_key;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;

const ADA: &str = "ada@example.org";

async fn of(api: &TestApi, session: &str, id: &str) -> Value {
    let answer = api.get(&format!("/v1/api-keys/{id}"), session).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.body
}

/// What a key gets to hear: the status, and the message of a refusal.
async fn tries(api: &TestApi, key: &str) -> (u16, String) {
    let answer = api.get("/v1/jobs", key).await;
    let message = answer.body["message"].as_str().unwrap_or_default();
    (answer.status.as_u16(), message.to_owned())
}

async fn works(api: &TestApi, key: &str) -> bool {
    tries(api, key).await.0 == 200
}

fn instant(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap()
}

async fn patch(api: &TestApi, session: &str, id: &str, body: Value) -> Value {
    let path = format!("/v1/api-keys/{id}");
    let done = api.call(Method::PATCH, &path, session, body).await;
    assert_eq!(done.status, 200, "{:?}", done.body);
    done.body
}

async fn rotate(api: &TestApi, session: &str, id: &str, body: Value) -> (String, Value) {
    let path = format!("/v1/api-keys/{id}/rotate");
    let done = api.call(Method::POST, &path, session, body).await;
    assert_eq!(done.status, 200, "{:?}", done.body);
    (done.text("/key"), done.body)
}

#[tokio::test]
async fn a_key_is_told_once_and_does_what_its_scopes_say() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let ada = api.sign_up(ADA).await;
        let body =
            json!({ "name": " nightly ", "scopes": ["logs:read", "jobs:read", "jobs:read"] });
        let made = api.call(Method::POST, "/v1/api-keys", &ada, body).await;
        assert_eq!(made.status, 201, "{:?}", made.body);
        assert_eq!(made.headers["cache-control"], "no-store");
        let key = made.text("/key");
        assert!(api_key::is_well_formed(&key), "{key}");
        assert!(key.len() == 47 && key[3..].bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(made.text("/prefix"), key[..7]);
        assert_eq!(made.text("/last4"), key[43..]);
        assert_eq!(made.text("/name"), "nightly");
        assert_eq!(made.text("/status"), "active");
        assert_eq!(made.body["scopes"], json!(["jobs:read", "logs:read"]));
        assert_eq!(made.text("/created_by/email"), ADA);
        let ends = instant(&made.body["expires_at"]);
        assert_eq!(ends, api.clock.now() + Duration::days(90));
        assert!(!made.body.to_string().contains("null"), "{}", made.body);

        let id = made.text("/id");
        let mut same = made.body.clone();
        same.as_object_mut().unwrap().remove("key");
        assert_eq!(of(&api, &ada, &id).await, same);
        let list = api.get("/v1/api-keys", &ada).await;
        assert_eq!(list.body["api_keys"], json!([same]));
        assert!(works(&api, &key).await);
        let submits = api.call(Method::POST, "/v1/jobs", &key, Value::Null).await;
        assert_eq!(submits.status, 403);
        let says = "api key missing jobs:submit or jobs:write scope";
        assert_eq!(submits.text("/error/message"), says);

        // Only what it hashes to is kept.
        let mut conn = api.state.store().read().await.unwrap();
        let hash: String = sqlx::query_scalar("SELECT hash FROM api_key_secrets")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        assert_eq!(hash, junglegrid::random::hash(&key));
    })
    .await;
}

#[tokio::test]
async fn no_file_holds_a_key() {
    let api = TestApi::start().await;
    let ada = api.sign_up(ADA).await;
    let (key, id) = make(&api, &ada, json!({ "scopes": ["jobs:read"] })).await;
    let (newer, _) = rotate(&api, &ada, &id, Value::Null).await;
    assert!(works(&api, &key).await && works(&api, &newer).await);
    let mut files = Vec::new();
    for file in ["junglegrid.db", "junglegrid.db-wal"] {
        files.extend(std::fs::read(api.dir.path().join(file)).unwrap());
    }
    let holds = |text: &str| files.windows(text.len()).any(|at| at == text.as_bytes());
    assert!(holds(&id) && holds(&key[..7]));
    assert!(!holds(&key[7..43]) && !holds(&newer[7..43]));
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_said_by_field() {
    let api = TestApi::start().await;
    let ada = api.sign_up(ADA).await;
    let refused = async |body: Value| {
        let answer = api.call(Method::POST, "/v1/api-keys", &ada, body).await;
        assert_eq!(answer.status, 400, "{:?}", answer.body);
        answer.body["error"]["fields"].clone()
    };
    let nothing = refused(json!({})).await;
    assert_eq!(
        nothing,
        json!({ "name": "Name the key after what will use it.", "scopes": "Choose at least one scope." })
    );
    let past = api.clock.now().format(&Rfc3339).unwrap();
    let all = refused(json!({
        "name": "x".repeat(81), "scopes": ["jobs:read", "jobs:all"], "expires_at": past,
        "allowed_ips": ["10.0.0.1/8"],
    }))
    .await;
    let says = |field: &str, text: &str| {
        let said = all[field].as_str().unwrap();
        assert!(said.contains(text), "{said}");
    };
    says("name", "80");
    says("scopes", "jobs:estimate, jobs:submit");
    says("expires_at", "in the future");
    says("allowed_ips", "10.0.0.0/8");
    let order = refused(json!({ "name": "a\u{202e}b", "scopes": ["jobs:read"] })).await;
    assert!(order["name"].as_str().unwrap().contains("direction"));
    let far = json!({ "name": "n", "scopes": ["jobs:read"], "expires_at": "2099-01-01T00:00:00Z" });
    assert!(refused(far).await["expires_at"].is_string());
    for days in [0, -1, 3_654, i64::MAX] {
        let body = json!({ "name": "n", "scopes": ["jobs:read"], "expires_in_days": days });
        assert!(refused(body).await["expires_in_days"].is_string());
    }
    let both = json!({
        "name": "n", "scopes": ["jobs:read"], "expires_in_days": 7, "expires_at": null,
    });
    assert!(refused(both).await["expires_in_days"].is_string());
    let list = api.get("/v1/api-keys", &ada).await;
    assert_eq!(list.body["api_keys"], json!([]), "none of them was made");
    let week = json!({ "name": "n", "scopes": ["jobs:read"], "expires_in_days": 7 });
    let week = api.call(Method::POST, "/v1/api-keys", &ada, week).await;
    let ends = instant(&week.body["expires_at"]);
    assert_eq!(ends, api.clock.now() + Duration::days(7));

    let endless = json!({ "name": "n", "scopes": ["jobs:read"], "expires_at": null });
    let endless = api.call(Method::POST, "/v1/api-keys", &ada, endless).await;
    assert_eq!(endless.status, 201);
    assert!(endless.body.get("expires_at").is_none());
}

#[tokio::test]
async fn the_list_has_pages_and_states_and_belongs_to_the_workspace() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let ada = api.sign_up(ADA).await;
        let eve = api.sign_up("eve@example.org").await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            api.clock.advance(Duration::SECOND);
            let (_, id) = make(&api, &ada, json!({ "scopes": ["jobs:read"] })).await;
            ids.insert(0, id);
        }
        post(&api, &ada, &ids[1], "disable").await;
        let path = format!("/v1/api-keys/{}", ids[2]);
        api.call(Method::DELETE, &path, &ada, Value::Null).await;
        let list = async |query: &str| {
            let list = api.get(&format!("/v1/api-keys{query}"), &ada).await;
            assert_eq!(list.status, 200, "{:?}", list.body);
            list.body
        };
        let listed = |page: &Value| {
            let keys = page["api_keys"].as_array().unwrap();
            keys.iter()
                .map(|key| key["id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let mut seen = Vec::new();
        let mut query = "?limit=2".to_owned();
        loop {
            let page = list(&query).await;
            seen.extend(listed(&page));
            if page["has_more"] == false {
                assert_eq!(page["next_cursor"], Value::Null);
                break;
            }
            assert!(seen.len() <= 5, "the pages go round");
            query = format!("?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
        }
        assert_eq!(seen, ids, "newest first, each once");
        assert_eq!(listed(&list("?status=disabled").await), ids[1..2]);
        assert_eq!(listed(&list("?status=revoked").await), ids[2..3]);
        assert_eq!(listed(&list("?status=expired").await), Vec::<String>::new());
        assert_eq!(listed(&list("?status=active").await).len(), 3);
        api.clock.advance(Duration::days(90));
        let ada = api
            .post(
                "/auth/signin",
                json!({ "email": ADA, "password": crate::harness::PASSWORD }),
            )
            .await
            .text("/token");
        let expired = api.get("/v1/api-keys?status=expired", &ada).await;
        assert_eq!(expired.body["api_keys"].as_array().unwrap().len(), 4);
        assert_eq!(expired.body["api_keys"][0]["status"], "expired");
        for bad in ["?status=gone", "?cursor=key_1", "?cursor=20"] {
            let answer = api.get(&format!("/v1/api-keys{bad}"), &ada).await;
            assert_eq!(answer.status, 400, "{bad}");
        }

        let eve = match api.get("/v1/api-keys", &eve).await.status.as_u16() {
            // A session does not last so long.
            401 => {
                let body =
                    json!({ "email": "eve@example.org", "password": crate::harness::PASSWORD });
                api.post("/auth/signin", body).await.text("/token")
            }
            _ => eve,
        };
        let hers = api.get("/v1/api-keys", &eve).await;
        assert_eq!(hers.body["api_keys"], json!([]));
        let key = format!("/v1/api-keys/{}", ids[0]);
        let missing = format!("/v1/api-keys/key_{}", "0".repeat(32));
        for (method, rest) in [
            (Method::GET, ""),
            (Method::PATCH, ""),
            (Method::DELETE, ""),
            (Method::POST, "/rotate"),
            (Method::POST, "/disable"),
            (Method::POST, "/enable"),
        ] {
            let of = async |path: &str| {
                let path = format!("{path}{rest}");
                api.call(method.clone(), &path, &eve, Value::Null).await
            };
            let (theirs, nobodys) = (of(&key).await, of(&missing).await);
            assert_eq!(theirs.status, 404, "{method} {rest}");
            assert_eq!(theirs.body, nobodys.body, "{method} {rest}");
        }
        assert_eq!(of(&api, &ada, &ids[0]).await["name"], "test");
    })
    .await;
}

#[tokio::test]
async fn a_rotated_key_has_two_secrets_until_the_older_one_ends() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let ada = api.sign_up(ADA).await;
        let (first, id) = make(&api, &ada, json!({ "scopes": ["jobs:read"] })).await;
        assert!(works(&api, &first).await);
        api.clock.advance(Duration::HOUR);
        let (second, shown) = rotate(&api, &ada, &id, json!({ "overlap_seconds": 7_200 })).await;
        assert_ne!(first, second);
        let now = api.clock.now();
        assert_eq!(instant(&shown["expires_at"]), now + Duration::days(90));
        assert_eq!(instant(&shown["rotated_at"]), now);
        let previous = &shown["previous"][0];
        assert_eq!(previous["last4"], first[43..]);
        assert_eq!(instant(&previous["valid_until"]), now + Duration::hours(2));
        assert_eq!(
            instant(&previous["last_used"]["at"]),
            now - Duration::HOUR,
            "by which one sees whether it is still needed"
        );
        assert!(works(&api, &first).await && works(&api, &second).await);
        api.clock.advance(Duration::hours(2) - Duration::SECOND);
        assert!(works(&api, &first).await);
        api.clock.advance(Duration::SECOND);
        let (status, why) = tries(&api, &first).await;
        assert!(status == 401 && why.contains("rotated"), "{status} {why}");
        assert!(works(&api, &second).await);
        assert!(of(&api, &ada, &id).await.get("previous").is_none());

        let (third, _) = rotate(&api, &ada, &id, json!({ "overlap_seconds": 0 })).await;
        assert_eq!(tries(&api, &second).await.0, 401);
        assert!(works(&api, &third).await);
        for bad in [-1, 604_801] {
            let path = format!("/v1/api-keys/{id}/rotate");
            let body = json!({ "overlap_seconds": bad });
            let answer = api.call(Method::POST, &path, &ada, body).await;
            assert_eq!(answer.status, 400);
            assert!(answer.fault("overlap_seconds").is_some());
        }
        assert!(works(&api, &third).await, "what is refused changes nothing");

        // Secrets are replaced, not hoarded.
        for _ in 0..4 {
            rotate(&api, &ada, &id, Value::Null).await;
        }
        let path = format!("/v1/api-keys/{id}/rotate");
        let fifth = api.call(Method::POST, &path, &ada, Value::Null).await;
        assert_eq!(fifth.status, 409, "{:?}", fifth.body);
        let (last, shown) = rotate(&api, &ada, &id, json!({ "overlap_seconds": 0 })).await;
        assert!(shown.get("previous").is_none() && works(&api, &last).await);
        assert_eq!(tries(&api, &third).await.0, 401);
    })
    .await;
}

#[tokio::test]
async fn an_expired_key_is_revived_by_rotation_and_its_old_secret_is_not() {
    let api = TestApi::start().await;
    let ada = api.sign_up(ADA).await;
    let soon = (api.clock.now() + Duration::HOUR).format(&Rfc3339).unwrap();
    let body = json!({ "scopes": ["jobs:read"], "expires_at": soon });
    let (old, id) = make(&api, &ada, body).await;
    assert!(works(&api, &old).await);
    api.clock.advance(Duration::HOUR);
    assert_eq!(
        tries(&api, &old).await,
        (401, "This API key has expired.".into())
    );
    assert_eq!(of(&api, &ada, &id).await["status"], "expired");
    let (new, shown) = rotate(&api, &ada, &id, Value::Null).await;
    assert!(works(&api, &new).await);
    assert_eq!(shown["status"], "active");
    assert_eq!(tries(&api, &old).await.0, 401);

    let endless = json!({ "scopes": ["jobs:read"], "expires_at": null });
    let (_, id) = make(&api, &ada, endless).await;
    let (_, shown) = rotate(&api, &ada, &id, Value::Null).await;
    assert!(shown.get("expires_at").is_none(), "it stays what it was");
}

#[tokio::test]
async fn what_is_changed_holds_from_the_next_request_on() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let ada = api.sign_up(ADA).await;
        let (key, id) = make(&api, &ada, json!({ "scopes": ["jobs:read"] })).await;
        assert!(works(&api, &key).await);
        let disabled = post(&api, &ada, &id, "disable").await;
        assert_eq!(disabled["status"], "disabled");
        let since = disabled["disabled_at"].clone();
        assert_eq!(
            tries(&api, &key).await,
            (401, "This API key is disabled.".into())
        );
        api.clock.advance(Duration::MINUTE);
        let again = post(&api, &ada, &id, "disable").await;
        assert_eq!(again["disabled_at"], since, "since the first time");
        assert_eq!(post(&api, &ada, &id, "enable").await["status"], "active");
        assert!(works(&api, &key).await);

        patch(&api, &ada, &id, json!({ "scopes": ["logs:read"] })).await;
        let missing = "api key missing jobs:read scope";
        assert_eq!(tries(&api, &key).await, (403, missing.into()));
        let shown = patch(
            &api,
            &ada,
            &id,
            json!({ "scopes": ["jobs:read"], "name": "renamed" }),
        )
        .await;
        assert_eq!(shown["name"], "renamed");
        patch(
            &api,
            &ada,
            &id,
            json!({ "allowed_ips": ["198.51.100.0/24"] }),
        )
        .await;
        let here = "api key not allowed from 192.0.2.1";
        assert_eq!(tries(&api, &key).await, (403, here.into()));
        assert!(works(&api.from("198.51.100.9"), &key).await);
        assert!(works(&api.from("::ffff:198.51.100.9"), &key).await);
        let shown = patch(&api, &ada, &id, json!({ "allowed_ips": [] })).await;
        assert_eq!(
            (&shown["name"], &shown["allowed_ips"]),
            (&json!("renamed"), &json!([]))
        );
        assert!(works(&api, &key).await);

        let path = format!("/v1/api-keys/{id}");
        let revoked = api.call(Method::DELETE, &path, &ada, Value::Null).await;
        assert_eq!(revoked.text("/status"), "revoked");
        assert_eq!(
            tries(&api, &key).await,
            (401, "This API key has been revoked.".into())
        );
        api.clock.advance(Duration::MINUTE);
        let again = api.call(Method::DELETE, &path, &ada, Value::Null).await;
        assert_eq!(again.status, 200);
        assert_eq!(again.body["revoked_at"], revoked.body["revoked_at"]);
        for (method, rest, body) in [
            (Method::PATCH, "", json!({ "name": "back" })),
            (Method::POST, "/enable", Value::Null),
            (Method::POST, "/disable", Value::Null),
            (Method::POST, "/rotate", Value::Null),
        ] {
            let answer = api.call(method, &format!("{path}{rest}"), &ada, body).await;
            assert_eq!(answer.status, 409, "{rest}: {:?}", answer.body);
        }
        assert_eq!(tries(&api, &key).await.0, 401);
    })
    .await;
}

#[tokio::test]
async fn a_key_goes_with_its_maker() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let ada = api.sign_up(ADA).await;
        let (key, _) = make(&api, &ada, json!({ "scopes": ["jobs:read"] })).await;
        assert!(works(&api, &key).await);
        let change = async |statement: &'static str| {
            let write = api
                .state
                .store()
                .write::<_, junglegrid::store::Error, _>(move |conn| {
                    Box::pin(async move {
                        sqlx::query(statement).execute(conn).await?;
                        Ok(())
                    })
                });
            write.await.unwrap();
        };
        change("UPDATE accounts SET status = 'closed'").await;
        assert_eq!(tries(&api, &key).await.0, 401);
        change("UPDATE accounts SET status = 'active'").await;
        assert!(works(&api, &key).await);
        change("DELETE FROM memberships").await;
        assert_eq!(tries(&api, &key).await.0, 401);
    })
    .await;
}

#[tokio::test]
async fn its_use_is_noted_once_a_minute() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let ada = api.sign_up(ADA).await;
        let (key, id) = make(&api, &ada, json!({ "scopes": ["jobs:read"] })).await;
        assert!(of(&api, &ada, &id).await.get("last_used").is_none());
        let first = api.clock.now();
        let from = async |ip: &str, agent: &str| {
            let request = Request::get("/v1/nodes")
                .header("authorization", format!("Bearer {key}"))
                .body(Body::empty());
            let mut request = request.unwrap();
            request.extensions_mut().insert(junglegrid::api::Origin {
                ip: ip.parse().unwrap(),
                agent: agent.into(),
            });
            let status = api.router().oneshot(request).await.unwrap().status();
            assert_ne!(status, 401);
        };
        from("::ffff:203.0.113.7", "curl/8").await;
        let by = json!({ "at": first.format(&Rfc3339).unwrap(), "ip": "203.0.113.7", "agent": "curl/8" });
        assert_eq!(of(&api, &ada, &id).await["last_used"], by);
        api.clock.advance(Duration::seconds(59));
        from("203.0.113.8", "mcp").await;
        assert_eq!(of(&api, &ada, &id).await["last_used"], by, "not yet again");
        api.clock.advance(Duration::SECOND);
        from("203.0.113.8", "mcp").await;
        let by = of(&api, &ada, &id).await["last_used"].clone();
        assert_eq!(by["ip"], "203.0.113.8");
        assert_eq!(instant(&by["at"]), api.clock.now());

        // Who is turned away has not used it.
        patch(&api, &ada, &id, json!({ "allowed_ips": ["203.0.113.8"] })).await;
        api.clock.advance(Duration::MINUTE);
        assert_eq!(tries(&api, &key).await.0, 403);
        assert_eq!(of(&api, &ada, &id).await["last_used"], by);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_repeated_makes_one_key_and_shows_it_once() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let ada = api.sign_up(ADA).await;
        let send = async |path: &str, once: &str, body: Value| {
            let request = Request::post(path)
                .header("authorization", format!("Bearer {ada}"))
                .header("idempotency-key", once)
                .body(Body::from(body.to_string()));
            api.send(request.unwrap()).await
        };
        let body = json!({ "name": "one", "scopes": ["jobs:read"] });
        let made = send("/v1/api-keys", "k1", body.clone()).await;
        assert_eq!(made.status, 201);
        let again = send("/v1/api-keys", "k1", body.clone()).await;
        assert_eq!(again.status, 409);
        assert_eq!(again.text("/code"), "ALREADY_SHOWN");
        assert_eq!(again.fault("key_id"), made.body["id"].as_str());
        assert!(again.body.get("key").is_none());
        let other = json!({ "name": "two", "scopes": ["jobs:read"] });
        assert_eq!(send("/v1/api-keys", "k1", other).await.status, 422);
        let list = api.get("/v1/api-keys", &ada).await;
        assert_eq!(list.body["api_keys"].as_array().unwrap().len(), 1);

        let path = format!("/v1/api-keys/{}/rotate", made.text("/id"));
        let rotated = send(&path, "k1", json!({ "overlap_seconds": 60 })).await;
        assert_eq!(rotated.status, 200, "another operation: {:?}", rotated.body);
        let again = send(&path, "k1", json!({ "overlap_seconds": 60 })).await;
        assert_eq!(
            (again.status.as_u16(), &*again.text("/code")),
            (409, "ALREADY_SHOWN")
        );
        assert!(
            works(&api, &rotated.text("/key")).await,
            "it was not rotated twice"
        );
    })
    .await;
}

#[tokio::test]
async fn a_workspace_has_so_many_keys_and_makes_them_at_a_human_pace() {
    let api = TestApi::start().await;
    let ada = api.sign_up(ADA).await;
    let create = async || {
        let body = json!({ "name": "n", "scopes": ["jobs:read"] });
        api.call(Method::POST, "/v1/api-keys", &ada, body).await
    };
    for _ in 0..60 {
        assert_eq!(create().await.status, 201);
    }
    let fast = create().await;
    assert_eq!(fast.status, 429);
    let wait: i64 = fast.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    api.clock.advance(Duration::seconds(wait));
    for _ in 0..40 {
        assert_eq!(create().await.status, 201);
    }
    let many = create().await;
    assert_eq!(many.status, 409);
    assert!(many.text("/message").contains("100 keys"));
    let newest = api.get("/v1/api-keys?limit=1", &ada).await;
    let path = format!("/v1/api-keys/{}", newest.text("/api_keys/0/id"));
    api.call(Method::DELETE, &path, &ada, Value::Null).await;
    assert_eq!(create().await.status, 201);
}

#[tokio::test]
async fn a_key_and_a_session_cookie_do_not_come_together() {
    let api = TestApi::start().await;
    let ada = api.sign_up(ADA).await;
    let (key, _) = make(&api, &ada, json!({ "scopes": ["jobs:read"] })).await;
    for (cookie, status) in [
        (format!("theme=dark; __Host-jg_session={ada}"), 400),
        (format!("jg_session={ada}"), 400),
        ("theme=dark; not_jg_session=1".into(), 200),
    ] {
        let request = Request::get("/v1/jobs")
            .header("authorization", format!("Bearer {key}"))
            .header("cookie", &cookie)
            .body(Body::empty());
        let answer = api.send(request.unwrap()).await;
        assert_eq!(answer.status, status, "{cookie}: {:?}", answer.body);
    }
}
