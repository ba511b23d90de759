//! What an open page asks for again and again, in front of an API that has what
//! compresses badly: jobs of many names, machines, times and costs.
use super::{FRAGMENT, NAMES};
use crate::double;
use crate::fake::{Browser, Fake, Page, fake};
use http::StatusCode;
use junglegrid::api::jobs::Job;
use junglegrid::api::overview::Overview;
use junglegrid::domain::id::{Id as _, JobId};
use junglegrid::domain::job::{Phase, Status};
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::WorkloadType;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::Duration;

/// As long as names that say what they are.
const LONG_NAMES: [&str; 6] = [
    "qwen2.5-14b-instruct-sft-2026-11-21-lr3e-5-bs64-ep3",
    "Radiology triage: DenseNet-121 on CheXpert, fold 4 of 5",
    "weather-nowcast-unet3d-horn-of-africa-0.25deg-rerun",
    "Kiswahili ASR wav2vec2-xls-r-300m, cleaned CommonVoice",
    "protein-mpnn-redesign-batch-0173-temperature-0.1-seed-42",
    "Embedding des archives 1998–2004 (second passage), OCR",
];

/// The same every time, and without a pattern.
fn chance(seed: &str, most: u32) -> u32 {
    let digest = Sha256::digest(seed.as_bytes());
    let number = digest.iter().take(4);
    number.fold(0, |all, byte| all << 8 | u32::from(*byte)) % most
}

/// The `number`th of a day's jobs, `age` later.
fn job(number: usize, name: &str, age: Duration) -> Job {
    let pick = |what: &str, most| chance(&format!("{what} of {name} {number}"), most);
    let back = Duration::microseconds(
        i64::try_from(number).unwrap() * 2_340_000_000 + i64::from(pick("time", 2_000_000_000)),
    );
    let created = double::NOW - back;
    let random: [u8; 32] = Sha256::digest(format!("{name} {number}")).into();
    let id = JobId::at(created, random[..10].try_into().unwrap());
    let (status, phase) = match pick("status", 10) {
        0..3 => (Status::Running, Some(Phase::Executing)),
        3 => (Status::Running, Some(Phase::PullingImage)),
        4 => (Status::Queued, Some(Phase::WaitingForCapacity)),
        5 => (Status::Failed, None),
        6 => (Status::Cancelled, None),
        _ => (Status::Completed, None),
    };
    let mut job = double::job(0, name, status, phase, 0);
    (job.id, job.job_id) = (id, id);
    (job.created_at, job.queued_at) = (created, Some(created));
    let node = ["gpu-07", "gpu-12", "cpu-03", "edge-nairobi-1"][pick("node", 4) as usize];
    job.workload_type = WorkloadType::ALL[pick("type", 4) as usize];
    if status != Status::Queued {
        let started = created + Duration::seconds(i64::from(pick("wait", 400)));
        let runs = Duration::seconds(i64::from(pick("run", 20_000)));
        job.started_at = Some(started);
        job.completed_at = status.ended().then(|| started + runs);
        job.assigned_node_id = Some(node.into());
    }
    let cost = Usd::from_micros(i64::from(pick("cost", 4_000_000)) + age.whole_seconds() * 1_367);
    job.actual_cost_usd = status.ended().then_some(cost);
    job.billing.cost_usd = cost;
    job
}

/// All of another status than before.
fn turned(mut job: Job) -> Job {
    let started = job.started_at.unwrap_or(double::NOW);
    (job.status, job.phase) = match job.status {
        Status::Queued => (Status::Running, Some(Phase::Starting)),
        Status::Running => (Status::Completed, None),
        _ => (Status::Running, Some(Phase::Stopping)),
    };
    job.started_at = Some(started);
    job.completed_at = job.status.ended().then_some(double::NOW);
    job.assigned_node_id.get_or_insert_with(|| "gpu-31".into());
    job
}

fn jobs<T: AsRef<str>>(names: &[T], age: Duration) -> Vec<Job> {
    let all = names.iter().enumerate();
    all.map(|(number, name)| job(number, name.as_ref(), age))
        .collect()
}

