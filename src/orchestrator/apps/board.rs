//! Every launch of every workspace, for the operator.
use super::usual::{self, Times};
use super::view::status_words;
use crate::api::GetBoard;
use crate::api::apps as wire;
use crate::api::templates::Usual;
use crate::domain::app::Phase;
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{Error, State};
use crate::store::Conn;
use crate::store::apps::queries::{self, Pending};
use std::collections::HashMap;
use time::OffsetDateTime;

/// More than anyone can look after; the oldest are shown.
const MOST: i64 = 500;

pub(super) async fn get(cx: Cx, _: Call<GetBoard>) -> Result<wire::Board, Error> {
    let mut conn = cx.store().read().await?;
    look(&cx, &mut conn).await
}

/// The board as it is now: one statement, and one for each template on it.
pub(super) async fn look(state: &State, conn: &mut Conn) -> Result<wire::Board, Error> {
    let pending = queries::pending(conn, MOST).await?;
    let mut times: HashMap<String, Times> = HashMap::new();
    for Pending { session, .. } in &pending {
        if !times.contains_key(&session.manifest.slug) {
            let of = Times::of(conn, &session.manifest).await?;
            times.insert(session.manifest.slug.clone(), of);
        }
    }
    let now = state.now();
    let grace = i64::try_from(state.config().grace.as_secs()).unwrap_or(i64::MAX);
    let mut launches: Vec<wire::Launching> = pending
        .into_iter()
        .map(|pending| {
            let usual = match pending.session.phase {
                // A polite signal, the grace, then a kill that takes no time.
                Phase::Stopping => Some(Usual {
                    low_seconds: 0,
                    high_seconds: grace.saturating_add(1),
                    samples: 0,
                }),
                phase => times
                    .get(&pending.session.manifest.slug)
                    .and_then(|times| times.in_phase(phase)),
            };
            show(pending, usual, now)
        })
        .collect();
    launches.sort_by_key(|launch| std::cmp::Reverse(urgency(launch, now)));
    Ok(wire::Board { launches })
}

fn show(pending: Pending, usual: Option<Usual>, now: OffsetDateTime) -> wire::Launching {
    let Pending {
        session,
        workspace_name,
        node,
    } = pending;
    wire::Launching {
        id: session.id,
        status: session.phase,
        status_message: status_words(&session, node.as_deref(), None),
        phase_since: session.phase_since,
        slow: usual::slow(usual, session.phase_since, now),
        usual,
        template: session.manifest.slug,
        template_name: session.manifest.name,
        mark: session.manifest.mark,
        workspace_name,
        node,
    }
}

/// Time in the phase as thousandths of the usual; after those whose usual time is
/// known, the others by their time alone.
fn urgency(launch: &wire::Launching, now: OffsetDateTime) -> (bool, i64, i64) {
    let seconds = (now - launch.phase_since).whole_seconds().max(0);
    let ratio = launch.usual.map_or(0, |usual| {
        seconds.saturating_mul(1_000) / usual.high_seconds.max(1)
    });
    (launch.slow, ratio, seconds)
}
