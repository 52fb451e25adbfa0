//! On `smol`: a task for each endpoint, which waits for its socket or its timer, whichever comes
//! first.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant as Clock};

use aqueduct_core::endpoint::Output;
use aqueduct_core::time::Instant;
use aqueduct_examples::{Courier, Outcome, file, verdict};
use smol::future::{FutureExt, try_zip};
use smol::{Async, Timer};

const PATIENCE: Duration = Duration::from_secs(60);

/// Drives a node until its connection is over.
async fn drive(mut courier: Courier, socket: Async<UdpSocket>, began: Clock) -> Outcome<Courier> {
    let (mut out, mut buf) = (Vec::new(), vec![0; 65_536]);
    loop {
        let now = Instant::ZERO + began.elapsed();
        let wake = loop {
            match courier.endpoint.poll(&mut out, now) {
                Output::Transmit(to) => _ = socket.send_to(&out, to.remote).await?,
                Output::Event(event) => courier.on_event(event)?,
                Output::Incoming(guest) => courier.on_incoming(guest, now),
                Output::Pipe(_) => {}
                Output::Wait(until) => break until,
            }
        };
        if courier.is_over() {
            return Ok(courier);
        }
        let timer = wake
            .map_or_else(Timer::never, |at| Timer::at(began + at.saturating_since(Instant::ZERO)));
        let due = async {
            timer.await;
            Ok(())
        };
        socket.readable().or(due).await?;
        // Whatever is there, without waiting; a full batch leaves the rest to the next turn.
        for _ in 0..64 {
            match socket.get_ref().recv_from(&mut buf) {
                Ok((len, from)) => {
                    let now = Instant::ZERO + began.elapsed();
                    courier.receive(buf.get_mut(..len).unwrap_or_default(), from, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn main() -> Outcome {
    let began = Clock::now();
    let mut sender = Courier::sender(file(16 << 20)?)?;
    let receiver = Courier::receiver()?;
    let here = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0))?;
    let there = Async::<UdpSocket>::bind(([127, 0, 0, 1], 0))?;
    sender.dial(&receiver, there.get_ref().local_addr()?, Instant::ZERO)?;
    let sending = smol::spawn(drive(sender, here, began));
    let receiving = smol::spawn(drive(receiver, there, began));
    let patience = async {
        Timer::after(PATIENCE).await;
        Err("it takes too long".into())
    };
    let (sender, receiver) = smol::block_on(try_zip(sending, receiving).or(patience))?;
    println!("in {:?}", began.elapsed());
    verdict(&sender, &receiver)
}

#[test]
fn the_file_arrives() {
    main().unwrap();
}
