//! Reading what a pipe passes on.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use aqueduct_std::{
    Connection, Endpoint, Error, OpenOptions, Pipe, PipeOptions, ReadError, RecvStream, SendStream,
    StreamProtocol, generate_key,
};

/// What a busy machine may add to anything.
const LONG: Duration = Duration::from_secs(10);
const STOCK: u64 = 64 << 10;

fn endpoint() -> Endpoint {
    let endpoint = Endpoint::bind("127.0.0.1:0".parse().unwrap(), generate_key().unwrap());
    endpoint.unwrap().with_timeout(LONG)
}

/// A stream that a pipe passes on to nobody but who reads it here.
struct Along {
    sending: Option<SendStream>,
    pipe: Pipe,
    local: RecvStream,
    _kept: (Endpoint, Endpoint, Connection, Connection),
}

fn along(options: OpenOptions) -> Along {
    let (source, node) = (endpoint(), endpoint());
    let (out, inn) = thread::scope(|scope| {
        let taking = scope.spawn(|| node.accept().unwrap().unwrap().accept().unwrap());
        let out = source.connect((node.node_id(), node.local_addr())).unwrap();
        (out, taking.join().unwrap())
    });
    let mut sending = out.open_uni(options).unwrap();
    sending.write_all(b"#").unwrap();
    let pipes = PipeOptions { stock: STOCK, ..PipeOptions::default() };
    let (pipe, local) = node.pipe_and_read(inn.accept_uni().unwrap(), Vec::new(), pipes).unwrap();
    Along { sending: Some(sending), pipe, local, _kept: (source, node, out, inn) }
}

fn options() -> OpenOptions {
    OpenOptions::new(StreamProtocol::name("test"))
}

/// spec: R-PIPE-30
#[test]
fn nobody_waits_for_more_than_a_pipe_holds() {
    let mut along = along(options());
    let mut sending = along.sending.take().unwrap();
    let writing = thread::spawn(move || {
        sending.write_all(&vec![7; 1_000_000]).unwrap();
        sending.finish().unwrap();
        sending.delivered()
    });
    let refused = along.local.peek(200_000).unwrap_err();
    let why = ReadError::PeekTooLong { wanted: 200_000, limit: STOCK };
    assert_eq!(refused, Error::Failed(why));
    assert!(refused.to_string().contains("stock"), "{refused}");
    // What it holds can be looked at, and the pipe flows on.
    assert_eq!(along.local.peek(STOCK as usize).unwrap().len(), STOCK as usize);
    let mut read = Vec::new();
    along.local.read_to_end(&mut read).unwrap();
    assert_eq!(read.len(), 1_000_001);
    writing.join().unwrap().unwrap();
    assert_eq!(along.pipe.ended().unwrap().unwrap().received, 1_000_001);
}

/// spec: R-PIPE-30
#[test]
fn a_body_that_is_known_to_be_short_is_looked_at_whole() {
    let mut options = options();
    options.size = Some(1_000);
    let mut along = along(options);
    let mut sending = along.sending.take().unwrap();
    let writing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        sending.write_all(&[7; 999]).unwrap();
        sending.finish().unwrap();
        sending.delivered()
    });
    assert_eq!(along.local.peek(1 << 20).unwrap().len(), 1_000);
    let mut read = Vec::new();
    along.local.read_to_end(&mut read).unwrap();
    assert_eq!(read.len(), 1_000);
    writing.join().unwrap().unwrap();
}
