//! What an open page has shown, moment by moment: a page changes faster than
//! it can be asked.
use crate::driver::Browser;
use serde::Deserialize;
use serde_json::Value;

/// Notes in the page what it shows whenever that changes. What is noted is gone
/// when the page is.
const RECORDER: &str = "(() => {
    const text = (css) => document.querySelector(css)?.textContent.trim() ?? '';
    const all = (css, read) => [...document.querySelectorAll(css)].map(read);
    const shown = () => ({
        state: text('#state'),
        live: document.documentElement.dataset.live ?? '',
        badge: text('#live'),
        why: text('#why'),
        steps: all('#steps > li', (e) => [e.id, e.className]),
        services: all('#services > tr', (e) => [e.id, e.querySelector('.badge, td').textContent.trim()]),
        offers: all('button[form=open]', (e) => e.value || 'primary'),
        again: !!document.querySelector('#go a'),
        said: text('#say'),
        events: all('#events > *', (e) => e.id),
    });
    let last = '';
    const look = () => {
        const now = JSON.stringify(shown());
        if (now !== last) window.moments.push({ at: Date.now(), ...JSON.parse(last = now) });
    };
    window.moments = [];
    new MutationObserver(look).observe(document.documentElement,
        { subtree: true, childList: true, characterData: true, attributes: true });
    look();
    return true;
})()";

/// What a page showed from some moment on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Moment {
    /// Unix milliseconds.
    pub(super) at: i64,
    pub(super) state: String,
    /// What the page knows about its connection.
    pub(super) live: String,
    /// What it says about it.
    pub(super) badge: String,
    pub(super) why: String,
    /// Ids, and classes that tell the state.
    pub(super) steps: Vec<(String, String)>,
    pub(super) services: Vec<(String, String)>,
    /// What can be opened: services, or `primary`.
    pub(super) offers: Vec<String>,
    /// It can be launched once more.
    pub(super) again: bool,
    /// For screen readers.
    pub(super) said: String,
    /// Ids, in their order.
    pub(super) events: Vec<String>,
}

pub(super) async fn start(browser: &Browser) {
    assert_eq!(browser.ask(RECORDER).await, true);
}

/// Everything since [`start`], on the same page.
pub(super) async fn moments(browser: &Browser) -> Vec<Moment> {
    let moments = browser.ask("window.moments").await;
    assert_ne!(moments, Value::Null, "the page was reloaded");
    serde_json::from_value(moments).unwrap()
}

/// What was shown of it, one after the other.
pub(super) fn course<'a, T: PartialEq>(
    moments: impl IntoIterator<Item = &'a Moment>,
    of: impl Fn(&'a Moment) -> T,
) -> Vec<T> {
    let mut course: Vec<T> = moments.into_iter().map(of).collect();
    course.dedup();
    course
}

/// At no time was an event shown twice, left out or out of order.
pub(super) fn assert_whole(moments: &[Moment]) {
    for moment in moments {
        let numbered = (1..=moment.events.len()).map(|number| format!("e-{number}"));
        assert!(moment.events.iter().cloned().eq(numbered), "{moment:?}");
    }
}
