//! Ties a handler to the endpoint that its signature names.
pub(super) use super::reading::query;
use super::{Caller, Error, State, reading};
use crate::api::openapi::TWINS;
use crate::api::{self, Endpoint, Origin};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, on as on_method};
use axum::{Extension, Json, Router};
use http::{StatusCode, Uri, header};
use serde_json::{Value, json};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

/// What the caller of endpoint `E` sent, decoded.
#[derive(Debug)]
pub(super) struct Call<E: Endpoint> {
    pub(super) path: E::Path,
    pub(super) query: E::Query,
    pub(super) body: E::Body,
    pub(super) origin: Origin,
    /// The `Idempotency-Key` header: 1 to 255 visible ASCII characters.
    pub(super) idempotency_key: Option<String>,
    /// The body as it arrived, for comparing it with that of an earlier call.
    pub(super) raw: Bytes,
}

/// The state, and on whose behalf.
#[derive(Debug)]
pub(super) struct Cx {
    pub(super) state: State,
    pub(super) caller: Caller,
}

impl Deref for Cx {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl<E: Endpoint> FromRequest<State> for Call<E> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &State) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let Path(path) = path::<E::Path>(&mut parts, state).await?;
        let query = query(&parts.uri)?;
        let origin = origin(&parts);
        let idempotency_key = idempotency_key(&parts)?;
        let raw = if parts.method == http::Method::GET {
            Bytes::new()
        } else {
            Bytes::from_request(Request::from_parts(parts, body), state)
                .await
                .map_err(|error| unreadable(&error))?
        };
        let body = reading::body::<E::Body>(&raw)?;
        Ok(Self {
            path,
            query,
            body,
            origin,
            idempotency_key,
            raw,
        })
    }
}

/// The path's parameters. An id that cannot be one is as missing as one that was
/// never given.
pub(super) async fn path<P>(
    parts: &mut http::request::Parts,
    state: &State,
) -> Result<Path<P>, Error>
where
    P: serde::de::DeserializeOwned + Send,
{
    Path::from_request_parts(parts, state)
        .await
        .map_err(|_| Error::NotFound("There is nothing under this id.".into()))
}

fn unreadable(error: &axum::extract::rejection::BytesRejection) -> Error {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Error::BadRequest("The body is too large.".into());
    }
    Error::BadRequest("The body could not be read to its end.".into())
}

fn idempotency_key(parts: &http::request::Parts) -> Result<Option<String>, Error> {
    let Some(value) = parts.headers.get("idempotency-key") else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()))
        .map(|key| Some(key.to_owned()))
        .ok_or_else(|| {
            Error::BadRequest("Idempotency-Key must be 1 to 255 visible ASCII characters.".into())
        })
}

/// Where the request came from: as the portal passed it on, or as the server saw it.
pub(super) fn origin(parts: &http::request::Parts) -> Origin {
    if let Some(origin) = parts.extensions.get::<Origin>() {
        return origin.clone();
    }
    let ip = parts
        .extensions
        .get::<crate::domain::peer::Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let agent = parts
        .headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    Origin {
        ip,
        agent: agent.unwrap_or_default().chars().take(200).collect(),
    }
}

