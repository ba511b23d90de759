//! What is given at a launch for the variables that a template asks for. Secrets lie
//! in the database sealed, each for its session and variable, and go a week after the
//! session has ended.
use super::{secrets, templates};
use crate::api::apps as wire;
use crate::domain::id::AppSessionId;
use crate::domain::secret::{Masks, Secret};
use crate::domain::template::settings::Given;
use crate::domain::template::{Manifest, Variable};
use crate::orchestrator::{Error, State, seal};
use crate::random;
use crate::store::apps::services::Service;
use crate::store::apps::{self as table, AppSession};
use crate::store::jobs::Job;
use crate::store::{self, Conn};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// After the end of its session, so that it can be launched again as it was.
pub(in crate::orchestrator) const SECRETS_KEPT: Duration = Duration::days(7);

/// Values as they are stored.
#[derive(Debug, Clone, Default)]
pub(in crate::orchestrator) struct Kept {
    /// Of secrets only that there is one.
    pub(super) shown: BTreeMap<String, Option<String>>,
    pub(super) sealed: Vec<(String, String)>,
}

fn place(session: AppSessionId, name: &str) -> String {
    format!("app_secrets|sealed|{session}|{name}")
}

/// `given`, checked and sealed for the session that is launched with it.
///
/// # Errors
///
/// [`Error::Invalid`] with everything that is wrong, by `settings.NAME`; `lost` are
/// secrets that an earlier session was launched with and that are gone.
pub(super) fn taken(
    state: &State,
    session: AppSessionId,
    manifest: &Manifest,
    given: Given,
    lost: Vec<String>,
) -> Result<Kept, Error> {
    let mut wrong = manifest.check_settings(&given);
    for name in lost {
        let why = "The one that was given before is not kept any more: enter it again.";
        wrong.insert(name, why.to_owned());
    }
    if !wrong.is_empty() {
        let path = |(name, why)| (format!("settings.{name}"), why);
        return Err(templates::invalid(wrong.into_iter().map(path).collect()));
    }
    let mut kept = Kept::default();
    for (name, value) in given {
        let value = value.expose();
        if value.is_empty() {
            continue;
        }
        let secret = manifest.settings().any(|of| of.name == name && of.secret);
        if secret {
            let sealed = seal::seal(state, &place(session, &name), value);
            kept.sealed.push((name.clone(), sealed));
        }
        kept.shown.insert(name, (!secret).then(|| value.to_owned()));
    }
    Ok(kept)
}

/// What an earlier session was given and a launch of `manifest` can take over; and the
/// secrets among it that are gone.
pub(super) async fn again(
    state: &State,
    conn: &mut Conn,
    earlier: &AppSession,
    manifest: &Manifest,
) -> Result<(Given, Vec<String>), Error> {
    let values = values(state, conn, earlier).await?;
    let (mut given, mut lost) = (Given::new(), Vec::new());
    for (name, said) in &earlier.given {
        let asked = manifest.settings().find(|variable| variable.name == *name);
        // What was given as a secret is not shown because its template has changed since.
        if asked.is_none_or(|variable| said.is_none() && !variable.secret) {
            continue;
        }
        match values.get(name) {
            Some(value) => drop(given.insert(name.clone(), value.clone())),
            None => lost.push(name.clone()),
        }
    }
    Ok((given, lost))
}

/// The values that were given at the launch, secrets among them as far as they are kept.
async fn values(state: &State, conn: &mut Conn, session: &AppSession) -> Result<Given, Error> {
    let plain = session.given.iter();
    let mut values: Given = plain
        .filter_map(|(name, value)| Some((name.clone(), Secret::from(value.clone()?))))
        .collect();
    if values.len() == session.given.len() {
        return Ok(values);
    }
    for (name, sealed) in table::secrets::of(conn, session.id).await? {
        match seal::open(state, &place(session.id, &name), &sealed) {
            Ok(value) => drop(values.insert(name, Secret::from(value))),
            Err(error) => tracing::error!(%error, session = %session.id, name, "a secret is lost"),
        }
    }
    Ok(values)
}

/// Why an app cannot be started as it was launched: secrets that do not open.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} cannot be read any more, because the server's key has changed; \
     launch it again and enter {} anew", .0.join(" and "), if .0.len() == 1 { "it" } else { "them" }
)]
pub(in crate::orchestrator) struct Lost(Vec<String>);

