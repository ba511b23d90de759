//! What a job was submitted with, for doing it again elsewhere. Secrets stay here.
use super::super::route::{Call, Cx};
use super::super::{Error, drafts};
use crate::api::GetJobContent;
use crate::api::bulk::Submission;
use crate::domain::secret;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) async fn get(cx: Cx, call: Call<GetJobContent>) -> Result<Submission, Error> {
    let mut conn = cx.store().read().await?;
    let job = super::find(&mut conn, cx.caller.workspace, call.path.0).await?;
    let mut content = drafts::to_content(&job.spec);
    let mut secrets = BTreeSet::new();
    if let Some(Value::Object(environment)) = content.get_mut("environment") {
        for (name, value) in environment {
            // What is set for programs alone tells little by its name.
            if value.as_str().is_some_and(secret::is_secret_value) {
                put_aside(name, value, &mut secrets);
            }
        }
    }
    for value in content.values_mut() {
        hide(value, &mut secrets);
    }
    Ok(Submission {
        job_id: job.id,
        content,
        secrets: secrets.into_iter().collect(),
    })
}

fn hide(value: &mut Value, secrets: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            if let Some(without) = secret::without_tokens(text) {
                *text = without;
                secrets.insert("SECRET".into());
            }
        }
        Value::Array(items) => {
            let mut announced = false;
            for item in items {
                let word = item.as_str().unwrap_or_default();
                let next = secret::announces_secret(word);
                let plain = word.is_empty() || word.starts_with(['-', '$']);
                if announced && !plain {
                    *item = Value::String("${SECRET}".into());
                    secrets.insert("SECRET".into());
                } else {
                    hide(item, secrets);
                }
                announced = next;
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                if secret::is_secret_name(name) && holds_something(value) {
                    put_aside(name, value, secrets);
                } else {
                    hide(value, secrets);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts the name of a value in its place.
fn put_aside(name: &str, value: &mut Value, secrets: &mut BTreeSet<String>) {
    let place = placeholder(name);
    *value = Value::String(format!("${{{place}}}"));
    secrets.insert(place);
}

fn holds_something(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(_)) && value.as_str() != Some("")
}

/// The name as a variable of a shell.
fn placeholder(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).take(80).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("_{name}");
    }
    name
}