/// Routes the endpoint that `handler` takes a [`Call`] of, for callers who may.
///
/// The compiler checks that the handler's reply is the contract's.
pub(super) fn on<E, H, F>(handler: H) -> Router<State>
where
    E: Endpoint,
    H: Fn(Cx, Call<E>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<E::Reply, Error>> + Send + 'static,
{
    at(E::PATH, handler, bare::<E>)
}

/// Routes it bare under `/v1/jobs` and enveloped under `/v1/mcp/jobs`.
///
/// # Panics
///
/// If it is not in [`TWINS`].
pub(super) fn on_both<E, H, F>(handler: H) -> Router<State>
where
    E: Endpoint,
    H: Fn(Cx, Call<E>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<E::Reply, Error>> + Send + 'static,
{
    assert!(
        TWINS.contains(&(E::METHOD, E::PATH)),
        "{} is no twin",
        E::PATH
    );
    let enveloped_path = E::PATH.replacen("/v1/", "/v1/mcp/", 1);
    at(E::PATH, handler.clone(), bare::<E>).merge(at(&enveloped_path, handler, enveloped::<E>))
}

/// Routes an endpoint that anyone may call.
pub(super) fn public<E, H, F>(handler: H) -> Router<State>
where
    E: Endpoint,
    H: Fn(State, Call<E>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<E::Reply, Error>> + Send + 'static,
{
    let run = async move |axum::extract::State(state): axum::extract::State<State>,
                          call: Result<Call<E>, Error>| {
        let reply = match call {
            Ok(call) => handler(state, call).await,
            Err(error) => Err(error),
        };
        bare::<E>(reply)
    };
    Router::new().route(E::PATH, on_method(filter::<E>(), run))
}

fn at<E, H, F>(
    path: &str,
    handler: H,
    answer: fn(Result<E::Reply, Error>) -> Response,
) -> Router<State>
where
    E: Endpoint,
    H: Fn(Cx, Call<E>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<E::Reply, Error>> + Send + 'static,
{
    let run = async move |axum::extract::State(state): axum::extract::State<State>,
                          caller: Result<Caller, Error>,
                          call: Result<Call<E>, Error>| {
        let reply = match (caller, call) {
            (Ok(caller), Ok(call)) => handler(Cx { state, caller }, call).await,
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        answer(reply)
    };
    let run = on_method(filter::<E>(), run).layer(Extension(E::ACCESS));
    Router::new().route(path, run)
}

/// Routes what answers in another way than with JSON, for those who may call it
/// according to [`api::RAW`].
///
/// # Panics
///
/// If the path is not in that table.
pub(super) fn raw(path: &str, run: MethodRouter<State>) -> Router<State> {
    let known = api::RAW.iter().find(|(_, at, _)| *at == path);
    let (_, _, access) = known.expect("a path of the table of raw operations");
    Router::new().route(path, run.layer(Extension(*access)))
}

/// The same routes, with an answer in JSON for every path below `/v1` and `/auth`
/// that none of them has, and for every method that one of them does not take.
pub(super) fn closed(routes: Router<State>) -> Router<State> {
    ["/v1", "/auth"]
        .into_iter()
        .fold(routes, |routes, root| {
            routes
                .route(root, any(missing))
                .route(&format!("{root}/"), any(missing))
                .route(&format!("{root}/{{*rest}}"), any(missing))
        })
        .method_not_allowed_fallback(not_that_method)
}

async fn missing(uri: Uri) -> Response {
    let error = Error::NotFound("There is no such operation. See the API's documentation.".into());
    in_the_style_of(&uri, error)
}

async fn not_that_method(uri: Uri) -> Response {
    in_the_style_of(&uri, Error::MethodNotAllowed)
}

fn in_the_style_of(uri: &Uri, error: Error) -> Response {
    if uri.path().starts_with("/v1/mcp/") {
        return error.into_enveloped_response();
    }
    error.into_response()
}

fn filter<E: Endpoint>() -> MethodFilter {
    MethodFilter::try_from(E::METHOD).expect("a standard method")
}

fn status<E: Endpoint>() -> StatusCode {
    StatusCode::from_u16(E::STATUS).expect("a status code in the table")
}

fn bare<E: Endpoint>(reply: Result<E::Reply, Error>) -> Response {
    match reply {
        Ok(reply) => (status::<E>(), no_store(), Json(reply)).into_response(),
        Err(error) => error.into_response(),
    }
}

/// `{"ok":true,"data":…}`, as the clients of `/v1/mcp` unwrap it.
fn enveloped<E: Endpoint>(reply: Result<E::Reply, Error>) -> Response {
    let reply = reply.and_then(|reply| {
        serde_json::to_value(reply).map_err(|error| Error::Internal(error.into()))
    });
    match reply {
        Ok(mut data) => {
            for_strict_clients(&mut data);
            (
                status::<E>(),
                no_store(),
                Json(json!({ "ok": true, "data": data })),
            )
                .into_response()
        }
        Err(error) => error.into_enveloped_response(),
    }
}

/// Contract 7.2: here the estimated cost is an object.
fn for_strict_clients(data: &mut Value) {
    if let Some(jobs) = data.get_mut("jobs").and_then(Value::as_array_mut) {
        jobs.iter_mut().for_each(for_strict_clients);
    }
    let Some(object) = data.as_object_mut() else {
        return;
    };
    if object.contains_key("estimated_cost_usd") {
        let bound = |name: &str| object.get(name).cloned().unwrap_or_else(|| json!(0.0));
        let range = json!({
            "min": bound("estimated_cost_min_usd"),
            "max": bound("estimated_cost_max_usd"),
        });
        object.insert("estimated_cost_usd".into(), range);
    }
}

fn no_store() -> [(header::HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}
