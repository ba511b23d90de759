//! What jobs print, looked at through the API of the real program.
use crate::grid::{Grid, Person, Said, and, script};
use http::{Method, StatusCode};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// Prints 3,000 lines, of which a few say something else.
const LONG: &str = "i=1; while [ $i -le 3000 ]; do case $i in \
    700) echo 'ERROR: the first of them';; 1500) echo 'WARNING needle';; \
    2400) echo 'Needle and NEEDLE' >&2;; *) echo line $i;; esac; i=$((i+1)); done";

fn numbers(page: &Value) -> Vec<i64> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["entry_id"].as_i64().unwrap())
        .collect()
}

async fn printed(ada: &Person<'_>, job: Value) -> String {
    let id = ada.submit(job).await;
    ada.ended(&id).await;
    id
}

#[tokio::test]
async fn a_long_output_is_looked_at_from_anywhere() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = printed(&ada, script(LONG)).await;
    // stdout and stderr race, so the line on stderr may have another number.
    let see = async |query: &str| ada.see(&format!("/v1/jobs/{id}/logs?{query}")).await;
    let page = see("from=1000&limit=3").await;
    assert_eq!(numbers(&page), [1000, 1001, 1002]);
    assert_eq!(
        (&page["has_more"], &page["next_cursor"]),
        (&json!(true), &json!("1002"))
    );
    assert_eq!(page["last_entry"], 3_000);
    assert_eq!(
        numbers(&see("around=1500&limit=5").await),
        [1498, 1499, 1500, 1501, 1502]
    );
    assert_eq!(numbers(&see("around=1&limit=4").await), [1, 2, 3, 4]);
    let end = see("around=3000&limit=4").await;
    assert_eq!(
        (numbers(&end), &end["has_more"]),
        (vec![2998, 2999, 3000], &json!(false))
    );
    let back = see("before=1000&limit=2").await;
    assert_eq!(
        (numbers(&back), &back["has_more"]),
        (vec![998, 999], &json!(true))
    );
    assert_eq!(back["next_cursor"], "999", "and on from there");
    let none = see("before=1").await;
    assert_eq!((numbers(&none), &none["has_more"]), (vec![], &json!(true)));
    let beyond = see("from=9000").await;
    assert_eq!(
        (numbers(&beyond), &beyond["has_more"]),
        (vec![], &json!(false))
    );

    let first = see("first_error=true&limit=3").await;
    assert!(numbers(&first).contains(&first["first_error_entry"].as_i64().unwrap()));
    let found = see("q=needle").await;
    let found = found["items"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    for item in found {
        let matches = match item["stream"].as_str().unwrap() {
            "stdout" => json!([[8, 14]]),
            _ => json!([[0, 6], [11, 17]]),
        };
        assert_eq!(item["matches"], matches, "{item}");
    }
    let counted = see("level=error").await;
    assert_eq!(numbers(&counted).len(), 2);
    assert_eq!(
        (&counted["error_lines"], &counted["warning_lines"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(numbers(&see("level=warning").await).len(), 3);
    let one = see("level=error&stream=stdout&q=FIRST").await;
    assert_eq!(one["items"][0]["message"], "ERROR: the first of them");
    assert_eq!(one["items"][0]["level"], "error");
    for (query, field) in [
        ("from=0", "from"),
        ("around=-1", "around"),
        ("before=0", "before"),
        ("level=grave", "level"),
        ("stream=stdin", "stream"),
        ("cursor=x", "cursor"),
        ("q=a%01b", "q"),
        (&format!("q={}", "x".repeat(201)), "q"),
    ] {
        let answer = ada.get(&format!("/v1/jobs/{id}/logs?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.fault(field).is_some(), "{query}: {}", answer.body);
    }
}

/// A whole response, as bytes.
struct Got {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

async fn fetch(ada: &Person<'_>, method: Method, id: &str, headers: &[(&str, &str)]) -> Got {
    let path = format!("/v1/jobs/{id}/logs/download");
    let mut request = ada.grid.request(method, &path).bearer_auth(&ada.token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    Got {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap().to_vec(),
    }
}

#[tokio::test]
async fn all_of_it_can_be_fetched_in_parts() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = printed(
        &ada,
        script("seq 5000; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end"),
    )
    .await;
    let mut whole: String = (1..=5000)
        .flat_map(|n| [n.to_string(), "\n".to_owned()])
        .collect();
    whole.push_str(&"x".repeat(40_000));
    whole.push_str("\nend\n");
    let whole = whole.as_bytes();
    let all = fetch(&ada, Method::GET, &id, &[]).await;
    assert_eq!(all.status, 200);
    assert!(all.body == whole, "the same text, pieces of a line joined");
    let tag = all.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-length", &whole.len().to_string()),
        (
            "content-disposition",
            &format!("attachment; filename=\"{id}.txt\""),
        ),
    ] {
        assert_eq!(all.header(name), value, "{name}");
    }
    let size = ada.see(&format!("/v1/jobs/{id}/logs?limit=1")).await;
    assert_eq!(size["size_bytes"], json!(whole.len()));
    let head = fetch(&ada, Method::HEAD, &id, &[]).await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (StatusCode::OK, &*whole.len().to_string(), 0)
    );

    let length = whole.len();
    for (range, from, to) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=17-20017".to_owned(), 17, 20_018),
        ("bytes=23890-".to_owned(), 23_890, length),
        ("bytes=-5".to_owned(), length - 5, length),
        (format!("bytes=0-{}", length * 2), 0, length),
    ] {
        let part = fetch(
            &ada,
            Method::GET,
            &id,
            &[("range", &range), ("if-range", &tag)],
        )
        .await;
        assert_eq!(part.status, 206, "{range}");
        assert!(part.body == whole[from..to], "{range}");
        assert_eq!(
            part.header("content-range"),
            format!("bytes {from}-{}/{length}", to - 1)
        );
    }
    let none = fetch(
        &ada,
        Method::GET,
        &id,
        &[("range", &format!("bytes={length}-"))],
    )
    .await;
    assert_eq!(
        (none.status.as_u16(), none.header("content-range")),
        (416, &*format!("bytes */{length}"))
    );
    let stale = fetch(
        &ada,
        Method::GET,
        &id,
        &[("range", "bytes=5-9"), ("if-range", "\"other\"")],
    )
    .await;
    assert_eq!(
        (stale.status.as_u16(), stale.body.len()),
        (200, length),
        "another text: all of it"
    );
    for known in [tag.clone(), format!("W/{tag}"), format!("\"a\", {tag}")] {
        let same = fetch(&ada, Method::GET, &id, &[("if-none-match", &known)]).await;
        assert_eq!((same.status.as_u16(), same.body.len()), (304, 0), "{known}");
    }
    let nothing = printed(&ada, script("true")).await;
    let nothing = fetch(&ada, Method::GET, &nothing, &[]).await;
    assert_eq!((nothing.status.as_u16(), nothing.body.len()), (200, 0));
}

#[tokio::test]
async fn nobody_sees_the_output_of_another_workspace() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let eve = grid.sign_up("eve@example.org").await;
    let id = printed(&ada, script("echo secret; exit 1")).await;
    for path in [
        "logs",
        "logs?around=1",
        "logs?first_error=true",
        "logs/download",
        "logs/live",
    ] {
        let path = format!("/v1/jobs/{id}/{path}");
        assert_eq!(eve.get(&path).await.status, 404, "{path}");
        let nobody = grid
            .call(Method::GET, &path, "", &Value::Null)
            .await
            .unwrap();
        assert_eq!(nobody.status, 401, "{path}");
    }
    assert_eq!(eve.see("/v1/logs").await["logs"], json!([]));
    assert_eq!(
        eve.see(&format!("/v1/logs?job={id}")).await["logs"],
        json!([])
    );
    let nobody = grid
        .call(Method::GET, "/v1/logs", "", &Value::Null)
        .await
        .unwrap();
    assert_eq!(nobody.status, 401);
    let hers = ada.see("/v1/logs").await;
    assert_eq!(hers["logs"][0]["items"][0]["message"], "secret");
}

#[tokio::test]
async fn of_all_jobs_the_newest_failures_come_first() {
    let grid = Grid::with(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let named = |name: &str, what: &str| and(script(what), json!({ "name": name }));
    let mut ids = Vec::new();
    for (name, what) in [
        ("fine one", "echo all is well"),
        ("bad one", "seq 20; echo 'Broken: cafe' >&2; exit 1"),
        ("silent", "true"),
        ("bad two", "echo 'WARNING: hm'; echo worse; exit 2"),
        ("fine two", "echo ok; echo 'Broken too'"),
    ] {
        ids.push(printed(&ada, named(name, what)).await);
    }
    let found = async |query: &str| {
        let mut list = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = ada.see(&format!("/v1/logs?{query}&cursor={cursor}")).await;
            for of in page["logs"].as_array().unwrap() {
                list.push(of["name"].as_str().unwrap().to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return list,
            }
            assert_eq!(page["has_more"], true);
        }
    };
    let order = ["bad two", "bad one", "fine two", "fine one"];
    for query in ["limit=10", "limit=1", "limit=2", "limit=3"] {
        assert_eq!(found(query).await, order, "{query}");
    }
    assert_eq!(found("job=BAD").await, ["bad two", "bad one"]);
    assert_eq!(found(&format!("job={}", ids[0])).await, ["fine one"]);
    assert_eq!(found("q=broken&limit=1").await, ["bad one", "fine two"]);
    assert_eq!(found("stream=stderr").await, ["bad one"]);
    assert_eq!(found("level=warning").await, ["bad two", "bad one"]);
    assert_eq!(found("level=error").await, ["bad one"]);
    assert_eq!(found("q=nowhere").await, [] as [&str; 0]);
    let page = ada.see("/v1/logs?job=bad+one").await;
    let of = &page["logs"][0];
    assert_eq!((numbers(of).len(), &of["has_earlier"]), (5, &json!(true)));
    assert_eq!(
        (&of["status"], &of["last_entry"]),
        (&json!("failed"), &json!(21))
    );
    let page = ada.see("/v1/logs?q=CAFE").await;
    assert_eq!(page["logs"][0]["items"][0]["matches"], json!([[8, 12]]));
    for (query, field) in [
        ("cursor=x-1", "cursor"),
        ("cursor=f-1-x", "cursor"),
        ("level=x", "level"),
        ("job=a%00", "job"),
    ] {
        let answer = ada.get(&format!("/v1/logs?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.fault(field).is_some(), "{query}");
    }
}

/// Whatever these are: each the next one, or one that says which were dropped.
fn explained(said: &[(i64, &Value)]) {
    let mut before = 0;
    for (entry, data) in said {
        let dropped = data["dropped_lines"].as_i64().unwrap_or(1);
        assert!(*entry > before, "{entry} after {before}");
        // Whoever has seen lines that are gone by now is told more than is news.
        assert!(entry - dropped <= before, "{data} after {before}");
        assert!(
            dropped == 1 || data["message"].as_str().unwrap().contains("dropped"),
            "{data}"
        );
        before = *entry;
    }
}

#[tokio::test]
async fn whoever_follows_a_flood_from_anywhere_is_told_of_every_gap() {
    // A megabyte per second, of the first and of the last as well.
    let grid = Grid::with(&[
        "--host-slots",
        "2",
        "--output-head-mb",
        "1",
        "--output-tail-mb",
        "1",
        "--output-rate-mb",
        "1",
    ]);
    let ada = grid.sign_up("ada@example.org").await;
    // 25 MB at 64 bytes per line, in three bursts.
    let flood = "for n in 1 2 3; do seq 130000; sleep 1; done; echo the end";
    let id = ada.submit(script(flood)).await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut heard: Vec<Said> = Vec::new();
    let mut ended = false;
    while !ended {
        let last = heard.last().and_then(|said| said.id);
        let mut stream = ada.follow(&id, last).await;
        for _ in 0..random.random_range(1..9_000) {
            let Some(said) = stream.next().await else {
                panic!("the stream ended without saying so");
            };
            ended = said.event == "terminal";
            if ended {
                break;
            }
            if said.id.is_some() {
                heard.push(said);
            }
        }
    }
    let told: Vec<(i64, &Value)> = heard
        .iter()
        .map(|said| (said.id.unwrap(), &said.data))
        .collect();
    explained(&told);
    assert!(
        told.iter()
            .any(|(_, data)| data["dropped_lines"].is_number()),
        "something was dropped"
    );
    assert_eq!(told.last().unwrap().0, 390_001, "as many as were printed");
    for said in &heard {
        let notice = said.data["dropped_lines"].is_number();
        assert_eq!(said.event == "notice", notice, "{said:?}");
    }

    let all = ada.lines(&id, 1_000).await;
    let told: Vec<(i64, &Value)> = all
        .iter()
        .map(|item| (item["entry_id"].as_i64().unwrap(), item))
        .collect();
    explained(&told);
    let mut before = 0;
    for (entry, item) in &told {
        let dropped = item["dropped_lines"].as_i64().unwrap_or(1);
        assert_eq!(entry - dropped, before, "{item}");
        before = *entry;
        if item["stream"] == "stdout" && *entry <= 390_000 {
            let number = (entry - 1) % 130_000 + 1;
            assert_eq!(
                item["message"],
                number.to_string(),
                "the number of a line is its own"
            );
        }
    }
    assert_eq!(told.last().unwrap().1["message"], "the end");
    // By weight, with a block to spare on either side.
    assert!(
        (1_800_000 / 64..2_400_000 / 64).contains(&told.len()),
        "{}",
        told.len()
    );
    let late = ada.follow(&id, Some(200_000)).await.rest().await;
    let late: Vec<(i64, &Value)> = late
        .iter()
        .filter_map(|said| Some((said.id?, &said.data)))
        .collect();
    assert!(
        late[0].0 > 200_000 && late[0].1["dropped_lines"].is_number(),
        "{:?}",
        late[0]
    );
    assert_eq!(late.last().unwrap().0, 390_001);
    let text = fetch(&ada, Method::GET, &id, &[]).await.body;
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().count(), told.len());
    assert!(text.contains("lines dropped: only the beginning and the end are kept\n"));
}

#[tokio::test]
async fn hostile_bytes_are_text_in_every_answer() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let hostile = r"printf 'nul \0 here\n'; printf 'bad \377\376 utf8\n'; printf '\033]8;;javascript:alert(1)\007click\033]8;;\007\n'; \
        printf 'bidi \342\200\256 evil\n'; printf '<script>alert(1)</script>\n'; printf 'a\rb\n'; printf '\302\205 c1\n'; printf 'data: x\n\nevent: terminal\n'";
    let id = printed(&ada, script(hostile)).await;
    let lines = ada.lines(&id, 100).await;
    let messages: Vec<&str> = lines
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        messages,
        [
            "nul \u{fffd} here",
            "bad \u{fffd}\u{fffd} utf8",
            "\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07",
            "bidi \u{202e} evil",
            "<script>alert(1)</script>",
            "a\rb",
            "\u{85} c1",
            "data: x",
            "",
            "event: terminal",
        ]
    );
    let text = fetch(&ada, Method::GET, &id, &[]).await.body;
    assert_eq!(String::from_utf8(text).unwrap(), messages.join("\n") + "\n");
    let said = ada.follow(&id, None).await.rest().await;
    let heard: Vec<&str> = said
        .iter()
        .filter(|said| said.id.is_some())
        .map(|said| said.data["text"].as_str().unwrap())
        .collect();
    assert_eq!(heard, messages, "no line can forge an event");
}
