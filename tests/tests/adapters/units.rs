//! Datagrams, messages and keys.

use std::collections::BTreeSet;
use std::thread;

use crate::node::{Link, Node, pair, pattern};

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
    let (near, far) = (pair.near.key_material(b"one"), pair.far.key_material(b"one"));
    assert_eq!((near.len(), &near), (40, &far));
    assert_ne!(near, pair.near.key_material(b"two"));
}
