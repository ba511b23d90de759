//! What can be launched, what it needs, and what it would cost.
use super::offer::{self, Grid};
use crate::api::templates as wire;
use crate::api::{EstimateTemplate, GetTemplate, ListTemplates};
use crate::domain::app::{Added, Settings, usual_start};
use crate::domain::estimate::{Range, said};
use crate::domain::id::{AppSessionId, EstimateId};
use crate::domain::money::Usd;
use crate::domain::routing::Check;
use crate::domain::template::Manifest;
use crate::orchestrator::estimates::VALID_FOR;
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{Caller, Error};
use crate::store::apps::queries::{self, Filter, Sample};
use crate::store::estimates::{Estimate, Progress};
use crate::store::{self, Conn};
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;

pub(in crate::orchestrator) use offer::quote;

/// Hours that a launch gets that says nothing.
const USUAL_HOURS: f64 = 4.0;
/// A quarter of an hour: below that a launch is hardly worth its start.
const SHORTEST_HOURS: f64 = 0.25;
/// The least that a launch may be allowed to cost.
const LEAST: Usd = Usd::from_micros(10_000);
/// No wallet holds so much, and sums with it do not overflow.
const MOST: Usd = Usd::from_micros(1_000_000_000_000);
/// Launches that say how long a start takes.
const LAUNCHES_LOOKED_AT: i64 = 50;

/// Where billing begins, in words.
pub(in crate::orchestrator) const BILLING_FROM: &str = "Billing begins when the dashboard is ready to be opened. A launch that fails before that costs nothing.";

/// An estimate that was seen before the launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::orchestrator) struct Acknowledged {
    pub(in crate::orchestrator) rate: Usd,
    pub(in crate::orchestrator) hold: Usd,
    /// Minutes that the hold is enough for.
    pub(in crate::orchestrator) minutes: u32,
}

/// The choices with what stands in for those that are not made.
///
/// # Errors
///
/// [`Error::Invalid`] with everything that is wrong, per field.
pub(in crate::orchestrator) fn settings(
    choices: &wire::Choices,
    manifest: &Manifest,
    longest: Duration,
) -> Result<Settings, Error> {
    let mut fields = BTreeMap::new();
    let mut say = |field: &str, why: String| {
        fields.insert(field.to_owned(), why);
    };
    let (usual, most) = hours(longest);
    let hours = choices.max_hours.unwrap_or(usual);
    if !(SHORTEST_HOURS.min(most)..=most).contains(&hours) {
        say(
            "max_hours",
            format!("Use {SHORTEST_HOURS} to {most} hours."),
        );
    }
    let idle = choices.idle_minutes.unwrap_or(manifest.idle_stop_minutes);
    if idle != 0 && !(5..=1_440).contains(&idle) {
        say(
            "idle_minutes",
            "Use 5 to 1440 minutes, or 0 to keep it when nobody uses it.".into(),
        );
    }
    if choices
        .max_usd
        .is_some_and(|usd| !(LEAST..=MOST).contains(&usd))
    {
        say("max_usd", format!("Use {LEAST} to {MOST}."));
    }
    if !fields.is_empty() {
        return Err(invalid(fields));
    }
    Ok(Settings {
        max_minutes: minutes_in(hours),
        idle_minutes: idle,
        max_usd_micros: choices.max_usd.map(Usd::micros),
        added: Added::default(),
    })
}

/// What a launch gets that says nothing, and the most that it can get.
fn hours(longest: Duration) -> (f64, f64) {
    let most = longest.as_secs_f64() / 3_600.0;
    (USUAL_HOURS.min(most), most)
}

pub(super) fn invalid(fields: BTreeMap<String, String>) -> Error {
    let message = if fields.len() == 1 {
        fields.values().next().cloned().unwrap_or_default()
    } else {
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        format!("{} need another look.", names.join(", "))
    };
    Error::Invalid { message, fields }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a day has 1440"
)]
fn minutes_in(hours: f64) -> u32 {
    (hours * 60.0).round().max(1.0) as u32
}

/// The settings as the choices that say all of them.
pub(in crate::orchestrator) fn choices(settings: &Settings) -> wire::Choices {
    wire::Choices {
        max_hours: Some(f64::from(settings.max_minutes) / 60.0),
        idle_minutes: Some(settings.idle_minutes),
        max_usd: settings.max_usd_micros.map(Usd::from_micros),
    }
}

/// The settings that [`choices`] was made of.
fn read(choices: &wire::Choices) -> Option<Settings> {
    Some(Settings {
        max_minutes: minutes_in(choices.max_hours?),
        idle_minutes: choices.idle_minutes?,
        max_usd_micros: choices.max_usd.map(Usd::micros),
        added: Added::default(),
    })
}

