//! The services of each app: where they are found and whether they answer.
use crate::clock::{from_micros, micros};
use crate::domain::app::ServiceState;
use crate::domain::id::AppSessionId;
use crate::store::{Conn, Error, corrupt, places};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub session: AppSessionId,
    /// As the manifest calls it.
    pub service: String,
    /// The first label of its host name.
    pub origin: String,
    pub state: ServiceState,
    /// Checks passed in a row; where the last one failed, before that.
    pub passed: u32,
    pub checked_at: Option<OffsetDateTime>,
    /// When a check last passed, whatever came after it.
    pub answered_at: Option<OffsetDateTime>,
    /// Of the last check: `200`, `503`, `connection refused`.
    pub outcome: Option<String>,
    pub ready_at: Option<OffsetDateTime>,
}

impl Service {
    /// Whether the last check passed.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.answered_at.is_some() && self.answered_at == self.checked_at
    }

    /// Checks passed in a row up to now.
    #[must_use]
    pub fn in_a_row(&self) -> u32 {
        if self.answers() { self.passed } else { 0 }
    }

    /// Which check of a row the last one was, from 1; 0 before the first.
    #[must_use]
    pub fn check(&self) -> u32 {
        match self.checked_at {
            None => 0,
            Some(_) if self.answers() => self.passed.max(1),
            Some(_) => self.passed.saturating_add(1),
        }
    }
}

pub(super) async fn insert(
    conn: &mut Conn,
    session: AppSessionId,
    service: &str,
    origin: &str,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO app_services (session, service, origin, state) VALUES ($1, $2, $3, $4)",
    )
    .bind(session.to_string())
    .bind(service)
    .bind(origin)
    .bind(ServiceState::Waiting.name())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what the last check found, unless the session has ended meanwhile.
pub async fn update(conn: &mut Conn, service: &Service) -> Result<(), Error> {
    sqlx::query(
        "UPDATE app_services SET state = $1, passed = $2, checked_at = $3, outcome = $4,
             ready_at = $5, answered_at = $6
         WHERE session = $7 AND service = $8 AND state <> 'stopped'",
    )
    .bind(service.state.name())
    .bind(i64::from(service.passed))
    .bind(service.checked_at.map(micros))
    .bind(&service.outcome)
    .bind(service.ready_at.map(micros))
    .bind(service.answered_at.map(micros))
    .bind(service.session.to_string())
    .bind(&service.service)
    .execute(conn)
    .await?;
    Ok(())
}

/// Says of all of them that their session has ended.
pub async fn stop(conn: &mut Conn, session: AppSessionId) -> Result<(), Error> {
    sqlx::query("UPDATE app_services SET state = $1 WHERE session = $2")
        .bind(ServiceState::Stopped.name())
        .bind(session.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// In no particular order; the manifest has one.
pub async fn of(conn: &mut Conn, session: AppSessionId) -> Result<Vec<Service>, Error> {
    of_all(conn, &[session]).await
}

/// The services of all these sessions, in no particular order.
pub async fn of_all(conn: &mut Conn, sessions: &[AppSessionId]) -> Result<Vec<Service>, Error> {
    let sql = format!(
        "SELECT * FROM app_services WHERE session IN ({})",
        places(sessions.len())
    );
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(sql));
    for session in sessions {
        query = query.bind(session.to_string());
    }
    let rows = query.fetch_all(conn).await?;
    rows.into_iter().map(Service::try_from).collect()
}

/// The statement behind each new visitor of an app, for the test that looks at its plan.
pub const BY_ORIGIN: &str = "SELECT * FROM app_services WHERE origin = $1";

/// The service at exactly this origin.
pub async fn at(conn: &mut Conn, origin: &str) -> Result<Option<Service>, Error> {
    let row = sqlx::query_as::<_, Row>(BY_ORIGIN)
        .bind(origin)
        .fetch_optional(conn)
        .await?;
    row.map(Service::try_from).transpose()
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    session: String,
    service: String,
    origin: String,
    state: String,
    passed: i64,
    checked_at: Option<i64>,
    outcome: Option<String>,
    ready_at: Option<i64>,
    answered_at: Option<i64>,
}

impl TryFrom<Row> for Service {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("app_services", &row.session, why);
        Ok(Self {
            session: row.session.parse().map_err(|_| wrong("session"))?,
            state: ServiceState::named(&row.state).ok_or_else(|| wrong("state"))?,
            passed: u32::try_from(row.passed).map_err(|_| wrong("passed"))?,
            checked_at: row.checked_at.map(from_micros),
            ready_at: row.ready_at.map(from_micros),
            answered_at: row.answered_at.map(from_micros),
            service: row.service,
            origin: row.origin,
            outcome: row.outcome,
        })
    }
}
