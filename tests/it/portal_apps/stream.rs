//! A session that is followed: its stream, its rows, and pages that grow.
use super::{Browser, LARGEST, Page, partials, path, targets};
use crate::apps_double::{HOSTILE, catalogue, change, ended, event, line, session};
use crate::double::NOW;
use http::StatusCode;
use junglegrid::api::apps::{Change, Session, StepState};
use junglegrid::domain::app::{EndCode, Phase, ServiceState};
use serde_json::json;
use time::Duration;

#[tokio::test]
async fn a_page_shows_what_its_stream_has_not_heard_of_yet() {
    let browser = Browser::new();
    let before = session(4, Phase::Running);
    let mut extended = before.clone();
    extended.last_event = before.last_event + 1;
    extended.stops_at = before.stops_at.map(|at| at + Duration::hours(1));
    browser.stream(&before, &[change(before.clone())]);
    let call = format!("GET /v1/app-sessions/{}", before.id);
    browser.double.reply(&call, 200, &extended);
    let seen = change(before.clone()).events.last().unwrap().sequence;
    let said = event(
        extended.last_event,
        "app.extended",
        Phase::Running,
        "Extended by 1 h",
        "More was set aside.",
    );
    let events = json!({ "events": [said], "next_cursor": null, "has_more": false });
    let call = format!("{call}/events?after={seen}");
    browser.double.reply(&call, 200, &events);
    let page = browser.visit(&path(&before)).await;
    assert!(page.text("#events").contains("Extended by 1 h"));
    let mark = format!("after={}.", extended.last_event);
    let from = &page.attributes("[hx-sse\\:connect]", "hx-sse:connect")[0];
    assert!(from.contains(&mark), "{from}");
    let old = browser.page_of(&before).await;
    assert_ne!(page.text("#c-stop"), old.text("#c-stop"));
}

#[tokio::test]
async fn a_stream_begins_with_everything_and_goes_on_with_single_rows() {
    let browser = Browser::new();
    let waits = session(4, Phase::Services);
    let mut passed = waits.clone();
    passed.services[0].passed = 1;
    passed.services[0].check = 1;
    passed.services[0].outcome = Some("200".into());
    let mut ready = session(4, Phase::Running);
    ready.services[2].state = ServiceState::Checking;
    ready.services[2].open = false;
    let mut late = change(ready.clone());
    late.events = vec![event(
        5,
        "app.running",
        Phase::Running,
        "Ready",
        "It can be opened.",
    )];
    late.lines = vec![line(4, "stdout", "Listening"), line(5, "stderr", "oh")];
    let none = |session: &Session| Change {
        session: session.clone(),
        events: Vec::new(),
        lines: Vec::new(),
    };
    let changes = [change(waits.clone()), none(&waits), none(&passed), late];
    browser.stream(&waits, &changes);
    let messages = browser.live(&waits, "4.3").await;
    assert_eq!(messages.len(), 3, "what changes nothing sends nothing");
    let first = targets(&messages[0].1);
    for target in [
        "#steps",
        "#services",
        "#state",
        "#go",
        "#note",
        "#c-cost",
        "#r-job",
    ] {
        assert!(
            first.iter().any(|one| one == target),
            "{target} is missing in {first:?}"
        );
    }
    assert!(
        !first
            .iter()
            .any(|one| one == "#events" || one == "#log" || one == "#say"),
        "{first:?}"
    );
    assert_eq!(messages[0].0, "4.3");
    assert_eq!(targets(&messages[1].1), ["#v-controlpilot"]);
    insta::assert_snapshot!(crate::apps_double::stable(&messages[1].1));
    let last = targets(&messages[2].1);
    for target in [
        "#state",
        "#go",
        "#v-controlpilot",
        "title",
        "#events",
        "#log",
        "#say",
    ] {
        assert!(
            last.iter().any(|one| one == target),
            "{target} is missing in {last:?}"
        );
    }
    assert!(
        messages[2]
            .1
            .contains("LoRA Pilot is ready and can be opened.")
    );
    assert!(messages[2].1.contains("Ready: LoRA Pilot · Jungle Grid"));
    assert_eq!(messages[2].0, "5.5");
}

