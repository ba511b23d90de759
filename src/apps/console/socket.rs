//! The way from a browser to the shell and back.
use super::shell::{Order, Shell};
use crate::apps::{guard, page};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum_extra::extract::Query;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Bytes in one message to a browser.
const CHUNK: usize = 32 * 1024;
/// Browsers at once: they share one thread.
const WATCHERS: usize = 16;
/// Shorter than what proxies and phones take for a dead connection.
const SIGN_OF_LIFE: Duration = Duration::from_secs(25);

static CONNECTED: AtomicUsize = AtomicUsize::new(0);

/// What a browser has seen already.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    shell: u64,
    said: u64,
}

/// What a browser says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    /// A line, with its end.
    Type(String),
    Interrupt,
    End,
    /// A new shell, once the old one has ended.
    Again,
}

pub(super) async fn socket(
    State(shell): State<Arc<Shell>>,
    Query(seen): Query<Seen>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Browsers let any page open a WebSocket anywhere, and say which page it was.
    if !guard::origin_is_host(&headers) {
        return page::refusal(
            StatusCode::FORBIDDEN,
            "This connection was opened by another site.",
        );
    }
    let Some(place) = Connected::take() else {
        return page::refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many browsers look at this console.",
        );
    };
    upgrade
        .max_message_size(CHUNK)
        .max_frame_size(CHUNK)
        .on_upgrade(move |socket| async move {
            let _place = place;
            // However it ends, the browser comes again and says what it has seen.
            let _ = talk(socket, shell, seen).await;
        })
}

struct Connected;

impl Connected {
    fn take() -> Option<Self> {
        let one_more = |count| (count < WATCHERS).then_some(count + 1);
        CONNECTED
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Self)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        CONNECTED.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn talk(mut socket: WebSocket, shell: Arc<Shell>, seen: Seen) -> anyhow::Result<()> {
    let mut news = shell.news();
    // Somebody who comes back finds the end of the shell that they knew; only who
    // comes for the first time gets a new one.
    let first = news.borrow().shell == 0 || seen.shell == 0;
    if first {
        shell.start()?;
    }
    let (mut known, mut sent) = (seen.shell, seen.said);
    let mut announced = None;
    let mut life = tokio::time::interval(SIGN_OF_LIFE);
    loop {
        let now = *news.borrow_and_update();
        if now.shell != known {
            (known, sent) = (now.shell, 0);
        }
        let state = (now.shell, now.ended);
        if announced != Some(state) {
            announced = Some(state);
            let text = json!({
                "shell": now.shell, "terminal": now.terminal, "ended": now.ended, "at": sent.min(now.said),
            });
            socket.send(Message::Text(text.to_string().into())).await?;
        }
        let (from, bytes) = shell.said(sent, CHUNK);
        if from > sent {
            let text = json!({ "skipped": from - sent });
            socket.send(Message::Text(text.to_string().into())).await?;
        }
        sent = from + bytes.len() as u64;
        if !bytes.is_empty() {
            socket.send(Message::Binary(bytes.into())).await?;
            continue;
        }
        tokio::select! {
            changed = news.changed() => changed?,
            _ = life.tick() => socket.send(Message::Ping(Vec::new().into())).await?,
            message = socket.recv() => match message {
                Some(message) => hear(&shell, message?)?,
                None => return Ok(()),
            },
        }
    }
}

fn hear(shell: &Arc<Shell>, message: Message) -> anyhow::Result<()> {
    let Message::Text(text) = message else {
        return Ok(());
    };
    let order = match serde_json::from_str(&text)? {
        Told::Type(text) => Order::Type(text),
        Told::Interrupt => Order::Interrupt,
        Told::End => Order::End,
        Told::Again => return Ok(shell.start()?),
    };
    if let Some(orders) = shell.orders() {
        // Refused rather than waited for: Ctrl-C must come through.
        let _ = orders.try_send(order);
    }
    Ok(())
}
