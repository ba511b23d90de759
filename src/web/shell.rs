//! The document around every page.
//!
//! Handlers return a [`Page`]; [`dress`] draws the document when it knows the
//! request: a browser that cannot have the stylesheet yet gets it inline, because
//! on a slow line that halves the time to the first picture.
use super::viewer::Viewer;
use super::{Portal, assets, ui};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::sync::LazyLock;
use tower_cookies::Cookies;

/// What htmx is told: which answers it must not swap, and that a morph leaves
/// open what a reader has opened.
const HTMX: &str = r#"{"noSwap":[204,304,"5xx"],"defaultTimeout":15000,"extensions":"sse","morphIgnore":["data-htmx-powered","open"]}"#;

/// Which link of the navigation is the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nav {
    Dashboard,
    Jobs,
    Submit,
    Templates,
    Logs,
    Artifacts,
    Nodes,
    Keys,
    Webhooks,
    /// Every launch of the installation, for its operators.
    Board,
    /// A page that no link leads to.
    None,
}

impl Nav {
    const LINKS: [(Self, &'static str, &'static str, &'static str); 10] = [
        (Self::Dashboard, "/portal", "home", "Dashboard"),
        (Self::Jobs, "/portal/jobs", "jobs", "Jobs"),
        (Self::Submit, "/portal/submit", "plus", "Submit job"),
        (Self::Templates, "/portal/templates", "tpl", "Templates"),
        (Self::Logs, "/portal/logs", "logs", "Logs"),
        (Self::Artifacts, "/portal/artifacts", "box", "Artifacts"),
        (Self::Nodes, "/portal/nodes", "node", "Nodes"),
        (Self::Keys, "/portal/api-keys", "key", "API keys"),
        (Self::Webhooks, "/portal/webhooks", "hook", "Callbacks"),
        (
            Self::Board,
            "/portal/operator/launches",
            "sliders",
            "Launches",
        ),
    ];
    /// What the links stand under, in this order; what is used most needs no heading.
    const GROUPS: [&'static str; 4] = ["", "Output", "Account", "Grid"];

    const fn group(self) -> &'static str {
        match self {
            Self::Dashboard | Self::Jobs | Self::Submit | Self::Templates => "",
            Self::Logs | Self::Artifacts => "Output",
            Self::Nodes | Self::Board => "Grid",
            Self::Keys | Self::Webhooks | Self::None => "Account",
        }
    }

    /// How many of them the bar of small screens has room for.
    const QUICK: usize = 4;
}

/// A whole document, still without its head. As a response it can carry any
/// status: `(StatusCode::UNPROCESSABLE_ENTITY, page)`.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    title: String,
    body: Markup,
}

/// Where a page's own forms may go instead of here: the origin of an app, for the
/// one page that leads there. Travels in the extensions of an answer.
#[derive(Debug, Clone)]
pub(crate) struct FormTarget(pub(crate) String);

