//! Authorities that are trusted besides those that the machine trusts: a company's
//! own, say.
use reqwest::Certificate;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Default)]
pub struct Roots(Vec<Certificate>);

/// Why a file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the authorities in {}: {source} (`ca_certificates`)", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{} holds no certificate: it must be PEM, with -----BEGIN CERTIFICATE----- (`ca_certificates`)",
        .0.display()
    )]
    NoCertificate(PathBuf),
    #[error("{} is not right: {source} (`ca_certificates`)", path.display())]
    Damaged {
        path: PathBuf,
        source: reqwest::Error,
    },
}

impl Roots {
    /// Reads a PEM file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or does not hold certificates.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let pem = fs::read(path).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let all = Certificate::from_pem_bundle(&pem).map_err(|source| Error::Damaged {
            path: path.to_owned(),
            source,
        })?;
        if all.is_empty() {
            return Err(Error::NoCertificate(path.to_owned()));
        }
        Ok(Self(all))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Certificate> + use<> {
        self.0.clone().into_iter()
    }
}
