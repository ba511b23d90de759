//! Certificates that tests make for themselves, and clients that trust them.
use junglegrid::app::tls::{Files, Tls};
use rcgen::{CertificateParams, KeyPair};
use std::path::Path;
use std::sync::Arc;

/// For this machine under all the names that the program has here.
const NAMES: [&str; 4] = [
    "127.0.0.1",
    "localhost",
    "apps.localhost",
    "*.apps.localhost",
];

/// PEM, both.
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// Of which `change` makes another.
    pub(crate) fn with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::make(&NAMES, change)
    }

    /// For other names.
    pub(crate) fn of(names: &[&str]) -> Self {
        Self::make(names, |_| {})
    }

    fn make(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        Self {
            chain: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes `certificate.pem` and `key.pem`.
    pub(crate) fn store(&self, dir: &Path) {
        std::fs::write(dir.join("certificate.pem"), &self.chain).unwrap();
        std::fs::write(dir.join("key.pem"), &self.key).unwrap();
    }

    /// What an app takes connections with that prefers HTTP/2.
    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain = CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config).into()
    }

    /// What a listener needs to show it.
    pub(crate) fn tls(&self) -> Arc<Tls> {
        let dir = tempfile::tempdir().unwrap();
        self.store(dir.path());
        let file = |name| dir.path().join(name);
        let files = Files {
            certificate: file("certificate.pem"),
            key: file("key.pem"),
        };
        Arc::new(Tls::load(files).unwrap())
    }

    /// A client that trusts this certificate and no other.
    #[expect(
        clippy::disallowed_methods,
        reason = "the program's own clients trust only public authorities"
    )]
    pub(crate) fn client(&self) -> reqwest::Client {
        let _ = junglegrid::egress::http();
        let root = reqwest::Certificate::from_pem(self.chain.as_bytes()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([root])
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap()
    }
}
