//! Apps on their own origins: `http(s)://<random>.<apps domain>`.
use crate::orchestrator::State;
use crate::orchestrator::apps::{Answer, Gate, Question};
use async_trait::async_trait;
use axum::body::Body;
use http::{Request, Response};
use std::sync::Arc;

/// Where browsers reach portal and apps.
#[derive(Debug, Clone)]
pub struct Config {
    /// The portal's origin, such as `http://127.0.0.1:8080`.
    pub portal: String,
    /// What follows an app's label, with the port if it is not the scheme's own:
    /// `.apps.localhost:8080`.
    pub suffix: String,
    pub secure: bool,
}

/// Passes requests on to apps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxy(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    #[expect(dead_code, reason = "SPINE")]
    state: State,
    #[expect(dead_code, reason = "SPINE")]
    config: Config,
}

impl Proxy {
    #[must_use]
    pub fn new(state: State, config: Config) -> Self {
        Self(Arc::new(Shared { state, config }))
    }

    /// Answers a request to the app with this label.
    pub async fn answer(&self, _label: &str, _request: Request<Body>) -> Response<Body> {
        let _ = &self.0;
        let mut response = Response::new(Body::from("There is no app here.\n"));
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response
    }
}

#[async_trait]
impl Gate for Proxy {
    async fn probe(&self, _origin: &str, _question: Question) -> Result<Answer, String> {
        Err("not reachable yet".into())
    }
}