/// What each variable of the session's manifest is set to.
///
/// # Errors
///
/// The inner one if something that was given at the launch is lost.
pub(super) async fn variables(
    state: &State,
    conn: &mut Conn,
    session: &AppSession,
    services: &[Service],
) -> Result<Result<BTreeMap<String, String>, Lost>, Error> {
    let given = values(state, conn, session).await?;
    let lost = session
        .given
        .keys()
        .filter(|name| !given.contains_key(*name));
    let lost: Vec<_> = lost.cloned().collect();
    Ok(if lost.is_empty() {
        Ok(set(state, session, &given, services))
    } else {
        Err(Lost(lost))
    })
}

/// The same of an app that runs, as far as that is still known; without its services'
/// addresses.
pub(super) async fn known(
    state: &State,
    conn: &mut Conn,
    session: &AppSession,
) -> Result<BTreeMap<String, String>, Error> {
    let given = values(state, conn, session).await?;
    Ok(set(state, session, &given, &[]))
}

fn set(
    state: &State,
    session: &AppSession,
    given: &Given,
    services: &[Service],
) -> BTreeMap<String, String> {
    let env = session.manifest.env.iter();
    let set = env.filter_map(|variable| {
        let value = value(state, session.id, variable, given, services)?;
        Some((variable.name.clone(), value))
    });
    set.collect()
}

fn value(
    state: &State,
    session: AppSessionId,
    variable: &Variable,
    given: &Given,
    services: &[Service],
) -> Option<String> {
    if variable.generated {
        return Some(secrets::generated(state, session, &variable.name));
    }
    if variable.asked() {
        let said = given.get(&variable.name).map(Secret::expose);
        let value = said.or(variable.default.as_deref()).unwrap_or_default();
        return (!value.is_empty()).then(|| value.to_owned());
    }
    let origin = |value: String, service: &Service| {
        let origin = state.config().app_url.replace('*', &service.origin);
        value.replace(&format!("{{origin:{}}}", service.service), &origin)
    };
    Some(services.iter().fold(variable.value.clone(), origin))
}

/// What must not be read in the output of this job: the secrets of the app that it runs, as
/// they are and as the proxy signs in with them. `None` if that cannot be known, because what
/// the database has of the app cannot be read.
pub(in crate::orchestrator) async fn masks(
    state: &State,
    job: &Job,
) -> Result<Option<Masks>, Error> {
    let mut masks = Masks::default();
    let Some(id) = job.spec.app else {
        return Ok(Some(masks));
    };
    let mut conn = state.store().read().await?;
    let session = match table::find_for_worker(&mut conn, id).await {
        Err(error @ store::Error::Corrupt { .. }) => {
            tracing::error!(%error, job = %job.id, "its output is not read");
            return Ok(None);
        }
        found => found?,
    };
    let session = session.ok_or_else(|| store::corrupt("jobs", &job.id.to_string(), "app"))?;
    let values = known(state, &mut conn, &session).await?;
    for variable in &session.manifest.env {
        if let Some(value) = values.get(&variable.name)
            && (variable.secret || variable.generated)
        {
            masks.add(&variable.name, value, random::base64);
            for user in session.manifest.signs_in_as(&variable.name) {
                let pair = format!("{user}:{value}");
                masks.add_encoded(&variable.name, &pair, random::base64);
            }
        }
    }
    Ok(Some(masks))
}

/// What a page may show of it.
pub(super) fn shown(session: &AppSession, now: OffsetDateTime) -> Vec<wire::Setting> {
    let gone = session.ended_at.is_some_and(|at| at + SECRETS_KEPT <= now);
    let settings = session.manifest.settings().filter_map(|variable| {
        let given = session.given.get(&variable.name);
        let value = match given {
            Some(value) => value.clone(),
            None => Some(variable.default.clone().filter(|text| !text.is_empty())?),
        };
        Some(wire::Setting {
            name: variable.name.clone(),
            label: variable.title().to_owned(),
            secret: variable.secret,
            kept: !(variable.secret && gone),
            value: value.filter(|_| !variable.secret),
        })
    });
    settings.collect()
}
