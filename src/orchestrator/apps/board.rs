//! Every launch of every workspace, for the operator.
use crate::api::GetBoard;
use crate::api::apps as wire;
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};

pub(super) async fn get(_cx: Cx, _call: Call<GetBoard>) -> Result<wire::Board, Error> {
    Err(Error::Unavailable("SPINE".into()))
}
