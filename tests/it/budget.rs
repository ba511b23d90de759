//! What a visit weighs on the wire, as a browser asks for it, against the program
//! itself with realistic content; and what no page may ever hold.
mod apps;
mod callbacks;
mod files;
mod keys;
mod polls;

use crate::server::{Answer, Server, until};
use junglegrid::web::assets;
use scraper::{Html, Selector};
use serde_json::{Value, json};

const FIRST_VISIT: usize = 32_000;
const FIRST_PAGE: usize = 14_000;
const LATER_PAGE: usize = 6_000;
const FRAGMENT: usize = 1_500;

/// What Chromium says.
const BROWSER: &str = "Accept-Encoding: gzip, deflate, br, zstd\r\n";
const PARTIAL: &str = "HX-Request: true\r\nHX-Request-Type: partial\r\n";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A browser that has been here before, signed in or not.
struct Visit<'a> {
    server: &'a Server,
    cookies: String,
    /// Name, bytes, and the budget.
    sizes: Vec<(String, usize, usize)>,
}

impl Visit<'_> {
    fn ask(&self, path: &str, headers: &str) -> Answer {
        let headers = format!("{headers}{}", self.cookies);
        self.server.request("GET", path, &headers, "")
    }

    fn weigh(&mut self, what: &str, path: &str, headers: &str, budget: usize) {
        let answer = self.ask(path, &format!("{BROWSER}{headers}"));
        assert_ne!(
            answer.header("content-encoding"),
            "",
            "{path} is not compressed"
        );
        self.sizes
            .push((what.to_owned(), answer.body.len(), budget));
    }

    /// A whole page: weighed, and searched for what it must not hold.
    fn page(&mut self, what: &str, path: &str) {
        self.weigh(what, path, "", LATER_PAGE);
        let answer = self.ask(path, "");
        assert!(
            answer.header("content-type").starts_with("text/html"),
            "{path}"
        );
        assert_eq!(answer.header("content-security-policy"), POLICY, "{path}");
        assert!(answer.text().contains("<link rel=\"stylesheet\""), "{path}");
        clean(path, &answer.text());
    }

    /// A page that grows while it is read, which no encoder may hold back: all of it.
    fn grown(&mut self, what: &str, path: &str) {
        let answer = self.ask(path, BROWSER);
        assert_eq!(answer.header("content-encoding"), "", "{path}");
        assert!(answer.text().ends_with("</html>"), "{path}");
        clean(path, &answer.text());
        self.sizes
            .push((what.to_owned(), answer.body.len(), LATER_PAGE));
    }

    /// A part of a page, as htmx asks for it.
    fn fragment(&mut self, what: &str, path: &str) {
        let answer = self.ask(path, &format!("{BROWSER}{PARTIAL}"));
        assert_eq!(answer.status, 200, "{path}");
        self.sizes
            .push((what.to_owned(), answer.body.len(), FRAGMENT));
    }

    /// What an open page is told when all of it has changed, answer by answer.
    fn polls(&mut self, what: &str, path: &str) {
        let page = self.ask(path, "").text();
        let mut shows = spoiled(&shown(&page));
        // What runs costs more all the time, so there may be no end.
        for answer in 1..=4 {
            let headers = format!("{PARTIAL}jg-shows: {shows}\r\n");
            let told = self.ask(path, &format!("{BROWSER}{headers}"));
            if told.status == 204 {
                break;
            }
            assert_eq!(told.status, 200, "{path}");
            let name = format!("{what}, answer {answer}");
            self.sizes.push((name, told.body.len(), FRAGMENT));
            shows = shown(&self.ask(path, &headers).text());
        }
    }

    fn hold(self) {
        let row = |(what, size, budget): &(String, usize, usize)| {
            format!("{size:>7} of {budget:>6}  {what}")
        };
        let table = self.sizes.iter().map(row).collect::<Vec<_>>().join("\n");
        println!("{table}");
        let heavy = self.sizes.iter().any(|(_, size, budget)| size > budget);
        assert!(!heavy, "over budget:\n{table}");
    }
}

/// What the pulse of a page says that it shows.
fn shown(html: &str) -> String {
    let page = Html::parse_document(html);
    let pulse = Selector::parse("#pulse[hx-headers]").unwrap();
    let pulse = page.select(&pulse).next().expect("a pulse").value();
    let told: Value = serde_json::from_str(pulse.attr("hx-headers").unwrap()).unwrap();
    told["jg-shows"].as_str().unwrap().to_owned()
}

