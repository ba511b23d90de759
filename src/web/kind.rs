//! In which form a page is wanted: `Accept` decides.
use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use std::convert::Infallible;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Page,
    /// `application/json`: what the API says.
    Json,
    /// `text/plain`.
    Text,
}

impl<S: Send + Sync> FromRequestParts<S> for Kind {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let accepted = parts.headers.get_all(header::ACCEPT);
        let accepted = accepted.iter().filter_map(|value| value.to_str().ok());
        Ok(of(accepted.flat_map(|value| value.split(','))))
    }
}

/// The one with the greatest weight; whoever takes HTML at all, or anything, gets the
/// page.
fn of<'a>(accepted: impl Iterator<Item = &'a str>) -> Kind {
    let mut best = (0.0, Kind::Page);
    for item in accepted {
        let mut parts = item.split(';').map(str::trim);
        let kind = match parts.next().unwrap_or_default() {
            "text/html" | "application/xhtml+xml" => return Kind::Page,
            "application/json" => Kind::Json,
            "text/plain" => Kind::Text,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        let weight = weight.unwrap_or(1.0_f32);
        if weight > best.0 {
            best = (weight, kind);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_the_page() {
        for (accept, kind) in [
            ("", Kind::Page),
            ("*/*", Kind::Page),
            ("text/html, text/event-stream", Kind::Page),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Kind::Page,
            ),
            ("application/json, text/html;q=0.1", Kind::Page),
            ("application/json", Kind::Json),
            ("application/json, text/plain, */*", Kind::Json),
            ("text/plain;q=0.9, application/json;q=0.1", Kind::Text),
            ("text/plain", Kind::Text),
            ("application/json;q=0", Kind::Page),
            ("image/png", Kind::Page),
        ] {
            assert_eq!(of(accept.split(',')), kind, "{accept}");
        }
    }
}
