//! What is wrong with a manifest, before anything is launched from it.
use super::{Auth, Manifest, Readiness, Variable, Volume};
use crate::domain::text::is_invisible_order;
use std::collections::BTreeSet;

/// What is wrong, as pairs of a field's path and a sentence.
type Wrong = Vec<(String, String)>;

/// A day: nothing of a launch takes longer.
const LONGEST_SECONDS: u32 = 86_400;
/// Gigabytes beyond which a figure is a slip of the pen.
const LARGEST_GB: f64 = 100_000.0;
/// Where a volume would hide the system, or be hidden by it.
const TAKEN: [&str; 12] = [
    "/proc", "/sys", "/dev", "/run", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot",
    "/tmp",
];
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

pub(super) fn check(manifest: &Manifest) -> Wrong {
    let mut wrong = Wrong::new();
    about(manifest, &mut wrong);
    image(manifest, &mut wrong);
    services(manifest, &mut wrong);
    env(manifest, &mut wrong);
    volumes(&manifest.volumes, &mut wrong);
    needs(manifest, &mut wrong);
    times(manifest, &mut wrong);
    wrong
}

fn complain(wrong: &mut Wrong, field: impl Into<String>, why: impl Into<String>) {
    wrong.push((field.into(), why.into()));
}

/// Lower-case letters, digits and hyphens, beginning with a letter.
pub(super) fn is_slug(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

const SLUG: &str =
    "Use at most 40 lower-case letters, digits and hyphens, beginning with a letter.";

fn is_variable(name: &str) -> bool {
    name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn line(wrong: &mut Wrong, field: &str, text: &str, longest: usize) {
    if text.trim().is_empty() {
        complain(wrong, field, "Say something here.");
    } else if text.chars().count() > longest {
        complain(wrong, field, format!("Use at most {longest} characters."));
    } else if text.chars().any(is_invisible_order) {
        complain(
            wrong,
            field,
            "Use one line without characters that do not show.",
        );
    }
}

fn about(manifest: &Manifest, wrong: &mut Wrong) {
    if !is_slug(&manifest.slug) {
        complain(wrong, "slug", SLUG);
    }
    line(wrong, "name", &manifest.name, 60);
    line(wrong, "summary", &manifest.summary, 200);
    if manifest.mark.chars().count() != 2 || !manifest.mark.chars().all(char::is_alphanumeric) {
        complain(wrong, "mark", "Use two letters.");
    }
    let version = &manifest.version;
    let numbers = version.split('.').all(|part| {
        !part.is_empty() && part.len() <= 6 && part.bytes().all(|b| b.is_ascii_digit())
    });
    if !numbers || version.len() > 20 {
        complain(wrong, "version", "Use numbers with dots, such as 1.2.");
    }
    let spdx = &manifest.licence.spdx;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-.+() ".contains(c);
    if spdx.trim().is_empty() || spdx.len() > 120 || !spdx.chars().all(allowed) {
        complain(
            wrong,
            "licence.spdx",
            "Give an SPDX expression, such as MIT or LicenseRef-Its-Own.",
        );
    }
    if !manifest.licence.note.is_empty() {
        line(wrong, "licence.note", &manifest.licence.note, 400);
    }
    let source = &manifest.licence.source_url;
    let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    if !source.starts_with("https://") || source.len() < 12 || !source.chars().all(plain) {
        complain(
            wrong,
            "licence.source_url",
            "Give an address that begins with https://.",
        );
    }
    if manifest.notes.len() > 12 {
        complain(wrong, "notes", "Use at most 12 notes.");
    }
    for (at, note) in manifest.notes.iter().enumerate() {
        line(wrong, &format!("notes[{at}]"), note, 400);
    }
}

fn image(manifest: &Manifest, wrong: &mut Wrong) {
    if manifest.runs_on_host() {
        if manifest.command.is_empty() {
            complain(
                wrong,
                "command",
                "An app on the machine's own system needs a command.",
            );
        }
        if manifest.image_size_gb != 0.0 {
            complain(
                wrong,
                "image_size_gb",
                "There is nothing to pull for host: leave it out.",
            );
        }
        if manifest.unpinned.is_some() {
            complain(
                wrong,
                "unpinned",
                "There is nothing to pin for host: leave it out.",
            );
        }
    } else {
        reference(manifest, wrong);
        if !(manifest.image_size_gb > 0.0 && manifest.image_size_gb <= 500.0) {
            complain(
                wrong,
                "image_size_gb",
                "Say how many gigabytes are pulled, 500 at most.",
            );
        }
    }
    let program_missing = manifest.command.first().is_some_and(String::is_empty);
    if program_missing || manifest.command.len() > 64 {
        complain(
            wrong,
            "command",
            "Give a program and its arguments, 64 words at most.",
        );
    }
    if manifest.command.iter().any(|word| word.contains('\0')) {
        complain(wrong, "command", "A word cannot contain a null character.");
    }
}

fn reference(manifest: &Manifest, wrong: &mut Wrong) {
    let (repository, digest) = match manifest.image.split_once('@') {
        Some((repository, digest)) => (repository, Some(digest)),
        None => (manifest.image.as_str(), None),
    };
    let (name, tag) = match repository.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (repository, None),
    };
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/:".contains(&b);
    let tagged = |tag: &str| {
        !tag.is_empty()
            && tag.len() <= 128
            && tag
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(allowed)
        && !name.ends_with('/')
        && tag.is_none_or(tagged)
        && manifest.image.len() <= 512;
    if !well_formed {
        complain(
            wrong,
            "image",
            "Give a container image, such as ghcr.io/org/app:1.2@sha256:…, or host.",
        );
        return;
    }
    let pinned = digest.is_some_and(|digest| {
        digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|b| b"0123456789abcdef".contains(&b))
        })
    });
    match (digest, &manifest.unpinned) {
        (Some(_), _) if !pinned => complain(
            wrong,
            "image",
            "A digest is @sha256: and 64 hexadecimal digits.",
        ),
        (Some(_), Some(_)) => complain(
            wrong,
            "unpinned",
            "The image is pinned by its digest: leave this out.",
        ),
        (None, None) => complain(
            wrong,
            "image",
            "Pin it by its digest (@sha256:…), for tags move. Until that is known, say \
             why in `unpinned`: the template is shown then, and cannot be launched.",
        ),
        (None, Some(why)) => line(wrong, "unpinned", why, 200),
        (Some(_), None) => {}
    }
}

