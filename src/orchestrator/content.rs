//! Reads what a client says about a job (contract 3.1) into a [`JobSpec`].
//!
//! By hand, because all that is wrong is to be said at once and per field,
//! because unknown fields are ignored, and because the same fields may stand at
//! the top level or under `constraints`.
mod command;
#[cfg(test)]
mod described;
mod files;
mod reader;

pub(super) use command::unparsed_command;

use super::{Error, callbacks};
use crate::api::jobs::Content;
use crate::domain::money::Usd;
use crate::domain::reach::Allow;
use crate::domain::spec::{
    JobSpec, Level, OptimizeFor, RegionMode, Resources, Routing, WorkloadType,
};
use crate::domain::text::is_invisible_order;
use command::command;
use files::files;
use reader::Reader;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is wrong, per field.
pub(super) type Wrong = BTreeMap<String, String>;

/// What a job that says nothing about it gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults<'a> {
    pub(super) time_limit_seconds: u32,
    /// What callbacks reach besides the internet.
    pub(super) callback_allow: &'a Allow,
}

/// The whole job.
///
/// # Errors
///
/// Everything that is wrong or missing.
pub(super) fn parse(content: &Content, defaults: Defaults<'_>) -> Result<JobSpec, Error> {
    let (spec, wrong) = read(content, defaults);
    if wrong.is_empty() {
        return Ok(spec);
    }
    let required = ["name", "image", "workload_type"];
    let missing = required.iter().any(|field| absent(content, field));
    let message = if missing {
        "name, image, and workload_type are required".to_owned()
    } else if wrong.len() == 1 {
        wrong
            .iter()
            .next()
            .map_or_else(String::new, |(field, why)| format!("{field}: {why}"))
    } else {
        format!(
            "{} fields need another look: {}.",
            wrong.len(),
            wrong.keys().cloned().collect::<Vec<_>>().join(", ")
        )
    };
    Err(Error::Invalid {
        message,
        fields: wrong,
    })
}

/// A part of a job: what is there has to be right, what is missing may be.
///
/// # Errors
///
/// Everything that is wrong.
pub(super) fn check_part(part: &Content, defaults: Defaults<'_>) -> Result<(), Error> {
    let (_, mut wrong) = read(part, defaults);
    wrong.retain(|field, _| !absent(part, field));
    if wrong.is_empty() {
        return Ok(());
    }
    let message = wrong.values().next().cloned().unwrap_or_default();
    Err(Error::Invalid {
        message,
        fields: wrong,
    })
}

/// What still keeps this content from being a job, per field.
pub(super) fn missing(content: &Content, defaults: Defaults<'_>) -> Wrong {
    read(content, defaults).1
}

/// Whether a field says nothing: clients write what they do not have as `null` or
/// leave it empty.
pub(super) fn absent(content: &Content, field: &str) -> bool {
    match content.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    }
}

fn read(content: &Content, defaults: Defaults<'_>) -> (JobSpec, Wrong) {
    let mut from = Reader::new(content);
    let spec = spec(&mut from, defaults);
    for (field, why) in callbacks::wrong(content, defaults.callback_allow) {
        from.complain(field, &why);
    }
    (spec, from.wrong)
}

fn spec(from: &mut Reader<'_>, defaults: Defaults<'_>) -> JobSpec {
    let (argv, command_line) = command(from);
    JobSpec {
        name: from.required_text("name", 120, "Give the job a name."),
        workload_type: workload_type(from),
        image: image(from),
        argv,
        command_line,
        environment: environment(from),
        resources: resources(from),
        routing: routing(from),
        time_limit_seconds: from
            .whole("timeout_seconds", 1, 31_536_000)
            .unwrap_or(defaults.time_limit_seconds),
        expected_artifacts: expected_artifacts(from),
        files: files(from),
        notices: notices(from),
        app: None,
        metadata: metadata(from),
    }
}

fn workload_type(from: &mut Reader<'_>) -> WorkloadType {
    let word = from.required_text("workload_type", 40, "Choose a workload type.");
    WorkloadType::named(&word).unwrap_or_else(|| {
        if !word.is_empty() {
            from.complain(
                "workload_type",
                "Use inference, training, fine-tuning or batch.",
            );
        }
        WorkloadType::Batch
    })
}

fn image(from: &mut Reader<'_>) -> String {
    let image = from.required_text("image", 512, "Name an image, such as host or python:3.12.");
    let repository = image.split('@').next().unwrap_or_default();
    let repository = match repository.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => repository,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._:/@-".contains(c);
    let well_formed = image.chars().all(allowed)
        && !repository.contains(|c: char| c.is_ascii_uppercase())
        && image.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !image.is_empty() && !well_formed {
        from.complain(
            "image",
            "Use lower-case letters, digits and . / : _ - as in ghcr.io/org/app:tag.",
        );
    }
    image
}

