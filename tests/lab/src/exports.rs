//! The functions that the page calls. There is one lab at a time. What is longer than a number is
//! left in memory, where the page reads it before it calls again.

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::Duration;

use crate::lane::{Flight, Settings};
use crate::scene::{LINKS, Lab};

/// The lab, and what it said last.
#[derive(Default)]
struct Room {
    settings: [Settings; LINKS],
    lab: Option<Lab>,
    flights: Vec<Flight>,
    samples: Vec<f64>,
    words: String,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// What the harness said when something did not hold.
static FAULT: Mutex<String> = Mutex::new(String::new());

fn room<T>(work: impl FnOnce(&mut Room) -> T) -> T {
    ROOM.with_borrow_mut(work)
}

/// Changes one number of a link: 0 delay (microseconds), 1 loss (of a million), 2 rate (bytes a
/// second), 3 queue (bytes), 4 cut (0 or 1). Before a lab is begun it is what that begins with.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_set(link: usize, what: u32, value: u32) {
    let change = |settings: &mut Settings| match what {
        0 => settings.delay = Duration::from_micros(value.into()),
        1 => settings.loss = value.min(1_000_000),
        2 => settings.rate = u64::from(value).max(1),
        3 => settings.queue = value.into(),
        _ => settings.cut = value != 0,
    };
    room(|room| {
        room.settings.get_mut(link).into_iter().for_each(change);
        room.lab.iter_mut().for_each(|lab| lab.set(link, change));
    });
}

/// Begins anew, with the links as they were set.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_begin(seed: u32, detach: u32) {
    std::panic::set_hook(Box::new(|fault| {
        let mut said = FAULT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // No words are better than none at all: a second fault would hide the first.
        let _ = write!(said, "{fault}");
    }));
    room(|room| {
        let settings = room.settings;
        *room = Room { settings, ..Room::default() };
        room.lab = Some(Lab::new(seed.into(), settings, detach != 0));
    });
}

/// Forgets the lab; links are as by default.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_clear() {
    room(|room| *room = Room::default());
}

/// Lets time pass up to so many microseconds after the beginning, and collects what happened.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_advance(micros: f64) {
    room(|room| {
        if let Some(lab) = &mut room.lab {
            lab.advance(Duration::from_micros(micros as u64));
            room.flights = lab.take_flights();
            room.samples = lab.take_samples();
            room.words = lab.take_diary();
        }
    });
}

/// Where the flights are.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_flights() -> usize {
    room(|room| room.flights.as_ptr().addr())
}

/// How many.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_flights_count() -> usize {
    room(|room| room.flights.len())
}

/// Where the samples are: `PER_SAMPLE` numbers each.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_samples() -> usize {
    room(|room| room.samples.as_ptr().addr())
}

/// How many numbers.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_samples_count() -> usize {
    room(|room| room.samples.len())
}

/// Where words are: those of the diary, or those that another function left there.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_words() -> usize {
    room(|room| room.words.as_ptr().addr())
}

/// How many bytes of UTF-8.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_words_len() -> usize {
    room(|room| room.words.len())
}

/// Leaves, as words, the digest of every datagram so far.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_fingerprint() {
    room(|room| {
        room.words.clear();
        for byte in room.lab.iter().flat_map(Lab::fingerprint) {
            write!(room.words, "{byte:02x}").expect("a string takes all");
        }
    });
}

/// Where what the harness said is, after a call that trapped.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_fault() -> usize {
    FAULT.lock().map_or(0, |said| said.as_ptr().addr())
}

/// How many bytes of UTF-8.
#[unsafe(no_mangle)]
#[expect(unsafe_code, reason = "an exported name")]
pub extern "C" fn lab_fault_len() -> usize {
    FAULT.lock().map_or(0, |said| said.len())
}
