//! The portal's only way to the orchestrator.
mod content;
mod sse;
mod transport;

use crate::api::{self, Endpoint, PathValues as _, Problem};
use crate::domain::id::{ApiKeyId, AppSessionId, ArtifactId, DraftId, InputId, JobId};
use axum::body::Body;
use futures_util::Stream;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use std::collections::BTreeMap;
use tower::ServiceExt as _;
use transport::Transport;

/// No answer of the API is larger than this.
const LARGEST_REPLY: usize = 16 * 1024 * 1024;

/// Calls the orchestrator on behalf of one bearer, or of nobody.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    bearer: Option<HeaderValue>,
    origin: Option<api::Origin>,
    idempotency_key: Option<HeaderValue>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The orchestrator understood and said no.
    #[error("{status}: {}", problem.message)]
    Refused {
        status: StatusCode,
        problem: Problem,
    },
    /// The orchestrator could not be reached, or broke off.
    #[error("the orchestrator did not answer")]
    Unreachable(#[source] tower::BoxError),
    /// It answered with something that the contract does not allow.
    #[error("the orchestrator answered out of contract")]
    OutOfContract(#[source] serde_json::Error),
}

impl Error {
    /// The refusal's status, if it is one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unreachable(_) | Self::OutOfContract(_) => None,
        }
    }
}

/// The calls of the API, one method each.
macro_rules! calls {
    ($( $name:ident($($arg:ident: $kind:ty),*) => $endpoint:ident($path:expr, $query:expr, $body:expr); )+) => {
        impl Client {$(
            pub async fn $name(&self, $($arg: $kind),*) -> Result<<api::$endpoint as Endpoint>::Reply, Error> {
                self.call::<api::$endpoint>($path, $query, $body).await
            }
        )+}
    };
}

calls! {
    register(body: &api::accounts::Registration) => Register((), &(), Some(body));
    verify_otp(body: &api::accounts::Verification) => VerifyOtp((), &(), Some(body));
    resend_otp(body: &api::accounts::Resend) => ResendOtp((), &(), Some(body));
    sign_in(body: &api::accounts::Credentials) => SignIn((), &(), Some(body));
    sign_out() => SignOut((), &(), None);
    session() => GetSession((), &(), None);
    forgot_password(body: &api::accounts::Forgotten) => ForgotPassword((), &(), Some(body));
    reset_password(body: &api::accounts::Reset) => ResetPassword((), &(), Some(body));
    estimate(content: &api::jobs::Content) => EstimateJob((), &(), Some(content));
    submit(content: &api::jobs::Content) => SubmitJob((), &(), Some(content));
    jobs(filter: &api::jobs::Filter) => ListJobs((), filter, None);
    job(id: JobId) => GetJob((id,), &(), None);
    runtime(id: JobId) => GetRuntime((id,), &(), None);
    events(id: JobId, filter: &api::jobs::EventFilter) => ListEvents((id,), filter, None);
    logs(id: JobId, filter: &api::logs::Filter) => ListLogs((id,), filter, None);
    all_logs(filter: &api::logs::AllFilter) => ListAllLogs((), filter, None);
    cancel(id: JobId, body: &api::jobs::Cancellation) => CancelJob((id,), &(), Some(body));
    callback(id: JobId) => GetCallback((id,), &(), None);
    callback_secret() => GetCallbackSecret((), &(), None);
    rotate_callback_secret(body: &api::callbacks::Rotation) => RotateCallbackSecret((), &(), Some(body));
    send_callback(id: JobId) => SendCallback((id,), &(), None);
    cancel_jobs(body: &api::bulk::Cancellation) => CancelJobs((), &(), Some(body));
    job_content(id: JobId) => GetJobContent((id,), &(), None);
    create_draft(body: &api::drafts::NewDraft) => CreateDraft((), &(), Some(body));
    drafts() => ListDrafts((), &(), None);
    draft(id: DraftId) => GetDraft((id,), &(), None);
    patch_draft(id: DraftId, body: &api::drafts::Patch) => PatchDraft((id,), &(), Some(body));
    delete_draft(id: DraftId) => DeleteDraft((id,), &(), None);
    estimate_draft(id: DraftId) => EstimateDraft((id,), &(), None);
    acknowledge_draft(id: DraftId, body: &api::drafts::Acknowledgement) => AcknowledgeDraft((id,), &(), Some(body));
    submit_draft(id: DraftId) => SubmitDraft((id,), &(), None);
    nodes() => ListNodes((), &(), None);
    gpu_catalogue() => GetGpuCatalogue((), &(), None);
    overview() => GetOverview((), &(), None);
    balance() => GetBalance((), &(), None);
    templates() => ListTemplates((), &(), None);
    template(slug: &str) => GetTemplate((slug.to_owned(),), &(), None);
    estimate_template(slug: &str, choices: &api::templates::Choices) => EstimateTemplate((slug.to_owned(),), &(), Some(choices));
    launch(body: &api::apps::Launch) => LaunchApp((), &(), Some(body));
    apps(filter: &api::apps::Filter) => ListApps((), filter, None);
    app(id: AppSessionId) => GetApp((id,), &(), None);
    app_events(id: AppSessionId, filter: &api::apps::EventFilter) => ListAppEvents((id,), filter, None);
    stop_app(id: AppSessionId, body: &api::apps::Stop) => StopApp((id,), &(), Some(body));
    extend_app(id: AppSessionId, body: &api::apps::Extend) => ExtendApp((id,), &(), Some(body));
    open_app(id: AppSessionId, body: &api::apps::Open) => OpenApp((id,), &(), Some(body));
    board() => GetBoard((), &(), None);
    create_key(body: &api::keys::NewKey) => CreateKey((), &(), Some(body));
    keys(filter: &api::keys::Filter) => ListKeys((), filter, None);
    key(id: ApiKeyId) => GetKey((id,), &(), None);
    patch_key(id: ApiKeyId, body: &api::keys::Patch) => PatchKey((id,), &(), Some(body));
    revoke_key(id: ApiKeyId) => RevokeKey((id,), &(), None);
    rotate_key(id: ApiKeyId, body: &api::keys::Rotation) => RotateKey((id,), &(), Some(body));
    disable_key(id: ApiKeyId) => DisableKey((id,), &(), None);
    enable_key(id: ApiKeyId) => EnableKey((id,), &(), None);
    create_input(body: &api::inputs::NewInput) => CreateInput((), &(), Some(body));
    inputs(filter: &api::inputs::Filter) => ListInputs((), filter, None);
    input(id: InputId) => GetInput((id,), &(), None);
    complete_input(id: InputId, body: &api::inputs::Completion) => CompleteInput((id,), &(), Some(body));
    delete_input(id: InputId) => DeleteInput((id,), &(), None);
    artifacts(job: JobId) => ListArtifacts((job,), &(), None);
    download_artifact(job: JobId, id: ArtifactId) => DownloadArtifact((job, id), &(), None);
    all_artifacts(filter: &api::artifacts::Filter) => ListAllArtifacts((), filter, None);
    artifact(id: ArtifactId) => GetArtifact((id,), &(), None);
    delete_artifact(id: ArtifactId) => DeleteArtifact((id,), &(), None);
    preview_artifact(id: ArtifactId) => PreviewArtifact((id,), &(), None);
    zip_artifacts(body: &api::artifacts::Selection) => ZipArtifacts((), &(), Some(body));
}

