//! What is taken on each machine.
use crate::domain::spec::JobSpec;
use crate::store::{Conn, Error};
use std::collections::BTreeMap;

/// The statement behind [`by_node`], for the test that looks at its plan.
pub const BY_NODE: &str = "SELECT r.node, j.spec FROM runs r JOIN jobs j ON j.id = r.job
     WHERE r.state IN ('intent', 'submitted')";

/// What runs have of one machine, also those whose job has ended and that are still
/// being cleared away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    pub slots: u32,
    pub gpus: u32,
}

/// By the name of the machine. A job that cannot be read takes its slot all the same.
pub async fn by_node(conn: &mut Conn) -> Result<BTreeMap<String, Taken>, Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(BY_NODE).fetch_all(conn).await?;
    let mut taken: BTreeMap<String, Taken> = BTreeMap::new();
    for (node, spec) in rows {
        let spec = serde_json::from_str::<JobSpec>(&spec);
        let one = taken.entry(node).or_default();
        one.slots = one.slots.saturating_add(1);
        one.gpus = one
            .gpus
            .saturating_add(spec.map_or(0, |spec| spec.resources.gpus()));
    }
    Ok(taken)
}