/// Twenty names: as people give them; every fourth a long one; all long.
fn names() -> [(&'static str, Vec<String>); 3] {
    let usual = || {
        NAMES
            .iter()
            .copied()
            .chain(["finetune-mistral-7b", "Übersetzung sw→en"])
    };
    let mixed = usual().zip(LONG_NAMES.iter().cycle()).enumerate();
    let mixed = mixed.map(|(at, (name, long))| if at % 4 == 3 { *long } else { name });
    let long = usual().zip(usual().skip(1).cycle());
    [
        ("usual names", usual().map(str::to_owned).collect()),
        ("some long names", mixed.map(str::to_owned).collect()),
        (
            "long names",
            long.map(|(one, two)| format!("{one} for {two}, again"))
                .collect(),
        ),
    ]
}

/// One open page: what it shows, and what it was sent.
struct Open<'a> {
    browser: &'a Browser,
    path: &'a str,
    shows: Value,
    asks_at_once: bool,
    heard: Vec<usize>,
}

impl<'a> Open<'a> {
    fn page(browser: &'a Browser, path: &'a str, page: &Page) -> Self {
        let mut open = Self {
            browser,
            path,
            shows: Value::Null,
            asks_at_once: false,
            heard: Vec::new(),
        };
        open.see(page);
        open
    }

    /// What the pulse in it says.
    fn see(&mut self, page: &Page) {
        let told = page.attributes("#pulse", "hx-headers");
        let triggers = page.attributes("#pulse", "hx-trigger");
        self.shows = told.first().map_or(Value::Null, |told| {
            serde_json::from_str(told).unwrap_or(Value::Null)
        });
        self.asks_at_once = triggers.iter().any(|on| on.starts_with("load"));
    }

    /// Asks until all is told; every answer is small.
    async fn ask(&mut self, what: &str) -> Vec<Page> {
        let mut pages = Vec::new();
        loop {
            assert!(pages.len() < 9, "{what}: it never ends");
            let shows = self.shows["jg-shows"].as_str().unwrap_or_default();
            let (page, size) = self.browser.weigh(self.path, Some(shows)).await;
            if page.status == StatusCode::NO_CONTENT {
                return pages;
            }
            assert_eq!(page.status, StatusCode::OK, "{what}");
            assert_eq!(page.header("hx-refresh"), "", "{what}");
            println!(
                "{size:>7} of {FRAGMENT:>6}  {what}, answer {}",
                pages.len() + 1
            );
            self.heard.push(size);
            self.see(&page);
            pages.push(page);
            if self.shows.is_null() {
                return pages;
            }
        }
    }

    fn hold(self) {
        assert!(!self.heard.is_empty());
        assert!(
            self.heard.iter().all(|size| *size <= FRAGMENT),
            "over budget: {:?}",
            self.heard
        );
    }
}

fn rows(pages: &[Page]) -> usize {
    let rows = pages.iter().map(|page| page.html.matches("<tr").count());
    rows.sum()
}

#[tokio::test]
async fn a_filter_swaps_twenty_rows_in_small_pieces() {
    for (what, names) in names() {
        let browser = Browser::new(Fake {
            jobs: jobs(&names, Duration::ZERO),
            ..fake()
        });
        let path = "/portal/jobs?q=e";
        let (first, size) = browser.weigh(path, None).await;
        println!("{size:>7} of {FRAGMENT:>6}  {what}, filtered");
        assert!(size <= FRAGMENT, "{what}: {size}");
        assert_eq!(first.header("hx-replace-url"), path);
        let begun = first.texts("#job-rows tr").len();
        assert!(begun >= 5, "{what}: {begun} rows at first");
        assert!(first.texts(".pager").is_empty() || begun == 20);
        let mut open = Open::page(&browser, path, &first);
        assert!(open.asks_at_once);
        let rest = open.ask(what).await;
        assert_eq!(begun + rows(&rest), 20);
        assert!(rest.iter().any(|page| page.html.contains("rel=\"next\"")));
        open.hold();
    }
}

