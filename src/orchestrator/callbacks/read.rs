//! The callback that a client asks for, in any of its three spellings (contract 3.1):
//! `callback_url` with its companions, `callback{}`, and the older `webhook_url`.
use super::super::seal;
use super::super::{Error, State};
use crate::api::jobs::Content;
use crate::domain::id::DraftId;
use crate::domain::reach::{self, Allow};
use crate::store::{self, Conn};
use secrecy::SecretString;
use serde_json::{Map, Value};

/// Bytes of a token, which is sent in a header.
const LONGEST_TOKEN: usize = 4_096;
/// Bytes of JSON.
const LONGEST_METADATA: usize = 8_192;

/// Who is to be told.
#[derive(Debug, Clone)]
pub(in crate::orchestrator) struct Callback {
    pub(super) url: SecretString,
    pub(super) shown_url: String,
    pub(super) receiver: String,
    pub(super) token: Option<SecretString>,
    /// A JSON object of texts.
    pub(super) metadata: Option<String>,
}

/// What is wrong, under the name of the field that it was said in.
type Faults = Vec<(&'static str, String)>;

/// What is wrong with the callback of this job, per field.
pub(in crate::orchestrator) fn wrong(content: &Content, allow: &Allow) -> Faults {
    parse(content, allow).1
}

/// The callback of a job whose content has been found right.
pub(in crate::orchestrator) fn read(content: &Content, allow: &Allow) -> Option<Callback> {
    parse(content, allow).0
}

/// One spelling: the field to complain about, and what is in it.
struct Given<'a> {
    field: &'static str,
    url: Option<&'a Value>,
    token: Option<(&'static str, &'a Value)>,
    metadata: Option<(&'static str, &'a Value)>,
}

fn given<'a>(content: &'a Content, faults: &mut Faults) -> Vec<Given<'a>> {
    let there = |name: &'static str| content.get(name).filter(|value| !value.is_null());
    let mut all = vec![
        Given {
            field: "callback_url",
            url: there("callback_url"),
            token: there("callback_auth_token").map(|value| ("callback_auth_token", value)),
            metadata: there("callback_metadata").map(|value| ("callback_metadata", value)),
        },
        Given {
            field: "webhook_url",
            url: there("webhook_url"),
            token: None,
            metadata: None,
        },
    ];
    match there("callback") {
        None => {}
        Some(Value::Object(nested)) => {
            let inside = |name: &str| nested.get(name).filter(|value| !value.is_null());
            all.push(Given {
                field: "callback",
                url: inside("url"),
                token: inside("auth_token").map(|value| ("callback", value)),
                metadata: inside("metadata").map(|value| ("callback", value)),
            });
        }
        Some(_) => faults.push((
            "callback",
            "Give an object such as {\"url\": \"https://…\"}.".into(),
        )),
    }
    all
}

fn parse(content: &Content, allow: &Allow) -> (Option<Callback>, Faults) {
    let mut faults = Faults::new();
    let all = given(content, &mut faults);
    let mut url: Option<url::Url> = None;
    for one in &all {
        let text = match one.url {
            None => continue,
            Some(Value::String(text)) if text.trim().is_empty() => continue,
            Some(Value::String(text)) => text.trim(),
            Some(_) => {
                faults.push((one.field, "This must be text.".into()));
                continue;
            }
        };
        match reach::check(text, allow) {
            Err(why) => faults.push((one.field, why.to_string())),
            Ok(found) if url.as_ref().is_some_and(|before| *before != found) => {
                faults.push((one.field, "A job has one callback: give one URL.".into()));
            }
            Ok(found) => url = Some(found),
        }
    }
    let token = all.iter().find_map(|one| one.token);
    let token = token.and_then(|(field, value)| match checked_token(value) {
        Ok(token) => token,
        Err(why) => {
            faults.push((field, why.into()));
            None
        }
    });
    let metadata = all.iter().find_map(|one| one.metadata);
    let metadata = metadata.and_then(|(field, value)| match checked_metadata(value) {
        Ok(metadata) => metadata,
        Err(why) => {
            faults.push((field, why.into()));
            None
        }
    });
    let callback = url.filter(|_| faults.is_empty()).map(|url| Callback {
        shown_url: reach::shown(&url),
        receiver: reach::receiver(&url),
        url: String::from(url).into(),
        token,
        metadata,
    });
    (callback, faults)
}

fn checked_token(value: &Value) -> Result<Option<SecretString>, &'static str> {
    let Value::String(text) = value else {
        return Err("The token must be text.");
    };
    let text = text.trim();
    if text.len() > LONGEST_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("A token has 4,096 visible ASCII characters at most, and no spaces.");
    }
    Ok((!text.is_empty()).then(|| text.into()))
}

fn checked_metadata(value: &Value) -> Result<Option<String>, &'static str> {
    let wrong = "Give callback metadata as an object of names and text values.";
    let Value::Object(pairs) = value else {
        return Err(wrong);
    };
    let mut texts = Map::new();
    for (name, value) in pairs {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(wrong),
        };
        texts.insert(name.clone(), text.into());
    }
    let json = Value::Object(texts).to_string();
    if json.len() > LONGEST_METADATA {
        return Err("Callback metadata may have 8,192 bytes of JSON.");
    }
    Ok((!pairs.is_empty()).then_some(json))
}

/// What becomes of the token that a draft has for its callback.
#[derive(Debug)]
pub(in crate::orchestrator) enum DraftToken {
    Keep,
    Clear,
    /// Sealed.
    Set(String),
}

impl DraftToken {
    /// In the transaction in which the draft is written.
    pub(in crate::orchestrator) async fn write(
        &self,
        conn: &mut Conn,
        draft: DraftId,
    ) -> Result<(), store::Error> {
        match self {
            Self::Keep => Ok(()),
            Self::Clear => store::callbacks::clear_draft_token(conn, draft).await,
            Self::Set(sealed) => {
                store::callbacks::clear_draft_token(conn, draft).await?;
                store::callbacks::set_draft_token(conn, draft, sealed).await
            }
        }
    }
}

/// Takes the token out of a part of a draft that has been found right. A new URL
/// without one means that there is none: what one receiver knows, another need not.
pub(in crate::orchestrator) fn take_token(
    state: &State,
    draft: DraftId,
    part: &mut Content,
) -> DraftToken {
    let renewed = ["callback_url", "webhook_url", "callback"]
        .iter()
        .any(|field| part.contains_key(*field));
    let nested = match part.get_mut("callback") {
        Some(Value::Object(nested)) => nested.remove("auth_token"),
        _ => None,
    };
    let flat = part.remove("callback_auth_token");
    let said = flat.is_some() || renewed;
    let token = flat.filter(|value| !value.is_null()).or(nested);
    match token.as_ref().map(checked_token) {
        Some(Ok(Some(token))) => DraftToken::Set(seal::seal(
            state,
            &place(draft),
            secrecy::ExposeSecret::expose_secret(&token),
        )),
        _ if said => DraftToken::Clear,
        _ => DraftToken::Keep,
    }
}

fn place(draft: DraftId) -> String {
    format!("draft_callbacks|token|{draft}")
}

impl Callback {
    /// The same with the token that its draft has, sealed.
    pub(in crate::orchestrator) fn with_token_of(
        self,
        state: &State,
        draft: DraftId,
        sealed: Option<String>,
    ) -> Result<Self, Error> {
        let opened = sealed.map(|sealed| seal::open(state, &place(draft), &sealed));
        let token = opened
            .transpose()
            .map_err(|error| Error::Internal(error.into()))?;
        Ok(Self {
            token: token.map(Into::into),
            ..self
        })
    }
}