/// The same parts and rows, with tags of nothing.
fn spoiled(shows: &str) -> String {
    let parts: Vec<&str> = shows.split('.').collect();
    let rows = parts[2].as_bytes().chunks(14);
    let rows = rows.map(|row| format!("{}ffffff", std::str::from_utf8(&row[..8]).unwrap()));
    format!(
        "0.{}.{}",
        "f".repeat(parts[1].len()),
        rows.collect::<String>()
    )
}

/// Nothing inline but what the policy names by its hash, nothing from elsewhere.
fn clean(path: &str, html: &str) {
    let page = Html::parse_document(html);
    let none = |css: &str| {
        let found = page.select(&Selector::parse(css).unwrap()).next();
        assert!(
            found.is_none(),
            "{css} on {path}: {}",
            found.unwrap().html()
        );
    };
    for css in [
        "[style]",
        "script:not([src])",
        "iframe, object, embed, base",
        "[href*='//']:not(a[rel='noreferrer']), [src*='//'], [action*='//']",
        "[onclick], [onload], [onsubmit], [onchange]",
        "[hx-on], [hx-vals^='js:'], [href^='javascript:']",
    ] {
        none(css);
    }
    assert!(!html.contains("@font-face"), "{path}");
    assert!(!html.contains("http://"), "{path}");
    // Where an app comes from may be looked up, and nothing else leads out.
    let out = Selector::parse("a[rel='noreferrer'][href^='https://']").unwrap();
    let out = page.select(&out).count();
    assert_eq!(html.matches("https://").count(), out, "{path}");
}

#[test]
fn a_first_visit_fits_into_thirty_two_kilobytes() {
    let server = Server::start(&[]);
    let mut visit = Visit {
        server: &server,
        cookies: String::new(),
        sizes: Vec::new(),
    };
    visit.weigh(
        "first page: /signup with the stylesheet in it",
        "/signup",
        "",
        FIRST_PAGE,
    );
    let html = visit.ask("/signup", "");
    let hash = assets::STYLE_CSP_HASH;
    let policy = POLICY.replace("style-src 'self'", &format!("style-src 'self' {hash}"));
    assert_eq!(html.header("content-security-policy"), policy);
    let html = html.text();
    clean("/signup", &html);

    // Everything that the page makes a browser fetch, the prefetch included.
    let page = Html::parse_document(&html);
    let fetched = Selector::parse("script[src], link[href], use[href], img[src]").unwrap();
    let mut files: Vec<&str> = page
        .select(&fetched)
        .filter_map(|element| element.attr("src").or(element.attr("href")))
        .map(|url| url.split('#').next().unwrap())
        .chain([assets::url("canopy.svg"), assets::url("icons.svg")])
        .collect();
    files.sort_unstable();
    files.dedup();
    for file in files {
        let budget = match file.rsplit('.').next() {
            Some("js") => 16_000,
            Some("css") => 7_000,
            _ => 1_000,
        };
        visit.weigh(file, file, "", budget);
        if file.contains(".css") {
            let css = visit.ask(file, "").text();
            assert!(!css.contains("@font-face") && !css.contains("@import"));
            // `data:` pictures name the SVG namespace.
            assert!(!css.replace("http://www.w3.org/2000/svg", "").contains("//"));
        }
    }
    let whole: usize = visit.sizes.iter().map(|(_, size, _)| size).sum();
    visit
        .sizes
        .push(("first visit in all".into(), whole, FIRST_VISIT));
    visit.hold();
}

