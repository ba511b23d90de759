//! Names of files that people bring and that jobs leave.
use super::text::is_invisible_order;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a job finds what it is given and puts what it leaves.
pub const WORKSPACE: &str = "/workspace";
/// Where a job puts what is to be kept.
pub const ARTIFACTS: &str = "/workspace/artifacts";
/// Longest name of one file, in bytes: no file system takes more.
const LONGEST: usize = 255;
/// Longest name with its folders, in bytes.
const LONGEST_PATH: usize = 1_024;
/// How deep files in folders may lie.
pub const DEEPEST: usize = 64;
/// Stands for what cannot be shown.
const UNKNOWN: char = '\u{fffd}';

/// The name of a file without a folder: it means the same wherever it is put.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

/// Why something cannot be the name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("Give the file a name.")]
    Empty,
    #[error("A file name may have 255 bytes at most.")]
    TooLong,
    #[error("A file name cannot be . or .. and has no slashes: folders are not part of it.")]
    Path,
    #[error("A file name has no control characters and none that turn the direction of text.")]
    Invisible,
}

impl FileName {
    /// # Errors
    ///
    /// If it is empty, longer than 255 bytes, a path, or has characters that do not show.
    pub fn new(name: &str) -> Result<Self, BadName> {
        if name.trim().is_empty() {
            return Err(BadName::Empty);
        }
        if name.len() > LONGEST {
            return Err(BadName::TooLong);
        }
        if matches!(name, "." | "..") || name.contains(['/', '\\']) {
            return Err(BadName::Path);
        }
        if name.chars().any(is_invisible_order) {
            return Err(BadName::Invisible);
        }
        Ok(Self(name.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FileName {
    type Error = BadName;
    fn try_from(name: String) -> Result<Self, BadName> {
        Self::new(&name)
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

/// What an artifact is called: the path below `/workspace/artifacts`, for showing. It
/// opens no file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactName(String);

impl ArtifactName {
    /// The name for a path of these parts, whatever a job has called them: what does
    /// not show becomes U+FFFD. `None` if it would be too long or too deep.
    #[must_use]
    pub fn of(parts: &[Vec<u8>]) -> Option<Self> {
        if parts.is_empty() || parts.len() > DEEPEST {
            return None;
        }
        let shown = |part: &Vec<u8>| -> Option<String> {
            let text: String = String::from_utf8_lossy(part)
                .chars()
                .map(|c| {
                    if c == '/' || c == '\\' || is_invisible_order(c) {
                        UNKNOWN
                    } else {
                        c
                    }
                })
                .collect();
            (!matches!(text.as_str(), "" | "." | "..")).then_some(text)
        };
        let parts: Option<Vec<String>> = parts.iter().map(shown).collect();
        let name = parts?.join("/");
        (name.len() <= LONGEST_PATH).then_some(Self(name))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file is brought for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "InputKind")]
pub enum Kind {
    /// Data, below `/workspace/inputs`.
    Input,
    /// A program, below `/workspace/scripts`.
    Script,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Input, Self::Script];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Script => "script",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The folder of the workspace that it is put into.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Input => "inputs",
            Self::Script => "scripts",
        }
    }

    /// Where a job finds a file of this name.
    #[must_use]
    pub fn mount_path(self, name: &str) -> String {
        format!("{WORKSPACE}/{}/{name}", self.folder())
    }
}

/// A file that a job is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFile {
    /// As it was written; what is no id of ours is found nowhere.
    pub input_id: String,
    /// Where it is put, which need not be what it was uploaded for.
    pub kind: Kind,
    /// Known once it has been looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<FileName>,
    /// In bytes; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn paths_and_tricks_are_no_names() {
        for (name, why) in [
            ("", BadName::Empty),
            ("  ", BadName::Empty),
            (".", BadName::Path),
            ("..", BadName::Path),
            ("a/b", BadName::Path),
            ("/etc/passwd", BadName::Path),
            ("..\\b", BadName::Path),
            ("a\0b", BadName::Invisible),
            ("a\nb", BadName::Invisible),
            ("invoice\u{202e}fdp.exe", BadName::Invisible),
        ] {
            assert_eq!(FileName::new(name), Err(why), "{name:?}");
        }
        for name in [
            "a",
            "...",
            ".bashrc",
            "données.csv",
            "a b",
            "-rf",
            "山田.txt",
        ] {
            assert!(FileName::new(name).is_ok(), "{name}");
        }
        assert!(FileName::new(&"x".repeat(255)).is_ok());
        assert_eq!(FileName::new(&"é".repeat(128)), Err(BadName::TooLong));
    }

    #[test]
    fn a_name_can_be_made_of_whatever_a_job_has_written() {
        let of = |parts: &[&[u8]]| {
            let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.to_vec()).collect();
            ArtifactName::of(&parts).map(|name| name.to_string())
        };
        assert_eq!(of(&[b"a", b"b.txt"]).as_deref(), Some("a/b.txt"));
        assert_eq!(
            of(&[b"a\xff\\b\n"]).as_deref(),
            Some("a\u{fffd}\u{fffd}b\u{fffd}")
        );
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[b".."]), None);
        assert_eq!(of(&[&b"x"[..]; 65]), None);
        assert_eq!(of(&[&[b'x'; 200][..]; 6]), None);
    }

    proptest! {
        #[test]
        fn a_file_name_is_one_step_and_no_other(name in any::<String>()) {
            if let Ok(good) = FileName::new(&name) {
                let steps: Vec<_> = Path::new(good.as_str()).components().collect();
                prop_assert_eq!(steps.len(), 1);
                prop_assert!(matches!(steps[0], Component::Normal(one) if one == name.as_str()));
                prop_assert!(!name.bytes().any(|b| b < 0x20 || b == 0x7f));
            }
        }

        #[test]
        fn an_artifact_name_never_leads_out(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..70)) {
            if let Some(name) = ArtifactName::of(&parts) {
                prop_assert!(name.as_str().len() <= LONGEST_PATH);
                let path = Path::new(name.as_str());
                prop_assert!(path.components().all(|step| matches!(step, Component::Normal(_))));
                prop_assert_eq!(path.components().count(), parts.len());
                prop_assert!(!name.as_str().chars().any(|c| c == '\\' || is_invisible_order(c)));
            }
        }
    }
}
