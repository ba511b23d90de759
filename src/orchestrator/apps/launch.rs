//! Launching, stopping and extending apps.
use crate::api::apps as wire;
use crate::api::{ExtendApp, LaunchApp, StopApp};
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};

pub(super) async fn launch(_cx: Cx, _call: Call<LaunchApp>) -> Result<wire::Session, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn stop(_cx: Cx, _call: Call<StopApp>) -> Result<wire::Session, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn extend(_cx: Cx, _call: Call<ExtendApp>) -> Result<wire::Extension, Error> {
    Err(Error::Unavailable("SPINE".into()))
}
