//! What the sandbox's processes use, measured while somebody looks.
mod measure;

use crate::apps::guard;
use crate::apps::page::{Frame, page, size};
use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::Stream;
use maud::{Markup, html};
use measure::{Meter, Picture};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const APP: &str = "Workspace monitor";
/// Between two pictures.
const PACE: Duration = Duration::from_secs(2);
/// A picture is shared for so long, which is less: timers are not exact.
const FRESH: Duration = Duration::from_millis(1_800);
/// The most processes that are shown, the busiest first.
const SHOWN: usize = 40;

/// The last picture, and what the next is measured against.
#[derive(Debug)]
struct Monitor {
    root: PathBuf,
    last: Mutex<Option<(Instant, Meter, Picture)>>,
}

pub(super) fn router(root: &Path) -> Router {
    let monitor = Arc::new(Monitor {
        root: root.to_owned(),
        last: Mutex::default(),
    });
    Router::new()
        .route("/", get(look))
        .route("/live", get(live))
        .route(
            "/monitor.js",
            get(|| async {
                let text = include_str!("../../../assets/apps/monitor.js");
                guard::text("text/javascript", text)
            }),
        )
        .with_state(monitor)
}

impl Monitor {
    /// A fresh picture; everybody who looks shares it.
    fn picture(&self) -> Picture {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, _, picture)) = &*last
            && at.elapsed() < FRESH
        {
            return picture.clone();
        }
        let before = last.take().map(|(at, meter, _)| (at, meter));
        let (meter, picture) = measure::measure(&self.root, before.as_ref());
        *last = Some((Instant::now(), meter, picture.clone()));
        picture
    }
}

async fn look(State(monitor): State<Arc<Monitor>>) -> Markup {
    let body = html! {
        h1 { "What this session uses" }
        p.status { span.dot aria-hidden="true" {} span #state { "Read again every 5 seconds" } }
        div #now { (now(&monitor.picture())) }
    };
    let frame = Frame {
        title: "Monitor",
        app: APP,
        script: Some("/monitor.js"),
        refresh: Some(5),
    };
    page(frame, body)
}

async fn live(
    State(monitor): State<Arc<Monitor>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let pictures = async_stream::stream! {
        loop {
            let text = now(&monitor.picture()).into_string();
            yield Ok(Event::default().data(text));
            tokio::time::sleep(PACE).await;
        }
    };
    Sse::new(pictures).keep_alive(KeepAlive::default())
}

/// The region that changes; the page and the stream draw it alike.
fn now(picture: &Picture) -> Markup {
    let cpu = picture
        .cpu
        .map(|tenths| format!("{}.{} %", tenths / 10, tenths % 10));
    html! {
        dl.facts {
            div { dt { "CPU, 100 % is one core" } dd { (cpu.as_deref().unwrap_or("measuring")) } }
            div { dt { "Memory of these processes" } dd { (size(picture.memory)) } }
            @if let Some((free, total)) = picture.machine {
                div { dt { "Memory free on the machine" } dd { (size(free)) " of " (size(total)) } }
            }
            @if let Some((free, total)) = picture.disk {
                div { dt { "Disk free" } dd { (size(free)) " of " (size(total)) } }
            }
        }
        table.files {
            thead { tr { th scope="col" { "Process" } th scope="col" { "CPU" } th scope="col" { "Memory" } th scope="col" { "Id" } } }
            tbody { @for process in picture.processes.iter().take(SHOWN) {
                tr {
                    th scope="row" { (process.name) }
                    td.size { @match process.cpu { Some(t) => { (t / 10) "." (t % 10) " %" }, None => "–" } }
                    td.size { (size(process.memory)) }
                    td.when { (process.id) }
                }
            } }
        }
        @if picture.processes.len() > SHOWN {
            p.foot { (picture.processes.len() - SHOWN) " more are not shown." }
        }
    }
}
