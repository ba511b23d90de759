//! Launching and stopping apps.
use super::settings::{self, Kept};
use super::{offer, templates, view, words};
use crate::api::apps as wire;
use crate::api::templates::Choices;
use crate::api::{LaunchApp, StopApp};
use crate::domain::app::Settings;
use crate::domain::estimate::Quote;
use crate::domain::id::AppSessionId;
use crate::domain::money::Usd;
use crate::domain::spec::JobSpec;
use crate::domain::template::Manifest;
use crate::domain::template::settings::Given;
use crate::orchestrator::jobs::submission::{self, Once, Order};
use crate::orchestrator::jobs::{clean, find as find_job};
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::workers::observer;
use crate::orchestrator::{Error, lifecycle, seal};
use crate::random;
use crate::store::apps::{self as table, AppSession, queries};
use crate::store::jobs::Job;
use crate::store::{self, Conn};

/// An app that wants in, with the job that runs it.
#[derive(Debug, Clone)]
pub(in crate::orchestrator) struct App {
    pub(in crate::orchestrator) id: AppSessionId,
    pub(in crate::orchestrator) manifest: Manifest,
    pub(in crate::orchestrator) settings: Settings,
    /// Values for what the manifest asks for.
    pub(in crate::orchestrator) given: Kept,
    pub(in crate::orchestrator) quote: Quote,
    /// Set aside, and for how many minutes that is enough.
    pub(in crate::orchestrator) hold: Usd,
    pub(in crate::orchestrator) minutes: u32,
}

impl App {
    /// What is said when the wallet has less than its hold.
    pub(in crate::orchestrator) fn too_dear(&self, hold: Usd) -> String {
        format!(
            "{} can cost {hold} in {}, which is more than the wallet has. Choose fewer hours, or add funds.",
            self.manifest.name,
            words::minutes(self.minutes),
        )
    }
}

pub(super) async fn launch(cx: Cx, call: Call<LaunchApp>) -> Result<wire::Session, Error> {
    let once = call.idempotency_key.map(|key| Once {
        route: "launch",
        key,
        body_hash: seal::fingerprint(&cx, &call.raw),
    });
    let mut conn = cx.store().read().await?;
    if let Some(once) = &once
        && let Some(answer) = submission::earlier(&mut conn, &cx.caller, once).await?
    {
        return show(&cx, &mut conn, answer?.job_id).await;
    }
    let wanted = wanted(&cx, &mut conn, &call.body).await?;
    let (manifest, choices) = (wanted.manifest, wanted.choices);
    let settings = templates::settings(&choices, &manifest, cx.config().longest_time_limit)?;
    let live = queries::active(&mut conn, cx.caller.workspace, &manifest.slug).await?;
    if let Some(live) = live {
        return Err(already_running(&manifest, live));
    }
    let id = cx.id();
    let given = settings::taken(&cx, id, &manifest, wanted.given, wanted.lost)?;
    // Nobody keeps a connection while the machines are being asked.
    drop(conn);
    let offered = offer::quote(&cx, &manifest, settings).await?;
    if offered.blocked().is_some() {
        return Err(submission::refusal(&offered.checks));
    }
    let mut conn = cx.store().read().await?;
    let named = call.body.acknowledged_estimate;
    let now = cx.now();
    let seen =
        templates::acknowledged(&mut conn, &cx.caller, now, named, &manifest, settings).await?;
    drop(conn);
    let longest = cx.config().longest_time_limit.as_secs();
    let order = Order {
        callback: None,
        spec: JobSpec {
            name: manifest.name.clone(),
            app: Some(id),
            // Its own time ends sooner; it can be extended to this.
            time_limit_seconds: u32::try_from(longest).unwrap_or(u32::MAX),
            ..offered.spec
        },
        once,
        draft: None,
        rate: Some(seen.rate),
        acknowledged: None,
        unestimated: false,
        app: Some(App {
            id,
            manifest,
            settings,
            given,
            quote: offered.quote,
            hold: seen.hold,
            minutes: seen.minutes,
        }),
    };
    let submitted = submission::submit(&cx, order).await?;
    show(&cx, &mut *cx.store().read().await?, submitted.job_id).await
}

