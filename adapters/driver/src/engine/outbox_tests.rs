use std::collections::VecDeque;
use std::io;

use aqueduct_core::wire::id::CarrierId;

use super::*;
use crate::socket::RecvBatch;

/// Answers calls as told, with an error number or not at all; notes how many datagrams each had.
#[derive(Default)]
struct Script {
    errors: VecDeque<Option<i32>>,
    calls: Vec<usize>,
    bytes: Vec<u8>,
}

impl Wire for Script {
    fn recv(&mut self, _: &mut RecvBatch) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, outgoing: &Outgoing<'_>) -> io::Result<()> {
        self.calls.push(outgoing.count());
        if let Some(error) = self.errors.pop_front().flatten() {
            return Err(io::Error::from_raw_os_error(error));
        }
        self.bytes.extend_from_slice(outgoing.bytes);
        Ok(())
    }
}

const BATCH: Transmit = Transmit {
    carrier: CarrierId(0),
    remote: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9),
    local: None,
    ecn: None,
    segment: Some(10),
};

struct Test {
    outbox: Outbox,
    counters: IoCounters,
    script: Script,
}

impl Test {
    fn new(errors: impl IntoIterator<Item = Option<i32>>) -> Self {
        let script = Script { errors: errors.into_iter().collect(), ..Script::default() };
        Self { outbox: Outbox::default(), counters: IoCounters::default(), script }
    }

    /// Sends a batch of three and a bit.
    fn send(&mut self) -> Sent {
        let mut bytes: Vec<u8> = (0..35).collect();
        self.outbox.send(&mut self.script, &self.counters, &BATCH, &mut bytes)
    }
}

#[test]
fn a_refused_batch_leaves_in_pieces_and_is_the_last() {
    let mut test = Test::new([Some(libc::EIO)]);
    assert_eq!(test.send(), Sent::Done);
    assert_eq!(test.script.calls, [4, 1, 1, 1, 1]);
    assert_eq!(test.script.bytes, (0..35).collect::<Vec<u8>>(), "nothing lost");
    assert!(test.outbox.is_one_by_one());
    assert_eq!(test.send(), Sent::Done);
    assert_eq!(test.script.calls.len(), 9);
    let stats = test.counters.snapshot();
    assert_eq!((stats.gso_disabled, stats.batches_split, stats.send_errors), (1, 2, 0));
    assert_eq!((stats.gso_batches, stats.datagrams_sent), (0, 8));
}

/// What is refused in pieces too is the destination's fault, and no reason to be slow.
#[test]
fn a_destination_that_is_refused_does_not_end_batches() {
    let mut test = Test::new([Some(libc::EINVAL); 5]);
    assert_eq!(test.send(), Sent::Done);
    assert_eq!(test.script.calls, [4, 1, 1, 1, 1]);
    assert!(!test.outbox.is_one_by_one());
    assert_eq!(test.send(), Sent::Done);
    assert_eq!(test.script.calls, [4, 1, 1, 1, 1, 4]);
    assert_eq!(
        (test.counters.snapshot().gso_disabled, test.counters.snapshot().other_errors),
        (0, 4)
    );
}

#[test]
fn a_batch_that_is_refused_by_a_socket_that_is_full_then_is_kept() {
    let mut test = Test::new([Some(libc::EIO), None, Some(libc::EAGAIN)]);
    assert_eq!(test.send(), Sent::Blocked);
    assert!(test.outbox.is_blocked() && test.outbox.is_one_by_one());
    assert!(test.outbox.retry(&mut test.script, &test.counters));
    assert_eq!(test.script.calls, [4, 1, 1, 1, 1, 1]);
    assert_eq!(test.script.bytes, (0..35).collect::<Vec<u8>>());
}
