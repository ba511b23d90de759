//! What people say about a key, read field by field.
use crate::api::keys as wire;
use crate::domain::api_key::{AllowList, Scope, Scopes};
use crate::domain::text::is_invisible_order;
use crate::orchestrator::Error;
use crate::orchestrator::auth::Faults;
use time::{Duration, OffsetDateTime};

const LIFETIME: Duration = Duration::days(90);
/// Whoever wants more wants a key that never expires, and should say so.
const LONGEST: Duration = Duration::days(3_653);
const OVERLAP: Duration = Duration::DAY;
const LONGEST_OVERLAP: Duration = Duration::days(7);
const LONGEST_NAME: usize = 80;

#[derive(Debug)]
pub(super) struct NewKey {
    pub(super) name: String,
    pub(super) scopes: Scopes,
    pub(super) expires_at: Option<OffsetDateTime>,
    pub(super) allowed_ips: AllowList,
}

#[derive(Debug)]
pub(super) struct Patch {
    pub(super) name: Option<String>,
    pub(super) scopes: Option<Scopes>,
    pub(super) allowed_ips: Option<AllowList>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation {
    pub(super) overlap: Duration,
    pub(super) expires_at: Option<OffsetDateTime>,
}

pub(super) fn new_key(body: &wire::NewKey, now: OffsetDateTime) -> Result<NewKey, Error> {
    let mut faults = Faults::default();
    let name = faults.note("name", name(&body.name));
    let scopes = faults.note("scopes", scopes(&body.scopes));
    let asked = (body.expires_at, body.expires_in_days);
    let expires_at = expiry(asked, Some(now + LIFETIME), now, &mut faults);
    let allowed_ips = faults.note("allowed_ips", ranges(&body.allowed_ips));
    match (name, scopes, expires_at, allowed_ips) {
        (Some(name), Some(scopes), Some(wire::Expiry(expires_at)), Some(allowed_ips)) => {
            Ok(NewKey {
                name,
                scopes,
                expires_at,
                allowed_ips,
            })
        }
        _ => Err(faults.into_error()),
    }
}

pub(super) fn patch(body: &wire::Patch) -> Result<Patch, Error> {
    let mut faults = Faults::default();
    let patch = Patch {
        name: body
            .name
            .as_deref()
            .and_then(|given| faults.note("name", name(given))),
        scopes: body
            .scopes
            .as_deref()
            .and_then(|given| faults.note("scopes", scopes(given))),
        allowed_ips: body
            .allowed_ips
            .as_deref()
            .and_then(|given| faults.note("allowed_ips", ranges(given))),
    };
    if faults.none() {
        return Ok(patch);
    }
    Err(faults.into_error())
}

/// `lifelong` says whether the key never expired before.
pub(super) fn rotation(
    body: &wire::Rotation,
    lifelong: bool,
    now: OffsetDateTime,
) -> Result<Rotation, Error> {
    let mut faults = Faults::default();
    let overlap = match body.overlap_seconds {
        None => Some(OVERLAP),
        Some(seconds) => faults.note(
            "overlap_seconds",
            Some(seconds)
                .filter(|seconds| (0..=LONGEST_OVERLAP.whole_seconds()).contains(seconds))
                .map(Duration::seconds)
                .ok_or("Give 0 to 604,800 seconds, which is a week."),
        ),
    };
    let usual = (!lifelong).then_some(now + LIFETIME);
    let asked = (body.expires_at, body.expires_in_days);
    let expires_at = expiry(asked, usual, now, &mut faults);
    match (overlap, expires_at) {
        (Some(overlap), Some(wire::Expiry(expires_at))) => Ok(Rotation {
            overlap,
            expires_at,
        }),
        _ => Err(faults.into_error()),
    }
}

fn name(given: &str) -> Result<String, &'static str> {
    let given = given.trim();
    if given.is_empty() {
        return Err("Name the key after what will use it.");
    }
    if given.chars().count() > LONGEST_NAME {
        return Err("Use at most 80 characters.");
    }
    if given.chars().any(is_invisible_order) {
        return Err("Leave out control characters and marks that turn the direction of text.");
    }
    Ok(given.to_owned())
}

fn scopes(given: &[String]) -> Result<Scopes, String> {
    if given.is_empty() {
        return Err("Choose at least one scope.".into());
    }
    let known = given.iter().map(|name| Scope::named(name));
    known.collect::<Option<Scopes>>().ok_or_else(|| {
        let names = Scope::ALL.map(Scope::name).join(", ");
        format!("Use only scopes that there are: {names}.")
    })
}

/// The end that was asked for, or the `usual` one; a fault beside the field that
/// was used.
fn expiry(
    asked: (Option<wire::Expiry>, Option<i64>),
    usual: Option<OffsetDateTime>,
    now: OffsetDateTime,
    faults: &mut Faults,
) -> Option<wire::Expiry> {
    let (field, read) = match asked {
        (Some(_), Some(_)) => (
            "expires_in_days",
            Err("Give either expires_at or expires_in_days."),
        ),
        (None, Some(days)) if (1..=LONGEST.whole_days()).contains(&days) => {
            return Some(wire::Expiry(Some(now + Duration::days(days))));
        }
        (None, Some(_)) => (
            "expires_in_days",
            Err("Choose 1 to 3,653 days, or that the key never expires."),
        ),
        (Some(wire::Expiry(Some(at))), None) if at <= now => {
            ("expires_at", Err("Choose a time in the future."))
        }
        (Some(wire::Expiry(Some(at))), None) if at > now + LONGEST => (
            "expires_at",
            Err("Choose a time within ten years, or that the key never expires."),
        ),
        (asked, None) => ("expires_at", Ok(asked.unwrap_or(wire::Expiry(usual)))),
    };
    faults.note(field, read)
}

fn ranges(given: &[String]) -> Result<AllowList, String> {
    AllowList::parse(given.iter().map(String::as_str))
}
