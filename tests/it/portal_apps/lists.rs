//! The history, the operators' board, and jobs that are apps.
use super::{Browser, LARGEST, Page, parse, partials, path, targets};
use crate::apps_double::{HOSTILE, ended, furnished, id, list, session};
use crate::double::{self, NOW};
use http::StatusCode;
use junglegrid::domain::app::{EndCode, Phase};
use junglegrid::domain::job::Status;
use time::Duration;

#[tokio::test]
async fn the_history_groups_by_template_with_what_is_active_first() {
    let browser = Browser::new();
    let mut other = ended(40, EndCode::Stopped);
    other.template = "files".into();
    other.template_name = "Workspace files".into();
    // One that is on both lists has ended in between.
    let crashed = ended(41, EndCode::Crashed);
    let active = vec![session(2, Phase::Image), session(41, Phase::Services)];
    let call = "GET /v1/app-sessions?limit=100&status=active";
    browser.double.reply(call, 200, &list(active, None));
    browser.double.reply(
        "GET /v1/app-sessions?limit=12&status=past",
        200,
        &list(vec![other, crashed.clone()], Some("next page")),
    );
    let page = browser.visit("/portal/templates/sessions").await;
    assert_eq!(page.texts("tr.by"), ["LoRA Pilot", "Workspace files"]);
    assert_eq!(
        page.texts("tbody .badge"),
        ["Pulling image", "Failed", "Ended"]
    );
    assert_eq!(
        page.attributes("a[rel=next]", "href"),
        ["/portal/templates/sessions?cursor=next+page"]
    );
    let how = page.texts("tbody td.small");
    assert!(how[1].contains(", at “ControlPilot”. Try again"), "{how:?}");
    let again = format!("/portal/templates/lora-pilot?again={}", crashed.id);
    assert_eq!(page.attributes("tbody td.small a", "href"), [again]);
    browser.double.reply(
        "GET /v1/app-sessions?limit=12&status=failed",
        200,
        &list(Vec::new(), None),
    );
    let part = browser
        .swap("/portal/templates/sessions?status=failed")
        .await;
    assert!(part.texts("h1").is_empty());
    assert!(part.text(".empty").contains("No sessions match"));
    browser
        .double
        .refuse("GET /v1/app-sessions", 503, "DOWN", "No.", &[]);
    browser.double.refuse(call, 503, "DOWN", "No.", &[]);
    let page = browser.visit("/portal/templates/sessions").await;
    assert!(page.text(".empty").contains("could not be loaded"));
    let older = browser.visit("/portal/templates/sessions?cursor=x").await;
    assert!(older.text(".empty").contains("could not be loaded"));
}

#[tokio::test]
async fn a_failure_in_a_list_says_why_and_opens_its_last_lines() {
    let browser = Browser::new();
    let mut crashed = ended(41, EndCode::Crashed);
    let end = crashed.end.as_mut().unwrap();
    end.last_lines[3] = HOSTILE.repeat(40);
    let mut missing = ended(42, EndCode::ImageMissing);
    missing.end.as_mut().unwrap().last_lines.clear();
    let died = ended(43, EndCode::Died);
    let sessions = vec![crashed.clone(), missing, died, ended(44, EndCode::Stopped)];
    let past = list(sessions, Some("next page"));
    browser.double.reply(
        "GET /v1/app-sessions?limit=12&cursor=here&status=past",
        200,
        &past,
    );
    browser
        .double
        .reply("GET /v1/app-sessions?limit=12&status=past", 200, &past);
    let address = "/portal/templates/sessions?status=past&cursor=here";
    let page = browser.visit(address).await;
    let why = page.texts(".why");
    assert_eq!(why.len(), 3, "{why:?}");
    let cause = "The model may still have been loading.Last 20 lines";
    assert!(why[0].starts_with(cause), "{why:?}");
    assert!(why[1].ends_with("There is no output of it."), "{why:?}");
    assert!(page.texts("pre").is_empty());
    let short = format!(
        "…{}",
        &crashed.id.to_string()[crashed.id.to_string().len() - 8..]
    );
    let name = format!("Last 20 lines of session {short}");
    assert_eq!(page.texts(".why a")[0], name);

    // With and without scripts it is the same address.
    let opening = format!("{address}&open={}", crashed.id);
    let place = format!("l-{}", crashed.id);
    let leads = page.attributes(".why a", "href");
    assert_eq!(leads[0], format!("{opening}#{place}"));
    assert_eq!(page.attributes(".why a", "hx-get")[0], opening);
    assert_eq!(page.attributes(".why a", "hx-replace-url")[0], "true");
    let page = browser.visit(&opening).await;
    assert_eq!(page.attributes(".why details[open]", "id"), [&place[..]]);
    assert_eq!(page.texts(".why summary"), [&name[..]]);
    assert_eq!(page.attributes(".why a.more", "id").len(), 1);
    assert!(page.attributes("[autofocus]", "id").is_empty());
    page.assert_inert();
    // The pages before and after begin closed.
    let next = "/portal/templates/sessions?status=past&cursor=next+page";
    assert_eq!(page.attributes("a[rel=next]", "href"), [next]);

    let call = format!("GET /v1/app-sessions/{}", crashed.id);
    browser.double.reply(&call, 200, &crashed);
    let swapped = browser.swap(&opening).await;
    // One call, and not that for the list.
    assert_eq!(browser.double.sent(&call).len(), 1);
    // What was said in short is not said again, and the rest is.
    let more = swapped.text("details p[hx-ignore]");
    assert!(
        more.ends_with("was 503. Read its last lines, then try again with more memory."),
        "{more}"
    );
    let lines = |page: &Page| {
        page.all("pre", |pre| pre.text().collect::<String>())
            .concat()
    };
    assert_eq!(lines(&swapped), lines(&page));
    assert_eq!(lines(&swapped).lines().count(), 20);
    assert!(lines(&swapped).lines().all(|line| line.len() <= 160));
    assert_eq!(swapped.attributes("details[open]", "id"), [&place[..]]);
    assert_eq!(swapped.attributes("summary[autofocus]", "id").len(), 1);
    assert!(swapped.texts("h1, table").is_empty());
    swapped.assert_inert();

    // From another page it leads to the list, and leaves that page's address alone.
    let page = browser.visit("/portal/templates").await;
    let list = format!("/portal/templates/sessions?status=past&open={}", crashed.id);
    assert_eq!(page.attributes(".why a", "hx-get")[0], list);
    assert_eq!(page.attributes(".why a", "hx-replace-url")[0], "");
    let nobody = browser.visit(&format!("{address}&open=%3Cb%3E")).await;
    assert_eq!(nobody.status, StatusCode::OK);
    assert!(nobody.texts("details").is_empty());
}

