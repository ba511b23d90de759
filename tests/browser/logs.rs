//! Output as people search it, lead others to it and follow it.
use crate::driver::{Browser, Visitor, block_on};
use crate::let_go;
use crate::server::{Server, until};
use serde_json::{Value, json};

const EMAIL: &str = "ada@example.org";
/// Fails in the middle of what it prints, and then talks on.
const FAILS: &str = r"i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo batch $i; done
printf '\033[32mgreen\033[0m <script>document.title=1</script>\n'
until rm go 2>/dev/null; do sleep 0.1; done
echo 'Traceback (most recent call last):' >&2
until rm go 2>/dev/null; do sleep 0.1; done
i=0; while [ $i -lt 90 ]; do i=$((i+1)); echo cleanup $i; done; exit 1";
const TALKS: &str =
    "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i of many; sleep 0.1; done";

pub(crate) fn output_is_searched_led_to_and_followed() {
    walk(Visitor::Desk);
}

pub(crate) fn output_is_searched_led_to_and_followed_without_javascript() {
    walk(Visitor::NoScript);
}

fn walk(visitor: Visitor) {
    block_on(async {
        let server = Server::start(&["--host-slots", "2"]);
        let token = server.sign_up(EMAIL);
        let failed = server.run(&token, "evaluation", FAILS);
        // What comes on one stream has its place among the other only once that is read.
        for lines in [151, 152] {
            until("the lines so far", || {
                let logs = format!("/v1/jobs/{failed}/logs?tail=1");
                let logs = server.call("GET", &logs, &token, &Value::Null);
                (logs["items"][0]["entry_id"].as_i64()? == lines).then_some(())
            });
            let_go(&server, &failed);
        }
        server.job(&token, &failed, |job| job["status"] == "failed");
        let fine = server.run(&token, "fine", "echo all is well");
        server.job(&token, &fine, |job| job["status"] == "completed");
        let browser = Browser::open(visitor, &server).await;
        browser.sign_in(EMAIL).await;
        everywhere(&browser).await;
        one(&browser, visitor, &failed).await;
        if visitor == Visitor::Desk {
            stays_put(&server, &browser, &token).await;
        } else {
            holds_still(&server, &browser, &token).await;
        }
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

/// The failure first, although another job is newer, with the way to its cause.
async fn everywhere(browser: &Browser) {
    browser.go("/portal/logs").await;
    assert_eq!(
        browser.texts("#logs figure h2").await,
        ["evaluation", "fine"]
    );
    browser.fill("#q", "well").await;
    browser.press("Search").await;
    browser
        .arrives("what was found", |path| path.contains("q=well"))
        .await;
    assert_eq!(browser.texts("#logs mark").await, ["well"]);
    browser.fill("#q", "nothing like it").await;
    browser.press("Search").await;
    browser.press("Clear filters").await;
    browser.press("First error").await;
}

async fn one(browser: &Browser, visitor: Visitor, job: &str) {
    let page = format!("/portal/jobs/{job}/logs");
    let at = browser
        .arrives("the first error", |path| path.contains("#L"))
        .await;
    assert!(at.starts_with(&format!("{page}?line=152")), "{at}");
    let line = browser.text(".l.here").await;
    assert!(line.contains("error: Traceback"), "{line}");
    for around in ["#L151 .a2", "#L110", "#L153"] {
        browser.see(around).await;
    }
    if visitor == Visitor::Desk {
        let above =
            "document.querySelector('.l.here').getBoundingClientRect().top > innerHeight / 4";
        assert_eq!(browser.ask(above).await, true, "nothing of it is in sight");
        assert_ne!(browser.ask("document.title").await, "1");
    }
    browser.press("Wrap lines").await;
    browser.see(".broken .l.here").await;
    browser.press("Do not wrap").await;
    browser.press("Local times").await;
    browser
        .arrives("local times", |path| path.contains("time=local"))
        .await;
    // Without scripts nobody knows which those are.
    assert_eq!(browser.sees("#zone").await, visitor == Visitor::NoScript);
    if visitor == Visitor::NoScript {
        browser.click("#zone option[value='330']").await;
        browser.press("Use it").await;
        browser
            .reads("#log b", |text| text.contains("UTC+5:30"))
            .await;
    }
    browser.press("Times in UTC").await;
    browser.see("#L152.here").await;
    browser.fill("#q", "cleanup 77").await;
    browser.press("Search").await;
    browser
        .reads(".lines h2", |text| text == "One line matches")
        .await;
    browser.click(".l a").await;
    browser.see("#L229.here").await;
    browser.press("Earlier").await;
    browser
        .reads(".lines h2", |text| text.starts_with("Lines "))
        .await;
    browser.press("Newest").await;
    browser
        .reads(".lines h2", |text| text == "Newest lines")
        .await;
    browser.press("Download").await;
    let whole = browser.downloaded(&format!("{job}.txt")).await;
    assert_eq!(String::from_utf8(whole).unwrap().lines().count(), 242);
}

/// New lines come in below; what is read stays where it is.
async fn stays_put(server: &Server, browser: &Browser, token: &str) {
    let talks = server.run(token, "talks", TALKS);
    browser.go(&format!("/portal/jobs/{talks}/logs")).await;
    browser.reads("#log-live", |text| text == "Live").await;
    browser
        .until("sixty lines", async || {
            (browser.count(".l").await > 60).then_some(())
        })
        .await;
    assert_eq!(
        browser
            .ask("document.querySelector('.log').scrollTop")
            .await,
        0,
        "the end is in view"
    );
    browser
        .ask("document.querySelector('.log').scrollTop = -200")
        .await;
    let place = "(() => { const top = document.querySelector('.log').getBoundingClientRect().top;
        window.line ??= [...document.querySelectorAll('.l')].find(l => l.getBoundingClientRect().top > top);
        return Math.round(window.line.getBoundingClientRect().top - top); })()";
    let (before, lines) = (browser.ask(place).await, browser.count(".l").await);
    browser
        .until("more lines", async || {
            (browser.count(".l").await > lines + 20).then_some(())
        })
        .await;
    let (before, after) = (before.as_i64().unwrap(), browser.ask(place).await);
    let moved = after.as_i64().unwrap() - before;
    assert!(moved.abs() <= 2, "it moved by {moved}");
    // Around midnight there are two.
    let days = "new Set([...document.querySelectorAll('#log b')].map(b => b.textContent)).size";
    let days = browser.ask(days).await;
    assert_eq!(json!(browser.count("#log b").await), days, "each day once");
    let counted = browser.text("#log-count").await;
    assert_ne!(counted, "0 lines");
    server.call(
        "POST",
        &format!("/v1/jobs/{talks}/cancel"),
        token,
        &json!({}),
    );
    browser
        .reads("#log-head", |text| text.contains("Cancelled"))
        .await;
    browser
        .until("the end of following", async || {
            (!browser.sees("#log-live").await).then_some(())
        })
        .await;
}

/// The page reads itself again; who wants to read can stop that.
async fn holds_still(server: &Server, browser: &Browser, token: &str) {
    let talks = server.run(token, "talks", TALKS);
    browser.go(&format!("/portal/jobs/{talks}")).await;
    browser
        .reads("#live", |text| text == "Refreshes by itself")
        .await;
    browser.press("Cancel job…").await;
    browser.press("Keep it running").await;
    browser.go(&format!("/portal/jobs/{talks}/logs")).await;
    browser.see("#L1").await;
    browser.press("Hold still").await;
    browser
        .arrives("the same lines", |path| path.contains("from="))
        .await;
    assert!(!browser.sees("meta[http-equiv=refresh]").await);
    server.call(
        "POST",
        &format!("/v1/jobs/{talks}/cancel"),
        token,
        &json!({}),
    );
}
