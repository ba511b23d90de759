//! How a request reaches the orchestrator: in this process, or over HTTP.
use crate::api;
use axum::body::Body;
use http::{HeaderValue, Request, Response, header};
use std::convert::Infallible;
use std::task::{Context, Poll};
use tower::{BoxError, Service, ServiceExt as _, util::BoxCloneSyncService};

/// A [`Service`] from HTTP request to HTTP response, whichever way it goes.
#[derive(Debug, Clone)]
pub(super) struct Transport(BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>);

impl Transport {
    pub(super) fn in_process(orchestrator: axum::Router) -> Self {
        let service = orchestrator
            .into_service::<Body>()
            .map_err(|never: Infallible| match never {});
        Self(BoxCloneSyncService::new(service))
    }

    pub(super) fn remote(http: reqwest::Client, base: url::Url) -> Self {
        let service = tower::service_fn(move |request: Request<Body>| {
            let (http, base) = (http.clone(), base.clone());
            async move {
                let (mut parts, body) = request.into_parts();
                if let Some(origin) = parts.extensions.get::<api::Origin>() {
                    let forwarded = HeaderValue::try_from(origin.ip.to_string())?;
                    parts.headers.insert("x-forwarded-for", forwarded);
                    if let Ok(agent) = HeaderValue::try_from(&origin.agent) {
                        parts.headers.insert(header::USER_AGENT, agent);
                    }
                }
                let target = base.join(&parts.uri.to_string())?;
                let answer = http
                    .request(parts.method, target)
                    .headers(parts.headers)
                    .body(reqwest::Body::wrap_stream(body.into_data_stream()))
                    .send()
                    .await?;
                Ok::<_, BoxError>(Response::from(answer).map(Body::new))
            }
        });
        Self(BoxCloneSyncService::new(service))
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = <BoxCloneSyncService<Request<Body>, Response<Body>, BoxError> as Service<
        Request<Body>,
    >>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}
