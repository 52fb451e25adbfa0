//! A bare readiness loop over `mio`: one thread, two endpoints, each on a UDP socket of its own.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use aqueduct_core::endpoint::Output;
use aqueduct_core::time::{Instant, earliest};
use aqueduct_examples::{Courier, Outcome, file, verdict};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

const PATIENCE: Duration = Duration::from_secs(60);

/// A node and its socket.
struct Side {
    courier: Courier,
    socket: UdpSocket,
    /// The core has a datagram in hand that the socket did not take.
    unsent: Option<(Vec<u8>, SocketAddr)>,
}

impl Side {
    fn new(courier: Courier) -> Outcome<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0".parse()?)?;
        Ok(Self { courier, socket, unsent: None })
    }

    /// Hands over all that the socket has: it says so only once.
    fn receive(&mut self, now: Instant) -> Outcome {
        let mut buf = [0; 65_536];
        loop {
            match self.socket.recv_from(&mut buf) {
                Ok((len, from)) => {
                    let bytes = buf.get_mut(..len).unwrap_or_default();
                    self.courier.receive(bytes, from, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a datagram, or keeps it until the socket takes more. Returns whether it was sent.
    fn send(&mut self, bytes: Vec<u8>, to: SocketAddr) -> Outcome<bool> {
        match self.socket.send_to(&bytes, to) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.unsent = Some((bytes, to));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// All that the core has to say now. Returns when it wants to be asked again.
    fn turn(&mut self, now: Instant) -> Outcome<Option<Instant>> {
        if let Some((bytes, to)) = self.unsent.take()
            && !self.send(bytes, to)?
        {
            return Ok(None); // when the socket is writable
        }
        let mut buf = Vec::new();
        loop {
            match self.courier.endpoint.poll(&mut buf, now) {
                Output::Transmit(to) => {
                    if !self.send(buf.clone(), to.remote)? {
                        return Ok(None);
                    }
                }
                Output::Event(event) => self.courier.on_event(event)?,
                Output::Incoming(guest) => self.courier.on_incoming(guest, now),
                Output::Pipe(_) => {}
                Output::Wait(until) => return Ok(until),
            }
        }
    }
}

fn main() -> Outcome {
    let began = Clock::now();
    let clock = || Instant::ZERO + began.elapsed();
    let mut sides = [
        Side::new(Courier::sender(file(16 << 20)?)?)?, //
        Side::new(Courier::receiver()?)?,
    ];
    let mut poll = Poll::new()?;
    for (at, side) in sides.iter_mut().enumerate() {
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut side.socket, Token(at), both)?;
    }
    let [sender, receiver] = &mut sides;
    let there = receiver.socket.local_addr()?;
    sender.courier.dial(&receiver.courier, there, clock())?;
    let mut events = Events::with_capacity(16);
    loop {
        let mut wakes = [None; 2];
        for (side, wake) in sides.iter_mut().zip(&mut wakes) {
            *wake = side.turn(clock())?;
        }
        if sides.iter().all(|side| side.courier.is_over()) {
            break;
        }
        let now = clock();
        let wait = earliest(wakes).map_or(PATIENCE, |at| at.saturating_since(now));
        poll.poll(&mut events, Some(wait))?;
        for event in &events {
            if let Some(side) = sides.get_mut(event.token().0).filter(|_| event.is_readable()) {
                side.receive(clock())?;
            }
        }
        if began.elapsed() > PATIENCE {
            return Err("it takes too long".into());
        }
    }
    println!("in {:?}", began.elapsed());
    verdict(&sides[0].courier, &sides[1].courier)
}

#[test]
fn the_file_arrives() {
    main().unwrap();
}
