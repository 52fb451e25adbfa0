use super::*;

#[test]
fn a_receiver_names_what_it_waited_for_longest() {
    let begun = Instant::now();
    let mut waits = Waits::new(begun);
    for (nth, what, words) in [
        (1, For::Bytes, "limited by the sender or the way"),
        (2, For::Rate, "limited by --limit"),
        (3, For::Disk, "limited by this machine's disk"),
    ] {
        For::ALL.into_iter().for_each(|any| waits.add(any, SPAN / 10));
        waits.add(what, SPAN / 2);
        assert_eq!(waits.told(begun + SPAN * nth - SPAN / 10), None, "too early");
        assert_eq!(waits.told(begun + SPAN * nth).as_deref(), Some(words));
    }
}
