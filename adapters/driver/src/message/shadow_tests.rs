//! Tests of `shadow.rs`.

use super::*;

/// spec: R-MODE-12
#[test]
fn a_difference_is_counted_and_its_offset_found() {
    let counters = MessageCounters::default();
    let mut shadow = Shadow::default();
    shadow.read(b"one");
    shadow.read(b" two");
    shadow.compare(StreamId(4), &Bytes::from_static(b"one two"), &counters);
    assert_eq!(counters.snapshot().streaming_mismatches_total, 0);
    for (read, whole, at) in
        [(&b"one two"[..], &b"one Two"[..], 4), (b"one", b"one two", 3), (b"one two", b"", 0)]
    {
        assert_eq!(first_difference(read, whole), Some(at));
        let mut shadow = Shadow::default();
        shadow.read(read);
        let before = counters.snapshot().streaming_mismatches_total;
        shadow.compare(StreamId(4), &Bytes::from_static(whole), &counters);
        assert_eq!(counters.snapshot().streaming_mismatches_total, before + 1);
    }
}
