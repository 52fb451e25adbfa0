//! How streams end that do not end well, heard of two relays away.

use std::collections::BTreeSet;

use aqueduct_tokio::relay::{Allow, RelayConfig, Way};
use aqueduct_tokio::{
    AppCode, Bytes, RecvStream, SendStream, Stop, StreamCode, StreamError, WriteError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{endpoint, soon};
use crate::relay::{hello, relay, there, to};

/// Both relays are between the ends.
const HOP: Option<u64> = Some(2);

/// Every code of the protocol, as who hears of it from so far away has it; an application's own
/// code stays what it is.
fn codes() -> Vec<(AppCode, StreamError)> {
    let hop = HOP;
    let own = AppCode(41);
    let of = |code: StreamCode, error| (code.app(), error);
    let lost = StreamError::ConnectionLost { received: Some(5), total: None, hop };
    let wrong = StreamError::WrongSize { announced: None, given: None, hop };
    let damaged = StreamError::VerificationFailed { expected: None, actual: None, hop };
    let full = StreamError::BufferOverflow { buffered: None, limit: None, hop };
    let codes = vec![
        of(StreamCode::Timeout, StreamError::Timeout { hop }),
        of(StreamCode::BufferOverflow, full),
        of(StreamCode::InvalidRange, StreamError::InvalidRange { hop }),
        of(StreamCode::ConnectionLost, lost),
        of(StreamCode::VerificationFailed, damaged),
        of(StreamCode::Refused, StreamError::Refused { hop }),
        of(StreamCode::Cancelled, StreamError::Cancelled { hop }),
        of(StreamCode::Detached, StreamError::Detached { hop }),
        of(StreamCode::HopLimit, StreamError::HopLimit { hop }),
        of(StreamCode::Unreachable, StreamError::Unreachable { hop }),
        of(StreamCode::WrongSize, wrong),
        (own, StreamError::Reset { code: own, hop }),
    ];
    // None was forgotten.
    let named: BTreeSet<u64> = codes.iter().map(|(code, _)| code.0).collect();
    let all = (0..64).map(|number| AppCode(StreamCode::BASE + number));
    assert!(all.filter(|code| StreamCode::of(*code).is_some()).all(|c| named.contains(&c.0)));
    codes
}

/// One end gives both halves up with `code`; the other hears of it by each of its own.
async fn crosses(
    code: AppCode,
    expected: &StreamError,
    (mut send, mut recv): (SendStream, RecvStream),
    (mut writer, mut reader): (SendStream, RecvStream),
) {
    send.reset(code);
    recv.stop(code);
    let mut word = Vec::new();
    let read = async {
        loop {
            match reader.read_chunk(100).await {
                Ok(Some(bytes)) => word.extend_from_slice(&bytes),
                Ok(None) => panic!("{expected:?} is an end like any"),
                Err(error) => break StreamError::from(error),
            }
        }
    };
    assert_eq!(soon("the reset", read).await, *expected);
    let stop = soon("the stop", writer.stopped()).await.unwrap();
    assert_eq!(stop, Some(Stop { code, hop: 2 }));
    let told = writer.write_bytes(Bytes::from_static(b"more")).await.unwrap_err();
    match (told, expected) {
        (WriteError::Failed(StreamError::ConnectionLost { hop, .. }), _) => {
            assert_eq!((hop, code), (HOP, StreamCode::ConnectionLost.app()));
        }
        (told, _) => assert_eq!(StreamError::from(told), *expected),
    }
}

/// spec: R-PIPE-13 R-PIPE-15 R-PIPE-18 R-PIPE-19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_crosses_two_relays_with_its_meaning_and_its_distance() {
    let (source, sink) = (endpoint(), endpoint());
    let [near, far] = [(); 2].map(|()| relay(RelayConfig::new(Allow::Everybody)).0);
    let way = Way { relays: vec![there(&far)], targets: vec![there(&sink)] };
    let options = way.introduce(&hello()).unwrap();
    let connection = to(&source, &near).await;
    let mut last = None;
    for (code, expected) in codes() {
        for from_source in [true, false] {
            let (mut send, mut recv) = connection.open_bi(options.clone()).await.unwrap();
            send.write_all(b"hello").await.unwrap();
            if last.is_none() {
                let incoming = soon("the far relay", sink.accept()).await.unwrap();
                last = Some(incoming.accept().await.unwrap());
            }
            let accepted = soon("a stream", last.as_ref().unwrap().accept_bi()).await;
            let (mut back, mut there) = accepted.unwrap();
            let mut word = [0; 5];
            soon("a word", AsyncReadExt::read_exact(&mut there, &mut word)).await.unwrap();
            back.write_all(b"hello").await.unwrap();
            soon("a word", AsyncReadExt::read_exact(&mut recv, &mut word)).await.unwrap();
            println!("{expected:?}, by the source: {from_source}");
            match from_source {
                true => crosses(code, &expected, (send, recv), (back, there)).await,
                false => crosses(code, &expected, (back, there), (send, recv)).await,
            }
        }
    }
}
