//! Log pages: all output of one job, and of all jobs.
use crate::fake::{Browser, Fake, HOSTILE, JOB, Page, fake, item, job};
use http::StatusCode;
use junglegrid::api::jobs::Change;
use junglegrid::api::logs::Item;
use serde_json::{Value, json};

fn path(query: &str) -> String {
    format!("/portal/jobs/{JOB}/logs{query}")
}

/// Lines of a job, numbered from `first`.
fn lines(first: i64, count: i64) -> Vec<Item> {
    (first..first + count)
        .map(|n| item(n, "stdout", &format!("line {n}")))
        .collect()
}

fn with(logs: Vec<Item>, page: Value) -> Browser {
    let mut fake = fake();
    fake.logs = logs;
    fake.page = page;
    Browser::new(fake)
}

fn ended() -> Fake {
    let mut fake = fake();
    fake.jobs[0] = job(
        json!({"status": "failed", "phase": null, "exit_code": 1, "completed_at": "2026-11-23T14:10:00Z"}),
    );
    fake
}

/// What the last page asked of the API.
fn asked(browser: &Browser) -> String {
    let fake = browser.fake();
    let logs = fake.asked.iter().rfind(|uri| uri.contains("/logs"));
    logs.and_then(|uri| uri.split_once('?'))
        .map_or(String::new(), |(_, query)| query.to_owned())
}

/// Where its links lead, by their texts.
fn link(page: &Page, label: &str) -> Option<String> {
    let texts = page.texts("main a");
    let hrefs = page.attributes("main a", "href");
    let mut both = texts.iter().zip(hrefs);
    both.find(|(text, _)| *text == label).map(|(_, href)| href)
}

