//! What is said of and to streams, on a tape and back.

use super::*;
use crate::flow::Window;
use crate::stream::scheduler::Priority;
use crate::stream::taped::{Taken, done, read};
use crate::tape::{Outcome, Reader, Taped};

fn back<T: Taped>(value: &T) -> Option<T> {
    let mut out = Vec::new();
    value.put(&mut out);
    let mut from = Reader::new(&out);
    from.get().filter(|_| from.is_empty())
}

#[test]
fn introductions_come_back_without_their_words() {
    let protocols = [StreamProtocol::Number(300), StreamProtocol::name("a protocol")];
    for (protocol, priority) in protocols.into_iter().zip(Priority::ALL) {
        let bare = OpenOptions {
            size: Some(1 << 40),
            start: 5,
            end: Some(99),
            digest: Some([3; 32]),
            priority,
            hop_limit: Some(7),
            ..OpenOptions::new(protocol)
        };
        let said = OpenOptions { extension: "sealed".into(), ..bare.clone().with_head("a head") };
        assert_eq!(said.words(), [&b"a head"[..], b"sealed"]);
        let mut out = Vec::new();
        said.put(&mut out);
        let mut from = Reader::new(&out);
        assert_eq!(OpenOptions::get(&mut from), Some(bare));
        assert!(from.is_empty());
        for cut in 0..out.len() {
            assert_eq!(OpenOptions::get(&mut Reader::new(&out[..cut])), None, "cut at {cut}");
        }
    }
    assert_eq!(OpenOptions::get(&mut Reader::new(&[2; 99])), None, "a third kind of protocol");
}

#[test]
fn classes_and_windows_come_back() {
    for class in Priority::ALL {
        assert_eq!(back(&class), Some(class));
    }
    assert_eq!(Reader::new(&[3]).get::<Priority>(), None);
    let windows = [Window::Auto, Window::Fixed(7_777), Window::Keeping { window: 5, keep: 600 }];
    for window in windows {
        assert_eq!(back(&window), Some(window));
    }
    assert_eq!(Reader::new(&[3, 1, 1]).get::<Window>(), None);
}

/// Why nothing was done has a number, which no other reason has.
#[test]
fn reasons_have_numbers_of_their_own() {
    let opens =
        [OpenError::Blocked, OpenError::Closed, OpenError::NoCredit, OpenError::Invalid("")];
    assert_eq!(opens.map(OpenError::number), [1, 2, 3, 4]);
    let writes = [
        WriteError::Blocked,
        WriteError::Finished,
        WriteError::Reset,
        WriteError::Stopped { code: AppCode(9), hop: 9 },
        WriteError::Overlap,
        WriteError::OutOfBounds,
    ];
    assert_eq!(writes.map(WriteError::number), [1, 2, 3, 4, 5, 6]);
    assert_eq!(done(&Ok(())), Outcome::Done(0));
    assert_eq!(done(&Err(WriteError::Overlap)), Outcome::Refused(5));
    let reads = [
        ReadError::Blocked,
        ReadError::Reset { code: AppCode(9), hop: 9 },
        ReadError::Stuck(Stuck::Timeout),
        ReadError::Stopped,
        ReadError::Skipped(1..2),
        ReadError::OutOfOrder,
    ];
    for (error, number) in reads.into_iter().zip(1..) {
        assert_eq!(read::<Chunk>(&Err(error)), Outcome::Refused(number));
    }
}

/// Of the body: the bytes that were given, or that will never come.
#[test]
fn what_was_taken_is_measured() {
    let chunk = Chunk { offset: 70, data: Bytes::from_static(b"seven b") };
    assert_eq!((chunk.amount(), Arrival::Skipped(7..10).amount()), (7, 3));
    assert_eq!(Arrival::Bytes(chunk.clone()).amount(), 7);
    assert_eq!(read(&Ok(Some(chunk))), Outcome::Done(7));
    assert_eq!(read::<Arrival>(&Ok(None)), Outcome::Done(0), "the end of the body");
}
