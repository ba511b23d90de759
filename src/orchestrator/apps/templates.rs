//! What can be launched, what it needs, and what it would cost.
use crate::api::templates as wire;
use crate::api::{EstimateTemplate, GetTemplate, ListTemplates};
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};

pub(super) async fn list(_cx: Cx, _call: Call<ListTemplates>) -> Result<wire::List, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn get(_cx: Cx, _call: Call<GetTemplate>) -> Result<wire::Template, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn estimate(
    _cx: Cx,
    _call: Call<EstimateTemplate>,
) -> Result<wire::Estimate, Error> {
    Err(Error::Unavailable("SPINE".into()))
}
