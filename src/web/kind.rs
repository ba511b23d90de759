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
        Ok(asked(&parts.headers))
    }
}

/// The one with the greatest weight; in doubt the page, which whoever takes anything
/// gets.
fn of<'a>(accepted: impl Iterator<Item = &'a str>) -> Kind {
    let mut best = (0.0, Kind::Page);
    for item in accepted {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let kind = match &*name {
            "text/html" | "application/xhtml+xml" => Kind::Page,
            "application/json" => Kind::Json,
            "text/plain" => Kind::Text,
            _ => continue,
        };
        let weight = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("q")
                .then(|| value.trim().parse().unwrap_or(0.0))
        });
        let weight = weight.unwrap_or(1.0_f32);
        if weight > best.0 || weight >= best.0 && weight > 0.0 && kind == Kind::Page {
            best = (weight, kind);
        }
    }
    best.1
}

/// The form that these headers ask for.
pub(crate) fn asked(headers: &http::HeaderMap) -> Kind {
    let accepted = headers.get_all(header::ACCEPT);
    let accepted = accepted.iter().filter_map(|value| value.to_str().ok());
    of(accepted.flat_map(|value| value.split(',')))
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
            ("application/json, text/html;q=0.1", Kind::Json),
            ("application/json;q=0.5, text/html;q=0.5", Kind::Page),
            (
                "Application/JSON; Q=0.9, text/plain;q=0.95, text/html;q=0",
                Kind::Text,
            ),
            ("application/json;q=nonsense", Kind::Page),
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
