//! What is lost is lost whole, and the rest arrives as it was.

use std::sync::Arc;

use super::*;

#[derive(Clone, Debug, Default)]
struct Sent(Arc<Mutex<Vec<Vec<u8>>>>);

impl SocketIo for Sent {
    fn recv(&self, _socket: SockRef<'_>, _batch: &mut RecvBatch) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&self, _socket: SockRef<'_>, outgoing: &Outgoing<'_>) -> io::Result<()> {
        let segment = outgoing.segment.unwrap_or(outgoing.bytes.len());
        assert_eq!(outgoing.bytes.len().div_ceil(segment), outgoing.count());
        let datagrams = outgoing.bytes.chunks(segment).map(<[u8]>::to_vec);
        self.0.lock().unwrap().extend(datagrams);
        Ok(())
    }

    fn max_gso_segments(&self) -> usize {
        64
    }

    fn gro_segments(&self) -> usize {
        64
    }
}

/// Sends `batches` of ten datagrams each, of which the last is short, and gives what arrived.
fn through(per_million: u32, seed: u64, batches: u8) -> Vec<Vec<u8>> {
    let sent = Sent::default();
    let lossy = LossyIo::new(sent.clone(), per_million, seed);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for batch in 0..batches {
        let mut bytes: Vec<u8> = (0..9).flat_map(|n| [batch, n, 0, 0]).collect();
        bytes.extend([batch, 9]);
        let remote = socket.local_addr().unwrap();
        let outgoing = Outgoing { remote, local: None, ecn: None, segment: Some(4), bytes: &bytes };
        lossy.send(SockRef::from(&socket), &outgoing).unwrap();
    }
    sent.0.lock().unwrap().clone()
}

#[test]
fn so_many_vanish_and_the_others_are_whole() {
    let all = through(0, 1, 200);
    assert_eq!(all.len(), 2000);
    let some = through(100_000, 1, 200);
    assert!((1700..=1900).contains(&some.len()), "{} of 2000", some.len());
    let mut rest = all.iter();
    assert!(some.iter().all(|one| rest.any(|other| other == one)), "in order and unchanged");
    assert_eq!(some, through(100_000, 1, 200));
    assert_ne!(some, through(100_000, 2, 200));
    assert!(through(1_000_000, 1, 5).is_empty());
}
