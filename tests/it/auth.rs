//! Accounts and sessions, as a client of the API sees them.
use crate::harness::{Answer, PASSWORD, TestApi, on_each_database};
use axum::body::Body;
use http::{Method, Request, StatusCode};
use junglegrid::domain::money::Usd;
use junglegrid::egress::mail::Postbox;
use junglegrid::orchestrator::workers::{mail, sweep};
use junglegrid::store::ledger;
use serde_json::{Value, json};
use time::Duration;

const ADA: &str = "ada@example.org";
const EVE: &str = "eve@example.org";

async fn register(api: &TestApi, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    api.post("/auth/register", body).await
}

async fn verify(api: &TestApi, email: &str, code: &str) -> Answer {
    let body = json!({"email": email, "code": code});
    api.post("/auth/otp/verify", body).await
}

async fn sign_in(api: &TestApi, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    api.post("/auth/signin", body).await
}

async fn resend(api: &TestApi, email: &str) -> Answer {
    api.post("/auth/otp/resend", json!({"email": email})).await
}

async fn forgot(api: &TestApi, email: &str) -> Answer {
    api.post("/auth/password/forgot", json!({"email": email}))
        .await
}

async fn reset(api: &TestApi, email: &str, code: &str, password: &str) -> Answer {
    let body = json!({"email": email, "code": code, "password": password});
    api.post("/auth/password/reset", body).await
}

async fn alive(api: &TestApi, token: &str) -> bool {
    match api.get("/auth/session", token).await.status {
        StatusCode::OK => true,
        StatusCode::UNAUTHORIZED => false,
        other => panic!("{other}"),
    }
}

async fn count(api: &TestApi, statement: &'static str) -> i64 {
    let mut conn = api.state.store().read().await.unwrap();
    sqlx::query_scalar(statement)
        .fetch_one(&mut *conn)
        .await
        .unwrap()
}

/// A code that is not `code`.
fn other(code: &str) -> String {
    let first = if code.starts_with('1') { '2' } else { '1' };
    format!("{first}{}", &code[1..])
}

#[tokio::test]
async fn a_person_registers_proves_the_address_and_is_in() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let body = json!({"email": " Ada@Example.org ", "password": PASSWORD, "name": "Ada"});
        let registered = api.post("/auth/register", body).await;
        assert_eq!(registered.status, 201);
        assert_eq!(registered.text("/email"), ADA);
        assert_eq!(registered.text("/delivery"), "outbox");

        let early = sign_in(&api, ADA, PASSWORD).await;
        assert_eq!(
            (early.status.as_u16(), &*early.text("/code")),
            (403, "EMAIL_NOT_VERIFIED")
        );
        assert_eq!(
            early.fault("account_id"),
            registered.body["account_id"].as_str()
        );

        let mail = &api.mails().await[0];
        assert!(
            !mail.subject.chars().any(|c| c.is_ascii_digit()),
            "{}",
            mail.subject
        );
        assert!(mail.body.contains("http://localhost:8080") && mail.body.contains("10 minutes"));
        let code = mail.code().unwrap();
        api.clock.advance(Duration::SECOND);
        let spaced = format!(" {} {} ", &code[..3], &code[3..]);
        let verified = verify(&api, "ADA@example.org", &spaced).await;
        assert_eq!(verified.status, 200, "{:?}", verified.body);
        assert!(verified.text("/token").starts_with("jgs_"));
        assert_eq!(
            verified.body["account"]["id"],
            registered.body["account_id"]
        );

        let session = api.get("/auth/session", &verified.text("/token")).await;
        assert_eq!(session.status, 200, "{:?}", session.body);
        assert_eq!(session.body["balance_usd"], json!(5.0));
        assert_eq!(session.body["active_jobs"], json!(0));
        assert_eq!(session.body["operator"], json!(false));
        assert_eq!(session.body["role"], "user");
        assert_eq!(session.text("/account/email"), ADA);
        assert_eq!(session.text("/workspace/name"), "Ada");
        assert_eq!(session.body["expires_at"], verified.body["expires_at"]);

        let again = sign_in(&api, ADA, PASSWORD).await;
        assert_eq!(again.status, 200);
        assert_ne!(again.body["token"], verified.body["token"]);
        let welcomes = api.mails().await;
        assert_eq!(welcomes.last().unwrap().subject, "Welcome to Jungle Grid");
        assert!(welcomes.last().unwrap().body.contains("$5.00"));
        let mut conn = api.state.store().read().await.unwrap();
        ledger::check(&mut conn).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_database_dump_holds_neither_tokens_nor_passwords_nor_codes() {
    let api = TestApi::start().await;
    let token = api.sign_up(ADA).await;
    forgot(&api, ADA).await;
    let code = api.code(ADA).await;
    assert_eq!(count(&api, "SELECT COUNT(*) FROM sessions").await, 1);
    let mut conn = api.state.store().read().await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
        .execute(&mut *conn)
        .await
        .unwrap();
    let mut dump = Vec::new();
    for file in ["junglegrid.db", "junglegrid.db-wal"] {
        dump.extend(std::fs::read(api.dir.path().join(file)).unwrap());
    }
    let holds = |text: &str| {
        dump.windows(text.len())
            .any(|bytes| bytes == text.as_bytes())
    };
    assert!(holds(ADA));
    assert!(!holds(&token) && !holds(PASSWORD));
    // The code stands in the mail until that is sent, and nowhere else.
    let macs = "SELECT COUNT(*) FROM challenges WHERE length(code_mac) = 64";
    assert_eq!(
        count(&api, macs).await,
        count(&api, "SELECT COUNT(*) FROM challenges").await
    );
    assert!(!code.is_empty());
}