fn environment(from: &mut Reader<'_>) -> BTreeMap<String, String> {
    let spellings = ["environment", "env"];
    let said = spellings
        .into_iter()
        .find_map(|field| Some((field, from.get(field)?)));
    let Some((field, value)) = said else {
        return BTreeMap::new();
    };
    let Value::Object(pairs) = value else {
        from.complain(
            field,
            "Give the environment as an object of names and text values.",
        );
        return BTreeMap::new();
    };
    let mut environment = BTreeMap::new();
    for (name, value) in pairs {
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.len() <= 255;
        let text = match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(bool) => Some(bool.to_string()),
            _ => None,
        };
        match text {
            Some(text) if named && text.len() <= 32_768 && !text.contains('\0') => {
                environment.insert(name.clone(), text);
            }
            _ if !named => from.complain(
                field,
                "Names have letters, digits and _ and do not begin with a digit, as in MY_VARIABLE.",
            ),
            _ => from.complain(field, &format!("{name} must be text of at most 32,768 bytes.")),
        }
    }
    if environment.len() > 200 {
        from.complain(field, "There can be 200 variables at most.");
    }
    environment
}

fn resources(from: &mut Reader<'_>) -> Resources {
    let count: Option<u32> = from.whole("gpu_count", 0, 64);
    Resources {
        model_size_gb: from.positive("model_size_gb", 100_000.0),
        disk_gb: from.positive("disk_gb", 1_000_000.0),
        memory_gb: from.positive("memory_gb", 100_000.0),
        cpus: from.whole("cpu_count", 1, 1_024),
        gpu_required: from
            .flag("gpu_required")
            .or_else(|| from.flag("requires_gpu"))
            .unwrap_or(false),
        gpu_count: count.filter(|n| *n > 0),
        min_vram_gb: from.positive("min_vram_gb", 100_000.0),
        gpu_type: from.text("gpu_type", 80),
        batch_size: from.whole("batch_size", 1, 1_000_000_000),
        precision: from.word("precision", &["fp32", "fp16", "bf16", "int8"]),
    }
}

fn routing(from: &mut Reader<'_>) -> Routing {
    // One word of some clients that stands for two of the others' questions.
    let priority = from.word("priority", &PRIORITIES);
    let priority = priority.as_deref();
    Routing {
        max_price_per_hour: from
            .positive("max_price_per_hour", 1e6)
            .and_then(|dollars| serde_json::from_value::<Usd>(Value::from(dollars)).ok()),
        preferred_gpu_family: from.text("preferred_gpu_family", 80),
        avoid_gpu_families: from.texts("avoid_gpu_families", 50),
        gpu_class: from.word("gpu_class", &["consumer", "datacenter"]),
        region_preference: from.text("region_preference", 80),
        region_mode: match from.word("region_mode", &["prefer", "strict"]).as_deref() {
            Some("strict") => RegionMode::Strict,
            _ => RegionMode::Prefer,
        },
        latency_priority: level(from, "latency_priority", priority == Some("low_latency")),
        cost_priority: level(from, "cost_priority", priority == Some("low_cost")),
        optimize_for: match from
            .word("optimize_for", &["cost", "speed", "balanced"])
            .as_deref()
        {
            Some("cost") => OptimizeFor::Cost,
            Some("speed") => OptimizeFor::Speed,
            _ => OptimizeFor::Balanced,
        },
        priority: priority
            .filter(|word| matches!(*word, "high" | "high_reliability"))
            .map(str::to_owned),
    }
}

const PRIORITIES: [&str; 6] = [
    "low",
    "balanced",
    "high",
    "low_latency",
    "low_cost",
    "high_reliability",
];

fn level(from: &mut Reader<'_>, field: &'static str, implied: bool) -> Level {
    match from.word(field, &["low", "balanced", "high"]).as_deref() {
        Some("low") => Level::Low,
        Some("high") => Level::High,
        None if implied => Level::High,
        _ => Level::Balanced,
    }
}

fn expected_artifacts(from: &mut Reader<'_>) -> Vec<String> {
    let paths = from.texts("expected_artifacts", 200);
    let inside = |path: &String| {
        path.strip_prefix("/workspace/artifacts/")
            .is_some_and(|rest| {
                rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
                    && !rest.chars().any(is_invisible_order)
            })
    };
    if !paths.iter().all(inside) {
        from.complain(
            "expected_artifacts",
            "Give absolute paths under /workspace/artifacts/.",
        );
    }
    paths
}

/// What is understood and not done is said, not swallowed.
fn notices(from: &mut Reader<'_>) -> Vec<String> {
    let mut notices = Vec::new();
    let credential = ["registry_credential_id", "huggingface_credential_id"];
    if credential
        .into_iter()
        .any(|field| from.get(field).is_some())
    {
        notices
            .push("This installation keeps no credentials: the one you named is not used.".into());
    }
    notices
}