/// Stands where the rest of a growing page comes.
pub(crate) fn growing() -> Markup {
    html! { span #growing hidden {} }
}

impl Page {
    /// An answer whose [`growing`] part comes piece by piece.
    pub(crate) fn around(self, pieces: Body) -> Response {
        let mut response = pieces.into_response();
        // Whatever holds an answer back until it is long would defeat this.
        let unbuffered = HeaderValue::from_static("no");
        response
            .headers_mut()
            .insert("x-accel-buffering", unbuffered);
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = ().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A page for someone who is signed in; `main` begins with its heading.
pub(crate) fn page(viewer: &Viewer, title: &str, active: Nav, main: Markup) -> Page {
    let body = html! {
        link rel="stylesheet" href=(assets::url("portal.css"));
        a.skip href="#main" { "Skip to content" }
        div.app {
            header.top {
                (brand())
                (purse(viewer.session.balance_usd))
            }
            (rail(viewer, active))
            main #main tabindex="-1" { (main) }
        }
        (tabs(active))
        (account_menu(viewer))
    };
    Page {
        title: title.to_owned(),
        body,
    }
}

/// A page with nothing around it, on the way to somewhere else.
pub(crate) fn plain(title: &str, main: Markup) -> Page {
    let body = html! { main #main.plain { (main) } };
    Page {
        title: title.to_owned(),
        body,
    }
}

/// A page for someone who is not signed in, with the picture beside it.
pub(crate) fn guest(title: &str, main: Markup) -> Page {
    let body = html! {
        div.guest {
            header.hero.weave {
                a.brand href="/" { (ui::brand()) "Jungle Grid" }
                p {
                    "Say what you want to run. See the price. Press go."
                    small { "A clear estimate before anything starts, and you pay for the seconds it runs." }
                }
            }
            main #main { (main) }
        }
    };
    Page {
        title: title.to_owned(),
        body,
    }
}

fn brand() -> Markup {
    html! { a.brand href="/portal" { (ui::brand()) "Jungle Grid" } }
}

fn current(link: Nav, active: Nav) -> Option<&'static str> {
    (link == active).then_some("page")
}

fn rail(viewer: &Viewer, active: Nav) -> Markup {
    let session = &viewer.session;
    html! {
        nav.rail #menu popover aria-label="Portal" {
            (brand())
            button.who type="button" popovertarget="account" {
                span { b { (session.workspace.name) } span { (role(viewer)) } }
                (ui::icon("swap"))
            }
            @for group in Nav::GROUPS {
                @if !group.is_empty() { h2 { (group) } }
                ul.nav {
                    @for (link, href, icon, label) in Nav::LINKS.into_iter().filter(|(link, ..)| link.group() == group) {
                        @if link != Nav::Board || session.operator { li {
                            a href=(href) aria-current=[current(link, active)] {
                                (ui::icon(icon)) (label)
                                @let count = match link { Nav::Jobs => session.active_jobs, Nav::Templates => session.active_apps, _ => 0 };
                                @if count > 0 { span.n { span.vh { ", active: " } (count) } }
                            }
                        } }
                    }
                }
            }
            (wallet(viewer.session.balance_usd, viewer.held))
        }
    }
}

/// The balance at the top of small screens.
fn purse(balance: ui::Usd) -> Markup {
    html! { span #purse { span.vh { "Balance " } (ui::balance(balance)) } }
}

/// The balance in the rail's foot.
fn wallet(balance: ui::Usd, held: Option<ui::Usd>) -> Markup {
    html! {
        div.foot #wallet {
            span { "Balance" }
            b.push { (ui::balance(balance)) }
            @if let Some(held) = held.filter(|held| *held > ui::Usd::ZERO) {
                span { "Set aside" }
                span.push { (ui::balance(held)) }
            }
        }
    }
}

/// Both of them, `#purse` and `#wallet`, for a page that is open while money moves.
pub(crate) fn wallets(balance: ui::Usd, held: Option<ui::Usd>) -> [Markup; 2] {
    [purse(balance), wallet(balance, held)]
}

fn role(viewer: &Viewer) -> &'static str {
    use crate::domain::account::Role;
    match (viewer.session.operator, viewer.session.role) {
        (true, _) => "Operator",
        (false, Role::User) => "User role",
        (false, Role::Provider) => "Provider role",
    }
}

/// The bar at the foot of small screens.
fn tabs(active: Nav) -> Markup {
    html! {
        nav.tabs aria-label="Quick" {
            @for (link, href, icon, label) in Nav::LINKS.into_iter().take(Nav::QUICK) {
                @let label = match link { Nav::Dashboard => "Home", Nav::Submit => "Submit", _ => label };
                a.go[link == Nav::Submit] href=(href) aria-current=[current(link, active)] { (ui::icon(icon)) (label) }
            }
            button type="button" popovertarget="menu" { (ui::icon("more")) "More" }
        }
    }
}

fn account_menu(viewer: &Viewer) -> Markup {
    let account = &viewer.session.account;
    html! {
        div.menu #account popover role="dialog" aria-labelledby="account-h" {
            h2 #account-h { (account.name.as_deref().unwrap_or("Your account")) }
            dl.dl.half {
                dt { "Email" } dd { (account.email) }
                dt { "Workspace" } dd { (viewer.session.workspace.name) }
                dt { "Role" } dd { (role(viewer)) }
            }
            form.mt method="post" action="/logout" {
                button.btn.wide { (ui::icon("out")) "Sign out" }
            }
        }
    }
}

