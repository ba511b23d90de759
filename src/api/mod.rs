//! The orchestrator's HTTP contract: what crosses the wire, and where.
//!
//! The server registers handlers against these types and the client calls
//! through them, so the two cannot disagree. Nothing here does I/O.
//!
//! Empty optionals are omitted; `null` appears only where the public contract
//! allows it. Times are RFC 3339 in UTC, amounts are JSON numbers of US dollars.
pub mod accounts;
pub mod apps;
pub mod artifacts;
pub mod bulk;
pub mod callbacks;
pub mod content;
pub mod drafts;
pub mod ended;
pub mod gpus;
pub mod inputs;
pub mod jobs;
pub mod keys;
pub mod logs;
pub mod nodes;
pub mod openapi;
pub mod overview;
pub mod problem;
pub mod templates;

pub use problem::Problem;

use crate::domain::api_key::Scope::{
    self, JobsEstimate, JobsRead, JobsSubmit, JobsWrite, LogsRead,
};
use crate::domain::id::{ApiKeyId, AppSessionId, ArtifactId, DraftId, InputId, JobId};
use http::Method;
use openapi::Operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// One operation of the API.
pub trait Endpoint: Send + 'static {
    const METHOD: Method;
    /// An axum path pattern, such as `/v1/jobs/{job}`.
    const PATH: &'static str;
    const ACCESS: Access;
    /// The status code of success.
    const STATUS: u16;
    /// Values of the pattern's parameters, in order: `()`, or a tuple.
    type Path: DeserializeOwned + PathValues + JsonSchema + Send;
    type Query: DeserializeOwned + Serialize + Default + JsonSchema + Send;
    type Body: DeserializeOwned + Serialize + JsonSchema + Send;
    type Reply: DeserializeOwned + Serialize + JsonSchema + Send;
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// A person who is signed in; no key.
    Session,
    /// A signed-in person who operates this installation.
    Operator,
    /// A key with one of these scopes; a session carries all.
    Scopes(&'static [Scope]),
}

/// Declares the endpoints, one per line; this table *is* the API's index.
macro_rules! endpoints {
    ($( $(#[doc = $doc:literal])* $name:ident = $method:ident $path:literal $access:expr,
        $status:literal [path: $p:ty, query: $q:ty, body: $b:ty] -> $reply:ty; )+) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug)]
            pub struct $name;
            impl Endpoint for $name {
                const METHOD: Method = Method::$method;
                const PATH: &'static str = $path;
                const ACCESS: Access = $access;
                const STATUS: u16 = $status;
                type Path = $p;
                type Query = $q;
                type Body = $b;
                type Reply = $reply;
            }
        )+
        /// Every endpoint, for documentation and for the tests of routing and access.
        pub const ALL: &[(Method, &str, Access)] = &[$( (Method::$method, $path, $access), )+];
        /// The same, as they describe themselves.
        pub const OPERATIONS: &[Operation] = &[
            $( Operation::of::<$name>(stringify!($name), concat!($($doc, "\n"),*)), )+
        ];
    };
}

const ESTIMATE: Access = Access::Scopes(&[JobsEstimate, JobsWrite]);
const SUBMIT: Access = Access::Scopes(&[JobsSubmit, JobsWrite]);
/// Lists, which `jobs:write` alone does not open.
const LIST: Access = Access::Scopes(&[JobsRead]);
const READ: Access = Access::Scopes(&[JobsRead, JobsWrite]);
const LOGS: Access = Access::Scopes(&[LogsRead, JobsRead]);
/// State and output together.
const FOLLOW: Access = Access::Scopes(&[JobsRead]);
const LOGS_ALONE: Access = Access::Scopes(&[LogsRead]);
/// Every key.
const ANY: Access = Access::Scopes(&Scope::ALL);

