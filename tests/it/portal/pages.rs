//! What every page keeps to, the dashboard, and errors.
use super::{Browser, all_pages};
use crate::architecture::HTMX_2;
use crate::double::{self};
use axum::body::Body;
use http::{Method, StatusCode, header};

#[tokio::test]
async fn no_page_has_inline_style_or_the_spellings_of_htmx_2() {
    let others = [
        " style=",
        "js:",
        "morph:",
        "htmx:after",
        "htmx:before",
        "onclick",
        "hx-swap-oob",
    ];
    for (path, page) in all_pages().await {
        let html = page.html.split("</style>").last().unwrap_or_default();
        for spelling in HTMX_2.iter().chain(&others) {
            assert!(!html.contains(*spelling), "{path} contains {spelling}");
        }
        assert!(
            !html.contains("<script>") && !html.contains("<b>Diallo"),
            "{path} does not escape"
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("vary", "accept, cookie, hx-request, hx-request-type"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
    }
}

#[tokio::test]
async fn ids_are_unique_and_what_refers_to_them_exists() {
    for (path, page) in all_pages().await {
        let ids = page.attributes("[id]", "id");
        let mut once = ids.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "{path}: {ids:?}");
        if path.ends_with("polled") {
            continue;
        }
        for name in [
            "for",
            "aria-describedby",
            "aria-labelledby",
            "popovertarget",
        ] {
            for refers in page.attributes(&format!("[{name}]"), name) {
                for id in refers.split(' ') {
                    assert!(ids.iter().any(|known| known == id), "{path}: {name}={id}");
                }
            }
        }
    }
}

#[tokio::test]
async fn pages_are_small() {
    for (path, page) in all_pages().await {
        let own = page.html.split("</style>").last().unwrap_or_default().len();
        println!(
            "{path:40} {:6} bytes, {own:6} without the stylesheet",
            page.html.len()
        );
        assert!(own < 26_000, "{path}: {own}");
    }
}

#[tokio::test]
async fn the_dashboard_says_what_is_going_on() {
    let browser = Browser::signed_in();
    let page = browser.visit("/portal").await;
    assert_eq!(page.texts("title")[0], "Dashboard · Jungle Grid");
    assert_eq!(
        page.texts(".head p"),
        ["2 jobs are running, 1 more waits to start."]
    );
    assert_eq!(
        page.texts(".tile"),
        [
            "Running 2 $0.24 per hour now",
            "Queued 1 Waiting for a free slot",
            "Spend, 7 days $0.3562 12 completed, 1 failed",
            "Balance $4.99 $0.24 set aside, the rest lasts about 20 h",
        ]
    );
    assert_eq!(page.texts("#job-rows tr").len(), 6);
    let row = page.texts("#job-rows tr").remove(0);
    assert!(
        row.starts_with("sdxl-portrait-lora")
            && row.contains("Running Batch local 38 min $0.3116 38 min ago"),
        "{row}"
    );
    // Drafts open on the host that the viewer is on.
    let drafts = page.attributes("li a.strong", "href");
    assert!(drafts[0].starts_with("/portal/submit/draft_"), "{drafts:?}");
    assert_eq!(page.texts(".rail [aria-current]"), ["Dashboard"]);
    assert_eq!(page.texts(".rail .n"), [", active: 3", ", active: 1"]);
}

#[tokio::test]
async fn the_dashboard_polls_only_while_something_is_active() {
    let browser = Browser::signed_in();
    let page = browser.visit("/portal").await;
    assert_eq!(page.attributes("#pulse", "hx-trigger"), ["every 5s"]);
    let shown = page.shown();
    let same = browser.shows("/portal", &shown).await;
    assert_eq!(
        (same.status, same.html.as_str()),
        (StatusCode::NO_CONTENT, "")
    );

    let mut over = double::busy();
    (over.running, over.queued) = (0, 0);
    browser.double.reply("GET /v1/overview", 200, &over);
    let fragment = browser.shows("/portal", &shown).await;
    assert!(
        fragment.html.starts_with("<div id=\"pulse\"></div>"),
        "{}",
        fragment.html
    );
    let targets: Vec<&str> = fragment
        .html
        .split("hx-target=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(targets, ["#headline", "#running", "#queued"]);

    // Another kind of page is loaded anew.
    browser
        .double
        .reply("GET /v1/overview", 200, &double::fresh());
    for known in [shown.as_str(), "of an older program"] {
        let other = browser.shows("/portal", known).await;
        assert_eq!(
            (other.header("hx-refresh"), other.html.as_str()),
            ("true", "")
        );
    }
    let page = browser.visit("/portal").await;
    assert_eq!(page.texts(".empty h2"), ["Run your first job"]);
    assert_eq!(page.attributes(".empty a", "href"), ["/portal/submit"]);
}

#[tokio::test]
async fn a_node_says_which_protections_are_missing() {
    let page = Browser::signed_in().visit("/portal/nodes").await;
    assert_eq!(page.texts(".flush header span"), ["One is missing"]);
    let rows = page.texts("tbody tr");
    assert!(
        rows[0].contains("Active")
            && rows[2].starts_with("Memory limit No cgroup can be written")
            && rows[2].ends_with("Missing"),
        "{rows:?}"
    );
    let facts = page.texts("dl.two div");
    assert!(
        facts.contains(&"Memory 7.8 GB".to_owned())
            && facts.contains(&"Slots 1 of 2 free".to_owned()),
        "{facts:?}"
    );
    assert!(
        facts.iter().any(|fact| fact.contains("Only host")),
        "{facts:?}"
    );
}

#[tokio::test]
async fn errors_are_pages_with_a_way_out_or_notices() {
    let guest = Browser::guest().visit("/nowhere").await;
    assert_eq!(
        (guest.status, guest.texts("h1").remove(0).as_str()),
        (StatusCode::NOT_FOUND, "Not found")
    );
    assert_eq!(guest.attributes("main a", "href"), ["/"]);

    let browser = Browser::signed_in();
    let page = browser.visit("/portal/nowhere").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(page.attributes("main a", "href"), ["/portal"]);
    assert_eq!(page.texts(".rail b").remove(0), "Moabi Labs");

    browser
        .double
        .reply("GET /v1/overview", 200, &"secret of the orchestrator");
    let page = browser.visit("/portal").await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(!page.html.contains("secret"));
    browser
        .double
        .refuse("GET /v1/overview", 429, "RATE_LIMITED", "Slow down.", &[]);
    let notice = browser.swap("/portal").await;
    assert_eq!(notice.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (notice.header("hx-retarget"), notice.header("hx-reswap")),
        ("#toasts", "beforeend")
    );
    assert_eq!(notice.texts(".toast span"), ["Slow down."]);
    browser
        .double
        .refuse("GET /v1/overview", 401, "UNAUTHORIZED", "Gone.", &[]);
    assert_eq!(
        browser.visit("/portal").await.header("location"),
        "/login?next=%2Fportal"
    );
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_an_error_in_words() {
    let browser = Browser::guest();
    let request = browser
        .request(Method::POST, "/login")
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "application/json");
    let page = browser.send(request, Body::from("{}")).await;
    assert_eq!(page.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(page.texts("h1"), ["Something is wrong"]);
}