#[tokio::test]
async fn the_welcome_credit_is_given_once_however_often_the_code_is_tried() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    let code = api.code(ADA).await;
    let tries = (0..4).map(|_| verify(&api, ADA, &code));
    let answers = futures_util::future::join_all(tries).await;
    let won = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(won.count(), 1);
    assert_eq!(verify(&api, ADA, &code).await.status, 400);
    assert_eq!(count(&api, "SELECT COUNT(*) FROM transfers").await, 1);
    assert_eq!(count(&api, "SELECT COUNT(*) FROM workspaces").await, 1);
    let given = "SELECT credit FROM ledger_accounts WHERE kind = 'available'";
    assert_eq!(count(&api, given).await, 5_000_000);

    let stingy = TestApi::with(|config| config.welcome_credit = Usd::ZERO).await;
    let token = stingy.sign_up(ADA).await;
    let session = stingy.get("/auth/session", &token).await;
    assert_eq!(session.body["balance_usd"], json!(0.0));
    assert!(!stingy.mails().await[1].body.contains('$'));
}

#[tokio::test]
async fn a_code_can_be_tried_five_times() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    let code = api.code(ADA).await;
    for _ in 0..5 {
        let wrong = verify(&api, ADA, &other(&code)).await;
        assert_eq!(wrong.status, 400);
        assert!(wrong.fault("code").unwrap().contains("ask for another"));
    }
    assert_eq!(verify(&api, ADA, &code).await.status, 400);
    // Another code has attempts of its own.
    api.clock.advance(Duration::MINUTE);
    assert_eq!(resend(&api, ADA).await.status, 202);
    for _ in 0..4 {
        let code = api.code(ADA).await;
        assert_eq!(verify(&api, ADA, &other(&code)).await.status, 400);
    }
    assert_eq!(verify(&api, ADA, &api.code(ADA).await).await.status, 200);
}

#[tokio::test]
async fn guessing_in_parallel_gives_no_sixth_attempt() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    let wrong = other(&api.code(ADA).await);
    futures_util::future::join_all((0..12).map(|_| verify(&api, ADA, &wrong))).await;
    let tried = "SELECT CAST(attempts AS BIGINT) FROM challenges";
    assert_eq!(count(&api, tried).await, 5);
}

#[tokio::test]
async fn a_code_lives_ten_minutes() {
    let api = TestApi::start().await;
    for (wait, status) in [(599, 200), (600, 400)] {
        let email = format!("after{wait}@example.org");
        register(&api, &email, PASSWORD).await;
        let code = api.code(&email).await;
        api.clock.advance(Duration::seconds(wait));
        assert_eq!(verify(&api, &email, &code).await.status, status, "{wait}");
    }
}

