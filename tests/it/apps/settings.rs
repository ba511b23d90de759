//! What a template asks for at its launch: values for its variables, secrets among them.
use super::stage::Stage;
use crate::grid::{Grid, and, eventually};
use crate::harness::{Answer, PASSWORD as PERSONS, at_each_database};
use junglegrid::orchestrator::apps::access;
use junglegrid::orchestrator::workers::housekeeping;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::collections::BTreeMap;
use std::path::Path;
use tokio_util::task::TaskTracker;

const PASSWORD: &str = "open, {origin:desk} sesame";
const TOKEN: &str = "hf_QvZk3xT9mL2pW8rD5sYc";

fn settings(more: Value) -> Value {
    json!({ "settings": and(json!({ "VAULT_PASSWORD": PASSWORD }), more) })
}

/// What the launched app finds in its environment.
async fn environment(stage: &Stage) -> BTreeMap<String, String> {
    stage.machine.taken().await;
    stage.machine.asked_for().unwrap().env
}

async fn stopped(stage: &Stage, id: &str) {
    let path = format!("/v1/app-sessions/{id}/stop");
    stage.post(&path, json!({})).await;
    stage.ended(id).await;
}

async fn again(stage: &Stage, id: &str, more: Value) -> Answer {
    let estimate = stage.estimate("vault", json!({})).await;
    let order = json!({ "from_session": id, "acknowledged_estimate": estimate });
    stage.post("/v1/app-sessions", and(order, more)).await
}

#[tokio::test]
async fn what_is_given_reaches_the_app_and_secrets_nobody_else() {
    let stage = Stage::start().await;
    let template = stage.get("/v1/templates/vault").await;
    assert_eq!(
        template["settings"],
        json!([
            { "name": "VAULT_PASSWORD", "label": "Password", "secret": true, "required": true },
            { "name": "HF_TOKEN", "label": "Hugging Face token", "secret": true, "required": false,
              "hint": "For models that ask for an account." },
            { "name": "MODEL", "label": "MODEL", "secret": false, "required": false, "default": "small" },
            { "name": "NOTE", "label": "NOTE", "secret": false, "required": false },
        ])
    );
    let given = settings(json!({ "HF_TOKEN": TOKEN, "NOTE": "für später" }));
    let launched = stage.try_launch("vault", given).await;
    assert_eq!(launched.status, 202, "{}", launched.body);
    let shown = json!([
        { "name": "VAULT_PASSWORD", "label": "Password", "secret": true, "kept": true },
        { "name": "HF_TOKEN", "label": "Hugging Face token", "secret": true, "kept": true },
        { "name": "MODEL", "label": "MODEL", "secret": false, "kept": true, "value": "small" },
        { "name": "NOTE", "label": "NOTE", "secret": false, "kept": true, "value": "für später" },
    ]);
    assert_eq!(launched.body["settings"], shown);
    let id = launched.text("/id");
    let found = environment(&stage).await;
    let found: Vec<_> = ["VAULT_PASSWORD", "HF_TOKEN", "MODEL", "NOTE"]
        .map(|name| found[name].as_str())
        .into();
    // Braces in what people give stand for nothing.
    assert_eq!(found, [PASSWORD, TOKEN, "small", "für später"]);

    // The proxy signs in with it.
    stage.machine.runs().await;
    let door = eventually("the way to it", async || {
        let conn = &mut stage.api.state.store().read().await.unwrap();
        let all = junglegrid::store::apps::services::of(conn, id.parse().unwrap());
        let origin = all.await.unwrap().remove(0).origin;
        access::door(&stage.api.state, &origin).await.unwrap()
    })
    .await;
    let (name, value) = &door.inject[0];
    assert_eq!(name, "authorization");
    let basic = junglegrid::random::base64(format!("me:{PASSWORD}").as_bytes());
    assert_eq!(value.to_str().unwrap(), format!("Basic {basic}"));
    assert!(value.is_sensitive());

    let job = launched.text("/job_id");
    for path in [
        format!("/v1/app-sessions/{id}"),
        format!("/v1/app-sessions/{id}/events"),
        "/v1/app-sessions".into(),
        format!("/v1/jobs/{job}"),
        format!("/v1/jobs/{job}/content"),
        format!("/v1/jobs/{job}/events"),
    ] {
        let said = stage.get(&path).await.to_string();
        assert!(
            !said.contains(TOKEN) && !said.contains("sesame"),
            "{path}: {said}"
        );
    }
}