/// The estimate of this template with these settings that the caller has seen.
///
/// # Errors
///
/// [`Error::Conflict`] with `ESTIMATE_NOT_ACKNOWLEDGED` if none is named, and with
/// `ESTIMATE_OUTDATED` if it is not of this workspace, template and settings, or
/// has expired.
pub(in crate::orchestrator) async fn acknowledged(
    conn: &mut Conn,
    caller: &Caller,
    now: OffsetDateTime,
    estimate: Option<EstimateId>,
    manifest: &Manifest,
    settings: Settings,
) -> Result<Acknowledged, Error> {
    let Some(id) = estimate else {
        return Err(Error::Conflict {
            code: "ESTIMATE_NOT_ACKNOWLEDGED",
            message: "Look at the estimate of this launch and confirm it first.".into(),
        });
    };
    let known = store::estimates::find(conn, caller.workspace, id).await?;
    let shown = known
        .filter(|known| known.expires_at > now)
        .and_then(|known| {
            let Progress::Ready(body) = known.state else {
                return None;
            };
            // Other estimates in the same table are of jobs, and read differently.
            serde_json::from_str::<wire::Estimate>(&body).ok()
        });
    let shown = shown.filter(|shown| {
        let covers = read(&shown.choices) == Some(settings);
        shown.template == manifest.slug && shown.launchable && covers
    });
    let Some(shown) = shown else {
        return Err(Error::Conflict {
            code: "ESTIMATE_OUTDATED",
            message: "That is not an estimate of this template with these choices, or it has \
                      expired. Look at a new one."
                .into(),
        });
    };
    Ok(Acknowledged {
        rate: shown.hourly_rate_usd,
        hold: shown.hold_usd,
        minutes: shown.minutes,
    })
}

pub(super) async fn list(cx: Cx, _: Call<ListTemplates>) -> Result<wire::List, Error> {
    let grid = Grid::look(&cx).await?;
    let mut conn = cx.store().read().await?;
    let unfinished = Filter {
        ended: Some(false),
        ..Filter::default()
    };
    let active: BTreeMap<String, AppSessionId> =
        queries::page(&mut conn, cx.caller.workspace, &unfinished, 100)
            .await?
            .into_iter()
            .map(|session| (session.manifest.slug, session.id))
            .collect();
    let mut templates = Vec::new();
    for manifest in cx.catalogue().all() {
        let checks = grid.checks(manifest);
        // What cannot be launched here has no history here worth asking for.
        let launches = if checks.iter().any(Check::is_blocked) {
            Vec::new()
        } else {
            launches(&mut conn, &manifest.slug).await?
        };
        let active = active.get(&manifest.slug).copied();
        let longest = cx.config().longest_time_limit;
        templates.push(show(manifest, (&grid, longest), checks, &launches, active));
    }
    // What can be launched comes first; the order is the catalogue's otherwise.
    templates.sort_by_key(|template| !template.launchable);
    Ok(wire::List {
        templates,
        next_cursor: None,
        has_more: false,
    })
}

pub(super) async fn get(cx: Cx, call: Call<GetTemplate>) -> Result<wire::Template, Error> {
    let manifest = find(&cx, &call.path.0)?;
    let grid = Grid::look(&cx).await?;
    let mut conn = cx.store().read().await?;
    let launches = launches(&mut conn, &manifest.slug).await?;
    let active = queries::active(&mut conn, cx.caller.workspace, &manifest.slug).await?;
    Ok(show(
        manifest,
        (&grid, cx.config().longest_time_limit),
        grid.checks(manifest),
        &launches,
        active,
    ))
}

/// The template, as missing as any other if there is none.
pub(in crate::orchestrator) fn find<'c>(cx: &'c Cx, slug: &str) -> Result<&'c Manifest, Error> {
    cx.catalogue().get(slug).ok_or_else(|| {
        Error::NotFound("There is no such template. GET /v1/templates lists them.".into())
    })
}

pub(super) async fn estimate(
    cx: Cx,
    call: Call<EstimateTemplate>,
) -> Result<wire::Estimate, Error> {
    let manifest = find(&cx, &call.path.0)?;
    let settings = settings(&call.body, manifest, cx.config().longest_time_limit)?;
    let offered = quote(&cx, manifest, settings).await?;
    let now = cx.now();
    let mut conn = cx.store().read().await?;
    let available = store::ledger::balance(&mut conn, cx.caller.workspace)
        .await?
        .available;
    let launches = launches(&mut conn, &manifest.slug).await?;
    drop(conn);
    let launchable = offered.blocked().is_none();
    let usual = usual(&launches, manifest);
    let mut checks = offered.checks;
    if offered.hold > available {
        checks.push(too_poor(offered.hold, offered.minutes, available));
    }
    let wait = offered.quote.wait;
    let at = |wait: i64, start: i64| now + time::Duration::seconds(wait + start);
    let found = wire::Estimate {
        estimate_id: cx.id(),
        template: manifest.slug.clone(),
        choices: choices(&settings),
        launchable,
        checks,
        hourly_rate_usd: offered.rate,
        hold_usd: offered.hold,
        minutes: offered.minutes,
        queue_low_seconds: wait.low,
        queue_high_seconds: wait.high,
        usual_start: usual,
        ready_at_min: at(wait.low, usual.low_seconds),
        ready_at_max: at(wait.high, usual.high_seconds),
        billing_from: BILLING_FROM.into(),
        available_usd: available,
        quoted_at: now,
        expires_at: now + VALID_FOR,
    };
    let body = serde_json::to_string(&found).map_err(|error| Error::Internal(error.into()))?;
    let kept = Estimate {
        id: found.estimate_id,
        workspace: cx.caller.workspace,
        draft: None,
        state: Progress::Ready(body),
        created_at: now,
        expires_at: found.expires_at,
    };
    cx.store()
        .write(move |conn| Box::pin(async move { store::estimates::insert(conn, &kept).await }))
        .await?;
    Ok(found)
}

