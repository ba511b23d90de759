//! A key that is there already: changed, rotated, taken away.
use super::{Browser, LIST, filled};
use crate::authorisation::credentials::make;
use serde_json::json;
use time::Duration;

#[tokio::test]
async fn taking_a_key_away_is_asked_about_first() {
    let ada = Browser::start().await;
    let (key, id) = make(&ada.api, &ada.token, json!({ "scopes": ["jobs:read"] })).await;
    let path = format!("{LIST}/{id}");
    let page = ada.see(&path).await;
    assert_eq!(page.texts("h1"), ["test"]);
    let actions = page.attributes("main a.btn", "href");
    for (action, yes) in [
        ("rotate", "Rotate the key"),
        ("disable", "Disable the key"),
        ("revoke", "Revoke it for ever"),
    ] {
        let at = format!("{path}/{action}");
        assert!(actions.contains(&at), "{actions:?}");
        let question = ada.see(&at).await;
        assert_eq!(question.texts("main form button"), [yes]);
        assert_eq!(
            question.attributes("main form a.btn", "href"),
            [&*path],
            "the way out"
        );
        assert_eq!(
            ada.api.get("/v1/jobs", &key).await.status,
            200,
            "{action} only asked"
        );
    }
    let done = ada.post(&format!("{path}/disable"), &[]).await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, &*path)
    );
    assert_eq!(ada.api.get("/v1/jobs", &key).await.status, 401);
    let page = ada.see(&path).await;
    assert!(page.texts("main .note")[0].contains("Disabled"));
    assert_eq!(
        ada.visit(&format!("{path}/disable")).await.status,
        303,
        "it is"
    );
    let done = ada.hx_post(&format!("{path}/enable"), &[]).await;
    assert_eq!(done.header("hx-redirect"), path);
    assert_eq!(ada.api.get("/v1/jobs", &key).await.status, 200);
    ada.post(&format!("{path}/revoke"), &[]).await;
    assert_eq!(ada.api.get("/v1/jobs", &key).await.status, 401);
    let page = ada.see(&path).await;
    assert!(page.texts("main .note")[0].contains("never will again"));
    assert_eq!(page.attributes("main form", "action"), Vec::<String>::new());
    for action in ["rotate", "disable", "revoke"] {
        let question = ada.visit(&format!("{path}/{action}")).await;
        assert_eq!(question.status, 303, "{action}: there is nothing to ask");
    }
}

#[tokio::test]
async fn a_rotation_shows_the_new_secret_once_and_says_how_long_the_old_one_works() {
    let ada = Browser::start().await;
    let (old, id) = make(&ada.api, &ada.token, json!({ "scopes": ["jobs:read"] })).await;
    assert_eq!(ada.api.get("/v1/jobs", &old).await.status, 200);
    ada.api.clock.advance(Duration::HOUR);
    let path = format!("{LIST}/{id}/rotate");
    let asked = ada.see(&path).await;
    assert_eq!(asked.attributes("#overlap [selected]", "value"), ["24"]);
    let once = asked.attributes("[name=once]", "value").remove(0);
    let mut fields = filled(&once, "");
    fields.push(("overlap", "999"));
    let wrong = ada.post(&path, &fields).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(wrong.texts("#overlap-error").len(), 1);
    fields.pop();
    fields.push(("overlap", "48"));
    let done = ada.post(&path, &fields).await;
    assert_eq!(done.status, 200);
    let new = done.attributes("#secret", "value").remove(0);
    let said = done.texts("#new-key").remove(0);
    assert!(
        said.contains("works until 25 Nov 2026 13:00:00 UTC"),
        "{said}"
    );
    for key in [&old, &new] {
        assert_eq!(ada.api.get("/v1/jobs", key).await.status, 200);
    }
    assert_eq!(done.texts("h1"), ["Rotate a key"]);
    ada.api.clock.advance(Duration::MINUTE);
    let again = ada.post(&path, &fields).await;
    assert_eq!(again.texts("#new-key h2"), ["Shown already"]);
    let page = ada.see(&format!("{LIST}/{id}")).await;
    let before = page.texts("section:has(#previous-h) dd").remove(0);
    assert!(
        before.contains("last used 1 min ago from 192.0.2.1"),
        "{before}"
    );
    assert_eq!(ada.api.get("/v1/jobs", &new).await.status, 200);
}

#[tokio::test]
async fn a_key_is_changed_on_its_page() {
    let ada = Browser::start().await;
    let scopes = json!({ "scopes": ["jobs:write"], "allowed_ips": ["10.0.0.0/8", "::1"] });
    let (_, id) = make(&ada.api, &ada.token, scopes).await;
    let path = format!("{LIST}/{id}");
    let page = ada.see(&path).await;
    assert!(page.texts("section:has(#may-h)")[0].contains("alone it cannot list jobs"));
    assert_eq!(
        page.attributes("[name=scope][checked]", "value"),
        ["jobs:write"]
    );
    assert_eq!(page.texts("#allowed_ips"), ["10.0.0.0/8 ::1"]);
    assert!(
        page.attributes("#edit details", "open")
            .iter()
            .all(String::is_empty)
    );
    let wrong = [
        ("name", "renamed"),
        ("scope", "jobs:all"),
        ("allowed_ips", "x"),
    ];
    for page in [
        ada.post(&path, &wrong).await,
        ada.hx_post(&path, &wrong).await,
    ] {
        assert_eq!(page.status, 422);
        assert_eq!(page.attributes("#name", "value"), ["renamed"]);
        assert_eq!(page.texts("#allowed_ips"), ["x"]);
        assert_eq!(page.texts(".err").len(), 2);
        assert_eq!(page.texts("#edit details[open]").len(), 1);
    }
    let right = [
        ("name", "renamed"),
        ("scope", "jobs:read"),
        ("allowed_ips", ""),
    ];
    let saved = ada.post(&path, &right).await;
    assert_eq!(
        (saved.status.as_u16(), saved.header("location")),
        (303, &*path)
    );
    let key = ada.keys().await.remove(0);
    assert_eq!(key["name"], "renamed");
    assert_eq!(
        (&key["scopes"], &key["allowed_ips"]),
        (&json!(["jobs:read"]), &json!([]))
    );
}
