//! TLS at the listener: the operator's certificate and key, read from PEM files
//! at the start and again whenever the operator says that they have changed.
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// What HTTP/2 is called in a handshake.
pub(super) const HTTP2: &[u8] = b"h2";

/// Where certificate and key lie, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The server's certificate first, then what leads to its issuer.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What new connections are greeted with.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    config: RwLock<Arc<ServerConfig>>,
}

/// Why these files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the TLS {what} {}: {source}", path.display())]
    Unreadable {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "{} holds no certificate: it must be PEM, with -----BEGIN CERTIFICATE----- (`tls_certificate`)",
        .0.display()
    )]
    NoCertificate(PathBuf),
    #[error(
        "{} holds no private key: it must be PEM, with -----BEGIN PRIVATE KEY----- (`tls_key`)",
        .0.display()
    )]
    NoKey(PathBuf),
    #[error(
        "the private key in {} is encrypted; store it without a passphrase, readable by this user alone (`tls_key`)",
        .0.display()
    )]
    EncryptedKey(PathBuf),
    #[error("{} is not right: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error(
        "the key in {} does not belong to the certificate in {}; the server's own certificate must come first",
        key.display(), certificate.display()
    )]
    Strangers { certificate: PathBuf, key: PathBuf },
}

impl Tls {
    /// # Errors
    ///
    /// If a file cannot be read, is not what it should be, or the two do not
    /// belong together.
    pub fn load(files: Files) -> Result<Self, Error> {
        let config = config(&files)?;
        Ok(Self {
            files,
            config: RwLock::new(config),
        })
    }

    /// Reads the files again. Open connections stay as they are; if something is
    /// wrong, so does everything.
    ///
    /// # Errors
    ///
    /// As with [`Tls::load`].
    pub fn reload(&self) -> Result<(), Error> {
        let config = config(&self.files)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&config))
    }

    /// Whether others than the owner and the group can read the key.
    #[must_use]
    pub fn key_is_exposed(&self) -> bool {
        fs::metadata(&self.files.key).is_ok_and(|file| file.permissions().mode() & 0o007 != 0)
    }
}

fn config(files: &Files) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(default_provider());
    let chain = certificates(&files.certificate)?;
    let key = key(&files.key)?;
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Error::Strangers {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        },
        rustls::Error::InvalidCertificate(why) => Error::Damaged {
            path: files.certificate.clone(),
            why: format!("its certificate cannot be used ({why})"),
        },
        other => Error::Damaged {
            path: files.key.clone(),
            why: format!("its key cannot be used ({other})"),
        },
    })?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| Error::Damaged {
            path: files.certificate.clone(),
            why: why.to_string(),
        })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read("certificate", path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) | Err(pem::Error::NoItemsFound) => Err(Error::NoCertificate(path.into())),
        Err(why) => Err(damaged(path, &why)),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read("key", path)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(_) if has(&text, b"ENCRYPTED") => Err(Error::EncryptedKey(path.into())),
        Err(pem::Error::NoItemsFound) => Err(Error::NoKey(path.into())),
        Err(why) => Err(damaged(path, &why)),
    }
}

fn has(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part == word)
}

fn damaged(path: &Path, why: &pem::Error) -> Error {
    // What these say may quote a line, and a line may be of a key.
    let why = match why {
        pem::Error::MissingSectionEnd { .. } => "a section of PEM does not end",
        pem::Error::Base64Decode(_) => "something between BEGIN and END is not base64",
        _ => "it is not PEM",
    };
    Error::Damaged {
        path: path.into(),
        why: why.into(),
    }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Unreadable {
        what,
        path: path.into(),
        source,
    })
}
