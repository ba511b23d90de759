//! The beginning of a connection that is to be inside TLS.
use super::Limits;
use crate::app::tls::{HTTP2, Tls};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// The first byte of every TLS handshake.
const HANDSHAKE: u8 = 0x16;

const SPEAK_TLS: &str = "This port speaks HTTPS: begin the address with https://\n";

/// Shakes hands, within the time that there is for it.
///
/// # Errors
///
/// If the client does not, or too slowly. One that speaks plain HTTP is told.
pub(super) async fn greet(
    stream: TcpStream,
    tls: &Tls,
    limits: &Limits,
) -> io::Result<TlsStream<TcpStream>> {
    let shake = async {
        let mut first = [0];
        match stream.peek(&mut first).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ if first[0] == HANDSHAKE => tls.acceptor().accept(stream).await,
            _ => {
                say_so(stream, limits.linger).await;
                Err(io::Error::new(io::ErrorKind::InvalidData, "not TLS"))
            }
        }
    };
    tokio::time::timeout(limits.handshake, shake)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Which protocol the client has chosen from ours.
pub(super) fn wants_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// Nothing that such a client sent is believed, not even its Host.
async fn say_so(mut stream: TcpStream, linger: Duration) {
    let length = SPEAK_TLS.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\
         content-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{SPEAK_TLS}"
    );
    let _ = tokio::time::timeout(linger, async move {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    })
    .await;
}