impl Client {
    /// Calls the given router directly, without a socket.
    #[must_use]
    pub fn in_process(orchestrator: axum::Router) -> Self {
        Self::over(Transport::in_process(orchestrator))
    }

    /// Calls an orchestrator over HTTP.
    #[must_use]
    pub fn remote(http: reqwest::Client, base: url::Url) -> Self {
        Self::over(Transport::remote(http, base))
    }

    fn over(transport: Transport) -> Self {
        Self {
            transport,
            bearer: None,
            origin: None,
            idempotency_key: None,
        }
    }

    /// The same client, acting for the holder of `token`; for nobody if that
    /// cannot be a token.
    #[must_use]
    pub fn acting_for(&self, token: &str) -> Self {
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).ok();
        Self {
            bearer,
            ..self.clone()
        }
    }

    /// The same client, passing on where the browser's request came from.
    #[must_use]
    pub fn from_origin(&self, origin: api::Origin) -> Self {
        Self {
            origin: Some(origin),
            ..self.clone()
        }
    }

    /// The same client, whose next submission happens once per key.
    #[must_use]
    pub fn once(&self, key: &str) -> Self {
        Self {
            idempotency_key: HeaderValue::try_from(key).ok(),
            ..self.clone()
        }
    }

    /// Follows a job from after the given event and log entry, until it has ended
    /// and everything has been said, or the caller drops the stream.
    pub async fn follow_job(
        &self,
        id: JobId,
        after_event: i64,
        after_log: i64,
    ) -> Result<impl Stream<Item = Result<api::jobs::Change, Error>> + Send + use<>, Error> {
        let path = (id,).fill(api::JOB_LIVE);
        let uri = format!("{path}?after_event={after_event}&after_log={after_log}");
        let response = self.send(http::Method::GET, &uri, Body::empty()).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        Ok(sse::decode(response.into_body()))
    }

    /// All that a job has printed, or what the conditions and the range in `asked` say
    /// of it: the answer as it is, whose body has not arrived yet.
    ///
    /// # Errors
    ///
    /// A refusal; not that the text is known already or that there is no such range.
    pub async fn log_text(
        &self,
        id: JobId,
        asked: &http::HeaderMap,
    ) -> Result<http::Response<Body>, Error> {
        let path = (id,).fill(api::LOGS_DOWNLOAD);
        let mut request = self.request(http::Method::GET, &path, Body::empty())?;
        for name in [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH] {
            if let Some(value) = asked.get(&name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let response = self.transport.clone().oneshot(request).await;
        let response = response.map_err(Error::Unreachable)?;
        match response.status() {
            StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            status if status.is_success() => Ok(response),
            _ => Err(refused(response).await),
        }
    }

    /// Uploads the bytes of a file to the slot that was made for it; they are passed on
    /// as they come. `length` is how many there will be, if that is known.
    pub async fn upload_input(
        &self,
        upload: &api::inputs::Upload,
        length: Option<u64>,
        bytes: Body,
    ) -> Result<api::inputs::Input, Error> {
        let path = (upload.input_id,).fill(api::INPUT_CONTENT);
        let mut request = self.request(http::Method::PUT, &path, bytes)?;
        let headers = request.headers_mut();
        let token = HeaderValue::try_from(format!("Bearer {}", upload.token))
            .map_err(|error| Error::Unreachable(error.into()))?;
        headers.insert(header::AUTHORIZATION, token);
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let response = self.transport.clone().oneshot(request).await;
        let response = response.map_err(Error::Unreachable)?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let bytes = self::bytes(response).await?;
        serde_json::from_slice(&bytes).map_err(Error::OutOfContract)
    }

    /// Follows an app from after the given event and log entry, until it has ended
    /// and everything has been said, or the caller drops the stream.
    pub async fn follow_app(
        &self,
        id: AppSessionId,
        after_event: i64,
        after_log: i64,
    ) -> Result<impl Stream<Item = Result<api::apps::Change, Error>> + Send + use<>, Error> {
        let path = (id,).fill(api::APP_LIVE);
        let uri = format!("{path}?after_event={after_event}&after_log={after_log}");
        self.follow(&uri).await
    }

    /// Follows the operator's board until the caller drops the stream.
    pub async fn follow_board(
        &self,
    ) -> Result<impl Stream<Item = Result<api::apps::Board, Error>> + Send + use<>, Error> {
        self.follow(api::BOARD_LIVE).await
    }

    async fn follow<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        uri: &str,
    ) -> Result<impl Stream<Item = Result<T, Error>> + Send + use<T>, Error> {
        let response = self.send(http::Method::GET, uri, Body::empty()).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        Ok(sse::decode(response.into_body()))
    }

    async fn call<E: Endpoint>(
        &self,
        path: E::Path,
        query: &E::Query,
        body: Option<&E::Body>,
    ) -> Result<E::Reply, Error> {
        let mut uri = path.fill(E::PATH);
        let query = serde_html_form::to_string(query).unwrap_or_default();
        if !query.is_empty() {
            uri = format!("{uri}?{query}");
        }
        let body = match body {
            Some(value) => Body::from(serde_json::to_vec(value).map_err(Error::OutOfContract)?),
            None => Body::empty(),
        };
        let mut request = self.request(E::METHOD, &uri, body)?;
        request.extensions_mut().insert(transport::Call);
        let response = self.pass(request).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let bytes = bytes(response).await?;
        serde_json::from_slice(&bytes).map_err(Error::OutOfContract)
    }

    async fn send(
        &self,
        method: http::Method,
        uri: &str,
        body: Body,
    ) -> Result<http::Response<Body>, Error> {
        let request = self.request(method, uri, body)?;
        self.pass(request).await
    }

    async fn pass(&self, request: Request<Body>) -> Result<http::Response<Body>, Error> {
        let response = self.transport.clone().oneshot(request).await;
        response.map_err(Error::Unreachable)
    }

    fn request(&self, method: http::Method, uri: &str, body: Body) -> Result<Request<Body>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| Error::Unreachable(error.into()))?;
        let headers = request.headers_mut();
        if let Some(bearer) = &self.bearer {
            headers.insert(header::AUTHORIZATION, bearer.clone());
        }
        if let Some(key) = &self.idempotency_key {
            headers.insert("idempotency-key", key.clone());
        }
        if let Some(origin) = &self.origin {
            request.extensions_mut().insert(origin.clone());
        }
        Ok(request)
    }
}

async fn bytes(response: http::Response<Body>) -> Result<bytes::Bytes, Error> {
    Limited::new(response.into_body(), LARGEST_REPLY)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(Error::Unreachable)
}

/// Reads the problem; an answer without one is still a refusal.
async fn refused(response: http::Response<Body>) -> Error {
    let status = response.status();
    let problem = match bytes(response).await {
        Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        Err(error) => return error,
    };
    let problem = problem.unwrap_or_else(|| {
        Problem::new(
            "UPSTREAM_ERROR",
            &format!("The orchestrator answered {status}."),
            BTreeMap::new(),
        )
    });
    Error::Refused { status, problem }
}