#[tokio::test]
async fn what_is_not_given_is_not_set_and_what_is_wrong_is_named() {
    let stage = Stage::start().await;
    let long = "x".repeat(4_097);
    for (given, field, word) in [
        (json!({}), "settings.VAULT_PASSWORD", "needed"),
        (
            json!({ "VAULT_PASSWORD": "" }),
            "settings.VAULT_PASSWORD",
            "needed",
        ),
        (
            json!({ "VAULT_PASSWORD": "žluť" }),
            "settings.VAULT_PASSWORD",
            "without accents",
        ),
        (
            json!({ "VAULT_PASSWORD": "a", "HF_TOKEN": long }),
            "settings.HF_TOKEN",
            "4,096",
        ),
        (
            json!({ "VAULT_PASSWORD": "a", "HF_TOKEN": "hf_\u{0}" }),
            "settings.HF_TOKEN",
            "Copy it again",
        ),
        (
            json!({ "VAULT_PASSWORD": "a", "PATH": "/evil" }),
            "settings.PATH",
            "It takes: VAULT_PASSWORD, HF_TOKEN",
        ),
    ] {
        let refused = stage
            .try_launch("vault", json!({ "settings": given }))
            .await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        let why = refused.body["error"]["fields"][field].as_str();
        let why = why.unwrap_or_else(|| panic!("no {field} in {}", refused.body));
        assert!(why.contains(word), "{why}");
        assert_eq!(
            refused.body["error"]["fields"].as_object().unwrap().len(),
            1
        );
        assert!(
            !refused.body.to_string().contains("evil"),
            "{}",
            refused.body
        );
    }
    let odd = json!({ "settings": { "VAULT_PASSWORD": 7 } });
    let refused = stage.try_launch("vault", odd).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let why = refused.body["error"]["fields"]["settings"].as_str();
    assert!(
        why.is_some_and(|why| why.contains("expected a string")),
        "{}",
        refused.body
    );
    // Another template asks for nothing.
    let refused = stage.try_launch("desk", settings(json!({}))).await;
    let why = &refused.body["error"]["fields"]["settings.VAULT_PASSWORD"];
    assert!(why.is_string(), "{}", refused.body);

    let emptied = json!({ "MODEL": "", "HF_TOKEN": "" });
    let launched = stage.try_launch("vault", settings(emptied)).await;
    assert_eq!(launched.status, 202, "{}", launched.body);
    let found = environment(&stage).await;
    assert_eq!(found["MODEL"], "small", "empty is not given");
    assert!(
        !found.contains_key("HF_TOKEN") && !found.contains_key("NOTE"),
        "{found:?}"
    );
    let names = launched.body["settings"].as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|setting| setting["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["VAULT_PASSWORD", "MODEL"]);
}

#[tokio::test]
async fn it_is_launched_again_with_what_it_was_given_until_that_is_deleted() {
    at_each_database(async |url, dir| launched_again(Stage::on(url, dir).await).await).await;
}

async fn launched_again(mut stage: Stage) {
    let given = settings(json!({ "HF_TOKEN": TOKEN, "MODEL": "large" }));
    let first = stage.launch("vault", given).await;
    // What takes the session up again knows it, too.
    stage.kill();
    stage.restart().await;
    assert_eq!(environment(&stage).await["HF_TOKEN"], TOKEN);
    stopped(&stage, &first).await;

    let second = again(&stage, &first, json!({ "settings": { "MODEL": "huge" } })).await;
    assert_eq!(second.status, 202, "{}", second.body);
    let second = second.text("/id");
    let found = environment(&stage).await;
    assert_eq!((&*found["HF_TOKEN"], &*found["MODEL"]), (TOKEN, "huge"));
    stopped(&stage, &second).await;

    // Each session's secrets are its own: the first's go before the second's.
    let day = 24 * 3_600;
    stage.pass(7 * day - 60);
    // Nobody stays signed in for so long.
    let known = json!({ "email": "amara@example.org", "password": PERSONS });
    stage.token = stage.api.post("/auth/signin", known).await.text("/token");
    let kept = stage.session(&second).await;
    assert_eq!(kept["settings"][1]["kept"], true);
    stage.pass(60);
    housekeeping::tick(&stage.api.state, &TaskTracker::new())
        .await
        .unwrap();
    stage.pass(1);
    housekeeping::tick(&stage.api.state, &TaskTracker::new())
        .await
        .unwrap();
    let gone = stage.session(&second).await;
    assert_eq!(gone["settings"][1]["kept"], false, "{gone}");
    let refused = again(&stage, &second, json!({})).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let fields = &refused.body["error"]["fields"];
    for name in ["settings.HF_TOKEN", "settings.VAULT_PASSWORD"] {
        assert!(
            fields[name].as_str().unwrap().contains("enter it again"),
            "{fields}"
        );
    }
    let anew = json!({ "settings": { "VAULT_PASSWORD": "another", "HF_TOKEN": "" } });
    let third = again(&stage, &second, anew).await;
    assert_eq!(third.status, 202, "{}", third.body);
    let found = environment(&stage).await;
    assert_eq!(
        (&*found["VAULT_PASSWORD"], &*found["MODEL"]),
        ("another", "huge")
    );
    assert!(!found.contains_key("HF_TOKEN"));

    let other = stage
        .post(
            "/v1/app-sessions",
            json!({ "template": "desk", "from_session": first }),
        )
        .await;
    assert_eq!(other.status, 400);
    assert!(
        other.body["error"]["fields"]["template"].is_string(),
        "{}",
        other.body
    );
}

#[tokio::test]
async fn an_app_whose_secrets_are_lost_is_not_started_without_them() {
    let stage = Stage::start().await;
    *stage.machine.away.lock().unwrap() = true;
    let given = settings(json!({ "HF_TOKEN": TOKEN }));
    let launched = stage.try_launch("vault", given).await.text("/id");
    let waits = |session: &Value| {
        session["steps"][1]["detail"]
            .as_str()
            .unwrap_or("")
            .contains("away")
    };
    stage
        .until(&launched, "its return to the queue", waits)
        .await;
    let unreadable = "UPDATE app_secrets SET sealed = '1:00' WHERE name = 'HF_TOKEN'";
    let conn = &mut *stage.api.state.store().read().await.unwrap();
    let changed = sqlx::query(unreadable).execute(conn).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    *stage.machine.away.lock().unwrap() = false;
    stage.pass(2);

    let end = stage.ended(&launched).await;
    assert_eq!(
        (&*end.status, &*end.code, end.charged),
        ("failed", "crashed", 0)
    );
    assert_eq!(
        end.last,
        "Failed: It could not be started: HF_TOKEN cannot be read any more, because the server's \
         key has changed; launch it again and enter it anew. It was never ready: you were charged \
         $0.00."
    );
    assert_eq!(stage.machine.asked.lock().unwrap().len(), 1, "before that");
    let refused = again(&stage, &launched, json!({})).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let fields = &refused.body["error"]["fields"];
    assert!(fields["settings.HF_TOKEN"].is_string(), "{fields}");
    let anew = json!({ "settings": { "HF_TOKEN": TOKEN } });
    assert_eq!(again(&stage, &launched, anew).await.status, 202);
    assert_eq!(environment(&stage).await["HF_TOKEN"], TOKEN);
}

#[tokio::test]
async fn a_launch_takes_choices_as_the_estimate_gives_them_back() {
    let stage = Stage::start().await;
    let path = "/v1/templates/desk/estimate";
    let estimate = stage
        .post(path, json!({ "max_hours": 2, "max_usd": 0.1 }))
        .await
        .body;
    let order = json!({
        "template": "desk",
        "choices": estimate["choices"],
        "acknowledged_estimate": estimate["estimate_id"],
    });
    let other = and(order.clone(), json!({ "max_hours": 3 }));
    let refused = stage.post("/v1/app-sessions", other).await;
    assert_eq!(
        refused.text("/code"),
        "ESTIMATE_OUTDATED",
        "what is said flatly comes first"
    );
    let launched = stage.post("/v1/app-sessions", order).await;
    assert_eq!(launched.status, 202, "{}", launched.body);
    assert_eq!(launched.body["choices"], estimate["choices"]);
}

#[tokio::test]
async fn an_extended_session_is_launched_again_as_it_was_at_first() {
    let stage = Stage::start().await;
    let id = stage
        .launch("desk", json!({ "max_hours": 1, "max_usd": 1 }))
        .await;
    stage.bring_up(&id).await;
    let path = format!("/v1/app-sessions/{id}/extend");
    let priced = stage.post(&path, json!({ "minutes": 30 })).await.body;
    let accepted = json!({ "minutes": 30, "acknowledged_estimate": priced["estimate_id"] });
    assert_eq!(stage.post(&path, accepted).await.body["applied"], true);
    let session = stage.session(&id).await;
    assert_eq!(session["choices"]["max_hours"], 1.5);
    let first = json!({ "max_hours": 1.0, "idle_minutes": 0, "max_usd": 1.0 });
    assert_eq!(session["launch_choices"], first);
    stopped(&stage, &id).await;
    let estimate = stage.estimate("desk", first.clone()).await;
    let order = json!({ "from_session": id, "acknowledged_estimate": estimate });
    let again = stage.post("/v1/app-sessions", order).await;
    assert_eq!(again.status, 202, "{}", again.body);
    assert_eq!(again.body["choices"], first);
}

/// A template may be changed between two launches: what was given as a secret stays one.
#[tokio::test]
async fn a_secret_is_not_shown_because_its_template_has_changed() {
    let mut stage = Stage::start().await;
    let given = settings(json!({ "HF_TOKEN": TOKEN, "MODEL": "large" }));
    let first = stage.launch("vault", given).await;
    stopped(&stage, &first).await;
    let file = stage.api.dir.path().join("templates/vault.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let asked = "hint = \"For models that ask for an account.\"\n";
    let after = before.replace(
        &format!("{asked}secret = true"),
        &format!("{asked}default = \"none\""),
    );
    assert_ne!(before, after);
    std::fs::write(file, after).unwrap();
    stage.restart().await;
    let second = again(&stage, &first, json!({})).await;
    assert_eq!(second.status, 202, "{}", second.body);
    assert!(!second.body.to_string().contains(TOKEN), "{}", second.body);
    assert_eq!(second.body["settings"][1]["value"], "none");
    let found = environment(&stage).await;
    assert_eq!((&*found["HF_TOKEN"], &*found["MODEL"]), ("none", "large"));
}

/// Whoever reads the database could try one password after the other against a plain hash.
#[tokio::test]
async fn a_launch_that_is_made_once_leaves_nothing_to_guess_its_secrets_by() {
    let stage = Stage::start().await;
    let estimate = stage.estimate("vault", json!({})).await;
    let order = json!({ "template": "vault", "acknowledged_estimate": estimate });
    let order = and(order, settings(json!({})));
    let first = stage.launch_once("once", &order).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let again = stage.launch_once("once", &order).await;
    assert_eq!(again.text("/id"), first.text("/id"));
    let other = and(order.clone(), json!({ "idle_minutes": 5 }));
    let other = stage.launch_once("once", &other).await;
    assert_eq!(other.text("/code"), "IDEMPOTENCY_KEY_REUSED");
    let mut conn = stage.api.state.store().read().await.unwrap();
    let (kept,): (String,) = sqlx::query_as("SELECT body_hash FROM idempotency")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let plain = sha2::Sha256::digest(order.to_string());
    assert_ne!(kept, junglegrid::random::hex(&plain));
}

/// An app that prints what it is given.
const TALKER: &str = include_str!("../../support/talker.toml");

/// Every file below `folder`, with what is in it.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            found.push((
                path.display().to_string(),
                std::fs::read(&path).unwrap_or_default(),
            ));
        }
    }
}

