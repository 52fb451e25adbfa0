use super::*;

#[test]
fn each_limit_has_words_for_people_and_a_name_for_programs() {
    for (limit, words, name) in [
        (SendLimit::Credit, "limited by the receiver's credit", "credit"),
        (SendLimit::Congestion, "limited by the congestion window", "congestion"),
        (SendLimit::Pacing, "limited by pacing", "pacing"),
        (SendLimit::Rate, "limited by --limit", "rate"),
        (SendLimit::Carrier, "limited by this machine's socket", "socket"),
        (SendLimit::Application, "limited by what comes from this machine", "application"),
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
    for limit in [SendLimit::Pacing, SendLimit::Credit, SendLimit::Credit, SendLimit::Carrier] {
        limits.note(limit);
    }
    assert_eq!(limits.most(), Some("credit"));
}
