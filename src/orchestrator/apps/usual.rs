//! How long the phases of a launch usually take: as our own history says, else
//! as the template does.
use crate::api::templates::Usual;
use crate::domain::app::Phase;
use crate::domain::template::Manifest;
use crate::orchestrator::Error;
use crate::store::Conn;
use crate::store::apps::queries::{self, Sample};
use time::OffsetDateTime;

/// Launches that are looked at.
const NEWEST: i64 = 50;
/// So few launches say nothing about the next.
const ENOUGH: usize = 3;
/// A phase that is over sooner is never called slow: nobody waits for it.
const UNNOTICED: i64 = 5;

/// Of one template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// For capacity; only history can say.
    wait: Option<Usual>,
    image: Usual,
    start: Usual,
    services: Usual,
    pulls: bool,
}

impl Times {
    pub(super) async fn of(conn: &mut Conn, manifest: &Manifest) -> Result<Self, Error> {
        let samples = queries::samples(conn, &manifest.slug, NEWEST).await?;
        Ok(Self::from(manifest, &samples))
    }

    fn from(manifest: &Manifest, samples: &[Sample]) -> Self {
        let phases = &manifest.phases;
        let seconds = |span: fn(&Sample) -> Option<(OffsetDateTime, OffsetDateTime)>| {
            let spans = samples.iter().filter_map(span);
            seen(
                spans
                    .map(|(from, to)| (to - from).whole_seconds())
                    .collect(),
            )
        };
        let image = seconds(|s| Some((s.image?, s.starting?)));
        // On the machine's own system there is nothing in front of the start.
        let start = if manifest.runs_on_host() {
            seconds(|s| Some((s.reserved?, s.started?)))
        } else {
            seconds(|s| Some((s.starting?, s.started?)))
        };
        Self {
            wait: seconds(|s| Some((s.created, s.reserved?))),
            image: image.unwrap_or_else(|| said(phases.image)),
            start: start.unwrap_or_else(|| said(phases.start)),
            services: seconds(|s| Some((s.started?, s.ready)))
                .unwrap_or_else(|| said(phases.services)),
            pulls: !manifest.runs_on_host(),
        }
    }

    /// How long a session usually stays in this phase, if it is to leave it.
    pub(super) const fn in_phase(&self, phase: Phase) -> Option<Usual> {
        match phase {
            Phase::Created => self.wait,
            Phase::Reserved if self.pulls => Some(self.image),
            Phase::Image => Some(self.image),
            Phase::Reserved | Phase::Starting => Some(self.start),
            Phase::Services => Some(self.services),
            Phase::Running | Phase::Stopping | Phase::Ended | Phase::Failed | Phase::Expired => {
                None
            }
        }
    }
}

/// Whether something that began at `since` takes longer than that.
pub(super) fn slow(usual: Option<Usual>, since: OffsetDateTime, now: OffsetDateTime) -> bool {
    usual.is_some_and(|usual| (now - since).whole_seconds() > usual.high_seconds)
}

fn said((low, high): (u32, u32)) -> Usual {
    Usual {
        low_seconds: low.into(),
        high_seconds: high.max(low).into(),
        samples: 0,
    }
}

/// The middle of what has been seen: without the quickest quarter and the slowest
/// tenth.
fn seen(mut seconds: Vec<i64>) -> Option<Usual> {
    if seconds.len() < ENOUGH {
        return None;
    }
    seconds.sort_unstable();
    let last = seconds.len() - 1;
    Some(Usual {
        low_seconds: seconds[last / 4].max(0),
        high_seconds: seconds[(last * 9).div_ceil(10)].max(UNNOTICED),
        samples: i64::try_from(seconds.len()).unwrap_or(i64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_launches_say_nothing_and_outliers_little() {
        assert_eq!(seen(vec![10, 20]), None);
        let of = |seconds: Vec<i64>| {
            let usual = seen(seconds).unwrap();
            (usual.low_seconds, usual.high_seconds, usual.samples)
        };
        assert_eq!(of(vec![30, 10, 20]), (10, 30, 3));
        assert_eq!(of((1..=40).rev().collect()), (10, 37, 40));
        assert_eq!(of(vec![-1, 0, 1]), (0, UNNOTICED, 3));
    }

    #[test]
    fn slow_is_what_takes_longer_than_the_upper_end() {
        let since = OffsetDateTime::UNIX_EPOCH;
        let after = |seconds| since + time::Duration::seconds(seconds);
        let usual = Some(said((2, 8)));
        assert!(!slow(usual, since, after(8)));
        assert!(slow(usual, since, after(9)));
        assert!(!slow(None, since, after(9_000)));
    }
}
