//! Services, how they are asked and signed in to, and the variables of the app.
use super::{SLUG, Wrong, complain, is_slug, line, manner, within};
use crate::domain::template::{Auth, Manifest, Readiness, Variable, settings};
use std::collections::BTreeSet;

/// Headers that mean something between the proxy and the app, or that browsers set.
const OURS: [&str; 12] = [
    "host",
    "connection",
    "cookie",
    "set-cookie",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "origin",
    "forwarded",
];

pub(super) fn is_variable(name: &str) -> bool {
    name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(super) fn services(manifest: &Manifest, wrong: &mut Wrong) {
    let services = &manifest.services;
    if services.is_empty() || services.len() > 16 {
        complain(wrong, "services", "Name 1 to 16 services.");
    }
    let primaries = services.iter().filter(|service| service.primary).count();
    if !services.is_empty() && primaries != 1 {
        complain(
            wrong,
            "services",
            format!("Exactly one must be the primary; {primaries} are."),
        );
    }
    let mut ids = BTreeSet::new();
    for (at, service) in services.iter().enumerate() {
        let field = |name: &str| format!("services[{at}].{name}");
        if !is_slug(&service.id) {
            complain(wrong, field("id"), SLUG);
        } else if !ids.insert(service.id.as_str()) {
            complain(
                wrong,
                field("id"),
                format!("Another service is {} already.", service.id),
            );
        }
        line(wrong, &field("label"), &service.label, 60);
        if service.port == 0 {
            complain(wrong, field("port"), "A port is 1 to 65535.");
        } else {
            manner::port(services, at, wrong);
        }
        if let Some(base) = &service.base_path {
            manner::base_path(manifest, at, base, wrong);
        }
        readiness(&service.readiness, &field("readiness"), wrong);
        if let Some(auth) = &service.auth {
            sign_in(manifest, auth, &field("auth"), wrong);
        }
    }
}

fn readiness(asked: &Readiness, field: &str, wrong: &mut Wrong) {
    if !matches!(asked.method.as_str(), "GET" | "POST") {
        complain(wrong, format!("{field}.method"), "Use GET or POST.");
    }
    let plain = |c: char| c.is_ascii_graphic() && !"#<>\"`".contains(c);
    if !asked.path.starts_with('/')
        || asked.path.starts_with("//")
        || asked.path.len() > 1_024
        || !asked.path.chars().all(plain)
    {
        complain(
            wrong,
            format!("{field}.path"),
            "Give a path that begins with one /, such as /healthz.",
        );
    }
    if !asked.body.is_empty() {
        if asked.method != "POST" {
            complain(
                wrong,
                format!("{field}.body"),
                "Only a POST can have a body.",
            );
        }
        if asked.body.len() > 4_096
            || serde_json::from_str::<serde_json::Value>(&asked.body).is_err()
        {
            complain(
                wrong,
                format!("{field}.body"),
                "Give JSON of at most 4,096 bytes.",
            );
        }
    }
    let contains = asked.body_contains.as_deref();
    if contains.is_some_and(|text| text.is_empty() || text.len() > 1_024) {
        complain(
            wrong,
            format!("{field}.body_contains"),
            "Give 1 to 1,024 bytes, or leave it out.",
        );
    }
    let ranges = [
        ("status", u32::from(asked.status), 200, 599),
        ("interval_seconds", asked.interval_seconds, 1, 60),
        ("successes", asked.successes, 1, 10),
        ("timeout_seconds", asked.timeout_seconds, 1, 60),
    ];
    for (name, value, least, most) in ranges {
        within(wrong, &format!("{field}.{name}"), value, (least, most));
    }
}

fn sign_in(manifest: &Manifest, auth: &Auth, field: &str, wrong: &mut Wrong) {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let name = auth.header.to_ascii_lowercase();
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
        complain(
            wrong,
            format!("{field}.header"),
            "Give a header's name, such as authorization.",
        );
    } else if OURS.contains(&name.as_str())
        || name.starts_with("x-forwarded-")
        || name.starts_with("sec-")
    {
        complain(
            wrong,
            format!("{field}.header"),
            "This header belongs to the proxy or the browser.",
        );
    }
    let field = format!("{field}.value");
    if auth.value.is_empty()
        || auth.value.len() > 1_024
        || !auth.value.chars().all(|c| c.is_ascii_graphic() || c == ' ')
    {
        complain(wrong, &field, "Give 1 to 1,024 visible ASCII characters.");
    }
    let mut any = false;
    for placeholder in placeholders(&auth.value, &field, wrong) {
        any = true;
        let variable = match placeholder.strip_prefix("basic:") {
            None => placeholder,
            Some(rest) => match rest.split_once(':') {
                Some((user, variable)) if !user.is_empty() => variable,
                _ => {
                    complain(wrong, &field, "Write {basic:user:NAME}.");
                    continue;
                }
            },
        };
        match manifest.env.iter().find(|known| known.name == variable) {
            None => complain(
                wrong,
                &field,
                format!("There is no variable {variable} in env."),
            ),
            Some(known) if may_be_missing(known) => complain(
                wrong,
                &field,
                format!("{variable} may be missing: make it required, or generated."),
            ),
            Some(_) => {}
        }
    }
    if !any && !auth.value.is_empty() && !auth.value.contains(['{', '}']) {
        complain(
            wrong,
            &field,
            "Name the variable that holds the secret, such as {TOKEN}: a secret in a manifest is none.",
        );
    }
}

