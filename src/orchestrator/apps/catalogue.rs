//! The templates of this installation: those that come with it, and the
//! operator's own.
use crate::domain::template::Manifest;
use std::collections::BTreeMap;
use std::path::Path;

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
    pub fn load(_folder: Option<&Path>) -> Result<Self, Vec<Flaw>> {
        Ok(Self::default())
    }

    #[must_use]
    pub fn get(&self, slug: &str) -> Option<&Manifest> {
        self.templates.get(slug)
    }

    pub fn all(&self) -> impl Iterator<Item = &Manifest> {
        self.templates.values()
    }
}
