//! A shell in the browser, and a view of what the machine does.
mod monitor;
mod shell;
mod socket;

use super::guard;
use super::page::{Frame, page};
use axum::Router;
use axum::routing::get;
use maud::{Markup, html};
use std::path::Path;
use std::sync::Arc;

const APP: &str = "Workspace console";

/// The console's own router and the monitor's.
pub(super) fn routers(root: &Path) -> anyhow::Result<(Router, Router)> {
    std::fs::create_dir_all(root)?;
    let shell = Arc::new(shell::Shell::new(root.canonicalize()?));
    let console = Router::new()
        .route("/", get(console))
        .route(
            "/console.js",
            get(|| async {
                let text = include_str!("../../../assets/apps/console.js");
                guard::text("text/javascript", text)
            }),
        )
        .route("/socket", get(socket::socket))
        .with_state(shell);
    Ok((console, monitor::router(root)))
}

async fn console() -> Markup {
    let body = html! {
        div.console {
            p.status role="status" {
                span.dot aria-hidden="true" {}
                span #state { "This page needs JavaScript: a shell is a conversation." }
            }
            pre #out role="log" aria-label="Output" tabindex="0" {}
            form #line autocomplete="off" {
                label.hush for="in" { "Command" }
                input #in name="in" maxlength="4000" autocapitalize="off" autocorrect="off"
                    autocomplete="off" spellcheck="false" enterkeyhint="send" disabled;
                button.btn.strong { "Enter" }
            }
            p.row {
                button.btn #stop type="button" disabled { "Ctrl-C" }
                button.btn #eof type="button" disabled { "Ctrl-D" }
                button.btn #clear type="button" { "Clear" }
                button.btn #again type="button" hidden { "Start a new shell" }
            }
            p.meta {
                "It works line by line; full-screen programs such as vim or htop do not. "
                "The shell goes on when this page is closed, and ends with the session."
            }
        }
    };
    let frame = Frame {
        title: "Console",
        app: APP,
        script: Some("/console.js"),
        ..Frame::default()
    };
    page(frame, body)
}
