//! Decodes a `text/event-stream` body whose `data:` lines are JSON.
use super::Error;
use axum::body::Body;
use futures_util::{Stream, StreamExt as _};
use serde::de::DeserializeOwned;

/// One message of an event stream.
#[derive(Debug, Default)]
struct Message {
    data: Vec<u8>,
}

/// No message is longer than this; a stream that sends one is cut.
const LONGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// Bytes that a stream keeps for its next line.
const KEPT: usize = 256;

pub(super) fn decode<T: DeserializeOwned + Send + 'static>(
    body: Body,
) -> impl Stream<Item = Result<T, Error>> + Send {
    async_stream::stream! {
        let mut chunks = body.into_data_stream();
        let mut line = Vec::new();
        let mut message = Message::default();
        while let Some(chunk) = chunks.next().await {
            let chunk = match chunk {
                Ok(bytes) => bytes,
                Err(error) => { yield Err(Error::Unreachable(error.into())); return; }
            };
            for byte in chunk {
                if byte != b'\n' {
                    line.push(byte);
                    if line.len() + message.data.len() > LONGEST_MESSAGE {
                        yield Err(Error::Unreachable("a message is too long".into()));
                        return;
                    }
                    continue;
                }
                if let Some(data) = line.strip_prefix(b"data:") {
                    if !message.data.is_empty() {
                        message.data.push(b'\n');
                    }
                    message.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
                } else if line.is_empty() && !message.data.is_empty() {
                    let read = serde_json::from_slice(&message.data).map_err(Error::OutOfContract);
                    // Streams are many and mostly wait: none keeps room for its
                    // longest message while it does.
                    message.data = Vec::new();
                    line = Vec::new();
                    yield read;
                }
                line.clear();
                line.shrink_to(KEPT);
            }
        }
    }
}