#[tokio::test]
async fn a_secret_is_in_no_file_of_the_server_and_in_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let templates = dir.path().join("data/templates");
    std::fs::create_dir_all(&templates).unwrap();
    std::fs::write(templates.join("talker.toml"), TALKER).unwrap();
    let grid = Grid::start_in(dir, &["--host-slots", "2"]);
    let person = grid.sign_up("amara@example.org").await;
    let estimate = person
        .post("/v1/templates/talker/estimate", json!({}))
        .await;
    let order = json!({
        "template": "talker",
        "settings": { "HF_TOKEN": TOKEN },
        "acknowledged_estimate": estimate.body["estimate_id"],
    });
    let launched = person.post("/v1/app-sessions", order).await;
    assert_eq!(launched.status, 202, "{}", launched.body);
    let job = launched.text("/job_id");
    let lines = eventually("its output", async || {
        let lines = person.lines(&job, 100).await;
        let text = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
        let lines: Vec<String> = lines.iter().map(text).collect();
        lines.contains(&"over".to_owned()).then_some(lines)
    })
    .await;
    let printed: Vec<&str> = lines.iter().map(|line| line.trim_start()).collect();
    let said = [
        "token=[HF_TOKEN].",
        "made=[MADE_UP]",
        "[HF_TOKEN]",
        "Authorization: Basic [MADE_UP]",
        "model=small",
        // Of a line that is so long that the token is cut in two.
        "[HF_TOKEN]",
        "[HF_TOKEN].",
        "over",
    ];
    assert!(printed.windows(8).any(|lines| lines == said), "{printed:?}");

    // While it runs, the run's own folder has what it has printed.
    for name in holders(&grid) {
        assert!(name.contains("/runs/"), "it is in {name}");
    }
    let id = launched.text("/id");
    person
        .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
        .await;
    eventually("nothing that holds the secret", async || {
        holders(&grid).is_empty().then_some(())
    })
    .await;
    let lines = person.lines(&job, 100).await;
    assert!(
        lines.iter().any(|line| line["message"] == "over"),
        "the output itself is kept"
    );
}

/// Files of the server, and what it says, in which the token stands.
fn holders(grid: &Grid) -> Vec<String> {
    let secrets = [
        TOKEN.to_owned(),
        junglegrid::random::base64(TOKEN.as_bytes()),
    ];
    let mut all = vec![("what the server says".to_owned(), grid.said().into_bytes())];
    files(&grid.data(), &mut all);
    assert!(all.iter().any(|(name, _)| name.ends_with("junglegrid.db")));
    let holds = |bytes: &[u8], secret: &String| {
        let mut parts = bytes.windows(secret.len());
        parts.any(|part| part == secret.as_bytes())
    };
    all.retain(|(_, bytes)| secrets.iter().any(|secret| holds(bytes, secret)));
    all.into_iter().map(|(name, _)| name).collect()
}