fn metadata(from: &mut Reader<'_>) -> Option<Content> {
    let Value::Object(metadata) = from.get("metadata")? else {
        from.complain("metadata", "Give metadata as a JSON object.");
        return None;
    };
    if Value::Object(metadata.clone()).to_string().len() > 16_384 {
        from.complain("metadata", "Metadata may have 16,384 bytes of JSON.");
    }
    Some(metadata.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static NOTHING: Allow = Allow::NOTHING;
    const DEFAULTS: Defaults<'static> = Defaults {
        time_limit_seconds: 3_600,
        callback_allow: &NOTHING,
    };

    fn content(more: &Value) -> Content {
        let mut content = json!({ "name": "a", "image": "host", "workload_type": "batch" });
        for (field, value) in more.as_object().expect("an object") {
            content[field] = value.clone();
        }
        content.as_object().expect("an object").clone()
    }

    fn argv(more: &Value) -> Vec<String> {
        parse(&content(more), DEFAULTS).expect("a job").argv
    }

    #[test]
    fn a_command_is_a_program_with_arguments_or_a_line_for_a_shell() {
        assert_eq!(
            argv(&json!({ "command": ["python", "-c", "print(1)"] })),
            ["python", "-c", "print(1)"]
        );
        assert_eq!(
            argv(&json!({ "command": "python", "args": ["x.py", ""] })),
            ["python", "x.py", ""]
        );
        assert_eq!(argv(&json!({ "command": "nvidia-smi" })), ["nvidia-smi"]);
        assert_eq!(
            argv(&json!({ "command": "python -c \"print(1)\"" })),
            ["/bin/sh", "-c", "python -c \"print(1)\""]
        );
        assert_eq!(
            argv(&json!({ "command": "a b", "args": ["c"] })),
            ["a b", "c"]
        );
        let spec =
            parse(&content(&json!({ "command": ["echo", "it's"] })), DEFAULTS).expect("a job");
        assert_eq!(spec.command_line, r"echo 'it'\''s'");
    }

    #[test]
    fn a_command_survives_being_taken_apart() {
        for words in [
            &["true"][..],
            &["/bin/sh", "-c", "a | b"],
            &["/bin/sh", "-c", "ls"],
            &["/bin/sh", "-c", " ls -l "],
            &["/bin/sh", "-c", ""],
            &["a b", "", "c"],
            &["/bin/sh", "-c"],
        ] {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let (command, args) = unparsed_command(&words);
            let again = json!({ "command": command, "args": args });
            assert_eq!(argv(&again), words, "{again}");
        }
    }

    #[test]
    fn what_other_clients_send_is_understood_or_ignored() {
        let spec = parse(
            &content(&json!({
                "workload_type": "fine_tuning", "args": [], "environment": { "EMPTY": "" },
                "constraints": { "max_price_per_hour": 1.25, "region_mode": "strict", "region_preference": "eu" },
                "resources": { "gpu": "any" }, "prompt": "x", "max_output_tokens": 3, "routing": {},
                "metadata": { "list": [1, null], "nested": { "a": true } }, "script_files": [], "notes": null,
            })),
            DEFAULTS,
        )
        .expect("a job");
        assert_eq!(spec.workload_type, WorkloadType::FineTuning);
        assert_eq!(
            spec.routing.max_price_per_hour,
            Some(Usd::from_micros(1_250_000))
        );
        assert_eq!(spec.routing.region_mode, RegionMode::Strict);
        assert_eq!(spec.environment["EMPTY"], "");
        assert_eq!(spec.metadata.expect("metadata")["list"], json!([1, null]));
    }

    #[test]
    fn all_that_is_wrong_is_said_per_field() {
        let wrong = json!({
            "name": "x".repeat(121), "image": "GHCR.io/Moabi/train", "workload_type": "dance",
            "command": 5, "environment": { "1A": "x" }, "timeout_seconds": 0, "gpu_count": -1,
            "model_size_gb": "big", "gpu_required": "yes", "optimize_for": "fun",
            "expected_artifacts": ["/etc/passwd"], "metadata": [], "max_price_per_hour": -2,
            "input_files": [{ "id": 1 }], "script_files": "x",
        });
        let Err(Error::Invalid { fields, .. }) = parse(&content(&wrong), DEFAULTS) else {
            panic!("that cannot be a job");
        };
        let expected = wrong
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect::<Vec<_>>();
        assert_eq!(fields.keys().cloned().collect::<Vec<_>>(), {
            let mut sorted = expected;
            sorted.sort();
            sorted
        });
        let none = parse(&Content::new(), DEFAULTS).expect_err("nothing is there");
        assert_eq!(
            none.to_string(),
            "name, image, and workload_type are required"
        );
    }

    #[test]
    fn a_part_may_be_incomplete_but_not_wrong() {
        let part = |value: Value| value.as_object().expect("an object").clone();
        assert!(check_part(&part(json!({ "name": "a" })), DEFAULTS).is_ok());
        assert!(check_part(&part(json!({ "name": null })), DEFAULTS).is_ok());
        assert!(check_part(&part(json!({ "timeout_seconds": "long" })), DEFAULTS).is_err());
        assert_eq!(
            missing(&part(json!({ "name": "a" })), DEFAULTS)
                .into_keys()
                .collect::<Vec<_>>(),
            ["image", "workload_type"]
        );
    }
}
