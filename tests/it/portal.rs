//! The portal, in front of an orchestrator that a test speaks for.
mod origins;
mod pages;
mod signing;

use crate::double::{self, Double, TOKEN};
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::client::Client;
use junglegrid::web::{self, Config};
use scraper::{Html, Selector};
use tower::ServiceExt as _;

struct Browser {
    router: axum::Router,
    double: Double,
    cookie: Option<String>,
}

impl Browser {
    fn over(double: Double, secure_cookies: bool) -> Self {
        let config = Config {
            public_url: "http://grid.example:8080/".parse().expect("a URL"),
            secure_cookies,
            clock: double::clock(),
        };
        let router = web::router(Client::in_process(double.router()), config);
        Self {
            router,
            double,
            cookie: None,
        }
    }

    fn guest() -> Self {
        Self::over(Double::new(), false)
    }

    fn signed_in() -> Self {
        Self {
            cookie: Some(format!("jg_session={TOKEN}")),
            ..Self::guest()
        }
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "grid.example:8080");
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Page {
        let request = request.body(body).expect("a request");
        Page::of(
            self.router
                .clone()
                .oneshot(request)
                .await
                .expect("infallible"),
        )
        .await
    }

    async fn visit(&self, path: &str) -> Page {
        self.send(self.request(Method::GET, path), Body::empty())
            .await
    }

    async fn swap(&self, path: &str) -> Page {
        let request = htmx(self.request(Method::GET, path));
        self.send(request, Body::empty()).await
    }

    /// As a page that shows a version of it.
    async fn shows(&self, path: &str, version: &str) -> Page {
        let request = htmx(self.request(Method::GET, path)).header("jg-shows", version);
        self.send(request, Body::empty()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self
            .request(Method::POST, path)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = serde_html_form::to_string(fields).expect("a form");
        self.send(request, Body::from(body)).await
    }
}

fn htmx(request: http::request::Builder) -> http::request::Builder {
    request
        .header("hx-request", "true")
        .header("hx-request-type", "partial")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "cors")
}

#[derive(Debug)]
struct Page {
    status: StatusCode,
    headers: http::HeaderMap,
    html: String,
}

impl Page {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            html: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.get_all(header::SET_COOKIE);
        cookies
            .iter()
            .filter_map(|cookie| cookie.to_str().ok())
            .find(|cookie| cookie.starts_with(&format!("{name}=")))
    }

    /// What its pulse says that it shows.
    fn shown(&self) -> String {
        let told = self.attributes("#pulse", "hx-headers").remove(0);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        told["jg-shows"].as_str().expect("a version").to_owned()
    }

    fn texts(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let html = Html::parse_document(&self.html);
        html.select(&selector)
            .map(|el| {
                el.text()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let html = Html::parse_document(&self.html);
        html.select(&selector)
            .filter_map(|el| el.attr(name).map(str::to_owned))
            .collect()
    }
}

/// Every page, in every state that a test can bring about.
async fn all_pages() -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    let guest = Browser::guest();
    for path in [
        "/login",
        "/login?next=/portal/jobs",
        "/login/forgot",
        "/login/reset?email=a@b.example",
        "/signup",
        "/signup/verify?email=a@b.example",
        "/nowhere",
    ] {
        pages.push((path.to_owned(), guest.visit(path).await));
    }
    guest.double.refuse(
        "POST /auth/register",
        400,
        "INVALID_REQUEST",
        "Two.",
        &[("email", "No."), ("password", "Short.")],
    );
    pages.push((
        "/signup, wrong".into(),
        guest.post("/signup", &[("email", "x\"><script>")]).await,
    ));
    let viewer = Browser::signed_in();
    for path in ["/portal", "/portal/nodes", "/portal/nowhere"] {
        pages.push((path.to_owned(), viewer.visit(path).await));
    }
    let shown = pages.iter().find(|(path, _)| path == "/portal");
    let shown = shown.expect("the dashboard").1.shown();
    let turned = shown.replace(|digit: char| digit.is_ascii_digit(), "f");
    let (_, rows) = shown.rsplit_once('.').expect("rows");
    let (_, fixed) = turned.split_once('.').expect("parts");
    let (fixed, _) = fixed.split_once('.').expect("parts");
    let polled = viewer.shows("/portal", &format!("0.{fixed}.{rows}")).await;
    pages.push(("/portal, polled".into(), polled));
    viewer
        .double
        .reply("GET /v1/overview", 200, &double::fresh());
    pages.push(("/portal, new".into(), viewer.visit("/portal").await));
    pages
}
