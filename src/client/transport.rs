//! How a request reaches the orchestrator: in this process, or over HTTP.
use crate::api;
use axum::body::Body;
use futures_util::StreamExt as _;
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body as _;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tower::{BoxError, Service, ServiceExt as _, util::BoxCloneSyncService};

/// A call over HTTP takes no longer than this; of what streams, so does the beginning of
/// the answer. Cancelling many jobs at once is what takes longest.
const LONGEST: Duration = Duration::from_mins(1);

/// Marks a request as a call: small, and answered with one small object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call;

/// A [`Service`] from HTTP request to HTTP response, whichever way it goes.
#[derive(Debug, Clone)]
pub(super) struct Transport(BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>);

impl Transport {
    pub(super) fn in_process(orchestrator: axum::Router) -> Self {
        let service = orchestrator
            .into_service::<Body>()
            .map_response(|answer: Response<Body>| {
                if streams(&answer) {
                    answer.map(read_on)
                } else {
                    answer
                }
            })
            .map_err(|never: Infallible| match never {});
        Self(BoxCloneSyncService::new(service))
    }

    pub(super) fn remote(http: reqwest::Client, base: url::Url) -> Self {
        Self::patient(http, base, LONGEST)
    }

    fn patient(http: reqwest::Client, base: url::Url, longest: Duration) -> Self {
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
                // How long it takes to send a file is nobody's fault.
                let uploads = parts.method == Method::PUT;
                let mut request = http.request(parts.method, target);
                if parts.extensions.get::<Call>().is_some() {
                    request = request.timeout(longest);
                }
                match body.size_hint().exact() {
                    Some(0) => {}
                    Some(length) => {
                        parts.headers.insert(header::CONTENT_LENGTH, length.into());
                        request = request.body(sent(body));
                    }
                    None => request = request.body(sent(body)),
                }
                let answer = request.headers(parts.headers).send();
                let answer = if uploads {
                    answer.await?
                } else {
                    tokio::time::timeout(longest, answer).await??
                };
                Ok::<_, BoxError>(Response::from(answer).map(Body::new))
            }
        });
        Self(BoxCloneSyncService::new(service))
    }
}

fn streams(answer: &Response<Body>) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Has a task of its own read on. Who follows something asks other things in between,
/// and what nobody reads on meanwhile would keep the connection to the database that it
/// was just using: when many do so at once, the very one that the answer waits for.
fn read_on(body: Body) -> Body {
    let (pass, pieces) = mpsc::channel(1);
    let mut stream = body.into_data_stream();
    let reads = AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(piece) = stream.next().await {
            if pass.send(piece).await.is_err() {
                break;
            }
        }
    }));
    let pieces = ReceiverStream::new(pieces).map(move |piece| {
        let _ = &reads;
        piece
    });
    Body::from_stream(pieces)
}

fn sent(body: Body) -> reqwest::Body {
    reqwest::Body::wrap_stream(body.into_data_stream())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    const SHORT: Duration = Duration::from_secs(2);

    /// Answers `/slow` with one byte every 500 ms, six times; takes a body before it
    /// answers anything else; and never answers `/never`.
    async fn server() -> SocketAddr {
        use axum::routing::{any, get};
        let slow = get(async || {
            let pieces = futures_util::stream::iter(0..6).then(async |_| {
                tokio::time::sleep(Duration::from_millis(500)).await;
                Ok::<_, Infallible>("x")
            });
            Body::from_stream(pieces)
        });
        let never = get(std::future::pending::<()>);
        let takes = any(async |body: axum::body::Bytes| body.len().to_string());
        let router = axum::Router::new()
            .route("/slow", slow)
            .route("/never", never)
            .fallback_service(takes);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[expect(clippy::disallowed_methods, reason = "nothing but a test leaves here")]
    fn http() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::new()
    }

    async fn ask(method: Method, path: &str, call: bool, body: Body) -> Result<String, BoxError> {
        let base = format!("http://{}", server().await).parse().unwrap();
        let transport = Transport::patient(http(), base, SHORT);
        let mut request = Request::builder().method(method).uri(path);
        if call {
            request = request.extension(Call);
        }
        let answer = transport.oneshot(request.body(body).unwrap()).await?;
        let bytes = axum::body::to_bytes(answer.into_body(), 1_000).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_streams_takes_as_long_as_it_takes() {
        let slow = ask(Method::GET, "/slow", false, Body::empty()).await;
        assert_eq!(slow.unwrap(), "xxxxxx");
        let pieces = futures_util::stream::iter(0..6).then(async |_| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok::<_, Infallible>("xx")
        });
        let sent = ask(Method::PUT, "/file", false, Body::from_stream(pieces)).await;
        assert_eq!(sent.unwrap(), "12");
    }

    #[tokio::test]
    async fn what_is_asked_is_answered_in_time_or_not() {
        for call in [true, false] {
            assert!(
                ask(Method::GET, "/never", call, Body::empty())
                    .await
                    .is_err()
            );
        }
        assert!(
            ask(Method::GET, "/slow", true, Body::empty())
                .await
                .is_err()
        );
        let posted = ask(Method::POST, "/", true, Body::from("{}")).await;
        assert_eq!(posted.unwrap(), "2");
    }
}
