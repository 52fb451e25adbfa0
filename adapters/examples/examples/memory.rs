//! Two endpoints in one thread, and no socket at all: datagrams lie in a queue for 5 ms of a time
//! that is a number and jumps from one thing that happens to the next.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::endpoint::Output;
use aqueduct_core::time::{Instant, earliest};
use aqueduct_examples::{Courier, Outcome, file, verdict};

const WAY: Duration = Duration::from_millis(5);

/// A datagram on its way: when it is there, to which of the two, and its bytes.
struct Flying {
    at: Instant,
    to: usize,
    bytes: Vec<u8>,
}

/// What a node has to say now. Returns when it wants to be asked again.
fn drain(
    couriers: &mut [Courier; 2],
    who: usize,
    now: Instant,
    flying: &mut VecDeque<Flying>,
) -> Outcome<Option<Instant>> {
    let Some(courier) = couriers.get_mut(who) else { return Ok(None) };
    let mut bytes = Vec::new();
    loop {
        match courier.endpoint.poll(&mut bytes, now) {
            Output::Transmit(_) => {
                let (at, to) = (now + WAY, 1 - who);
                flying.push_back(Flying { at, to, bytes: bytes.clone() });
            }
            Output::Event(event) => courier.on_event(event)?,
            Output::Incoming(guest) => courier.on_incoming(guest, now),
            Output::Pipe(_) => {}
            Output::Wait(until) => return Ok(until),
        }
    }
}

fn main() -> Outcome {
    let addresses: [SocketAddr; 2] = ["192.0.2.1:1".parse()?, "192.0.2.2:2".parse()?];
    let mut couriers = [Courier::sender(file(8 << 20)?)?, Courier::receiver()?];
    let (mut now, mut flying) = (Instant::ZERO, VecDeque::new());
    let [sender, receiver] = &mut couriers;
    sender.dial(receiver, addresses[1], now)?;
    loop {
        let wakes = [
            drain(&mut couriers, 0, now, &mut flying)?,
            drain(&mut couriers, 1, now, &mut flying)?,
            flying.front().map(|first| first.at),
        ];
        let Some(next) = earliest(wakes) else { break };
        now = next;
        while flying.front().is_some_and(|first| first.at <= now)
            && let Some(Flying { to, mut bytes, .. }) = flying.pop_front()
        {
            if let (Some(courier), Some(from)) = (couriers.get_mut(to), addresses.get(1 - to)) {
                courier.receive(&mut bytes, *from, now);
            }
        }
    }
    println!("in {:?} of its own time", now.saturating_since(Instant::ZERO));
    verdict(&couriers[0], &couriers[1])
}

#[test]
fn the_file_arrives() {
    main().unwrap();
}