/// What is to be launched, and how.
struct Wanted {
    manifest: Manifest,
    choices: Choices,
    given: Given,
    /// Secrets of the earlier session that are not there any more.
    lost: Vec<String>,
}

async fn wanted(cx: &Cx, conn: &mut Conn, body: &wire::Launch) -> Result<Wanted, Error> {
    let Some(id) = body.from_session else {
        return Ok(Wanted {
            manifest: templates::find(cx, &body.template)?.clone(),
            choices: body.choices().unwrap_or_default(),
            given: body.settings.clone(),
            lost: Vec::new(),
        });
    };
    let earlier = view::find(conn, cx.caller.workspace, id).await?;
    let slug = &earlier.manifest.slug;
    if !body.template.is_empty() && body.template != *slug {
        let why = format!("That session is one of {slug}: leave this out, or name that.");
        return Err(Error::field("template", why));
    }
    let manifest = templates::find(cx, slug)?.clone();
    let (mut given, mut lost) = settings::again(cx, conn, &earlier, &manifest).await?;
    given.extend(body.settings.clone());
    lost.retain(|name| !given.contains_key(name));
    let before = || templates::choices(&earlier.settings.at_launch());
    Ok(Wanted {
        choices: body.choices().unwrap_or_else(before),
        manifest,
        given,
        lost,
    })
}

fn already_running(manifest: &Manifest, live: AppSessionId) -> Error {
    Error::AlreadyRunning {
        session: live,
        message: format!(
            "{} is running already: {live}. Stop that session first; they would share their files.",
            manifest.name
        ),
    }
}

/// Writes the session of a job that has just been written, in its transaction; or
/// says why it cannot be.
pub(in crate::orchestrator) async fn create(
    conn: &mut Conn,
    job: &Job,
    app: &App,
) -> Result<Option<Error>, store::Error> {
    if let Some(live) = queries::active(conn, job.workspace, &app.manifest.slug).await? {
        return Ok(Some(already_running(&app.manifest, live)));
    }
    let mut session = AppSession::new(
        app.id,
        (job.workspace, job.account),
        job.id,
        (app.manifest.clone(), app.settings),
        job.created_at,
    );
    session.given.clone_from(&app.given.shown);
    let origins: Vec<(String, String)> = app
        .manifest
        .services
        .iter()
        .map(|service| (service.id.clone(), random::label()))
        .collect();
    let said = [words::created(&session), words::held(job, app.minutes)];
    table::insert(conn, &mut session, &origins, &said).await?;
    for (name, sealed) in &app.given.sealed {
        table::secrets::insert(conn, session.id, name, sealed).await?;
    }
    Ok(None)
}

/// The session that this job runs.
async fn show(
    cx: &Cx,
    conn: &mut Conn,
    job: crate::domain::id::JobId,
) -> Result<wire::Session, Error> {
    let job = find_job(conn, cx.caller.workspace, job).await?;
    let id = job
        .spec
        .app
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("{} was launched and is no app", job.id)))?;
    let session = view::find(conn, cx.caller.workspace, id).await?;
    view::show_to_caller(cx, conn, session).await
}

/// Stops a session at whatever phase it is; once it is stopping or has ended, that
/// is the answer.
pub(super) async fn stop(cx: Cx, call: Call<StopApp>) -> Result<wire::Session, Error> {
    let (workspace, id) = (cx.caller.workspace, call.path.0);
    let session = view::find(&mut *cx.store().read().await?, workspace, id).await?;
    let reason = call.body.reason.map(|text| clean(&text));
    let reason = match reason.filter(|text| !text.is_empty()) {
        Some(why) => format!("It was stopped on request: {}.", why.trim_end_matches('.')),
        None => "It was stopped on request.".to_owned(),
    };
    if let Some(job) = lifecycle::request_stop(&cx, session.job, Some(reason)).await? {
        observer::stop_run(&cx, &job).await?;
    }
    let mut conn = cx.store().read().await?;
    let session = view::find(&mut conn, workspace, id).await?;
    view::show_to_caller(&cx, &mut conn, session).await
}
