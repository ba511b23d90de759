//! The console and its monitor.
use super::App;
use crate::grid::DEADLINE;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest as _};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A browser at the console, and everything that it has seen.
struct Typist {
    socket: Socket,
    output: String,
    news: Vec<Value>,
}

impl Typist {
    async fn at(app: &App, shell: u64, said: usize) -> Self {
        let (address, origin) = (&app.at[0], format!("http://{}", app.at[0]));
        let socket = connect(address, &origin, shell, said).await.unwrap();
        Self {
            socket,
            output: String::new(),
            news: Vec::new(),
        }
    }

    async fn tell(&mut self, what: Value) {
        self.socket
            .send(Message::text(what.to_string()))
            .await
            .unwrap();
    }

    async fn until(&mut self, what: &str, seen: impl Fn(&Self) -> bool) {
        let end = tokio::time::Instant::now() + DEADLINE;
        while !seen(self) {
            let next = tokio::time::timeout_at(end, self.socket.next()).await;
            let next =
                next.unwrap_or_else(|_| panic!("waited in vain for {what}: {:?}", self.output));
            match next.expect("the connection stays").unwrap() {
                Message::Binary(bytes) => self.output += &String::from_utf8_lossy(&bytes),
                Message::Text(text) => self.news.push(serde_json::from_str(&text).unwrap()),
                _ => {}
            }
        }
    }

    async fn sees(&mut self, text: &str) {
        self.until(text, |typist| typist.output.contains(text))
            .await;
    }
}

async fn connect(address: &str, origin: &str, shell: u64, said: usize) -> Result<Socket, Error> {
    let url = format!("ws://{address}/socket?shell={shell}&said={said}");
    let mut request = url.into_client_request().unwrap();
    request
        .headers_mut()
        .insert("origin", origin.parse().unwrap());
    tokio_tungstenite::connect_async(request)
        .await
        .map(|(socket, _)| socket)
}

#[tokio::test]
async fn a_shell_answers_and_goes_on_while_nobody_looks() {
    let app = App::console();
    let mut first = Typist::at(&app, 0, 0).await;
    first
        .tell(json!({ "type": "echo $((6*7)); kept=still; pwd\n" }))
        .await;
    first.sees("42").await;
    first.sees("/root").await;
    assert_eq!(first.news[0]["shell"], 1);
    // Somebody else sees the same shell, from its beginning.
    let mut second = Typist::at(&app, 0, 0).await;
    second.sees("42").await;
    drop(first);
    second.tell(json!({ "type": "echo $kept here\n" })).await;
    second.sees("still here").await;
    // Who comes back gets only what is new.
    second.tell(json!({ "type": "echo one; echo two\n" })).await;
    second.sees("two\r\n").await;
    let seen = second.output.find("still here").unwrap();
    drop(second);
    let mut again = Typist::at(&app, 1, seen).await;
    again.sees("two\r\n").await;
    assert!(again.output.starts_with("still here"), "{:?}", again.output);

    // Ctrl-C ends what runs, not the shell. The program itself says that it has begun: before
    // that the terminal may still be the shell's, who would take the interrupt for its own.
    again
        .tell(json!({ "type": "sh -c 'echo be\"\"gun; exec sleep 1000'\n" }))
        .await;
    again.sees("begun\r\n").await;
    let before = again.output.len();
    again.tell(json!("interrupt")).await;
    // What is typed while a shell takes an interrupt may be thrown away with it.
    again
        .until("the prompt", |typist| {
            ["$ ", "# "]
                .iter()
                .any(|prompt| typist.output[before..].contains(prompt))
        })
        .await;
    again.tell(json!({ "type": "echo a''live\n" })).await;
    again.sees("alive").await;
    again.tell(json!({ "type": "exit 3\n" })).await;
    again
        .until("the end", |typist| {
            typist.news.iter().any(|n| n["ended"] == 3)
        })
        .await;
    // It does not come back by itself, but when it is asked for.
    let mut late = Typist::at(&app, 1, 0).await;
    late.until("the news", |typist| !typist.news.is_empty())
        .await;
    assert_eq!(late.news[0]["ended"], 3);
    late.tell(json!("again")).await;
    late.until("a new shell", |typist| {
        typist.news.iter().any(|n| n["shell"] == 2)
    })
    .await;
    late.tell(json!({ "type": "echo ne''w\n" })).await;
    late.sees("new\r\n").await;
}

#[tokio::test]
async fn no_other_site_gets_at_the_shell() {
    let app = App::console();
    for origin in [
        "http://evil.example",
        "null",
        &format!("http://{}.evil.example", app.at[0]),
    ] {
        let refused = connect(&app.at[0], origin, 0, 0).await;
        let Err(Error::Http(response)) = refused else {
            panic!("{origin} came in");
        };
        assert_eq!(response.status(), 403, "{origin}");
    }
}

#[tokio::test]
async fn a_flood_of_output_does_not_grow_the_console() {
    let app = App::console();
    let mut typist = Typist::at(&app, 0, 0).await;
    typist
        .tell(json!({ "type": "yes 0123456789 | head -c 3000000; echo; echo fin''ished\n" }))
        .await;
    typist.sees("finished").await;
    // Whoever comes now gets the end of it, and is told how much is missing.
    let mut late = Typist::at(&app, 0, 0).await;
    late.sees("finished").await;
    assert!(late.output.len() <= 256 * 1024, "{}", late.output.len());
    let skipped = late.news.iter().find_map(|news| news["skipped"].as_u64());
    assert!(
        skipped.is_some_and(|bytes| bytes > 2_000_000),
        "{:?}",
        late.news
    );
}

#[tokio::test]
async fn the_monitor_is_a_page_and_a_stream_of_the_same() {
    let app = App::console();
    let url = |path: &str| format!("http://{}{path}", app.at[1]);
    assert_eq!(
        app.http.get(url("/healthz")).send().await.unwrap().status(),
        200
    );
    let page = app
        .http
        .get(url("/"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("http-equiv=\"refresh\""),
        "it works without JavaScript"
    );
    assert!(page.contains("junglegrid"), "it sees itself: {page}");
    let response = app
        .http
        .get(url("/live"))
        .timeout(DEADLINE)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut chunks = response.bytes_stream();
    let mut text = String::new();
    // The second picture knows what happened since the first.
    while text.matches("data:").count() < 2 || !text.contains("0 %") && !text.contains(". %") {
        let chunk = tokio::time::timeout(DEADLINE, chunks.next()).await.unwrap();
        text += &String::from_utf8_lossy(&chunk.unwrap().unwrap());
        if text.matches("\n\n").count() >= 3 {
            break;
        }
    }
    assert!(text.contains("<dl class=\"facts\">"), "{text}");
    let last = text.rsplit("data:").next().unwrap();
    assert!(!last.contains("measuring"), "{last}");
}
