//! The templates of this installation: those that come with it, and the
//! operator's own.
use crate::domain::template::Manifest;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The path of each manifest in `assets/templates`, and its text.
mod built_in {
    include!(concat!(env!("OUT_DIR"), "/templates.rs"));
}

/// No manifest that a person wrote is larger.
const LARGEST: u64 = 256 * 1024;

/// Every template, by its slug.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    templates: BTreeMap<String, Manifest>,
}

/// What is wrong with a template's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {field}: {message}")]
pub struct Flaw {
    pub file: String,
    pub field: String,
    pub message: String,
}

impl Catalogue {
    /// Reads the templates that come with the program, and those in `folder` if it
    /// is there; one of the same slug replaces ours.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any file.
    pub fn load(folder: Option<&Path>) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let mut templates = BTreeMap::new();
        for (path, text) in built_in::TEMPLATES {
            let slug = slug_of(Path::new(path));
            if let Some(manifest) = read(path, &slug, text, &mut flaws) {
                templates.insert(slug, manifest);
            }
        }
        if let Some(folder) = folder {
            templates.extend(own(folder, &mut flaws));
        }
        if flaws.is_empty() {
            Ok(Self { templates })
        } else {
            Err(flaws)
        }
    }

    #[must_use]
    pub fn get(&self, slug: &str) -> Option<&Manifest> {
        self.templates.get(slug)
    }

    pub fn all(&self) -> impl Iterator<Item = &Manifest> {
        self.templates.values()
    }
}

/// What a manifest at this path must be called: `<slug>.toml` or `<slug>/template.toml`.
fn slug_of(path: &Path) -> String {
    let name = if path.file_name().is_some_and(|name| name == "template.toml") {
        path.parent().and_then(Path::file_name)
    } else {
        path.file_stem()
    };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// The operator's templates.
fn own(folder: &Path, flaws: &mut Vec<Flaw>) -> BTreeMap<String, Manifest> {
    let mut templates = BTreeMap::new();
    let mut paths = match manifests(folder, flaws) {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return templates,
        Err(error) => {
            flaws.push(flaw(
                folder,
                "folder",
                format!("It cannot be read: {error}."),
            ));
            return templates;
        }
    };
    paths.sort();
    for path in paths {
        let slug = slug_of(&path);
        let text = match text(&path) {
            Ok(text) => text,
            Err(why) => {
                flaws.push(flaw(&path, "file", why));
                continue;
            }
        };
        let file = path.display().to_string();
        let Some(manifest) = read(&file, &slug, &text, flaws) else {
            continue;
        };
        if templates.insert(slug.clone(), manifest).is_some() {
            let why = format!("There is another template {slug} in this folder.");
            flaws.push(flaw(&path, "slug", why));
        }
    }
    templates
}

fn flaw(path: &Path, field: &str, message: String) -> Flaw {
    Flaw {
        file: path.display().to_string(),
        field: field.into(),
        message,
    }
}

/// The files that should be manifests. Hidden entries and other files are not.
fn manifests(folder: &Path, flaws: &mut Vec<Flaw>) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let toml = path.extension().is_some_and(|kind| kind == "toml");
        if hidden {
            continue;
        }
        if entry.file_type()?.is_dir() {
            let inner = path.join("template.toml");
            if inner.symlink_metadata().is_ok() {
                found.push(inner);
            } else {
                let why = "There is no template.toml in this folder.".to_owned();
                flaws.push(flaw(&path, "folder", why));
            }
        } else if toml {
            found.push(path);
        }
    }
    Ok(found)
}

/// A file's text, if it is a plain file of a sane size. What it is is asked of the
/// open file, so that it cannot change in between.
pub(in crate::orchestrator) fn text(path: &Path) -> Result<String, String> {
    let cannot = |error: io::Error| format!("It cannot be read: {error}.");
    let opened = File::options()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err("It is a symbolic link; put the file itself here.".into());
        }
        Err(error) => return Err(cannot(error)),
    };
    let about = file.metadata().map_err(cannot)?;
    if !about.is_file() {
        return Err("It is not a plain file.".into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("It is larger than {} KiB.", LARGEST / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "It is not UTF-8 text.".into())
}

/// The manifest in `text`, if it can be read at all; all that is wrong with it.
fn read(file: &str, slug: &str, text: &str, flaws: &mut Vec<Flaw>) -> Option<Manifest> {
    let mut say = |field: String, message: String| {
        flaws.push(Flaw {
            file: file.to_owned(),
            field,
            message,
        });
    };
    let manifest = match parsed(text) {
        Ok(manifest) => manifest,
        Err((field, message)) => {
            say(field, message);
            return None;
        }
    };
    if manifest.slug != slug {
        let why = format!(
            "It says {:?}, and the file is named for {slug:?}.",
            manifest.slug
        );
        say("slug".into(), why);
    }
    for (field, message) in manifest.check() {
        say(field, message);
    }
    Some(manifest)
}

/// The manifest, or the path of the field that is no such thing, and why.
fn parsed(text: &str) -> Result<Manifest, (String, String)> {
    let document = toml::Deserializer::parse(text).map_err(|error| unreadable(text, &error))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        let (field, message) = unreadable(text, error.inner());
        // Of what is unknown or missing, the path may be that of the table around it.
        let name = named(&message).filter(|name| path.rsplit('.').next() != Some(name));
        let field = match (path.as_str(), name) {
            ("." | "", Some(name)) => name.to_owned(),
            ("." | "", None) => field,
            (path, Some(name)) => format!("{path}.{name}"),
            (path, None) => path.to_owned(),
        };
        (field, message)
    })
}

/// What serde calls unknown or missing.
fn named(message: &str) -> Option<&str> {
    let names = message.contains("unknown field") || message.contains("missing field");
    message.split('`').nth(1).filter(|_| names)
}

/// Where in `text` the trouble is, and what it is.
pub(in crate::orchestrator) fn unreadable(text: &str, error: &toml::de::Error) -> (String, String) {
    let message = error.message().trim().replace('\n', ", ");
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let message = format!("line {number}: {message}");
    if toml::from_str::<toml::Table>(text).is_err() {
        return ("syntax".into(), message);
    }
    // Serde names the field that is unknown or missing; else it is the key of the line.
    let key = if let Some(name) = named(&message) {
        name.to_owned()
    } else {
        let line = text.lines().nth(number - 1).unwrap_or_default();
        line.split('=').next().unwrap_or_default().trim().to_owned()
    };
    let header = text.lines().take(number).filter_map(|line| {
        let line = line.trim();
        let name = line.strip_prefix('[')?.split(']').next()?;
        Some(name.trim_start_matches('[').trim())
    });
    let field = match header.last() {
        Some(table) if key.starts_with('[') => table.to_owned(),
        Some(table) => format!("{table}.{key}"),
        None => key,
    };
    (field, message)
}

#[cfg(test)]
mod tests;
