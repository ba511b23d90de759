//! Reads queries and bodies into the contract's types, and says which field is wrong.
use super::Error;
use axum_extra::extract::Query;
use http::Uri;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a client sends may be nested so deeply. Answers hold it a few levels
/// deeper, and parsers stop at 128.
const DEEPEST: usize = 64;

/// Of more fields than that the one that is wrong is not looked for.
const MOST_TRIED: usize = 64;

/// # Errors
///
/// [`Error::Invalid`] with the parameter that cannot be read.
pub(super) fn query<Q: DeserializeOwned>(uri: &Uri) -> Result<Q, Error> {
    // Where nothing is asked for, whatever is said is ignored.
    if let Ok(nothing) = serde_json::from_value(Value::Null) {
        return Ok(nothing);
    }
    // A field that a client left empty is one that it did not fill in.
    let given = uri.query().unwrap_or_default().split('&');
    let given = given.filter(|pair| !pair.ends_with('='));
    let given: Vec<Cow<'_, str>> = given.map(readable).collect();
    pairs(&given).map_err(|why| {
        let culprit = (0..given.len().min(MOST_TRIED)).find(|at| {
            let mut others = given.clone();
            others.remove(*at);
            pairs::<Q>(&others).err().as_ref() != Some(&why)
        });
        let name = culprit.and_then(|at| given.get(at)?.split('=').next());
        unfit("query", name, &why)
    })
}

fn pairs<Q: DeserializeOwned>(pairs: &[Cow<'_, str>]) -> Result<Q, String> {
    let uri = Uri::builder()
        .path_and_query(format!("/?{}", pairs.join("&")))
        .build()
        .map_err(|error| error.to_string())?;
    let read = Query::<Q>::try_from_uri(&uri);
    read.map(|Query(query)| query).map_err(|error| {
        let cause = std::error::Error::source(&error);
        cause.map_or_else(|| error.to_string(), ToString::to_string)
    })
}

/// Lists cut the `limit` that they are asked for. This one is cut to what any of them
/// can read.
fn readable(pair: &str) -> Cow<'_, str> {
    let Some(number) = pair.strip_prefix("limit=") else {
        return pair.into();
    };
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return pair.into();
    }
    if digits.len() < number.len() {
        return "limit=0".into();
    }
    if digits.len() > 9 {
        return "limit=999999999".into();
    }
    pair.into()
}

/// An empty body says nothing: `()` for calls without one, no fields for others.
/// A call without a body ignores whatever is sent.
///
/// # Errors
///
/// [`Error::Invalid`] with the field that cannot be read, [`Error::BadRequest`] if it
/// is not one field.
pub(super) fn body<B: DeserializeOwned>(raw: &[u8]) -> Result<B, Error> {
    if let Ok(nothing) = serde_json::from_value(Value::Null) {
        return Ok(nothing);
    }
    let value: Value = if raw.iter().all(u8::is_ascii_whitespace) {
        json!({})
    } else {
        serde_json::from_slice(raw)
            .map_err(|error| Error::BadRequest(format!("The body is not valid JSON: {error}.")))?
    };
    if !value.is_object() {
        return Err(Error::BadRequest("The body must be a JSON object.".into()));
    }
    if !shallow(&value, DEEPEST) {
        return Err(Error::BadRequest(format!(
            "The body is nested too deeply: {DEEPEST} levels at most."
        )));
    }
    B::deserialize(&value).map_err(|error| {
        let why = error.to_string();
        unfit("body", culprit::<B>(&value, &why), &why)
    })
}

/// The field without which `value` fails elsewhere or not at all.
fn culprit<'a, B: DeserializeOwned>(value: &'a Value, why: &str) -> Option<&'a str> {
    let fields = value.as_object()?;
    let mut names = fields.keys().take(MOST_TRIED);
    let name = names.find(|name| {
        let mut others = fields.clone();
        others.remove(*name);
        let read = B::deserialize(Value::Object(others));
        read.err().is_none_or(|error| error.to_string() != why)
    });
    name.map(String::as_str)
}

/// Whether nothing in `value` is more than `levels` deep.
fn shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| shallow(item, levels - 1)),
        Value::Object(fields) => {
            levels > 0 && fields.values().all(|field| shallow(field, levels - 1))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// The refusal of a request of which one field is wrong, or one is missing.
fn unfit(what: &str, field: Option<&str>, why: &str) -> Error {
    // It may repeat what was sent, which may be long.
    let why: String = why.chars().take(200).collect();
    let missing = why.strip_prefix("missing field `");
    let missing = missing.and_then(|rest| rest.split('`').next());
    let (field, says) = match (missing, field) {
        (Some(field), _) => (field, "This is required.".to_owned()),
        (None, Some(field)) => (field, format!("This cannot be read: {why}.")),
        (None, None) => return Error::BadRequest(format!("The {what} is not right: {why}.")),
    };
    Error::Invalid {
        message: format!("{field}: {says}"),
        fields: BTreeMap::from([(field.to_owned(), says)]),
    }
}
