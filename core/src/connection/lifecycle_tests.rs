//! A CLOSE that is said again.

use core::time::Duration;

use crate::time::Instant;
use crate::wire::frame::CloseCode;
use crate::wire::id::AppCode;

use super::Closing;

const PTO: Duration = Duration::from_millis(10);

fn closing() -> (Closing, Instant) {
    let now = Instant::from_nanos(1_000_000_000);
    (Closing::new(CloseCode::App(AppCode(7)), b"", PTO, now), now)
}

/// Sends what is due, and says whether anything was.
fn says(closing: &mut Closing) -> bool {
    core::mem::take(&mut closing.due)
}

/// spec: R-CLOSE-6
#[test]
fn a_close_is_said_again_after_one_and_two_probe_time_outs() {
    let (mut closing, start) = closing();
    assert!(says(&mut closing));
    for times in [1, 2] {
        assert_eq!(closing.deadline(), start + PTO * times);
        closing.on_deadline(start + PTO * times);
        assert!(says(&mut closing), "{times}");
    }
    assert_eq!((closing.deadline(), closing.until), (start + PTO * 3, start + PTO * 3));
}

/// Whoever was held up wakes once, not once for each time that has passed.
///
/// spec: R-CLOSE-6
#[test]
fn a_node_that_wakes_late_says_its_close_once_and_waits_on() {
    for late in [PTO, PTO * 2 - Duration::from_nanos(1), PTO * 2, PTO * 3 - Duration::from_nanos(1)]
    {
        let (mut closing, start) = closing();
        assert!(says(&mut closing));
        let now = start + late;
        closing.on_deadline(now);
        assert!(says(&mut closing));
        assert!(closing.deadline() > now, "{late:?}: due at {:?}", closing.deadline());
        closing.on_deadline(now);
        assert!(!says(&mut closing), "{late:?}");
    }
}