/// Draws the document of a [`Page`], and says for every answer what browsers may
/// do with it.
pub(super) async fn dress(
    State(portal): State<Portal>,
    cookies: Cookies,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let mut inline = false;
    if let Some(page) = response.extensions_mut().remove::<Page>() {
        inline = !portal.config.has_style(&cookies, style_tag());
        let said = portal.config.said(&cookies);
        let html = document(&page, inline, said.as_deref()).into_string();
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = match html.split_once(&growing().into_string()) {
            Some((before, after)) => around(before, body, after),
            None => Body::from(html),
        };
    }
    protect(
        response.headers_mut(),
        inline,
        portal.config.public_url.scheme() == "https",
    );
    if let Some(FormTarget(origin)) = response.extensions_mut().remove::<FormTarget>() {
        lead_to(response.headers_mut(), &origin);
    }
    response
}

/// What is known of a document at once, then its pieces, then the rest of it.
fn around(before: &str, pieces: Body, after: &str) -> Body {
    let part = |html: &str| {
        let html = Bytes::copy_from_slice(html.as_bytes());
        futures_util::stream::once(async move { Ok(html) })
    };
    Body::from_stream(
        part(before)
            .chain(pieces.into_data_stream())
            .chain(part(after)),
    )
}

/// Lets the forms of this one answer go to `origin`, and nowhere else. It must be
/// told where they come from, which `same-origin` would keep from it.
fn lead_to(headers: &mut HeaderMap, origin: &str) {
    let policy = headers.get(header::CONTENT_SECURITY_POLICY);
    let policy = policy.and_then(|policy| policy.to_str().ok());
    let policy =
        policy.map(|policy| policy.replace("form-action 'self'", &format!("form-action {origin}")));
    if let Some(Ok(policy)) = policy.map(HeaderValue::try_from) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let origin_only = HeaderValue::from_static("strict-origin");
    headers.insert(header::REFERRER_POLICY, origin_only);
}

fn document(page: &Page, inline: bool, said: Option<&str>) -> Markup {
    let style = assets::url("jungle.css");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (page.title) " · Jungle Grid" }
                meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover";
                meta name="theme-color" content="#0c241c";
                meta name="htmx-config" content=(HTMX);
                @if inline {
                    style { (PreEscaped(assets::stylesheet())) }
                    link rel="prefetch" as="style" href=(style);
                } @else {
                    link rel="stylesheet" href=(style);
                }
                link rel="icon" href=(assets::url("mark.svg"));
                script src=(assets::url("app.js")) defer {}
            }
            body {
                (page.body)
                div.toasts #toasts role="status" aria-live="polite" {
                    @if let Some(said) = said { (ui::toast(ui::Kind::Ok, said)) }
                }
                template #toast-offline { (ui::toast(ui::Kind::Bad, "No connection. Trying again.")) }
                template #toast-5xx { (ui::toast(ui::Kind::Bad, "The server could not answer. Try again in a minute.")) }
            }
        }
    }
}

/// The part of the stylesheet's name that changes with it.
fn style_tag() -> &'static str {
    let url = assets::url("jungle.css");
    url.rsplit('.').nth(1).unwrap_or(url)
}

/// No inline code, no foreign origin, no frame: what htmx without `js:` values
/// needs. `{}` is where an inline stylesheet is allowed by its hash.
const POLICY: [&str; 2] = [
    "default-src 'none'; script-src 'self'; style-src 'self'",
    "; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
];

static PLAIN_POLICY: LazyLock<String> = LazyLock::new(|| POLICY.concat());
static INLINE_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = assets::STYLE_CSP_HASH.trim_matches('\'');
    format!("{} '{hash}'{}", POLICY[0], POLICY[1])
});

/// The same for every answer of the portal.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::VARY, "accept, cookie, hx-request, hx-request-type"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    ),
];

fn protect(headers: &mut HeaderMap, inline: bool, https: bool) {
    let policy = if inline {
        &*INLINE_POLICY
    } else {
        &*PLAIN_POLICY
    };
    // What is no page of ours may have a stricter one.
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(policy);
    }
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if https {
        let a_year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, a_year);
    }
}
