use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake};
use std::thread::{self, Thread};
use std::time::{Duration, Instant as StdInstant};

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::rng::Seed;

use super::*;
use crate::Endpoint;
use crate::engine::Parts;
use crate::socket::{Outgoing, RecvBatch};

/// Nothing comes; what leaves is counted. One that is full of [`DYNAMITE`] blows up.
#[derive(Debug, Default)]
struct Hole(Arc<AtomicUsize>);

const DYNAMITE: usize = usize::MAX;

impl Wire for Hole {
    fn recv(&mut self, _batch: &mut RecvBatch) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, _outgoing: &Outgoing<'_>) -> io::Result<()> {
        assert_ne!(self.0.fetch_add(1, Ordering::Relaxed), DYNAMITE, "it was asked for");
        Ok(())
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn station() -> (Arc<Station<Hole>>, Endpoint, Arc<AtomicUsize>) {
    let parts = Parts {
        local: ([127, 0, 0, 1], 1).into(),
        takes_v4: true,
        max_segments: 1,
        carriers: crate::tcp::Carriers::udp(),
        listens: false,
        warnings: Vec::new(),
    };
    let config = EndpointConfig::new(NodeKey::from_seed(&[1; 32]));
    let (engine, endpoint) = Engine::new(config, Seed::from_u64(1), parts);
    let sent = Arc::new(AtomicUsize::new(0));
    (Station::new(engine, Hole(sent.clone())), endpoint, sent)
}

/// The driver's part: works until there is nothing to do, then sleeps.
fn drive(station: &Station<Hole>, waker: &Waker) {
    let mut desk = station.enter().unwrap();
    let desk = &mut *desk;
    loop {
        if let Turn::Sleep(until) = desk.turn() {
            desk.alarm = until;
            if desk.engine.park(waker) {
                return;
            }
        }
    }
}

#[test]
fn an_errand_does_the_work_of_a_sleeping_driver() {
    let (station, endpoint, sent) = station();
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let mut dialled = Vec::new();
    let mut dial = || {
        let to = ([192, 0, 2, 1], 4000 + dialled.len() as u16).into();
        dialled.push(endpoint.connect(None, to).unwrap());
        (sent.load(Ordering::Relaxed), woken.0.load(Ordering::Relaxed))
    };
    drive(&station, &waker);
    // It leaves at once; that an answer is waited for until then and then, the driver has to know.
    assert_eq!(dial(), (1, 1));
    drive(&station, &waker);
    // This wait is over later than that: the driver sleeps on.
    assert_eq!(dial(), (2, 1));
    // Nor has the driver been there who comes and goes again, to let others bring their work first.
    drop(station.enter());
    // What follows closely is for the driver to gather, and it is woken once.
    assert_eq!(dial(), (2, 2));
    assert_eq!(dial(), (2, 2));
    drive(&station, &waker);
    assert_eq!(sent.load(Ordering::Relaxed), 4);
    // Nobody waits for somebody who works.
    let desk = station.enter().unwrap();
    assert_eq!(dial(), (4, 3));
    drop(desk);
    // Without a station nobody helps and nothing is taken.
    drop(station);
    assert!(endpoint.connect(None, ([192, 0, 2, 1], 1).into()).is_err());
}

#[test]
fn a_panic_during_an_errand_is_told_to_the_driver() {
    let (station, endpoint, sent) = station();
    let woken = Arc::new(Count::default());
    drive(&station, &Waker::from(woken.clone()));
    sent.store(DYNAMITE, Ordering::Relaxed);
    let asker = thread::spawn(move || drop(endpoint.connect(None, ([192, 0, 2, 1], 1).into())));
    assert!(asker.join().is_err(), "whoever runs the errand has the panic");
    assert_eq!(woken.0.load(Ordering::Relaxed), 1, "the driver sleeps on");
    assert!(station.enter().is_none(), "a broken engine is asked for more");
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Threads ask while a driver sleeps and wakes: whoever does the work, every question is answered.
#[test]
fn no_work_is_left_lying() {
    const EACH: usize = 10_000;
    let (station, endpoint, _sent) = station();
    let done = Arc::new(AtomicBool::new(false));
    let driver = thread::spawn({
        let done = done.clone();
        move || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            while !done.load(Ordering::Relaxed) {
                drive(&station, &waker);
                thread::park();
            }
        }
    });
    let deadline = StdInstant::now() + Duration::from_secs(30);
    let askers: Vec<_> = (0..4)
        .map(|_| {
            let endpoint = endpoint.clone();
            thread::spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                let mut cx = Context::from_waker(&waker);
                for number in 0..EACH {
                    let mut answer = pin!(endpoint.stats());
                    while answer.as_mut().poll(&mut cx).is_pending() {
                        thread::park_timeout(Duration::from_secs(5));
                        assert!(StdInstant::now() < deadline, "no answer to {number}");
                    }
                }
            })
        })
        .collect();
    askers.into_iter().for_each(|asker| asker.join().unwrap());
    done.store(true, Ordering::Relaxed);
    driver.thread().unpark();
    driver.join().unwrap();
}
