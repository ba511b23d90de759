//! A launch that fails while somebody watches.
use super::record::{self, assert_whole};
use super::{EMAIL, Stage, lists_all_events, page_of};
use crate::driver::{Browser, Visitor, block_on};

const BROKEN: &str = r#"
slug = "broken"
name = "Broken"
mark = "BR"
summary = "Ends before it is ready."
version = "1.0"
image = "host"
command = ["sh", "-c", "for i in $(seq 1 40); do echo \"line $i of a long story\"; done; echo 'no model' >&2; exit 3"]
workload_type = "batch"
start_timeout_seconds = 60
idle_stop_minutes = 60
mobile = true

[licence]
spdx = "MIT"
note = "None."
source_url = "https://example.org/"

[needs]
cpus = 1
memory_gb = 0.25
disk_gb = 1

[phases]
image = [0, 0]
start = [0, 2]
services = [1, 5]

[[services]]
id = "main"
label = "Main"
port = 8000
primary = true
readiness = { path = "/", interval_seconds = 1 }
"#;

pub(crate) fn a_failed_launch_shows_why_where_it_is_watched() {
    block_on(async {
        let Some(mut stage) = Stage::set() else {
            return;
        };
        stage.add_template("broken", BROKEN);
        let id = stage.launch("broken");
        let browser = Browser::open(Visitor::Desk, &stage.server).await;
        browser.sign_in(EMAIL).await;
        browser.go(&page_of(&id)).await;
        browser.see("html[data-live=on]").await;
        record::start(&browser).await;
        stage.begin();

        browser.reads("#state", |text| text == "Failed").await;
        browser.see("html[data-live=done]").await;
        let failed = stage.session(&id);
        let lines: Vec<&str> = failed["end"]["last_lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap())
            .collect();
        assert_eq!(lines.len(), 20, "{failed}");
        let all = browser.text("#last-lines").await;
        assert_eq!(all.lines().collect::<Vec<_>>(), lines);
        assert!(all.contains("line 40 of a long story"), "{all}");
        let log = browser.text("#log").await;
        let log: Vec<&str> = log.trim_start().lines().collect();
        assert_eq!(log.len(), 41, "{log:?}");
        assert_eq!(browser.count("#steps > .is-bad").await, 1);
        let note = browser.text("#note").await;
        assert!(note.contains("The app ended while it started"), "{note}");
        assert!(note.contains("You were charged $0.00"), "{note}");
        lists_all_events(&stage, &browser, &id).await;
        let moments = record::moments(&browser).await;
        assert_whole(&moments);
        assert!(moments.iter().all(|moment| moment.offers.is_empty()));

        browser.press("Try again").await;
        browser
            .arrives("the same launch", |path| {
                path == format!("/portal/templates/broken?again={id}")
            })
            .await;
        browser.see("#estimate #ack").await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

pub(crate) fn the_history_opens_what_failed() {
    opens_what_failed(Visitor::Desk);
}

pub(crate) fn the_history_opens_what_failed_without_javascript() {
    opens_what_failed(Visitor::NoScript);
}

fn opens_what_failed(visitor: Visitor) {
    block_on(async {
        let Some(mut stage) = Stage::set() else {
            return;
        };
        stage.add_template("broken", BROKEN);
        let id = stage.launch("broken");
        stage.begin();
        stage.session_is(&id, |session| session["status"] == "failed");
        let browser = Browser::open(visitor, &stage.server).await;
        browser.sign_in(EMAIL).await;
        let list = "/portal/templates/sessions?status=failed";
        browser.go(list).await;
        browser
            .reads(".why p", |text| text.contains("wrong setting"))
            .await;
        assert_eq!(browser.count(".why pre").await, 0);

        browser.click(".why .more").await;
        let lines = browser.reads(".why details[open] pre", |_| true).await;
        assert_eq!(lines.lines().count(), 20, "{lines}");
        assert!(lines.contains("line 40 of a long story"), "{lines}");
        assert!(browser.text(".why details").await.contains("exit code 3"));
        let path = browser.path().await;
        let (address, _) = path.split_once('#').unwrap_or((&path, ""));
        assert_eq!(address, format!("{list}&open={id}"));
        if visitor == Visitor::Desk {
            let focus = "document.activeElement.matches('.why summary')";
            assert_eq!(browser.ask(focus).await, true);
        }
        // What it leads to is read and left again.
        browser.press("All of its output").await;
        browser.see("#log").await;
        browser.back().await;
        browser.see(".why details[open] pre").await;
        browser.click(".why summary").await;
        browser.see(".why details:not([open])").await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}