#[tokio::test]
async fn a_new_code_closes_the_one_before() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    let old = api.code(ADA).await;
    api.clock.advance(Duration::MINUTE);
    assert_eq!(resend(&api, ADA).await.status, 202);
    let new = api.code(ADA).await;
    assert_ne!(old, new, "one time in a million");
    assert_eq!(verify(&api, ADA, &old).await.status, 400);
    assert_eq!(verify(&api, ADA, &new).await.status, 200);
}

#[tokio::test]
async fn mails_keep_their_distance_and_their_number() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    for email in [ADA, "nobody@example.org"] {
        if email != ADA {
            assert_eq!(forgot(&api, email).await.status, 202);
        }
        api.clock.advance(Duration::seconds(30));
        let early = resend(&api, email).await;
        assert_eq!(
            (early.status.as_u16(), &*early.text("/code")),
            (429, "RATE_LIMITED")
        );
        assert_eq!(early.headers["retry-after"], "30");
        assert_eq!(forgot(&api, email).await.status, 429);
        api.clock.advance(Duration::seconds(30));
        assert_eq!(resend(&api, email).await.status, 202);
        api.clock.advance(Duration::MINUTE);
        assert_eq!(resend(&api, email).await.status, 202);
        // Three in an hour; registering counts as well.
        api.clock.advance(Duration::MINUTE);
        let fourth = resend(&api, email).await;
        assert_eq!(fourth.status, 429);
        assert_eq!(fourth.headers["retry-after"], "3420");
        assert_eq!(register(&api, email, PASSWORD).await.status, 429);
    }
    // Ten in a day.
    let mails = api.mails().await.len();
    for _ in 0..9 {
        api.clock.advance(Duration::HOUR);
        resend(&api, ADA).await;
    }
    assert_eq!(api.mails().await.len() - mails, 7);
    api.clock.advance(Duration::DAY);
    assert_eq!(resend(&api, ADA).await.status, 202);
}

#[tokio::test]
async fn one_address_on_the_internet_cannot_mail_everybody() {
    let api = TestApi::start().await;
    for n in 0..60 {
        assert_eq!(forgot(&api, &format!("p{n}@example.org")).await.status, 202);
    }
    assert_eq!(forgot(&api, ADA).await.status, 429);
    assert_eq!(forgot(&api.from("192.0.2.2"), ADA).await.status, 202);
}

#[tokio::test]
async fn passwords_can_be_guessed_ten_times_per_address() {
    let api = TestApi::start().await;
    api.sign_up(ADA).await;
    for email in [ADA, "nobody@example.org"] {
        for n in 0..10 {
            // Neither capitals nor another network begin a new count.
            let api = api.from(&format!("198.51.100.{n}"));
            let wrong = sign_in(&api, &email.to_uppercase(), "not the password").await;
            assert_eq!(wrong.status, 401);
            assert_eq!(wrong.text("/code"), "INVALID_CREDENTIALS");
            assert_eq!(
                wrong.text("/message"),
                "That e-mail and password do not match."
            );
        }
        let refused = sign_in(&api, email, PASSWORD).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.headers["retry-after"], "900");
    }
    api.clock.advance(Duration::minutes(15));
    assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 200);
    // Signing in costs nothing.
    for _ in 0..12 {
        assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn one_network_can_guess_sixty_times() {
    let api = TestApi::start().await;
    api.sign_up(ADA).await;
    for n in 0..60 {
        let api = api.from(&format!("2001:db8::{n:x}"));
        let email = format!("p{n}@example.org");
        let status = match n % 2 {
            0 => sign_in(&api, &email, PASSWORD).await.status.as_u16(),
            _ => verify(&api, &email, "123456").await.status.as_u16(),
        };
        assert_eq!(status, if n % 2 == 0 { 401 } else { 400 });
    }
    let neighbour = api.from("2001:db8::ffff");
    assert_eq!(sign_in(&neighbour, ADA, PASSWORD).await.status, 429);
    assert_eq!(verify(&neighbour, ADA, "123456").await.status, 429);
    assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 200);
}