fn too_poor(hold: Usd, minutes: u32, available: Usd) -> Check {
    let time = said(i64::from(minutes) * 60);
    Check {
        code: "INSUFFICIENT_FUNDS".into(),
        severity: "warning".into(),
        status: "warning".into(),
        field: Some("max_hours".into()),
        message: format!("{hold} would be set aside for {time}, and the wallet has {available}."),
        action: Some("Choose fewer hours or a lower limit in dollars, or add funds.".into()),
    }
}

/// Seconds from a machine to the open dashboard, of the newest launches.
async fn launches(conn: &mut Conn, slug: &str) -> Result<Vec<i64>, Error> {
    let samples = queries::samples(conn, slug, LAUNCHES_LOOKED_AT).await?;
    let took = |sample: &Sample| {
        let from = sample.reserved.unwrap_or(sample.created);
        // Rounded up: nothing is ready after no time at all.
        (sample.ready - from)
            .whole_milliseconds()
            .saturating_add(999)
            / 1_000
    };
    Ok(samples
        .iter()
        .map(|sample| i64::try_from(took(sample)).unwrap_or(i64::MAX))
        .collect())
}

fn usual(launches: &[i64], manifest: &Manifest) -> wire::Usual {
    let (Range { low, high }, samples) = usual_start(launches, &manifest.phases);
    wire::Usual {
        low_seconds: low,
        high_seconds: high,
        samples: i64::try_from(samples).unwrap_or(i64::MAX),
    }
}

fn show(
    manifest: &Manifest,
    (grid, longest): (&Grid, Duration),
    checks: Vec<Check>,
    launches: &[i64],
    active: Option<AppSessionId>,
) -> wire::Template {
    let services = manifest.services.iter().map(|service| wire::Service {
        id: service.id.clone(),
        label: service.label.clone(),
        port: service.port,
        primary: service.primary,
        websocket: service.websocket,
        sse: service.sse,
        base_path: service.base_path.as_ref().map(|base| base.path.clone()),
    });
    let volumes = manifest.volumes.iter().map(|volume| wire::Volume {
        name: volume.name.clone(),
        mount: volume.mount.clone(),
        min_gb: volume.min_gb,
        persist: volume.persist,
    });
    let settings = manifest.settings().map(|variable| wire::Setting {
        name: variable.name.clone(),
        label: variable.title().to_owned(),
        hint: variable.hint.clone(),
        secret: variable.secret,
        required: variable.required,
        default: variable.default.clone().unwrap_or_default(),
    });
    let (usual_hours, longest_hours) = hours(longest);
    wire::Template {
        slug: manifest.slug.clone(),
        name: manifest.name.clone(),
        mark: manifest.mark.clone(),
        summary: manifest.summary.clone(),
        version: manifest.version.clone(),
        image: manifest.image.clone(),
        unpinned: manifest.unpinned.clone(),
        image_size_gb: manifest.image_size_gb,
        licence_spdx: manifest.licence.spdx.clone(),
        licence_note: manifest.licence.note.clone(),
        source_url: manifest.licence.source_url.clone(),
        services: services.collect(),
        volumes: volumes.collect(),
        settings: settings.collect(),
        min_vram_gb: manifest.needs.min_vram_gb,
        recommended_vram_gb: manifest.needs.recommended_vram_gb,
        disk_gb: manifest.needs.disk_gb,
        memory_gb: manifest.needs.memory_gb,
        cpus: manifest.needs.cpus,
        mobile: manifest.mobile,
        notes: manifest.notes.clone(),
        hourly_rate_usd: grid.rate(manifest),
        usual_start: usual(launches, manifest),
        idle_stop_minutes: manifest.idle_stop_minutes,
        usual_hours,
        longest_hours,
        launchable: !checks.iter().any(Check::is_blocked),
        checks,
        active_session: active,
    }
}
