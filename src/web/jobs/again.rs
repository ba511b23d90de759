//! The same job again: at once, with changes, or from another program.
use super::detail::Which;
use super::{text, view};
use crate::api::bulk::Submission;
use crate::api::drafts::NewDraft;
use crate::domain::id::JobId;
use crate::web::hx::{self, Wants};
use crate::web::kind::Kind;
use crate::web::shell::{self, Nav};
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal, submit, ui};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use maud::html;
use serde_json::{Value, json};
use std::fmt::Write as _;

async fn draft(viewer: &Viewer, id: JobId) -> Result<crate::domain::id::DraftId, Error> {
    let draft = NewDraft {
        from_job: Some(id),
        ..NewDraft::default()
    };
    Ok(viewer.api.create_draft(&draft).await?.id)
}

/// A draft of the same job, at its review, with a fresh estimate.
pub(super) async fn rerun(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
) -> Result<Response, Error> {
    let draft = draft(&viewer, id).await?;
    Ok(hx::redirect(wants, &submit::review_path(draft)))
}

/// The same, at its first step.
pub(super) async fn clone(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
) -> Result<Response, Error> {
    let draft = draft(&viewer, id).await?;
    Ok(hx::redirect(wants, &submit::first_path(draft)))
}

/// For which program it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Cli,
    Curl,
    Mcp,
    Json,
}

impl Form {
    const ALL: [Self; 4] = [Self::Cli, Self::Curl, Self::Mcp, Self::Json];

    const fn name(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Curl => "curl",
            Self::Mcp => "mcp",
            Self::Json => "json",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Cli => "CLI",
            Self::Curl => "curl",
            Self::Mcp => "MCP call",
            Self::Json => "JSON",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Cli => "For a shell with the command-line client, signed in or with a key.",
            Self::Curl => "For a shell. The key is read from JUNGLE_GRID_API_KEY.",
            Self::Mcp => "What an agent sends to the MCP server.",
            Self::Json => "The body of POST /v1/jobs.",
        }
    }

    fn write(self, submitted: &Submission, base: &str) -> String {
        match self {
            Self::Cli => cli(submitted, base),
            Self::Curl => curl(submitted, base),
            Self::Mcp => pretty(&mcp(submitted)),
            Self::Json => pretty(&Value::Object(submitted.content.clone())),
        }
    }
}