#[test]
fn later_pages_and_fragments_are_small() {
    let server = Server::start(&["--host-slots", "2"]);
    let token = server.sign_up("ada.lovelace@example.org");
    let jobs: Vec<String> = NAMES
        .iter()
        .map(|name| server.run(&token, name, "echo one; echo two; echo three"))
        .collect();
    let chatty = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo \"epoch $i/200  loss=0.$((9973 - i * 17))  \
        lr=3.0e-4  throughput=$((1200 + i * 7 % 90)) tok/s  eta 00:0$((i % 6)):1$((i % 10))\"; done; sleep 600";
    for job in &jobs {
        server.job(&token, job, |job| job["status"] == "completed");
    }
    let failed = server.run(
        &token,
        "finetune-mistral-7b",
        "echo loading; echo 'No such file' >&2; exit 1",
    );
    server.job(&token, &failed, |job| job["status"] == "failed");
    let running = server.run(&token, "train-lora-rank-16", chatty);
    until("all the lines", || {
        let logs = format!("/v1/jobs/{running}/logs?tail=1");
        let logs = server.call("GET", &logs, &token, &Value::Null);
        (logs["items"][0]["entry_id"].as_i64()? >= 200).then_some(())
    });
    server.run(&token, "also endless", "sleep 600");
    let queued = server.run(&token, "waits for its turn", "true");
    let draft = estimated_draft(&server, &token);

    let style = assets::url("jungle.css").rsplit('.').nth(1).unwrap();
    let mut visit = Visit {
        server: &server,
        cookies: format!("Cookie: jg_css={style}\r\n"),
        sizes: Vec::new(),
    };
    for path in [
        "/login",
        "/signup",
        "/signup/verify?email=ada%40example.org",
        "/login/forgot",
    ] {
        visit.page(path, path);
    }
    visit.cookies = format!("Cookie: jg_css={style}; __Host-jg_session={token}\r\n");
    visit.page("dashboard", "/portal");
    visit.page("jobs, 20 of them", "/portal/jobs");
    visit.page("no jobs", "/portal/jobs?q=nothing");
    visit.page("a completed job", &format!("/portal/jobs/{}", jobs[0]));
    visit.page("a failed job", &format!("/portal/jobs/{failed}"));
    visit.page(
        "a running job with 200 lines",
        &format!("/portal/jobs/{running}"),
    );
    visit.page("a queued job", &format!("/portal/jobs/{queued}"));
    visit.page(
        "the question whether to cancel",
        &format!("/portal/jobs/{queued}/cancel"),
    );
    visit.page(
        "jobs, every filter",
        "/portal/jobs?q=e&status=ended&type=batch&image=host&from=2020-01-01&to=2040-01-01",
    );
    visit.page(
        "the question whether to cancel many",
        "/portal/jobs/cancel?status=active",
    );
    // It names the address that programs call, so it is only weighed.
    let copied = format!("/portal/jobs/{failed}/as/curl");
    visit.weigh("a job copied", &copied, "", LATER_PAGE);
    visit.page("a record", &format!("/portal/jobs/{failed}/record"));
    visit.page("drafts", "/portal/submit");
    visit.page("a new job", "/portal/submit/new/workload");
    for step in ["workload", "image", "resources", "routing", "review"] {
        visit.page(
            &format!("wizard: {step}"),
            &format!("/portal/submit/{draft}/{step}"),
        );
    }
    visit.page("nodes", "/portal/nodes");
    visit.page("not found", "/portal/nowhere");

    visit.fragment("estimate card", &format!("/portal/submit/{draft}/estimate"));
    visit.fragment("one job, filtered", "/portal/jobs?q=finetune");
    visit.fragment("20 jobs, at first", "/portal/jobs");
    visit.polls("20 jobs, polled", "/portal/jobs");
    visit.polls("dashboard, polled", "/portal");
    visit.fragment("no job, filtered", "/portal/jobs?q=nothing");
    visit.fragment(
        "a step of the wizard",
        &format!("/portal/submit/{draft}/resources"),
    );
    visit.hold();
}

/// A draft with all that can be said in it, and its estimate.
fn estimated_draft(server: &Server, token: &str) -> String {
    let content = json!({
        "name": "evaluate checkpoints", "workload_type": "inference", "image": "host",
        "command": "python3 eval.py --suite core --batch 32", "environment": {"SEED": "7", "MODE": "full"},
        "timeout_seconds": 1800, "cpu_count": 1, "preferred_gpu_family": "L40S",
        "region_preference": "af-south", "avoid_gpu_families": ["T4"], "max_price_per_hour": 1,
    });
    let draft = server.call(
        "POST",
        "/v1/job-drafts",
        token,
        &json!({ "content": content }),
    );
    let draft = draft["id"].as_str().unwrap().to_owned();
    server.call(
        "POST",
        &format!("/v1/job-drafts/{draft}/estimate"),
        token,
        &Value::Null,
    );
    until("the estimate", || {
        let draft = server.call(
            "GET",
            &format!("/v1/job-drafts/{draft}"),
            token,
            &Value::Null,
        );
        (draft["estimate"]["state"] == "ready").then_some(())
    });
    draft
}

/// Of jobs as people call them.
const NAMES: [&str; 18] = [
    "sdxl-turbo batch render",
    "llama-3 evaluation on MMLU",
    "nightly-embedding-refresh",
    "whisper transcripts, March",
    "tokenise corpus part 1",
    "tokenise corpus part 2",
    "train-lora-rank-8",
    "dataset checksum",
    "thumbnails",
    "resnet50 baseline",
    "clip retrieval index",
    "bert distillation",
    "speech denoise sweep",
    "gpt2 perplexity",
    "vit-base ablation 3",
    "segment satellite tiles",
    "protein folding demo",
    "ocr invoices, week 47",
];