#[tokio::test]
async fn a_filtered_history_comes_in_pieces() {
    let browser = Browser::new();
    let mut sessions: Vec<_> = (40..52).map(|n| ended(n, EndCode::Crashed)).collect();
    for session in &mut sessions[7..] {
        session.template = "files".into();
        session.template_name = "Workspace files".into();
    }
    let call = "GET /v1/app-sessions?limit=12&status=failed";
    browser
        .double
        .reply(call, 200, &list(sessions.clone(), None));
    let address = "/portal/templates/sessions?status=failed";
    let page = browser.visit(address).await;
    let part = browser.swap(address).await;
    assert_eq!(part.attributes("tr.why", "class").len(), 6);
    assert_eq!(part.texts("tr.by"), ["LoRA Pilot"]);
    let further = format!("{address}&from=6");
    assert_eq!(part.attributes("tbody[hx-get]", "hx-get"), [&further[..]]);
    assert_eq!(part.attributes("tbody[hx-get]", "hx-trigger"), ["load"]);
    let mut rest = browser.swap(&further).await;
    rest.html = format!("<table>{}</table>", rest.html);
    assert_eq!(rest.texts("tr.by"), ["Workspace files"]);
    assert!(rest.attributes("[hx-trigger]", "hx-get").is_empty());
    let links = |page: &Page| page.attributes(".fold a, table > tbody a", "href");
    assert_eq!([links(&part), links(&rest)].concat(), links(&page));
    assert!(!links(&rest).concat().contains("from="));
    // An address with a piece in it is a page like the others.
    let page = browser.visit(&further).await;
    assert_eq!(page.attributes("tr.why", "class").len(), 12);
}

#[tokio::test]
async fn the_board_is_for_operators() {
    let browser = Browser::new();
    browser.double.refuse(
        "GET /v1/operator/app-sessions",
        403,
        "FORBIDDEN",
        "No.",
        &[],
    );
    let page = browser.visit("/portal/operator/launches").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(page.texts("h1"), ["For operators only"]);
    let links = page.attributes(".rail a", "href");
    assert!(
        !links.iter().any(|link| link.contains("operator")),
        "{links:?}"
    );

    let browser = Browser::new();
    let mut operator = double::session();
    operator.operator = true;
    browser.double.reply("GET /auth/session", 200, &operator);
    let mut changed = crate::apps_double::board();
    changed.launches[1].status_message = "Half of it has come.".into();
    let call = "GET /v1/operator/app-sessions/live";
    browser.double.stream(
        call,
        &[
            crate::apps_double::board(),
            crate::apps_double::board(),
            changed,
        ],
    );
    let page = browser.visit("/portal/operator/launches").await;
    assert_eq!(
        page.attributes(".nav [aria-current]", "href"),
        ["/portal/operator/launches"]
    );
    let first = &page.texts("tbody tr")[0];
    let slow = "Checking services, slow9 min20 s – 1 minMoabi Labs";
    assert!(first.contains(slow), "{first}");
    let rows = page.attributes("tbody tr", "id");
    let live = browser.visit("/portal/operator/launches/live").await.html;
    let messages: Vec<_> = live
        .split("\n\n")
        .filter(|text| text.contains("data:"))
        .map(parse)
        .collect();
    assert_eq!(messages.len(), 2);
    assert_eq!(targets(&messages[0].1), ["#board"]);
    assert_eq!(targets(&messages[1].1), [format!("#{}", rows[1])]);
}