fn services(manifest: &Manifest, wrong: &mut Wrong) {
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
    let (mut ids, mut ports) = (BTreeSet::new(), BTreeSet::new());
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
        } else if !ports.insert(service.port) {
            complain(
                wrong,
                field("port"),
                format!("Another service has port {} already.", service.port),
            );
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
    let plain = |c: char| c.is_ascii_graphic() && c != '#';
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

fn within(wrong: &mut Wrong, field: &str, value: u32, (least, most): (u32, u32)) {
    if !(least..=most).contains(&value) {
        complain(wrong, field, format!("Use {least} to {most}."));
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
        if !manifest.env.iter().any(|known| known.name == variable) {
            complain(
                wrong,
                &field,
                format!("There is no variable {variable} in env."),
            );
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

fn env(manifest: &Manifest, wrong: &mut Wrong) {
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

fn volumes(volumes: &[Volume], wrong: &mut Wrong) {
    if volumes.len() > 16 {
        complain(wrong, "volumes", "Use at most 16 volumes.");
    }
    let mut names = BTreeSet::new();
    for (at, volume) in volumes.iter().enumerate() {
        let field = |name: &str| format!("volumes[{at}].{name}");
        if !is_slug(&volume.name) {
            complain(wrong, field("name"), SLUG);
        } else if !names.insert(volume.name.as_str()) {
            complain(
                wrong,
                field("name"),
                format!("Another volume is {} already.", volume.name),
            );
        }
        let mount = &volume.mount;
        let absolute = mount
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
        if !absolute || mount.len() > 512 || mount.chars().any(is_invisible_order) {
            complain(
                wrong,
                field("mount"),
                "Give an absolute path, such as /workspace, without . or .. and no / at its end.",
            );
        } else if TAKEN.iter().any(|taken| within_path(mount, taken)) {
            complain(
                wrong,
                field("mount"),
                format!("{mount} belongs to the system."),
            );
        } else if let Some(other) = volumes[..at]
            .iter()
            .find(|other| within_path(mount, &other.mount) || within_path(&other.mount, mount))
        {
            complain(
                wrong,
                field("mount"),
                format!("{mount} and {} lie in each other.", other.mount),
            );
        }
        gigabytes(wrong, &field("min_gb"), volume.min_gb);
    }
}

/// Whether `path` is `folder` or lies in it.
fn within_path(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn gigabytes(wrong: &mut Wrong, field: &str, gb: f64) {
    if !(0.0..=LARGEST_GB).contains(&gb) {
        complain(wrong, field, format!("Use 0 to {LARGEST_GB} gigabytes."));
    }
}

fn needs(manifest: &Manifest, wrong: &mut Wrong) {
    let needs = &manifest.needs;
    within(wrong, "needs.cpus", needs.cpus, (0, 1_024));
    let sizes = [
        ("needs.memory_gb", needs.memory_gb),
        ("needs.shm_gb", needs.shm_gb),
        ("needs.disk_gb", needs.disk_gb),
        ("needs.min_vram_gb", needs.min_vram_gb),
        ("needs.recommended_vram_gb", needs.recommended_vram_gb),
    ];
    for (field, gb) in sizes {
        gigabytes(wrong, field, gb);
    }
    if needs.recommended_vram_gb > 0.0 && needs.recommended_vram_gb < needs.min_vram_gb {
        complain(
            wrong,
            "needs.recommended_vram_gb",
            "It is less than needs.min_vram_gb.",
        );
    }
    if needs.memory_gb > 0.0 && needs.shm_gb > needs.memory_gb {
        complain(
            wrong,
            "needs.shm_gb",
            "Shared memory is memory: it is more than needs.memory_gb.",
        );
    }
    let driver = &needs.min_driver;
    if driver.len() > 20 || !driver.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        complain(
            wrong,
            "needs.min_driver",
            "Give a driver's version, such as 580.",
        );
    }
}

fn times(manifest: &Manifest, wrong: &mut Wrong) {
    let phases = &manifest.phases;
    for (field, (low, high)) in [
        ("phases.image", phases.image),
        ("phases.start", phases.start),
        ("phases.services", phases.services),
    ] {
        if low > high {
            complain(
                wrong,
                field,
                format!("The shorter time comes first: {high}, {low}."),
            );
        } else if high > LONGEST_SECONDS {
            complain(
                wrong,
                field,
                format!("Use at most {LONGEST_SECONDS} seconds."),
            );
        }
    }
    if manifest.runs_on_host() && phases.image != (0, 0) {
        complain(
            wrong,
            "phases.image",
            "There is nothing to pull for host: say [0, 0].",
        );
    }
    let usual = phases.services.1;
    within(
        wrong,
        "start_timeout_seconds",
        manifest.start_timeout_seconds,
        (5, LONGEST_SECONDS),
    );
    if manifest.start_timeout_seconds < usual {
        complain(
            wrong,
            "start_timeout_seconds",
            format!("A start that takes as long as phases.services says ({usual} s) would fail."),
        );
    }
    let idle = manifest.idle_stop_minutes;
    if idle != 0 && !(5..=1_440).contains(&idle) {
        complain(wrong, "idle_stop_minutes", "Use 5 to 1440, or 0 for never.");
    }
}

#[cfg(test)]
mod tests;