/// The answer without what may differ: ids, and the address itself.
fn shape(answer: &Answer, email: &str) -> (u16, Vec<String>, String) {
    let mut body = answer.body.clone();
    if let Some(id) = body.get_mut("account_id") {
        assert_eq!(id.as_str().map(str::len), Some("acct_".len() + 32));
        *id = Value::Null;
    }
    let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    let body = body.to_string().replace(email, "");
    (answer.status.as_u16(), headers, body)
}

#[tokio::test]
async fn no_answer_says_whether_an_address_has_an_account() {
    let api = TestApi::start().await;
    api.sign_up(ADA).await;
    register(&api, EVE, PASSWORD).await;
    api.clock.advance(Duration::HOUR);
    let mut seen = Vec::new();
    for email in [ADA, EVE, "nobody@example.org"] {
        let mut shapes = Vec::new();
        let mut mails = Vec::new();
        for step in 0..6 {
            api.clock.advance(Duration::minutes(20));
            let before = api.mails().await.len();
            let answer = match step {
                0 => register(&api, email, "another password").await,
                1 => forgot(&api, email).await,
                2 => resend(&api, email).await,
                3 => sign_in(&api, email, "not the password").await,
                4 => verify(&api, email, "000000").await,
                _ => reset(&api, email, "000000", "a new password").await,
            };
            shapes.push(shape(&answer, email));
            mails.push(api.mails().await.len() - before);
        }
        let statuses: Vec<u16> = shapes.iter().map(|(status, ..)| *status).collect();
        assert_eq!(statuses, [201, 202, 202, 401, 400, 400]);
        assert_eq!(mails, [1, 1, 1, 0, 0, 0]);
        seen.push(shapes);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    // Whoever owns the mailbox learns the truth.
    let mails = api.mails().await;
    let told = |email: &str, subject: &str| {
        mails
            .iter()
            .any(|mail| mail.recipient == email && mail.subject.contains(subject))
    };
    assert!(told(ADA, "already have") && told("nobody@example.org", "No Jungle Grid account"));
}

#[tokio::test]
async fn an_address_without_an_account_costs_the_same_work() {
    let api = TestApi::start().await;
    api.sign_up(ADA).await;
    api.clock.advance(Duration::HOUR);
    let codes = "SELECT COUNT(*) FROM challenges";
    let tries = "SELECT CAST(SUM(attempts) AS BIGINT) FROM challenges";
    for email in [ADA, "nobody@example.org"] {
        let before = [count(&api, codes).await, count(&api, tries).await];
        forgot(&api, email).await;
        api.clock.advance(Duration::MINUTE);
        resend(&api, email).await;
        let body = json!({"email": email, "code": "000000", "password": PASSWORD});
        api.post("/auth/password/reset", body).await;
        verify(&api, email, "000000").await;
        let after = [count(&api, codes).await, count(&api, tries).await];
        let made = [after[0] - before[0], after[1] - before[1]];
        assert_eq!(made, [2, 2], "{email}");
    }
}

#[tokio::test]
async fn registering_somebody_else_s_address_in_advance_gains_nothing() {
    let api = TestApi::start().await;
    let first = register(&api, ADA, "the thief's password").await;
    let thiefs_code = api.code(ADA).await;
    api.clock.advance(Duration::SECOND);
    let second = register(&api, ADA, PASSWORD).await;
    let adas_code = api.code(ADA).await;
    assert_ne!(first.body["account_id"], second.body["account_id"]);

    // A code is good for the registration that it was mailed for, and no other.
    let with_id = async |registered: &Answer, code: &str| {
        let id = &registered.body["account_id"];
        let body = json!({"email": ADA, "code": code, "account_id": id});
        api.post("/auth/otp/verify", body).await.status
    };
    assert_eq!(with_id(&first, &adas_code).await, 400);
    assert_eq!(with_id(&second, &thiefs_code).await, 400);
    // Without an id the newest registration is meant.
    assert_eq!(verify(&api, ADA, &thiefs_code).await.status, 400);
    assert_eq!(with_id(&second, &adas_code).await, 200);

    assert_eq!(sign_in(&api, ADA, "the thief's password").await.status, 401);
    assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 200);
    assert_eq!(with_id(&first, &thiefs_code).await, 400);
    assert_eq!(count(&api, "SELECT COUNT(*) FROM accounts").await, 1);
    // Nor does it afterwards.
    api.clock.advance(Duration::HOUR);
    let late = register(&api, ADA, "the thief's password").await;
    assert_eq!(late.status, 201);
    assert_eq!(count(&api, "SELECT COUNT(*) FROM accounts").await, 1);
}

