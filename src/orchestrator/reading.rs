//! Reads queries and bodies into the contract's types, and says which field is wrong.
use super::Error;
use http::Uri;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

/// What a client sends may be nested so deeply. Answers hold it a few levels
/// deeper, and parsers stop at 128.
const DEEPEST: usize = 64;

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
    let given = given.join("&");
    let pairs = serde_html_form::Deserializer::from_bytes(given.as_bytes());
    serde_path_to_error::deserialize(pairs).map_err(|error| unfit("query", &error))
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
    serde_path_to_error::deserialize(&value).map_err(|error| unfit("body", &error))
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
fn unfit<E: Display>(what: &str, error: &serde_path_to_error::Error<E>) -> Error {
    // It may repeat what was sent, which may be long.
    let why: String = error.inner().to_string().chars().take(200).collect();
    let missing = why.strip_prefix("missing field `");
    let missing = missing.and_then(|rest| rest.split('`').next());
    let path = error.path().to_string();
    // Where it is not known, it is a full stop or a question mark.
    let field = path.split(['.', '[']).next().unwrap_or_default();
    let (field, says) = match (missing, field) {
        (Some(field), _) => (field, "This is required.".to_owned()),
        (None, "" | "?") => return Error::BadRequest(format!("The {what} is not right: {why}.")),
        (None, field) => (field, format!("This cannot be read: {why}.")),
    };
    Error::Invalid {
        message: format!("{field}: {says}"),
        fields: BTreeMap::from([(field.to_owned(), says)]),
    }
}