#[tokio::test]
async fn the_newest_lines_are_followed_and_everything_else_is_a_link() {
    let browser = with(
        lines(901, 100),
        json!({"last_entry": 1000, "size_bytes": 12_345, "error_lines": 2, "warning_lines": 1}),
    );
    let page = browser.visit(&path("")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(asked(&browser), "limit=100&tail=100");
    assert_eq!(page.texts("#log .l").len(), 100);
    assert_eq!(page.texts("#L901"), ["901 14:00:03 line 901"]);
    assert_eq!(page.attributes("#L901 a", "href"), ["?line=901#L901"]);
    assert_eq!(
        page.attributes("[hx-sse\\:connect]", "hx-sse:connect"),
        [format!("/portal/jobs/{JOB}/logs/live?after=2.1000")]
    );
    assert_eq!(page.texts("figure h2"), ["Newest lines"]);
    assert_eq!(
        page.texts("main > p.mute"),
        ["1,000 lines printed. Times are UTC."]
    );
    assert!(page.html.contains("<noscript><meta http-equiv=\"refresh\""));
    let here = path("");
    for (label, to) in [
        ("First", Some(format!("{here}?from=1"))),
        ("Earlier", Some(format!("{here}?before=901"))),
        ("Later", None),
        ("Newest", None),
        ("First error", Some(format!("{here}?at=error"))),
        ("Wrap lines", Some(format!("{here}?wrap=1"))),
        ("Local times", Some(format!("{here}?time=local"))),
        ("Download", Some(format!("{here}/download"))),
    ] {
        assert_eq!(link(&page, label), to, "{label}");
    }
    assert!(
        page.attributes("link[rel=stylesheet]", "href")
            .iter()
            .any(|href| href.contains("logs."))
    );
    page.assert_inert();
}

#[tokio::test]
async fn a_page_of_a_long_output_leads_to_its_neighbours() {
    let more = json!({"last_entry": 1000, "has_more": true, "next_cursor": "300"});
    let browser = with(lines(201, 100), more);
    let page = browser.visit(&path("?from=201&wrap=1")).await;
    assert_eq!(asked(&browser), "limit=100&from=201");
    assert_eq!(page.texts("figure h2"), ["Lines 201 to 300"]);
    assert_eq!(page.attributes("figure", "class"), ["term lines broken"]);
    assert_eq!(
        page.attributes("#L201 a", "href"),
        ["?line=201&wrap=1#L201"]
    );
    assert!(
        page.attributes("[hx-sse\\:connect]", "id").is_empty(),
        "only the end moves on"
    );
    let here = path("");
    for (label, to) in [
        ("First", "?wrap=1&from=1"),
        ("Earlier", "?wrap=1&before=201"),
        ("Later", "?wrap=1&from=301"),
        ("Newest", "?wrap=1"),
        ("Do not wrap", "?from=201"),
    ] {
        let sorted = |to: &str| {
            let (path, query) = to.split_once('?').unwrap_or((to, ""));
            let mut query: Vec<_> = query.split('&').map(str::to_owned).collect();
            query.sort();
            (path.to_owned(), query)
        };
        let found = link(&page, label).unwrap_or_else(|| panic!("no {label}"));
        assert_eq!(sorted(&found), sorted(&format!("{here}{to}")), "{label}");
    }
    browser.visit(&path("?before=201")).await;
    assert_eq!(asked(&browser), "limit=100&before=201");
    // What nobody can have meant leads to the end.
    browser.visit(&path("?line=x&from=-3&level=loud")).await;
    assert_eq!(asked(&browser), "limit=100&tail=100");
}

#[tokio::test]
async fn a_line_has_an_address_with_what_is_around_it() {
    let browser = with(
        lines(451, 100),
        json!({"last_entry": 1000, "has_more": true, "next_cursor": "550"}),
    );
    let page = browser
        .visit(&path("?line=500&q=nothing&level=error"))
        .await;
    assert_eq!(asked(&browser), "limit=100&around=500");
    assert_eq!(page.attributes(".l.here", "id"), ["L500"]);
    // Tabs do not stop at each number; who does not point at one writes it.
    let stops = page.attributes(".l > a", "tabindex");
    assert!(stops.len() == 100 && stops.iter().all(|stop| stop == "-1"));
    assert_eq!(page.attributes("form #goto", "name"), ["goto"]);
    let led = browser.visit(&path("?goto=77&wrap=1&q=x")).await;
    assert_eq!(led.status, StatusCode::SEE_OTHER);
    let line = format!("{}?line=77&wrap=1#L77", path(""));
    assert_eq!(led.header("location"), line);
    let nowhere = browser.visit(&path("?goto=-1")).await;
    assert_eq!(nowhere.status, StatusCode::OK);
    let error = with(
        lines(1, 3),
        json!({"last_entry": 9, "first_error_entry": 7}),
    );
    let page = error.visit(&path("?at=error&wrap=1")).await;
    assert_eq!(asked(&error), "limit=100&first_error=true");
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(
        page.header("location"),
        format!("{}?line=7&wrap=1#L7", path(""))
    );
}

#[tokio::test]
async fn what_was_searched_for_is_marked_and_the_filter_stays() {
    let mut found = item(42, "stderr", "\u{1b}[31mno needle");
    found.level = "error".into();
    found.matches = vec![(8, 14)];
    let browser = with(vec![found], json!({"last_entry": 99}));
    let page = browser
        .visit(&path("?q=needle&level=error&stream=stderr&time=90"))
        .await;
    assert_eq!(
        asked(&browser),
        "limit=100&stream=stderr&level=error&q=needle"
    );
    assert_eq!(page.texts("mark"), ["needle"]);
    assert_eq!(page.texts("span.a1"), ["no"]);
    assert_eq!(page.texts("#L42"), ["42 15:30:03 error: no needle"]);
    assert_eq!(page.attributes("#L42", "class"), ["l e"]);
    assert_eq!(page.attributes("#q", "value"), ["needle"]);
    assert_eq!(page.texts("option[selected]"), ["Errors", "stderr"]);
    assert_eq!(page.attributes("form.seek [type=hidden]", "name"), ["time"]);
    assert_eq!(page.texts("figure h2"), ["One line matches"]);
    assert!(link(&page, "Newest").is_some());
    let none = with(Vec::new(), json!({"last_entry": 99}))
        .visit(&path("?q=needle"))
        .await;
    assert_eq!(
        none.texts("#log-silence"),
        ["No line matches. Search for less, or look at all lines."]
    );
}

#[tokio::test]
async fn the_clock_is_the_browsers_where_it_is_known() {
    let browser = with(lines(1, 1), json!({"last_entry": 1}));
    let known = browser
        .visit_with(&path("?time=local"), "jg_session=jgs_test; jg_zone=-210")
        .await;
    assert_eq!(known.texts("#L1 time"), ["10:30:03"]);
    assert_eq!(known.texts("#log > span > b"), ["23 Nov 2026, UTC−3:30"]);
    assert_eq!(link(&known, "Times in UTC"), Some(path("")));
    assert!(known.attributes("#zone", "name").is_empty());
    let unknown = browser.visit(&path("?time=local&wrap=1")).await;
    assert_eq!(unknown.texts("#L1 time"), ["14:00:03"]);
    assert_eq!(unknown.attributes("#zone", "name"), ["time"]);
    let zone = unknown.attributes("figure form:has(#zone) input", "name");
    assert_eq!(zone, ["wrap"]);
    let chosen = browser.visit(&path("?time=345")).await;
    assert_eq!(chosen.texts("#L1 time"), ["19:45:03"]);
    let odd = browser
        .visit_with(&path("?time=local"), "jg_session=jgs_test; jg_zone=<b>")
        .await;
    assert_eq!(odd.texts("#L1 time"), ["14:00:03"]);
}

#[tokio::test]
async fn a_gap_says_what_is_missing() {
    let mut gap = item(
        1_616,
        "system",
        "1,516 lines dropped: only the beginning and the end are kept",
    );
    gap.dropped_lines = Some(1_516);
    gap.level = "warning".into();
    let mut cut = item(1_617, "stdout", "a long");
    cut.truncated = true;
    let page = with(vec![gap, cut], json!({"last_entry": 1617}))
        .visit(&path(""))
        .await;
    assert_eq!(
        page.texts("#L1616"),
        [
            "1616 14:00:03 gap: Lines 101 to 1,616: 1,516 lines dropped: only the beginning and the end are kept"
        ]
    );
    assert_eq!(page.texts("#L1617"), ["1617 14:00:03 a long […]"]);
    assert_eq!(link(&page, "Earlier"), Some(path("?before=101")));
}

#[tokio::test]
async fn hostile_output_comes_out_inert() {
    let nasty = "\u{1b}]8;;javascript:alert(1)\u{7}<img src=x onerror=alert(1)>\u{1b}]8;;\u{7}";
    let mut fake = ended();
    fake.jobs[0] = job(
        json!({"name": HOSTILE, "status": "failed", "phase": null, "completed_at": "2026-11-23T14:10:00Z"}),
    );
    fake.logs = vec![item(1, "stdout", HOSTILE), item(2, "stderr", nasty)];
    let logs = json!({"job_id": JOB, "name": HOSTILE, "status": "failed", "status_reason": HOSTILE, "created_at": "2026-11-23T14:00:00Z",
        "items": fake.logs, "has_earlier": true, "last_entry": 9, "size_bytes": 1, "error_lines": 1, "warning_lines": 0});
    fake.all_logs = json!({"logs": [logs], "limit": 8, "next_cursor": "\"><b>", "has_more": true});
    let browser = Browser::new(fake);
    for path in [
        path(""),
        path("?q=%22%3E%3Cscript%3E&line=2"),
        "/portal/logs?q=%22%3E%3Cscript%3E&job=%22%3E".into(),
    ] {
        let page = browser.visit(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        page.assert_inert();
        assert!(page.attributes("img, [onerror]", "src").is_empty());
        assert!(
            !page.html.contains('\u{1b}') && !page.html.contains('\u{202e}'),
            "{path}"
        );
        assert!(
            page.attributes("a", "href")
                .iter()
                .all(|href| !href.contains("javascript:"))
        );
    }
}

#[tokio::test]
async fn every_silence_has_its_reason() {
    let said = async |fake: Fake| {
        Browser::new(fake)
            .visit(&path(""))
            .await
            .texts("#log-silence")
    };
    assert_eq!(
        said(fake()).await,
        ["The command is running and has printed nothing so far."]
    );
    let mut expired = ended();
    expired.page = json!({"expired": true, "last_entry": 7});
    assert_eq!(
        said(expired).await,
        ["This output was deleted because of its age."]
    );
    assert_eq!(
        said(ended()).await,
        ["The command ended without printing anything."]
    );
    let beyond = with(Vec::new(), json!({"last_entry": 7}));
    let beyond = beyond.visit(&path("?from=9")).await;
    assert_eq!(
        beyond.texts("#log-silence"),
        ["There is nothing here; the last line is number 7."]
    );
    assert!(link(&beyond, "Newest").is_some());
}

#[tokio::test]
async fn the_stream_brings_lines_and_says_goodbye() {
    let mut fake = ended();
    let done = fake.jobs[0].clone();
    let mut lost = item(250, "system", "147 lines dropped: x");
    lost.dropped_lines = Some(147);
    fake.jobs[0] = job(json!({}));
    fake.changes = vec![
        Change::Logs {
            items: vec![item(2, "stdout", "seen"), item(3, "stdout", "new <b>")],
        },
        Change::Logs {
            items: vec![lost, item(251, "stderr", "after")],
        },
        Change::Job {
            job: Box::new(done),
            events: vec![],
        },
    ];
    let browser = Browser::new(fake);
    let live = browser
        .visit(&format!("{}/live?after=2.2&wrap=1", path("")))
        .await;
    assert_eq!(live.header("content-type"), "text/event-stream");
    let messages: Vec<&str> = live.html.trim_end().split("\n\n").collect();
    assert!(messages[0].contains("#log-head"), "{}", messages[0]);
    let all = live.html.replace("\ndata: ", "\n");
    for part in [
        "hx-target=\"#log-0\" hx-swap=\"beforeend\"",
        "<a tabindex=\"-1\" href=\"?line=3&amp;wrap=1#L3\">3</a>",
        "new &lt;b&gt;",
        "<span id=\"log-2\" hx-ignore>",
        "Lines 104 to 250: 147 lines dropped: x",
        "hx-target=\"#log-live\" hx-swap=\"delete\"",
        "The job is failed.",
        "<div id=\"feed\" hidden></div>",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
    assert!(!all.contains("seen"), "what the page has is not sent again");
    let ids: Vec<&str> = live
        .html
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert_eq!(ids.last(), Some(&"2.251"));
}

#[tokio::test]
async fn lines_that_come_too_fast_are_passed_over_and_said_to_be() {
    let mut fake = fake();
    let all = lines(1, 3_000);
    fake.changes = all
        .chunks(500)
        .map(|items| Change::Logs {
            items: items.to_vec(),
        })
        .collect();
    let live = Browser::new(fake)
        .visit(&format!("{}/live?after=2.0", path("")))
        .await;
    assert!(
        live.html
            .contains("Lines 1 to 2,500: they went by too fast to be shown here"),
        "{}",
        &live.html[..2_000]
    );
    assert!(live.html.contains(">3000</a>") && !live.html.contains(">2400</a>"));
    let ids: Vec<&str> = live
        .html
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert_eq!(ids.last(), Some(&"2.3000"));
}

#[tokio::test]
async fn pages_answer_in_the_form_that_is_wanted() {
    let mut fake = ended();
    fake.logs = vec![
        item(1, "stdout", "\u{1b}[31m<one>"),
        item(2, "stderr", "two\rthree"),
    ];
    let of = json!({"job_id": JOB, "name": "a\nb", "status": "failed", "created_at": "2026-11-23T14:00:00Z", "items": fake.logs,
        "has_earlier": false, "last_entry": 2, "size_bytes": 9, "error_lines": 1, "warning_lines": 0});
    fake.all_logs = json!({"logs": [of], "limit": 8, "next_cursor": null, "has_more": false});
    let browser = Browser::new(fake);
    let text = browser.accept(&path("?from=1"), "text/plain").await;
    assert_eq!(
        (text.html.as_str(), text.header("content-type")),
        ("<one>\nthree\n", "text/plain; charset=utf-8")
    );
    let json = browser.accept(&path("?from=1"), "application/json").await;
    assert_eq!(json.header("content-type"), "application/json");
    let body: Value = serde_json::from_str(&json.html).unwrap();
    assert_eq!(body["items"][1]["message"], "two\rthree");
    let text = browser.accept("/portal/logs", "text/plain").await;
    assert_eq!(text.html, format!("== {JOB} failed a b\n<one>\nthree\n"));
    let json = browser.accept("/portal/logs", "application/json").await;
    assert!(json.html.starts_with("{\"logs\":["));
    let page = browser
        .accept("/portal/logs", "text/html, text/event-stream")
        .await;
    assert!(page.html.starts_with("<!DOCTYPE html>"));
}

/// One job in the answer to what all have printed.
fn of(name: &str, more: bool) -> Value {
    json!({"job_id": JOB, "name": name, "status": "failed", "status_reason": "Exit code 1.", "created_at": "2026-11-23T14:00:00Z",
        "completed_at": "2026-11-23T14:10:00Z", "items": lines(38, 5), "has_earlier": more, "last_entry": 42, "size_bytes": 99,
        "error_lines": 1, "warning_lines": 0})
}

#[tokio::test]
async fn all_output_is_listed_filtered_and_paged_by_its_address() {
    let mut fake = fake();
    // To the job it was a cancellation; the list of jobs says what it was, and so does this.
    let mut app = of("two", false);
    app["status"] = json!("cancelled");
    app["app_session_end"] = json!("never_ready");
    fake.all_logs = json!({"logs": [of("one", true), app], "limit": 8, "next_cursor": "f-1-x", "has_more": true});
    let browser = Browser::new(fake);
    let page = browser
        .visit("/portal/logs?q=oops&job=tr&level=warning&stream=stderr&cursor=f-2-y")
        .await;
    assert_eq!(
        asked(&browser),
        "limit=8&cursor=f-2-y&job=tr&stream=stderr&level=warning&q=oops"
    );
    assert_eq!(page.texts("figure h2"), ["one", "two"]);
    assert_eq!(page.texts("figure .badge"), ["Failed", "Never ready"]);
    assert_eq!(page.attributes("#q, #job", "value"), ["oops", "tr"]);
    assert_eq!(
        page.texts("option[selected]"),
        ["Warnings and errors", "stderr"]
    );
    let filtered = format!("/portal/jobs/{JOB}/logs?q=oops&level=warning&stream=stderr");
    assert_eq!(
        page.attributes("figure h2 a", "href"),
        [filtered.clone(), filtered]
    );
    assert_eq!(
        page.attributes(".l a", "href")[0],
        format!("/portal/jobs/{JOB}/logs?line=38#L38")
    );
    assert!(
        page.attributes(".l", "id").iter().all(String::is_empty),
        "of several jobs"
    );
    let rest = "q=oops&job=tr&level=warning&stream=stderr";
    assert_eq!(
        link(&page, "Older"),
        Some(format!("/portal/logs?{rest}&cursor=f-1-x"))
    );
    assert_eq!(link(&page, "Newest"), Some(format!("/portal/logs?{rest}")));
    assert_eq!(page.texts(".nav [aria-current=page]"), ["Logs"]);
    assert_eq!(link(&page, "First error"), None, "something else is wanted");
    page.assert_inert();
    // Its last lines do not say why it failed.
    let page = browser.visit("/portal/logs").await;
    let error = Some(format!("/portal/jobs/{JOB}/logs?at=error"));
    assert_eq!(link(&page, "First error"), error);
    assert_eq!(
        page.texts("figure p.why > a").len(),
        2,
        "the other is all there"
    );
}

#[tokio::test]
async fn the_list_of_logs_has_four_states() {
    let mut fake = fake();
    fake.all_logs =
        json!({"logs": [of("one", false)], "limit": 8, "next_cursor": null, "has_more": false});
    let browser = Browser::new(fake);
    let some = browser.visit("/portal/logs").await;
    assert_eq!(some.texts("figure h2"), ["one"]);
    assert_eq!((link(&some, "Older"), link(&some, "Newest")), (None, None));
    browser.fake().all_logs["logs"] = json!([]);
    let none = browser.visit("/portal/logs").await;
    assert_eq!(none.texts(".empty h2"), ["No output yet"]);
    let filtered = browser.visit("/portal/logs?level=error").await;
    assert_eq!(filtered.texts(".empty h2"), ["No output matches"]);
    assert_eq!(
        link(&filtered, "Clear filters").as_deref(),
        Some("/portal/logs")
    );
    browser.fake().all_logs["has_more"] = json!(true);
    browser.fake().all_logs["next_cursor"] = json!("o-1-z");
    let further = browser.visit("/portal/logs?q=x").await;
    assert_eq!(further.texts(".empty h2"), ["Nothing found so far"]);
    assert_eq!(
        link(&further, "Search older jobs").as_deref(),
        Some("/portal/logs?q=x&cursor=o-1-z")
    );
    for (status, code, title) in [
        (403, "FORBIDDEN", "You may not see this output"),
        (400, "INVALID_REQUEST", "The logs could not be loaded"),
        (503, "MAINTENANCE_ACTIVE", "The logs could not be loaded"),
    ] {
        browser.fake().refused = Some(("GET /v1/logs", status, code, json!({})));
        let page = browser.visit("/portal/logs?q=kept").await;
        assert_eq!(page.texts(".empty h2"), [title], "{status}");
        assert_eq!(
            page.attributes("#q", "value"),
            ["kept"],
            "nothing typed is lost"
        );
        assert_eq!(
            page.status.as_u16(),
            if status == 503 { 502 } else { status }
        );
    }
}

#[tokio::test]
async fn what_is_not_a_job_has_no_output() {
    let browser = Browser::new(fake());
    for path in [
        "/portal/jobs/nonsense/logs",
        "/portal/jobs/job_0198c1f2a4b67c3d8e9f0a1b2c3d4e60/logs",
        "/portal/jobs/job_0198c1f2a4b67c3d8e9f0a1b2c3d4e60/logs/live",
    ] {
        assert_eq!(
            browser.visit(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}
