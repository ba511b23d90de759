//! The program itself over HTTP/2.
use super::*;
use crate::grid::{Grid, Person, script};
use http::Method;
use serde_json::{Value, json};

/// Browsers may have so many pages open, in as many tabs.
const PAGES: usize = 50;

async fn client(grid: &Grid) -> Client {
    let chain = std::fs::read_to_string(grid.dir().join("certificate.pem")).unwrap();
    Client::new(&chain, grid.address().parse().unwrap()).await
}

/// A live page's stream, and what has come on it.
struct Page {
    body: Incoming,
    text: String,
}

impl Page {
    async fn open(client: &Client, ada: &Person<'_>, job: &str) -> Self {
        let cookie = format!("__Host-jg_session={}", ada.token);
        let request = client
            .request(&format!("/portal/jobs/{job}/live?after=0.0"))
            .header("cookie", cookie)
            .header("accept", "text/event-stream")
            .header("accept-encoding", "gzip, zstd")
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", "cors")
            .body(Body::empty());
        let response = client.open(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers().get("content-encoding"), None);
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// Reads until `said` has come.
    async fn reads(&mut self, said: &str) {
        while !self.text.contains(said) {
            let frame = soon(said, self.body.frame()).await;
            let Some(Ok(frame)) = frame else {
                panic!("{frame:?} after {}", self.text);
            };
            let data = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}

#[tokio::test]
async fn all_live_pages_of_a_browser_share_a_connection() {
    let grid = Grid::over_tls(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let job = ada.submit(script("sleep 300")).await;
    ada.running(&job).await;
    let client = client(&grid).await;
    let mut pages = Vec::new();
    for _ in 0..PAGES {
        pages.push(Page::open(&client, &ada, &job).await);
    }
    for page in &mut pages {
        page.reads("job-head").await;
        page.text.clear();
    }
    // Beside them the connection goes on being one.
    let page = client
        .request(&format!("/portal/jobs/{job}"))
        .header("cookie", format!("__Host-jg_session={}", ada.token))
        .header("accept-encoding", "zstd");
    let page = client.send(page.body(Body::empty()).unwrap()).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-encoding"], "zstd");
    let cancel = ada.post(&format!("/v1/jobs/{job}/cancel"), json!({})).await;
    assert!(cancel.status.is_success(), "{}", cancel.body);
    for page in &mut pages {
        page.reads("The job is cancelled.").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_its_live_pages() {
    let grid = Grid::over_tls(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let job = ada.submit(script("sleep 300")).await;
    ada.running(&job).await;
    let client = client(&grid).await;
    let mut page = Page::open(&client, &ada, &job).await;
    page.reads("job-head").await;
    let said = tokio::task::block_in_place(|| grid.stop());
    // Of the twenty seconds that there are for requests it needs none.
    let late = said.contains("requests did not finish in time");
    assert!(!late, "{said}");
    while let Some(Ok(_)) = soon("the end of the page", page.body.frame()).await {}
    let ended = soon("the end of the connection", client.running).await;
    assert!(ended.unwrap().is_ok(), "with a good-bye");
}

#[tokio::test]
async fn files_go_up_and_come_down_in_parts() {
    let grid = Grid::over_tls(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let client = client(&grid).await;
    let path = |url: &Value| {
        let url = url.as_str().unwrap();
        url.strip_prefix(&grid.url()).unwrap().to_owned()
    };
    let file = bodies::noise(12 << 20);
    let new = json!({ "filename": "noise", "kind": "input" });
    let slot = ada.post("/v1/job-inputs", new).await;
    assert_eq!(slot.status, 201, "{}", slot.body);
    let place = path(&slot.body["upload"]["upload_url"]);
    let put = |body: Body| {
        let request = client.request(&place).method("PUT").body(body);
        client.send(request.unwrap())
    };
    assert_eq!(put(file.clone().into()).await.status, 200);
    let done = path(&slot.body["upload"]["complete_url"]);
    let done = ada.post(&done, Value::Null).await;
    assert_eq!(done.body["ready"], true, "{}", done.body);
    // What comes again is not read, and costs this connection nothing.
    assert_eq!(put(file.clone().into()).await.status, 409);
    let mut job = script("cp /workspace/inputs/noise /workspace/artifacts/");
    job["input_files"] = json!([slot.body["upload"]["input_id"]]);
    let job = ada.submit(job).await;
    ada.ended(&job).await;
    let left = ada.see(&format!("/v1/jobs/{job}/artifacts")).await;
    let artifact = left["artifacts"][0]["id"].as_str().unwrap().to_owned();
    let download = format!("/v1/jobs/{job}/artifacts/{artifact}/download");
    let address = ada.call(Method::POST, &download, Value::Null).await;
    let address = path(&address.body["url"]);
    let whole = client.get(&address).await;
    assert_eq!(Sha256::digest(&whole.body), Sha256::digest(&file));
    let part = client
        .request(&address)
        .header("range", "bytes=1000000-8999999");
    let part = client.send(part.body(Body::empty()).unwrap()).await;
    assert_eq!(part.status, 206);
    assert_eq!(part.headers["content-length"], "8000000");
    assert!(part.body == file.slice(1_000_000..9_000_000));
    let head = client.request(&address).method("HEAD").body(Body::empty());
    let head = client.send(head.unwrap()).await;
    assert_eq!(head.headers["content-length"], file.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn forms_are_taken_from_the_portals_own_pages_only() {
    let grid = Grid::over_tls(&[]);
    grid.sign_up("ada@example.org").await;
    let client = client(&grid).await;
    let form = [("email", "ada@example.org"), ("password", PASSWORD)];
    let form = serde_html_form::to_string(form).unwrap();
    for (origin, site, status) in [
        (grid.url(), None, 303),
        (grid.url(), Some("same-origin"), 303),
        (grid.url(), Some("same-site"), 403),
        (format!("http://{}", grid.address()), None, 403),
        ("https://evil.example".into(), None, 403),
    ] {
        let mut request = client
            .request("/login")
            .method("POST")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &origin);
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        let answer = client
            .send(request.body(form.clone().into()).unwrap())
            .await;
        assert_eq!(answer.status, status, "{origin} {site:?}");
    }
}