endpoints! {
    /// Creates an inactive account and mails it a six-digit code.
    Register = POST "/auth/register" Access::Public, 201
        [path: (), query: (), body: accounts::Registration] -> accounts::Registered;
    /// Proves an address with the mailed code, and signs in.
    VerifyOtp = POST "/auth/otp/verify" Access::Public, 200
        [path: (), query: (), body: accounts::Verification] -> accounts::SignedIn;
    /// Mails a new code; the earlier one stops working.
    ResendOtp = POST "/auth/otp/resend" Access::Public, 202
        [path: (), query: (), body: accounts::Resend] -> accounts::Accepted;
    SignIn = POST "/auth/signin" Access::Public, 200
        [path: (), query: (), body: accounts::Credentials] -> accounts::SignedIn;
    SignOut = POST "/auth/signout" Access::Session, 200
        [path: (), query: (), body: accounts::Nothing] -> accounts::Accepted;
    /// Who is signed in, in which workspace and role, with what balance.
    GetSession = GET "/auth/session" Access::Session, 200
        [path: (), query: (), body: ()] -> accounts::Session;
    /// Mails a code with which a new password can be chosen.
    ForgotPassword = POST "/auth/password/forgot" Access::Public, 202
        [path: (), query: (), body: accounts::Forgotten] -> accounts::Accepted;
    /// Chooses a new password, ends every other session and signs in.
    ResetPassword = POST "/auth/password/reset" Access::Public, 200
        [path: (), query: (), body: accounts::Reset] -> accounts::SignedIn;

    /// What a job would cost and when it would start. Changes nothing.
    EstimateJob = POST "/v1/jobs/estimate" ESTIMATE, 200
        [path: (), query: (), body: jobs::Content] -> jobs::Estimate;
    /// Queues a job and sets its highest cost aside.
    SubmitJob = POST "/v1/jobs" SUBMIT, 202
        [path: (), query: (), body: jobs::Content] -> jobs::Submitted;
    /// The workspace's jobs, newest first unless told otherwise.
    ListJobs = GET "/v1/jobs" LIST, 200
        [path: (), query: jobs::Filter, body: ()] -> jobs::List;
    GetJob = GET "/v1/jobs/{job}" READ, 200
        [path: (JobId,), query: (), body: ()] -> jobs::Job;
    /// Exit code and the last output; 404 until there is any.
    GetRuntime = GET "/v1/jobs/{job}/runtime" READ, 200
        [path: (JobId,), query: (), body: ()] -> jobs::Runtime;
    /// What happened to a job, oldest first.
    ListEvents = GET "/v1/jobs/{job}/events" READ, 200
        [path: (JobId,), query: jobs::EventFilter, body: ()] -> jobs::Events;
    /// What a job printed, oldest first.
    ListLogs = GET "/v1/jobs/{job}/logs" LOGS, 200
        [path: (JobId,), query: logs::Filter, body: ()] -> logs::Page;
    /// What all jobs printed, newest failures first.
    ListAllLogs = GET "/v1/logs" LOGS, 200
        [path: (), query: logs::AllFilter, body: ()] -> logs::All;
    /// Stops a job: politely, then by force. Answers once it has stopped.
    CancelJob = POST "/v1/jobs/{job}/cancel" SUBMIT, 200
        [path: (JobId,), query: (), body: jobs::Cancellation] -> jobs::Cancelled;
    /// Who is told of a job's end, and how that goes; 404 if nobody is.
    GetCallback = GET "/v1/jobs/{job}/callback" READ, 200
        [path: (JobId,), query: (), body: ()] -> callbacks::Callback;
    /// What the workspace's callbacks are signed with.
    GetCallbackSecret = GET "/v1/callbacks/secret" Access::Session, 200
        [path: (), query: (), body: ()] -> callbacks::Secret;
    /// A new secret; those before sign beside it for a while.
    RotateCallbackSecret = POST "/v1/callbacks/secret/rotate" Access::Session, 200
        [path: (), query: (), body: callbacks::Rotation] -> callbacks::Secret;
    /// Makes the next attempt at a callback now, also at one that was given up in the last
    /// week. One that is on its way already stays as it is.
    SendCallback = POST "/v1/jobs/{job}/callback/send" SUBMIT, 200
        [path: (JobId,), query: (), body: accounts::Nothing] -> callbacks::Callback;
    /// Stops many jobs, a hundred at most, or says what that would do. Doing it again
    /// changes nothing.
    CancelJobs = POST "/v1/jobs/cancel" SUBMIT, 200
        [path: (), query: (), body: bulk::Cancellation] -> bulk::Cancelled;
    /// What a job was submitted with, secrets as placeholders.
    GetJobContent = GET "/v1/jobs/{job}/content" READ, 200
        [path: (JobId,), query: (), body: ()] -> bulk::Submission;

    /// Begins to describe a job: from nothing, from content, or from another job.
    CreateDraft = POST "/v1/job-drafts" SUBMIT, 201
        [path: (), query: (), body: drafts::NewDraft] -> drafts::Draft;
    /// Drafts that have not been submitted, last changed first.
    ListDrafts = GET "/v1/job-drafts" LIST, 200
        [path: (), query: (), body: ()] -> drafts::List;
    GetDraft = GET "/v1/job-drafts/{draft}" READ, 200
        [path: (DraftId,), query: (), body: ()] -> drafts::Draft;
    /// Sets the given fields of the content; `null` clears one.
    PatchDraft = PATCH "/v1/job-drafts/{draft}" SUBMIT, 200
        [path: (DraftId,), query: (), body: drafts::Patch] -> drafts::Draft;
    DeleteDraft = DELETE "/v1/job-drafts/{draft}" SUBMIT, 200
        [path: (DraftId,), query: (), body: ()] -> accounts::Accepted;
    /// Estimates the draft as it is. Answers at once, perhaps with `pending`.
    EstimateDraft = POST "/v1/job-drafts/{draft}/estimate" ESTIMATE, 200
        [path: (DraftId,), query: (), body: accounts::Nothing] -> drafts::Draft;
    /// Says that this estimate has been seen and is accepted.
    AcknowledgeDraft = POST "/v1/job-drafts/{draft}/acknowledge" SUBMIT, 200
        [path: (DraftId,), query: (), body: drafts::Acknowledgement] -> drafts::Draft;
    /// Submits the draft, once: a second call answers with the same job.
    SubmitDraft = POST "/v1/job-drafts/{draft}/submit" SUBMIT, 202
        [path: (DraftId,), query: (), body: accounts::Nothing] -> jobs::Submitted;

    /// That the API answers. Whether it can do its work, `/readyz` knows.
    GetHealth = GET "/v1/health" Access::Public, 200
        [path: (), query: (), body: ()] -> overview::Health;
    /// The machines of this grid, their rates, free slots and protections.
    ListNodes = GET "/v1/nodes" ANY, 200
        [path: (), query: (), body: ()] -> nodes::List;
    /// What the dashboard shows, in one call.
    GetOverview = GET "/v1/overview" LIST, 200
        [path: (), query: (), body: ()] -> overview::Overview;
    GetBalance = GET "/v1/billing/balance" READ, 200
        [path: (), query: (), body: ()] -> overview::Balance;

    /// The apps that can be launched, and why some cannot.
    ListTemplates = GET "/v1/templates" READ, 200
        [path: (), query: (), body: ()] -> templates::List;
    GetTemplate = GET "/v1/templates/{slug}" READ, 200
        [path: (String,), query: (), body: ()] -> templates::Template;
    /// What a launch with these choices would cost and when it would be ready.
    EstimateTemplate = POST "/v1/templates/{slug}/estimate" ESTIMATE, 200
        [path: (String,), query: (), body: templates::Choices] -> templates::Estimate;
    /// Launches an app and sets its highest cost aside.
    LaunchApp = POST "/v1/app-sessions" SUBMIT, 202
        [path: (), query: (), body: apps::Launch] -> apps::Session;
    /// The workspace's apps, newest first.
    ListApps = GET "/v1/app-sessions" LIST, 200
        [path: (), query: apps::Filter, body: ()] -> apps::List;
    GetApp = GET "/v1/app-sessions/{session}" READ, 200
        [path: (AppSessionId,), query: (), body: ()] -> apps::Session;
    /// What happened to an app, oldest first.
    ListAppEvents = GET "/v1/app-sessions/{session}/events" READ, 200
        [path: (AppSessionId,), query: apps::EventFilter, body: ()] -> apps::Events;
    /// Stops an app at whatever phase it is. Answers once that has been noted.
    StopApp = POST "/v1/app-sessions/{session}/stop" SUBMIT, 200
        [path: (AppSessionId,), query: (), body: apps::Stop] -> apps::Session;
    /// Prices more time and, with the price acknowledged, adds it.
    ExtendApp = POST "/v1/app-sessions/{session}/extend" SUBMIT, 200
        [path: (AppSessionId,), query: (), body: apps::Extend] -> apps::Extension;
    /// Leave to enter a service of an app, once, within half a minute.
    OpenApp = POST "/v1/app-sessions/{session}/open" Access::Session, 200
        [path: (AppSessionId,), query: (), body: apps::Open] -> apps::Ticket;
    /// Makes a key for programs. Its secret is in this answer and nowhere else.
    CreateKey = POST "/v1/api-keys" Access::Session, 201
        [path: (), query: (), body: keys::NewKey] -> keys::Made;
    /// The workspace's keys, newest first, revoked ones too.
    ListKeys = GET "/v1/api-keys" Access::Session, 200
        [path: (), query: keys::Filter, body: ()] -> keys::List;
    GetKey = GET "/v1/api-keys/{key}" Access::Session, 200
        [path: (ApiKeyId,), query: (), body: ()] -> keys::ApiKey;
    /// Changes name, scopes or allow-list, from the next request on.
    PatchKey = PATCH "/v1/api-keys/{key}" Access::Session, 200
        [path: (ApiKeyId,), query: (), body: keys::Patch] -> keys::ApiKey;
    /// Revokes a key for ever, from the next request on; open streams end.
    RevokeKey = DELETE "/v1/api-keys/{key}" Access::Session, 200
        [path: (ApiKeyId,), query: (), body: ()] -> keys::ApiKey;
    /// A new secret; the one before goes on working for a while.
    RotateKey = POST "/v1/api-keys/{key}/rotate" Access::Session, 200
        [path: (ApiKeyId,), query: (), body: keys::Rotation] -> keys::Made;
    /// Switches a key off until it is enabled; open streams end.
    DisableKey = POST "/v1/api-keys/{key}/disable" Access::Session, 200
        [path: (ApiKeyId,), query: (), body: accounts::Nothing] -> keys::ApiKey;
    EnableKey = POST "/v1/api-keys/{key}/enable" Access::Session, 200
        [path: (ApiKeyId,), query: (), body: accounts::Nothing] -> keys::ApiKey;
    /// Launches of all workspaces that have not ended, stuck ones first.
    GetBoard = GET "/v1/operator/app-sessions" Access::Operator, 200
        [path: (), query: (), body: ()] -> apps::Board;

    /// A place to upload one file to, for a quarter of an hour.
    CreateInput = POST "/v1/job-inputs" SUBMIT, 201
        [path: (), query: (), body: inputs::NewInput] -> inputs::Slot;
    /// The workspace's uploaded files, newest first.
    ListInputs = GET "/v1/job-inputs" LIST, 200
        [path: (), query: inputs::Filter, body: ()] -> inputs::List;
    GetInput = GET "/v1/job-inputs/{input}" READ, 200
        [path: (InputId,), query: (), body: ()] -> inputs::Input;
    /// Confirms that all of a file has been uploaded: jobs can be given it now.
    CompleteInput = POST "/v1/job-inputs/{input}/complete" SUBMIT, 200
        [path: (InputId,), query: (), body: inputs::Completion] -> inputs::Input;
    /// Deletes a file, unless a job that has not ended needs it.
    DeleteInput = DELETE "/v1/job-inputs/{input}" SUBMIT, 200
        [path: (InputId,), query: (), body: ()] -> accounts::Accepted;
    /// What a job has left.
    ListArtifacts = GET "/v1/jobs/{job}/artifacts" READ, 200
        [path: (JobId,), query: (), body: ()] -> artifacts::OfJob;
    /// Makes an address from which a file can be fetched for a while.
    DownloadArtifact = POST "/v1/jobs/{job}/artifacts/{artifact}/download" READ, 200
        [path: (JobId, ArtifactId), query: (), body: accounts::Nothing] -> artifacts::Download;
    /// What all jobs have left, newest first.
    ListAllArtifacts = GET "/v1/artifacts" LIST, 200
        [path: (), query: artifacts::Filter, body: ()] -> artifacts::List;
    GetArtifact = GET "/v1/artifacts/{artifact}" READ, 200
        [path: (ArtifactId,), query: (), body: ()] -> artifacts::Listed;
    DeleteArtifact = DELETE "/v1/artifacts/{artifact}" SUBMIT, 200
        [path: (ArtifactId,), query: (), body: ()] -> accounts::Accepted;
    /// What can be shown of a file.
    PreviewArtifact = GET "/v1/artifacts/{artifact}/preview" READ, 200
        [path: (ArtifactId,), query: (), body: ()] -> artifacts::Preview;
    /// Makes an address from which several files can be fetched as one archive.
    ZipArtifacts = POST "/v1/artifacts/zip" READ, 200
        [path: (), query: (), body: artifacts::Selection] -> artifacts::Archive;
    /// GPU families with their memory, class and dated prices.
    GetGpuCatalogue = GET "/v1/gpu-catalogue" ANY, 200
        [path: (), query: (), body: ()] -> gpus::Catalogue;
}

