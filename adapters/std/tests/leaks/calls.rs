//! Every call that waits or changes something, each made in passing: what it comes to is looked at
//! only where bytes came back. Names are for the table of how often each was made.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use aqueduct_std::{
    Algorithm, AppCode, Bytes, Chunks, Connection, Delivery, Endpoint, LegPolicy, OpenOptions,
    PipeOptions, Priority, Received, RecvStream, SendStream, StreamProtocol,
};

use crate::Dice;

/// Most bytes of a body.
const MOST: u64 = 60_000;
/// What is so large goes as a stream where a choice is left.
const LARGE: u64 = 200_000;

/// Who calls.
pub(crate) struct Caller<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) connection: &'a Connection,
    pub(crate) dice: &'a mut Dice,
}

type Call = fn(&mut Caller<'_>);

pub(crate) const CALLS: [(&str, Call); 27] = [
    ("send_datagram", |c| drop(c.connection.send_datagram(c.body(1_200)))),
    ("send_datagram_with", |c| {
        let body = c.body(1_200);
        drop(c.connection.send_datagram_with(body, c.delivery()));
    }),
    ("send_datagram_wait", |c| drop(c.connection.send_datagram_wait(c.body(1_200)))),
    ("read_datagram", |c| drop(c.briefly().read_datagram())),
    ("send_message", |c| drop(c.connection.send_message(c.body(MOST)))),
    ("send_message_with", |c| {
        let body = c.body(MOST);
        drop(c.connection.send_message_with(body, c.delivery()));
    }),
    ("send_auto", |c| {
        let rows = (0..4_u8).map(|row| vec![row; LARGE as usize / 4]);
        drop(c.connection.send_auto(Chunks::new(LARGE, rows)));
    }),
    ("recv_message", |c| drop(c.briefly().recv_message())),
    ("recv_auto", |c| drop(c.briefly().recv_auto())),
    ("accept_bi", |c| drop(c.briefly().accept_bi())),
    ("closed", |c| {
        let _over = c.briefly().closed();
    }),
    ("stats", |c| _ = c.connection.stats()),
    ("set_controller", |c| c.connection.set_controller(c.any(&Algorithm::ALL))),
    ("export_keying_material", |c| {
        drop(c.connection.export_keying_material(b"label", b"", 32));
    }),
    ("close", |c| {
        if c.dice.below(40) == 0 {
            c.connection.close(AppCode(2), b"bye");
        }
    }),
    ("set_limit", |c| c.endpoint.set_limit(c.rate())),
    ("set_peer_limit", |c| {
        c.endpoint.set_peers_limit(c.rate());
        c.endpoint.set_peer_limit(c.connection.peer(), c.rate());
    }),
    ("bandwidth", |c| _ = c.endpoint.bandwidth(Some(c.connection.peer()))),
    ("endpoint stats", |c| _ = (c.endpoint.stats(), c.endpoint.figures())),
    ("connect in vain", |c| {
        let brief = c.endpoint.clone().with_timeout(Duration::from_millis(5));
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        drop(brief.connect((c.connection.peer(), nobody)));
    }),
    ("open_uni", one_way),
    ("write_at", with_gaps),
    ("open_bi", |c| c.echo(Whole::read_to_end_of_it)),
    ("fork", |c| {
        c.echo(|recv| {
            let mut fork = recv.fork();
            // Neither waits for the other, and both have to read.
            let (ahead, here) = thread::scope(|scope| {
                let ahead = scope.spawn(move || fork.collect_all(1 << 20).ok());
                (recv.collect_all(1 << 20).ok(), ahead.join().expect("it reads"))
            });
            assert!(ahead.is_none() || here.is_none() || ahead == here, "a fork reads other bytes");
            here
        });
    }),
    ("peek", |c| {
        c.echo(|recv| {
            let head = recv.peek(100).ok()?;
            let all = recv.collect_all(1 << 20).ok()?;
            assert!(all.starts_with(&head), "what was looked at is not what came");
            Some(all)
        });
    }),
    ("request_range", |c| {
        if let Some((_send, recv)) = c.ask(&[]) {
            drop(c.briefly().request_range(recv.id(), 0, Some(1)));
        }
    }),
    ("pipe", piped),
];

pub(crate) fn options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("test"))
}

