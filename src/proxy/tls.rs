//! TLS to apps that speak nothing else on their port.
//!
//! Their certificates are not verified. Such an app makes one for itself when it starts, so
//! there is nothing to verify it against; and the connection goes the engine's own way into the
//! run, which nobody else is on. TLS is spoken here because the app insists, and protects
//! nothing.
use super::upstream::Failure;
use crate::engine::Connection;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// For all apps. Nothing of one is remembered, which another could be shown.
static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("it has ciphers for these versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(
            default_provider()
                .signature_verification_algorithms
                .supported_schemes(),
        )))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
});

/// The name that an app is asked for by in the handshake: that of `Host`, because some servers
/// refuse a request in which the two differ.
pub(super) fn name(host: &str) -> ServerName<'static> {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let name = ServerName::try_from(name.to_owned());
    name.unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()))
}

/// The same connection with TLS on it.
pub(super) async fn speak(
    stream: Box<dyn Connection>,
    name: ServerName<'static>,
) -> Result<Box<dyn Connection>, Failure> {
    let connector = TlsConnector::from(Arc::clone(&CONFIG));
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(Abrupt(stream))),
        Err(error) => Err(Failure::NoTls(why(&error))),
    }
}

fn why(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::InvalidMessage(_)) => "its answer is not TLS",
        Some(_) => "no TLS could be agreed on with it",
        None => "it closed the connection when TLS was begun",
    }
}

/// Ends when the app closes the connection, said in TLS or not. Many just close it; where an
/// answer has a length, its end is known without.
#[derive(Debug)]
struct Abrupt<S>(TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Abrupt<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0).poll_read(cx, buffer)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Abrupt<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Takes every certificate. What it has signed is not looked at either: a signature says
/// something only about a certificate that is known.
#[derive(Debug)]
struct Anyone(Vec<SignatureScheme>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