#[tokio::test]
async fn rows_of_the_board_come_and_go_one_by_one() {
    let browser = Browser::new();
    let mut boards = Vec::new();
    // Everything as long as it can be, in every phase, slow and not.
    for (turn, phase) in (0..).zip(Phase::ALL.into_iter().filter(|phase| !phase.ended())) {
        let mut board = crate::apps_double::board();
        for (one, slow) in board.launches.iter_mut().zip([true, false, turn % 2 == 0]) {
            one.slow = slow;
            one.status = phase;
            for text in [
                &mut one.template_name,
                &mut one.workspace_name,
                &mut one.status_message,
            ] {
                *text = HOSTILE.repeat(9);
            }
            one.node = Some(HOSTILE.repeat(9));
            one.phase_since = NOW - Duration::days(400);
            let [low_seconds, high_seconds] = [86_399 - 60, 86_399];
            one.usual = Some(junglegrid::api::templates::Usual {
                low_seconds,
                high_seconds,
                samples: 3,
            });
        }
        // One that goes, one that comes, and another order.
        let gone = board.launches.remove(turn % 3);
        boards.push(board.clone());
        board.launches.reverse();
        board.launches.insert(turn % 2 * 2, gone);
        boards.push(board);
    }
    browser
        .double
        .stream("GET /v1/operator/app-sessions/live", &boards);
    let live = browser.visit("/portal/operator/launches/live").await;
    let told = live
        .html
        .split("\n\n")
        .filter(|text| text.contains("data:"));
    let mut swaps = std::collections::BTreeSet::new();
    let mut messages = 0;
    for message in told.skip(1).map(|message| parse(message).1) {
        messages += 1;
        for partial in partials(&message) {
            let sent = partial.len() + "id: 0.0\ndata: \n".len();
            assert!(sent <= LARGEST, "{sent} bytes: {partial}");
            swaps.insert(partial.split('"').nth(3).unwrap().to_owned());
        }
    }
    assert_eq!(messages, boards.len() - 1);
    let swaps: Vec<&str> = swaps.iter().map(String::as_str).collect();
    assert_eq!(swaps, ["beforebegin", "beforeend", "delete", "outerMorph"]);
    let (status, headers) = (live.status, live.headers.clone());
    let html = live
        .html
        .replace("data: ", "")
        .replace("<hx-partial", "<table");
    Page {
        status,
        headers,
        html,
    }
    .assert_inert();

    // The first one and the last one change what there is around the rows.
    let empty = junglegrid::api::apps::Board {
        launches: Vec::new(),
    };
    browser.double.stream(
        "GET /v1/operator/app-sessions/live",
        &[
            empty.clone(),
            empty.clone(),
            crate::apps_double::board(),
            empty,
        ],
    );
    let live = browser.visit("/portal/operator/launches/live").await.html;
    let told: Vec<_> = live
        .split("\n\n")
        .filter(|text| text.contains("data:"))
        .collect();
    assert_eq!(told.len(), 3);
    for message in told {
        assert_eq!(targets(&parse(message).1), ["#board"]);
    }
}

#[tokio::test]
async fn a_job_that_is_an_app_leads_to_its_session() {
    let mut double = furnished();
    let mut overview = double::busy();
    overview.recent[0].app_session_id = Some(id(5));
    double.reply("GET /v1/overview", 200, &overview);
    let browser = Browser::over(std::mem::take(&mut double));
    let page = browser.visit("/portal").await;
    let links = page.attributes("#job-rows td a", "href");
    assert_eq!(links, [path(&session(5, Phase::Running))]);
}

#[tokio::test]
async fn a_job_that_was_an_app_says_how_the_app_ended() {
    for (status, end, word) in [
        (Status::Cancelled, EndCode::NeverReady, "Never ready"),
        (Status::Cancelled, EndCode::Idle, "Expired"),
        (Status::Cancelled, EndCode::Stopped, "Cancelled"),
        (Status::Completed, EndCode::Crashed, "Failed"),
        (Status::Completed, EndCode::Exited, "Completed"),
        (Status::Failed, EndCode::NeverReady, "Failed"),
    ] {
        let double = furnished();
        let mut overview = double::busy();
        overview.recent.truncate(1);
        let job = &mut overview.recent[0];
        job.status = status;
        job.app_session_id = Some(id(5));
        job.app_session_end = Some(end);
        double.reply("GET /v1/overview", 200, &overview);
        let page = Browser::over(double).visit("/portal").await;
        assert_eq!(page.texts("#job-rows .badge"), [word], "{status} {end:?}");
    }
}
