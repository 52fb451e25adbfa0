//! One direction of a link, which tells what became of every datagram.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_core::time::Instant;
use aqueduct_tests::dice::Dice;
use aqueduct_tests::link::queue::Room;
use aqueduct_tests::link::{Loss, Machine, Parcel, Queue};

/// What a link does, in both directions; may be changed while datagrams are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// One way.
    pub delay: Duration,
    /// Of a million datagrams, so many vanish.
    pub loss: u32,
    /// Bytes a second.
    pub rate: u64,
    /// Bytes that wait for the rate before more are dropped.
    pub queue: u64,
    /// Nothing passes.
    pub cut: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let delay = Duration::from_millis(20);
        Self { delay, loss: 0, rate: 1_000_000, queue: 64 * 1024, cut: false }
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// It arrived.
    Arrived = 0,
    /// It was lost by chance.
    Lost = 1,
    /// It found the queue full.
    Overflowed = 2,
    /// The link was cut.
    Cut = 3,
}

/// What can be seen of a datagram from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Of a handshake.
    Handshake = 0,
    /// Large: it carries data.
    Data = 1,
    /// Small: most of these are acknowledgements.
    Small = 2,
}

/// Below this many bytes a datagram is drawn as a small one.
const SMALL: usize = 200;

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        match bytes.first() {
            Some(first) if first & 0xc0 == 0xc0 => Self::Handshake,
            _ if bytes.len() < SMALL => Self::Small,
            _ => Self::Data,
        }
    }
}

/// A datagram's way over a link. Times in milliseconds since the lab began.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Flight {
    /// It was sent.
    pub sent: f64,
    /// It left the queue.
    pub left: f64,
    /// It was there, or would have been.
    pub there: f64,
    /// Bytes.
    pub len: u32,
    /// Twice the link's number, plus one on the way back.
    pub lane: u8,
    /// A [`Fate`].
    pub fate: u8,
    /// A [`Kind`].
    pub kind: u8,
    /// Zero.
    pub reserved: u8,
}

/// Milliseconds since the lab began.
pub(crate) fn millis(began: Instant, at: Instant) -> f64 {
    at.saturating_since(began).as_nanos() as f64 / 1e6
}

/// Flights that nobody has taken yet.
pub(crate) type Flights = Rc<RefCell<Vec<Flight>>>;

/// The machine: loss, then a queue, then a delay.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) number: u8,
    pub(crate) settings: Rc<RefCell<Settings>>,
    pub(crate) flights: Flights,
    pub(crate) began: Instant,
    pub(crate) queue: Queue,
}

impl Lane {
    fn way(&mut self, parcel: Parcel, dice: &mut Dice) -> (Fate, Instant, Option<Parcel>) {
        let settings = *self.settings.borrow();
        let at = parcel.at;
        let mut passed = Vec::new();
        Loss::of(settings.loss).pass(parcel, dice, &mut passed);
        if settings.cut {
            return (Fate::Cut, at, None);
        }
        let Some(parcel) = passed.pop() else { return (Fate::Lost, at, None) };
        (self.queue.rate, self.queue.room) = (settings.rate, Room::Bytes(settings.queue));
        self.queue.pass(parcel, dice, &mut passed);
        let Some(parcel) = passed.pop() else { return (Fate::Overflowed, at, None) };
        let left = parcel.at;
        (Fate::Arrived, left, Some(Parcel { at: left + settings.delay, ..parcel }))
    }
}

impl Machine for Lane {
    fn pass(&mut self, parcel: Parcel, dice: &mut Dice, out: &mut Vec<Parcel>) {
        let (at, len, kind) = (parcel.at, parcel.bytes.len() as u32, Kind::of(&parcel.bytes));
        let (fate, left, arrives) = self.way(parcel, dice);
        let delay = self.settings.borrow().delay;
        let there = arrives.as_ref().map_or(left + delay, |parcel| parcel.at);
        let time = |at| millis(self.began, at);
        let (sent, left, there) = (time(at), time(left), time(there));
        let (lane, fate, kind, reserved) = (self.number, fate as u8, kind as u8, 0);
        let flight = Flight { sent, left, there, len, lane, fate, kind, reserved };
        self.flights.borrow_mut().push(flight);
        out.extend(arrives);
    }

    fn boxed_clone(&self) -> Box<dyn Machine> {
        Box::new(self.clone())
    }
}
