use super::*;

#[test]
fn each_limit_has_words_for_people_and_a_name_for_programs() {
    for (limit, words, name) in [
        (SendLimit::Path, "limited by the path: nothing comes back", "path"),
        (SendLimit::Application, "limited by what comes from this machine", "application"),
        (
            SendLimit::StreamCredit,
            "limited by the receiver's credit, or the next hop's",
            "stream-credit",
        ),
        (
            SendLimit::ConnectionCredit,
            "limited by the receiver's credit for all streams",
            "connection-credit",
        ),
        (SendLimit::Congestion, "limited by the congestion window", "window"),
        (SendLimit::Pacing, "limited by pacing", "pacing"),
        (SendLimit::Rate, "limited by --limit", "rate"),
        (
            SendLimit::Amplification,
            "limited by an address that is not validated yet",
            "amplification",
        ),
        (SendLimit::Carrier, "limited by this machine's socket", "socket"),
    ] {
        let limits = Limits::default();
        assert_eq!(limits.most(), None);
        assert_eq!(limits.note(limit), words);
        assert_eq!(limits.most(), Some(name));
    }
}

#[test]
fn what_was_seen_most_is_what_a_program_is_told() {
    let limits = Limits::default();
    let credit = SendLimit::StreamCredit;
    for limit in [SendLimit::Pacing, credit, credit, SendLimit::Carrier] {
        limits.note(limit);
    }
    assert_eq!(limits.most(), Some("stream-credit"));
}
