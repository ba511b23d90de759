//! The operator's board.
use super::desk::{App, Desk, files, studio};
use super::live::open;
use crate::harness::TestApi;
use junglegrid::api::apps::Board;
use junglegrid::domain::app::Phase;
use junglegrid::store::Store;
use serde_json::{Value, json};

const BOARD: &str = "/v1/operator/app-sessions";

async fn operated() -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/junglegrid.db", dir.path().display());
    let store = Store::open(&url).await.unwrap();
    let api = TestApi::on(store, dir, |config| config.first_account_operates = true);
    Desk::of(api, "ada@example.org").await
}

fn rows(board: &Value) -> Vec<(String, String, bool)> {
    let rows = board["launches"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.map(|row| (text(&row["id"]), text(&row["status"]), row["slow"] == true))
        .collect()
}

#[tokio::test]
async fn the_board_has_every_launch_and_stuck_ones_first() {
    let operator = operated().await;
    let eve = Desk::of(operator.api.from("192.0.2.2"), "eve@example.org").await;
    let bob = Desk::of(operator.api.from("192.0.2.3"), "bob@example.org").await;
    let mut running = bob.launch(files()).await;
    running.ready().await;
    let mut pulling = eve.launch(studio()).await;
    pulling.to(Phase::Reserved).await;
    pulling.to(Phase::Image).await;
    let queued = operator.launch(studio()).await;
    pulling.wait(170);
    let mut starting = operator.launch(files()).await;
    starting.to(Phase::Reserved).await;
    starting.to(Phase::Starting).await;
    starting.wait(15);
    let mut stopping = eve.launch(files()).await;
    stopping.to(Phase::Stopping).await;
    let board = operator.see(BOARD).await;
    let id = |app: &App<'_>| app.session.id.to_string();
    let expected = [
        // 15 of 6 seconds, 185 of 180; then 0 of 11, and one that nobody can judge.
        (id(&starting), "starting".to_owned(), true),
        (id(&pulling), "image".to_owned(), true),
        (id(&queued), "created".to_owned(), false),
        (id(&stopping), "stopping".to_owned(), false),
    ];
    assert_eq!(rows(&board), expected, "{board}");
    let row = &board["launches"][1];
    let eves = eve.see("/auth/session").await["workspace"]["name"].clone();
    assert_eq!(row["workspace_name"], eves);
    assert_eq!(row["node"], "node-1");
    assert_eq!(row["usual"]["high_seconds"], 180);
    assert_eq!(row["status_message"], "Pulling the image on node-1.");
    for path in [BOARD.to_owned(), format!("{BOARD}/live")] {
        let refused = eve.get(&path).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.text("/message").contains("operator"));
    }
}

#[tokio::test]
async fn the_board_is_drawn_anew_when_anything_changes() {
    let operator = operated().await;
    let path = format!("{BOARD}/live");
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(open(&operator.api, &operator.token, &path, None).await);
    }
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().2, json!({ "launches": [] }));
    }
    let mut app = operator.launch(files()).await;
    for phase in [
        Phase::Reserved,
        Phase::Starting,
        Phase::Services,
        Phase::Running,
    ] {
        app.to(phase).await;
    }
    for stream in &mut streams {
        // Boards in between may be left out, the last one never.
        let mut boards = 0;
        loop {
            let (_, _, board) = stream.next().await.unwrap();
            let board: Board = serde_json::from_value(board).unwrap();
            boards += 1;
            if board.launches.is_empty() {
                break;
            }
        }
        assert!(boards <= 3, "{boards} boards for changes at once");
    }
}