impl Caller<'_> {
    fn any<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.dice.below(all.len() as u64) as usize]
    }

    fn body(&mut self, most: u64) -> Bytes {
        vec![self.dice.below(256) as u8; self.dice.below(most) as usize].into()
    }

    fn delivery(&mut self) -> Delivery {
        let age = Duration::from_micros(self.dice.below(20_000));
        Delivery::new().priority(self.any(&Priority::ALL)).max_age(age)
    }

    fn rate(&mut self) -> Option<u64> {
        self.any(&[None, None, Some(2_000_000), Some(20_000_000)])
    }

    /// The connection, for calls that find nothing to wait for.
    fn briefly(&self) -> Connection {
        self.connection.clone().with_timeout(Duration::from_micros(50))
    }

    /// Sends a body and its end on a stream that is answered.
    fn ask(&mut self, body: &[u8]) -> Option<(SendStream, RecvStream)> {
        let (mut send, recv) = self.connection.open_bi(options()).ok()?;
        send.set_priority(self.any(&Priority::ALL));
        let _over = send.write_all(body);
        let _over = send.finish();
        Some((send, recv))
    }

    /// The same, and looks at what comes back, read in this way.
    fn echo(&mut self, read: impl FnOnce(&mut RecvStream) -> Option<Bytes>) {
        let body = self.body(MOST);
        let Some((_send, mut recv)) = self.ask(&body) else { return };
        if let Some(back) = read(&mut recv) {
            assert!(back == body || back.is_empty(), "another body came back");
        }
    }
}

trait Whole {
    fn read_to_end_of_it(&mut self) -> Option<Bytes>;
}

impl Whole for RecvStream {
    fn read_to_end_of_it(&mut self) -> Option<Bytes> {
        let mut back = Vec::new();
        self.read_to_end(&mut back).ok().map(|_| back.into())
    }
}

/// A stream that ends in one way or other.
fn one_way(c: &mut Caller<'_>) {
    let body = c.body(MOST);
    let Ok(mut send) = c.connection.open_uni(options()) else { return };
    let _over = send.write_all(&body);
    match c.dice.below(5) {
        0 => send.reset(AppCode(3)),
        1 => drop(send),
        2 => drop(send.finish()),
        3 => {
            let _over = send.finish();
            drop(send.with_timeout(Duration::from_millis(5)).stopped());
        }
        _ => drop(send.delivered()),
    }
}

/// A stream with a hole that is skipped, and parts out of order.
fn with_gaps(c: &mut Caller<'_>) {
    let Ok(mut send) = c.connection.open_uni(options()) else { return };
    let part = c.body(10_000);
    let len = part.len() as u64;
    let _over = send.write_at(2 * len, part.clone());
    let _over = send.skip(len..2 * len);
    let _over = send.write_at(0, part);
    drop(send.delivered());
}

/// What comes back of a stream goes on by another one, and is given up or not.
fn piped(c: &mut Caller<'_>) {
    let body = c.body(MOST);
    let Some((_send, mut source)) = c.ask(&body) else { return };
    // Who answers takes one stream after the other: the leg is not to come before its source.
    let _over = source.peek(1);
    let onward = source.info().cloned().unwrap_or_else(options).forwarded();
    let leg = onward.and_then(|onward| c.connection.open_uni(onward).ok());
    let Some(leg) = leg else { return };
    let options = PipeOptions { policy: LegPolicy::DETACH, ..PipeOptions::default() };
    let Ok(pipe) = c.endpoint.pipe(source, vec![leg], options) else { return };
    pipe.set_rate(c.rate());
    let _stats = pipe.stats();
    match c.dice.below(3) {
        0 => pipe.cancel(AppCode(4)),
        1 => drop(pipe),
        _ => _ = pipe.ended(),
    }
}

/// Answers streams in all ways until the connection is over.
pub(crate) fn respond(connection: &Connection, mut dice: Dice) {
    while let Ok((send, mut recv)) = connection.accept_stream() {
        match (dice.below(8), send) {
            (0, _) => recv.stop(AppCode(1)),
            (1, Some(mut send)) => send.reset(AppCode(2)),
            (2, _) => drop(recv),
            (_, Some(mut send)) => {
                let _over = std::io::copy(&mut recv, &mut send);
                let _over = send.finish();
            }
            (_, None) => drop(recv.collect_all(1 << 20)),
        }
        if dice.below(300) == 0 {
            connection.abort(AppCode(1), b"for a change");
        }
    }
}

/// Takes messages, whole ones and streamed ones, until the connection is over.
pub(crate) fn take_messages(connection: &Connection) {
    while let Ok(message) = connection.recv_auto() {
        if let Received::Stream(message) = message {
            let _over = message.collect_all();
        }
    }
}

/// The same with datagrams.
pub(crate) fn take_datagrams(connection: &Connection) {
    while connection.read_datagram().is_ok() {}
}