#[tokio::test]
async fn a_reminder_follows_the_right_password_only() {
    let api = TestApi::start().await;
    register(&api, ADA, PASSWORD).await;
    // In the cool-down the first code is new enough.
    assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 403);
    assert_eq!(api.mails().await.len(), 1);
    api.clock.advance(Duration::minutes(11));
    assert_eq!(sign_in(&api, ADA, "not the password").await.status, 401);
    assert_eq!(api.mails().await.len(), 1);
    assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 403);
    assert_eq!(api.mails().await.len(), 2);
    assert_eq!(verify(&api, ADA, &api.code(ADA).await).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_when_idle_and_when_old() {
    let api = TestApi::start().await;
    let token = api.sign_up(ADA).await;
    // Used within the day, it lives on.
    for _ in 0..31 {
        api.clock.advance(Duration::hours(23));
        assert!(alive(&api, &token).await);
    }
    let rest = Duration::days(30) - Duration::hours(23 * 31);
    api.clock.advance(rest - Duration::SECOND);
    assert!(alive(&api, &token).await);
    api.clock.advance(Duration::SECOND);
    assert!(!alive(&api, &token).await, "thirty days old");

    let token = sign_in(&api, ADA, PASSWORD).await.text("/token");
    api.clock.advance(Duration::hours(24) - Duration::SECOND);
    assert!(alive(&api, &token).await);
    api.clock.advance(Duration::hours(24));
    assert!(!alive(&api, &token).await, "idle for a day");
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_swept_away() {
    let api = TestApi::start().await;
    api.sign_up(ADA).await;
    register(&api, EVE, PASSWORD).await;
    let postbox = Postbox::outbox(api.dir.path(), "grid@example.org").unwrap();
    mail::tick(&api.state, &postbox).await.unwrap();
    let rows = async || {
        [
            count(&api, "SELECT COUNT(*) FROM sessions").await,
            count(&api, "SELECT COUNT(*) FROM challenges").await,
            count(&api, "SELECT COUNT(*) FROM throttles").await,
            count(&api, "SELECT COUNT(*) FROM mails").await,
            count(&api, "SELECT COUNT(*) FROM accounts").await,
        ]
    };
    let before = rows().await;
    api.clock.advance(Duration::hours(23));
    sweep::tick(&api.state).await.unwrap();
    assert_eq!(rows().await, before);
    api.clock.advance(Duration::hours(2));
    sweep::tick(&api.state).await.unwrap();
    let [sessions, challenges, throttles, mails, accounts] = rows().await;
    assert_eq!([sessions, challenges, throttles], [0; 3]);
    assert_eq!((mails, accounts), (before[3], 2), "kept for longer");
    api.clock.advance(Duration::days(30));
    sweep::tick(&api.state).await.unwrap();
    assert_eq!(rows().await, [0, 0, 0, 0, 1], "only Ada is left");
}

#[tokio::test]
async fn use_is_noted_at_most_once_a_minute() {
    let api = TestApi::start().await;
    let token = api.sign_up(ADA).await;
    let seen = "SELECT last_seen FROM sessions";
    let begun = count(&api, seen).await;
    api.clock.advance(Duration::seconds(59));
    assert!(alive(&api, &token).await);
    assert_eq!(count(&api, seen).await, begun);
    api.clock.advance(Duration::SECOND);
    assert!(alive(&api, &token).await);
    assert_eq!(count(&api, seen).await, begun + 60_000_000);
}

#[tokio::test]
async fn signing_out_kills_this_token_and_no_other() {
    let api = TestApi::start().await;
    let phone = api.sign_up(ADA).await;
    let laptop = sign_in(&api, ADA, PASSWORD).await.text("/token");
    let out = api
        .call(Method::POST, "/auth/signout", &phone, json!({}))
        .await;
    assert_eq!(out.status, 200);
    assert!(!alive(&api, &phone).await);
    assert!(alive(&api, &laptop).await);
    assert_eq!(count(&api, "SELECT COUNT(*) FROM sessions").await, 1);
}

#[tokio::test]
async fn only_a_bearer_of_a_living_token_gets_in() {
    let api = TestApi::start().await;
    let token = api.sign_up(ADA).await;
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = Request::builder().uri("/auth/session");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        api.send(request.body(Body::empty()).unwrap()).await
    };
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {token}");
        assert_eq!(ask(&[("authorization", &value)]).await.status, 200);
    }
    let bearer = format!("Bearer {token}");
    let basic = format!("Basic {token}");
    let shortened = format!("Bearer {}", &token[..token.len() - 1]);
    let hashed = format!("Bearer jgs_{}", junglegrid::random::hash(&token));
    let cookie = format!("session={token}");
    let refused: [&[(&str, &str)]; 8] = [
        &[],
        &[("authorization", &token)],
        &[("authorization", &basic)],
        &[("authorization", &shortened)],
        &[("authorization", &hashed)],
        &[("authorization", "Bearer ")],
        &[("authorization", &bearer), ("authorization", &bearer)],
        &[("cookie", &cookie)],
    ];
    for headers in refused {
        let answer = ask(headers).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.text("/error/code"), "UNAUTHORIZED");
        assert!(answer.headers.contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_and_every_session_ends() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let phone = api.sign_up(ADA).await;
        let laptop = sign_in(&api, ADA, PASSWORD).await.text("/token");
        let eve = api.sign_up(EVE).await;
        api.clock.advance(Duration::MINUTE);
        assert_eq!(forgot(&api, ADA).await.status, 202);
        let code = api.code(ADA).await;
        // Neither a wrong code nor one for something else will do.
        assert_eq!(
            reset(&api, ADA, &other(&code), "a new password")
                .await
                .status,
            400
        );
        assert_eq!(verify(&api, ADA, &code).await.status, 400);
        assert_eq!(reset(&api, EVE, &code, "a new password").await.status, 400);
        let weak = reset(&api, ADA, &code, "password").await;
        assert_eq!(weak.status, 400);
        assert!(weak.fault("password").is_some());

        api.clock.advance(Duration::SECOND);
        let done = reset(&api, ADA, &code, "a new password").await;
        assert_eq!(done.status, 200, "{:?}", done.body);
        assert!(!alive(&api, &phone).await && !alive(&api, &laptop).await);
        assert!(alive(&api, &done.text("/token")).await && alive(&api, &eve).await);
        assert_eq!(sign_in(&api, ADA, PASSWORD).await.status, 401);
        assert_eq!(sign_in(&api, ADA, "a new password").await.status, 200);
        assert_eq!(
            reset(&api, ADA, &code, "a third password").await.status,
            400
        );
        let last = api.mails().await.pop().unwrap();
        assert_eq!(last.subject, "Your Jungle Grid password was changed");
    })
    .await;
}