#[tokio::test]
async fn a_page_that_comes_back_gets_what_it_missed_and_nothing_twice() {
    let browser = Browser::new();
    let session = session(4, Phase::Services);
    browser.stream(&session, &[change(session.clone())]);
    let messages = browser.live(&session, "2.1").await;
    let html = &messages[0].1;
    assert!(
        !html.contains("e-2\"") && html.contains("e-3\"") && html.contains("e-4\""),
        "{html}"
    );
    assert!(
        !html.contains("Loading the model") && html.contains("no GPU was found"),
        "{html}"
    );
    assert_eq!(targets(html).iter().filter(|one| *one == "#say").count(), 1);
    let page = browser
        .swap(&format!("{}/poll?after=2.1", path(&session)))
        .await;
    assert!(page.html.contains(html.as_str()), "polling tells the same");
    let again = page.attributes("[data-poll]", "hx-get");
    assert_eq!(again, [format!("{}/poll?after=4.3", path(&session))]);
    let sent = page.attributes("[hx-sse\\:connect]", "hx-sse:connect");
    assert_eq!(sent, [format!("{}/live?after=4.3", path(&session))]);
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let browser = Browser::new();
    let over = ended(28, EndCode::NeverReady);
    let before = session(28, Phase::Services);
    browser.stream(&over, &[change(before.clone()), change(over.clone())]);
    let messages = browser.live(&over, "4.3").await;
    assert!(targets(&messages[1].1).contains(&"#last".to_owned()));
    let lines = &messages[2].1;
    assert!(
        targets(lines).iter().all(|one| one == "#last-lines") && lines.contains("[20] loading"),
        "{lines}"
    );
    let goodbye = &messages.last().unwrap().1;
    assert_eq!(targets(goodbye), ["#poll", "#stop", "#feed"]);
    assert!(!goodbye.contains("hx-sse"), "{goodbye}");
    browser.stream(&before, &[change(before.clone())]);
    let cut = browser.live(&before, "4.3").await;
    assert!(
        !cut.last().unwrap().1.contains("#feed"),
        "the browser comes back by itself"
    );
    let poll = browser
        .swap(&format!("{}/poll?after=4.3", path(&over)))
        .await;
    assert!(poll.html.contains("#feed") || poll.html.contains("data-poll"));
}

/// Sessions as they come, and as long and hostile as they can be.
fn worlds() -> Vec<Session> {
    let mut worlds: Vec<Session> = Phase::ALL.map(|phase| session(1, phase)).to_vec();
    worlds.extend(EndCode::ALL.map(|code| ended(1, code)));
    let mut slow = session(1, Phase::Running);
    slow.stops_at = Some(NOW + Duration::minutes(12));
    worlds.push(slow.clone());
    slow.services[0].state = ServiceState::Unready;
    slow.services[0].outcome = Some("connection refused".into());
    slow.services[0].checked_at = Some(NOW);
    worlds.push(slow);
    let hostile: Vec<Session> = worlds.iter().cloned().map(poisoned).collect();
    worlds.extend(hostile);
    worlds
}

/// A line of which every letter has another colour.
fn colored() -> String {
    "\u{1b}[1;31;42m<\u{1b}[0m\u{1b}[4;95m&".repeat(120)
}

/// The same session with hostile words wherever it has words.
fn poisoned(mut session: Session) -> Session {
    let long = HOSTILE.repeat(9);
    for text in [
        &mut session.status_message,
        &mut session.template_name,
        &mut session.template_version,
        &mut session.mark,
        &mut session.image,
    ] {
        text.clone_from(&long);
    }
    if !session.awaited.is_empty() {
        session.awaited.clone_from(&long);
    }
    session.node = session.node.map(|_| long.clone());
    for step in &mut session.steps {
        step.title.clone_from(&long);
        step.detail.clone_from(&long);
    }
    for service in &mut session.services {
        service.label.clone_from(&long);
        service.outcome = service.outcome.take().map(|_| long.clone());
    }
    if let Some(end) = &mut session.end {
        end.message.clone_from(&long);
        end.advice.clone_from(&long);
        let lines = end.last_lines.iter().enumerate();
        let of = |n: usize| {
            if n.is_multiple_of(2) {
                long.clone()
            } else {
                colored()
            }
        };
        end.last_lines = lines.map(|(n, _)| of(n)).collect();
    }
    session.kept = vec![long.clone()];
    session.lost = vec![long];
    session
}

#[tokio::test]
async fn no_update_of_a_row_is_larger_than_600_bytes() {
    let browser = Browser::new();
    let worlds = worlds();
    let mut rows = std::collections::BTreeMap::new();
    for (index, from) in worlds.iter().enumerate() {
        // From one state to every other, so that every row is sent in every state.
        let to = &worlds[(index + 1) % worlds.len()];
        let mut second = change(to.clone());
        second.events = vec![event(
            5,
            "app.moved",
            to.status,
            &HOSTILE.repeat(20),
            &HOSTILE.repeat(20),
        )];
        second.lines = (4..300)
            .map(|n| {
                line(
                    n,
                    if n % 7 == 0 { "stderr" } else { "stdout" },
                    &if n % 3 == 0 {
                        colored()
                    } else {
                        HOSTILE.repeat(10)
                    },
                )
            })
            .collect();
        browser.stream(from, &[change(from.clone()), second]);
        let messages = browser.live(from, "4.3").await;
        for (_, message) in &messages {
            fills_what_is_there(message);
        }
        let updates = messages[1..].iter();
        for partial in updates.flat_map(|(_, message)| partials(message)) {
            let target = partial.split('"').nth(1).unwrap().to_owned();
            let lines = partial.matches('\n').count() + 1;
            let sent = partial.len() + lines * "data: ".len() + 1;
            assert!(sent <= LARGEST, "{sent} bytes: {partial}");
            let largest = rows.entry(target).or_insert(0);
            *largest = sent.max(*largest);
        }
    }
    for target in [
        "#state",
        "#go",
        "#halt",
        "#note",
        "#why",
        "#v-controlpilot",
        "#s-image",
        "#c-rate",
        "#c-stop",
        "#extend",
        "#last-lines",
        "#events",
        "#log",
    ] {
        assert!(rows.contains_key(target), "{target} was never sent");
    }
}

