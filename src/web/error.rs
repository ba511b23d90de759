//! What went wrong, as a page or as a notice, with a way out.
use super::hx::{Fragment, Wants};
use super::kind::{self, Kind};
use super::next::{Next, leading_to};
use super::viewer::Seen;
use super::{hx, shell, ui};
use crate::api::Problem;
use crate::client;
use axum::Json;
use axum::extract::Request;
use axum::middleware::Next as Inner;
use axum::response::{IntoResponse, Response};
use axum_htmx::{HxReswap, HxRetarget, SwapOption};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Why a page cannot be shown. What is wrong with a form is not an error; see
/// `ui::form::Wrong`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Api(Box<client::Error>),
    #[error("there is no such page")]
    NotFound,
    /// There is no session, or not any more.
    #[error("nobody is signed in")]
    SignIn,
    #[error("the request was made by another site")]
    CrossSite,
    /// A form with files, cut off or written as no browser writes one.
    #[error("the form did not arrive whole")]
    BadForm,
    #[error("{0}")]
    Internal(&'static str),
}

impl From<client::Error> for Error {
    fn from(error: client::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// Travels in the response's extensions to [`render`], which knows the request.
#[derive(Debug, Clone)]
enum Told {
    SignIn,
    Problem {
        status: StatusCode,
        title: &'static str,
        message: String,
    },
}

impl Told {
    fn problem(status: StatusCode, message: impl Into<String>) -> Self {
        let title = match status {
            StatusCode::PAYMENT_REQUIRED => "Not enough balance",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::METHOD_NOT_ALLOWED => "That does not work here",
            StatusCode::CONFLICT => "That cannot be done now",
            StatusCode::PAYLOAD_TOO_LARGE => "Too large",
            StatusCode::TOO_MANY_REQUESTS => "Too many requests",
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
            _ => "Something is wrong",
        };
        Self::Problem {
            status,
            title,
            message: message.into(),
        }
    }

    fn refusal(error: client::Error) -> Self {
        match error {
            client::Error::Refused { status, problem } => match status {
                StatusCode::UNAUTHORIZED => Self::SignIn,
                StatusCode::INTERNAL_SERVER_ERROR => Self::bare(status),
                _ => Self::problem(status, problem.message),
            },
            error => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "orchestrator call failed"
                );
                Self::problem(StatusCode::BAD_GATEWAY, UNREACHABLE)
            }
        }
    }

    /// Words for an answer that came without any of ours, such as when a form
    /// could not be read.
    fn bare(status: StatusCode) -> Self {
        let message = match status {
            StatusCode::NOT_FOUND => "There is no such page. The link may be old or mistyped.",
            StatusCode::METHOD_NOT_ALLOWED => "This address does not take what was sent to it.",
            StatusCode::PAYLOAD_TOO_LARGE => "What was sent is larger than this page accepts.",
            status if status.is_client_error() => "The request could not be understood.",
            _ => "Something went wrong on our side. Please try again in a minute.",
        };
        Self::problem(status, message)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let told = match self {
            Self::SignIn => Told::SignIn,
            Self::Api(error) => Told::refusal(*error),
            Self::NotFound => Told::bare(StatusCode::NOT_FOUND),
            Self::CrossSite => Told::problem(
                StatusCode::FORBIDDEN,
                "This request was made by another website, so it was not carried out. \
                 Nothing has changed. Open the page here and try again.",
            ),
            Self::BadForm => Told::problem(
                StatusCode::BAD_REQUEST,
                "What was sent did not arrive whole. Go back and send it again.",
            ),
            Self::Internal(why) => {
                tracing::error!(why, "request failed");
                Told::bare(StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(told);
        response
    }
}

/// What is said when the orchestrator cannot be reached.
pub(crate) const UNREACHABLE: &str =
    "The job service does not answer. Jobs that run are not affected. Try again in a minute.";

/// Turns an [`Error`] into a page, or, for htmx, into a notice that leaves the
/// element that asked as it was.
pub(super) async fn render(wants: Wants, mut request: Request, inner: Inner) -> Response {
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    let from = Asked::of(&request);
    let mut response = inner.run(request).await;
    let told = match response.extensions_mut().remove::<Told>() {
        Some(told) => told,
        None if is_bare_error(&response) => Told::bare(response.status()),
        None => return response,
    };
    let kind = match wants {
        Wants::Page => kind::asked(&from.headers),
        Wants::Fragment => Kind::Page,
    };
    let (status, title, message) = match told {
        Told::SignIn if kind == Kind::Page => return from.sign_in(wants),
        Told::SignIn => (
            StatusCode::UNAUTHORIZED,
            "Sign in first",
            "Sign in first: there is no session.".to_owned(),
        ),
        Told::Problem {
            status,
            title,
            message,
        } => (status, title, message),
    };
    match kind {
        Kind::Page => {}
        Kind::Json => {
            let reason = status.canonical_reason().unwrap_or("ERROR");
            let code = reason.to_uppercase().replace([' ', '-'], "_");
            let problem = Problem::new(&code, &message, BTreeMap::new());
            return (status, Json(problem)).into_response();
        }
        Kind::Text => return (status, format!("{message}\n")).into_response(),
    }
    if wants == Wants::Fragment {
        return (
            status,
            HxRetarget("#toasts".into()),
            HxReswap(SwapOption::BeforeEnd),
            Fragment(ui::toast(ui::Kind::Bad, &message)),
        )
            .into_response();
    }
    let page = match seen.viewer() {
        Some(viewer) => {
            let way_out = ("/portal", "Back to the dashboard");
            let main = apology(title, &message, way_out);
            shell::page(viewer, title, shell::Nav::None, main)
        }
        None => shell::guest(
            title,
            apology(title, &message, ("/", "Back to the start page")),
        ),
    };
    (status, page).into_response()
}

fn apology(title: &str, message: &str, (href, label): (&str, &str)) -> Markup {
    html! {
        div.head { div { h1 { (title) } p { (message) } } }
        p { a.btn href=(href) { (label) } }
    }
}

/// Whether nobody has given this answer a readable form: extractors and the
/// router answer in plain text, or with nothing.
fn is_bare_error(response: &Response) -> bool {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    (status.is_client_error() || status.is_server_error())
        && response.extensions().get::<shell::Page>().is_none()
        && kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// What is needed to come back after signing in.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    /// A page is asked for again; a fragment would be nothing on its own, so it
    /// is the page around it; and nothing is posted twice.
    fn next(&self, wants: Wants) -> Option<Next> {
        if wants == Wants::Fragment {
            let current = self.headers.get("hx-current-url")?.to_str().ok()?;
            let current = url::Url::parse(current).ok()?;
            return Next::parse(&current[url::Position::BeforePath..]);
        }
        let path = self.uri.path_and_query()?;
        (self.method == Method::GET)
            .then(|| Next::parse(path.as_str()))
            .flatten()
    }

    /// Never a 303 for htmx, which would follow it and swap the sign-in form into
    /// whatever asked.
    fn sign_in(&self, wants: Wants) -> Response {
        let path = leading_to("/login", self.next(wants).as_ref());
        match wants {
            Wants::Page => hx::redirect(wants, &path),
            Wants::Fragment => {
                (StatusCode::UNAUTHORIZED, hx::redirect(wants, &path)).into_response()
            }
        }
    }
}
