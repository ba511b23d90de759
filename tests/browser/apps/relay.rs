//! A wire between browser and server that can be cut.
use std::collections::VecDeque;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Default)]
struct Wire {
    cut: bool,
    /// Connections break after so many bytes to the browser, one after the other;
    /// those after the last do not.
    pieces: VecDeque<usize>,
    broken: usize,
    /// Of streams only the head gets through.
    holds: bool,
}

/// Carries what browsers say to a server and back, as long as it is whole.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    wire: watch::Sender<Wire>,
}

impl Relay {
    pub(super) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = watch::Sender::new(Wire::default());
        let own = wire.clone();
        tokio::spawn(async move {
            while let Ok((browser, _)) = listener.accept().await {
                tokio::spawn(carry(browser, server, own.clone()));
            }
        });
        Self { address, wire }
    }

    /// Keeps back what streams say, as some proxies do.
    pub(super) fn hold_streams(&self) {
        self.wire.send_modify(|wire| wire.holds = true);
    }

    /// Breaks every connection, and each that comes.
    pub(super) fn cut(&self) {
        self.wire.send_modify(|wire| wire.cut = true);
    }

    /// From now on connections hold, except that the first break after so many
    /// bytes to the browser.
    pub(super) fn mend(&self, pieces: &[usize]) {
        self.wire.send_modify(|wire| {
            wire.cut = false;
            wire.broken = 0;
            wire.pieces = pieces.iter().copied().collect();
        });
    }

    /// How many have broken since, of those that were to.
    pub(super) fn broken(&self) -> usize {
        self.wire.borrow().broken
    }
}

/// Until one side has had enough, or it is cut. Both sides see it broken off.
async fn carry(mut browser: TcpStream, server: SocketAddr, wire: watch::Sender<Wire>) {
    let mut cut = wire.subscribe();
    if wire.borrow().cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut asks, mut hears) = browser.split();
    let (mut answers, mut told) = server.split();
    tokio::select! {
        _ = tokio::io::copy(&mut asks, &mut told) => {}
        () = bring(&mut answers, &mut hears, &wire) => {}
        _ = cut.wait_for(|wire| wire.cut) => {}
    }
}

async fn bring(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    wire: &watch::Sender<Wire>,
) {
    let mut buffer = vec![0; 16 * 1024];
    // Which one a connection is counts once it is used: browsers keep spare ones.
    let mut left = None;
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let left = left.get_or_insert_with(|| {
            let mut piece = None;
            wire.send_if_modified(|wire| {
                piece = wire.pieces.pop_front();
                false
            });
            piece.unwrap_or(usize::MAX)
        });
        let through = read.min(*left);
        let holds = wire.borrow().holds;
        let head = holds.then(|| head_of_stream(&buffer[..read])).flatten();
        let through = head.unwrap_or(through);
        if to.write_all(&buffer[..through]).await.is_err() {
            return;
        }
        if head.is_some() {
            // It seems to be open, and nothing comes.
            while let Ok(1..) = from.read(&mut buffer).await {}
            return;
        }
        *left -= through;
        if *left == 0 {
            wire.send_modify(|wire| wire.broken += 1);
            return;
        }
    }
}

/// Where the head of an answer ends that is a stream.
fn head_of_stream(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..end]);
    head.contains("text/event-stream").then_some(end)
}
