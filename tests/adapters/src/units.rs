//! Datagrams, messages and keys.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use aqueduct_core::crypto::hkdf::EXPAND_MAX;
use aqueduct_core::crypto::keys::EXPORT_LABEL_MAX;
use aqueduct_std::{AppCode, Delivery, ExportError, Priority};

use crate::node::{Link, Node, Pair, pair, pattern};

/// Of a hundred on loopback, one at a time, not all are lost, and none comes twice or changed.
pub(crate) fn datagrams_arrive<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let mut heard = BTreeSet::new();
    for number in 0..100_u64 {
        pair.near.say(number.to_be_bytes().to_vec().into()).unwrap();
        if number % 10 == 9 {
            let datagram = pair.far.hear().unwrap();
            let number = u64::from_be_bytes(datagram.as_ref().try_into().unwrap());
            assert!(number < 100 && heard.insert(number), "{number} came twice");
        }
    }
    assert_eq!(heard.len(), 10);
}

/// Ages count from the call, however long nothing had happened before it; and what may not wait at
/// all is counted, and not sent.
///
/// spec: R-MSG-13, R-MSG-14
pub(crate) fn what_is_given_after_a_silence_is_not_old<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    thread::sleep(Duration::from_secs(3));
    let soon = Delivery::new().max_age(Duration::from_secs(2)).priority(Priority::Urgent);
    for number in 0..100_u8 {
        pair.near.say_with(vec![number; 1_000].into(), soon).unwrap();
    }
    pair.near.write_to(pattern(60_000).into(), soon).unwrap();
    assert_eq!(pair.far.recv_message().unwrap(), pattern(60_000));
    let counted = |pair: &Pair<C, S>| {
        let stats = pair.near.stats();
        (stats.datagrams.send_expired, stats.messages_expired)
    };
    assert_eq!(counted(&pair), (0, 0));
    assert!(pair.near.stats().limits.total() >= Duration::from_secs(3), "times until now");
    let never = Delivery::new().max_age(Duration::ZERO);
    pair.near.say_with(pattern(10).into(), never).unwrap();
    pair.near.write_to(pattern(10).into(), never).unwrap();
    assert_eq!(counted(&pair), (1, 1));
}

pub(crate) fn messages_arrive_whole_and_once<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let lens = [0, 1, 1_000, 60_000];
    thread::scope(|scope| {
        scope.spawn(|| {
            for len in lens {
                pair.near.send_message(pattern(len).into());
                pair.far.send_message(pattern(len).into());
            }
        });
        for link in [true, false] {
            let mut got: Vec<usize> = Vec::new();
            for _ in lens {
                let message =
                    if link { pair.near.recv_message() } else { pair.far.recv_message() }.unwrap();
                assert!(message == pattern(message.len()), "{} bytes", message.len());
                got.push(message.len());
            }
            got.sort_unstable();
            assert_eq!(got, lens);
        }
    });
}

pub(crate) fn a_large_message_is_streamed<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let body = pattern(1 << 20);
    thread::scope(|scope| {
        scope.spawn(|| {
            let chunks = body.chunks(10_000).map(<[u8]>::to_vec).collect();
            pair.near.send_chunks(body.len() as u64, chunks);
        });
        assert!(pair.far.recv_message().unwrap() == body, "another message came");
    });
}

pub(crate) fn both_ends_derive_the_same_key<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    let near = pair.near.key_material(b"one", 40).unwrap();
    assert_eq!((near.len(), Ok(&near)), (40, pair.far.key_material(b"one", 40).as_ref()));
    assert_ne!(near, pair.near.key_material(b"two", 40).unwrap());
}

/// Whatever is asked for, the connection goes on.
pub(crate) fn a_key_that_cannot_be_derived_is_an_error_that_names_the_limit<C: Node, S: Node>() {
    let pair = pair::<C, S>();
    for len in [EXPAND_MAX + 1, usize::MAX] {
        let refused = pair.near.key_material(b"one", len);
        assert_eq!(refused, Err(ExportError::Length { len, max: EXPAND_MAX }));
    }
    let long = [b'l'; EXPORT_LABEL_MAX + 1];
    let refused = pair.near.key_material(&long, 40);
    assert_eq!(refused, Err(ExportError::Label { len: long.len(), max: EXPORT_LABEL_MAX }));
    let label = &long[..EXPORT_LABEL_MAX];
    let near = pair.near.key_material(label, EXPAND_MAX).unwrap();
    assert_eq!((near.len(), Ok(near)), (EXPAND_MAX, pair.far.key_material(label, EXPAND_MAX)));
    pair.near.abort(AppCode(3), b"");
    pair.near.closed();
    let over = pair.near.key_material(b"one", 40);
    assert!(matches!(over, Err(ExportError::Connection(_))), "{over:?}");
}
