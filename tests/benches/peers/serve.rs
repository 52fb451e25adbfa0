//! The server's side of every case. A stream's first byte says what is wanted: all of it counted,
//! or sent back as it comes.

use bytes::{Bytes, BytesMut};

use crate::peer::Stream;

/// First byte of a stream whose bytes are counted; the answer is their number, in 8 bytes.
pub(crate) const COUNT: u8 = 7;
/// First byte of a stream whose bytes come back.
pub(crate) const ECHO: u8 = 1;

/// Answers one stream, to its end.
pub(crate) async fn answer(mut stream: impl Stream) {
    let (mut kind, mut bytes, mut back) = (None, 0_u64, BytesMut::new());
    loop {
        let more = stream.read(|chunk| {
            bytes += chunk.len() as u64;
            if kind.or(chunk.first().copied()) == Some(ECHO) {
                back.extend_from_slice(chunk);
            }
            kind = kind.or(chunk.first().copied());
        });
        if !more.await {
            break;
        }
        if !back.is_empty() && stream.write(back.split().freeze()).await.is_err() {
            return;
        }
    }
    if kind == Some(COUNT) {
        let _gone = stream.write(Bytes::copy_from_slice(&bytes.to_be_bytes())).await;
    }
    let _gone = stream.finish().await;
}