#[tokio::test]
async fn an_open_list_is_told_what_has_changed() {
    let [_, (_, names), (_, others)] = names();
    let all = jobs(&names, Duration::ZERO);
    let browser = Browser::new(Fake {
        jobs: all.clone(),
        ..fake()
    });
    let path = "/portal/jobs";
    let page = browser.visit(path).await;
    assert_eq!(page.texts("#job-rows tr").len(), 20);
    let mut open = Open::page(&browser, path, &page);
    assert_eq!(open.ask("nothing changed").await.len(), 0);

    // What runs costs more, and nothing else is said.
    let running = all.iter().filter(|job| job.status == Status::Running);
    browser.fake().jobs = jobs(&names, Duration::seconds(3));
    for job in &mut browser.fake().jobs {
        if job.status.ended() || job.status == Status::Queued {
            let before = all.iter().find(|before| before.id == job.id);
            *job = before.unwrap().clone();
        }
    }
    let told = open.ask("figures").await;
    assert_eq!(rows(&told), running.count());

    // Two new ones at the top; the last two leave the page.
    let mut new = vec![
        job(0, "two-new-jobs", -Duration::HOUR),
        job(0, "at once", Duration::ZERO),
    ];
    let mut now = browser.fake().jobs.clone();
    now.truncate(18);
    new.extend(now);
    browser.fake().jobs = new;
    let told = open.ask("two new jobs").await;
    assert_eq!(rows(&told), 2);
    assert_eq!(told[0].html.matches("hx-swap=\"delete\"").count(), 1);

    let turned: Vec<Job> = browser.fake().jobs.drain(..).map(turned).collect();
    browser.fake().jobs = turned;
    assert_eq!(rows(&open.ask("all turned").await), 20);
    browser.fake().jobs = jobs(&others, Duration::MINUTE);
    open.ask("twenty others").await;
    open.hold();
}

fn overview(jobs: Vec<Job>, of_the_day: &str) -> Overview {
    let mut overview = double::busy();
    overview.recent = jobs;
    overview.running = i64::from(chance(of_the_day, 5)) + 1;
    overview.queued = i64::from(chance("queued", 4));
    for day in &mut overview.spend {
        let spent = chance(&format!("{}{of_the_day}", day.date), 9_000_000);
        day.usd = Usd::from_micros(i64::from(spent));
    }
    let left = chance(of_the_day, 90_000_000);
    overview.balance.available_usd = Usd::from_micros(i64::from(left));
    overview.balance.held_usd = Usd::from_micros(i64::from(left / 7));
    overview.slots = 24;
    overview.slots_used = chance(of_the_day, 20);
    for (at, draft) in overview.drafts.iter_mut().enumerate() {
        let name = format!("{} {of_the_day}", LONG_NAMES[at]);
        draft.content.insert("name".into(), name.into());
        let random: [u8; 32] = Sha256::digest(LONG_NAMES[at].as_bytes()).into();
        draft.id = junglegrid::domain::id::Id::at(double::NOW, random[..10].try_into().unwrap());
        draft.review_url = format!("http://localhost/portal/submit/{}/review", draft.id);
    }
    overview
}

#[tokio::test]
async fn an_open_dashboard_is_told_what_has_changed() {
    let six = jobs(&LONG_NAMES, Duration::ZERO);
    let show = |overview: &Overview| json!(overview);
    let browser = Browser::new(Fake {
        overview: show(&overview(six.clone(), "monday")),
        ..fake()
    });
    let page = browser.visit("/portal").await;
    assert_eq!(page.texts("#job-rows tr").len(), 6);
    let mut open = Open::page(&browser, "/portal", &page);
    assert_eq!(open.ask("dashboard, nothing changed").await.len(), 0);

    let mut figures = overview(six.clone(), "monday");
    figures.recent[1].billing.cost_usd = Usd::from_micros(7_654_321);
    figures.recent[1].actual_cost_usd = None;
    browser.fake().overview = show(&figures);
    let told = open.ask("dashboard, one cost").await;
    assert_eq!((told.len(), rows(&told)), (1, 1));
    assert_eq!(told[0].html.matches("<hx-partial").count(), 1);

    let turned: Vec<Job> = six.iter().cloned().map(turned).collect();
    browser.fake().overview = show(&overview(turned, "monday"));
    assert_eq!(rows(&open.ask("dashboard, six jobs turned").await), 6);

    let six: Vec<&str> = NAMES.iter().copied().take(6).collect();
    browser.fake().overview = show(&overview(jobs(&six, Duration::ZERO), "tuesday"));
    let told = open.ask("dashboard, all of it").await;
    assert!(told.len() > 1, "it came at once");
    open.hold();
}