/// Declares what answers in another way than with one JSON object: streams, files.
macro_rules! raw {
    ($( $(#[doc = $doc:literal])* $name:ident = $method:ident $path:literal $access:expr; )+) => {
        $( $(#[doc = $doc])* pub const $name: &str = $path; )+
        /// Every operation that answers in another way than with one JSON object.
        pub const RAW: &[(Method, &str, Access)] = &[$( (Method::$method, $path, $access), )+];
        /// Their names and what is said of them, in the same order.
        pub(crate) const RAW_DOCS: &[(&str, &str)] =
            &[$( (stringify!($name), concat!($($doc, "\n"),*)), )+];
    };
}

raw! {
    /// All that a job has printed (`text/plain`; one byte range at a time, with `ETag`).
    LOGS_DOWNLOAD = GET "/v1/jobs/{job}/logs/download" LOGS;
    /// What a job prints, as it prints it (`text/event-stream`, contract 3.9).
    LOGS_LIVE = GET "/v1/jobs/{job}/logs/live" LOGS_ALONE;
    /// What happens to a job and what it prints, for a page that follows both, until it
    /// has ended and its callback is through
    /// (`text/event-stream` of [`jobs::Change`]).
    JOB_LIVE = GET "/v1/jobs/{job}/live" FOLLOW;

    /// What happens to an app, numbered (`text/event-stream` of [`apps::Event`]s;
    /// `?after=` or `Last-Event-ID` resumes).
    APP_EVENTS_LIVE = GET "/v1/app-sessions/{session}/events/live" READ;
    /// The same for a page that follows one app (`text/event-stream` of [`apps::Change`]).
    APP_LIVE = GET "/v1/app-sessions/{session}/live" FOLLOW;
    /// The operator's board whenever it has changed (`text/event-stream` of [`apps::Board`]).
    BOARD_LIVE = GET "/v1/operator/app-sessions/live" Access::Operator;

    /// What this API is, in the words of `OpenAPI` 3.1 (`application/json`, with `ETag`).
    OPENAPI = GET "/v1/openapi.json" Access::Public;

    /// Takes the bytes of a file; the token of its slot is the credential
    /// (answers with [`inputs::Input`]).
    INPUT_CONTENT = PUT "/v1/job-inputs/{input}/content" Access::Public;
    /// A file that a job has left (one byte range at a time, with `ETag`); its signature
    /// is the credential.
    ARTIFACT_CONTENT = GET "/v1/artifacts/{artifact}/content" Access::Public;
    /// Several of them as one ZIP archive; the token is the credential.
    ARTIFACT_ZIP = GET "/v1/artifact-zips/{token}" Access::Public;
}

/// Fills the `{…}` parameters of a path pattern.
pub trait PathValues {
    fn fill(&self, pattern: &str) -> String;
}

impl PathValues for () {
    fn fill(&self, pattern: &str) -> String {
        pattern.to_owned()
    }
}

impl<A: std::fmt::Display> PathValues for (A,) {
    fn fill(&self, pattern: &str) -> String {
        let start = pattern.find('{').expect("a pattern with one parameter");
        let end = pattern.find('}').expect("a pattern with one parameter");
        format!("{}{}{}", &pattern[..start], self.0, &pattern[end + 1..])
    }
}

impl<A: std::fmt::Display, B: std::fmt::Display> PathValues for (A, B) {
    fn fill(&self, pattern: &str) -> String {
        (&self.1,).fill(&(&self.0,).fill(pattern))
    }
}

/// Where a request came from, as the portal tells the orchestrator in the same
/// process; over HTTP it is the peer's address and the `User-Agent`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Origin {
    pub ip: std::net::IpAddr,
    pub agent: String,
}