pub(super) async fn written(
    viewer: Viewer,
    State(portal): State<Portal>,
    Path((id, form)): Path<(String, String)>,
    kind: Kind,
) -> Result<Response, Error> {
    let id: JobId = id.parse().map_err(|_| Error::NotFound)?;
    let form = Form::ALL.into_iter().find(|one| one.name() == form);
    let form = form.ok_or(Error::NotFound)?;
    let submitted = viewer.api.job_content(id).await?;
    let base = portal.config.public_url.as_str().trim_end_matches('/');
    let shown = form.write(&submitted, base);
    match kind {
        Kind::Page => {}
        Kind::Json => return Ok(Json(submitted).into_response()),
        Kind::Text => return Ok(format!("{shown}\n").into_response()),
    }
    let places: Vec<&String> = submitted
        .secrets
        .iter()
        .filter(|name| shown.contains(&format!("${{{name}}}")))
        .collect();
    let job = view::path(id);
    let name = submitted.content.get("name").and_then(Value::as_str);
    let name = text::visible(name.unwrap_or("the job"));
    let main = html! {
        (super::dress())
        div.head {
            div {
                p.crumbs { a href=(job) { "Job" } }
                h1 { "Copy " bdi hx-ignore { (name) } }
                p { "The same job for another program." }
            }
        }
        nav.forms aria-label="Forms" {
            @for one in Form::ALL {
                a.btn href={ (job) "/as/" (one.name()) } aria-current=[(one == form).then_some("page")] { (one.label()) }
            }
        }
        section.card aria-labelledby="as-h" {
            header {
                h2 #as-h { (form.label()) }
                button.btn.push type="button" data-copy="#as" { (ui::icon("copy")) "Copy" }
            }
            p.small.mute { (form.hint()) }
            pre #as .mono.code.half tabindex="0" hx-ignore { (text::visible(&shown)) }
            @if !places.is_empty() {
                p.half { "Secrets are not shown. Put them in the place of: "
                    @for (n, name) in places.iter().enumerate() { @if n > 0 { ", " } code { (name) } } "." }
            }
        }
    };
    let title = format!("{name} as {}", form.label());
    Ok(shell::page(&viewer, &title, Nav::Jobs, main).into_response())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The text as one word of a shell, in which placeholders are variables.
fn quoted(text: &str, secrets: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut word = format!("'{}'", text.replace('\'', r"'\''"));
    for name in secrets {
        let place = format!("${{{name}}}");
        word = word.replace(&place, &format!("'\"{place}\"'"));
    }
    word
}

fn curl(submitted: &Submission, base: &str) -> String {
    let body = pretty(&Value::Object(submitted.content.clone()));
    format!(
        "curl -sS {base}/v1/jobs \\\n  -H \"Authorization: Bearer $JUNGLE_GRID_API_KEY\" \\\n  -H 'Content-Type: application/json' \\\n  --data-binary {}",
        quoted(&body, &submitted.secrets)
    )
}

/// The words of the command, however it was written.
fn words(content: &serde_json::Map<String, Value>) -> Vec<String> {
    let list = |field: &str| -> Vec<String> {
        let items = content.get(field).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.map(ToOwned::to_owned).collect()
    };
    let args = list("args");
    match content.get("command").and_then(Value::as_str) {
        Some(line) if args.is_empty() && line.contains(char::is_whitespace) => {
            vec!["/bin/sh".into(), "-c".into(), line.to_owned()]
        }
        Some(line) => [vec![line.to_owned()], args].concat(),
        None => [list("command"), args].concat(),
    }
}

/// Flags of the client, and the fields that they say.
const FLAGS: [(&str, &str); 8] = [
    ("name", "--name"),
    ("workload_type", "--workload"),
    ("image", "--image"),
    ("model_size_gb", "--model-size"),
    ("optimize_for", "--optimize-for"),
    ("max_price_per_hour", "--max-price-hour"),
    ("cost_priority", "--cost-priority"),
    ("latency_priority", "--latency-priority"),
];

fn cli(submitted: &Submission, base: &str) -> String {
    let content = &submitted.content;
    let mut out = format!("JUNGLE_GRID_API={} jungle submit", quoted(base, &[]));
    let mut say = |flag: &str, value: &str| {
        let _ = write!(out, " \\\n  {flag} {}", quoted(value, &submitted.secrets));
    };
    for (field, flag) in FLAGS {
        match content.get(field) {
            None => {}
            Some(Value::String(text)) => say(flag, text),
            Some(value) => say(flag, &value.to_string()),
        }
    }
    for (n, word) in words(content).iter().enumerate() {
        say(if n == 0 { "--command" } else { "--arg" }, word);
    }
    let said = |field: &str| {
        FLAGS.iter().any(|(one, _)| *one == field) || matches!(field, "command" | "args")
    };
    let left: Vec<&str> = content
        .keys()
        .map(String::as_str)
        .filter(|field| !said(field))
        .collect();
    if !left.is_empty() {
        let _ = write!(
            out,
            "\n# The client has no flags for: {}. Use curl where they matter.",
            left.join(", ")
        );
    }
    out
}

fn mcp(submitted: &Submission) -> Value {
    let content = &submitted.content;
    let mut arguments = serde_json::Map::new();
    for (field, name) in [
        ("name", "name"),
        ("image", "image"),
        ("environment", "env"),
        ("expected_artifacts", "expected_artifacts"),
        ("optimize_for", "routing_mode"),
        ("model_size_gb", "model_size"),
        ("input_files", "input_files"),
        ("script_files", "script_files"),
        ("metadata", "metadata"),
    ] {
        if let Some(value) = content.get(field) {
            arguments.insert(name.into(), value.clone());
        }
    }
    if let Some(kind) = content.get("workload_type").and_then(Value::as_str) {
        arguments.insert("workload_type".into(), kind.replace('-', "_").into());
    }
    let command = words(content);
    if !command.is_empty() {
        arguments.insert("command".into(), json!(command));
    }
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "submit_job", "arguments": arguments },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission() -> Submission {
        serde_json::from_value(json!({
            "job_id": "job_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f",
            "content": {
                "name": "it's", "workload_type": "fine-tuning", "image": "host",
                "command": "echo $HOME | cat", "environment": { "HF_TOKEN": "${HF_TOKEN}", "SEED": "7" },
                "optimize_for": "cost", "timeout_seconds": 60,
            },
            "secrets": ["HF_TOKEN"],
        }))
        .expect("a submission")
    }

    #[test]
    fn a_shell_gets_the_job_and_the_secret_from_its_own_variable() {
        let cli = cli(&submission(), "http://localhost:8080");
        let expected = [
            r"JUNGLE_GRID_API=http://localhost:8080 jungle submit \",
            r"  --name 'it'\''s' \",
            r"  --workload fine-tuning \",
            r"  --image host \",
            r"  --optimize-for cost \",
            r"  --command /bin/sh \",
            r"  --arg -c \",
            r"  --arg 'echo $HOME | cat'",
            "# The client has no flags for: environment, timeout_seconds. Use curl where they matter.",
        ];
        assert_eq!(cli.lines().collect::<Vec<_>>(), expected);
        let curl = curl(&submission(), "http://localhost:8080");
        assert!(curl.contains(r#""HF_TOKEN": "'"${HF_TOKEN}"'""#), "{curl}");
        assert!(curl.contains(r#""name": "it'\''s""#), "{curl}");
        assert!(curl.contains("echo $HOME | cat"), "{curl}");
    }

    #[test]
    fn an_agent_gets_its_tool_s_own_names() {
        let call = mcp(&submission());
        let arguments = &call["params"]["arguments"];
        assert_eq!(arguments["workload_type"], "fine_tuning");
        assert_eq!(
            arguments["command"],
            json!(["/bin/sh", "-c", "echo $HOME | cat"])
        );
        assert_eq!(arguments["env"]["HF_TOKEN"], "${HF_TOKEN}");
        assert_eq!(arguments["routing_mode"], "cost");
    }
}