/// htmx looks for all targets of a message before it touches the page, so nothing
/// can go into what the same message adds.
fn fills_what_is_there(message: &str) {
    let added: String = partials(message)
        .into_iter()
        .filter(|partial| partial.contains("hx-swap=\"beforeend\""))
        .collect();
    for target in targets(message) {
        let id = format!("id=\"{}\"", target.trim_start_matches('#'));
        assert!(!added.contains(&id), "{target} is not there yet: {message}");
    }
}

#[tokio::test]
async fn hostile_words_stay_words() {
    let browser = Browser::new();
    for session in worlds() {
        let mut change = change(poisoned(session));
        change.events[0].title = HOSTILE.into();
        change.events[0].message = HOSTILE.into();
        change.lines[0].text = HOSTILE.into();
        let session = change.session.clone();
        browser.stream(&session, std::slice::from_ref(&change));
        for path in [
            path(&session),
            format!("{}/watch", path(&session)),
            format!("{}/stop", path(&session)),
        ] {
            browser.visit(&path).await.assert_inert();
        }
        let live = browser.live(&session, "0.0").await;
        let html = live.into_iter().map(|(_, html)| html).collect();
        let (status, headers) = (StatusCode::OK, http::HeaderMap::new());
        Page {
            status,
            headers,
            html,
        }
        .assert_inert();
    }
    let mut template = catalogue().remove(2);
    for text in [
        &mut template.name,
        &mut template.mark,
        &mut template.summary,
        &mut template.licence_spdx,
        &mut template.licence_note,
        &mut template.version,
        &mut template.image,
    ] {
        *text = HOSTILE.into();
    }
    template.source_url = "javascript:alert(1)".into();
    template.notes = vec![HOSTILE.into()];
    template.checks[0].message = HOSTILE.into();
    template.services[0].label = HOSTILE.into();
    template.volumes[0].mount = HOSTILE.into();
    browser
        .double
        .reply("GET /v1/templates/lora-pilot", 200, &template);
    let list = json!({"templates": [template], "next_cursor": null, "has_more": false});
    browser.double.reply("GET /v1/templates", 200, &list);
    for path in [
        "/portal/templates",
        "/portal/templates/lora-pilot",
        "/portal/templates/sessions",
    ] {
        let page = browser.visit(path).await;
        page.assert_inert();
        assert!(page.attributes("a[href^='javascript']", "href").is_empty());
    }
}

#[tokio::test]
async fn without_scripts_a_page_grows_until_there_is_something_to_do() {
    let browser = Browser::new();
    let begins = session(5, Phase::Image);
    let mut later = change(session(5, Phase::Running));
    later.events.push(event(
        5,
        "app.running",
        Phase::Running,
        "Ready at last",
        "It can be opened.",
    ));
    let mut after = later.clone();
    after
        .events
        .push(event(6, "app.running", Phase::Running, "Never shown", ""));
    let mut slow = begins.clone();
    let doing = slow.steps.iter_mut();
    doing.for_each(|step| step.slow = step.state == StepState::Doing);
    let mut usual = begins.clone();
    usual.steps.iter_mut().for_each(|step| step.slow = false);
    let changes = [change(usual), change(slow), later, after];
    browser.stream(&begins, &changes);
    let page = browser.visit(&format!("{}/watch", path(&begins))).await;
    assert_eq!(page.header("x-accel-buffering"), "no");
    assert_eq!(page.texts("h1"), ["Watching the launch"]);
    let told = page.text(".card > p");
    let at = |text: &str| {
        told.find(text)
            .unwrap_or_else(|| panic!("{text} is missing in {told}"))
    };
    assert!(
        at("Session created") < at("Pulling image") && at("Pulling image") < at("Ready at last")
    );
    assert_eq!(told.matches("Session created").count(), 1, "nothing twice");
    assert!(at("Pulling image") < at("It takes longer than usual."));
    assert_eq!(told.matches("longer than usual").count(), 1);
    assert!(!told.contains("Never shown"), "it ends when it is ready");
    assert_eq!(page.texts(".card button[form=open]"), ["Open dashboard"]);
    assert!(page.html.ends_with("</html>"), "the document is whole");

    let failed = ended(28, EndCode::Crashed);
    browser.stream(&failed, &[change(failed.clone())]);
    let page = browser.visit(&format!("{}/watch", path(&failed))).await;
    assert!(
        page.text(".card")
            .contains("The app ended while it started")
    );
}