/// Whether a launch may leave it empty.
fn may_be_missing(variable: &Variable) -> bool {
    let default = variable.default.as_deref().unwrap_or_default();
    variable.asked() && !variable.required && default.is_empty()
}

/// What stands between braces.
fn placeholders<'t>(text: &'t str, field: &str, wrong: &mut Wrong) -> Vec<&'t str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let inner = &rest[open + 1..];
        match inner.find(['{', '}']) {
            Some(close) if rest[open..].starts_with('{') && inner[close..].starts_with('}') => {
                found.push(&inner[..close]);
                rest = &inner[close + 1..];
            }
            _ => {
                complain(wrong, field, "Each { needs a } behind it.");
                return Vec::new();
            }
        }
    }
    found
}

pub(super) fn env(manifest: &Manifest, wrong: &mut Wrong) {
    if manifest.env.len() > 100 {
        complain(wrong, "env", "Use at most 100 variables.");
    }
    let mut names = BTreeSet::new();
    for (at, variable) in manifest.env.iter().enumerate() {
        let field = |name: &str| format!("env[{at}].{name}");
        if !is_variable(&variable.name) {
            complain(
                wrong,
                field("name"),
                "Use letters, digits and _, not beginning with a digit.",
            );
        } else if !names.insert(variable.name.as_str()) {
            complain(
                wrong,
                field("name"),
                format!("{} is set already.", variable.name),
            );
        }
        value(manifest, variable, &field("value"), wrong);
        asked(variable, field, wrong);
    }
}

/// What is said of a variable that is asked for at the launch.
fn asked(variable: &Variable, field: impl Fn(&str) -> String, wrong: &mut Wrong) {
    if variable.asked() && !variable.value.is_empty() {
        complain(
            wrong,
            field("value"),
            "What is asked for at the launch has no fixed value: use default, or leave out \
             secret, required and default.",
        );
    }
    if variable.generated && variable.asked() {
        complain(
            wrong,
            field("generated"),
            "What is generated is secret and asked of nobody: leave out secret, required and \
             default.",
        );
    }
    if let Some(default) = &variable.default {
        if variable.required {
            complain(
                wrong,
                field("default"),
                "What has a default is never missing: leave out one of required and default.",
            );
        }
        if variable.secret {
            complain(
                wrong,
                field("default"),
                "A secret in a manifest is none: leave out one of secret and default.",
            );
        }
        if let Some(why) = settings::flaw(default) {
            complain(wrong, field("default"), why);
        }
    }
    for (name, text, longest) in [
        ("label", &variable.label, 60),
        ("hint", &variable.hint, 200),
    ] {
        if text.is_empty() {
            continue;
        }
        if !variable.asked() {
            let why = "Nobody is asked for this variable: leave it out.";
            complain(wrong, field(name), why);
        }
        line(wrong, &field(name), text, longest);
    }
}

fn value(manifest: &Manifest, variable: &Variable, field: &str, wrong: &mut Wrong) {
    if variable.generated && !variable.value.is_empty() {
        complain(
            wrong,
            field,
            "A generated variable gets its value at the launch: leave it out.",
        );
    }
    if variable.value.len() > 32_768 || variable.value.contains('\0') {
        complain(
            wrong,
            field,
            "Use at most 32,768 bytes without a null character.",
        );
    }
    for placeholder in placeholders(&variable.value, field, wrong) {
        let known = placeholder.strip_prefix("origin:");
        match known {
            Some(service) if manifest.service(service).is_some() => {}
            Some(service) => complain(wrong, field, format!("There is no service {service}.")),
            None => complain(
                wrong,
                field,
                format!("{{{placeholder}}} stands for nothing; {{origin:SERVICE}} does."),
            ),
        }
    }
}