#[tokio::test]
async fn operators_are_named_or_first() {
    let named = TestApi::with(|config| config.operators = vec!["ADA@example.org".into()]).await;
    let first = TestApi::with(|config| config.first_account_operates = true).await;
    let nobody = TestApi::start().await;
    for (api, expected) in [
        (named, [false, true]),
        (first, [true, false]),
        (nobody, [false; 2]),
    ] {
        for (email, operator) in [EVE, ADA].into_iter().zip(expected) {
            let token = api.sign_up(email).await;
            let session = api.get("/auth/session", &token).await;
            assert_eq!(session.body["operator"], json!(operator), "{email}");
        }
    }
}

#[tokio::test]
async fn a_provider_s_session_begins_in_that_role() {
    let api = TestApi::start().await;
    let body = json!({"email": ADA, "password": PASSWORD, "role": "provider"});
    assert_eq!(api.post("/auth/register", body).await.status, 201);
    let verified = verify(&api, ADA, &api.code(ADA).await).await;
    assert_eq!(verified.body["account"]["roles"], json!(["provider"]));
    let session = api.get("/auth/session", &verified.text("/token")).await;
    assert_eq!(session.body["role"], "provider");
    assert_eq!(session.text("/workspace/name"), "ada's workspace");
}

#[tokio::test]
async fn nonsense_is_refused_field_by_field() {
    let api = TestApi::start().await;
    let long = "x".repeat(300);
    let table = [
        ("/auth/register", json!({}), vec!["email", "password"]),
        ("/auth/register", json!({"email": ADA}), vec!["password"]),
        (
            "/auth/register",
            json!({"email": ADA, "password": long}),
            vec!["password"],
        ),
        (
            "/auth/register",
            json!({"email": ADA, "password": ADA}),
            vec!["password"],
        ),
        (
            "/auth/register",
            json!({"email": ADA, "password": "password123"}),
            vec!["password"],
        ),
        (
            "/auth/register",
            json!({"email": "ada", "password": "1"}),
            vec!["email", "password"],
        ),
        (
            "/auth/register",
            json!({"email": "a@b.org\r\nBcc: c@d.org", "password": PASSWORD}),
            vec!["email"],
        ),
        (
            "/auth/register",
            json!({"email": ADA, "password": PASSWORD, "name": long, "role": "root"}),
            vec!["name", "role"],
        ),
        ("/auth/otp/verify", json!({}), vec!["email"]),
        ("/auth/otp/verify", json!({"email": ADA}), vec!["code"]),
        (
            "/auth/otp/verify",
            json!({"email": ADA, "code": "１２３４５６"}),
            vec!["code"],
        ),
        (
            "/auth/otp/verify",
            json!({"email": ADA, "code": long}),
            vec!["code"],
        ),
        ("/auth/otp/resend", json!({}), vec!["email"]),
        ("/auth/signin", json!({}), vec!["email", "password"]),
        (
            "/auth/signin",
            json!({"email": ADA, "password": long}),
            vec!["password"],
        ),
        (
            "/auth/signin",
            json!({"email": "@", "password": "x"}),
            vec!["email"],
        ),
        (
            "/auth/password/forgot",
            json!({"email": "ada@[127.0.0.1]"}),
            vec!["email"],
        ),
        ("/auth/password/reset", json!({}), vec!["email", "password"]),
        (
            "/auth/password/reset",
            json!({"email": ADA, "password": PASSWORD, "code": "12345"}),
            vec!["code"],
        ),
    ];
    for (path, body, fields) in table {
        let answer = api.post(path, body.clone()).await;
        assert_eq!(answer.status, 400, "{path} {body}");
        let faults = answer.body["error"]["fields"].as_object().unwrap();
        assert_eq!(faults.keys().collect::<Vec<_>>(), fields, "{path} {body}");
        let capital = |text: &Value| {
            text.as_str()
                .is_some_and(|t| t.starts_with(char::is_uppercase))
        };
        assert!(
            faults.values().all(capital) && capital(&answer.body["message"]),
            "{faults:?}"
        );
    }
    assert_eq!(count(&api, "SELECT COUNT(*) FROM mails").await, 0);
}

#[tokio::test]
async fn what_is_not_the_expected_json_is_refused() {
    let api = TestApi::start().await;
    let huge = format!(
        r#"{{"email":"{ADA}","password":"{}"}}"#,
        "x".repeat(3 << 20)
    );
    let mistyped = [
        "[]",
        "null",
        "{",
        "\u{0}",
        r#"{"email":5,"password":[]}"#,
        r#"{"email":"a@b.org","code":123456}"#,
        r#"{"email":"a@b.org","account_id":"job_1"}"#,
        &huge,
    ];
    for path in [
        "/auth/register",
        "/auth/otp/verify",
        "/auth/signin",
        "/auth/password/reset",
    ] {
        for body in mistyped {
            let request = Request::post(path)
                .body(Body::from(body.to_owned()))
                .unwrap();
            let answer = api.send(request).await;
            assert_eq!(answer.status, 400, "{path} {}", &body[..body.len().min(40)]);
            assert!(!answer.text("/error/message").is_empty());
        }
    }
    assert_eq!(count(&api, "SELECT COUNT(*) FROM mails").await, 0);
}
