//! Connections of `WebSocket`s: opened like any request, then bytes both ways for as long as the
//! person may be here.
//!
//! Frames are not looked into. Nothing of one is kept here but the bytes on their way, so how
//! large a frame or a message may be is between the app and its own page: a limit of ours would
//! break notebooks and previews, and protect nobody. What is bounded is what costs us something:
//! [`Limits::connections`](super::Limits) counts these connections with all others of a service,
//! one that does not read holds up its writer, one that says nothing for
//! [`Limits::idle`](super::Limits) is closed, and the listener finds out who has vanished without
//! a word (`silent` in the limits of the server). So we send no pings, which would have to be
//! put between the frames of others.
use super::bodies::Ended;
use super::doors::Way;
use super::pages::Refusal;
use super::upstream::{Head, Slot};
use super::{Proxy, Visit, headers};
use axum::body::Body;
use http::{Method, Request, Response, StatusCode, Version, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// Bytes carried at once, in each direction.
const BUFFER: usize = 8 * 1024;
/// After one side has closed, the other may take so long.
const FAREWELL: Duration = Duration::from_secs(5);

/// Whether a request wants to go on in another protocol that we know of. Others,
/// such as `h2c`, are optional to everyone: such requests are answered in HTTP/1.
pub(super) fn wanted(request: &Request<Body>) -> bool {
    let mut upgrades = request.headers().get_all(header::UPGRADE).iter();
    upgrades.any(|value| {
        let value = value.to_str().unwrap_or_default();
        value
            .split(',')
            .any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
    })
}

fn proper(request: &Request<Body>) -> bool {
    let headers = request.headers();
    let once = |name: &str| headers.get_all(name).iter().count() == 1;
    let is = |name: &str, wanted: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    let connection = headers.get_all(header::CONNECTION).iter();
    let upgrades = connection
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && upgrades
        && once("upgrade")
        && is("upgrade", "websocket")
        && once("sec-websocket-key")
        && once("sec-websocket-version")
        && is("sec-websocket-version", "13")
        && http_body::Body::is_end_stream(request.body())
}

impl Proxy {
    /// Opens a WebSocket to the app. Whether the person may be here has been seen to.
    pub(super) async fn tunnel(
        &self,
        way: Way,
        mut request: Request<Body>,
        client: IpAddr,
        visit: Visit,
    ) -> Result<Response<Body>, Refusal> {
        let names = self.0.config.names(&way.door);
        if !headers::from_own_page(request.headers(), &names.own) {
            return Err(Refusal::Foreign);
        }
        if !way.door.websocket {
            return Err(Refusal::NoWebSockets);
        }
        if !proper(&request) {
            return Err(Refusal::BadUpgrade);
        }
        let Some(browser) = request.extensions_mut().remove::<OnUpgrade>() else {
            return Err(Refusal::BadUpgrade);
        };
        let head = Head {
            method: Method::GET,
            uri: super::target(request.uri()),
            headers: headers::up(request.headers(), &names, client, &way.door.inject, true),
        };
        let mut ended = self.ended(visit.clone(), true);
        let mut lease = way.upstream.lease().await.map_err(super::refused)?;
        let patience = self.0.limits.first_byte;
        let asked = tokio::select! {
            biased;
            asked = timeout(patience, lease.ask(head)) => asked,
            () = &mut ended => return Err(Refusal::NoPass),
        };
        let asked = asked.map_err(|_| Refusal::Slow)?;
        let mut answer = asked.map_err(super::refused)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(self.passed_back(&way, answer, lease, &Method::GET, Some(visit)));
        }
        let upgrade = answer.headers().get(header::UPGRADE);
        if !upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket")) {
            return Err(Refusal::Broken);
        }
        let app = hyper::upgrade::on(&mut answer);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers::down(answer.headers(), &names, way.door.port, true);
        let link = Link {
            proxy: self.clone(),
            way,
            ended,
            slot: lease.into_slot(),
        };
        tokio::spawn(async move {
            // The browser's side is there once our answer has been written.
            let both = async { tokio::try_join!(browser, app) };
            match timeout(FAREWELL, both).await {
                Ok(Ok((browser, app))) => link.carry(browser, app).await,
                Ok(Err(error)) => tracing::debug!(%error, "a WebSocket did not come about"),
                Err(_) => tracing::debug!("a WebSocket was not taken up"),
            }
        });
        Ok(response)
    }
}

struct Link {
    proxy: Proxy,
    way: Way,
    ended: Ended,
    slot: Slot,
}

impl Link {
    async fn carry(self, browser: Upgraded, app: Upgraded) {
        let Self {
            proxy,
            way,
            ended,
            slot,
        } = self;
        let (from_browser, to_browser) = tokio::io::split(TokioIo::new(browser));
        let (from_app, to_app) = tokio::io::split(TokioIo::new(app));
        let last = Arc::new(super::bodies::Progress::new());
        let session = way.door.session;
        let mut there = pin!(copy(from_browser, to_app, |bytes| {
            last.note();
            if said_something(bytes) {
                proxy.0.doors.used(session);
            }
        }));
        let mut back = pin!(copy(from_app, to_browser, |_| last.note()));
        let quiet = async {
            let idle = proxy.0.limits.idle;
            while last.last().elapsed() < idle {
                tokio::time::sleep_until(last.last() + idle).await;
            }
        };
        let done = tokio::select! {
            done = &mut there => {
                let _ = timeout(FAREWELL, back).await;
                done
            }
            done = &mut back => {
                let _ = timeout(FAREWELL, there).await;
                done
            }
            () = ended => Ok(()),
            () = quiet => Ok(()),
        };
        if let Err(error) = done {
            tracing::debug!(%error, "a WebSocket broke off");
        }
        drop(slot);
    }
}

/// Whether a person may be behind it. Browsers answer an app's pings by
/// themselves, also in a tab that nobody looks at; and so does Socket.IO, whose pings and
/// answers are messages like any other: `2` and `3`, and nothing else.
fn said_something(bytes: &[u8]) -> bool {
    const PING: u8 = 0x89;
    const PONG: u8 = 0x8a;
    const TEXT: u8 = 0x81;
    /// One byte, masked.
    const ONE: u8 = 0x81;
    /// Of a frame that has at most 125 bytes in it, with its mask.
    const LONGEST: usize = 131;
    if let [TEXT, ONE, mask, _, _, _, said] = bytes {
        return !matches!(said ^ mask, b'2' | b'3');
    }
    let control = matches!(bytes.first(), Some(&(PING | PONG))) && bytes.len() <= LONGEST;
    !control
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut note: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        note(&buffer[..read]);
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}
