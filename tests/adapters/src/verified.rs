//! Bodies whose digest is looked at while they are read.

use aqueduct_std::{AppCode, OpenOptions, StreamError};

use crate::node::{Inlet, Link, Node, Outlet, Pair, Recv, Verified, options, pair, pattern};

const LEN: usize = 300_000;

/// A body with this digest in its introduction, and what came of it.
fn body<C: Node, S: Node>(pair: &Pair<C, S>, digest: Option<[u8; 32]>) -> Recv<S> {
    let mut send = pair.near.open_uni(OpenOptions { digest, ..options() });
    send.put(&pattern(LEN)).unwrap();
    send.finish().unwrap();
    let recv = pair.far.accept_uni().unwrap();
    std::thread::spawn(move || _ = send.delivered());
    recv
}

/// All that is given before the end, and the end.
fn read(verified: &mut impl Verified) -> (Vec<u8>, Result<(), StreamError>) {
    let mut got = Vec::new();
    loop {
        match verified.some(10_000) {
            Ok(Some(bytes)) => {
                assert!((1..=10_000).contains(&bytes.len()));
                got.extend_from_slice(&bytes);
            }
            Ok(None) => return (got, Ok(())),
            Err(error) => return (got, Err(error)),
        }
    }
}

/// spec: R-PIPE-25
pub(crate) fn the_end_of_a_body_is_given_if_its_digest_is_right<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let actual = *blake3::hash(&pattern(LEN)).as_bytes();
    let recv = body(&pair, Some(actual));
    let id = recv.id();
    let mut verified = recv.verified().ok().unwrap();
    assert_eq!((verified.id(), verified.info().unwrap().digest), (id, Some(actual)));
    assert!(read(&mut verified) == (pattern(LEN), Ok(())));
    assert_eq!(verified.some(1), Ok(None), "the end stays the end");

    let wrong = [9; 32];
    let mut verified = body(&pair, Some(wrong)).verified().ok().unwrap();
    let failed =
        StreamError::VerificationFailed { expected: Some(wrong), actual: Some(actual), hop: None };
    assert!(read(&mut verified) == (pattern(LEN), Err(failed.clone())));
    assert_eq!(verified.some(1), Err(failed), "and so does an error");
    assert_eq!(pair.server.message_stats().bodies_damaged, 1);
}

/// What is cut off says how much of it came.
pub(crate) fn a_verified_body_that_is_given_up_has_no_end<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let digest = Some([9; 32]);
    for lost in [false, true] {
        let mut send = pair.near.open_uni(OpenOptions { digest, size: Some(9), ..options() });
        send.put(b"half").unwrap();
        let mut verified = pair.far.accept_uni().unwrap().verified().ok().unwrap();
        assert_eq!(verified.some(10).unwrap().unwrap(), &b"half"[..]);
        let expected = if lost {
            pair.near.abort(AppCode(1), b"");
            StreamError::ConnectionLost { received: Some(4), total: Some(9), hop: None }
        } else {
            send.reset(AppCode(5));
            StreamError::Reset { code: AppCode(5), hop: Some(0) }
        };
        assert_eq!(verified.some(10), Err(expected));
    }
}

/// And can be read as ever.
pub(crate) fn a_body_that_cannot_be_verified_is_given_back<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut given_back = *body(&pair, None).verified().err().expect("it names no digest");
    assert!(given_back.all(LEN).unwrap() == pattern(LEN));
    let actual = *blake3::hash(&pattern(LEN)).as_bytes();
    let mut begun = body(&pair, Some(actual));
    assert_eq!(begun.first(10), pattern(10));
    let mut given_back = *begun.verified().err().expect("it does not stand at the beginning");
    assert!(given_back.all(LEN).unwrap() == pattern(LEN)[10..]);
    // Looked at is not read.
    let mut looked = body(&pair, Some(actual));
    assert_eq!(looked.peek(10).unwrap(), pattern(10));
    assert!(read(&mut looked.verified().ok().unwrap()) == (pattern(LEN), Ok(())));
}
