//! Frames, one by one, from those who do not keep to the rules.
use super::*;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED: u32 = 7;
const CALM: u32 = 11;

/// All that comes after these bytes until the connection ends.
pub(super) async fn said(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    bytes: &[u8],
) -> Vec<u8> {
    // Who has heard enough may not read on.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    // A reset ends a connection as well.
    let _ = soon("the end of a connection", stream.read_to_end(&mut said)).await;
    said
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header line, spelled out.
fn line(name: &str, value: &str) -> Vec<u8> {
    let mut line = vec![0];
    for text in [name, value] {
        // Seven bits, and then seven at a time.
        if text.len() < 127 {
            line.push(u8::try_from(text.len()).unwrap());
        } else {
            line.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                line.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            line.push(u8::try_from(rest).unwrap());
        }
        line.extend(text.as_bytes());
    }
    line
}

fn head(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut block = line(":method", "GET");
    block.extend(line(":scheme", "https"));
    block.extend(line(":authority", &address.to_string()));
    block.extend(line(":path", path));
    block
}

/// A client that says what it is told to.
pub(super) struct Raw {
    pub(super) stream: TlsStream<TcpStream>,
    address: SocketAddr,
}

/// One frame that came.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
    payload: Vec<u8>,
}

impl Heard {
    /// Of a reset, or of the good-bye.
    fn reason(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

impl Raw {
    /// Says that it is there, and how many bytes it takes of each answer.
    pub(super) async fn new(listener: &Listener, window: u32) -> Self {
        let stream = listener.connect().await;
        let mut raw = Self {
            stream,
            address: listener.address,
        };
        let mut settings = vec![0, 4];
        settings.extend(window.to_be_bytes());
        let greeting = [PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat();
        let _ = raw.stream.write_all(&greeting).await;
        raw
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    pub(super) fn get(&self, stream: u32, path: &str) -> Vec<u8> {
        let block = head(self.address, path);
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
    }

    /// The next frame; `None` at the end.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        let mut start = [0; 9];
        let begun = soon("a frame", self.stream.read_exact(&mut start)).await;
        begun.ok()?;
        let length = u32::from_be_bytes([0, start[0], start[1], start[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Heard {
            kind: start[3],
            flags: start[4],
            stream: u32::from_be_bytes(start[5..].try_into().unwrap()),
            payload,
        })
    }

    /// The next of these.
    pub(super) async fn hear_of(&mut self, kind: u8) -> Option<Heard> {
        loop {
            let heard = self.hear().await?;
            if heard.kind == kind {
                return Some(heard);
            }
        }
    }
}

#[tokio::test]
async fn rapid_resets_end_that_connection_and_no_other() {
    let listener = listen(patient()).await;
    let other = listener.client().await;
    let mut stream = other.stream("/stream").await;
    let mut attacker = Raw::new(&listener, 65_535).await;
    let mut volley = Vec::new();
    for number in 0..2_000_u32 {
        let id = number * 2 + 1;
        volley.extend(attacker.get(id, "/"));
        volley.extend(frame(RESET, 0, id, &8_u32.to_be_bytes()));
    }
    let _ = attacker.say(&volley).await;
    let bye = attacker.hear_of(GOAWAY).await;
    // It may be cut off before it can hear why.
    assert!(bye.is_none_or(|bye| bye.reason() == CALM));
    assert!(attacker.hear_of(GOAWAY).await.is_none(), "it goes on");
    assert_eq!(other.get("/").await.text(), "hello");
    let more = tokio::time::timeout(Duration::from_millis(50), stream.frame()).await;
    assert!(more.is_err(), "the other's stream has ended");
    listener.is_well().await;
}

#[tokio::test]
async fn a_head_without_an_end_is_not_read_for_ever() {
    let listener = listen(patient()).await;
    let mut attacker = Raw::new(&listener, 65_535).await;
    let block = head(listener.address, "/");
    attacker
        .say(&frame(HEADERS, END_STREAM, 1, &block))
        .await
        .unwrap();
    let more = frame(CONTINUATION, 0, 1, &line("x-more", &"x".repeat(100)));
    // Sixteen times the head that a listener takes.
    let flood = more.repeat((1 << 20) / more.len());
    let _ = attacker.say(&flood).await;
    let bye = soon("an end of the flood", attacker.hear_of(GOAWAY)).await;
    assert_eq!(bye.unwrap().reason(), CALM);
    assert!(attacker.hear().await.is_none(), "it goes on");
    listener.is_well().await;
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let header = Duration::from_millis(300);
    let listener = listen(Limits {
        header,
        ..patient()
    })
    .await;
    let begun = Instant::now();
    let mut half = Raw::new(&listener, 65_535).await;
    let block = head(listener.address, "/");
    // On a slow machine it may be over already.
    let _ = half.say(&frame(HEADERS, END_STREAM, 1, &block)).await;
    while half.hear().await.is_some() {}
    assert!(begun.elapsed() >= header);
}

#[tokio::test]
async fn too_large_a_head_is_refused_and_the_connection_goes_on() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    // Of more than there may be a client that knows the limit sends none.
    let mut large = Raw::new(&listener, 65_535).await;
    let mut block = head(listener.address, "/");
    for _ in 0..5 {
        block.extend(line("x-large", &"x".repeat(15_000)));
    }
    let (first, rest) = block.split_at(16_000);
    let mut request = frame(HEADERS, END_STREAM, 1, first);
    let pieces: Vec<&[u8]> = rest.chunks(16_000).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let last = if at + 1 == pieces.len() {
            END_HEADERS
        } else {
            0
        };
        request.extend(frame(CONTINUATION, last, 1, piece));
    }
    large.say(&request).await.unwrap();
    let refused = large.hear_of(HEADERS).await.unwrap();
    assert_eq!(
        (refused.stream, refused.flags & END_STREAM),
        (1, END_STREAM)
    );
    large.say(&large.get(3, "/")).await.unwrap();
    while large.hear_of(DATA).await.unwrap().stream != 3 {}

    let many = |headers: usize, cookies: usize| {
        let mut request = client.request("/");
        for number in 0..headers {
            request = request.header(format!("x-{number}"), "1");
        }
        for number in 0..cookies {
            request = request.header("cookie", format!("c{number}=1"));
        }
        client.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(many(101, 0).await.status, 431);
    // In HTTP/1 all cookies are one.
    assert_eq!(many(50, 90).await.status, 200);
}

#[tokio::test]
async fn who_does_not_wait_for_a_free_stream_is_refused_that_one() {
    let listener = listen(Limits {
        streams: 2,
        ..patient()
    })
    .await;
    let mut raw = Raw::new(&listener, 65_535).await;
    for id in [1, 3, 5] {
        raw.say(&raw.get(id, "/stream")).await.unwrap();
    }
    let mut served = Vec::new();
    let refused = loop {
        let heard = raw.hear().await.unwrap();
        match heard.kind {
            DATA => served.push(heard.stream),
            RESET => break heard,
            kind => assert_ne!(kind, GOAWAY),
        }
    };
    assert_eq!((refused.stream, refused.reason()), (5, REFUSED));
    while served.len() < 2 {
        served.push(raw.hear_of(DATA).await.unwrap().stream);
    }
    served.sort_unstable();
    assert_eq!(served, [1, 3]);
    // A place that becomes free can be used.
    raw.say(&frame(RESET, 0, 1, &8_u32.to_be_bytes()))
        .await
        .unwrap();
    raw.say(&raw.get(7, "/stream")).await.unwrap();
    assert_eq!(raw.hear_of(DATA).await.unwrap().stream, 7);
}

#[tokio::test]
async fn who_does_not_take_an_answer_gets_no_more_of_it() {
    let stalled = Duration::from_millis(400);
    let mut listener = listen(Limits {
        stalled,
        ..patient()
    })
    .await;
    let mut raw = Raw::new(&listener, 10).await;
    // A stream on which nothing happens is not one that nobody takes.
    raw.say(&raw.get(1, "/stream")).await.unwrap();
    let begun = Instant::now();
    raw.say(&raw.get(3, "/flood")).await.unwrap();
    let end = raw.hear_of(RESET).await.unwrap();
    assert_eq!(end.stream, 3);
    assert!(begun.elapsed() >= stalled);
    assert!(listener.dropped.try_recv().is_err());
    listener.is_well().await;
}
