//! Whoever looks at the portal in front of a [`Fake`], without a screen.
use super::{Fake, Shared, orchestrator};
use crate::architecture::HTMX_2;
use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::app::guard::{self, Hosts, Rules};
use junglegrid::client::Client;
use junglegrid::clock::Clock;
use junglegrid::web;
use scraper::{Html, Selector};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

/// The portal in front of a [`Fake`].
pub(crate) struct Browser {
    pub(crate) fake: Shared,
    portal: Router,
}

impl Browser {
    pub(crate) fn new(fake: Fake) -> Self {
        let fake = Arc::new(Mutex::new(fake));
        let config = web::Config {
            public_url: "http://localhost:8080".parse().expect("a URL"),
            secure_cookies: false,
            clock: Clock::manual(time::macros::datetime!(2026-11-23 14:30 UTC)),
        };
        let portal = web::router(Client::in_process(orchestrator(fake.clone())), config);
        Self { fake, portal }
    }

    pub(crate) fn fake(&self) -> std::sync::MutexGuard<'_, Fake> {
        self.fake.lock().expect("a fake")
    }

    /// Loads a page.
    pub(crate) async fn visit(&self, path: &str) -> Page {
        self.send(request(Method::GET, path), Body::empty()).await
    }

    /// The same, in another form.
    pub(crate) async fn accept(&self, path: &str, kind: &str) -> Page {
        let request = request(Method::GET, path).header(header::ACCEPT, kind);
        self.send(request, Body::empty()).await
    }

    /// The same, with one more cookie.
    pub(crate) async fn visit_with(&self, path: &str, cookie: &str) -> Page {
        let request = request(Method::GET, path).header(header::COOKIE, cookie);
        self.send(request, Body::empty()).await
    }

    /// Asks for a fragment as htmx does.
    pub(crate) async fn swap(&self, path: &str) -> Page {
        self.send(htmx(request(Method::GET, path)), Body::empty())
            .await
    }

    /// The same, by an element that says which version it has.
    pub(crate) async fn poll(&self, path: &str, tag: &str) -> Page {
        let request = htmx(request(Method::GET, path)).header(header::IF_NONE_MATCH, tag);
        self.send(request, Body::empty()).await
    }

    /// Asks for a fragment through the guard, which compresses it for Chromium, as
    /// an element does that `shows` a version or none; the bytes of the answer.
    pub(crate) async fn weigh(&self, path: &str, shows: Option<&str>) -> (Page, usize) {
        let public = "http://localhost:8080".parse().expect("a URL");
        let listen = "127.0.0.1:8080".parse().expect("an address");
        let rules = Rules::new(Hosts::new(listen, &public, "apps.localhost"));
        let guarded = guard::wrap(self.portal.clone(), rules);
        let mut request = htmx(request(Method::GET, path))
            .header(header::HOST, "localhost:8080")
            .header(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd");
        if let Some(shows) = shows {
            request = request.header("jg-shows", shows);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = guarded.oneshot(request).await.expect("infallible");
        let whole = response.into_body().collect().await.expect("a body");
        let page = match shows {
            Some(shows) => self.shows(path, shows).await,
            None => self.swap(path).await,
        };
        (page, whole.to_bytes().len())
    }

    /// Asks for a fragment as a page does that shows a version of it.
    pub(crate) async fn shows(&self, path: &str, version: &str) -> Page {
        let request = htmx(request(Method::GET, path)).header("jg-shows", version);
        self.send(request, Body::empty()).await
    }

    /// Sends a form without htmx.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.form(request(Method::POST, path), fields).await
    }

    /// Sends a form as htmx does.
    pub(crate) async fn hx_post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.form(htmx(request(Method::POST, path)), fields).await
    }

    /// Sends a form with files: fields with their values, then fields with the names and
    /// the bytes of files.
    pub(crate) async fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> Page {
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!(
                "--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.extend_from_slice(part.as_bytes());
        }
        for (name, file, bytes) in files {
            let part = format!(
                "--edge\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
                 content-type: text/plain\r\n\r\n"
            );
            body.extend_from_slice(part.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--edge--\r\n");
        let kind = "multipart/form-data; boundary=edge";
        let request = request(Method::POST, path).header(header::CONTENT_TYPE, kind);
        self.send(request, Body::from(body)).await
    }

    async fn form(&self, request: http::request::Builder, fields: &[(&str, &str)]) -> Page {
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = serde_html_form::to_string(fields).expect("a form");
        self.send(request, Body::from(body)).await
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Page {
        let request = request.body(body).expect("a request");
        let response = self
            .portal
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Page {
            status: parts.status,
            headers: parts.headers,
            html: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

fn request(method: Method, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("sec-fetch-site", "same-origin")
        .header(header::COOKIE, "jg_session=jgs_test")
}

fn htmx(request: http::request::Builder) -> http::request::Builder {
    request
        .header("hx-request", "true")
        .header("hx-request-type", "partial")
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) html: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// What its pulse says that it shows.
    pub(crate) fn shown(&self) -> String {
        let told = self.attributes("#pulse", "hx-headers").remove(0);
        let told: Value = serde_json::from_str(&told).expect("JSON");
        told["jg-shows"].as_str().expect("a version").to_owned()
    }

    /// The texts of the elements that `selector` matches.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        self.all(selector, |el| {
            el.text()
                .collect::<String>()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        })
    }

    /// An attribute of the elements that `selector` matches.
    pub(crate) fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        self.all(selector, |el| el.attr(name).unwrap_or_default().to_owned())
    }

    fn all<T>(&self, selector: &str, read: impl Fn(scraper::ElementRef) -> T) -> Vec<T> {
        let selector = Selector::parse(selector).expect("a selector");
        let html = Html::parse_document(&self.html);
        html.select(&selector).map(read).collect()
    }

    /// The first element that `selector` matches, one tag per line.
    pub(crate) fn outline(&self, selector: &str) -> String {
        let all = self.all(selector, |el| el.html());
        let (before, rest) = all[0].split_once("/assets/icons.").unwrap_or((&all[0], ""));
        // The sprite's name changes with its content.
        let hash = rest.split('.').next().unwrap_or_default();
        let html = if hash.is_empty() {
            before.to_owned()
        } else {
            all[0].replace(hash, "HASH")
        };
        html.replace("><", ">\n<")
    }

    /// Fails if [`HOSTILE`] got through, or the page does what it must not.
    pub(crate) fn assert_inert(&self) {
        assert!(
            self.texts("script").iter().all(String::is_empty),
            "{}",
            self.html
        );
        assert!(self.attributes("img", "src").is_empty(), "{}", self.html);
        assert!(
            self.attributes("[hx-get]", "hx-trigger")
                .iter()
                .all(|on| on != "load"),
            "{}",
            self.html
        );
        assert!(
            self.attributes("[style]", "style").is_empty(),
            "a style attribute"
        );
        for old in HTMX_2.iter().chain(&["js:"]) {
            assert!(
                !self.html.contains(*old) || self.html.contains("<style>"),
                "{old}"
            );
        }
    }
}
