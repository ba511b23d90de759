//! Apps as they go over the wire.
use crate::api::apps as wire;
use crate::api::{GetApp, ListAppEvents, ListApps};
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};

pub(super) async fn list(_cx: Cx, _call: Call<ListApps>) -> Result<wire::List, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn get(_cx: Cx, _call: Call<GetApp>) -> Result<wire::Session, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn events(_cx: Cx, _call: Call<ListAppEvents>) -> Result<wire::Events, Error> {
    Err(Error::Unavailable("SPINE".into()))
}
