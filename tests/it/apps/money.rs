//! What is set aside, charged and given back.
use super::stage::Stage;
use junglegrid::domain::money::Usd;
use junglegrid::orchestrator::Config;
use serde_json::{Value, json};

async fn priced(stage: &Stage, id: &str, minutes: u32) -> Value {
    let path = format!("/v1/app-sessions/{id}/extend");
    let priced = stage.post(&path, json!({"minutes": minutes})).await;
    assert_eq!(priced.status, 200, "{:?}", priced.body);
    assert_eq!(priced.body["applied"], false);
    priced.body
}

async fn acknowledged(stage: &Stage, id: &str, priced: &Value) -> crate::harness::Answer {
    let path = format!("/v1/app-sessions/{id}/extend");
    let order =
        json!({"minutes": priced["minutes"], "acknowledged_estimate": priced["estimate_id"]});
    stage.post(&path, order).await
}

#[tokio::test]
async fn a_launch_that_the_wallet_cannot_pay_for_leaves_nothing_behind() {
    let stage = Stage::with(|config| config.hourly_rate = Usd::from_micros(1_000_000)).await;
    let refused = stage.try_launch("desk", json!({"max_hours": 6})).await;
    assert_eq!(refused.status, 402);
    assert_eq!(
        refused.text("/message"),
        "Desk can cost $6.00 in 6 h, which is more than the wallet has. Choose fewer hours, or add funds."
    );
    assert_eq!(stage.wallet().await, (5_000_000, 0, 0));
    assert_eq!(
        stage.get("/v1/app-sessions").await["app_sessions"],
        json!([])
    );
    assert_eq!(stage.get("/v1/jobs").await["jobs"], json!([]));
    let id = stage.launch("desk", json!({"max_hours": 4})).await;
    let running = stage.bring_up(&id).await;
    assert_eq!(stage.wallet().await, (1_000_000, 4_000_000, 0));

    let dear = priced(&stage, &id, 120).await;
    let refused = acknowledged(&stage, &id, &dear).await;
    assert_eq!(refused.status, 402);
    assert_eq!(
        refused.text("/message"),
        "2 h more cost $2.00, and the wallet has $1.00. Choose less, or add funds."
    );
    assert_eq!(stage.wallet().await, (1_000_000, 4_000_000, 0));
    assert_eq!(stage.session(&id).await["stops_at"], running["stops_at"]);
}

#[tokio::test]
async fn an_extension_is_priced_first_and_paid_from_its_own_hold() {
    let stage = Stage::start().await;
    let id = stage
        .launch("desk", json!({"max_hours": 1, "max_usd": 0.1}))
        .await;
    assert_eq!(stage.wallet().await, (4_900_000, 100_000, 0));
    let running = stage.bring_up(&id).await;
    assert_eq!(running["stops_at"], "2026-11-23T12:50:04Z");
    let price = priced(&stage, &id, 60).await;
    assert_eq!(price["hold_usd"], 0.12);
    assert_eq!(price["stops_at"], "2026-11-23T13:50:04Z");
    assert_eq!(
        stage.wallet().await,
        (4_900_000, 100_000, 0),
        "nothing is done yet"
    );

    // Another length than the price is of.
    let path = format!("/v1/app-sessions/{id}/extend");
    let other = json!({"minutes": 30, "acknowledged_estimate": price["estimate_id"]});
    assert_eq!(
        stage.post(&path, other).await.text("/code"),
        "ESTIMATE_OUTDATED"
    );

    let done = acknowledged(&stage, &id, &price).await;
    assert_eq!(done.status, 200, "{:?}", done.body);
    assert_eq!(done.body["applied"], true);
    assert_eq!(stage.wallet().await, (4_780_000, 220_000, 0));
    let again = acknowledged(&stage, &id, &price).await;
    assert_eq!(
        (again.status.as_u16(), &again.body["applied"]),
        (200, &json!(true))
    );
    assert_eq!(stage.wallet().await, (4_780_000, 220_000, 0), "done once");
    let longer = stage.session(&id).await;
    assert_eq!(longer["stops_at"], "2026-11-23T13:50:04Z");
    assert_eq!(longer["hold_usd"], 0.22);

    // A price from before another extension is none any more.
    let (one, two) = (priced(&stage, &id, 15).await, priced(&stage, &id, 30).await);
    assert_eq!(acknowledged(&stage, &id, &one).await.status, 200);
    assert_eq!(
        acknowledged(&stage, &id, &two).await.text("/code"),
        "ESTIMATE_OUTDATED"
    );
    assert_eq!(stage.wallet().await, (4_750_000, 250_000, 0));

    // It runs through the first hold and the second, into the third.
    stage.pass(115 * 60);
    let what = "a check, long after";
    stage
        .until(&id, what, |session| {
            session["services"][0]["checked_at"] != json!(null)
        })
        .await;
    assert_eq!(stage.session(&id).await["status"], "running");
    stage
        .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
        .await;
    let end = stage.ended(&id).await;
    assert_eq!((end.code.as_str(), end.charged), ("stopped", 230_000));
    assert_eq!(stage.wallet().await, (4_770_000, 0, 230_000));
    let late = stage.post(&path, json!({"minutes": 60})).await;
    assert_eq!(late.text("/code"), "NOT_RUNNING");
}

