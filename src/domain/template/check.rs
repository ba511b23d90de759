//! What is wrong with a manifest, before anything is launched from it.
mod manner;
mod services;

use super::{Manifest, Volume};
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
pub(super) fn check(manifest: &Manifest) -> Wrong {
    let mut wrong = Wrong::new();
    about(manifest, &mut wrong);
    image(manifest, &mut wrong);
    services::services(manifest, &mut wrong);
    services::env(manifest, &mut wrong);
    volumes(&manifest.volumes, &mut wrong);
    needs(manifest, &mut wrong);
    times(manifest, &mut wrong);
    wrong
}

fn complain(wrong: &mut Wrong, field: impl Into<String>, why: impl Into<String>) {
    wrong.push((field.into(), why.into()));
}

/// Lower-case letters, digits and hyphens, beginning with a letter.
fn is_slug(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

const SLUG: &str =
    "Use at most 40 lower-case letters, digits and hyphens, beginning with a letter.";

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

fn within(wrong: &mut Wrong, field: &str, value: u32, (least, most): (u32, u32)) {
    if !(least..=most).contains(&value) {
        complain(wrong, field, format!("Use {least} to {most}."));
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
