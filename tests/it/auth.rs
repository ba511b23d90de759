//! Accounts and sessions, as a client of the API sees them.
mod limits;
mod sessions;

use crate::harness::{Answer, PASSWORD, TestApi, on_each_database};
use axum::body::Body;
use http::{Request, StatusCode};
use junglegrid::domain::money::Usd;
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
        assert_eq!(session.body["active_apps"], json!(0));
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
