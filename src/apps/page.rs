//! The frame around every page of the built-in apps.
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

/// What a page is, apart from its body.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// The app's own name.
    pub(super) app: &'a str,
    pub(super) script: Option<&'a str>,
    /// Without JavaScript it is read again after so many seconds.
    pub(super) refresh: Option<u32>,
}

pub(super) fn page(frame: Frame<'_>, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content";
                meta name="color-scheme" content="light dark";
                title { (frame.title) " – " (frame.app) }
                // Else browsers ask for one that is not there.
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                @if let Some(script) = frame.script { script type="module" src=(script) {} }
                @if let Some(seconds) = frame.refresh {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
            }
            body {
                header.top {
                    span.mark aria-hidden="true" {}
                    b { (frame.app) }
                }
                main { (body) }
            }
        }
    }
}

/// A page that says why not.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    let frame = Frame {
        title: "That did not work",
        app: "Jungle Grid app",
        ..Frame::default()
    };
    let body = html! {
        div.card {
            h1 { "That did not work" }
            p { (why) }
            p { a.btn href="/" { "Back to the start" } }
        }
    };
    (status, page(frame, body)).into_response()
}

/// Bytes as people say them: `512 B`, `1.4 MB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut whole, mut tenths, mut unit) = (bytes, 0, 0);
    while whole >= 1_000 && unit < UNITS.len() - 1 {
        tenths = whole % 1_000 / 100;
        whole /= 1_000;
        unit += 1;
    }
    if unit == 0 || whole >= 100 {
        format!("{whole} {}", UNITS[unit])
    } else {
        format!("{whole}.{tenths} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_short() {
        for (bytes, said) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_449_000, "1.4 MB"),
            (123_456_789, "123 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(super::size(bytes), said);
        }
    }
}