#[tokio::test]
async fn an_extension_that_two_tabs_have_priced_is_made_once() {
    // Where an hour costs nothing, no money tells the two apart.
    let usual: fn(&mut Config) = |_| {};
    let free: fn(&mut Config) = |config| config.hourly_rate = Usd::ZERO;
    for (change, rate) in [(usual, 120_000), (free, 0)] {
        let stage = Stage::with(change).await;
        let id = stage.launch("desk", json!({"max_hours": 1})).await;
        stage.bring_up(&id).await;
        let held = stage.wallet().await.1;
        let (one, two) = (priced(&stage, &id, 60).await, priced(&stage, &id, 60).await);
        assert_ne!(one["estimate_id"], two["estimate_id"]);
        let (left, right) = futures_util::future::join(
            acknowledged(&stage, &id, &one),
            acknowledged(&stage, &id, &two),
        )
        .await;
        let mut statuses = [left.status.as_u16(), right.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{:?} {:?}", left.body, right.body);
        let (made, seen, late) = if left.status == 200 {
            (left, one, right)
        } else {
            (right, two, left)
        };
        assert_eq!(late.text("/code"), "ESTIMATE_OUTDATED");
        assert_eq!(made.text("/stops_at"), "2026-11-23T14:00:04Z");
        assert_eq!(stage.session(&id).await["stops_at"], "2026-11-23T14:00:04Z");
        assert_eq!(stage.wallet().await.1, held + rate);

        // The one that was made says so however often it is asked for.
        let (left, right) = futures_util::future::join(
            acknowledged(&stage, &id, &seen),
            acknowledged(&stage, &id, &seen),
        )
        .await;
        for again in [left, right] {
            assert_eq!(again.status, 200, "{:?}", again.body);
            assert_eq!(again.body["applied"], true);
            assert_eq!(again.text("/stops_at"), "2026-11-23T14:00:04Z");
        }
        let new = priced(&stage, &id, 60).await;
        assert_eq!(new["stops_at"], "2026-11-23T15:00:04Z");
        // The same click twice, at the same moment.
        let (left, right) = futures_util::future::join(
            acknowledged(&stage, &id, &new),
            acknowledged(&stage, &id, &new),
        )
        .await;
        assert_eq!((left.status.as_u16(), right.status.as_u16()), (200, 200));
        assert_eq!(left.text("/stops_at"), right.text("/stops_at"));
        assert_eq!(stage.session(&id).await["stops_at"], "2026-11-23T15:00:04Z");
        assert_eq!(stage.wallet().await.1, held + 2 * rate);
        let kinds = stage.kinds(&id).await;
        let made = kinds.iter().filter(|kind| *kind == "app.extended");
        assert_eq!(made.count(), 2, "{kinds:?}");
    }
}

#[tokio::test]
async fn whatever_part_of_its_holds_is_used_the_books_are_right() {
    let stage = Stage::start().await;
    // Nothing, part of the first, all of it, part of the second, all of both, more.
    for (seconds, charged) in [
        (0, 0),
        (1, 33),
        (899, 29_966),
        (900, 30_000),
        (901, 30_033),
        (1_799, 59_966),
    ] {
        let id = stage.launch("desk", json!({"max_hours": 0.25})).await;
        stage.phase(&id, "starting").await;
        // It can be extended before it is ready.
        let price = priced(&stage, &id, 15).await;
        assert_eq!(acknowledged(&stage, &id, &price).await.status, 200);
        let before = stage.wallet().await.2;
        stage.bring_up(&id).await;
        stage.pass(seconds);
        stage
            .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
            .await;
        let end = stage.ended(&id).await;
        assert_eq!(end.charged, charged, "after {seconds} s");
        assert_eq!(end.spent - before, charged);
        stage.script.says("/desk", Ok((503, "")));
    }
}

#[tokio::test]
async fn there_is_a_longest_time_that_extensions_end_at() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"max_hours": 23})).await;
    let path = format!("/v1/app-sessions/{id}/extend");
    let refused = stage.post(&path, json!({"minutes": 90})).await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.text("/message"),
        "Apps may run for 24 h at most here, all extensions together. Add less."
    );
    for minutes in [14, 1_441] {
        let wrong = stage.post(&path, json!({"minutes": minutes})).await;
        assert_eq!(wrong.fault("minutes"), Some("Add 15 to 1440 minutes."));
    }
    assert_eq!(stage.post(&path, json!({"minutes": 60})).await.status, 200);
}

#[tokio::test]
async fn a_warning_is_given_again_for_a_later_end() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"max_hours": 0.5})).await;
    stage.bring_up(&id).await;
    stage.pass(26 * 60);
    let warned = async |count: usize| {
        crate::grid::eventually("a warning", async || {
            let kinds = stage.kinds(&id).await;
            let warnings = kinds.iter().filter(|kind| *kind == "app.stops_very_soon");
            (warnings.count() == count).then_some(())
        })
        .await;
    };
    warned(1).await;
    let price = priced(&stage, &id, 15).await;
    assert_eq!(acknowledged(&stage, &id, &price).await.status, 200);
    stage.pass(15 * 60);
    warned(2).await;
    assert_eq!(stage.session(&id).await["status"], "running");
}
